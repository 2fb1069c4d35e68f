"""Area under the ROC curve and its covariance by placement values (DeLong et al. 1988)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from livertrack.endpoints._effect_sizes import UNDEFINED, Estimate

Vector = NDArray[np.float64]


class Placements(NamedTuple):
    """For each value of one sample, the share of the other sample it lies above or below.

    ``x`` of length m: share of ``y`` below each x (ties count half); ``y`` of length n: share
    of ``x`` above each y. Both have the AUC as their mean.
    """

    x: Vector
    y: Vector

    @property
    def auc(self) -> float:
        """P(x > y) + P(x = y) / 2."""
        return float(self.x.mean()) if len(self.x) and len(self.y) else math.nan

    @property
    def variance(self) -> float:
        """Variance of the AUC; NaN where a sample has fewer than two values."""
        if min(len(self.x), len(self.y)) < 2:
            return math.nan
        return float(self.x.var(ddof=1) / len(self.x) + self.y.var(ddof=1) / len(self.y))


def placements(x: Vector, y: Vector) -> Placements:
    """Placement values of ``x`` and ``y`` from mid-ranks, in n log n."""
    m, n = len(x), len(y)
    if m == 0 or n == 0:
        return Placements(np.full(m, np.nan), np.full(n, np.nan))
    ranks = rankdata(np.concatenate([x, y]))
    return Placements(
        (ranks[:m] - rankdata(x)) / n,
        1 - (ranks[m:] - rankdata(y)) / m,
    )


def auc_interval(placed: Placements, conf_level: float) -> Estimate:
    """AUC with DeLong's limits, cut at 0 and 1 as R's pROC does."""
    auc = placed.auc
    if math.isnan(auc):
        return UNDEFINED
    half = float(norm.ppf((1 + conf_level) / 2)) * math.sqrt(placed.variance)
    if math.isnan(half):
        return Estimate(auc, math.nan, math.nan)
    return Estimate(auc, max(0.0, auc - half), min(1.0, auc + half))


class PairedDifference(NamedTuple):
    """Difference of two AUCs of the same subjects."""

    difference: float
    std_error: float
    low: float
    high: float
    statistic: float
    p_value: float


def paired_difference(
    first: Placements, second: Placements, conf_level: float
) -> PairedDifference:
    """Paired DeLong test of AUC(first) - AUC(second).

    The two sets of placement values belong to the same subjects in the same order. Without
    variation of the difference the test is undefined (NaN) and the limits are too.
    """
    difference = first.auc - second.auc
    dx, dy = first.x - second.x, first.y - second.y
    error = math.sqrt(Placements(dx, dy).variance) if min(len(dx), len(dy)) > 1 else math.nan
    if math.isnan(error) or error <= 0:
        return PairedDifference(difference, error, *[math.nan] * 4)
    half = float(norm.ppf((1 + conf_level) / 2)) * error
    z = difference / error
    p = 2 * float(norm.sf(abs(z)))
    return PairedDifference(difference, error, difference - half, difference + half, z, p)
