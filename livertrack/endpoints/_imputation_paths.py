"""ANCOVA of completed data sets as a function of what is added to the imputed values.

Estimates are linear in what is added and residual sums of squares quadratic, so that one pass
over the completed data (and, with the jackknife, over the subjects left out) serves every delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from livertrack.endpoints._design import Floats, independent_columns, make_design
from livertrack.endpoints._formula import parse_formula
from livertrack.endpoints._linear import inference_columns
from livertrack.endpoints._lsmeans import contrast_combinations, lsmeans_combinations
from livertrack.endpoints._rubin import pool
from livertrack.errors import DataError

if TYPE_CHECKING:
    from livertrack.endpoints.imputation import Imputation


@dataclass(frozen=True)
class Ancova:
    """One-visit ANCOVA of many responses at once: LS means, then differences.

    Attributes
    ----------
    projector : ndarray (combinations, n)
        Estimate = projector @ y.
    unscaled : ndarray (combinations,)
        Variance = unscaled x residual variance.
    basis : ndarray (n, p)
        Orthonormal columns of the design.
    means, pairs : DataFrame
        Labels of the LS means and of the differences.
    """

    projector: Floats
    unscaled: Floats
    basis: Floats
    means: pd.DataFrame
    pairs: pd.DataFrame
    df: int

    def residual(self, y: Floats) -> Floats:
        """Residuals of responses (..., n)."""
        return np.asarray(y - (y @ self.basis) @ self.basis.T)


def ancova(people: pd.DataFrame, formula: str, arm: str, reference: Any) -> Ancova:
    """ANCOVA with the design of ``people``, one row per subject."""
    design = make_design(parse_formula(formula), people)
    X = design.matrix(people)
    if not independent_columns(X).all() or len(X) <= X.shape[1]:
        msg = f"analysis {formula!r} has aliased terms or too few subjects ({len(X)})"
        raise DataError(msg)
    means = lsmeans_combinations(design, people, by=[arm])
    pairs = contrast_combinations(means, arm=arm, reference=reference, by=[])
    Q, R = np.linalg.qr(X)
    turned = np.linalg.solve(R.T, np.vstack([means.L, pairs.L]).T).T
    return Ancova(
        turned @ Q.T, np.einsum("cp,cp->c", turned, turned), Q, means.labels, pairs.labels,
        len(X) - X.shape[1],
    )  # fmt: skip


@dataclass(frozen=True)
class Path:
    """Analysis of one visit when ``sum_k size_k x direction_k`` is added to imputed values.

    Built by `paths`; ``at(sizes)`` gives the tables of LS means and of differences.
    """

    ancova: Ancova
    base: Floats  # (sets, combinations)
    slope: Floats  # (directions, combinations)
    r00: Floats  # (sets,): residual sum of squares without addition
    r0k: Floats  # (sets, directions)
    rkl: Floats  # (directions, directions)
    left_out: tuple[Floats, Floats] | None  # base (n, c) and slope (n, directions, c) of jackknife

    def at(self, sizes: Sequence[float], conf_level: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        """LS means and differences with ``sizes`` of the directions added."""
        size = np.asarray(sizes, float)
        estimates = self.base + size @ self.slope
        if self.left_out is None:
            rss = self.r00 + 2 * self.r0k @ size + size @ self.rkl @ size
            variances = np.outer(rss / self.ancova.df, self.ancova.unscaled)
            pooled = pool(estimates, variances, float(self.ancova.df))
            columns = inference_columns(pooled.estimate, pooled.std_error, pooled.df, conf_level)
            columns["fraction_missing"] = pooled.fraction_missing
        else:
            without = self.left_out[0] + np.einsum("k,nkc->nc", size, self.left_out[1])
            n = len(without)
            spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
            error = np.sqrt((n - 1) / n * spread)
            columns = inference_columns(
                estimates[0], error, np.full_like(error, np.inf), conf_level
            )
            columns["fraction_missing"] = np.full_like(error, np.nan)
        table = pd.DataFrame(columns)
        k = len(self.ancova.means)
        means = pd.concat([self.ancova.means, table.iloc[:k]], axis=1)
        pairs = pd.concat([self.ancova.pairs, table.iloc[k:].reset_index(drop=True)], axis=1)
        return means, pairs


@dataclass(frozen=True)
class Analyst:
    """The ANCOVA of an imputation, and its jackknife where the imputation has one set."""

    imputation: Imputation
    formula: str

    @cached_property
    def people(self) -> pd.DataFrame:
        """One row per subject."""
        d = self.imputation.sets.shape[2]
        return self.imputation.grid.iloc[::d].reset_index(drop=True)

    @cached_property
    def whole(self) -> Ancova:
        """ANCOVA of all subjects."""
        return self._of(self.people)

    def _of(self, people: pd.DataFrame) -> Ancova:
        s = self.imputation.settings
        return ancova(people, self.formula, s["arm"], s["reference"])

    def paths(self, directions: Floats, visits: Sequence[int]) -> list[Path]:
        """One `Path` per visit number; ``directions`` (k, subjects, visits)."""
        jackknifed = self.imputation.settings["draws"] == "conditional-mean"
        left_out = self._left_out(directions, visits) if jackknifed else None
        found = []
        for number, visit in enumerate(visits):
            y, added = self.imputation.sets[:, :, visit], directions[:, :, visit]
            r0, rk = self.whole.residual(y), self.whole.residual(added)
            found.append(
                Path(
                    self.whole, y @ self.whole.projector.T, added @ self.whole.projector.T,
                    np.einsum("mn,mn->m", r0, r0), r0 @ rk.T, rk @ rk.T,
                    None if left_out is None else (left_out[0][number], left_out[1][number]),
                )
            )  # fmt: skip
        return found

    def _left_out(self, directions: Floats, visits: Sequence[int]) -> tuple[Floats, Floats]:
        """Estimates and slopes without each subject: (visits, n, c), (visits, n, k, c)."""
        base, slope = [], []
        for person, values in enumerate(self.imputation.jackknife()):
            rest = self._of(self.people.drop(index=person).reset_index(drop=True))
            added = np.delete(directions, person, axis=1)
            base.append([rest.projector @ values[:, visit] for visit in visits])
            slope.append([added[:, :, visit] @ rest.projector.T for visit in visits])
        return np.swapaxes(np.array(base), 0, 1), np.swapaxes(np.array(slope), 0, 1)
