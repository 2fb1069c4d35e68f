"""The band is chosen on other folds, reaches its target there, and leaves nobody out silently."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.endpoints.abstention import half_band
from livertrack.errors import DataError, UsageError


def frame(observed, predicted, fold, model="m"):
    return pd.DataFrame({
        "model": model, "repeat": 0, "fold": fold, "USUBJID": [f"S{k}" for k in range(len(fold))],
        "observed": observed, "predicted": predicted,
    })  # fmt: skip


def simulated(n, seed, folds=5):
    """Calibrated probabilities."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0, 1, n)
    return frame((rng.random(n) < p).astype(int), p, np.arange(n) % folds)


def test_a_case_by_hand():
    # wrong at 0.55 and 0.4: deciding beyond 0.1 of the threshold leaves four, all right
    observed = np.array([0.0, 1, 1, 0, 1, 0])
    predicted = np.array([0.55, 0.4, 0.7, 0.3, 0.9, 0.1])
    assert half_band(observed, predicted, 1.0, 0.5) == pytest.approx(0.1)
    assert half_band(observed, predicted, 0.8, 0.5) == pytest.approx(0.05)
    assert half_band(observed, predicted, 0.6, 0.5) == 0.0
    assert half_band(1 - observed[2:], predicted[2:], 0.9, 0.5) == np.inf


def test_the_band_of_a_fold_comes_from_the_others():
    one = frame([1, 1, 0, 0, 0, 1, 1, 0], [0.9, 0.8, 0.2, 0.1, 0.55, 0.9, 0.8, 0.1],
                [0, 0, 0, 0, 1, 1, 1, 1])  # fmt: skip
    found = lt.abstention(one, target=1.0)
    low = found.decisions.groupby("fold")["low"].first()
    assert low[0] == pytest.approx(0.45)  # fold 1 has the error at 0.55
    assert low[1] == 0.5  # fold 0 has none
    assert found.table["low"].iloc[0] == pytest.approx(0.45)
    row = found.table.iloc[0]
    assert row["n_decided"] == 8
    assert row["accuracy"] == pytest.approx(7 / 8)
    assert "decides 8 of 8" in found.text


def test_decided_subjects_are_right_about_as_often_as_wanted_or_a_little_less():
    accuracy = [
        lt.abstention(simulated(400, seed), target=0.9).table["accuracy"].iloc[0]
        for seed in range(20)
    ]
    assert np.mean(accuracy) == pytest.approx(0.89, abs=0.01)


def test_more_is_left_undecided_for_a_higher_target():
    data = simulated(500, 1)
    share = [
        lt.abstention(data, target=t).table["share_decided"].iloc[0] for t in (0.8, 0.9, 0.97)
    ]
    assert share[0] > share[1] > share[2]


def test_rows_of_a_subject_are_joined_before_anything_is_decided():
    rows = pd.concat([simulated(60, 1), simulated(60, 2).assign(observed=0)])
    found = lt.abstention(rows, target=0.7)
    assert found.table["n_subjects"].iloc[0] == 60
    assert found.decisions["USUBJID"].is_unique


def test_an_unreachable_target_leaves_everybody_undecided():
    data = frame([0, 1] * 4, [0.9, 0.1] * 4, [0, 0, 1, 1] * 2)
    row = lt.abstention(data, target=0.9).table.iloc[0]
    assert row["n_decided"] == 0
    assert np.isnan(row["accuracy"])
    assert row["low"] == -np.inf


def test_order_of_rows_does_not_matter():
    data = simulated(80, 3)
    one, two = (lt.abstention(d) for d in (data, data.sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.decisions, two.decisions)


def test_what_has_no_band_is_refused():
    data = simulated(20, 1)
    with pytest.raises(DataError, match="1 fold only"):
        lt.abstention(data.assign(fold=0))
    with pytest.raises(DataError, match="not 0/1"):
        lt.abstention(data.assign(observed=np.arange(20)))
    with pytest.raises(UsageError, match="target and threshold"):
        lt.abstention(data, target=0)
