"""Models of biopsy features, and which features carry them."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.linear_model import LogisticRegression, Ridge

import livertrack as lt
from livertrack.endpoints.biopsy_models import Composition, OrdinalLogistic
from livertrack.errors import DataError, UsageError

TYPES = [f"TV{k:02d}" for k in range(1, 7)]
USUAL = ["ALT", "PDFF"]


def livers(n=90, seed=0):
    """Stage drives the ratio of two tissue types; the usual measures know a little of it."""
    rng = np.random.default_rng(seed)
    stage = rng.integers(0, 4, n)
    logs = rng.normal(0, 0.4, (n, 6)) + np.log([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    logs[:, 3] += 0.5 * stage
    shares = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    return pd.DataFrame(shares, columns=TYPES).assign(
        USUBJID=[f"S{k:03d}" for k in range(n)], STAGE=stage, NASH=(stage >= 2).astype(int),
        ALT=40 + 6 * stage + rng.normal(0, 20, n), PDFF=12 + rng.normal(0, 6, n),
    )  # fmt: skip


def ordinal_data(n=300, levels=4):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 3))
    latent = x @ [1.0, -0.5, 0.0] + rng.logistic(size=n)
    return x, np.digitize(latent, np.linspace(-1, 1.5, levels - 1))


def test_without_a_penalty_coefficients_are_those_of_proportional_odds():
    x, y = ordinal_data()
    model = OrdinalLogistic(C=1e9).fit(x, y)
    data = pd.DataFrame(x, columns=["A", "B", "D"]).assign(Y=y)
    fitted = lt.proportional_odds(data, "~ A + B + D", outcome="Y").table
    expected = fitted.set_index("term")["estimate"]
    np.testing.assert_allclose(model.coef_, expected[["A", "B", "D"]], atol=1e-4)


def test_two_classes_are_logistic_regression():
    x, y = ordinal_data(levels=2)
    ours = OrdinalLogistic(C=0.3).fit(x, y)
    theirs = LogisticRegression(C=0.3, tol=1e-8).fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_[0], atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-5)


def test_probabilities_sum_to_one_and_a_penalty_shrinks():
    x, y = ordinal_data()
    loose, tight = OrdinalLogistic(C=100).fit(x, y), OrdinalLogistic(C=0.01).fit(x, y)
    np.testing.assert_allclose(tight.predict_proba(x).sum(axis=1), 1)
    assert np.abs(tight.coef_).sum() < np.abs(loose.coef_).sum()
    assert (np.diff(tight.thresholds_) > 0).all()
    with pytest.raises(ValueError, match="one class"):
        OrdinalLogistic().fit(x, np.zeros(len(x)))


def test_log_ratios_leave_other_columns_alone():
    x = np.array([[0.5, 0.3, 0.2, 70.0], [0.2, 0.2, 0.6, 50.0]])
    out = Composition([0, 1, 2], "clr").fit(x).transform(x)
    np.testing.assert_allclose(out[:, :3].sum(axis=1), 0, atol=1e-12)
    np.testing.assert_array_equal(out[:, 3], x[:, 3])


def test_signature_usual_measures_and_both_are_compared_on_the_same_folds():
    sets = {"signature": TYPES, "usual": USUAL, "both": [*TYPES, *USUAL]}
    models = lt.biopsy_models(sets, task="ordinal", kinds=["linear"])
    assert list(models) == list(sets)
    result = lt.cross_validate(
        livers(),
        outcome="STAGE",
        task="ordinal",
        models=models,
        n_folds=3,
        n_inner=2,
        n_boot=200,
        seed=1,
    )
    pairs = result.comparison[result.comparison["metric"].eq("concordance")]
    first = pairs[pairs["model_1"].eq("signature") & pairs["model_2"].eq("usual")].iloc[0]
    assert first["conf_low"] > 0
    assert {"parts__kind=clr", "parts__kind=raw"} & {
        part.strip() for text in result.folds["chosen"] for part in text.split(",")
    }


@pytest.mark.parametrize(
    "task",
    ["binary", *(pytest.param(t, marks=pytest.mark.slow) for t in ("ordinal", "continuous"))],
)
def test_every_kind_learns_every_task(task):
    models = lt.biopsy_models({"signature": TYPES}, task=task, n_trees=10)
    assert list(models) == [f"signature, {k}" for k in ("linear", "forest", "boosting")]
    outcome = "NASH" if task == "binary" else "STAGE"
    result = lt.cross_validate(
        livers(), outcome=outcome, task=task, models=models, n_folds=2, n_inner=2, n_boot=0, seed=2
    )
    metric = {"binary": "auc", "ordinal": "concordance", "continuous": "r"}[task]
    scores = result.table.loc[result.table["metric"].eq(metric), "estimate"]
    assert len(scores) == 3
    assert scores.min() > (0.35 if task == "continuous" else 0.6)


def test_models_that_do_not_exist_are_refused():
    with pytest.raises(UsageError, match="kinds of linear, forest, boosting"):
        lt.biopsy_models({"a": TYPES}, task="binary", kinds=["svm"])
    with pytest.raises(UsageError, match="a task of binary"):
        lt.biopsy_models({"a": TYPES}, task="rank")


# importance ---------------------------------------------------------------------------------


#: one candidate: nothing to tune
MODEL = lt.Tabular(
    lt.biopsy_models({"s": [*TYPES, *USUAL]}, task="ordinal", kinds=["linear"])["s"].estimator,
    [*TYPES, *USUAL],
)


def importance(data=None, **options):
    arguments = {"outcome": "STAGE", "task": "ordinal", "model": MODEL, "n_folds": 3, "n_inner": 2,
                 "n_permutations": 5, "n_boot": 100, "seed": 1, **options}  # fmt: skip
    return lt.permutation_importance(livers() if data is None else data, **arguments)


def test_the_type_that_follows_the_stage_is_the_most_important():
    result = importance()
    assert result.table.loc[0, "feature"] == "TV04"
    assert result.table.loc[0, "conf_low"] > 0
    noise = result.table.set_index("feature").loc["PDFF"]
    assert noise["conf_low"] < 0.02
    assert "Without TV04" in result.text


def test_the_metric_of_all_features_is_that_of_cross_validate():
    tuned = lt.biopsy_models({"model": USUAL}, task="ordinal", kinds=["linear"])
    found = importance(model=tuned["model"]).table["whole"].iloc[0]
    result = lt.cross_validate(
        livers(), outcome="STAGE", task="ordinal", models=tuned, n_folds=3, n_inner=2, n_boot=0,
        seed=1,
    )  # fmt: skip
    expected = result.table.loc[result.table["metric"].eq("concordance"), "estimate"].iloc[0]
    assert found == expected


def test_all_types_together_matter_more_than_one_of_them():
    one = importance().table.set_index("feature").loc["TV04", "estimate"]
    table = importance(groups={"signature": TYPES, "usual": USUAL}).table
    assert table.loc[0, "feature"] == "signature"
    assert table.loc[0, "estimate"] > one


def test_a_linear_model_loses_twice_the_explained_variance():
    rng = np.random.default_rng(4)
    data = pd.DataFrame(rng.normal(size=(400, 2)), columns=["A", "B"])
    data = data.assign(USUBJID=[f"S{k}" for k in range(400)], Y=2 * data["A"])
    data["Y"] += rng.normal(0, 0.5, 400)
    model = lt.Tabular(Ridge(1e-6), ["A", "B"])
    table = importance(data, outcome="Y", task="continuous", model=model).table
    # Var of 2A - 2A' is twice that of 2A, which is 4 / 4.25 of the variance of Y
    assert table.set_index("feature").loc["A", "estimate"] == pytest.approx(2 * 4 / 4.25, abs=0.15)
    assert table.set_index("feature").loc["B", "estimate"] == pytest.approx(0, abs=0.01)


def test_workers_and_row_order_do_not_change_importance():
    with parallel_config(backend="threading", n_jobs=2):
        second = importance(livers().iloc[::-1]).table
    pd.testing.assert_frame_equal(importance().table, second)


def test_columns_that_the_model_lacks_and_several_rows_are_refused():
    with pytest.raises(UsageError, match="GGT not in the model"):
        importance(groups={"x": ["GGT"]})
    with pytest.raises(UsageError, match="one row per subject"):
        importance(pd.concat([livers(), livers(seed=1)], ignore_index=True))
    with pytest.raises(DataError, match="one level"):
        importance(livers().assign(STAGE=1))
