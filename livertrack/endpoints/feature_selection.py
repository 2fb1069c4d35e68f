"""Choosing among many features inside the folds: repeatable ones, unlike ones, telling ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from livertrack.endpoints._checks import numeric, require_columns
from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation.learners import Predictor, Tabular
from livertrack.errors import DataError, UsageError

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

#: subjects with repeats without which an intraclass correlation is not worth a decision
_FEWEST = 5


class UncorrelatedFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Keep, of features that correlate, the one that goes most with the outcome.

    Parameters
    ----------
    most : float
        Largest absolute correlation between two features that are both kept.

    Notes
    -----
    Features are visited by their absolute correlation with the outcome, ties and a fit without
    outcome in their own order; constant features go. scikit-learn transformer: it belongs into
    the Pipeline of a `Tabular`, so that every fold fits its own.
    """

    def __init__(self, most: float = 0.9) -> None:
        self.most = most

    def fit(self, X: Matrix, y: Vector | None = None) -> UncorrelatedFeatures:
        """Learn which columns are kept."""
        x = np.asarray(X, float)
        centred = x - x.mean(axis=0)
        size = np.sqrt((centred**2).sum(axis=0))
        varies = size > 1e-10 * np.maximum(np.abs(x).max(axis=0), 1e-300)
        unit = centred / np.where(varies, size, 1.0)
        order = np.arange(x.shape[1])
        if y is not None:
            level = np.asarray(y, float) - np.mean(y)
            telling = np.abs(unit.T @ level).round(12)
            order = np.argsort(-telling, kind="stable")
        kept: list[int] = []
        for column in order[varies[order]]:
            if not kept or np.abs(unit[:, kept].T @ unit[:, column]).max() <= self.most:
                kept.append(int(column))
        self.kept_ = np.array(sorted(kept), np.int64)
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, X: Matrix) -> Matrix:
        """Give the kept columns."""
        return np.asarray(X, float)[:, self.kept_]


@dataclass(frozen=True)
class StableFeatures:
    """A learner that sees only features which repeat scans give again.

    Parameters
    ----------
    learner : Tabular
        What learns from the features that are left.
    repeats : DataFrame, one row per subject and repeat scan
        ``subject``, ``repeat`` and the learner's columns, in the same units.
    subject, repeat : str
        Columns of the subject and of the number of the repeat.
    least : float
        Smallest intraclass correlation ICC(A,1) (two-way, absolute agreement, one scan).
    others : bool
        The repeat scans are of subjects outside the analysis (a test-retest study): all are used
        in every fold, and a predicted subject among them is refused. Otherwise each fold uses the
        repeats of its training subjects.

    Notes
    -----
    Denominator: subjects with every repeat of a feature; at least 5.
    Source: McGraw and Wong (1996). Checked against: `icc` (tests/endpoints/
    test_feature_selection.py).
    """

    learner: Tabular
    repeats: pd.DataFrame
    subject: str = "USUBJID"
    repeat: str = "REPEAT"
    least: float = 0.75
    others: bool = False

    def candidates(self) -> Sequence[StableFeatures]:
        """Give those of the learner."""
        return [replace(self, learner=candidate) for candidate in self.learner.candidates()]

    def fit(self, rows: pd.DataFrame, y: Vector, task: Task, *, seed: int) -> Predictor:
        """Drop what is not repeatable, then fit the learner."""
        held = self.repeats[self.subject].astype(str)
        known = held.isin(set(rows[self.subject].astype(str)))
        used = self.repeats if self.others else self.repeats[known.to_numpy()]
        agreement = repeatable(used, list(self.learner.columns), self.subject, self.repeat)
        kept = [c for c in self.learner.columns if agreement[c] >= self.least]
        if not kept:
            msg = (
                f"repeats: none of {len(agreement)} features has an ICC of {self.least:g} or more "
                f"in {used[self.subject].nunique()} subjects"
            )
            raise DataError(msg)
        predict = replace(self.learner, columns=kept).fit(rows, y, task, seed=seed)
        foreign = set(held)

        def guarded(test: pd.DataFrame) -> Vector:
            shared = len(foreign & set(test[self.subject].astype(str))) if self.others else 0
            if shared:
                msg = f"repeats: {shared} subject(s) with repeat scans are predicted; others=False"
                raise DataError(msg)
            return predict(test)

        return guarded

    def label(self) -> str:
        """Give that of the learner."""
        return self.learner.label()


