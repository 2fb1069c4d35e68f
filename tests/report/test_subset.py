"""The subset of Quarto that the embedded renderer knows, construct by construct."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from livertrack.report import ReportError
from livertrack.report._assemble import assemble
from livertrack.report._pandoc import to_html
from livertrack.report._parameters import bind_parameters
from livertrack.report._source import read_source

HEAD = "---\ntitle: T\n---\n\n"


def source(folder: Path, body: str, name: str = "a.qmd"):
    (folder / name).write_text(HEAD + body, encoding="utf-8")
    return read_source(folder / name)


def html(folder: Path, body: str, **header: object) -> str:
    report = source(folder, body)
    text = assemble(report, {}, folder=folder)
    return to_html(text, {**report.header, **header}, folder=folder).decode()


def cell(options: str, code: str = "1") -> str:
    lines = "".join(f"#| {line}\n" for line in options.split("\n"))
    return f"```{{python}}\n{lines}{code}\n```\n"


REFUSED = {
    "another engine": ("```{r}\n1\n```", "runs {python} cells only"),
    "ojs": ("```{ojs}\n1\n```", "runs {python} cells only"),
    "option in the fence": ("```{python, echo=FALSE}\n1\n```", "go on '#|' lines"),
    "cell without a label": ("```{python}\n1\n```", "has no '#| label:'"),
    "unknown cell option": (cell("label: a\nfig-width: 3"), "fig-width"),
    "figure cell without caption": (cell("label: fig-a"), "fig-cap"),
    "table cell without caption": (cell("label: tbl-a"), "tbl-cap"),
    "two cells of one label": (cell("label: a") + cell("label: a"), "is used at"),
    "two parameter cells": (
        cell("label: a\ntags: [parameters]", "x = 1")
        + cell("label: b\ntags: [parameters]", "y = 1"),
        "more than one cell",
    ),
    "another shortcode": ("{{< video x.mp4 >}}", "shortcode"),
    "include inside a line": ("see {{< include b.qmd >}}", "line of its own"),
    "tabset": ("::: {.panel-tabset}\n:::", "tabsets"),
    "margin column": ("::: {.column-margin}\nx\n:::", "page columns"),
    "panel layout": ("::: {layout-ncol=2}\nx\n:::", "figure panels"),
    "equation label": ("$$ x $$ {#eq-x}", "cross-references of equations"),
    "inline cell": ("mean `{python} m`", "inline code"),
    "open block": ("```python\nx", "never closed"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_lies_outside_the_subset_is_an_error(name: str, tmp_path: Path) -> None:
    body, message = REFUSED[name]
    with pytest.raises(ReportError) as caught:
        source(tmp_path, body)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("params:\n  x: 1", "ignored by Quarto's Jupyter engine"),
        ("titel: x", "did you mean 'title'"),
        ("date: today", "changes with every render"),
        ("format: revealjs", "revealjs"),
        ("execute:\n  cache: true", "cache"),
        ("title: [", "not valid YAML"),
    ],
)
def test_headers_outside_the_subset_are_errors(header: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.qmd").write_text(f"---\n{header}\n---\n", encoding="utf-8")
    with pytest.raises(ReportError, match=re.escape(message)):
        read_source(tmp_path / "a.qmd")


def test_nested_includes_are_opened_and_errors_name_their_file(tmp_path: Path) -> None:
    (tmp_path / "_b.qmd").write_text("{{< include _c.qmd >}}\n", encoding="utf-8")
    (tmp_path / "_c.qmd").write_text(cell("label: deep"), encoding="utf-8")
    report = source(tmp_path, "{{< include _b.qmd >}}")
    assert [c.place for c in report.cells] == ["_c.qmd:1"]
    assert {p.name for p in report.files} == {"a.qmd", "_b.qmd", "_c.qmd"}
    with pytest.raises(ReportError, match=r"no file _x\.qmd"):
        source(tmp_path, "{{< include _x.qmd >}}")
    (tmp_path / "_c.qmd").write_text("{{< include _b.qmd >}}", encoding="utf-8")
    with pytest.raises(ReportError, match="includes itself"):
        source(tmp_path, "{{< include _b.qmd >}}")


def test_project_settings_are_under_those_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "_quarto.yml").write_text(
        "lang: de\ntoc: true\nexecute:\n  echo: false\n  warning: false\n", encoding="utf-8"
    )
    report = source(tmp_path, "x")
    assert report.header["title"] == "T"
    assert report.header["toc"] is True
    assert report.header["execute"] == {"echo": False, "warning": False}


def test_code_in_blocks_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    page = html(tmp_path, "```markdown\n{{< video x >}}\n::: {.panel-tabset}\n```\n")
    assert "{{&lt; video x &gt;}}" in page


def test_figures_tables_and_sections_are_numbered_and_referenced(tmp_path: Path) -> None:
    (tmp_path / "p.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    body = (
        "# One {#sec-one}\n\n## Two {#sec-two}\n\n"
        "See @fig-b, @fig-a, @tbl-c, [-@tbl-c], @sec-two.\n\n"
        '![First](p.svg){#fig-a fig-alt="what a"}\n\n'
        "::: {#fig-b}\n![](p.svg)\n\nSecond\n:::\n\n"
        "::: {#tbl-c}\n```{=html}\n<table><tr><th scope='col'>h</th></tr>"
        "<tr><td>d</td></tr></table>"
        "\n```\n\nThird\n:::\n"
    )
    page = html(tmp_path, body, **{"number-sections": True})
    flat = page.replace("\u00a0", " ")
    for link, text in (
        ("fig-b", "Figure 2"), ("fig-a", "Figure 1"), ("tbl-c", "Table 1"), ("tbl-c", "1"),
        ("sec-two", "Section 1.1"),
    ):  # fmt: skip
        assert f'<a href="#{link}" class="cross-reference">{text}</a>' in flat
    assert 'alt="what a"' in page
    assert '<span class="caption-number">Table 1:</span> Third</caption>' in flat
    assert '<h2 id="sec-one"><span class="header-section-number">1</span> One</h2>' in page


@pytest.mark.parametrize("reference", ["@fig-none", "@tbl-none", "@sec-none", "[@fig-none; @x]"])
def test_an_unresolved_reference_is_an_error_that_names_it(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=reference.strip("[").split(";")[0]):
        html(tmp_path, f"See {reference}.")


def test_a_citation_without_an_entry_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.bib").write_text("@misc{known, title={K}, year={2020}}", encoding="utf-8")
    assert "K" in html(tmp_path, "As [@known].", bibliography="r.bib")
    with pytest.raises(ReportError, match="unknown"):
        html(tmp_path, "As [@unknown].", bibliography="r.bib")


def test_a_missing_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"gone\.png"):
        html(tmp_path, "![x](gone.png)")


def test_callouts_and_conditional_content(tmp_path: Path) -> None:
    page = html(
        tmp_path,
        "::: {.callout-warning}\n## Mind\n\nthe gap\n:::\n\n"
        '::: {.content-visible when-format="html"}\nonly html\n:::\n\n'
        '::: {.content-hidden when-format="html"}\nonly pdf\n:::\n\n'
        '::: {.content-visible when-format="typst"}\nnever\n:::\n',
    )
    assert 'class="callout callout-warning"' in page
    assert "<strong>Mind</strong>" in page
    assert "only html" in page
    assert "only pdf" not in page
    assert "never" not in page
    with pytest.raises(ReportError, match="callout-danger"):
        html(tmp_path, "::: {.callout-danger}\nx\n:::")


def test_formulas_become_mathml(tmp_path: Path) -> None:
    assert "<math" in html(tmp_path, "$x^2$")


def test_an_identifier_used_twice_is_an_error(tmp_path: Path) -> None:
    table = "::: {#tbl-a}\n\n| x |\n|---|\n| 1 |\n\nCaption\n:::\n\n"
    with pytest.raises(ReportError, match="used twice"):
        html(tmp_path, table + table)


PARAMETERS = cell("label: p\ntags: [parameters]", "out = None\nn = 3")


def test_parameters_are_bound_by_name(tmp_path: Path) -> None:
    report = source(tmp_path, PARAMETERS)
    assert bind_parameters(report, {"out": Path("/x"), "n": 4}) == "n = 4\nout = '/x'"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "parameter.s. out of cell 'p' have no value"),
        ({"out": "x", "m": 1}, "no parameter 'm'"),
        ({"out": object()}, "must be a literal"),
    ],
)
def test_missing_unknown_and_odd_parameters_are_errors(
    given: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ReportError, match=message):
        bind_parameters(source(tmp_path, PARAMETERS), given)


def test_a_parameters_cell_holds_literals_only(tmp_path: Path) -> None:
    report = source(tmp_path, cell("label: p\ntags: [parameters]", "import os"))
    with pytest.raises(ReportError, match="plain assignments"):
        bind_parameters(report, {})
