"""Simulations of cross-validated performance: intervals, paired differences, chance."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import row, two_arms

FAMILY = "Pathways and prediction"
_ALL, _SOME = ["X0", "X1", "X2", "X3"], ["X2", "X3"]
_SHIFT = np.array([0.9, 0.5, 0.3, 0.0])  # distance of the classes, in SD
_SLOPE = np.array([0.8, 0.4, 0.0, 0.0])


def _measures(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Outcome of half the subjects, and four unrelated normal measures."""
    y = (np.arange(n) % 2).astype(int)
    return y, rng.normal(size=(n, 4))


def _others(predictions: pd.DataFrame, model: str) -> list[np.ndarray]:
    """For each fold the places of the rows its model was fitted to."""
    mine = predictions[predictions["model"] == model].sort_values("row")
    fold = mine["fold"].to_numpy()
    return [np.flatnonzero(fold != number) for number in np.unique(fold)]


def _classes(rng: np.random.Generator, *, n: int) -> Outcome:
    """Truth: mean over folds of the AUC that the fold's own model has in new subjects."""
    y, noise = _measures(rng, n)
    x = noise + y[:, None] * _SHIFT
    data = two_arms(n, 0, Y=y, **dict(zip(_ALL, x.T, strict=True)))
    learner = LinearDiscriminantAnalysis()
    result = lt.cross_validate(
        data, outcome="Y", n_boot=500, seed=int(rng.integers(2**31)),
        models={
            "all": lt.Tabular(learner, _ALL), "some": lt.Tabular(learner, _SOME),
        },
    )  # fmt: skip
    truth = {}
    for name, columns in (("all", _ALL), ("some", _SOME)):
        places = [_ALL.index(column) for column in columns]
        areas = []
        for rows in _others(result.predictions, name):
            weight = learner.fit(x[rows][:, places], y[rows]).coef_[0]
            distance = weight @ _SHIFT[places] / np.linalg.norm(weight)
            areas.append(norm.cdf(distance / math.sqrt(2)))
        truth[name] = float(np.mean(areas))
    found = row(result.table, model="all", level="subject", metric="auc")
    pair = result.comparison[result.comparison["metric"] == "auc"].iloc[0]
    sign = 1 if pair["model_1"] == "all" else -1
    return {
        "auc": covers(found["conf_low"], found["conf_high"], truth["all"]),
        "difference": covers(
            pair["conf_low"], pair["conf_high"], sign * (truth["all"] - truth["some"])
        ),
    }


def _amounts(rng: np.random.Generator, *, n: int) -> Outcome:
    """Truth: mean over folds of the error that the fold's own model makes in new subjects."""
    x = rng.normal(size=(n, 4))
    y = x @ _SLOPE + rng.normal(size=n)
    data = two_arms(n, 0, Y=y, **dict(zip(_ALL, x.T, strict=True)))
    learner = LinearRegression()
    result = lt.cross_validate(
        data, outcome="Y", task="continuous", models={"all": learner}, columns=_ALL, n_boot=500,
        seed=int(rng.integers(2**31)),
    )  # fmt: skip
    squares = []
    for rows in _others(result.predictions, "all"):
        fit = learner.fit(x[rows], y[rows])
        squares.append(1 + float(fit.intercept_**2 + ((fit.coef_ - _SLOPE) ** 2).sum()))
    error = float(np.mean(squares))
    truth = {"rmse": math.sqrt(error), "r2": 1 - error / (1 + float(_SLOPE @ _SLOPE))}
    outcome = {}
    for metric, value in truth.items():
        found = row(result.table, model="all", level="subject", metric=metric)
        outcome[metric] = covers(found["conf_low"], found["conf_high"], value)
    return outcome


def _chance(rng: np.random.Generator, *, n: int) -> Outcome:
    """Measures that know nothing of the outcome."""
    y, x = _measures(rng, n)
    data = two_arms(n, 0, Y=y, **dict(zip(_ALL, x.T, strict=True)))
    table = lt.cross_validate(
        data, outcome="Y", models={"all": LinearDiscriminantAnalysis()}, columns=_ALL, n_boot=0,
        n_folds=3, n_perm=19, seed=int(rng.integers(2**31)),
    ).table  # fmt: skip
    return {"chance": rejects(row(table, model="all", level="subject", metric="auc")["p_value"])}


_SHARED = (
    "Predictions are taken as given, while the folds' models share subjects: limits of a "
    "difference are a little short where one model is much better. The permutation test of each "
    "model refits."
)

SCENARIOS = (
    Scenario(
        name="cross-validation, classes", family=FAMILY, n=500,
        setting="100 subjects, half with the feature, four measures, five folds",
        draw=partial(_classes, n=100),
        claims=(
            Claim(key="auc", method="lt.cross_validate", quantity="AUC of the folds' models"),
            Claim(key="difference", method="lt.cross_validate",
                  quantity="Paired difference of AUC between models", note=_SHARED),
        ),
    ),
    Scenario(
        name="cross-validation, amounts", family=FAMILY, n=500,
        setting="100 subjects, a normal outcome, four measures, five folds",
        draw=partial(_amounts, n=100),
        claims=(
            Claim(key="r2", method="lt.cross_validate", quantity="R2 of the folds' models"),
            Claim(key="rmse", method="lt.cross_validate", quantity="RMSE of the folds' models"),
        ),
    ),
    Scenario(
        name="cross-validation, null", family=FAMILY, n=200,
        setting="60 subjects, measures that know nothing, three folds, 19 permutations",
        draw=partial(_chance, n=60),
        claims=(
            Claim(key="chance", method="lt.cross_validate", quantity="Better than chance",
                  kind="type I error", nominal=0.05, bound="at most"),
        ),
    ),
)  # fmt: skip
