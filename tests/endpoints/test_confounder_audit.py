"""The audit of residuals: R's robust errors, the equivalence rule, its error rate, bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.errors import DataError, UsageError

FOLDER = Path(__file__).parent.parent / "reference"
DATA = pd.read_csv(FOLDER / "confounder_audit_data.csv")
REFERENCE = pd.read_csv(FOLDER / "confounder_audit.csv")


@pytest.mark.parametrize("level", ["row", "subject"])
def test_estimates_and_errors_are_those_of_r(level):
    data = DATA if level == "row" else DATA.drop_duplicates("USUBJID")
    table = lt.confounder_audit(
        data, residual="RES", covariates=["AGE", "VENDOR"], margin=0.5
    ).table
    expected = REFERENCE[REFERENCE["level"] == level].reset_index(drop=True)
    assert list(table["contrast"]) == list(expected["contrast"])
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(table[column], expected[column], rtol=1e-9)


def test_equivalence_is_an_interval_inside_the_margin():
    for margin in (0.05, 0.2, 0.5, 2.0):
        table = lt.confounder_audit(
            DATA, residual="RES", covariates=["AGE", "VENDOR"], margin=margin
        ).table
        inside = (table["conf_low"] > -margin) & (table["conf_high"] < margin)
        assert (table["equivalent"] == inside).all()
        assert (table["equivalent"] == (table["p_equivalence"] <= 0.05)).all()


@pytest.mark.slow
def test_a_dependence_as_large_as_the_margin_is_rarely_called_equivalent():
    rng = np.random.default_rng(3)
    called = []
    for _ in range(300):
        x = rng.normal(size=80)
        data = pd.DataFrame({"USUBJID": np.arange(80), "X": x})
        data["RES"] = 0.4 * (x - x.mean()) / x.std(ddof=1) + rng.normal(size=80)
        found = lt.confounder_audit(data, residual="RES", covariates=["X"], margin=0.4)
        called.append(found.table["equivalent"].item())
    assert np.mean(called) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(called) > 0.005


def test_scale_passes_through():
    one = lt.confounder_audit(DATA, residual="RES", covariates=["AGE"], margin=0.2).table
    big = DATA.assign(RES=1e4 * DATA["RES"], AGE=12 * DATA["AGE"])
    two = lt.confounder_audit(big, residual="RES", covariates=["AGE"], margin=2e3).table
    assert two["p_equivalence"].item() == pytest.approx(one["p_equivalence"].item(), rel=1e-9)


def test_levels_with_one_subject_and_blanks_are_counted():
    data = DATA.copy()
    data.loc[0:1, "VENDOR"] = "D"
    data.loc[4, "AGE"] = np.nan
    result = lt.confounder_audit(data, residual="RES", covariates=["AGE", "VENDOR"], margin=1.0)
    notes = " ".join(result.notes)
    assert "VENDOR: 1 level(s) with one subject" in notes
    assert "AGE: 1 of 80 row(s)" in notes
    assert not result.table["contrast"].str.contains("- D|D -").any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": {}}, "positive one for AGE"),
        ({"margin": 0.0}, "positive one for AGE"),
        ({"covariates": [], "margin": 1.0}, "a covariate"),
        ({"covariates": ["BMI"], "margin": 1.0}, "missing: BMI"),
    ],
)
def test_bad_input_says_what_to_do(options, message):
    chosen = {"residual": "RES", "covariates": ["AGE"], "margin": 0.5} | options
    with pytest.raises((UsageError, DataError), match=message):
        lt.confounder_audit(DATA, **chosen)


def test_nothing_to_test_is_an_error():
    with pytest.raises(DataError, match="no covariate"):
        lt.confounder_audit(DATA.assign(AGE=50), residual="RES", covariates=["AGE"], margin=1.0)
