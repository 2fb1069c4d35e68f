"""Shapley values: exact, out of fold, and those of another program."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge

import livertrack as lt
from livertrack import figures
from livertrack._results import ard_result
from livertrack.endpoints.shapley import exact_shapley
from livertrack.errors import UsageError

NAMES = ["A", "B", "C"]


def people(n=60, seed=0):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.normal(size=(n, 3)), columns=NAMES)
    data["Y"] = 2 * data["A"] - data["B"] + rng.normal(0, 0.5, n)
    data["SICK"] = (data["Y"] > 0).astype(int)
    return data.assign(USUBJID=[f"S{k:02d}" for k in range(n)])


def explained(data=None, **options):
    arguments = {
        "outcome": "Y", "task": "continuous", "model": lt.Tabular(Ridge(1.0), NAMES),
        "n_folds": 3, "n_boot": 100, "seed": 1, **options,
    }  # fmt: skip
    return lt.shapley_values(people() if data is None else data, **arguments)


def test_a_product_is_shared_equally():
    values, base = exact_shapley(
        lambda x: x[:, 0] * x[:, 1], np.array([[2.0, 3.0]]), np.zeros((1, 2)), [[0], [1]]
    )
    np.testing.assert_allclose(values, [[3.0, 3.0]])
    assert base == 0
    # against (1, 1): 6 - 1 = 5 is shared as (2 - 1 + 6 - 3) / 2 and (3 - 1 + 6 - 2) / 2
    values, base = exact_shapley(
        lambda x: x[:, 0] * x[:, 1], np.array([[2.0, 3.0]]), np.ones((1, 2)), [[0], [1]]
    )
    np.testing.assert_allclose(values, [[2.0, 3.0]])
    assert base == 1


def test_values_are_those_of_the_library_shap(reference):
    spec = importlib.util.spec_from_file_location("shapley_reference", reference / "shapley.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    background, rows, models = module.shapley_models()
    expected = pd.read_csv(reference / "shapley.csv")
    for name, model in models.items():
        found, base = exact_shapley(
            lambda x, m=model: m.predict_proba(x)[:, 1], rows, background, [[k] for k in range(5)]
        )
        wanted = expected[expected["model"].eq(name)].pivot_table(
            index="row", columns="feature", values="value"
        )
        np.testing.assert_allclose(found, wanted, atol=1e-9)
        np.testing.assert_allclose(found.sum(1) + base, model.predict_proba(rows)[:, 1])


@pytest.mark.parametrize(
    ("outcome", "task", "estimator"),
    [("Y", "continuous", Ridge(1.0)), ("SICK", "binary", LogisticRegression()),
     ("SICK", "binary", RandomForestClassifier(10, max_depth=3))],
)  # fmt: skip
def test_values_sum_to_the_out_of_fold_prediction_less_the_base(outcome, task, estimator):
    model = lt.Tabular(estimator, NAMES)
    result = explained(outcome=outcome, task=task, model=model)
    whole = result.values.groupby("USUBJID").agg(
        total=("shapley", "sum"), base=("base", "first"), predicted=("predicted", "first")
    )
    np.testing.assert_allclose(whole["total"] + whole["base"], whole["predicted"], atol=1e-10)
    other = lt.cross_validate(
        people(), outcome=outcome, task=task, models={"model": model}, n_folds=3, n_boot=0, seed=1
    ).predictions.set_index("USUBJID")["predicted"]
    np.testing.assert_allclose(whole["predicted"], other.loc[whole.index])


def test_values_of_a_linear_model_are_slopes_times_distances():
    data = people()
    model = lt.Tabular(Ridge(1e-9), NAMES)
    # all training subjects are the background
    result = explained(data, model=model, n_folds=2, n_background=1000)
    folds = lt.cross_validate(
        data, outcome="Y", task="continuous", models={"model": model}, n_folds=2, n_boot=0, seed=1
    ).predictions
    fold = dict(zip(folds["USUBJID"], folds["fold"], strict=True))
    first = data["USUBJID"].map(fold).eq(0).to_numpy()
    train = data[~first]
    slopes = Ridge(1e-9).fit(train[NAMES].to_numpy(), train["Y"]).coef_
    found = result.values[result.values["USUBJID"].isin(data.loc[first, "USUBJID"])]
    found = found.pivot_table(index="USUBJID", columns="feature", values="shapley")[NAMES]
    wanted = slopes * (data.loc[first, NAMES] - train[NAMES].mean())
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_the_stronger_feature_leads_and_signs_are_those_of_the_slopes():
    table = explained().table.set_index("feature")
    assert list(table.index[:2]) == ["A", "B"]
    assert table.loc["A", "direction"] > 0.9
    assert table.loc["B", "direction"] < -0.9
    assert (table["conf_low"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["conf_high"]).all()


def test_a_group_has_the_sum_for_a_linear_model():
    single = explained().values.pivot_table(index="USUBJID", columns="feature", values="shapley")
    pair = explained(groups={"AB": ["A", "B"], "C": ["C"]})
    found = pair.values.pivot_table(index="USUBJID", columns="feature", values="shapley")
    np.testing.assert_allclose(found["AB"], single["A"] + single["B"], atol=1e-10)
    assert pair.values.loc[pair.values["feature"].eq("AB"), "measured"].isna().all()
    assert pair.table.set_index("feature")["direction"].isna().to_dict() == {
        "AB": True, "C": False,
    }  # fmt: skip


def test_workers_and_row_order_change_nothing():
    with parallel_config(backend="threading", n_jobs=2):
        second = explained(people().iloc[::-1])
    pd.testing.assert_frame_equal(explained().table, second.table)
    pd.testing.assert_frame_equal(explained().values, second.values)


def test_no_subject_reaches_the_results_data_and_the_figure_has_a_row_per_feature():
    stored = ard_result(explained().to_ard(analysis="shares"))
    assert "USUBJID" not in stored.frames["values"]
    axes = figures.plot_result(stored)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["A", "B", "C"]


def test_gaps_go_to_the_model_and_too_many_features_are_refused():
    data = people()
    data.loc[:9, "C"] = np.nan
    model = lt.biopsy_models({"s": NAMES}, task="binary", kinds=["linear"])["s"]
    result = explained(data, outcome="SICK", task="binary", model=model)
    assert np.isfinite(result.values["shapley"]).all()
    many = [f"X{k}" for k in range(13)]
    with pytest.raises(UsageError, match="at most 12 groups"):
        explained(model=lt.Tabular(Ridge(), many))
    with pytest.raises(UsageError, match="GGT not in the model"):
        explained(groups={"x": ["GGT"]})
