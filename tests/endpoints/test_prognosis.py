"""Prognosis: metrics of R, ridge Cox of lifelines, chance, leaks, order, workers, degenerate."""

import warnings

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from lifelines import CoxPHFitter

import livertrack as lt
from livertrack.endpoints.prognosis._metrics import Outcome, survival_metrics
from livertrack.errors import DataError, UsageError

QUICK = {"n_folds": 4, "n_boot": 60, "seed": 3}
MARKERS = ["M1", "M2", "M3", "M4"]


def cohort(n=120, effect=0.9, seed=0):
    """Exponential times; M1 and M2 carry the hazard, M3 and M4 nothing; about half censored."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.normal(size=(n, 4)), columns=MARKERS)
    true = rng.exponential(6 / np.exp(effect * (data["M1"] + 0.6 * data["M2"])))
    lost = rng.uniform(1, 9, n)
    return data.assign(
        USUBJID=[f"S{k:03d}" for k in range(n)], SITEID=np.where(np.arange(n) % 3, "a", "b"),
        AVAL=np.minimum(true, lost), CNSR=(true > lost).astype(int),
    )  # fmt: skip


def value(result, model, metric, horizon=None, column="estimate"):
    rows = result.table[result.table["model"].eq(model) & result.table["metric"].eq(metric)]
    rows = rows if horizon is None else rows[rows["horizon"].eq(horizon)]
    return float(rows[column].iloc[0])


@pytest.fixture(scope="module")
def scored(reference):
    data = pd.read_csv(reference / "prognosis_data.csv")
    horizons = np.array([2.0, 5.0, 8.0])
    outcome = Outcome(data["time"].to_numpy(), data["event"].to_numpy() == 1, horizons, horizons)
    risk = data[["risk2", "risk5", "risk8"]].to_numpy()
    return outcome, np.column_stack([risk, risk])


def test_metrics_are_those_of_r(scored, reference):
    found = survival_metrics(np.ones((1, 160)), *scored)
    expected = pd.read_csv(reference / "prognosis.csv")
    assert len(expected) == 17
    for row in expected.itertuples():
        keys = [k for k in found if k[0] == row.metric and (k[1] == row.horizon or k[1] != k[1])]
        assert float(found[keys[0]][0]) == pytest.approx(row.value, abs=1e-9), keys


def test_counts_are_weights(scored):
    outcome, risk = scored
    counts = np.random.default_rng(1).integers(0, 4, 160)
    once = survival_metrics(counts[None].astype(float), outcome, risk)
    rows = np.repeat(np.arange(160), counts)
    repeated = Outcome(outcome.time[rows], outcome.event[rows], outcome.horizons, outcome.grid)
    twice = survival_metrics(np.ones((1, len(rows))), repeated, risk[rows])
    for key, number in once.items():
        # a subject drawn twice is no pair with itself
        tolerance = 0.02 if key[0].endswith("_c") else 1e-9
        assert float(number[0]) == pytest.approx(float(twice[key][0]), abs=tolerance), key


def test_three_subjects_by_hand():
    outcome = Outcome(
        np.array([1.0, 2.0, 3.0]), np.array([True, True, False]), np.array([2.5]), np.array([2.5])
    )
    found = survival_metrics(np.ones((1, 3)), outcome, np.array([[0.9] * 2, [0.2] * 2, [0.4] * 2]))
    assert found["harrell_c", next(k[1] for k in found if k[0] == "harrell_c")][0] == 2 / 3
    assert found["auc", 2.5][0] == 0.5
    assert found["brier", 2.5][0] == pytest.approx((0.01 + 0.64 + 0.16) / 3)
    assert found["observed_over_expected", 2.5][0] == pytest.approx((2 / 3) / 0.5)


def test_order_is_all_that_c_and_auc_see(scored):
    outcome, risk = scored
    one = survival_metrics(np.ones((1, 160)), outcome, risk)
    two = survival_metrics(np.ones((1, 160)), outcome, risk**3)
    for key in one:
        same = float(one[key][0]) == pytest.approx(float(two[key][0]))
        assert same == (key[0] in ("harrell_c", "uno_c", "auc")), key


@pytest.mark.parametrize("penalty", [0.01, 0.5])
def test_ridge_coefficients_are_those_of_lifelines(penalty):
    data = cohort(80)
    scaled = data[MARKERS].apply(lambda c: (c - c.mean()) / c.std())
    frame = scaled.assign(T=data["AVAL"], E=1 - data["CNSR"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = CoxPHFitter(penalizer=penalty).fit(frame, "T", "E")
    event = data["CNSR"].eq(0).to_numpy()
    times = np.sort(data.loc[event, "AVAL"])[[5, 20]]  # lifelines interpolates between events
    expected = 1 - fitter.predict_survival_function(scaled, times=times).to_numpy().T
    model = lt.RidgeCox(MARKERS, penalties=(penalty,))
    risk = model.fit(data, data["AVAL"].to_numpy(), event, seed=0)(data, times)
    np.testing.assert_allclose(risk, expected, atol=1e-5)


def test_features_that_carry_the_hazard_are_found_and_beat_those_that_do_not():
    result = lt.prognosis(
        cohort(160, seed=1), horizons=[2, 5], n_perm=19, **QUICK,
        models={
            "told": lt.RidgeCox(MARKERS[:2], penalties=(0.1,)),
            "noise": lt.RidgeCox(MARKERS[2:], penalties=(0.1,)),
        },
    )  # fmt: skip
    assert value(result, "told", "uno_c") > 0.65
    assert value(result, "told", "harrell_c", column="p_value") == 0.05
    assert value(result, "noise", "harrell_c", column="p_value") > 0.05
    pair = result.comparison[result.comparison["metric"].eq("integrated_brier")].iloc[0]
    assert pair["conf_high"] < 0  # an error: less is better
    top = result.groups[result.groups["model"].eq("told")]
    assert top["observed"].is_monotonic_increasing
    assert top["p_value"].iloc[0] < 0.01
    assert 0.5 < value(result, "told", "observed_over_expected", 5) < 2
    assert "Uno's C" in result.text


def test_selection_keeps_the_telling_features():
    data = cohort(200)
    model = lt.RidgeCox(MARKERS, penalties=(0.01,), n_features=(2,))
    predict = model.fit(data, data["AVAL"].to_numpy(), data["CNSR"].eq(0).to_numpy(), seed=0)
    before = predict(data, np.array([3.0]))
    moved = data.assign(M3=0.0, M4=99.0)
    np.testing.assert_array_equal(predict(moved, np.array([3.0])), before)


def test_exchanged_outcomes_give_chance():
    data = cohort(160)
    order = np.random.default_rng(5).permutation(len(data))
    data[["AVAL", "CNSR"]] = data[["AVAL", "CNSR"]].to_numpy()[order]
    result = lt.prognosis(
        data, models={"cox": lt.RidgeCox(MARKERS)}, horizons=[4], **{**QUICK, "n_boot": 300}
    )
    low, high = (value(result, "cox", "uno_c", column=c) for c in ("conf_low", "conf_high"))
    assert low < 0.5 < high + 0.1
    assert value(result, "cox", "uno_c") < 0.6


def test_rows_and_columns_in_any_order_and_two_workers_give_the_same_numbers():
    data = cohort(80)
    models = {"cox": lt.RidgeCox(MARKERS), "forest": lt.SurvivalForest(MARKERS, n_trees=5)}
    first = lt.prognosis(data, models=models, horizons=[4], **QUICK)
    turned = data.iloc[::-1][data.columns[::-1]]
    with parallel_config(backend="threading", n_jobs=2):
        second = lt.prognosis(turned, models=models, horizons=[4], **QUICK)
    for name, frame in first.frames().items():
        pd.testing.assert_frame_equal(frame, second.frames()[name])


def test_gaps_are_filled_from_training_rows():
    data = cohort(80)
    data.loc[::7, "M1"] = np.nan
    result = lt.prognosis(data, models={"cox": lt.RidgeCox(MARKERS)}, horizons=[4], **QUICK)
    assert result.predictions["risk"].between(0, 1).all()
    assert len(result.predictions) == 80


def test_a_second_cohort_is_predicted_by_the_first():
    second = cohort(60, seed=9).assign(USUBJID=[f"X{k}" for k in range(60)])
    result = lt.prognosis(
        cohort(), external=second, split="external", horizons=[4], **QUICK,
        models={"cox": lt.RidgeCox(MARKERS)},
    )  # fmt: skip
    assert result.settings["n_subjects"] == 60
    assert result.folds["n_train"].tolist() == [120]
    with pytest.raises(DataError, match="120 subject"):
        lt.prognosis(
            cohort(), external=cohort(), split="external", horizons=[4], **QUICK,
            models={"cox": lt.RidgeCox(MARKERS)},
        )  # fmt: skip


def test_leaks_are_refused():
    data = cohort()
    with pytest.raises(UsageError, match="AVAL is the outcome"):
        lt.prognosis(data, models={"m": lt.RidgeCox(["AVAL"])}, horizons=[4], **QUICK)
    copied = data.assign(DIED=1 - data["CNSR"])
    with pytest.raises(DataError, match="DIED equal the outcome"):
        lt.prognosis(copied, models={"m": lt.RidgeCox(["DIED"])}, horizons=[4], **QUICK)
    twins = pd.concat([data, data.head(1).assign(USUBJID="T")])
    with pytest.raises(DataError, match="same feature values under another"):
        lt.prognosis(twins, models={"m": lt.RidgeCox(MARKERS)}, horizons=[4], **QUICK)
    with pytest.raises(DataError):
        lt.prognosis(
            pd.concat([data, data.head(3)]), models={"m": lt.RidgeCox(MARKERS)}, horizons=[4],
            **QUICK,
        )  # fmt: skip


def test_options_and_horizons_that_make_no_sense_are_said():
    data, models = cohort(), {"m": lt.RidgeCox(MARKERS)}
    with pytest.raises(UsageError, match=r"n_folds must be at least 2.*n_groups"):
        lt.prognosis(data, models=models, horizons=[4], n_folds=1, n_groups=1, seed=1)
    with pytest.raises(UsageError, match="0 subject"):
        lt.prognosis(data, models=models, horizons=[99], seed=1)
    with pytest.raises(UsageError, match="name at least one"):
        lt.prognosis(data, models={}, horizons=[4], seed=1)
    with pytest.raises(DataError, match="not positive"):
        lt.prognosis(data.assign(AVAL=0.0), models=models, horizons=[4], seed=1)
    with pytest.raises(DataError, match="nothing to predict"):
        lt.prognosis(data.assign(CNSR=1), models=models, horizons=[4], seed=1)


def test_a_cohort_without_censoring_is_judged():
    data = cohort(60)
    data["AVAL"] = np.exp(-data["M1"] + np.random.default_rng(0).normal(0, 0.5, 60))
    result = lt.prognosis(
        data.assign(CNSR=0), models={"cox": lt.RidgeCox(MARKERS)}, horizons=[2], **QUICK
    )
    assert value(result, "cox", "harrell_c") > 0.7


def test_bilirubin_and_more_in_the_pbc_trial(shared_data):
    """312 randomised subjects, 125 deaths: the Mayo model's features beat bilirubin alone."""
    data = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbc.csv").head(312)
    data = data.assign(
        USUBJID=data["id"].astype(str), AVAL=data["time"] / 365.25,
        CNSR=data["status"].ne(2).astype(int), LBILI=np.log(data["bili"]),
        LPROT=np.log(data["protime"]),
    )  # fmt: skip
    mayo = ["age", "edema", "LBILI", "albumin", "LPROT"]
    result = lt.prognosis(
        data, horizons=[5], n_boot=200, seed=1,
        models={"mayo": lt.RidgeCox(mayo), "bilirubin": lt.RidgeCox(["LBILI"])},
    )  # fmt: skip
    assert 0.8 < value(result, "mayo", "harrell_c") < 0.88
    pair = result.comparison[result.comparison["metric"].eq("auc")].iloc[0]
    assert pair["conf_low"] > 0


