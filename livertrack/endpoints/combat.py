"""ComBat: take site effects out of features, learned from some rows and applied to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import numeric, require_columns
from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation.learners import Learner, Predictor
from livertrack.errors import DataError, UsageError

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class Learned(NamedTuple):
    """What `Combat.fit` takes from its rows; ``shift`` and ``scale`` are sites x features."""

    sites: tuple[str, ...]
    mean: Vector
    effects: Matrix
    levels: tuple[tuple[Any, ...], ...]
    deviation: Vector
    shift: Matrix
    scale: Matrix
    constant: NDArray[np.bool_]


@dataclass(frozen=True)
class Combat:
    """Location and scale of every site, shrunk towards those of all features (empirical Bayes).

    Parameters
    ----------
    columns : sequence of str
        Features, any unit. Proportions should be log-ratios first (`clr`).
    site : str
        Column of the site, scanner or vendor.
    covariates : sequence of str
        Columns whose effect is kept: numbers as they are, others as levels. Never the outcome of
        a later prediction: it would be taken into the features.
    mean_only : bool
        Only locations differ between sites; they are shrunk as by R's sva, as if a site were one
        row.
    unseen : {"error", "leave"}
        What becomes of rows of a site that was not fitted.
    tolerance : float
        Relative change at which the shrinkage has converged. R's sva stops at 1e-4.

    Notes
    -----
    Source: Johnson, Li and Rabinovic (2007), parametric prior; Fortin et al. (2018) for images.
    Constant features are left as they are. A site needs two rows (one with ``mean_only``).
    Checked against: R sva 3.46 ``ComBat`` (tests/reference/combat.R).
    """

    columns: Sequence[str]
    site: str
    covariates: Sequence[str] = ()
    mean_only: bool = False
    unseen: Literal["error", "leave"] = "error"
    tolerance: float = 1e-10
    learned: Learned | None = field(default=None, repr=False)

    def fit(self, data: pd.DataFrame) -> Combat:
        """Learn sites and covariate effects from the rows of ``data``."""
        if self.unseen not in ("error", "leave"):
            msg = f"unseen is 'error' or 'leave', got {self.unseen!r}"
            raise UsageError(msg)
        if self.site in self.covariates:
            msg = f"covariates: {self.site} is the site; its effect cannot be kept and removed"
            raise UsageError(msg)
        x, sites = self._inputs(data)
        names, batch = np.unique(sites, return_inverse=True)
        sizes = np.bincount(batch)
        least = 1 if self.mean_only else 2
        small = int((sizes < least).sum())
        if small:
            msg = f"data: {small} level(s) of {self.site} have fewer than {least} rows; merge them"
            raise DataError(msg)
        levels = tuple(_levels(data[column]) for column in self.covariates)
        extra = self._covariates(data, levels)
        design = np.column_stack([np.eye(len(names))[batch], extra])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            msg = f"covariates are confounded with {self.site}: their effects cannot be told apart"
            raise DataError(msg)
        effects: Matrix = np.asarray(np.linalg.lstsq(design, x, rcond=None)[0], np.float64)
        mean = np.asarray(sizes / sizes.sum() @ effects[: len(names)], float)
        deviation = np.sqrt(((x - design @ effects) ** 2).mean(axis=0))
        size = np.maximum(np.abs(x).max(axis=0), 1e-300)
        constant = deviation <= 1e-12 * size
        deviation = np.where(constant, 1.0, deviation)
        z = (x - mean - extra @ effects[len(names) :]) / deviation
        shift, scale = np.zeros((len(names), x.shape[1])), np.ones((len(names), x.shape[1]))
        used = ~constant
        for place in range(len(names) if used.any() else 0):
            rows = z[batch == place][:, used]
            shift[place, used], scale[place, used] = self._shrunk(rows)
        learned = Learned(
            tuple(names), mean, effects[len(names) :], levels, deviation, shift, scale, constant
        )
        return replace(self, learned=learned)

    def transform(self, data: pd.DataFrame) -> pd.DataFrame:
        """Give a copy of ``data`` with the site effects taken out of the features."""
        if self.learned is None:
            msg = "fit ComBat before it transforms"
            raise UsageError(msg)
        fit = self.learned
        x, sites = self._inputs(data)
        place = pd.Index(fit.sites).get_indexer(pd.Index(sites))
        unknown = place < 0
        if unknown.any() and self.unseen == "error":
            n = len(np.unique(sites[unknown]))
            msg = (
                f"data: {int(unknown.sum())} row(s) of {n} level(s) of {self.site} that were not "
                "fitted; fit with them, or state unseen='leave'"
            )
            raise DataError(msg)
        kept = fit.mean + self._covariates(data, fit.levels) @ fit.effects
        z = (x - kept) / fit.deviation
        clean = (z - fit.shift[place]) / np.sqrt(fit.scale[place]) * fit.deviation + kept
        clean = np.where(unknown[:, None] | fit.constant, x, clean)
        return data.assign(**dict(zip(self.columns, clean.T, strict=True)))

    def _inputs(self, data: pd.DataFrame) -> tuple[Matrix, NDArray[Any]]:
        require_columns(data, [*self.columns, self.site, *self.covariates])
        x = np.column_stack([numeric(data, column) for column in self.columns])
        named = [self.site, *self.covariates]
        blank = int(np.isnan(x).any(axis=1).sum() + data[named].isna().any(axis=1).sum())
        if blank:
            msg = (
                f"data: {blank} row(s) have blanks in {', '.join([*self.columns, *named])}; "
                "leave them out or impute inside the fold"
            )
            raise DataError(msg)
        return x, data[self.site].astype(str).to_numpy()

    def _covariates(self, data: pd.DataFrame, levels: Sequence[tuple[Any, ...]]) -> Matrix:
        """Numbers, and indicators of all levels but the first; an unknown level is an error."""
        parts = [np.zeros((len(data), 0))]
        for column, known in zip(self.covariates, levels, strict=True):
            if not known:
                parts.append(numeric(data, column)[:, None])
                continue
            codes = pd.Index(known).get_indexer(pd.Index(data[column].astype(str)))
            if (codes < 0).any():
                msg = f"data: {column} has {int((codes < 0).sum())} row(s) of a level not fitted"
                raise DataError(msg)
            parts.append(np.eye(len(known))[codes][:, 1:])
        return np.concatenate(parts, axis=1)

    def _shrunk(self, z: Matrix) -> tuple[Vector, Vector]:
        """Posterior location and scale of one site, from its standardised rows."""
        n, location = len(z), z.mean(axis=0)
        centre, spread = location.mean(), location.var(ddof=1) if len(location) > 1 else 0.0
        if self.mean_only:
            # the posterior of R's sva, which weighs a site as one row
            return (spread * location + centre) / (spread + 1), np.ones(len(location))
        variance = z.var(axis=0, ddof=1)
        middle, width = variance.mean(), variance.var(ddof=1) if len(variance) > 1 else 0.0
        if width <= 0 or spread <= 0:
            return location, variance  # one feature: nothing to borrow from
        shape, rate = 2 + middle**2 / width, middle + middle**3 / width
        shift, scale = location, variance
        for _ in range(10_000):
            moved = (spread * n * location + scale * centre) / (spread * n + scale)
            wider = (((z - moved) ** 2).sum(axis=0) / 2 + rate) / (n / 2 + shape - 1)
            with np.errstate(divide="ignore", invalid="ignore"):
                change = max(
                    np.nanmax(np.abs((moved - shift) / shift)), np.max(np.abs(wider / scale - 1))
                )
            shift, scale = moved, wider
            if change < self.tolerance:
                break
        return shift, scale


@dataclass(frozen=True)
class Harmonised:
    """A learner whose features go through ComBat, fitted on the training rows of each fold.

    Parameters
    ----------
    learner : Learner
        What learns from the clean features, e.g. `Tabular`.
    combat : Combat
        With ``unseen="leave"`` where a whole site is predicted.
    """

    learner: Learner
    combat: Combat

    def candidates(self) -> Sequence[Harmonised]:
        """Give those of the learner."""
        return [Harmonised(candidate, self.combat) for candidate in self.learner.candidates()]

    def fit(self, rows: pd.DataFrame, y: Vector, task: Task, *, seed: int) -> Predictor:
        """Fit ComBat, then the learner on what it leaves."""
        combat = self.combat.fit(rows)
        predict = self.learner.fit(combat.transform(rows), y, task, seed=seed)
        return lambda test: predict(combat.transform(test))

    def label(self) -> str:
        """Give that of the learner."""
        return self.learner.label()


def _levels(cells: pd.Series) -> tuple[Any, ...]:
    """Levels of a covariate that is no number; none for numbers."""
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        return ()
    return tuple(sorted(cells.astype(str).unique()))
