"""`lt.cross_validate`: scikit-learn peers, nothing outside the fold, leaks refused, chance."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    balanced_accuracy_score,
    classification_report,
    cohen_kappa_score,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import livertrack as lt
from livertrack._results import ard_result
from livertrack.errors import DataError, UsageError

FEATURES = [f"X{k}" for k in range(1, 6)]


def cases(n=80, slices=1, seed=3, effect=1.5):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    frame = pd.DataFrame(rng.normal(size=(n * slices, 5)), columns=FEATURES)
    frame.insert(0, "USUBJID", np.repeat([f"S{k:03d}" for k in range(n)], slices))
    frame["NASH"] = np.repeat(y, slices)
    frame["X1"] += effect * frame["NASH"]
    frame["STAGE"] = np.clip(np.round(frame["X1"] + 1), 0, 3)
    frame["KPA"] = 3 + frame["X1"] + 0.5 * rng.normal(size=len(frame))
    frame["SITEID"] = np.repeat([f"0{k % 4}" for k in range(n)], slices)
    frame["ADT"] = np.repeat(
        pd.date_range("2023-01-01", periods=n).strftime("%Y-%m-%d").to_numpy(), slices
    )
    frame["SHA256"] = [hashlib.sha256(str(k).encode()).hexdigest() for k in range(len(frame))]
    return frame


def logistic():
    return make_pipeline(StandardScaler(), LogisticRegression())


def run(data=None, **options):
    chosen = {"outcome": "NASH", "models": {"logistic": logistic()}, "columns": FEATURES,
              "n_boot": 200, "seed": 11}  # fmt: skip
    return lt.cross_validate(cases() if data is None else data, **(chosen | options))


def value(result, metric, model="logistic", level="subject"):
    table = result.table
    here = (table["metric"] == metric) & (table["model"] == model) & (table["level"] == level)
    return float(table.loc[here, "estimate"].item())


def test_predictions_are_those_of_scikit_learn_on_the_same_folds():
    data = cases()
    result = run(data)
    seen = result.predictions.set_index("USUBJID").loc[data["USUBJID"]]
    for fold in range(5):
        held = (seen["fold"] == fold).to_numpy()
        model = logistic().fit(data.loc[~held, FEATURES].to_numpy(), data.loc[~held, "NASH"])
        expected = model.predict_proba(data.loc[held, FEATURES].to_numpy())[:, 1]
        np.testing.assert_allclose(seen.loc[held, "predicted"], expected, rtol=1e-9)
    auc = roc_auc_score(data["NASH"], seen["predicted"])
    assert value(result, "auc") == pytest.approx(auc, abs=1e-12)


def test_tuning_agrees_with_a_grid_search_on_the_same_inner_folds():
    data = cases(60)
    grid = {"logisticregression__C": [0.001, 0.1, 10.0]}
    result = run(data, models={"tuned": lt.Tabular(logistic(), FEATURES, grid=grid)}, n_inner=3)
    assert set(result.folds["chosen"]) <= {
        f"logisticregression__C={c}" for c in (0.001, 0.1, 10.0)
    }
    # the outer fold again by scikit-learn: any inner partition into subjects gives the same
    # choice where the candidates differ clearly
    held = result.predictions.loc[result.predictions["fold"] == 0, "USUBJID"]
    train = data[~data["USUBJID"].isin(held)]
    search = GridSearchCV(
        logistic(), grid, cv=PredefinedSplit(np.arange(len(train)) % 3), scoring="neg_log_loss"
    ).fit(train[FEATURES].to_numpy(), train["NASH"])
    assert search.best_params_["logisticregression__C"] > 0.001
    assert "0.001" not in result.folds.set_index("fold").loc[0, "chosen"]


def test_ordinal_metrics_are_those_of_scikit_learn():
    data = cases(100)
    model = {"forest": lt.Tabular(RandomForestClassifier(20), FEATURES)}
    result = run(data, outcome="STAGE", task="ordinal", models=model)
    seen = result.predictions
    levels = np.unique(data["STAGE"])
    stage = levels[np.abs(seen["predicted"].to_numpy()[:, None] - levels).argmin(axis=1)]
    y = seen["observed"]
    expected = {
        "quadratic_kappa": cohen_kappa_score(y, stage, weights="quadratic"),
        "balanced_accuracy": balanced_accuracy_score(y, stage),
        "auc_ge_2": roc_auc_score(y >= 2, seen["predicted"]),
    }
    report = classification_report(y, stage, output_dict=True, zero_division=np.nan)
    expected |= {"precision_1": report["1.0"]["precision"], "recall_2": report["2.0"]["recall"],
                 "f1_1": report["1.0"]["f1-score"]}  # fmt: skip
    for metric, number in expected.items():
        assert value(result, metric, "forest") == pytest.approx(number, abs=1e-12), metric


def test_r2_is_one_minus_sse_over_sst():
    data = cases()
    result = run(data, outcome="KPA", task="continuous", models={"ridge": Ridge()})
    seen = result.predictions
    assert value(result, "r2", "ridge") == pytest.approx(
        r2_score(seen["observed"], seen["predicted"]), abs=1e-12
    )


def test_slices_are_also_given_by_patient():
    data = cases(40, slices=3)
    result = run(data)
    assert set(result.table["level"]) == {"subject", "row"}
    seen = result.predictions.groupby("USUBJID")[["observed", "predicted"]].mean()
    assert value(result, "auc") == pytest.approx(
        roc_auc_score(seen["observed"], seen["predicted"]), abs=1e-12
    )
    folds = result.predictions.groupby("USUBJID")["fold"].nunique()
    assert (folds == 1).all()
    sizes = result.table.set_index("level")["n"]
    assert set(sizes.loc["row"]) == {120}
    assert set(sizes.loc["subject"]) == {40}


def test_every_site_is_predicted_by_models_of_the_others():
    data = cases()
    result = run(data, split="leave-one-site-out", site="SITEID")
    joined = result.predictions.merge(data[["USUBJID", "SITEID"]], on="USUBJID")
    assert len(joined[["fold", "SITEID"]].drop_duplicates()) == 4
    assert result.folds["n_test"].sum() == len(data)
    assert set(result.sites["site"]) == {"00", "01", "02", "03"}


def test_a_temporal_split_predicts_the_latest_subjects_only():
    data = cases()
    result = run(data, split="temporal", time="ADT", holdout=0.25)
    held = data.sort_values("ADT")["USUBJID"].tail(20)
    assert set(result.predictions["USUBJID"]) == set(held)


def test_an_external_cohort_is_predicted_by_one_model_of_the_first():
    first, second = cases(seed=1), cases(30, seed=2)
    second["USUBJID"] = "T" + second["USUBJID"]
    result = run(first, split="external", external=second)
    model = logistic().fit(first[FEATURES].to_numpy(), first["NASH"])
    expected = model.predict_proba(second[FEATURES].to_numpy())[:, 1]
    seen = result.predictions.set_index("USUBJID").loc[second["USUBJID"], "predicted"]
    np.testing.assert_allclose(seen, expected, rtol=1e-9)


def test_net_benefit_by_hand():
    # 4 of 10 are events; at threshold 0.2 eight are called, all 4 events among them
    data = pd.DataFrame({"USUBJID": [f"S{k}" for k in range(10)], "NASH": [1] * 4 + [0] * 6})
    from livertrack.endpoints._splits import Problem
    from livertrack.endpoints.cross_validation.levels import decision_curve

    p = np.array([0.9, 0.8, 0.7, 0.3, 0.6, 0.5, 0.4, 0.25, 0.1, 0.05])
    problem = Problem(data["NASH"].to_numpy(float), np.arange(10), None, "binary")
    curve = decision_curve(problem, {"m": p}).set_index("threshold")
    assert curve.loc[0.2, "net_benefit"] == pytest.approx(0.4 - 0.4 * 0.25)
    assert curve.loc[0.2, "net_benefit_all"] == pytest.approx(0.4 - 0.6 * 0.25)


def test_models_are_compared_on_the_same_folds():
    result = run(models={"all": lt.Tabular(logistic(), FEATURES),
                         "noise": lt.Tabular(logistic(), ["X4", "X5"])})  # fmt: skip
    pair = result.comparison.set_index(["level", "metric"]).loc[("subject", "auc")]
    assert pair["difference"] == pytest.approx(
        value(result, "auc", "all") - value(result, "auc", "noise")
    )
    assert pair["conf_low"] > 0
    seen = result.predictions
    assert len(seen[["row", "fold"]].drop_duplicates()) == seen["row"].nunique()


def test_shuffled_labels_give_chance():
    data = cases(150, effect=0.0)
    result = run(data, n_perm=19)
    row = result.table.set_index(["level", "metric"]).loc[("subject", "auc")]
    assert row["conf_low"] < 0.5 < row["conf_high"]
    assert row["p_value"] > 0.05
    assert row["chance"] == pytest.approx(0.5, abs=0.08)


def test_a_real_effect_is_better_than_chance():
    result = run(n_perm=19)
    row = result.table.set_index(["level", "metric"]).loc[("subject", "auc")]
    assert row["p_value"] == pytest.approx(1 / 20)


def test_selection_outside_the_fold_would_look_better_than_inside():
    rng = np.random.default_rng(5)
    noise = pd.DataFrame(rng.normal(size=(60, 400)), columns=[f"F{k}" for k in range(400)])
    noise["USUBJID"], noise["NASH"] = [f"S{k}" for k in range(60)], rng.integers(0, 2, 60)
    names = [c for c in noise if c.startswith("F")]
    inside = make_pipeline(SelectKBest(k=5), LogisticRegression())
    honest = run(noise, models={"m": lt.Tabular(inside, names)})
    best = noise[names].corrwith(noise["NASH"]).abs().nlargest(5).index
    cheated = run(noise, models={"m": lt.Tabular(LogisticRegression(), list(best))})
    assert value(cheated, "auc", "m") > 0.75 > value(honest, "auc", "m")


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_row_order_do_not_change_predictions(workers):
    data = cases(40, slices=2)
    models = {"forest": lt.Tabular(RandomForestClassifier(5), FEATURES)}
    expected = run(data, models=models, n_folds=2, n_perm=2)
    with parallel_config(n_jobs=workers):
        found = run(data.sample(frac=1, random_state=1), models=models, n_folds=2, n_perm=2)
    pd.testing.assert_frame_equal(found.table, expected.table)
    pd.testing.assert_frame_equal(found.predictions, expected.predictions)


def test_rows_whose_labels_repeat_are_not_multiplied():
    data = cases(40)
    labelled = data.set_axis(np.arange(len(data)) // 2, axis=0)
    pd.testing.assert_frame_equal(run(labelled).predictions, run(data).predictions)


def test_the_ard_holds_no_subject_and_gives_the_table_back():
    result = run()
    ard = result.to_ard(analysis="pred")
    assert not ard["stat_chr"].astype(str).str.match(r"^S\d{3}$").any()
    back = ard_result(ard)
    np.testing.assert_array_equal(back.table["estimate"].to_numpy(float), result.table["estimate"])


# leaks that must be refused ---------------------------------------------------------------------


def test_an_image_under_two_subjects_is_refused():
    data = cases()
    data.loc[1, "SHA256"] = data.loc[0, "SHA256"]
    with pytest.raises(
        DataError, match=r"1 image\(s\) \(SHA256\) belong to more than one USUBJID"
    ):
        run(data, hashes=["SHA256"])


def test_an_image_entered_twice_is_refused():
    data = cases(40, slices=2)
    data.loc[1, "SHA256"] = data.loc[0, "SHA256"]
    with pytest.raises(DataError, match="entered twice"):
        run(data, hashes=["SHA256"])


def test_a_subject_under_two_ids_is_refused():
    data = cases()
    data.loc[5, FEATURES] = data.loc[6, FEATURES].to_numpy()
    with pytest.raises(DataError, match="same feature values under another USUBJID"):
        run(data)


def test_a_subject_of_both_cohorts_is_refused():
    with pytest.raises(DataError, match=r"80 subject\(s\) are in both cohorts"):
        run(split="external", external=cases(seed=4))


def test_an_extractor_fitted_on_predicted_subjects_is_refused():
    with pytest.raises(DataError, match=r"signature was fitted on 2 subject\(s\)"):
        run(fitted_on={"signature": ["S001", "S002", "elsewhere"]})


def test_a_part_fitted_before_is_refused():
    data = cases()
    frozen = FrozenEstimator(PCA(2).fit(data[FEATURES].to_numpy()))
    with pytest.raises(UsageError, match="fitted before"):
        run(data, models={"m": lt.Tabular(make_pipeline(frozen, LogisticRegression()), FEATURES)})


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"NASH": 1}, {}, "one level"),
        ({"NASH": 2.5}, {"outcome": "KPA"}, "is not 0/1"),
        ({}, {"split": "temporal"}, "needs the column of the time"),
        ({}, {"split": "leave-one-site-out"}, "needs the column of the site"),
        ({}, {"split": "external"}, "belong together"),
        ({}, {"n_folds": 60}, "too few for 60 folds"),
        ({}, {"models": {}}, "name at least one"),
        ({}, {"columns": None}, "state its columns"),
        ({}, {"models": {"m": "forest"}}, "no candidates, fit and label"),
        ({"X1": "high"}, {}, "not finite numbers"),
        ({"SITEID": None}, {"site": "SITEID"}, "no row has"),
    ],
)
def test_bad_input_says_what_to_do(change, options, message):
    with pytest.raises((DataError, UsageError), match=message):
        run(cases().assign(**change), **options)


def test_missing_outcomes_are_counted():
    data = cases()
    data["NASH"] = data["NASH"].astype(float)
    data.loc[:4, "NASH"] = np.nan
    result = run(data)
    assert "5 of 80 row(s)" in " ".join(result.notes)
    assert set(result.table["n"]) == {75}
