"""Nothing that was planned is left out of the report, whatever the endpoint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from livertrack._results import StoredResult
from livertrack.report import load_run, trace_report
from livertrack.report.numbering import CHAPTERS, subject_of
from livertrack.report.run import Run


@pytest.fixture(scope="module")
def text(whole: Path) -> str:
    """What a reader sees, in one line."""
    page = (whole / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(style|script|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_an_unknown_endpoint_stands_under_further_analyses(whole: Path, text: str) -> None:
    assert "Further analyses" in text
    assert "Something new was found." in text
    table = (whole / "tables" / "further-1.csv").read_text(encoding="utf-8")
    assert table.splitlines() == [
        "Arm,Clear,Estimate,p,N", "Low dose,yes,1.23,<0.001,12", "High dose,no,–,0.500,11",
    ]  # fmt: skip


def test_every_known_endpoint_has_a_section_of_its_own(whole: Path) -> None:
    assert sorted(path.stem for path in (whole / "tables").glob("further-*.csv")) == ["further-1"]


@pytest.mark.parametrize(
    "name",
    [
        "beyond-noise-beyond-noise-0", "severity-type-severity-0", "direction-type-severity-0",
        "courses-trajectories-0", "family-max-t-0", "compare-compare-separation-0",
        "measures-compare-separation-0", "composition-composition-regression-0",
        "dunnett-dunnett-0", "whole-signature", "repeatability-0", "responders-risk-difference-1",
        "responders-risk-ratio-0", "responders-odds-ratio-0", "responders-adjusted",
        "responders-association", "odds-proportional-odds-0", "shifts", "raters", "events",
        "event-comparisons", "event-kinds", "wins-win-ratio-0", "win-steps-win-ratio-0",
        "subgroups-subgroup-forest-0-alt", "agreement", "icc", "family",
        "boundaries-group-sequential-0", "power",
    ],
)  # fmt: skip
def test_the_result_has_its_table(whole: Path, name: str) -> None:
    rows = (whole / "tables" / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) > 1


@pytest.mark.parametrize(
    "name",
    [
        "family-max-t-0", "compare-compare-separation-0", "composition-composition-regression-0",
        "repeatability-0", "odds-proportional-odds-0-steatosis", "shift-shift-table-0-fibrosis",
        "raters-1", "kinds-cumulative-incidence-0-lre", "recurrent-recurrent-events-0-admit",
        "wins-win-ratio-0", "subgroups-subgroup-forest-2-lre", "agreement-1", "family",
        "boundaries-group-sequential-0",
    ],
)  # fmt: skip
def test_the_result_has_its_figure_with_alternative_text(whole: Path, name: str) -> None:
    assert (whole / "figures" / f"{name}.svg").stat().st_size < 250_000
    page = (whole / "report.html").read_text(encoding="utf-8")
    images = re.findall(r"<img[^>]*>", page)
    assert images
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)


def test_the_smallest_real_change_is_stated_per_type_with_who_exceeds_it(
    whole: Path, text: str
) -> None:
    run = load_run(whole)
    noise = next(r for r in run.find("repeatability") if r.analysis == "repeatability-0")
    real = next(r for r in run.find("real_change") if r.analysis == "repeatability-0")
    least = noise.table[noise.table["quantity"].eq("smallest_real_change")]
    for row in least[least["parameter"].str.startswith("TV")].to_dict("records"):
        counts = real.table[real.table["parameter"].eq(row["parameter"])]
        who = ", ".join(
            f"{r['arm']} {r['fell'] + r['rose']} of {r['n']}" for r in counts.to_dict("records")
        )
        assert (
            f"Tissue type {int(row['parameter'][2:])}: a change of more than "
            f"{100 * row['estimate']:.1f} percentage points of the liver is real "
            f"({row['n']} subjects measured twice); changed by more: {who}."
        ) in text


def test_numbers_of_the_tables_are_those_of_the_results(whole: Path) -> None:
    wins = load_run(whole).first("win_ratio")
    assert wins is not None
    row = wins.table[wins.table["measure"].eq("win_odds")].iloc[0]
    shown = (whole / "tables" / "wins-win-ratio-0.csv").read_text(encoding="utf-8")
    assert f"{row['estimate']:.2f} ({row['conf_low']:.2f} to {row['conf_high']:.2f})" in shown


def test_no_subject_is_named(whole: Path) -> None:
    subjects = set(re.findall(r"SIM-\d\d-\d\d\d", (whole.parent / "study" / "adam" / "adsl.csv")
                              .read_text(encoding="utf-8")))  # fmt: skip
    assert subjects
    files = [whole / "report.html", *(whole / "tables").iterdir()]
    assert not [s for s in subjects for f in files if s in f.read_text(encoding="utf-8")]


def test_the_page_is_small(whole: Path) -> None:
    assert (whole / "report.html").stat().st_size < 5_000_000


def test_what_no_section_takes_is_left() -> None:
    def result(context: str) -> StoredResult:
        return StoredResult("a", "", context, {}, "", {}, ())

    run = Run(out=Path(), plan={}, results=(result("ancova"), result("new"), result("mmrm")))
    assert [r.context for r in run.take("ancova", "mmrm")] == ["ancova", "mmrm"]
    assert [r.context for r in run.left()] == ["new"]
    assert run.take_first("absent") is None


def test_every_number_of_the_report_is_in_the_results(whole: Path) -> None:
    found = trace_report(whole)
    lost = found[~found["found"]]
    assert lost.empty, lost.to_string()
    assert len(found) > 2000


def test_every_table_and_figure_has_a_chapter_of_its_own(whole: Path) -> None:
    plan = load_run(whole).plan
    for file in [*(whole / "tables").glob("*.csv"), *(whole / "figures").glob("*.svg")]:
        endpoint, _ = subject_of(file.stem, plan)
        assert endpoint in CHAPTERS or file.stem.startswith("further-"), file.stem
