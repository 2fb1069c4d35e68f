"""Figures of predictions: what they draw is what the result holds, live or stored."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import livertrack as lt
from livertrack._results import ard_result


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["A", "B"])
    true, lost = rng.exponential(4 / np.exp(frame["A"])), rng.uniform(1, 6, 60)
    return frame.assign(
        USUBJID=[f"S{k}" for k in range(60)], AVAL=np.minimum(true, lost),
        CNSR=(true > lost).astype(int), Y=(frame["A"] + rng.normal(size=60) > 0).astype(int),
    )  # fmt: skip


@pytest.mark.parametrize("stored", [False, True])
def test_risk_groups_and_calibration_are_drawn(data, stored):
    models = {"one": lt.RidgeCox(["A"]), "two": lt.RidgeCox(["B"])}
    result = lt.prognosis(data, models=models, horizons=[2, 3], n_folds=3, n_boot=0, seed=1)
    shown = ard_result(result.to_ard(analysis="p")) if stored else result
    axes = lt.figures.plot_result(shown)
    assert axes[0].get_title(loc="left") == "Calibration at 3"
    assert [t.get_text() for t in axes[0].get_legend().get_texts()] == ["one", "two"]
    steps = axes[1].get_lines()
    assert len(steps) == 3
    last = result.curves[result.curves["model"].eq("one") & result.curves["group"].eq("3 of 3")]
    assert steps[2].get_ydata()[-1] == pytest.approx(1 - last["estimate"].iloc[-1])
    plt.close("all")


def test_courses_of_a_stored_result_run_forward_in_time(data):
    months = data.assign(AVAL=data["AVAL"] * 30)  # as text, 100 comes before 20
    result = lt.prognosis(
        months, models={"one": lt.RidgeCox(["A"])}, horizons=[60, 90], n_folds=3, n_boot=0, seed=1
    )
    axes = lt.figures.plot_result(ard_result(result.to_ard(analysis="p")))
    for line in axes[1].get_lines():
        assert (np.diff(line.get_xdata()) >= 0).all()
        assert (np.diff(line.get_ydata()) >= 0).all()
        assert line.get_ydata().max() <= axes[1].get_ylim()[1]
    plt.close("all")


def test_cross_validated_models_have_curves_by_subject(data):
    twice = pd.concat([data, data.assign(A=data["A"] + 0.1)], ignore_index=True)
    model = {"logistic": lt.Tabular(LogisticRegression(), ["A", "B"])}
    result = lt.cross_validate(twice, outcome="Y", models=model, n_folds=3, n_boot=0, seed=1)
    axes = result.plot()
    assert len(axes) == 2
    rows = result.roc[result.roc["level"].eq("subject")]
    assert len(axes[0].get_lines()[1].get_xdata()) == len(rows)
    plt.close("all")


def test_importance_has_a_row_per_feature(data):
    model = lt.Tabular(LogisticRegression(), ["A", "B"])
    result = lt.permutation_importance(
        data, outcome="Y", model=model, n_folds=3, n_permutations=2, n_boot=20, seed=1
    )
    ax = result.plot()
    assert [t.get_text() for t in ax.get_yticklabels()] == result.table["feature"].tolist()
    plt.close("all")
