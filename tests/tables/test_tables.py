"""Tables of results: cells are the results' numbers, empty tables are designed."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack import tables
from livertrack._results import ard_result
from livertrack.errors import UsageError
from livertrack.tables import type_atlas

ARMS = ["Placebo", "Low", "High"]


@pytest.fixture(scope="module")
def trial() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    arm = np.repeat(ARMS, 8)
    base = rng.normal(80, 10, 24)
    return pd.DataFrame({
        "USUBJID": [f"S{i}" for i in range(24)],
        "TRT01P": pd.Categorical(arm, categories=ARMS),
        "BASE": base,
        "CHG": rng.normal(0, 8, 24) - 12 * (arm == "High"),
        "AGE": rng.normal(50, 8, 24),
        "SEX": rng.choice(["F", "M"], 24),
    })  # fmt: skip


def stored(result: lt.Result, variable: str = "ALT"):
    return ard_result(result.to_ard(analysis="a", variable=variable))


def test_a_stored_result_gives_the_same_table_as_a_live_one(trial: pd.DataFrame) -> None:
    live = lt.ancova(trial, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo")
    one = tables.contrast_table([live], arms=ARMS)
    other = tables.contrast_table([stored(live, "")], arms=ARMS)
    assert one == other


def test_contrasts_show_the_estimate_its_limits_and_both_denominators(trial: pd.DataFrame) -> None:
    live = lt.ancova(trial, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo")
    row = live.table.set_index("TRT01P").loc["High"]
    table = tables.contrast_table(
        [stored(live)], arms=["High", "Low"], labels={"ALT": "ALT (U/L)"}
    )
    assert [r.stub for r in table.rows] == [
        "ALT (U/L), lower is better", "High minus Placebo", "Low minus Placebo",
    ]  # fmt: skip
    shown = f"{row['estimate']:.1f} ({row['conf_low']:.1f} to {row['conf_high']:.1f})"
    assert table.rows[1].cells[:2] == ("8 / 8", shown.replace("-", "−"))


def test_sentences_say_which_arm_a_clear_difference_favours(trial: pd.DataFrame) -> None:
    live = lt.ancova(trial, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo")
    low, high = tables.contrast_sentences(stored(live), label="ALT (U/L)", arms=ARMS)
    assert high.endswith("lower is better, in favour of High.")
    assert "favour" not in low
    up = tables.contrast_sentences(stored(live, "PLAT"), label="Platelets", arms=ARMS)[1]
    assert up.endswith("higher is better, in favour of Placebo.")
    unknown = tables.contrast_sentences(stored(live, "TV01"), label="Type 1", arms=ARMS)[1]
    assert "favour" not in unknown


def test_tissue_types_are_shown_as_percent_of_the_liver(trial: pd.DataFrame) -> None:
    share = trial.assign(CHG=trial["CHG"] / 1000)
    result = lt.separation(share, reference="Placebo", n_boot=0, seed=1)
    table = tables.separation_table([stored(result, "TV03")], arms=ARMS)
    mean = 100 * share.loc[share["TRT01P"] == "High", "CHG"].mean()
    assert table.rows[0].stub == "TV03 (% of the liver)"
    assert table.rows[2].cells[1] == f"{mean:.1f}".replace("-", "−")


def test_notes_shared_by_measures_are_written_once(trial: pd.DataFrame) -> None:
    flat = trial.assign(CHG=1.0)
    results = [stored(lt.separation(flat, reference="Placebo", n_boot=0, seed=1), m)
               for m in ("TV01", "TV02")]  # fmt: skip
    results.append(stored(lt.separation(trial, reference="Placebo", n_boot=0, seed=1), "ALT"))
    notes = tables.separation_table(results).footnotes
    assert sum("Low v Placebo: no variation" in note for note in notes) == 1
    assert any(note.startswith("TV01, TV02: ") for note in notes)


def test_baseline_counts_and_missing_values(trial: pd.DataFrame) -> None:
    holed = trial.assign(AGE=trial["AGE"].mask(trial.index == 0))
    result = lt.baseline_table(holed, columns=["AGE", "SEX"])
    table = tables.baseline_summary(stored(result, ""), arms=ARMS)
    assert table.headers == ("Placebo (N = 8)", "Low (N = 8)", "High (N = 8)", "Total (N = 24)")
    missing = next(row for row in table.rows if row.stub == "Missing")
    assert missing.cells == ("1", "0", "0", "1")
    women = (trial["SEX"] == "F").sum()
    female = next(row for row in table.rows if row.stub == "Female")
    assert female.cells[-1] == f"{women} ({100 * women / 24:.0f} %)"


@pytest.mark.parametrize(
    "make",
    [
        lambda: tables.separation_table([]),
        lambda: tables.comparison_table([]),
        lambda: tables.contrast_table([]),
        lambda: tables.responder_table([]),
        lambda: tables.event_table([]),
        lambda: tables.event_comparison_table([]),
        lambda: tables.estimand_table({}),
        lambda: tables.analysis_table({}),
        lambda: type_atlas.card_table(None),
        lambda: type_atlas.hierarchy_table(None),
    ],
)
def test_an_empty_table_says_why_and_keeps_its_headers(make) -> None:
    table = make()
    assert table.rows == ()
    assert table.empty in table.html()
    assert table.empty.endswith(".")
    assert all(header in table.csv() for header in table.headers)


def test_results_without_rows_give_the_empty_form() -> None:
    adsl = pd.DataFrame({"USUBJID": ["a", "b"], "TRT01P": ["Placebo", "High"]})
    scans = pd.DataFrame(columns=["USUBJID", "TRT01P", "AVISIT", "SCANFL", "REASON"])
    result = stored(lt.scan_quality(scans), "")
    assert tables.scan_table(result).empty in tables.scan_table(result).html()
    assert tables.scan_measure_table(result).rows == ()
    flow = stored(lt.disposition(adsl), "")
    assert tables.disposition_table(flow).rows[1].cells == ("1 (100 %)", "1 (100 %)", "2 (100 %)")


TABLE = tables.Table(
    title="T <&>", stub="s", headers=("a", "b"), spanners=(("both", 2),),
    rows=tables.grouped([("g<1>", [tables.Row("r", ("1", "x"))])]), text_columns=(1,),
    footnotes=("n & m",),
)  # fmt: skip


def test_markup_in_cells_is_text() -> None:
    html = TABLE.page()
    assert "g&lt;1&gt;" in html
    assert "n &amp; m" in html
    assert "<script" not in html


def test_every_header_cell_has_a_scope() -> None:
    cells = re.findall(r"<th\b[^>]*>", TABLE.html())
    assert len(cells) == 6
    assert all("scope=" in cell for cell in cells)


def test_csv_has_the_group_and_the_spanner_in_words() -> None:
    assert list(csv.reader(io.StringIO(TABLE.csv()))) == [
        ["Group", "s", "both: a", "both: b"], ["g<1>", "r", "1", "x"],
    ]  # fmt: skip


def test_a_row_of_the_wrong_width_is_an_error() -> None:
    with pytest.raises(UsageError, match="2 cells under 1"):
        tables.Table(title="t", stub="s", headers=("a",), rows=(tables.Row("r", ("1", "2")),))
    with pytest.raises(UsageError, match="spanners"):
        tables.Table(title="t", stub="s", headers=("a",), spanners=(("x", 2),))


def test_methods_say_how_pathways_are_counted():
    imaging = {"sequences": ["IP"], "n_types": 4, "correspondence": "rigid", "soft_labels": True}
    plan = {"data": {"arms": ["A", "B"], "reference": "A", "visits": ["V0", "V1"],
                     "baseline": "V0"}, "imaging": imaging}  # fmt: skip
    said = "counted from the probabilities of the types"
    assert said in " ".join(tables.methods_paragraphs(plan))
    for other in ({"soft_labels": False}, {"correspondence": "none"}):
        changed = {**plan, "imaging": {**imaging, **other}}
        assert said not in " ".join(tables.methods_paragraphs(changed))
