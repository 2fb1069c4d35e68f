"""The house keeps its layers, and importing it stays light."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import livertrack as lt


def test_importing_livertrack_imports_neither_torch_nor_pandas() -> None:
    code = (
        "import livertrack, sys; print(sorted({'torch', 'torchio', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [n for n in lt.__all__ if n != "__version__"])
def test_every_public_name_exists_and_says_what_it_is(name: str) -> None:
    value = getattr(lt, name)
    assert value.__doc__
    assert value.__doc__.strip()


def test_layers_hold(repository: Path) -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        found = shutil.which("lint-imports")
        if found is None:
            pytest.skip("import-linter is not installed (extra dev)")
        program = Path(found)
    done = subprocess.run(
        [str(program)], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_nothing_in_the_package_can_unpickle(repository: Path) -> None:
    bad = re.compile(r"import pickle|torch\.load\(|joblib\.load\(")
    files = [*(repository / "livertrack").rglob("*.py"), *(repository / "reports").rglob("*.qmd")]
    assert files
    hits = [path.name for path in files if bad.search(path.read_text(encoding="utf-8"))]
    assert hits == []


def test_the_architecture_page_lists_every_public_name_and_its_module(repository: Path) -> None:
    page = (repository / "ARCHITECTURE.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", page, flags=re.MULTILINE))
    assert listed == lt._EXPORTS
