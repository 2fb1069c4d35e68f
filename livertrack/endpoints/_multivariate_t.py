"""Probability that correlated t (or normal) statistics all lie between the same two bounds.

Correlations of one factor, r_ij = l_i l_j, which comparisons with one reference have, take two
nested Gauss-Legendre sums and are exact to about 1e-10; any two or three statistics are of that
form unless a loading exceeds 1. Others take a quasi-random sum with a fixed seed, good to about
1e-5.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats
from scipy.stats import qmc

Floats = NDArray[np.float64]
_POINTS = 2**15


class EqualBounds:
    """Distribution of the largest (absolute) of correlated statistics.

    Parameters
    ----------
    correlation : array (m, m)
    df : float
        Degrees of freedom of the common variance; infinite for normal statistics.
    two_sided : bool
        Largest absolute value, or largest value.
    """

    def __init__(self, correlation: Floats, df: float, *, two_sided: bool) -> None:
        self.two_sided, self.df, self.m = two_sided, df, len(correlation)
        self.loadings = _loadings(correlation)
        self.exact = self.loadings is not None
        if self.loadings is None:
            values, vectors = np.linalg.eigh(correlation)
            draws = qmc.Sobol(self.m + 1, rng=np.random.default_rng(0)).random(_POINTS)
            draws = np.clip(draws, 1e-12, 1 - 1e-12)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            z = special.ndtri(draws[:, : self.m]) @ root.T
            t = z / self._scales(draws[:, self.m])[:, None]
            self.largest = np.sort((np.abs(t) if two_sided else t).max(axis=1))

    def inside(self, bound: float) -> float:
        """Probability that the largest statistic is at most ``bound``."""
        if self.loadings is None:
            return float(np.searchsorted(self.largest, bound, side="right") / len(self.largest))
        z, wz = _nodes(240)
        z, wz = 8.5 * z, 8.5 * wz * stats.norm.pdf(8.5 * z)
        if np.isinf(self.df):
            scales, weights = np.ones(1), np.ones(1)
        else:
            u, wu = _nodes(160)
            low, high = np.sqrt(stats.chi2.ppf([1e-16, 1 - 1e-16], self.df) / self.df)
            scales = (low + high) / 2 + (high - low) / 2 * u
            density = 2 * scales * self.df * stats.chi2.pdf(scales**2 * self.df, self.df)
            weights = (high - low) / 2 * wu * density
        spread = np.sqrt(1 - self.loadings**2)
        shift = z[None, :, None] * self.loadings
        upper = special.ndtr((bound * scales[:, None, None] - shift) / spread)
        if self.two_sided:
            upper = upper - special.ndtr((-bound * scales[:, None, None] - shift) / spread)
        return float(weights @ upper.prod(axis=2) @ wz)

    def tail(self, bound: float) -> float:
        """Probability that the largest statistic exceeds ``bound``."""
        return min(1.0, max(0.0, 1 - self.inside(bound)))

    def quantile(self, level: float) -> float:
        """Bound that the largest statistic stays below with probability ``level``."""
        if self.loadings is None:
            return float(np.quantile(self.largest, level))
        bottom, top = 0.0 if self.two_sided else -10.0, 10.0
        while self.inside(top) < level:
            top *= 2
        return float(optimize.brentq(lambda c: self.inside(c) - level, bottom, top, xtol=1e-12))

    def _scales(self, u: Floats) -> Floats:
        if np.isinf(self.df):
            return np.ones_like(u)
        return np.asarray(np.sqrt(stats.chi2.ppf(u, self.df) / self.df))


@cache
def _nodes(count: int) -> tuple[Floats, Floats]:
    x, w = np.polynomial.legendre.leggauss(count)
    return x, w


def _loadings(correlation: Floats) -> Floats | None:
    """Loadings l with r_ij = l_i l_j off the diagonal and |l| < 1, where there are any."""
    m = len(correlation)
    r = correlation - np.diag(np.diag(correlation))
    if np.allclose(r, 0, atol=1e-14):
        return np.zeros(m)
    if m == 2:
        size = np.sqrt(abs(r[0, 1]))
        return np.array([size, np.sign(r[0, 1]) * size]) if size < 1 else None
    # squared loading of i: mean of r_ij r_ik / r_jk over the pairs that allow it
    loadings = np.zeros(m)
    for i in range(m):
        others = [j for j in range(m) if j != i and r[i, j] != 0]
        squares = [
            r[i, j] * r[i, k] / r[j, k] for j in others for k in others if j < k and r[j, k] != 0
        ]
        if not squares or min(squares) < 0:
            return None
        loadings[i] = np.sqrt(np.mean(squares))
    first = int(np.argmax(loadings))
    signs = np.where(np.arange(m) == first, 1.0, np.sign(r[first]))
    loadings = loadings * np.where(signs == 0, 1.0, signs)
    fitted = np.outer(loadings, loadings)
    np.fill_diagonal(fitted, 0.0)
    good = np.abs(fitted - r).max() < 1e-12 and np.abs(loadings).max() < 1 - 1e-6
    return loadings if good else None
