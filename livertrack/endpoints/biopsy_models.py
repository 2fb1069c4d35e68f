"""Models of biopsy features for `cross_validate`, the same for signature and usual measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from livertrack.endpoints._metrics import PRIMARY
from livertrack.endpoints._representations import centred_logs
from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation.learners import Tabular
from livertrack.errors import UsageError

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Kind = Literal["linear", "forest", "boosting"]

#: rate below which the steps between thresholds are not searched, on the log scale
_NARROW = -12.0


class OrdinalLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Proportional odds with a ridge penalty on the coefficients.

    Parameters
    ----------
    C : float
        Inverse penalty, as in scikit-learn's ``LogisticRegression``: the penalty is
        sum of squared coefficients / (2 C). Thresholds are not penalised.

    Notes
    -----
    logit P(y <= k) = threshold_k - x beta: a positive coefficient means a higher stage. Classes
    are whole numbers in rising order. Checked against: `proportional_odds` without a penalty,
    ``LogisticRegression`` with two classes (tests/endpoints/test_biopsy_models.py).
    """

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, X: Matrix, y: Vector) -> OrdinalLogistic:
        """Fit by L-BFGS with the exact gradient."""
        x = np.asarray(X, float)
        self.classes_, stage = np.unique(np.asarray(y), return_inverse=True)
        n_cuts = len(self.classes_) - 1
        if n_cuts < 1:
            msg = "y has one class: there is nothing to learn"
            raise ValueError(msg)
        share = np.cumsum(np.bincount(stage))[:-1] / len(stage)
        cuts = np.log(share / (1 - share))
        start = np.concatenate([cuts[:1], np.log(np.diff(cuts)), np.zeros(x.shape[1])])
        bounds = [(None, None), *[(_NARROW, None)] * (n_cuts - 1), *[(None, None)] * x.shape[1]]
        found = minimize(
            self._loss, start, args=(x, stage, n_cuts), jac=True, method="L-BFGS-B",
            bounds=bounds, options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-6},
        )  # fmt: skip
        self.thresholds_ = _cuts(found.x[:n_cuts])
        self.coef_ = found.x[n_cuts:]
        self.n_features_in_ = x.shape[1]
        return self

    def predict_proba(self, X: Matrix) -> Matrix:
        """Probability of each class."""
        eta = np.asarray(X, float) @ self.coef_
        below = expit(self.thresholds_[None, :] - eta[:, None])
        edges = np.column_stack([np.zeros(len(eta)), below, np.ones(len(eta))])
        return np.asarray(np.diff(edges, axis=1))

    def predict(self, X: Matrix) -> NDArray[Any]:
        """Give the likeliest class."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _loss(
        self, theta: Vector, x: Matrix, stage: NDArray[np.int64], n_cuts: int
    ) -> tuple[float, Vector]:
        cuts, beta = _cuts(theta[:n_cuts]), theta[n_cuts:]
        eta = x @ beta
        padded = np.concatenate([[-np.inf], cuts, [np.inf]])
        upper, lower = expit(padded[stage + 1] - eta), expit(padded[stage] - eta)
        p = np.maximum(upper - lower, 1e-300)
        up, low = upper * (1 - upper), lower * (1 - lower)
        loss = -np.log(p).sum() + beta @ beta / (2 * self.C)
        slope = x.T @ ((up - low) / p) + beta / self.C
        by_cut = np.array([
            (low / p)[stage == k + 1].sum() - (up / p)[stage == k].sum() for k in range(n_cuts)
        ])  # fmt: skip
        # a step of one threshold moves all above it
        moved = np.cumsum(by_cut[::-1])[::-1]
        moved[1:] *= np.exp(theta[1:n_cuts])
        return float(loss), np.concatenate([moved, slope])


class Composition(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Proportions of tissue types as they are, or as centred log-ratios.

    Parameters
    ----------
    parts : sequence of int
        Places of the columns that are parts; the others are left as they are.
    kind : {"raw", "clr"}
        0.0001 is added to every part before its logarithm. A row with a gap in its parts has
        gaps in all of them.
    """

    def __init__(self, parts: Sequence[int] = (), kind: Literal["raw", "clr"] = "raw") -> None:
        self.parts = parts
        self.kind = kind

    def fit(self, X: Matrix, y: Vector | None = None) -> Composition:
        """Nothing is learned."""
        self.n_features_in_ = np.asarray(X).shape[1]
        return self

    def transform(self, X: Matrix) -> Matrix:
        """Give a copy with the parts transformed."""
        out = np.array(X, float)
        if self.kind == "clr" and len(self.parts):
            out[:, list(self.parts)] = centred_logs(out[:, list(self.parts)])
        return out


