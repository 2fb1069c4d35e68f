"""Covariate adjustment that keeps a permutation test exact: residuals that ignore the arm.

Each column is regressed on the baseline covariates of all subjects of a comparison, without
looking at their arms. Under the sharp null a relabelling changes neither values nor covariates,
hence not the residuals: permuting labels over them is exact, whatever the regression is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import numeric, require_columns
from livertrack.endpoints._welch import WelchStatistics
from livertrack.errors import DataError

_RANK = 1e-9  # squared length, relative, below which a covariate adds nothing


@dataclass(frozen=True)
class Covariates:
    """Baseline covariates.

    Attributes
    ----------
    shared : array (subjects, covariates)
        Those of every column of values; no column of ones, nothing missing.
    own : array (subjects, columns) or None
        One more covariate of each column of values; NaN only where the value is.
    """

    shared: np.ndarray
    own: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> Covariates:
        """Return the covariates of some subjects."""
        return Covariates(self.shared[rows], None if self.own is None else self.own[rows])

    def of(self, columns: np.ndarray) -> Covariates:
        """Return the covariates of some columns of values."""
        return replace(self, own=None if self.own is None else self.own[:, columns])


@dataclass(frozen=True)
class Residuals:
    """Values without what the covariates explain.

    Attributes
    ----------
    values : array (subjects, columns)
        Residuals; NaN where the value is, and in columns that leave no degree of freedom.
    scale : array (columns,)
        Turns a difference of mean residuals into the least-squares difference given the
        covariates; NaN where these tell the arms apart completely.
    loss : array (columns,)
        Degrees of freedom that the covariates take.
    present : array (columns,)
        Subjects with a value.
    """

    values: np.ndarray
    scale: np.ndarray
    loss: np.ndarray
    present: np.ndarray

    @property
    def inflation(self) -> np.ndarray:
        """Factor of the standard error for the degrees of freedom lost."""
        left = self.present - 2.0 - self.loss
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(left > 0, np.sqrt((self.present - 2.0) / left), np.nan)

    def adjusted(self, seen: WelchStatistics) -> WelchStatistics:
        """Statistics of the residuals on the scale of the covariate-adjusted difference."""
        return replace(
            seen,
            estimate=seen.estimate * self.scale,
            std_error=seen.std_error * self.scale * self.inflation,
            df=np.maximum(seen.df - self.loss, 1.0),
            statistic=seen.statistic / self.inflation + 0.0 * self.scale,
        )


def residuals(values: np.ndarray, regressor: np.ndarray, covariates: Covariates) -> Residuals:
    """Take from every column what a linear regression on the covariates explains.

    Parameters
    ----------
    values : array (subjects, columns)
        NaN = missing: the regression of that column uses the other subjects.
    regressor : array (subjects,)
        What the residuals will be compared by (1 in the arm, 0 in the reference; or the dose).
        It enters ``scale`` only.

    Notes
    -----
    The difference of mean residuals times ``scale`` is the least-squares coefficient of the
    regressor beside the covariates (Frisch and Waugh 1933). Source: Rosenbaum (2002) for the
    test, Lin (2013) for its large-sample validity without the sharp null.
    """
    out = np.full(values.shape, np.nan)
    n_columns = values.shape[1]
    scale, loss = np.full(n_columns, np.nan), np.zeros(n_columns)
    seen = ~np.isnan(values)
    patterns, which = np.unique(seen, axis=1, return_inverse=True)
    for number, rows in enumerate(patterns.T):
        columns = np.flatnonzero(which.ravel() == number)
        here = covariates.at(rows).of(columns)
        part = _regress(values[np.ix_(rows, columns)], regressor[rows], here)
        left = rows.sum() - 2 - part.loss
        kept = np.where(left > 0, part.values, np.nan)
        out[np.ix_(rows, columns)] = kept
        scale[columns], loss[columns] = part.scale, part.loss
    return Residuals(out, scale, loss, seen.sum(axis=0))


def _regress(values: np.ndarray, regressor: np.ndarray, covariates: Covariates) -> Residuals:
    n = len(values)
    basis = _basis(covariates.shared)

    def outside(part: np.ndarray) -> np.ndarray:
        return np.asarray(part - basis @ (basis.T @ part))

    rest, free = outside(values), outside(regressor)
    spread = np.full(values.shape[1], float(free @ free))
    loss = np.full(values.shape[1], float(basis.shape[1] - 1))
    if covariates.own is not None and n:
        own = covariates.own
        centred = own - own.mean(axis=0)
        extra = outside(own)
        length = (extra**2).sum(axis=0)
        usable = length > _RANK * (centred**2).sum(axis=0)
        usable &= length > 0
        weight = np.where(usable, 1 / np.where(usable, length, 1.0), 0.0)
        rest = rest - extra * ((extra * rest).sum(axis=0) * weight)
        spread -= (extra.T @ free) ** 2 * weight
        loss += usable
    total = float(((regressor - regressor.mean()) ** 2).sum()) if n else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(spread > _RANK * total, total / spread, np.nan)
    return Residuals(rest, scale, loss, np.full(values.shape[1], n))


def _basis(shared: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span a constant and the covariates."""
    n = len(shared)
    if not n:
        return np.zeros((0, 1))
    centred = shared - shared.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    centred = centred[:, size > 0] / size[size > 0]
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    kept = left[:, singular > np.sqrt(_RANK)] if centred.shape[1] else left[:, :0]
    return np.column_stack([np.full(n, 1 / np.sqrt(n)), kept])


def covariate_matrix(
    people: pd.DataFrame, columns: Sequence[str], *, name: str = "subjects"
) -> tuple[np.ndarray, list[str]]:
    """Numbers of baseline covariates, one row per subject, and what was done about gaps.

    Numeric columns are taken as they are, missing cells replaced by the mean of all subjects
    (which does not look at the arm); others become one indicator per level, "missing" being one.
    """
    require_columns(people, columns, name=name)
    parts, notes = [np.empty((len(people), 0))], []
    for column in columns:
        missing = int(people[column].isna().sum())
        if missing == len(people):
            msg = f"{name}: {column} is missing for all {missing} subjects; it cannot adjust"
            raise DataError(msg)
        if pd.api.types.is_numeric_dtype(people[column]):
            cells = numeric(people, column, name=name)
            parts.append(np.where(np.isnan(cells), np.nanmean(cells), cells)[:, None])
        else:
            text = people[column].astype(object).where(people[column].notna(), "missing")
            parts.append(pd.get_dummies(text.astype(str)).to_numpy(float)[:, 1:])
        if missing:
            how = (
                "the mean" if pd.api.types.is_numeric_dtype(people[column]) else "their own level"
            )
            notes.append(f"covariate {column}: missing for {missing} subject(s), given {how}")
    return np.column_stack(parts), notes
