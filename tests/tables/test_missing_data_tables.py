"""Tables of imputed analyses: counts by arm, handling in words, tipping points."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack import tables
from livertrack._results import StoredResult, ard_result

VISITS = ["Week 12", "Week 48"]


@pytest.fixture(scope="module")
def imputation():
    rng = np.random.default_rng(4)
    n = 40
    arm = np.where(np.arange(n) % 2, "Active", "Placebo")
    y = rng.standard_normal((n, 2)) - 1.2 * (arm == "Active")[:, None]
    y[:6, 1] = np.nan
    data = pd.DataFrame(
        {
            "USUBJID": np.repeat([f"S{i:02d}" for i in range(n)], 2),
            "TRT01P": np.repeat(arm, 2),
            "AVISIT": pd.Categorical(np.tile(VISITS, n), VISITS),
            "BASE": np.repeat(rng.standard_normal(n), 2),
            "CHG": y.ravel(),
        }
    )
    events = pd.DataFrame(
        {
            "USUBJID": ["S00", "S01", "S03", "S07"],
            "AVISIT": ["Week 48", "Week 48", "Week 48", "Week 12"],
            "EVENT": ["Left", "Left", "Left", "Died"],
            "STRATEGY": ["treatment-policy"] * 3 + ["composite"],
            "ASSUMPTION": ["JR", "JR", "JR", None],
            "VALUE": [np.nan, np.nan, np.nan, 3.0],
        }
    )
    return lt.impute(data, reference="Placebo", events=events, draws="conditional-mean")


def stored(result: lt.Result) -> StoredResult:
    return ard_result(result.to_ard(analysis="a", variable="ALT"))


def cells(table: tables.Table) -> list[tuple[str, ...]]:
    return [(row.stub, *row.cells) for row in table.rows]


def test_events_are_counted_by_arm_with_the_records_after_them(imputation) -> None:
    table = tables.intercurrent_table([stored(imputation.analyse())], arms=["Placebo", "Active"])
    assert table.headers == ("Handling", "Placebo", "Active")
    shown = {row[0]: row[1:] for row in cells(table)}
    assert shown["Left"] == ("treatment policy; jump to reference", "1 (0 / 1)", "2 (0 / 2)")
    assert shown["Died"] == ("composite", "0", "1 (2 / 0)")


def test_tipping_points_are_numbers_or_words(imputation) -> None:
    tips = stored(imputation.tipping_point(np.arange(0, 30, 5.0)))
    exact = tips.frames["tipping"]["tipping_exact"].iloc[0]
    row = cells(tables.tipping_table([tips]))[-1]
    assert row[0] == "Active minus Placebo"
    assert float(row[-1]) == pytest.approx(exact, abs=0.006)
    never = stored(imputation.tipping_point([0.0, 0.01]))
    assert cells(tables.tipping_table([never]))[-1][-1] == "none from 0.00 to 0.01"


def test_tables_without_rows_say_so(imputation) -> None:
    result = stored(imputation.analyse())
    empty = StoredResult(**{**vars(result), "frames": {}})
    assert all(len(row) == 1 for row in cells(tables.intercurrent_table([empty])))
    assert tables.intercurrent_table([]).empty == "No intercurrent event happened."
    assert all(len(row) == 1 for row in cells(tables.tipping_table([empty])))


@pytest.mark.parametrize(
    ("strategy", "assumption", "words"),
    [
        ("treatment-policy", "CIR", "treatment policy; copy increments in reference"),
        ("hypothetical", "MAR", "hypothetical; missing at random"),
        ("while-on-treatment", "MAR", "while on treatment"),
        ("", "JR", "jump to reference"),
    ],
)
def test_handling_is_written_in_words(strategy: str, assumption: str, words: str) -> None:
    from livertrack.tables.missing_data import handling

    assert handling({"strategy": strategy, "assumption": assumption}) == words


def test_methods_say_how_values_were_imputed() -> None:
    plan = {
        "data": {"arms": ["P", "A"], "reference": "P", "visits": ["B", "W"], "baseline": "B"},
        "analyses": [
            {"endpoint": "imputation", "options": {"draws": "bayes", "n_imputations": 200}},
            {"endpoint": "imputation", "options": {"draws": "conditional-mean"}},
        ],
    }
    text = " ".join(tables.methods_paragraphs(plan))
    assert "200 data sets from Bayesian draws" in text
    assert "jackknife over subjects" in text
