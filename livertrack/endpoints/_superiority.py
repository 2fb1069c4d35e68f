"""Probability of superiority adjusted for baseline covariates and strata, without a model.

In a randomised trial the arms differ in a baseline covariate by chance only. The part of the AUC
that goes along with this chance difference is taken away by the covariance of the two
(nonparametric analysis of covariance), within strata that are averaged.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from livertrack.endpoints._delong import placements
from livertrack.endpoints._effect_sizes import UNDEFINED, Estimate

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Adjusted(NamedTuple):
    """Adjusted probability, subjects used, and subjects in strata too small to be used."""

    estimate: Estimate
    n: int
    n_lost: int


def adjusted_superiority(
    x: Vector, y: Vector, zx: Matrix, zy: Matrix, sx: NDArray[np.int64], sy: NDArray[np.int64],
    conf_level: float,
) -> Adjusted:  # fmt: skip
    """Adjust P(x > y) + P(x = y) / 2.

    Parameters
    ----------
    x, y : array (m,), (n,)
        Outcome of the arm and of the reference, complete.
    zx, zy : array (m, k), (n, k)
        Covariates measured before randomisation, complete; k may be 0.
    sx, sy : array of int (m,), (n,)
        Stratum of each subject.
    conf_level : float

    Returns
    -------
    Adjusted
        Limits on the logit scale. Strata with fewer than two subjects in an arm are left out;
        undefined where none is left.

    Notes
    -----
    Stratum h has weight m_h n_h / (m_h + n_h). Source: Koch, Tangen, Jung and Amara (1998);
    Kawaguchi, Koch and Wang (2011).
    """
    used: list[tuple[float, Vector, Matrix]] = []
    count = lost = 0
    for level in np.union1d(sx, sy):
        a, b = sx == level, sy == level
        m, n = int(a.sum()), int(b.sum())
        if min(m, n) < 2:
            lost += m + n
            continue
        placed = placements(x[a], y[b])
        first, second = np.column_stack([placed.x, zx[a]]), np.column_stack([placed.y, -zy[b]])
        gap = zx[a].mean(axis=0) - zy[b].mean(axis=0)
        covariance = np.cov(first.T) / m + np.cov(second.T) / n
        used.append((m * n / (m + n), np.r_[placed.auc, gap], np.atleast_2d(covariance)))
        count += m + n
    if not used:
        return Adjusted(UNDEFINED, 0, lost)
    share = np.array([weight for weight, _, _ in used])
    share = share / share.sum()
    mean = sum(w * vector for w, (_, vector, _) in zip(share, used, strict=True))
    spread = sum(w**2 * matrix for w, (_, _, matrix) in zip(share, used, strict=True))
    theta, variance = _without_covariates(np.asarray(mean), np.asarray(spread))
    return Adjusted(_logit_limits(theta, variance, conf_level), count, lost)


def _without_covariates(mean: Vector, spread: Matrix) -> tuple[float, float]:
    """Probability and variance after the covariate differences are projected out."""
    slope = np.linalg.pinv(spread[1:, 1:], rcond=1e-10, hermitian=True) @ spread[1:, 0]
    theta = float(mean[0] - slope @ mean[1:])
    return theta, float(spread[0, 0] - slope @ spread[1:, 0])


def _logit_limits(theta: float, variance: float, conf_level: float) -> Estimate:
    if not 0 < theta < 1 or variance <= 0:
        return Estimate(min(max(theta, 0.0), 1.0), math.nan, math.nan)
    half = float(norm.ppf((1 + conf_level) / 2)) * math.sqrt(variance) / (theta * (1 - theta))
    centre = math.log(theta / (1 - theta))
    low, high = (1 / (1 + math.exp(-(centre + side * half))) for side in (-1, 1))
    return Estimate(theta, low, high)
