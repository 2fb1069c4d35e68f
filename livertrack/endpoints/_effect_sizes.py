"""Standardised mean differences and Cliff's delta of two independent samples, with limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import nct, norm

Vector = NDArray[np.float64]

#: spread below this share of the largest absolute value is rounding, not variation
TINY = 1e-12


class Estimate(NamedTuple):
    """An estimate with its confidence limits; NaN where it is not defined."""

    value: float
    low: float
    high: float


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


def exact_j(df: float) -> float:
    """Small-sample correction of Hedges (1981) in its exact gamma form; 0 at ``df`` = 1."""
    if df <= 1:
        return 0.0
    return math.exp(math.lgamma(df / 2) - 0.5 * math.log(df / 2) - math.lgamma((df - 1) / 2))


def noncentral_t_limits(t: float, df: float, conf_level: float) -> tuple[float, float]:
    """Limits of the noncentrality whose t distribution puts ``t`` at its tail probabilities."""
    tail = (1 - conf_level) / 2
    targets = np.array([1 - tail, tail])
    low, high = _secant(t, df, targets)
    return (
        low if math.isfinite(low) else _noncentrality(t, df, targets[0]),
        high if math.isfinite(high) else _noncentrality(t, df, targets[1]),
    )


def hedges_g(x: Vector, y: Vector, conf_level: float) -> Estimate:
    """Hedges g of ``x`` over ``y``: pooled SD, exact J, noncentral-t limits times J.

    Needs two values in each sample and a spread above rounding; else undefined.
    """
    m, n = len(x), len(y)
    if m < 2 or n < 2:
        return UNDEFINED
    df = m + n - 2
    pooled = math.sqrt(((m - 1) * x.var(ddof=1) + (n - 1) * y.var(ddof=1)) / df)
    if is_constant(pooled, x, y):
        return UNDEFINED
    difference = float(x.mean() - y.mean())
    scale = math.sqrt(1 / m + 1 / n)
    low, high = noncentral_t_limits(difference / (pooled * scale), df, conf_level)
    j = exact_j(df)
    return Estimate(j * difference / pooled, j * low * scale, j * high * scale)


def glass_delta(x: Vector, y: Vector, conf_level: float) -> Estimate:
    """Glass's delta of ``x`` over ``y``: SD of ``y``, noncentral-t limits on n_y - 1 df.

    The standard error lets the variances differ. No small-sample correction.
    """
    m, n = len(x), len(y)
    if m < 2 or n < 2:
        return UNDEFINED
    spread = float(y.std(ddof=1))
    if is_constant(spread, y):
        return UNDEFINED
    scale = math.sqrt(1 / n + x.var(ddof=1) / (m * spread**2))
    value = float(x.mean() - y.mean()) / spread
    low, high = noncentral_t_limits(value / scale, n - 1, conf_level)
    return Estimate(value, low * scale, high * scale)


def cliffs_delta(
    auc: float, auc_variance: float, sizes: tuple[int, int], conf_level: float, *, null: bool
) -> Estimate:
    """Cliff's delta = 2 AUC - 1 with limits on Fisher's z scale.

    ``null`` takes the variance of the null hypothesis without ties, (m + n + 1) / (3 m n), as
    R's effectsize does; otherwise the variance of the placement values (twice the standard
    error of DeLong's AUC), carried to the z scale. Where the samples do not overlap that
    variance is zero, and the inner limit is Wilson's for min(m, n) of min(m, n) wins.
    """
    delta = 2 * auc - 1
    if math.isnan(delta):
        return UNDEFINED
    m, n = sizes
    z = float(norm.ppf((1 + conf_level) / 2))
    if abs(delta) == 1 and not null:
        smaller = min(m, n)
        inner = delta * (smaller - z**2) / (smaller + z**2)
        return Estimate(delta, *sorted((delta, inner)))
    if null:
        error = math.sqrt((m + n + 1) / (3 * m * n))
    elif math.isnan(auc_variance):
        return Estimate(delta, math.nan, math.nan)
    else:
        error = 2 * math.sqrt(auc_variance) / (1 - delta**2)
    centre = math.atanh(delta) if abs(delta) < 1 else math.copysign(math.inf, delta)
    return Estimate(delta, math.tanh(centre - z * error), math.tanh(centre + z * error))


def is_constant(spread: float, *samples: Vector) -> bool:
    """Whether ``spread`` is nothing but rounding beside the size of the values."""
    return spread <= TINY * max(float(np.abs(sample).max()) for sample in samples)


def _secant(t: float, df: float, targets: Vector) -> tuple[float, float]:
    """Noncentralities of both limits at once; NaN where the secant does not settle.

    On the scale of normal quantiles P(T <= t) is nearly a line in the noncentrality.
    """
    wanted = ndtri(targets)
    slope = math.sqrt(1 + t**2 / (2 * df))
    before = t - wanted * slope
    with np.errstate(all="ignore"):
        miss_before = ndtri(nct.cdf(t, df, before)) - wanted
        now = before + miss_before * slope
        for _ in range(12):
            miss = ndtri(nct.cdf(t, df, now)) - wanted
            step = np.where(miss == miss_before, 0.0, miss * (now - before) / (miss - miss_before))
            before, miss_before, now = now, miss, now - step
            if (np.abs(step) <= 1e-13 * (1 + np.abs(now))).all():
                break
        settled = np.abs(step) <= 1e-11 * (1 + np.abs(now))
    low, high = np.where(settled & (np.abs(miss) < 1e-9), now, np.nan)
    return float(low), float(high)


def _noncentrality(t: float, df: float, probability: float) -> float:
    """Noncentrality at which P(T <= t) is ``probability``."""

    def excess(ncp: float) -> float:
        return float(nct.cdf(t, df, ncp)) - probability

    # P(T <= t) falls as the noncentrality grows; start from the normal approximation
    guess = t - float(norm.ppf(probability)) * math.sqrt(1 + t**2 / (2 * df))
    low, high = _bracket(excess, guess, 1 + 0.5 * abs(t) / math.sqrt(df))
    return float(brentq(excess, low, high, xtol=1e-12, rtol=1e-14))


def _bracket(excess: Callable[[float], float], guess: float, step: float) -> tuple[float, float]:
    low, high = guess - step, guess + step
    for _ in range(60):
        if excess(low) < 0:
            low -= step
        elif excess(high) > 0:
            high += step
        else:
            break
        step *= 1.6
    return low, high