@pytest.mark.slow
def test_a_trial_of_the_published_size_puts_the_markers_ahead_of_age():
    """222 subjects, about 41 events, as published for radiomics of the liver."""
    rng = np.random.default_rng(2)
    n = 222
    data = pd.DataFrame(rng.normal(size=(n, 30)), columns=[f"F{k:02d}" for k in range(30)])
    data["AGE"] = rng.normal(55, 10, n)
    true = rng.exponential(30 / np.exp(0.9 * (data["F00"] + data["F01"]) + 0.02 * data["AGE"] - 1))
    lost = rng.uniform(2, 7, n)
    data = data.assign(
        USUBJID=[f"S{k:03d}" for k in range(n)], AVAL=np.minimum(true, lost),
        CNSR=(true > lost).astype(int),
    )  # fmt: skip
    features = [c for c in data if c.startswith("F")]
    result = lt.prognosis(
        data, horizons=[2, 4], n_repeats=3, n_boot=1000, seed=4,
        models={
            "cox": lt.RidgeCox(features, n_features=(3, 10, 0)),
            "forest": lt.SurvivalForest(features),
            "age": lt.RidgeCox(["AGE"], penalties=(0.01,)),
        },
    )  # fmt: skip
    assert 30 <= result.settings["n_events"] <= 60
    pairs = result.comparison[result.comparison["metric"].eq("uno_c")].set_index("model_1")
    assert pairs.loc["forest", "conf_low"] > 0
    assert pairs[pairs["model_2"].eq("age")].loc["cox", "conf_low"] > 0