def biopsy_models(
    feature_sets: Mapping[str, Sequence[str]],
    *,
    task: Task,
    kinds: Sequence[Kind] = ("linear", "forest", "boosting"),
    n_trees: int = 200,
) -> dict[str, Tabular]:
    """Models of every kind for every feature set, to be compared on the same folds.

    Parameters
    ----------
    feature_sets : mapping of name to columns
        For example signature, usual measures, both. Columns TV1, TV2, ... are parts of a
        composition where a set holds three or more.
    task : {"binary", "ordinal", "continuous"}
        ``linear``: ridge logistic regression; `OrdinalLogistic`; ridge regression. ``forest`` and
        ``boosting``: of classes (binary), else of the stage or value.
    kinds : sequence of {"linear", "forest", "boosting"}
    n_trees : int
        Trees of a forest.

    Returns
    -------
    dict of name to Tabular
        Named ``set`` where there is one kind, else ``set, kind``; give them to `cross_validate`.

    Notes
    -----
    Inside the folds: medians for gaps, means and SDs, and by the inner folds proportions or
    centred log-ratios of the parts, the penalty (0.01 to 10), the features tried at a split of the
    forest, the depth of boosting (100 rounds at a rate of 0.05).
    """
    odd = [kind for kind in kinds if kind not in ("linear", "forest", "boosting")]
    if task not in PRIMARY or odd or not kinds or not feature_sets:
        msg = (
            f"biopsy_models needs feature sets, kinds of linear, forest, boosting (got {odd}) and "
            f"a task of {', '.join(PRIMARY)} (got {task!r})"
        )
        raise UsageError(msg)
    models = {}
    for name, columns in feature_sets.items():
        for kind in kinds:
            label = name if len(kinds) == 1 else f"{name}, {kind}"
            models[label] = _model(list(columns), kind, task, n_trees)
    return models


def _model(columns: list[str], kind: Kind, task: Task, n_trees: int) -> Tabular:
    parts = [k for k, c in enumerate(columns) if c.startswith("TV") and c[2:].isdigit()]
    parts = parts if len(parts) >= 3 else []
    estimator, grid = _estimator(kind, task, n_trees)
    steps = Pipeline([
        ("parts", Composition(parts)),
        ("gaps", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("scale", StandardScaler()),
        ("model", estimator),
    ])  # fmt: skip
    choices = {f"model__{name}": values for name, values in grid.items()}
    if parts:
        choices = {"parts__kind": ["raw", "clr"], **choices}
    return Tabular(steps, columns, choices)


def _estimator(kind: Kind, task: Task, n_trees: int) -> tuple[Any, dict[str, list[Any]]]:
    binary = task == "binary"
    if kind == "forest":
        forest = RandomForestClassifier if binary else RandomForestRegressor
        return forest(n_estimators=n_trees, min_samples_leaf=3), {"max_features": [0.3, 0.7]}
    if kind == "boosting":
        boosting = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
        model = boosting(
            learning_rate=0.05, max_iter=100, min_samples_leaf=10, early_stopping=False
        )
        return model, {"max_depth": [1, 3]}
    if binary:
        return LogisticRegression(max_iter=5000), {"C": [0.1, 1.0, 10.0, 100.0]}
    if task == "ordinal":
        return OrdinalLogistic(), {"C": [0.1, 1.0, 10.0, 100.0]}
    return Ridge(), {"alpha": [0.1, 1.0, 10.0, 100.0]}


def _cuts(theta: Vector) -> Vector:
    """Rising thresholds from the first and the logarithms of the steps."""
    return np.asarray(np.cumsum(np.concatenate([theta[:1], np.exp(theta[1:])])))
