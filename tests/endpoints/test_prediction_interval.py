"""Conformal intervals: rank by hand, coverage of new subjects, rows of a subject together."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import livertrack as lt
from livertrack.endpoints.prediction_interval import conformal_quantile
from livertrack.errors import DataError


def predictions(errors, folds, subjects=None):
    n = len(errors)
    return pd.DataFrame(
        {
            "model": "m", "repeat": 0, "fold": folds,
            "USUBJID": [f"S{k:03d}" for k in range(n)] if subjects is None else subjects,
            "observed": np.asarray(errors, float), "predicted": 0.0,
        }
    )  # fmt: skip


def test_the_rank_by_hand():
    # 9 scores at 80 %: rank ceil(10 x 0.8) = 8
    assert conformal_quantile(np.arange(1.0, 10.0), 0.8) == 8.0
    assert conformal_quantile(np.arange(1.0, 10.0), 0.95) == np.inf


def test_a_fold_is_calibrated_on_the_others():
    errors = [*range(1, 10), *range(101, 110)]
    found = lt.prediction_interval(
        predictions(errors, [0] * 9 + [1] * 9), conf_level=0.8
    ).intervals
    assert set(found.loc[found["fold"] == 0, "high"]) == {108.0}
    assert set(found.loc[found["fold"] == 1, "high"]) == {8.0}
    assert found.loc[found["fold"] == 0, "inside"].all()
    assert not found.loc[found["fold"] == 1, "inside"].any()


def test_a_subject_counts_once_by_its_worst_row():
    subjects = np.repeat([f"S{k}" for k in range(20)], 2)
    errors = np.tile([0.1, 3.0], 20)
    found = lt.prediction_interval(
        predictions(errors, np.repeat([0, 1], 20), subjects), conf_level=0.8
    )
    assert found.table["half_width"].item() == 3.0
    assert found.table["n_subjects"].item() == 20


def test_new_subjects_are_covered_at_the_stated_level():
    rng = np.random.default_rng(8)
    inside = []
    for seed in range(40):
        x = rng.normal(size=(60, 3))
        y = x[:, 0] + rng.standard_t(4, size=60)
        data = pd.DataFrame(x, columns=["A", "B", "C"]).assign(
            KPA=y, USUBJID=[f"S{k:02d}" for k in range(60)]
        )
        made = lt.cross_validate(
            data, outcome="KPA", task="continuous", models={"ridge": Ridge()},
            columns=["A", "B", "C"], n_boot=0, seed=seed,
        )  # fmt: skip
        half = lt.prediction_interval(made.predictions, conf_level=0.9).table["half_width"].item()
        new = rng.normal(size=(200, 3))
        truth = new[:, 0] + rng.standard_t(4, size=200)
        fit = Ridge().fit(x, y)
        inside.append(np.mean(np.abs(truth - fit.predict(new)) <= half))
    # mean coverage: standard error about 0.006
    assert np.mean(inside) == pytest.approx(0.9, abs=0.025)


def test_no_subject_in_the_ard():
    made = lt.prediction_interval(predictions(range(20), np.tile([0, 1], 10)), conf_level=0.8)
    assert not made.to_ard()["stat_chr"].astype(str).str.startswith("S0").any()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (predictions(range(20), 0), "one fold only"),
        (predictions(range(6), [0, 1] * 3), "too few for intervals"),
        (predictions(range(6), [0, 1] * 3).drop(columns="fold"), "missing: fold"),
    ],
)
def test_bad_input_says_what_to_do(frame, message):
    with pytest.raises(DataError, match=message):
        lt.prediction_interval(frame)
