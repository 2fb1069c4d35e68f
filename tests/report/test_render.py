"""Cells are executed in a kernel of their own; what they do wrong is said by name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from livertrack.errors import MissingToolError, UsageError
from livertrack.report import ReportError, init_report, load_run, render
from livertrack.report._parameters import bind_parameters
from livertrack.report._quarto import find_quarto
from livertrack.report._source import read_source

HEAD = "---\ntitle: T\nexecute:\n  echo: false\n---\n\n"
REPORT = (
    HEAD
    + """
```{python}
#| label: parameters
#| tags: [parameters]
#| include: false
who = None
times = 1
```

```{python}
#| label: asis
#| output: asis
print(f"**hello {who}** " * times)
```

```{python}
#| label: hidden
#| include: false
print("never shown")
```

```{python}
#| label: shown
#| echo: true
2 + 3
```

```{python}
#| label: skipped
#| eval: false
raise RuntimeError
```

```{python}
#| label: fig-line
#| fig-cap: "A line."
#| fig-alt: "One rising line"
import matplotlib.pyplot as plt
from pathlib import Path
figure, axes = plt.subplots()
axes.plot([1, 2]);
Path("figures").mkdir()
Path("figures/own.txt").write_text("x");
```

```{python}
#| label: tbl-one
#| tbl-cap: "One row."
from IPython.display import Markdown
Markdown("| a |\\n|---|\\n| 1 |")
```

@fig-line and @tbl-one.
"""
)


def write(folder: Path, text: str) -> Path:
    path = folder / "a.qmd"
    path.write_text(text, encoding="utf-8")
    return path


def test_outputs_follow_the_options_of_their_cells(tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = render(
        write(tmp_path, REPORT), out=out, params={"who": "you", "times": 2}, formats=("html",)
    )
    page = (out / "a.html").read_text(encoding="utf-8")
    assert page.count("<strong>hello you</strong>") == 2
    assert "never shown" not in page
    assert "2 + 3" in re.sub(r"<[^>]*>", "", page)
    assert "<code>5</code>" in page
    assert 'alt="One rising line"' in page
    assert "Table\u00a01:</span> One row." in page
    assert [path.relative_to(out).as_posix() for path in written] == ["a.html", "figures/own.txt"]
    assert sorted(os.listdir(tmp_path)) == ["a.qmd", "out"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1 / 0", r"cell 'bad' \(a\.qmd:7\) failed: ZeroDivisionError"),
        ("import os; os._exit(3)", "did not finish"),
        ("from IPython.display import HTML\nHTML('<b>x</b>')", "cell 'bad' .* shows text/html"),
    ],
)
def test_a_bad_cell_is_an_error_that_names_it_and_nothing_is_written(
    cell: str, message: str, tmp_path: Path
) -> None:
    source = write(tmp_path, f"{HEAD}```{{python}}\n#| label: bad\n{cell}\n```\n")
    out = tmp_path / "out"
    with pytest.raises(ReportError, match=message):
        render(source, out=out, formats=("html",))
    assert not out.exists()


def test_a_failed_render_leaves_the_page_of_the_last_good_one(tmp_path: Path) -> None:
    source, out = write(tmp_path, f"{HEAD}Good.\n"), tmp_path
    render(source, out=out, formats=("html",))
    before = (out / "a.html").read_bytes()
    write(tmp_path, f"{HEAD}Bad: @fig-none.\n")
    with pytest.raises(ReportError, match="@fig-none"):
        render(source, out=out, formats=("html",))
    assert (out / "a.html").read_bytes() == before


def test_rendering_needs_no_home_and_no_environment(tmp_path: Path) -> None:
    code = "#| label: who\n#| output: asis\nimport sys\nprint(sys.executable)"
    body = f"{HEAD}```{{python}}\n{code}\n```\n"
    source, home = write(tmp_path, body), tmp_path / "home"
    home.mkdir()
    code = (
        "from livertrack.report import render\n"
        f"render({str(source)!r}, out={str(tmp_path)!r}, formats=('html',))"
    )
    subprocess.run([sys.executable, "-c", code], env={"HOME": str(home)}, check=True)
    assert sys.executable in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert list(home.rglob("kernel.json")) == []


def test_unknown_formats_and_renderers_are_usage_errors(tmp_path: Path) -> None:
    source = write(tmp_path, HEAD)
    with pytest.raises(UsageError, match="odt"):
        render(source, out=tmp_path, formats=("odt",))
    with pytest.raises(UsageError, match="pandoc"):
        render(source, out=tmp_path, renderer="pandoc")


def test_a_wrong_quarto_path_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QUARTO_PATH", str(tmp_path / "none"))
    with pytest.raises(MissingToolError, match="QUARTO_PATH"):
        find_quarto()


def test_asking_for_quarto_where_there_is_none_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("QUARTO_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="no quarto program"):
        render(write(tmp_path, HEAD), out=tmp_path / "o", renderer="quarto", formats=("html",))


@pytest.mark.skipif(find_quarto() is None, reason="the quarto program is not installed")
def test_quarto_renders_the_same_source(lab_folder: Path, tmp_path: Path) -> None:
    from livertrack.report import render_report

    render_report(lab_folder, renderer="quarto")
    assert "Alanine aminotransferase" in (lab_folder / "report.html").read_text(encoding="utf-8")


def test_init_copies_sources_that_render_and_replaces_nothing(
    lab_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    files = init_report(folder, run=lab_folder)
    names = {path.relative_to(folder).as_posix() for path in files}
    assert {"trial-meeting.qmd", "_quarto.yml", "_extensions/livertrack/_extension.yml"} <= names
    assert f"run = {str(lab_folder)!r}" in (folder / "trial-meeting.qmd").read_text()
    with pytest.raises(UsageError, match=r"trial-meeting\.qmd"):
        init_report(folder)
    source = read_source(folder / "trial-meeting.qmd")
    assert bind_parameters(source, {}) == ""


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"plan\.json"):
        load_run(tmp_path)


def test_a_report_that_does_not_exist_is_said_with_those_that_do(lab_folder: Path) -> None:
    from livertrack.report import render_report, report_names

    assert "trial-meeting" in report_names()
    assert "validation" not in report_names()
    with pytest.raises(UsageError, match=r"no report 'atlas'; there are .*trial-meeting"):
        render_report(lab_folder, "atlas")


def test_products_of_a_further_report_lie_in_its_own_folder(tmp_path: Path) -> None:
    source = write(tmp_path, HEAD + '```{python}\n#| label: one\n#| output: asis\n'
                   'from pathlib import Path\nPath("tables").mkdir()\n'
                   'Path("tables/a.csv").write_text("1")\nprint("ok")\n```\n')  # fmt: skip
    out = tmp_path / "o"
    render(source, out=out, formats=("html",), products="mine")
    assert (out / "tables" / "mine" / "a.csv").read_text() == "1"
    assert not (out / "tables" / "a.csv").exists()
