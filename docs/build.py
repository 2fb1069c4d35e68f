"""Build these pages with the embedded renderer: ``python docs/build.py --out docs/site``.

Every page is one self-contained HTML file. Pages whose example needs a real trial need its data:
``--data`` is a folder with ``pbc.csv``, ``pbcseq.csv`` and ``udca.csv``; without it R's survival
package is asked. Where there is neither, those pages are left out, and named.
"""

from __future__ import annotations

import argparse
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import livertrack as lt
from livertrack.report import render
from livertrack.report._pandoc import to_html

HERE = Path(__file__).resolve().parent
_R = (
    "library(survival); for (n in c('pbc', 'pbcseq', 'udca')) write.csv(get(n), paste0(n, '.csv'))"
)
#: what a page includes that needs data -> variable that says where they are
_NEEDS = {"_pbc.qmd": "PBC_STUDY", "_udca.qmd": "UDCA"}


def main() -> int:
    """Build the site; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "site")
    parser.add_argument("--data", type=Path, help="folder with pbc.csv, pbcseq.csv, udca.csv")
    parser.add_argument("pages", nargs="*", help="names of pages; default: all")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="livertrack-docs-") as place:
        os.environ |= real_data(given.data, Path(place))
        built, left_out = build(given.out, pages=given.pages)
    print(f"{len(built)} pages in {given.out}")
    if left_out:
        print(f"left out, without the data of their trial: {', '.join(left_out)}")
    return 0


def build(out: Path, *, pages: list[str]) -> tuple[list[Path], list[str]]:
    """Build all pages, or the named ones; returns the files and what was left out."""
    built, left_out = [], []
    for source in sorted(HERE.glob("[!_]*.qmd")):
        if pages and source.stem not in pages:
            continue
        text = source.read_text(encoding="utf-8")
        if any(part in text and where not in os.environ for part, where in _NEEDS.items()):
            left_out.append(source.stem)
            continue
        built += render(source, out=out, formats=("html",), renderer="embedded")
    for name, text in [("api", api()), *((p.stem, plain_page(p)) for p in HERE.glob("*.md"))]:
        if not pages or name in pages:
            built.append(convert(name, text, out))
    return built, left_out


def real_data(data: Path | None, place: Path) -> dict[str, str]:
    """Where the real trials of the examples are: of the given data, else R's; {} of neither."""
    program = shutil.which("Rscript")
    if data is None and program is not None:
        data = place / "data"
        data.mkdir()
        done = subprocess.run([program, "-e", _R], cwd=data, check=False, capture_output=True)
        data = data if done.returncode == 0 else None
    if data is None:
        return {}
    held = {"UDCA": str(data)} if (data / "udca.csv").is_file() else {}
    if not (data / "pbc.csv").is_file():
        return held
    script = HERE.parent / "analysis" / "pbc" / "build_study.py"
    command = [sys.executable, str(script), str(data), str(place / "study")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {**held, "PBC_STUDY": str(place / "study")}


def plain_page(path: Path) -> str:
    """Markdown of a page without cells; links lead to the built pages."""
    return path.read_text(encoding="utf-8").replace(".md)", ".html)")


def convert(name: str, text: str, out: Path) -> Path:
    """Turn Markdown that begins with its title into a page."""
    title, _, body = text.partition("\n")
    header = {"title": title.lstrip("# "), "toc": True, "lang": "en"}
    with tempfile.TemporaryDirectory(prefix="livertrack-docs-") as place:
        skip = shutil.ignore_patterns("site")
        work = Path(shutil.copytree(HERE, Path(place) / "docs", ignore=skip))
        # headings below the title begin at the second level, as they do in the sources
        raised = body.replace("\n## ", "\n# ").replace("\n### ", "\n## ")
        page = to_html(raised, header, folder=work)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.html").write_bytes(page)
    return out / f"{name}.html"


def api() -> str:
    """Every public name with its signature and docstring."""
    parts = ["# Every public name\n"]
    for name in sorted(lt.__all__, key=str.lower):
        value = getattr(lt, name)
        if name.startswith("_"):
            continue
        try:
            signature = str(inspect.signature(value)).replace("'", "")
        except (TypeError, ValueError):
            signature = ""
        text = inspect.getdoc(value) or ""
        parts.append(
            f"# {name}\n\n````python\nlt.{name}{signature}\n````\n\n````text\n{text}\n````\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
