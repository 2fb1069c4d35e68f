"""Numbered tables, listings and figures: what stands around them, and RTF that is whole."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from livertrack._files import canonical_json
from livertrack.report import load_run
from livertrack.report.numbering import CHAPTERS, OTHER, Numbering
from livertrack.report.tlf import run_id
from livertrack.tables import ENDPOINTS, Row, Table
from livertrack.tables._rtf import rtf_document, rtf_text, table_rtf


def plain_of(rtf: str) -> str:
    """Text of RTF: escapes undone, control words dropped."""
    rtf = re.sub(r"\\u(-?\d+)\?", lambda m: chr(int(m[1]) % 65536), rtf)
    rtf = rtf.replace(r"\line ", "\n")
    rtf = re.sub(r"\\[a-z]+-?\d* ?", "", rtf)
    return re.sub(r"\\([\\{}])", r"\1", rtf)


def cells_of(rtf: str) -> list[list[str]]:
    """Rows of cells of the table in an RTF file."""
    rows = re.findall(r"\\trowd.*?\\row\b", rtf, flags=re.DOTALL)
    return [
        [plain_of(cell) for cell in re.findall(r"\\b0? (.*?)\\cell(?!x)", row, flags=re.DOTALL)]
        for row in rows
    ]


def test_every_table_is_also_rtf_with_the_same_cells(report: Path) -> None:
    files = sorted((report / "tables").glob("*.csv"))
    assert len(files) >= 10
    for file in files:
        shown = cells_of(file.with_suffix(".rtf").read_text(encoding="ascii"))
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))[1:]
        flat = [cell for row in shown for cell in row]
        for row in rows:
            assert row[-1] in flat, (file.name, row)
        assert sum(len(row) > 1 for row in shown) >= len(rows)


def test_title_population_sizes_source_and_run_stand_around_a_table(report: Path) -> None:
    run = load_run(report)
    for suffix in ("rtf", "html"):
        text = (report / "tables" / f"baseline.{suffix}").read_text(encoding="utf-8")
        text = plain_of(text) if suffix == "rtf" else re.sub(r"<[^>]+>", " ", text)
        for said in (
            "Table 14.1.2.1", "Baseline characteristics",
            "Population: analysed population (FASFL)",
            "N: Placebo 9, Low 10, High 10, Total 29", "Source: ard/baseline_table.parquet.",
            f"Study TINY-01, run {run_id(run.provenance)}",
        ):  # fmt: skip
            assert said in text, (suffix, said)


def test_the_source_names_the_analysis_of_the_plan(report: Path) -> None:
    text = (report / "tables" / "model-alt-w48.html").read_text(encoding="utf-8")
    assert "Source: ard/ancova.parquet, analysis alt-w48." in text


def test_numbers_are_given_once_and_are_in_the_report(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    numbers = []
    for file in [*(report / "tables").glob("*.html"), *(report / "figures").glob("*.html")]:
        numbers.append(re.search(r"<h1>((?:Table|Figure) [\d.]+)</h1>", file.read_text())[1])
    assert len(set(numbers)) == len(numbers) > 20
    assert all(f"Source: {number}." in page for number in numbers)


def test_every_endpoint_has_a_chapter() -> None:
    assert set(ENDPOINTS) <= set(CHAPTERS)


def test_numbers_count_within_their_chapter() -> None:
    numbering = Numbering({"analyses": [{"id": "ALT_w12", "endpoint": "ancova"}]})
    chapter = CHAPTERS["ancova"]
    assert numbering.next("Table", "baseline") == "14.1.2.1"
    assert numbering.next("Table", "model-alt-w12") == f"{chapter}.1"
    assert numbering.next("Figure", "model-alt-w12-alt") == f"{chapter}.1"
    assert numbering.next("Table", "model-alt-w12") == f"{chapter}.2"
    assert numbering.next("Listing", "anything") == "16.2.1"
    assert numbering.next("Table", "unheard-of") == f"{OTHER}.1"


def test_a_run_is_named_by_what_it_was_made_of() -> None:
    facts = {"plan_hash": "a", "inputs": {"x": "1"}, "seed": 1, "versions": {"numpy": "2"}}
    assert run_id(facts) == run_id({**facts, "machine": {"cpu": "other"}})
    assert run_id(facts) != run_id({**facts, "inputs": {"x": "2"}})
    assert re.fullmatch(r"[0-9a-f]{12}", run_id(facts))
    assert canonical_json(facts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\\b{c}", r"a\\b\{c\}"), ("−1 µ", r"\u8722?1 \u181?"), ("one\ntwo", r"one\line two"),
        ("\N{GRINNING FACE}", r"\u-10179?\u-8704?"),
    ],
)  # fmt: skip
def test_characters_are_escaped(text: str, expected: str) -> None:
    assert rtf_text(text) == expected


def test_braces_balance_and_no_byte_is_beyond_ascii(report: Path) -> None:
    for file in (report / "tables").glob("*.rtf"):
        text = re.sub(r"\\[{}\\]", "", file.read_text(encoding="ascii"))
        depth = 0
        for char in re.findall(r"[{}]", text):
            depth += 1 if char == "{" else -1
            assert depth >= 0
        assert depth == 0, file.name


def test_spanners_groups_and_an_empty_table_have_their_forms() -> None:
    table = Table(
        title="T", stub="S", headers=("a", "b"), spanners=(("both", 2),),
        rows=(Row("group"), Row("x", ("1", "2"), indent=True)),
    )  # fmt: skip
    assert cells_of(table_rtf(table)) == [
        ["", "both"],
        ["S", "a", "b"],
        ["group"],
        ["x", "1", "2"],
    ]
    empty = Table(title="T", stub="S", headers=("a",), empty="Nothing.")
    assert cells_of(table_rtf(empty))[-1] == ["Nothing."]


def test_listings_alone_name_subjects(family: Path) -> None:
    listed = [*(family / "listings").rglob("*.*")]
    assert {f.suffix for f in listed} == {".csv", ".html", ".rtf"}
    assert any("SECRET-" in f.read_text(encoding="utf-8") for f in listed)
    for file in [*(family / "tables").rglob("*.*"), *(family / "figures").rglob("*.html")]:
        assert "SECRET" not in file.read_text(encoding="utf-8"), file.name
    head = next(f for f in listed if f.name == "listing-flagged.html").read_text(encoding="utf-8")
    assert "Listing 16.2.1" in head
    assert "Source: adam/adscan.parquet." in head


@pytest.mark.slow
def test_a_word_processor_opens_the_files(report: Path, tmp_path: Path) -> None:
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("there is no soffice to open RTF with")
    (tmp_path / "own.rtf").write_text(rtf_document("", titles=["Table 1", "é"], foot="x"))
    files = [tmp_path / "own.rtf", report / "tables" / "baseline.rtf"]
    done = subprocess.run(
        [program, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to",
         "pdf", "--outdir", str(tmp_path), *map(str, files)],
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0
    assert all((tmp_path / f"{f.stem}.pdf").read_bytes().startswith(b"%PDF-") for f in files)
