"""Vectorised bootstrap of two-sample statistics: subjects are resampled within their arm.

A resample is a row of counts, how often each subject was drawn. Counts times values give the
statistic of every resample at once; the jackknife is the same sum with one count less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from livertrack.endpoints._effect_sizes import TINY, exact_j

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: cells of a block of counts; a constant, so that the blocks never depend on the machine
BLOCK = 2_000_000
#: statistics this close are the same (an AUC and one minus its mirror differ by rounding)
_ROUNDING = 1e-12


def count_blocks(
    rng: np.random.Generator, sizes: tuple[int, int], n_boot: int
) -> Iterator[tuple[Matrix, Matrix]]:
    """Blocks of counts (resamples x subjects) of the two arms."""
    step = max(1, BLOCK // max(1, sum(sizes)))
    for start in range(0, n_boot, step):
        rows = min(step, n_boot - start)
        yield _counts(rng, rows, sizes[0]), _counts(rng, rows, sizes[1])


def leave_one_out(sizes: tuple[int, int]) -> tuple[Matrix, Matrix]:
    """Give the counts of the jackknife: one subject left out, first arm first."""
    m, n = sizes
    first = np.vstack([1 - np.eye(m), np.ones((n, m))])
    second = np.vstack([np.ones((m, n)), 1 - np.eye(n)])
    return first, second


def whole_and_resamples(rng: np.random.Generator, n: int, n_boot: int) -> Matrix:
    """Counts (1 + n + n_boot, n) of one sample: all subjects, each left out, resamples."""
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=n_boot).astype(float)
    return np.concatenate([np.ones((1, n)), 1 - np.eye(n), drawn])


def estimate_and_limits(
    values: Vector, n: int, conf_level: float
) -> tuple[float, float, float]:  # fmt: skip
    """Estimate and BCa limits from the values of every row of `whole_and_resamples`."""
    estimate, accel = float(values[0]), acceleration(values[1 : n + 1], (n,))
    return estimate, *bca_limits(values[n + 1 :], estimate, accel, conf_level)


def weighted_g(wx: Matrix, wy: Matrix, x: Vector, y: Vector) -> Vector:
    """Hedges g of every row of counts; NaN where a resample has no spread."""
    sum_x, mean_x, ss_x = _moments(wx, x)
    sum_y, mean_y, ss_y = _moments(wy, y)
    df = sum_x + sum_y - 2
    unique, place = np.unique(df, return_inverse=True)
    j = np.array([exact_j(value) for value in unique])[place]
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.sqrt((ss_x + ss_y) / df)
        floor = TINY * max(np.abs(x).max(initial=0), np.abs(y).max(initial=0))
        defined = (pooled > floor) & (sum_x > 1) & (sum_y > 1)
        return np.where(defined, j * (mean_x - mean_y) / pooled, np.nan)


def weighted_auc(wx: Matrix, wy: Matrix, kernel: Matrix) -> Vector:
    """AUC of every row of counts, from the ``kernel`` of all pairs (see `pair_kernel`).

    Counts and kernel are multiples of one half: the sums are exact whatever their order.
    """
    wins = ((wx @ kernel) * wy).sum(axis=1)
    return np.asarray(wins / (wx.sum(axis=1) * wy.sum(axis=1)), dtype=float)


def pair_kernel(x: Vector, y: Vector) -> Matrix:
    """Matrix of 1 where x > y, 1/2 where tied, 0 where x < y (m x n)."""
    return np.asarray((np.sign(x[:, None] - y[None, :]) + 1) / 2, dtype=float)


def acceleration(jackknife: Vector, sizes: tuple[int, ...]) -> float:
    """Acceleration of BCa for one or more samples, from leave-one-out values in their order.

    Zero where leaving a subject out changes nothing, or where a value is undefined.
    """
    cubes = squares = 0.0
    for part in np.split(jackknife, np.cumsum(sizes)[:-1]):
        if not len(part):
            return 0.0
        influence = (len(part) - 1) * (part.mean() - part) / len(part)
        cubes += np.sum(influence**3).item()
        squares += np.sum(influence**2).item()
    if not math.isfinite(squares) or squares <= 0:
        return 0.0
    return float(cubes / (6 * squares**1.5))


def bca_limits(
    resampled: Vector, estimate: float, accel: float, conf_level: float
) -> tuple[float, float]:
    """Bias-corrected and accelerated limits (Efron 1987); NaN without resamples."""
    values = resampled[~np.isnan(resampled)]
    if len(values) == 0 or math.isnan(estimate):
        return math.nan, math.nan
    bias = _bias(values, estimate)
    z = norm.ppf([(1 - conf_level) / 2, (1 + conf_level) / 2]) + bias
    low, high = np.quantile(values, norm.cdf(bias + z / (1 - accel * z)))
    return float(low), float(high)


def bca_p_value(resampled: Vector, estimate: float, accel: float, null: float = 0.0) -> float:
    """Two-sided p whose BCa interval at level 1 - p just touches ``null``.

    At least 1 / (resamples + 1): no resample can say more.
    """
    values = resampled[~np.isnan(resampled)]
    if len(values) == 0 or math.isnan(estimate):
        return math.nan
    if max(np.abs(values - null).max(), abs(estimate - null)) <= _ROUNDING:
        return 1.0
    below = _share_below(values, null) * len(values)
    bias = _bias(values, estimate)
    at_null = float(norm.ppf((below + 0.5) / (len(values) + 1)))
    w = (at_null - bias) / (1 + accel * (at_null - bias)) - bias
    p = 2 * min(float(norm.cdf(w)), float(norm.sf(w)))
    return min(1.0, max(p, 1 / (len(values) + 1)))


def _bias(values: Vector, estimate: float) -> float:
    """Take the normal quantile of the share of resamples below the estimate."""
    half = 0.5 / len(values)
    return float(norm.ppf(min(max(_share_below(values, estimate), half), 1 - half)))


def _share_below(values: Vector, point: float) -> float:
    """Share of ``values`` below ``point``; equal but for rounding counts half."""
    below = (values < point - _ROUNDING).mean()
    return float((below + (values <= point + _ROUNDING).mean()) / 2)


def _counts(rng: np.random.Generator, rows: int, n: int) -> Matrix:
    if n == 0:
        return np.zeros((rows, 0))
    drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)


def _moments(weights: Matrix, values: Vector) -> tuple[Vector, Vector, Vector]:
    """Sum of counts, mean and sum of squares about the mean of every row.

    Plain sums of numpy, not BLAS: the same bits with any number of threads.
    """
    total = weights.sum(axis=1)
    shift = values.mean() if len(values) else 0.0
    centred = values - shift
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.einsum("bi,i->b", weights, centred) / total
    squares = np.einsum("bi,i->b", weights, centred**2) - total * mean**2
    return total, mean + shift, np.maximum(squares, 0)
