"""The report of a whole run: what stands in it, what must not, and that it repeats."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from livertrack.report import load_run, render_report

LOADING = {
    "script": ("src",), "img": ("src", "srcset"), "link": ("href",), "iframe": ("src",),
    "source": ("src", "srcset"), "video": ("src",), "audio": ("src",), "object": ("data",),
    "embed": ("src",), "image": ("href", "xlink:href"), "use": ("href", "xlink:href"),
}  # fmt: skip


class Page(HTMLParser):
    """What a browser would load, and what a reader would see."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.header_cells: list[dict[str, str | None]] = []
        self._stack: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._stack.append(tag)
        self.loads += [given[key] or "" for key in LOADING.get(tag, ()) if key in given]
        if "style" in given:
            self.loads += re.findall(r"url\(([^)]*)\)", given["style"] or "")
        if tag == "img":
            self.images.append(given)
        if tag == "th":
            self.header_cells.append(given)
        if tag == "a" and given.get("href", "").startswith("#"):
            self.links.append(given["href"][1:])
        if "id" in given:
            self.ids.append(given["id"])

    def handle_endtag(self, tag: str) -> None:
        while self._stack and self._stack.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = set(self._stack)
        if "style" in inside:
            self.loads += re.findall(r"url\(([^)]*)\)", data)
            self.loads += re.findall(r"@import\s+\S+", data)
        elif "script" not in inside:
            self.text.append(data)
            if inside & {"h2", "h3"} and "nav" not in inside:
                self.headings.append(data.strip())


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page(report / "report.html")


def test_page_loads_nothing_from_elsewhere(page: Page) -> None:
    assert page.loads, "the figures are inside the page"
    assert [load[:60] for load in page.loads if not load.startswith("data:")] == []
    assert not any("http" in load[:200] for load in page.loads)


def test_two_renders_are_the_same_bytes(report: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(report, again, ignore=shutil.ignore_patterns("report.*", "tables", "figures"))
    written = render_report(again, formats=("html", "pdf"))
    assert {path.name for path in written} >= {"report.html", "report.pdf", "consort.svg"}
    for path in written:
        name = path.relative_to(again)
        assert path.read_bytes() == (report / name).read_bytes(), name


def test_no_subject_identifier_is_anywhere_in_the_report(report: Path, page: Page) -> None:
    secret = re.compile("SECRET", re.IGNORECASE)
    assert not secret.search("".join(page.text))
    files = [
        *report.glob("report.html"),
        *(report / "tables").iterdir(),
        *(report / "figures").iterdir(),
    ]
    for path in files:
        assert not secret.search(path.read_bytes().decode("latin-1")), path.name


def test_every_chapter_of_an_imaging_run_is_there(page: Page) -> None:
    headings = " | ".join(page.headings)
    for chapter in (
        "Subjects and visits", "Baseline", "Scan quality", "The tissue vocabulary",
        "Signatures by arm and visit", "Change pathways", "How far apart the arms are",
        "Biopsy prediction", "Change adjusted for baseline", "Responders", "Events", "Methods",
        "Limitations", "Provenance", "References",
    ):  # fmt: skip
        assert chapter in headings


def test_a_run_without_imaging_has_no_imaging_chapter(lab_report: Path) -> None:
    page = Page(lab_report / "report.html")
    headings, text = " | ".join(page.headings), " ".join(page.text)
    assert "How far apart the arms are" in headings
    for word in ("vocabulary", "Signatures", "pathways", "Scan quality", "Biopsy"):
        assert word not in headings
    assert "issue type" not in text
    assert not list((lab_report / "figures").glob("alluvial*"))


def test_simulated_data_are_called_so_before_anything_else(page: Page, report: Path) -> None:
    text = " ".join("".join(page.text).split())
    assert text.index("Simulated data") < text.index("In brief")
    assert load_run(report).simulated


def test_real_data_are_not_called_simulated(lab_report: Path) -> None:
    assert "imulated" not in " ".join(Page(lab_report / "report.html").text)


def test_every_inner_link_has_its_target(page: Page) -> None:
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.links) <= set(page.ids)


def test_images_have_alt_text_and_header_cells_a_scope(page: Page) -> None:
    assert len(page.images) >= 8
    assert all(len(image.get("alt") or "") > 30 for image in page.images)
    assert all(cell.get("scope") for cell in page.header_cells)


def test_each_table_and_figure_is_also_its_own_file(report: Path, page: Page) -> None:
    tables = [name.removeprefix("tbl-") for name in page.ids if name.startswith("tbl-")]
    figures = [name.removeprefix("fig-") for name in page.ids if name.startswith("fig-")]
    assert len(tables) >= 10
    assert {p.name for p in (report / "tables").iterdir()} == {
        f"{name}.{suffix}" for name in tables for suffix in ("csv", "html", "rtf")
    }
    assert {p.name for p in (report / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in figures for suffix in ("svg", "png", "html", "rtf")
    }


def test_numbers_of_the_page_are_those_of_the_results(report: Path, page: Page) -> None:
    result = next(r for r in load_run(report).results if r.context == "ancova")
    row = result.table.set_index("TRT01P").loc["High"]
    shown = f"{row['estimate']:.1f} ({row['conf_low']:.1f} to {row['conf_high']:.1f})"
    assert shown.replace("-", "−") in "".join(page.text)


def test_pdf_has_the_same_chapters(report: Path) -> None:
    content = (report / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"CreationDate" not in content
    assert len(content) > 50_000


def test_an_analysis_that_failed_is_said_and_the_others_stay(lab_report: Path) -> None:
    assert load_run(lab_report).failed == {"os": "no subject has follow-up"}
    text = " ".join("".join(Page(lab_report / "report.html").text).split())
    assert "Not estimable: os. no subject has follow-up" in text
    assert "Alanine aminotransferase" in text
