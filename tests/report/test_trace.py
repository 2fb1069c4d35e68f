"""Every printed number comes from the results of the run; a number that does not is found."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from livertrack.cli import main
from livertrack.report import trace_report


@pytest.fixture
def copied(report: Path, tmp_path: Path) -> Path:
    """The tiny run without its figures, to change its page."""
    shutil.copytree(report, tmp_path / "run", ignore=shutil.ignore_patterns("figures", "tables"))
    return tmp_path / "run"


@pytest.mark.parametrize("page", ["report.html", "vocabulary-atlas.html", "scan-quality.html"])
def test_every_number_of_a_report_is_in_the_results(family: Path, page: str) -> None:
    found = trace_report(family, page)
    lost = found[~found["found"]]
    assert lost.empty, lost.to_string()
    assert len(found) > 60


@pytest.mark.parametrize(
    ("table", "pattern", "altered"),
    [
        ("model-alt-w48", r"(?<=right;\">)−?\d+\.\d \(", "77.7 ("),
        ("signatures", r"(?<=right;\">)\d+\.\d \(", "98.7 ("),
        ("disposition", r"\(\d+\s%\)", "(3 %)"),
    ],
)
def test_an_altered_cell_is_caught(copied: Path, table: str, pattern: str, altered: str) -> None:
    page = copied / "report.html"
    text = page.read_text(encoding="utf-8")
    start = text.index(f'id="tbl-{table}"')
    changed = text[:start] + re.sub(pattern, altered, text[start:], count=1)
    assert changed != text
    page.write_text(changed, encoding="utf-8")
    lost = trace_report(copied).query("not found")
    assert set(lost["place"]) == {table}


def test_limits_of_another_estimate_are_caught(copied: Path) -> None:
    page = copied / "report.html"
    text = page.read_text(encoding="utf-8")
    start = text.index('id="tbl-separation-sep-w48"')
    shown = re.findall(r"\((−?\d\.\d\d to −?\d\.\d\d)\)", text[start:])
    first, second = shown[0], shown[4]
    assert first != second
    swapped = text[start:].replace(first, "@", 1).replace(second, first, 1).replace("@", second, 1)
    page.write_text(text[:start] + swapped, encoding="utf-8")
    assert not trace_report(copied)["found"].all()


def test_an_altered_sentence_is_caught(copied: Path) -> None:
    page = copied / "report.html"
    text = page.read_text(encoding="utf-8")
    changed = re.sub(r"(?<=difference )−?\d+\.\d", "481.7", text, count=1)
    if changed == text:
        changed = re.sub(r"(<p>[^<]*?)\d+\.\d\d(?= \()", r"\g<1>481.73", text, count=1)
    assert changed != text
    page.write_text(changed, encoding="utf-8")
    lost = trace_report(copied).query("not found")
    assert lost["printed"].str.contains("481.7", regex=False).any()


def test_the_command_counts_what_it_traced_and_fails_on_the_rest(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "trace", str(copied)]) == 0
    assert re.fullmatch(r"(\d+) of \1 numbers traced to the results\n", capsys.readouterr().out)
    page = copied / "report.html"
    text = page.read_text(encoding="utf-8")
    changed = re.sub(r"(right;\">)\d+ \(", r"\g<1>4321 (", text, count=1)
    page.write_text(changed, encoding="utf-8")
    assert main(["report", "trace", str(copied)]) == 1
    assert "4321 in: " in capsys.readouterr().out


def test_a_parameter_without_a_value_is_a_usage_error(copied: Path) -> None:
    assert main(["report", "render", str(copied), "-P", "profile"]) == 2
