"""Pages can be read by everyone: alt text, headers, landmarks, contrast, keyboard, axe-core."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from livertrack.report._pandoc import ASSETS
from livertrack.report.rerun import rerun_page
from livertrack.tables import Row, Table


def rerun_report(**changes: Any) -> dict[str, Any]:
    """Report of a rerun as its JSON has it."""
    return {
        "run": {"study": "T-1", "plan_hash": "a" * 64, "seed": 1, "manifest": "b" * 64,
                "python": "3.11.7", "code": "0.1.0+a"},
        "time": "2026-03-04T05:06:07+00:00", "verdict": "differs", "inputs": [],
        "tolerance": {"relative": 1e-9, "absolute": 1e-12, "files": "SHA-256", "pages": "text"},
        "outputs": ["ard/ancova.parquet: altered since the run"], "n_differences": 1,
        "differences": ["ard/ancova.parquet: alt / estimate: stat 1.0 against 2.0"],
        "versions": ["numpy: 1 then, 2 now"], "notes": [],
        "files": [{"file": "ard/ancova.parquet", "kind": "statistics", "compared": 10,
                   "identical": 9, "different": 1, "largest": 0.5}],
        "largest": [{"what": "alt / estimate", "first": 1.0, "second": 2.0, "absolute": 1.0,
                     "relative": 0.5}],
        "compared": {"statistics": 10, "datasets": 0, "files": 0},
        "machine": {"then": {"system": "Linux"}, "now": {"system": "Linux"}},
        "environment": {"packages": 3, "differences": [], "python": "3.11.7", "code": "0.1.0+a",
                        "wheel": "c" * 64, "seconds": 1.0},
    } | changes  # fmt: skip


def small_table() -> Table:
    return Table(
        title="Change by arm", stub="Arm", headers=("n", "Mean", "95 % CI"),
        spanners=(("", 1), ("Week 12", 2)),
        rows=(Row("ALT"), Row("Placebo", ("10", "−1.0", "−2 to 0"), indent=True)),
        footnotes=("n: subjects with the visit.",),
    )  # fmt: skip


GOOD = (
    '<html lang="en"><head><title>T</title></head><body><main><h1>A</h1><h2>B</h2>'
    '<img src="x.png" alt="a line that falls"><table><tr><th scope="col">n</th></tr></table>'
    '<a href="#b" id="b">b</a></main></body></html>'
)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (' lang="en"', "", "html without lang"),
        ("<title>T</title>", "<title></title>", "no title"),
        ("main>", "div>", "no main landmark"),
        ('alt="a line that falls"', 'alt=""', "img without alt text: x.png"),
        (' scope="col"', "", "th without scope: 'n'"),
        (">n<", "><", "th without text"),
        ("h2>", "h3>", "heading level 3 after 1"),
        ('href="#b"', 'href="#c"', "link to nowhere: #c"),
        ('<h2>B</h2>', '<h2 id="b">B</h2>', "id used twice: b"),
        ("<h2>B</h2>", "<h2>B</h2><button></button>", "button without a name"),
        ("<h2>B</h2>", "<h2>B</h2><input type=range>", "input without a label"),
    ],
)  # fmt: skip
def test_the_rules_find_what_breaks_them(
    rules: ModuleType, old: str, new: str, problem: str
) -> None:
    assert rules.static_problems(GOOD) == []
    assert rules.static_problems(GOOD.replace(old, new)) == [problem]


def test_the_report_keeps_the_rules(rules: ModuleType, report: Path) -> None:
    assert rules.static_problems((report / "report.html").read_text(encoding="utf-8")) == []


def test_the_files_of_the_tables_keep_the_rules(rules: ModuleType, report: Path) -> None:
    pages = sorted((report / "tables").glob("*.html"))
    assert pages
    for page in pages:
        assert rules.static_problems(page.read_text(encoding="utf-8")) == [], page.name


def test_the_page_of_a_rerun_keeps_the_rules(rules: ModuleType) -> None:
    assert rules.static_problems(rerun_page(rerun_report())) == []
    agrees = rerun_report(verdict="agrees", differences=[], outputs=[], largest=[])
    assert rules.static_problems(rerun_page(agrees)) == []


def test_a_blank_spanner_makes_no_empty_header(rules: ModuleType) -> None:
    page = small_table().page()
    assert rules.static_problems(page) == []
    assert page.count('rowspan="2"') == 2
    assert '<th scope="colgroup" colspan="2" style="text-align:center">Week 12</th>' in page
    assert page.index(">n<") < page.index(">Week 12<") < page.index(">Mean<")


def test_black_on_white_has_the_largest_contrast(rules: ModuleType) -> None:
    assert rules.contrast("#000000", "#fff") == pytest.approx(21)
    assert rules.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_colours_of_the_page_can_be_read(rules: ModuleType) -> None:
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    named = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", style))
    assert {"ink", "soft", "paper", "tint", "accent"} <= set(named)
    for text in ("ink", "soft", "accent"):
        for ground in ("paper", "tint"):
            assert rules.contrast(named[text], named[ground]) >= 4.5, (text, ground)
    [focus] = re.findall(r"focus-visible \{ outline: 3px solid (#[0-9a-f]{6})", style)
    assert rules.contrast(focus, named["paper"]) >= 3
    for edge in re.findall(r"border-left-color: (#[0-9a-f]{6})", style):
        assert rules.contrast(edge, named["paper"]) >= 3


def test_the_keyboard_reaches_the_text_first_and_every_wide_table(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    body = page[page.index("<body") :]
    assert re.match(r'<body>\s*<a class="skip" href="#content">', body)
    scrolled = re.findall(r'<div[^>]*class="table-scroll"[^>]*>', page)
    assert scrolled
    for element in scrolled:
        assert 'tabindex="0"' in element
        assert 'aria-label="' in element


@pytest.fixture
def axe(rules: ModuleType) -> None:
    """Skip where axe-core cannot run."""
    found = rules.find_tools()
    if isinstance(found, str):
        pytest.skip(f"axe-core cannot run: {found}")


@pytest.mark.parametrize("width", [1400, 400])
def test_axe_finds_nothing_serious_on_the_report(
    rules: ModuleType, axe: None, report: Path, tmp_path: Path, width: int
) -> None:
    assert rules.axe_problems(report / "report.html", tmp_path, width) == []


def test_axe_finds_nothing_serious_on_small_pages(
    rules: ModuleType, axe: None, tmp_path: Path
) -> None:
    pages = {"rerun": rerun_page(rerun_report()), "table": small_table().page()}
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        assert rules.axe_problems(tmp_path / f"{name}.html", tmp_path, 1400) == [], name


def test_axe_finds_what_is_wrong(rules: ModuleType, axe: None, tmp_path: Path) -> None:
    page = rerun_page(rerun_report()).replace("--soft: #4d5661", "--soft: #b0b8c0")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    [problem] = rules.axe_problems(tmp_path / "page.html", tmp_path, 1400)
    assert problem.startswith("serious: color-contrast")
