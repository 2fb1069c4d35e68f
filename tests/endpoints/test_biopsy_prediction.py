"""Biopsy prediction: scikit-learn and R peers, no leakage, chance under the null, determinism."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    f1_score,
    r2_score,
    roc_auc_score,
)

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints import _nested_ridge as cv
from livertrack.endpoints import _representations as rep
from livertrack.endpoints import _ridge
from livertrack.endpoints._leakage import require_disjoint
from livertrack.endpoints._metrics import metrics
from livertrack.endpoints._prediction_frames import wilson
from livertrack.endpoints._splits import Problem

TYPES = [f"TV{k:02d}" for k in range(1, 7)]
LABS = ["ALT", "STIFF"]
QUICK = {"seed": 3, "n_folds": 4, "n_repeats": 1, "n_perm": 0, "n_boot": 100}


def cohort(n: int = 60, signal: float = 3.0, seed: int = 0) -> pd.DataFrame:
    """Invented subjects whose outcome follows the first tissue type."""
    rng = np.random.default_rng(seed)
    parts = rng.dirichlet(np.full(6, 4.0), n)
    latent = signal * (parts[:, 0] - parts[:, 0].mean()) / parts[:, 0].std() + rng.normal(size=n)
    frame = pd.DataFrame(parts, columns=TYPES)
    return frame.assign(
        USUBJID=[f"s{k:03d}" for k in range(n)],
        SITEID=np.where(np.arange(n) % 3 == 0, "S1", "S2"),
        ALT=rng.normal(40, 10, n),
        STIFF=rng.normal(3, 0.6, n),
        NASH=(latent > np.median(latent)).astype(int),
        STAGE=np.digitize(latent, np.quantile(latent, [0.4, 0.7, 0.9])),
        SCORE=latent,
    )


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return cohort()


@pytest.fixture(scope="module")
def result(data):
    return lt.biopsy_prediction(
        data, outcome="NASH", site="SITEID", feature_sets={"signature": TYPES, "labs": LABS},
        seed=3, n_repeats=2, n_perm=39, n_boot=300,
    )  # fmt: skip


def value(result, metric: str, name: str = "signature", column: str = "estimate") -> float:
    table = result.table
    row = table[(table["feature_set"] == name) & (table["metric"] == metric)]
    return float(row[column].item())


# engines against their peers


def test_ridge_logistic_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 4))
    for y in ((x[:, 0] + rng.normal(size=50) > 0), x[:, 0] > 0):  # the second is separable
        y = y.astype(float)
        train = np.vstack([np.ones(50), np.arange(50) % 3 > 0])
        penalties = np.array([0.1, 1.0, 50.0])
        got = _ridge.logistic(np.stack([x, x]), y, train, penalties, tol=1e-9)
        for place, rows in enumerate(train.astype(bool)):
            for which, penalty in enumerate(penalties):
                peer = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
                want = peer.fit(x[rows], y[rows]).decision_function(x)
                np.testing.assert_allclose(got[place, which], want, atol=2e-6)
        quick = _ridge.logistic(np.stack([x, x]), y, train, penalties)
        np.testing.assert_allclose(quick, got, atol=1e-5)


def test_ridge_regression_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    train = (np.arange(30) % 4 > 0)[None]
    got = _ridge.linear(x[None], y, train.astype(float), np.array([0.5, 20.0]))
    for which, penalty in enumerate((0.5, 20.0)):
        peer = Ridge(penalty).fit(x[train[0]], y[train[0]])
        np.testing.assert_allclose(got[0, which], peer.predict(x), rtol=1e-8)


def test_merging_agrees_with_scipy() -> None:
    for seed in range(5):
        points = np.random.default_rng(seed).normal(size=(9, 20))
        distance = 1 - np.corrcoef(points)
        tree = linkage(squareform(distance, checks=False), "average")
        for groups in (2, 4, 6):
            want = fcluster(tree, groups, "maxclust")
            got = rep.average_linkage(distance, [groups])[groups]
            same = got[:, None] == got[None, :]
            np.testing.assert_array_equal(same, want[:, None] == want[None, :])


def test_metrics_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    y = (rng.random(40) < 0.4).astype(float)
    p = np.clip(0.3 * y + rng.random(40) * 0.7, 0.01, 0.99).round(2)
    counts = rng.integers(0, 3, 40)
    got = {k: v[0] for k, v in metrics(counts[None].astype(float), y, p, "binary").items()}
    yy, pp = np.repeat(y, counts), np.repeat(p, counts)
    called = pp >= 0.5
    assert got["auc"] == pytest.approx(roc_auc_score(yy, pp))
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(yy, called))
    assert got["f1"] == pytest.approx(f1_score(yy, called))
    assert got["brier"] == pytest.approx(brier_score_loss(yy, pp))
    stage, score = rng.integers(0, 4, 40).astype(float), rng.random(40) * 3
    got = {
        k: v[0] for k, v in metrics(counts[None].astype(float), stage, score, "ordinal").items()
    }
    ss, cc = np.repeat(stage, counts).astype(int), np.repeat(score, counts)
    near = np.abs(cc[:, None] - np.arange(4)).argmin(axis=1)
    assert got["quadratic_kappa"] == pytest.approx(
        cohen_kappa_score(ss, near, weights="quadratic")
    )
    assert got["auc_ge_2"] == pytest.approx(roc_auc_score(ss >= 2, cc))
    got = metrics(counts[None].astype(float), score, stage, "continuous")
    assert got["r2"][0] == pytest.approx(r2_score(cc, np.repeat(stage, counts)))


def test_calibration_and_pairs_agree_with_r(reference: Path) -> None:
    frame = pd.read_csv(reference / "biopsy_prediction_data.csv")
    want = pd.read_csv(reference / "biopsy_prediction.csv", skipinitialspace=True)
    want = want.set_index("statistic")["value"]
    y, p = frame["y"].to_numpy(float), frame["p"].to_numpy()
    ones = np.ones((1, len(y)))
    got = metrics(ones, y, p, "binary")
    for name in ("calibration_slope", "calibration_intercept", "auc", "brier"):
        assert got[name][0] == pytest.approx(want[name], rel=1e-9), name
    stage, score = frame["stage"].to_numpy(float), frame["score"].to_numpy()
    ordinal = metrics(ones, stage, score, "ordinal")
    for name in ("concordance", "r", "mae", "auc_ge_2"):
        assert ordinal[name][0] == pytest.approx(want[name], rel=1e-12), name
    assert ordinal["calibration_slope"][0] == pytest.approx(want["linear_slope"])
    assert metrics(ones, stage, score, "continuous")["r2"][0] == pytest.approx(want["r2"])


def test_wilson_is_the_root_of_the_score_test() -> None:
    low, high = wilson(0.3, 20, 0.95)
    for limit in (low, high):
        z = (0.3 - limit) / math.sqrt(limit * (1 - limit) / 20)
        assert abs(z) == pytest.approx(1.959964, abs=1e-5)
    assert wilson(1.0, 10, 0.95)[1] == 1


# what the result says


def test_a_planted_signal_is_found_and_noise_is_not(result) -> None:
    assert value(result, "auc") > 0.85
    assert value(result, "auc", column="p_value") == 1 / 40
    assert value(result, "auc", "labs") < 0.7
    assert value(result, "auc", "labs", "p_value") > 0.05
    pair = result.comparison[result.comparison["metric"] == "auc"].iloc[0]
    assert pair["conf_low"] > 0
    assert abs(value(result, "auc", column="chance") - 0.5) < 0.1


def test_metrics_confusion_roc_and_predictions_tell_the_same_story(result, data) -> None:
    p = result.predictions
    mean = p[p["feature_set"] == "signature"].groupby("USUBJID")["predicted"].mean()
    y = data.set_index("USUBJID").loc[mean.index, "NASH"]
    assert value(result, "auc") == pytest.approx(roc_auc_score(y, mean))
    cells = result.confusion[result.confusion["feature_set"] == "signature"]
    cells = cells.set_index(["observed", "predicted"])["n"]
    assert cells.sum() == len(data)
    assert value(result, "sensitivity") == pytest.approx(cells[1, 1] / cells[1].sum())
    assert value(result, "accuracy") == pytest.approx((cells[0, 0] + cells[1, 1]) / len(data))
    curve = result.roc[result.roc["feature_set"] == "signature"]
    area = np.trapezoid(curve["tpr"], curve["fpr"]) if hasattr(np, "trapezoid") else None
    assert area is None or area == pytest.approx(value(result, "auc"))
    assert (curve["fpr"].iloc[0], curve["tpr"].iloc[-1]) == (0, 1)
    groups = result.calibration[result.calibration["feature_set"] == "signature"]
    assert groups["n"].sum() == len(data)
    sites = result.sites[result.sites["feature_set"] == "labs"]
    assert sites["n"].tolist() == [20, 40]


def test_choices_are_counted_over_all_outer_folds(result) -> None:
    assert result.choices.groupby("feature_set")["n_folds"].sum().to_dict() == {
        "signature": 10, "labs": 10,
    }  # fmt: skip
    kinds = set(result.choices["representation"])
    assert kinds <= {"raw", "clr", "merged-3", "merged-2"}
    labs = result.choices[result.choices["feature_set"] == "labs"]
    assert set(labs["representation"]) == {"raw"}


def test_ordinal_and_continuous_outcomes_are_predicted(data) -> None:
    ordinal = lt.biopsy_prediction(data, outcome="STAGE", task="ordinal", columns=TYPES, **QUICK)
    assert value(ordinal, "concordance", "features") > 0.8
    assert value(ordinal, "quadratic_kappa", "features") > 0.5
    assert {"auc_ge_1", "auc_ge_2", "auc_ge_3"} <= set(ordinal.table["metric"])
    line = lt.biopsy_prediction(data, outcome="SCORE", task="continuous", columns=TYPES, **QUICK)
    assert value(line, "r2", "features") > 0.6
    assert line.confusion.empty
    assert line.roc.empty


def test_no_subject_identifier_reaches_the_results_data(result, data) -> None:
    ard = result.to_ard(analysis="b1")
    text = ard.to_csv()
    assert not any(name in text for name in data["USUBJID"])
    back = ard_result(ard).frames["predictions"]
    assert len(back) == len(result.predictions)
    assert sorted(back["row"].unique()) == list(range(len(data)))
    # the row number says nothing about the order of the subjects
    first = result.predictions.drop_duplicates("USUBJID").sort_values("USUBJID")["row"]
    assert abs(np.corrcoef(first, range(len(first)))[0, 1]) < 0.5


# no leakage


def test_no_subject_is_on_both_sides_of_any_split(data) -> None:
    twice = pd.concat([data, data.assign(ALT=data["ALT"] + 1)])
    subjects = np.unique(twice["USUBJID"], return_inverse=True)[1]
    y = twice["NASH"].to_numpy(float)
    problem = Problem(y, subjects, None, "binary")
    splits = cv.make_splits(np.random.default_rng(0), problem, 5, 3, by_site=False)
    assert len(splits.train) == 5 * 4
    for train, test in zip(splits.train, splits.test, strict=True):
        assert not set(subjects[train]) & set(subjects[test])
    tested = splits.test[3::4]
    assert (tested.sum(axis=0) == 1).all()
    inner = splits.test[:3].sum(axis=0) + tested[0]
    assert (inner == 1).all()
    with pytest.raises(lt.UsageError, match="2 subject"):
        require_disjoint(np.array([1, 1, 0, 0], bool), np.array([0, 0, 1, 1], bool),
                         np.array([0, 1, 0, 1]))  # fmt: skip


def test_folds_hold_equal_shares_of_the_classes(data) -> None:
    y = data["NASH"].to_numpy(float)
    problem = Problem(y, np.arange(60), None, "binary")
    fold = cv.make_splits(np.random.default_rng(0), problem, 5, 3, by_site=False).fold
    assert pd.Series(y).groupby(fold).sum().tolist() == [6.0] * 5


def test_a_test_row_decides_nothing_about_its_own_prediction(data) -> None:
    values = data[TYPES].to_numpy()
    parts = np.ones(6, bool)
    y = data["NASH"].to_numpy(float)
    problem = Problem(y, np.arange(60), None, "binary", (values,), (parts,))
    splits = cv.make_splits(np.random.default_rng(0), problem, 5, 3, by_site=False)
    before = cv.nested(values, parts, problem, splits)
    held = splits.fold == splits.fold[0]
    # other labels and features in one test fold: predictions of that fold follow its features only
    flipped = replace(problem, y=np.where(held, 1 - y, y))
    after = cv.nested(values, parts, flipped, splits)
    np.testing.assert_array_equal(after.predicted[held], before.predicted[held])
    moved = values.copy()
    moved[0] = moved[0][::-1]
    other = cv.nested(moved, parts, problem, splits)
    rest = held.copy()
    rest[0] = False
    np.testing.assert_allclose(other.predicted[rest], before.predicted[rest], rtol=1e-12)
    assert other.predicted[0] != before.predicted[0]


def test_leaks_are_refused(data) -> None:
    with pytest.raises(lt.UsageError, match="NASH is the outcome"):
        lt.biopsy_prediction(data, outcome="NASH", columns=[*TYPES, "NASH"], **QUICK)
    copied = data.assign(COPY=data["NASH"].astype(float))
    with pytest.raises(lt.DataError, match="COPY equal the outcome"):
        lt.biopsy_prediction(copied, outcome="NASH", columns=[*TYPES, "COPY"], **QUICK)
    twin = data.copy()
    twin.loc[[4, 9], [*TYPES, *LABS]] = twin.loc[[5, 10], [*TYPES, *LABS]].to_numpy()
    with pytest.raises(lt.DataError, match="2 row") as error:
        lt.biopsy_prediction(twin, outcome="NASH", columns=TYPES + LABS, **QUICK)
    assert "s00" not in str(error.value)
    moved = pd.concat([data, data.head(1).assign(SITEID="S9", ALT=1.0)])
    with pytest.raises(lt.DataError, match=r"1 subject.* more than one SITEID"):
        lt.biopsy_prediction(moved, outcome="NASH", site="SITEID", columns=TYPES, **QUICK)


def test_equal_whole_numbers_are_no_twins(data) -> None:
    scores = data.assign(A=np.arange(60) % 4, B=np.arange(60) % 3)
    found = lt.biopsy_prediction(scores, outcome="NASH", columns=["A", "B"], **QUICK)
    assert value(found, "auc", "features") < 0.75


def test_two_biopsies_of_a_subject_stay_together(data) -> None:
    rng = np.random.default_rng(5)
    again = data.assign(**{name: data[name] + rng.normal(0, 1e-3, 60) for name in TYPES + LABS})
    both = pd.concat([data, again])
    found = lt.biopsy_prediction(both, outcome="NASH", columns=LABS, **(QUICK | {"n_perm": 5}))
    # noise of which every row has a near copy: a split by rows would be nearly perfect
    assert value(found, "auc", "features") < 0.75
    assert value(found, "auc", "features", "n_subjects") == 60
    assert value(found, "auc", "features", "n") == 120
    folds = found.predictions.groupby("USUBJID")["fold"].nunique()
    assert (folds == 1).all()


def test_shuffled_labels_give_chance() -> None:
    found = []
    for seed in range(6):
        frame = cohort(50, seed=seed)
        frame["NASH"] = np.random.default_rng(seed).permutation(frame["NASH"])
        quick = lt.biopsy_prediction(frame, outcome="NASH", columns=TYPES + LABS, **QUICK)
        found.append(value(quick, "auc", "features"))
    # standard error of the mean of six AUCs of 25 v 25: about 0.034
    assert abs(np.mean(found) - 0.5) < 0.1


def test_permutations_stay_within_sites_and_keep_rows_of_a_subject_together(data) -> None:
    subjects = np.repeat(np.arange(10), 2)
    sites = np.repeat([0, 1], 10)
    problem = Problem(np.zeros(20), subjects, sites, "binary")
    order = cv.shuffled_rows(np.random.default_rng(1), problem)
    assert sorted(order) == list(range(20))
    np.testing.assert_array_equal(sites[order], sites)
    pairs = subjects[order].reshape(10, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert (pairs[:, 0] != np.arange(10)).any()


# determinism


def test_one_or_two_workers_give_the_same_bytes(data) -> None:
    options = {"outcome": "NASH", "columns": TYPES, **(QUICK | {"n_perm": 24})}
    one = lt.biopsy_prediction(data, **options)
    with parallel_config("loky", n_jobs=2):
        two = lt.biopsy_prediction(data, **options)
    for name, frame in one.frames().items():
        pd.testing.assert_frame_equal(two.frames()[name], frame, check_exact=True)


def test_row_order_column_order_and_index_change_nothing(data) -> None:
    options = {"outcome": "NASH", "columns": TYPES, **QUICK}
    want = lt.biopsy_prediction(data, **options)
    turned = data.sample(frac=1, random_state=2)[data.columns[::-1]].set_axis([0] * 60)
    got = lt.biopsy_prediction(turned, **options)
    pd.testing.assert_frame_equal(got.table, want.table)
    pd.testing.assert_frame_equal(got.predictions, want.predictions)


def test_a_further_feature_set_leaves_the_others_as_they_are(data) -> None:
    alone = lt.biopsy_prediction(data, outcome="NASH", feature_sets={"labs": LABS}, **QUICK)
    both = lt.biopsy_prediction(
        data, outcome="NASH", feature_sets={"labs": LABS, "types": TYPES}, **QUICK
    )
    rows = both.table[both.table["feature_set"] == "labs"]
    pd.testing.assert_frame_equal(rows, alone.table)


# representations


def test_only_proportions_of_tissue_types_become_log_ratios(data) -> None:
    values = data[TYPES + LABS].to_numpy()
    parts = rep.composition_columns(TYPES + LABS, values)
    assert parts.tolist() == [True] * 6 + [False] * 2
    changes = values - values.mean(axis=0)
    assert not rep.composition_columns(TYPES + LABS, changes).any()
    assert [how.name for how in rep.candidates(parts)] == ["raw", "clr", "merged-3", "merged-2"]
    train = np.ones((1, 60), bool)
    labels = rep.learn_groupings(values[:, parts], train, [3])
    x = rep.represent(values, parts, rep.Representation("merged", 3), train, labels)
    assert x.shape == (1, 60, 5)
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(axis=1), 1)


def test_missing_features_become_medians_of_the_training_rows() -> None:
    values = np.array([[1.0], [np.nan], [3.0], [100.0], [7.0]])
    train = np.array([[1, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)
    filled = rep._imputed(np.stack([values, values]), train)
    assert filled[0, 1, 0] == 3
    assert filled[1, 1, 0] == 5


def test_missing_features_are_counted_and_missing_outcomes_left_out(data) -> None:
    gaps = data.copy()
    gaps.loc[:2, "TV01"] = np.nan
    gaps["NASH"] = gaps["NASH"].where(gaps.index != 7)
    found = lt.biopsy_prediction(gaps, outcome="NASH", columns=TYPES, **QUICK)
    assert found.settings["n_subjects"] == 59
    assert found.notes[0].startswith("1 of 60 row(s)")
    assert "3 missing feature value(s)" in found.notes[1]


# sites and degenerate input


def test_every_site_can_be_a_fold(data) -> None:
    found = lt.biopsy_prediction(
        data, outcome="NASH", site="SITEID", columns=TYPES, leave_site_out=True, **QUICK
    )
    joined = found.predictions.merge(data[["USUBJID", "SITEID"]])
    assert len(joined[["fold", "SITEID"]].drop_duplicates()) == 2
    assert found.settings["n_folds"] == 2
    with pytest.raises(lt.UsageError, match="column of the site"):
        lt.biopsy_prediction(data, outcome="NASH", columns=TYPES, leave_site_out=True, **QUICK)


def test_what_cannot_be_learned_is_refused_with_its_count(data) -> None:
    with pytest.raises(lt.DataError, match="one level"):
        lt.biopsy_prediction(data.assign(NASH=1), outcome="NASH", columns=TYPES, **QUICK)
    rare = data.assign(NASH=(data.index < 3).astype(int))
    with pytest.raises(lt.DataError, match="3 subjects of the rarer class are fewer than 4 folds"):
        lt.biopsy_prediction(rare, outcome="NASH", columns=TYPES, **QUICK)
    with pytest.raises(lt.DataError, match="not 0/1"):
        lt.biopsy_prediction(data, outcome="STAGE", columns=TYPES, **QUICK)
    with pytest.raises(lt.DataError, match="5 subjects are too few"):
        lt.biopsy_prediction(data.head(5), outcome="NASH", columns=TYPES, **QUICK)
    with pytest.raises(lt.DataError, match="no value at all"):
        lt.biopsy_prediction(data.assign(ALT=np.nan), outcome="NASH", columns=LABS, **QUICK)
    with pytest.raises(lt.DataError, match="no row has"):
        lt.biopsy_prediction(data.assign(NASH=np.nan), outcome="NASH", columns=LABS, **QUICK)
    with pytest.raises(lt.UsageError, match=r"task is one of.*n_perm"):
        lt.biopsy_prediction(data, outcome="NASH", columns=LABS, seed=1, task="ranking", n_perm=-1)
    with pytest.raises(lt.UsageError, match="not both"):
        lt.biopsy_prediction(data, outcome="NASH", columns=LABS, feature_sets={"a": LABS}, **QUICK)


def test_a_constant_feature_predicts_nothing_and_breaks_nothing(data) -> None:
    found = lt.biopsy_prediction(data.assign(ALT=1.0), outcome="NASH", columns=["ALT"], **QUICK)
    assert value(found, "auc", "features") == pytest.approx(0.5, abs=0.05)


def test_perfect_separation_has_wilsons_limit() -> None:
    frame = cohort(40)
    frame["ALT"] = frame["NASH"] * 10.0 + np.linspace(0, 1, 40)
    found = lt.biopsy_prediction(frame, outcome="NASH", columns=["ALT"], **QUICK)
    assert value(found, "accuracy", "features") == 1
    assert value(found, "accuracy", "features", "conf_low") == pytest.approx(
        wilson(1, 40, 0.95)[0]
    )
    assert value(found, "sensitivity", "features", "conf_low") < 0.9
    assert math.isnan(value(found, "calibration_slope", "features"))


@pytest.mark.slow
def test_the_permutation_test_keeps_its_level_and_the_interval_its_cover() -> None:
    # 120 trials: 0.05 + 0.06 (three standard errors)
    wrong = cover = 0
    for seed in range(120):
        frame = cohort(40, seed=seed)
        frame["NASH"] = np.random.default_rng(seed).permutation(frame["NASH"])
        found = lt.biopsy_prediction(
            frame, outcome="NASH", columns=TYPES, **(QUICK | {"n_perm": 39, "n_boot": 400})
        )
        wrong += value(found, "auc", "features", "p_value") <= 0.05
        low, high = (value(found, "auc", "features", f"conf_{end}") for end in ("low", "high"))
        cover += low <= 0.5 <= high
    assert wrong / 120 < 0.11
    assert cover / 120 > 0.85