def repeatable(
    repeats: pd.DataFrame, columns: Sequence[str], subject: str, repeat: str
) -> dict[str, float]:
    """ICC(A,1) of every column; NaN where subjects do not differ and neither do repeats."""
    require_columns(repeats, [subject, repeat, *columns], name="repeats")
    twice = int(repeats.duplicated([subject, repeat]).sum())
    if twice:
        msg = f"repeats: {twice} row(s) repeat a {subject} and {repeat}; keep one of each"
        raise DataError(msg)
    out = {}
    for column in columns:
        cells = repeats.assign(VALUE=numeric(repeats, column, name="repeats"))
        table = cells.pivot_table(index=subject, columns=repeat, values="VALUE").dropna()
        n, k = table.shape
        if n < _FEWEST or k < 2:
            msg = f"repeats: {n} subject(s) with {k} scans each; at least {_FEWEST} with 2"
            raise DataError(msg)
        out[column] = _agreement(table.to_numpy(float))
    return out


def _agreement(y: Matrix) -> float:
    n, k = y.shape
    rows, columns, mean = y.mean(axis=1), y.mean(axis=0), y.mean()
    between = k * ((rows - mean) ** 2).sum() / (n - 1)
    raters = n * ((columns - mean) ** 2).sum() / (k - 1)
    rest = ((y - rows[:, None] - columns + mean) ** 2).sum() / ((n - 1) * (k - 1))
    whole = between + (k - 1) * rest + k / n * (raters - rest)
    return float((between - rest) / whole) if whole > 0 else float("nan")


def selected_features(
    columns: Sequence[str], *, task: Task = "binary", n_features: Sequence[int] = (5, 10, 20),
    penalties: Sequence[float] = (0.1, 1.0, 10.0), correlation: float = 0.9,
) -> Tabular:  # fmt: skip
    """A small model on many features, everything chosen inside the fold.

    Parameters
    ----------
    columns : sequence of str
        Features, any unit, e.g. those of `radiomics`.
    task : {"binary", "ordinal", "continuous"}
        Ridge logistic regression; ridge regression on the stage or the value.
    n_features : sequence of int
        Numbers of features that the inner folds choose from; larger than there are: all.
    penalties : sequence of float
        Ridge penalties that the inner folds choose from, of standardised features.
    correlation : float
        See `UncorrelatedFeatures`.

    Returns
    -------
    Tabular
        Medians for gaps, standardisation, `UncorrelatedFeatures`, the best by their F statistic,
        ridge.
    """
    if not columns or not n_features or not penalties:
        msg = "columns, n_features and penalties: name at least one of each"
        raise UsageError(msg)
    binary = task == "binary"
    model: Any = LogisticRegression(max_iter=2000) if binary else Ridge()
    steps = Pipeline([
        ("gaps", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("scale", StandardScaler()),
        ("unlike", UncorrelatedFeatures(correlation)),
        ("best", _Best(task=task)),
        ("model", model),
    ])  # fmt: skip
    strength = [1 / p for p in penalties] if binary else list(penalties)
    name = "model__C" if binary else "model__alpha"
    return Tabular(steps, list(columns), {"best__n": list(n_features), name: strength})


class _Best(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The ``n`` features with the largest F statistic, or all where there are fewer."""

    def __init__(self, n: int = 10, task: Task = "binary") -> None:
        self.n = n
        self.task = task

    def fit(self, X: Matrix, y: Vector) -> _Best:
        score = f_classif if self.task == "binary" else f_regression
        with np.errstate(divide="ignore", invalid="ignore"):
            self.best_ = SelectKBest(score, k=min(self.n, X.shape[1])).fit(X, y)
        return self

    def transform(self, X: Matrix) -> Matrix:
        return np.asarray(self.best_.transform(X))
