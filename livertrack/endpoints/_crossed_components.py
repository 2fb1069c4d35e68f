"""Variance components of subjects and raters by REML, from tables with gaps.

Random subjects are eliminated in closed form, raters (few) by dense algebra: the cost is that of
one pass over the ratings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Components:
    """Variances between subjects, between raters (0 where fixed or not in the model), residual."""

    subject: float
    rater: float
    residual: float
    loglik: float


class CrossedModel:
    """REML of ``y`` with random subjects, and raters that are absent, fixed or random.

    Parameters
    ----------
    y : array (ratings,)
    subject, rater : int arrays (ratings,)
        Codes 0, 1, ... without gaps.
    """

    def __init__(self, y: Floats, subject: Ints, rater: Ints) -> None:
        self.scale = float(y.std()) or 1.0
        self.y = (y - y.mean()) / self.scale
        self.n, self.k = int(subject.max()) + 1, int(rater.max()) + 1
        size = np.bincount(subject)
        raters = np.eye(self.k)[rater]
        self.columns = np.column_stack([np.ones(len(y)), raters, self.y])
        self.gram = self.columns.T @ self.columns
        sums = np.zeros((self.n, self.columns.shape[1]))
        np.add.at(sums, subject, self.columns)
        # subjects with the same number of ratings shrink alike
        self.sizes, self.counts = np.unique(size, return_counts=True)
        self.squares = np.stack([sums[size == one].T @ sums[size == one] for one in self.sizes])

    def fit(self, raters: str) -> Components:
        """Components of one model; ``raters`` is "none", "fixed" or "random".

        Searched over ratios of standard deviations to the residual one, 0 included.
        """
        # share of the subjects in the variance, first without (or with fixed) raters
        plain = "none" if raters == "random" else raters
        share = optimize.minimize_scalar(
            lambda share: self._deviance(np.array([np.sqrt(share / (1 - share))]), plain),
            bounds=(0.0, 1 - 1e-9), method="bounded", options={"xatol": 1e-12},
        ).x  # fmt: skip
        theta = np.array([np.sqrt(share / (1 - share))])
        if raters == "random":
            for first in (np.append(theta, 0.3), None):  # the second search starts at its end
                theta = self._search(theta if first is None else first)
        theta = np.abs(theta)
        cleared = np.where(theta < 1e-3, 0.0, theta)  # at the end of the range, or near it
        if self._deviance(cleared, raters) <= self._deviance(theta, raters) + 1e-10:
            theta = cleared
        residual = self._residual(theta, raters) * self.scale**2
        rater = float(theta[1] ** 2) * residual if raters == "random" else 0.0
        loglik = -0.5 * self._deviance(theta, raters)
        return Components(float(theta[0] ** 2) * residual, rater, residual, loglik)

    def _search(self, start: Floats) -> Floats:
        """Both ratios with the smallest deviance; no gradients, which vanish at 0."""
        found = optimize.minimize(
            lambda theta: self._deviance(np.abs(theta), "random"), start, method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 2000},
        )  # fmt: skip
        return np.asarray(found.x)

    def _parts(self, theta: Floats, raters: str) -> tuple[Floats, float, int]:
        """Cross-products after the random effects, log-determinant, fixed coefficients."""
        ratio = theta[0] ** 2
        shrink = ratio / (1 + ratio * self.sizes)
        gram = self.gram - np.tensordot(shrink, self.squares, axes=1)
        logdet = float(self.counts @ np.log1p(ratio * self.sizes))
        if raters == "random":
            inside, last = slice(1, 1 + self.k), theta[1] ** 2
            Z = np.eye(self.k) + last * gram[inside, inside]
            logdet += float(np.linalg.slogdet(Z)[1])
            cross = gram[inside]
            gram = gram - last * cross.T @ np.linalg.solve(Z, cross)
        # fixed: a column per rater; otherwise the intercept
        fixed = list(range(1, 1 + self.k)) if raters == "fixed" else [0]
        keep = [*fixed, gram.shape[0] - 1]
        return gram[np.ix_(keep, keep)], logdet, len(fixed)

    def _deviance(self, theta: Floats, raters: str) -> float:
        gram, logdet, p = self._parts(theta, raters)
        rss = self._rss(gram, p)
        logdet += float(np.linalg.slogdet(gram[:p, :p])[1])
        free = len(self.y) - p
        return free * float(np.log(2 * np.pi * max(rss, 1e-300) / free)) + free + logdet

    def _residual(self, theta: Floats, raters: str) -> float:
        gram, _, p = self._parts(theta, raters)
        return self._rss(gram, p) / (len(self.y) - p)

    @staticmethod
    def _rss(gram: Floats, p: int) -> float:
        beta = np.linalg.solve(gram[:p, :p], gram[:p, p])
        return float(gram[p, p] - gram[p, :p] @ beta)
