"""Difference of two means over its Welch standard error, for many columns at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

FLAT = 1e-12  # variance of a unit-variance column below which it counts as zero


@dataclass(frozen=True)
class WelchStatistics:
    """Welch statistics of one arm against the reference, one entry per column."""

    estimate: np.ndarray
    std_error: np.ndarray
    df: np.ndarray
    statistic: np.ndarray
    n_arm: np.ndarray
    n_ref: np.ndarray


def welch(values: np.ndarray, is_arm: np.ndarray) -> WelchStatistics:
    """Welch statistics of the rows ``is_arm`` against the other rows; NaN values are left out."""
    first, second = values[is_arm], values[~is_arm]
    n1, n2 = (~np.isnan(first)).sum(0), (~np.isnan(second)).sum(0)
    (m1, v1), (m2, v2) = moments(first, n1), moments(second, n2)
    # a column whose values differ by rounding only (1e-13 of their size) does not vary
    size = np.max(np.abs(np.nan_to_num(values)), axis=0, initial=0.0)
    scale = np.maximum(moments(values, n1 + n2)[1], (1e-7 * size) ** 2)
    scale = np.maximum(np.nan_to_num(scale), np.finfo(float).tiny)
    with np.errstate(divide="ignore", invalid="ignore"):
        v1, v2 = (np.where(v < FLAT * scale, 0.0, v) for v in (v1, v2))
        a, b = v1 / n1, v2 / n2
        estimate, std_error = m1 - m2, np.sqrt(a + b)
        flat = std_error == 0
        statistic = np.where(flat, np.nan, estimate / std_error)
        df = (a + b) ** 2 / (a**2 / (n1 - 1) + b**2 / (n2 - 1))
        # constant within both arms but different between them: beyond any finite statistic
        apart = flat & (np.abs(estimate) > np.sqrt(FLAT * scale))
        statistic = np.where(apart, np.sign(estimate) * np.inf, statistic)
    return WelchStatistics(estimate, std_error, df, statistic, n1, n2)


def moments(part: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of columns; NaN where there are fewer than 1 and 2 values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, np.nansum(part, axis=0) / n, np.nan)
        variance = np.nansum((part - mean) ** 2, axis=0) / (n - 1)
    return mean, np.where(n > 1, variance, np.nan)


def welch_limits(observed: WelchStatistics, conf_level: float) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise Welch t limits of the difference of means."""
    with np.errstate(invalid="ignore"):
        half = stats.t.ppf(0.5 + conf_level / 2, observed.df) * observed.std_error
    return observed.estimate - half, observed.estimate + half
