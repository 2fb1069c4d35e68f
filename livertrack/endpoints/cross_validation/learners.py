"""What can be cross-validated: anything that learns from rows and predicts rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import ParameterGrid

from livertrack.endpoints._checks import numeric
from livertrack.endpoints._splits import Task
from livertrack.errors import UsageError

Vector = NDArray[np.float64]
Predictor = Callable[[pd.DataFrame], Vector]


class Learner(Protocol):
    """A model with its tuning: the whole of what must stay inside a fold.

    Rows come as a frame, so that a learner may read numbers from columns as well as images from
    paths. Whatever it learns from other rows (means, selection, a vocabulary, weights) it learns
    in `fit`.
    """

    def candidates(self) -> Sequence[Learner]:
        """Variants among which the inner folds choose; itself alone where nothing is tuned."""
        ...

    def fit(self, rows: pd.DataFrame, y: Vector, task: Task, *, seed: int) -> Predictor:
        """Learn; the predictor gives the probability of 1, the expected stage or the value."""
        ...

    def label(self) -> str:
        """Short text of what distinguishes a candidate, for the table of choices."""
        ...


@dataclass(frozen=True)
class Tabular:
    """A scikit-learn estimator on numeric columns.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Cloned for every fit: scaling, imputation and selection belong into its Pipeline.
    columns : sequence of str
        Features, any unit.
    grid : mapping of parameter name to values
        Candidates of the inner folds, every combination; earlier ones win ties.
    chosen : mapping
        Parameters of this candidate (filled by `candidates`).
    """

    estimator: BaseEstimator
    columns: Sequence[str]
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def candidates(self) -> Sequence[Tabular]:
        """Every combination of the grid."""
        if not self.grid:
            return [self]
        return [replace(self, grid={}, chosen=dict(part)) for part in ParameterGrid(self.grid)]

    def fit(self, rows: pd.DataFrame, y: Vector, task: Task, *, seed: int) -> Predictor:
        """Fit a clone with the candidate's parameters and every ``random_state`` set."""
        model, levels = self.estimated(rows, y, seed=seed)

        def predict(test: pd.DataFrame) -> Vector:
            return expected(model, self.matrix(test), levels, task)

        return predict

    def estimated(self, rows: pd.DataFrame, y: Vector, *, seed: int) -> tuple[Any, Vector]:
        """Fitted clone, and the levels of the outcome that its classes number."""
        model = clone(self.estimator).set_params(**self.chosen)
        states = [
            n for n in model.get_params() if n == "random_state" or n.endswith("__random_state")
        ]
        model.set_params(**dict.fromkeys(states, seed))
        levels = np.unique(y)
        # classifiers want classes, not floats that happen to be whole
        target = np.searchsorted(levels, y) if hasattr(model, "predict_proba") else y
        return model.fit(self.matrix(rows), target), levels

    def matrix(self, rows: pd.DataFrame) -> Vector:
        """Features of rows, as numbers."""
        return np.column_stack([numeric(rows, column) for column in self.columns])

    def label(self) -> str:
        """Give the chosen parameters as text."""
        return ", ".join(f"{name}={value}" for name, value in sorted(self.chosen.items()))


def expected(model: Any, x: Vector, levels: Vector, task: Task) -> Vector:
    """Probability of 1, expected stage or value of every row of features."""
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(x), float)
    share = np.asarray(model.predict_proba(x), float)
    values = levels[np.asarray(model.classes_, int)]
    weight = (values == 1).astype(float) if task == "binary" else values
    return np.asarray(share @ weight, float)


def as_learners(models: Mapping[str, Any], columns: Sequence[str] | None) -> dict[str, Learner]:
    """Give every model as a learner; a bare estimator takes ``columns``."""
    if not models:
        msg = "models: name at least one, e.g. {'ridge': lt.Tabular(Ridge(), ['ALT'])}"
        raise UsageError(msg)
    out: dict[str, Learner] = {}
    for name, model in models.items():
        if isinstance(model, BaseEstimator):
            if not columns:
                msg = (
                    f"models: {name} is an estimator; state its columns, or wrap it in lt.Tabular"
                )
                raise UsageError(msg)
            model = Tabular(model, list(columns))
        if not all(hasattr(model, method) for method in ("candidates", "fit", "label")):
            msg = f"models: {name} has no candidates, fit and label; see lt.Tabular"
            raise UsageError(msg)
        out[str(name)] = model
    return out
