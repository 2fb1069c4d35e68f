"""Where types are, what they go with at biopsy, and what is the site's: against R and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.errors import UsageError

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def trial() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "type_correlation.csv")


@pytest.fixture(scope="module")
def numbers() -> pd.Series:
    return pd.read_csv(REFERENCE / "type_correlation_numbers.csv").set_index("quantity")["value"]


def long(trial: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    parts = [
        trial[["USUBJID"]].assign(PARAMCD=name, AVISIT="Baseline", REGION="", AVAL=trial[name])
        for name in columns
    ]
    return pd.concat(parts, ignore_index=True)


def signatures(trial: pd.DataFrame) -> pd.DataFrame:
    whole = long(trial, ["TV01"])
    shell = long(trial, ["SHELL1"]).assign(PARAMCD="TV01", REGION="SHELL1")
    return pd.concat([whole, shell], ignore_index=True)


def correlate(trial: pd.DataFrame, n_perm: int = 99) -> Any:
    records = long(trial, ["TV01", "STEATOSIS", "FIBROSIS"])
    return lt.type_correlation(
        records, parameters=["TV01"], outcomes=["STEATOSIS", "FIBROSIS"], n_perm=n_perm, seed=1
    )


def test_rank_correlations_and_their_limits_are_those_of_r(
    trial: pd.DataFrame, numbers: pd.Series
) -> None:
    table = correlate(trial).table.set_index("outcome")
    for outcome in ("STEATOSIS", "FIBROSIS"):
        row = table.loc[outcome]
        for column, name in (("estimate", "rho"), ("conf_low", "low"), ("conf_high", "high")):
            assert row[column] == pytest.approx(numbers[f"{outcome} {name}"], abs=1e-12)


def test_means_and_paired_differences_of_regions_are_those_of_r(
    trial: pd.DataFrame, numbers: pd.Series
) -> None:
    table = lt.type_atlas(signatures(trial)).table.set_index("region")
    for column, name in (("mean", "mean"), ("conf_low", "mean low"), ("conf_high", "mean high")):
        assert table.loc["", column] == pytest.approx(numbers[name], abs=1e-12)
    for column in ("difference", "difference_low", "difference_high"):
        expected = numbers[column.replace("_", " ")]
        assert table.loc["SHELL1", column] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(table.loc["", "difference"])


def test_variance_between_sites_is_that_of_r(trial: pd.DataFrame, numbers: pd.Series) -> None:
    row = lt.site_effects(trial, measures=["SNR"]).table.iloc[0]
    for column, name in (
        ("statistic", "F"), ("p_value", "p"), ("estimate", "icc"), ("conf_low", "icc low"),
        ("conf_high", "icc high"),
    ):  # fmt: skip
        assert row[column] == pytest.approx(numbers[name], abs=1e-10)


def test_a_planted_relation_is_found_and_none_is_not(trial: pd.DataFrame) -> None:
    table = correlate(trial, n_perm=999).table.set_index("outcome")
    assert table.loc["STEATOSIS", "p_adjusted"] <= 0.002
    assert table.loc["FIBROSIS", "p_adjusted"] > 0.05
    assert (table["p_adjusted"] >= table["p_value"]).all()


def test_without_any_relation_the_family_is_rarely_rejected() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for seed in range(60):
        shares = rng.dirichlet([3, 2, 1], 24)
        frame = pd.DataFrame(shares, columns=["TV01", "TV02", "TV03"])
        frame["USUBJID"] = [f"{i:02d}" for i in range(24)]
        frame["STEATOSIS"], frame["FIBROSIS"] = rng.integers(0, 4, 24), rng.integers(0, 5, 24)
        found = lt.type_correlation(
            long(frame, ["TV01", "TV02", "TV03", "STEATOSIS", "FIBROSIS"]), seed=seed, n_perm=99,
            parameters=["TV01", "TV02", "TV03"], outcomes=["STEATOSIS", "FIBROSIS"],
        )  # fmt: skip
        hits += bool((found.table["p_adjusted"] <= 0.05).any())
    assert hits <= 8, "60 families at 0.05 exceed 8 with probability 0.01"


def test_order_of_records_changes_nothing_and_reversed_scores_negate(trial: pd.DataFrame) -> None:
    one = correlate(trial).table
    records = long(trial, ["TV01", "STEATOSIS", "FIBROSIS"]).sample(frac=1, random_state=2)
    other = lt.type_correlation(
        records, parameters=["TV01"], outcomes=["STEATOSIS", "FIBROSIS"], n_perm=99, seed=1
    ).table
    pd.testing.assert_frame_equal(one, other)
    turned = correlate(trial.assign(STEATOSIS=-trial["STEATOSIS"])).table
    assert turned["estimate"].iloc[0] == pytest.approx(-one["estimate"].iloc[0])


def test_subjects_without_a_biopsy_are_counted(trial: pd.DataFrame) -> None:
    some = trial.assign(STEATOSIS=trial["STEATOSIS"].where(trial.index > 4))
    result = correlate(some)
    assert (result.table["n"] == 35).all()
    assert result.notes[0].startswith("5 of 40 subjects lack")


def test_places_are_shares_of_baseline_voxels_and_count_once() -> None:
    cells = pd.DataFrame(
        [
            ("a", 12, 1, 1, 2, 3), ("a", 12, 1, 2, 2, 1), ("a", 48, 1, 1, 1, 9),
            ("b", 12, 1, 2, 2, 5), ("b", 12, 2, 1, 1, 4),
        ],
        columns=["USUBJID", "AVISITN", "CELL", "FROMTYPE", "TOTYPE", "NVOX"],
    )  # fmt: skip
    records = pd.DataFrame({"USUBJID": ["a"], "PARAMCD": "TV01", "AVISIT": "B", "AVAL": 0.5})
    places = lt.type_atlas(records, cells=cells).places.set_index(["parameter", "cell"])
    assert places.loc[("TV01", 1), "mean"] == pytest.approx((3 / 4 + 0) / 2)
    assert places.loc[("TV02", 1), "n"] == 2
    assert places.loc[("TV01", 2), ["n", "mean"]].tolist() == [1, 1]


def test_sites_with_equal_values_have_no_estimate(trial: pd.DataFrame) -> None:
    result = lt.site_effects(trial.assign(SNR=7.0), measures=["SNR"])
    assert result.table["estimate"].isna().all()
    assert "no measure could be compared" in result.text


def test_a_type_that_is_also_an_outcome_is_refused(trial: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="TV01"):
        lt.type_correlation(long(trial, ["TV01"]), parameters=["TV01"], outcomes=["TV01"], seed=1)
