"""Models of the time to an event: ridge Cox regression and random survival forests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import numeric
from livertrack.endpoints._partial_likelihood import PartialLikelihood
from livertrack.errors import DataError, UsageError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]
#: rows and times to the probability of an event by each time (rows x times)
RiskPredictor = Callable[[pd.DataFrame, Vector], Matrix]

#: linear predictors are kept within this many units of their mean
_FAR = 15.0


class RiskLearner(Protocol):
    """A model of times to an event, with its tuning: all that must stay inside a fold."""

    columns: Sequence[str]

    def candidates(self) -> Sequence[RiskLearner]:
        """Variants among which the inner folds choose."""
        ...

    def fit(self, rows: pd.DataFrame, time: Vector, event: Flags, *, seed: int) -> RiskPredictor:
        """Learn from rows."""
        ...

    def label(self) -> str:
        """Short text of what distinguishes a candidate."""
        ...


@dataclass(frozen=True)
class RidgeCox:
    """Cox regression with a ridge penalty on standardised features.

    Parameters
    ----------
    columns : sequence of str
        Numeric features, any unit; gaps become the median of the training rows.
    penalties : sequence of float
        Candidates: penalty / 2 x sum of squared coefficients is taken from the mean log partial
        likelihood (as lifelines' ``penalizer``).
    n_features : sequence of int
        Candidates: features with the largest score statistics, refitted alone; 0 keeps all.

    Notes
    -----
    Efron ties; Breslow's baseline hazard. Checked against: lifelines 0.30.3 ``CoxPHFitter``
    (tests/endpoints/test_prognosis.py).
    """

    columns: Sequence[str]
    penalties: Sequence[float] = (0.01, 0.1, 1.0)
    n_features: Sequence[int] = (0,)

    def candidates(self) -> Sequence[RidgeCox]:
        """Every number of features with every penalty."""
        return [
            replace(self, penalties=(p,), n_features=(n,))
            for n, p in product(self.n_features, self.penalties)
        ]

    def fit(self, rows: pd.DataFrame, time: Vector, event: Flags, *, seed: int) -> RiskPredictor:
        """Fit; ``seed`` is not used."""
        if not event.any():
            msg = "no event among the training rows of a fold; use fewer folds"
            raise DataError(msg)
        scaled = _Scaled(rows, self.columns)
        x = scaled(rows)
        order = np.argsort(time, kind="stable")
        time, event, x = time[order], event[order], x[order]
        n = self.n_features[0]
        kept = np.arange(x.shape[1])
        if 0 < n < x.shape[1]:
            telling = np.array([_score(time, event, x[:, [k]]) for k in kept])
            kept = np.sort(np.argsort(-telling.round(10), kind="stable")[:n])
        beta = _ridge(time, event, x[:, kept], float(self.penalties[0]))
        eta = x[:, kept] @ beta
        jumps, at = _breslow(time, event, eta)

        def predict(test: pd.DataFrame, times: Vector) -> Matrix:
            eta = np.clip(scaled(test)[:, kept] @ beta, -_FAR, _FAR)
            total = np.concatenate([[0.0], np.cumsum(jumps)])
            hazard = total[np.searchsorted(at, times, side="right")]
            return np.asarray(-np.expm1(-np.exp(eta)[:, None] * hazard[None, :]))

        return predict

    def label(self) -> str:
        """Penalty and number of features."""
        kept = f", {self.n_features[0]} features" if self.n_features[0] else ""
        return f"penalty={self.penalties[0]:g}{kept}"


@dataclass(frozen=True)
class SurvivalForest:
    """Random survival forest of scikit-survival (extra ``prognosis``).

    Parameters
    ----------
    columns : sequence of str
        Numeric features, any unit; gaps become the median of the training rows.
    n_trees : int
    leaf : sequence of int
        Candidates: fewest subjects of a leaf.
    share : float
        Share of the features tried at a split.

    Notes
    -----
    Source: Ishwaran et al. (2008). The probability is one minus the mean survival of the trees.
    """

    columns: Sequence[str]
    n_trees: int = 200
    leaf: Sequence[int] = (15,)
    share: float = 0.5

    def candidates(self) -> Sequence[SurvivalForest]:
        """Every size of a leaf."""
        return [replace(self, leaf=(size,)) for size in self.leaf]

    def fit(self, rows: pd.DataFrame, time: Vector, event: Flags, *, seed: int) -> RiskPredictor:
        """Grow the trees; bootstrap and splits from ``seed``."""
        try:
            from sksurv.ensemble import RandomSurvivalForest
            from sksurv.util import Surv
        except ImportError as error:
            msg = "SurvivalForest needs scikit-survival: pip install 'livertrack[prognosis]'"
            raise UsageError(msg) from error
        if not event.any():
            msg = "no event among the training rows of a fold; use fewer folds"
            raise DataError(msg)
        scaled = _Scaled(rows, self.columns)
        forest: Any = RandomSurvivalForest(
            n_estimators=self.n_trees, min_samples_leaf=self.leaf[0], max_features=self.share,
            random_state=seed,
        )  # fmt: skip
        forest.fit(scaled(rows), Surv.from_arrays(event, time))

        def predict(test: pd.DataFrame, times: Vector) -> Matrix:
            curves = np.asarray(forest.predict_survival_function(scaled(test), return_array=True))
            curves = np.column_stack([np.ones(len(curves)), curves])
            place = np.searchsorted(forest.unique_times_, times, side="right")
            return 1 - curves[:, place]

        return predict

    def label(self) -> str:
        """Size of a leaf."""
        return f"leaf={self.leaf[0]}"


class _Scaled:
    """Features with gaps filled and standardised as in the training rows."""

    def __init__(self, rows: pd.DataFrame, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        x = self._read(rows)
        seen = ~np.isnan(x).all(axis=0)
        self.middle = np.zeros(x.shape[1])
        self.middle[seen] = np.nanmedian(x[:, seen], axis=0)
        x = np.where(np.isnan(x), self.middle, x)
        self.mean, spread = x.mean(axis=0), x.std(axis=0, ddof=1 if len(x) > 1 else 0)
        constant = spread <= 1e-10 * np.maximum(np.abs(x).max(axis=0), 1e-300)
        self.spread = np.where(constant, np.inf, spread)

    def __call__(self, rows: pd.DataFrame) -> Matrix:
        x = self._read(rows)
        x = np.where(np.isnan(x), self.middle, x)
        return np.asarray((x - self.mean) / self.spread)

    def _read(self, rows: pd.DataFrame) -> Matrix:
        return np.column_stack([numeric(rows, column) for column in self.columns])


def _ridge(time: Vector, event: Flags, x: Matrix, penalty: float) -> Vector:
    """Coefficients that maximise the penalised mean log partial likelihood, by Newton's method."""
    n, p = x.shape
    model = PartialLikelihood(time, event, x)
    beta = np.zeros(p)
    value, score, information = model.derivatives(beta)
    for _ in range(50):
        gradient = score - n * penalty * beta
        step = np.linalg.lstsq(information + n * penalty * np.eye(p), gradient, rcond=None)[0]
        if np.abs(step).max(initial=0.0) < 1e-9:
            break
        size, here = 1.0, value - n * penalty / 2 * float(beta @ beta)
        while size > 1e-6:
            trial = beta + size * step
            value, score, information = model.derivatives(trial)
            if value - n * penalty / 2 * float(trial @ trial) >= here - 1e-9 * abs(here):
                break
            size /= 2
        beta = beta + size * step
        if np.abs(beta).max() > _FAR:
            break  # separated without a penalty: predictions are clipped
    return np.clip(beta, -_FAR, _FAR)


def _score(time: Vector, event: Flags, x: Matrix) -> float:
    """Score statistic of one feature."""
    _, score, information = PartialLikelihood(time, event, x).derivatives(np.zeros(1))
    return float(score[0] ** 2 / information[0, 0]) if information[0, 0] > 1e-12 else 0.0


def _breslow(time: Vector, event: Flags, eta: Vector) -> tuple[Vector, Vector]:
    """Jumps of the baseline cumulative hazard and their times."""
    weight = np.exp(np.clip(eta, -_FAR, _FAR))
    at, died = np.unique(time[event], return_counts=True)
    above = np.concatenate([np.cumsum(weight[::-1])[::-1], [0.0]])
    return died / above[np.searchsorted(time, at, side="left")], at
