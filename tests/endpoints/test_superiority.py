"""Adjusted probability of superiority: base R, properties, gain in precision, degenerate input."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import livertrack as lt

ADJUSTED = ["superiority", "superiority_low", "superiority_high"]
OPTIONS = {"value": "value", "reference": "P", "n_boot": 0, "seed": 1}


@pytest.fixture(scope="module")
def data(reference: Path) -> pd.DataFrame:
    frame = pd.read_csv(reference / "superiority_data.csv")
    return frame.rename(columns={"subject": "USUBJID", "arm": "TRT01P"})


def test_adjusted_probability_agrees_with_base_r(data, reference: Path) -> None:
    expected = pd.read_csv(reference / "superiority.csv").set_index("case")
    cases = {
        "covariates": {"covariates": ["base", "age"]}, "strata": {"strata": "site"},
        "both": {"covariates": ["base", "age"], "strata": ["site"]},
    }  # fmt: skip
    for case, options in cases.items():
        got = lt.separation(data, **OPTIONS, **options).table.iloc[0]
        for name in ADJUSTED:
            assert got[name] == pytest.approx(expected.loc[case, name], rel=1e-10), (case, name)


def test_one_stratum_without_covariates_is_the_auc(data) -> None:
    got = lt.separation(data.assign(all=1), **OPTIONS, strata="all").table.iloc[0]
    assert got["superiority"] == pytest.approx(got["auc"])
    # DeLong's standard error, on the logit scale
    error = (got["auc_high"] - got["auc"]) / norm.ppf(0.975)
    logit = math.log(got["auc"] / (1 - got["auc"]))
    want = logit + norm.ppf(0.975) * error / (got["auc"] * (1 - got["auc"]))
    assert got["superiority_high"] == pytest.approx(1 / (1 + math.exp(-want)))


def test_nothing_is_adjusted_unless_asked(data) -> None:
    table = lt.separation(data, **OPTIONS).table
    assert not set(ADJUSTED) & set(table.columns)
    asked = lt.separation(data, **OPTIONS, covariates=["base"]).table
    pd.testing.assert_frame_equal(
        asked[table.columns].drop(columns="method"), table.drop(columns="method")
    )
    assert "adjusted for base" in asked["method"].item()


def test_a_prognostic_baseline_narrows_the_interval_and_a_linear_map_does_not_matter(data) -> None:
    got = lt.separation(data, **OPTIONS, covariates=["base"]).table.iloc[0]
    width = got["superiority_high"] - got["superiority_low"]
    assert width < 0.8 * (got["auc_high"] - got["auc_low"])
    mapped = data.assign(base=3 - 100 * data["base"])
    again = lt.separation(mapped, **OPTIONS, covariates=["base"]).table.iloc[0]
    np.testing.assert_allclose(again[ADJUSTED].astype(float), got[ADJUSTED].astype(float))


def test_swapping_arms_gives_the_complement(data) -> None:
    one = lt.separation(data, **OPTIONS, covariates=["base"], strata="site").table.iloc[0]
    two = lt.separation(
        data, **(OPTIONS | {"reference": "A"}), covariates=["base"], strata="site"
    ).table.iloc[0]
    assert two["superiority"] == pytest.approx(1 - one["superiority"])
    assert two["superiority_low"] == pytest.approx(1 - one["superiority_high"])


def test_gaps_and_small_strata_are_left_out_and_counted(data) -> None:
    gaps = data.copy()
    gaps.loc[0, "base"] = np.nan
    gaps.loc[1, "site"] = None
    gaps.loc[2, "site"] = "S9"
    result = lt.separation(gaps, **OPTIONS, covariates=["base"], strata="site")
    assert result.table["n_superiority"].item() == 57
    assert any("2 subject(s) without covariates or stratum" in note for note in result.notes)
    assert any("1 subject(s) in strata too small" in note for note in result.notes)


def test_strata_that_are_all_too_small_give_nan(data) -> None:
    result = lt.separation(data.assign(own=data["USUBJID"]), **OPTIONS, strata="own")
    assert result.table[ADJUSTED].isna().all(axis=None)
    assert result.table["n_superiority"].item() == 0
    assert math.isfinite(result.table["auc"].item())


def test_a_constant_covariate_changes_nothing(data) -> None:
    plain = lt.separation(data, **OPTIONS, strata="site").table.iloc[0]
    flat = lt.separation(data.assign(c=4.0), **OPTIONS, strata="site", covariates=["c"]).table
    np.testing.assert_allclose(flat[ADJUSTED].iloc[0], plain[ADJUSTED].astype(float), rtol=1e-9)


@pytest.mark.slow
def test_the_adjusted_interval_covers_the_marginal_probability() -> None:
    # 1,000 trials: 0.95 +- 0.021 (three standard errors)
    rng, cover = np.random.default_rng(6), 0
    truth = norm.cdf(1.0 / math.sqrt(2 * 2.0))
    for _ in range(1000):
        base = rng.normal(size=80)
        up = np.repeat([1.0, 0.0], 40)
        frame = pd.DataFrame({
            "USUBJID": range(80), "TRT01P": np.where(up > 0, "A", "P"), "base": base,
            "value": up + base + rng.normal(size=80),
        })  # fmt: skip
        row = lt.separation(frame, **OPTIONS, covariates=["base"]).table.iloc[0]
        cover += row["superiority_low"] <= truth <= row["superiority_high"]
    assert 0.925 < cover / 1000 < 0.971
