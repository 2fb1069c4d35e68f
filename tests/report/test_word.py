"""A report as a Word document: headings, tables and pictures that a team can edit."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from livertrack.report import ReportError, render

HEAD = "---\ntitle: A trial\nnumber-sections: true\nexecute:\n  echo: false\n---\n\n"
BODY = """
# Results {#sec-results}

@tbl-one and @fig-line, in @sec-results.

::: {#tbl-one}
```{=html}
<table><thead><tr><th>Arm</th><th>N</th></tr></thead><tbody><tr><td>High dose</td><td>12</td></tr>
</tbody></table>
```

Subjects.
:::

::: {.notes}
N: subjects with a value.
:::

```{python}
#| label: draw
import matplotlib
import matplotlib.pyplot as plt
from pathlib import Path
figure, axes = plt.subplots(figsize=(2, 1))
axes.plot([1, 2])
Path("figures").mkdir()
for suffix in ("svg", "png"):
    figure.savefig(f"figures/line.{suffix}")
plt.close(figure);
```

![A line.](figures/line.svg){#fig-line fig-alt="One rising line from one to two"}

::: {.callout-note}
Simulated.
:::

::: {.content-visible when-format="docx"}
Only in Word.
:::

::: {.content-visible when-format="pdf"}
Only in print.
:::
"""


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as document:
        return {name: document.read(name) for name in document.namelist()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("word")
    (folder / "a.qmd").write_text(HEAD + BODY, encoding="utf-8")
    for out in ("one", "two"):
        render(folder / "a.qmd", out=folder / out, formats=("docx",))
    return folder


def test_two_renders_are_the_same_bytes(folder: Path) -> None:
    assert (folder / "one" / "a.docx").read_bytes() == (folder / "two" / "a.docx").read_bytes()


def test_headings_captions_and_references_are_text(folder: Path) -> None:
    body = parts(folder / "one" / "a.docx")["word/document.xml"].decode()
    words = "".join(re.findall(r"<w:t(?: [^>]*)?>([^<]*)", body))
    for wanted in ("A trial", "Table\u00a01:", "Figure\u00a01:", "Only in Word."):
        assert wanted in words
    assert "Only in print" not in words
    assert 'w:val="Heading1"' in body


def test_a_table_has_a_header_row_and_its_notes_are_small(folder: Path) -> None:
    found = parts(folder / "one" / "a.docx")
    body, styles = (found[f"word/{n}.xml"].decode() for n in ("document", "styles"))
    assert body.count("<w:tbl>") == 1
    assert "<w:tblHeader" in body
    assert 'w:val="Notes"' in body
    assert 'w:val="Callout"' in body
    size = re.search(r'w:styleId="Notes".*?<w:sz w:val="(\d+)"', styles, flags=re.DOTALL)
    assert size is not None
    assert int(size[1]) < 21


def test_a_picture_is_shown_without_a_converter_and_is_described(folder: Path) -> None:
    found = parts(folder / "one" / "a.docx")
    assert [name.rsplit(".", 1)[1] for name in found if name.startswith("word/media/")] == ["png"]
    assert 'descr="One rising line from one to two"' in found["word/document.xml"].decode()


def test_an_unresolved_reference_is_an_error_here_too(tmp_path: Path) -> None:
    (tmp_path / "a.qmd").write_text(HEAD + "@fig-none", encoding="utf-8")
    with pytest.raises(ReportError, match="@fig-none"):
        render(tmp_path / "a.qmd", out=tmp_path, formats=("docx",))
    assert not (tmp_path / "a.docx").exists()
