"""ComBat: R sva on the same features, learned from training rows alone, degenerate input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import livertrack as lt
from livertrack.errors import DataError, UsageError

REFERENCE = pd.read_csv(Path(__file__).parent.parent / "reference" / "combat.csv")
COLUMNS = [f"F{k}" for k in range(1, 8)]
DATA = REFERENCE[["SITEID", "AGE", "SEX", *COLUMNS]]


@pytest.mark.parametrize(
    ("prefix", "covariates", "mean_only"),
    [("plain", [], False), ("kept", ["AGE", "SEX"], False), ("means", ["AGE", "SEX"], True)],
)
def test_values_are_those_of_r(prefix, covariates, mean_only):
    combat = lt.Combat(COLUMNS, "SITEID", covariates, mean_only=mean_only, tolerance=1e-4)
    clean = combat.fit(DATA).transform(DATA)[COLUMNS]
    expected = REFERENCE[[f"{prefix}.{c}" for c in COLUMNS]]
    np.testing.assert_allclose(clean.to_numpy(), expected.to_numpy(), rtol=1e-9)


def test_site_means_and_spreads_come_closer_and_covariate_effects_stay():
    clean = lt.Combat(COLUMNS, "SITEID", ["AGE", "SEX"]).fit(DATA).transform(DATA)
    design = np.column_stack([
        pd.get_dummies(DATA["SITEID"]).to_numpy(float), DATA["AGE"], DATA["SEX"].eq("M")
    ])  # fmt: skip
    before, after = (
        np.ptp(np.linalg.lstsq(design.astype(float), frame["F4"], rcond=None)[0][:4])
        for frame in (DATA, clean)
    )
    assert after < 0.25 * before
    slope = np.polyfit(clean["AGE"], clean["F7"], 1)[0]
    assert slope == pytest.approx(0.35, abs=0.1)


def test_rows_do_not_depend_on_rows_that_were_not_fitted():
    train, test = DATA.iloc[::2], DATA.iloc[1::2]
    combat = lt.Combat(COLUMNS, "SITEID", ["AGE"]).fit(train)
    whole = combat.transform(DATA)
    pd.testing.assert_frame_equal(combat.transform(test), whole.iloc[1::2])
    changed = test.assign(F1=test["F1"] + 100)
    again = combat.transform(pd.concat([train, changed])).iloc[: len(train)]
    pd.testing.assert_frame_equal(again, whole.iloc[::2])


def test_scale_of_a_feature_passes_through():
    once = lt.Combat(COLUMNS, "SITEID").fit(DATA).transform(DATA)
    big = DATA.assign(**{c: 1e6 * DATA[c] for c in COLUMNS})
    twice = lt.Combat(COLUMNS, "SITEID").fit(big).transform(big)
    np.testing.assert_allclose(twice[COLUMNS] / 1e6, once[COLUMNS], rtol=1e-8)


def test_a_constant_feature_stays():
    data = DATA.assign(F3=2.5)
    clean = lt.Combat(COLUMNS, "SITEID").fit(data).transform(data)
    assert (clean["F3"] == 2.5).all()
    assert np.isfinite(clean[COLUMNS]).all(axis=None)


def test_an_unseen_site_is_refused_or_left():
    train = DATA[DATA["SITEID"] != "D"]
    with pytest.raises(DataError, match=r"10 row\(s\) of 1 level\(s\) of SITEID"):
        lt.Combat(COLUMNS, "SITEID").fit(train).transform(DATA)
    left = lt.Combat(COLUMNS, "SITEID", unseen="leave").fit(train).transform(DATA)
    here = DATA["SITEID"] == "D"
    pd.testing.assert_frame_equal(left[here], DATA[here])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"SITEID": [f"S{k}" for k in range(60)]}, {}, "fewer than 2 rows"),
        ({"F1": np.nan}, {}, "blanks"),
        ({"SEX": DATA["SITEID"]}, {"covariates": ["SEX"]}, "confounded"),
        ({}, {"covariates": ["SITEID"]}, "is the site"),
        ({}, {"unseen": "guess"}, "unseen is"),
        ({}, {"columns": ["F99"]}, "missing: F99"),
    ],
)
def test_bad_input_says_what_to_do(change, options, message):
    chosen = {"columns": COLUMNS, "site": "SITEID"} | options
    with pytest.raises((DataError, UsageError), match=message):
        lt.Combat(**chosen).fit(DATA.assign(**change))


def test_it_has_to_be_fitted_first():
    with pytest.raises(UsageError, match="fit ComBat before"):
        lt.Combat(COLUMNS, "SITEID").transform(DATA)


def test_inside_the_fold_it_helps_where_sites_blur_the_outcome():
    rng = np.random.default_rng(2)
    data = DATA.copy()
    data["USUBJID"] = [f"S{k:02d}" for k in range(60)]
    signal = rng.normal(size=60)
    site = data["SITEID"].map({"A": 0.0, "B": 5.0, "C": -5.0, "D": 9.0})
    for number, column in enumerate(COLUMNS):
        data[column] = signal + site * (number - 2) + 0.3 * rng.normal(size=60)
    data["KPA"] = 3 + signal
    model = lt.Tabular(Ridge(1.0), ["F1"])
    found = lt.cross_validate(
        data, outcome="KPA", task="continuous", n_boot=0, seed=4,
        models={"raw": model, "clean": lt.Harmonised(model, lt.Combat(COLUMNS, "SITEID"))},
    ).table  # fmt: skip
    r2 = found[found["metric"].eq("r2")].set_index("model")["estimate"]
    assert r2["clean"] > 0.6 > r2["raw"]
