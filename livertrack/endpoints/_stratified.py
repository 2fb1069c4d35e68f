"""Mantel-Haenszel estimates and Newcombe intervals over strata; one stratum is the plain case."""

from __future__ import annotations

import numpy as np
from scipy import stats

from livertrack.endpoints._two_by_two import Counts, Floats


def mh_weights(t: Counts) -> Floats:
    """Mantel-Haenszel weights n1 n0 / (n1 + n0), summing to 1."""
    w = t.n1 * t.n0 / (t.n1 + t.n0)
    return np.asarray(w / w.sum())


def mh_difference(t: Counts) -> tuple[float, float]:
    """Mantel-Haenszel risk difference and its standard error (Sato, Greenland and Robins 1989)."""
    n = t.n1 + t.n0
    total = (t.n1 * t.n0 / n).sum()
    estimate = float(((t.x1 * t.n0 - t.x0 * t.n1) / n).sum() / total)
    P = (t.n1**2 * t.x0 - t.n0**2 * t.x1 + t.n1 * t.n0 * (t.n0 - t.n1) / 2) / n**2
    Q = (t.x1 * (t.n0 - t.x0) + t.x0 * (t.n1 - t.x1)) / (2 * n)
    variance = float((estimate * P.sum() + Q.sum()) / total**2)
    return estimate, float(np.sqrt(max(variance, 0.0)))


def mh_log_ratio(t: Counts) -> tuple[float, float]:
    """Logarithm of the Mantel-Haenszel risk ratio and its SE (Greenland and Robins 1985)."""
    n = t.n1 + t.n0
    R, S = (t.x1 * t.n0 / n).sum(), (t.x0 * t.n1 / n).sum()
    if R == 0 or S == 0:
        return _empty_log(R, S)
    D = (t.n1 * t.n0 * (t.x1 + t.x0) - t.x1 * t.x0 * n) / n**2
    return float(np.log(R / S)), float(np.sqrt(max(D.sum() / (R * S), 0.0)))


def mh_log_odds(t: Counts) -> tuple[float, float]:
    """Logarithm of the Mantel-Haenszel odds ratio and its SE (Robins, Breslow, Greenland 1986)."""
    n = t.n1 + t.n0
    a, b, c, d = t.x1, t.n1 - t.x1, t.x0, t.n0 - t.x0
    R, S, P, Q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    r, s = R.sum(), S.sum()
    if r == 0 or s == 0:
        return _empty_log(r, s)
    variance = (
        (P * R).sum() / (2 * r**2)
        + (P * S + Q * R).sum() / (2 * r * s)
        + (Q * S).sum() / (2 * s**2)
    )
    return float(np.log(r / s)), float(np.sqrt(variance))


def cmh_chi_square(t: Counts) -> float:
    """Cochran-Mantel-Haenszel chi-square on 1 df, without continuity correction."""
    n = t.n1 + t.n0
    x = t.x1 + t.x0
    expected = t.n1 * x / n
    variance = np.where(n > 1, t.n1 * t.n0 * x * (n - x) / (n**2 * np.maximum(n - 1, 1)), 0.0)
    if variance.sum() <= 0:
        return float("nan")
    return float((t.x1 - expected).sum() ** 2 / variance.sum())


def newcombe(t: Counts, conf_level: float) -> tuple[float, float, float]:
    """Weighted difference and its hybrid score limits (Newcombe 1998; strata: Yan and Su 2010)."""
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    w = mh_weights(t)
    p1, p0 = t.x1 / t.n1, t.x0 / t.n0
    estimate = float(w @ (p1 - p0))
    (l1, u1), (l0, u0) = _wilson(p1, t.n1, w, z), _wilson(p0, t.n0, w, z)
    k1, k0 = (w**2 / t.n1).sum(), (w**2 / t.n0).sum()
    low = estimate - z * np.sqrt(k1 * l1 * (1 - l1) + k0 * u0 * (1 - u0))
    high = estimate + z * np.sqrt(k1 * u1 * (1 - u1) + k0 * l0 * (1 - l0))
    return estimate, float(low), float(high)


def _wilson(p: Floats, n: Floats, w: Floats, z: float) -> tuple[float, float]:
    """Weighted Wilson limits, each stratum with the quantile shrunk so that the whole has z."""
    variance = p * (1 - p) / n
    spread = w @ np.sqrt(variance)
    q = z * np.sqrt(w**2 @ variance) / spread if spread > 0 else z
    q = z if len(n) == 1 else q
    centre = (p + q**2 / (2 * n)) / (1 + q**2 / n)
    half = q * np.sqrt(variance + q**2 / (4 * n**2)) / (1 + q**2 / n)
    return float(w @ np.maximum(centre - half, 0)), float(w @ np.minimum(centre + half, 1))


def _empty_log(above: float, below: float) -> tuple[float, float]:
    """Logarithm of a ratio with an empty side: no standard error."""
    if above == below:
        return float("nan"), float("nan")
    return (float("inf") if below == 0 else float("-inf")), float("nan")
