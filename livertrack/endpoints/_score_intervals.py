"""Score statistics of Miettinen and Nurminen for differences and ratios of proportions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from livertrack.endpoints._two_by_two import Counts, Floats


def constrained_difference(t: Counts, delta: float) -> tuple[Floats, Floats]:
    """Maximum-likelihood proportions (p1, p0) with p1 - p0 = ``delta``, per stratum.

    The root of the likelihood cubic in trigonometric form: Miettinen and Nurminen (1985).
    """
    n = t.n1 + t.n0
    l3 = n
    l2 = (t.n1 + 2 * t.n0) * delta - n - (t.x1 + t.x0)
    l1 = (t.n0 * delta - n - 2 * t.x0) * delta + t.x1 + t.x0
    l0 = t.x0 * delta * (1 - delta)
    q = l2**3 / (3 * l3) ** 3 - l1 * l2 / (6 * l3**2) + l0 / (2 * l3)
    root = np.sqrt(np.maximum(l2**2 / (3 * l3) ** 2 - l1 / (3 * l3), 0.0))
    p = np.where(q >= 0, root, -root)
    cosine = np.divide(q, p**3, out=np.zeros_like(q), where=p != 0)
    angle = (np.pi + np.arccos(np.clip(cosine, -1, 1))) / 3
    p0 = _polished(2 * p * np.cos(angle) - l2 / (3 * l3), l3, l2, l1, l0)
    p0 = np.clip(p0, max(0.0, -delta), min(1.0, 1 - delta))
    return p0 + delta, p0


def _polished(root: Floats, l3: Floats, l2: Floats, l1: Floats, l0: Floats) -> Floats:
    """Newton steps on the cubic: the trigonometric form loses digits where two roots are close."""

    def value(p: Floats) -> Floats:
        return np.asarray(((l3 * p + l2) * p + l1) * p + l0)

    for _ in range(8):
        slope = (3 * l3 * root + 2 * l2) * root + l1
        step = np.divide(value(root), slope, out=np.zeros_like(root), where=slope != 0)
        better = np.abs(value(root - step)) < np.abs(value(root))
        root = np.where(better, root - step, root)
    return root


def constrained_ratio(t: Counts, phi: float) -> tuple[Floats, Floats]:
    """Maximum-likelihood proportions (p1, p0) with p1 / p0 = ``phi``, per stratum."""
    a = (t.n1 + t.n0) * phi
    b = -(t.n1 * phi + t.x1 + t.n0 + t.x0 * phi)
    c = t.x1 + t.x0
    p0 = (-b - np.sqrt(np.maximum(b**2 - 4 * a * c, 0.0))) / (2 * a)
    p0 = np.clip(p0, 0.0, min(1.0, 1 / phi))
    return phi * p0, p0


def difference_statistic(t: Counts, weights: Floats, delta: float) -> float:
    """Score statistic, about N(0, 1) when the true weighted difference is ``delta``."""
    p1, p0 = constrained_difference(t, delta)
    n = t.n1 + t.n0
    variance = (p1 * (1 - p1) / t.n1 + p0 * (1 - p0) / t.n0) * n / np.maximum(n - 1, 1)
    return _ratio(weights @ (t.x1 / t.n1 - t.x0 / t.n0 - delta), weights**2 @ variance)


def ratio_statistic(t: Counts, weights: Floats, phi: float) -> float:
    """Score statistic, about N(0, 1) when the true ratio is ``phi`` in every stratum."""
    p1, p0 = constrained_ratio(t, phi)
    n = t.n1 + t.n0
    variance = (p1 * (1 - p1) / t.n1 + phi**2 * p0 * (1 - p0) / t.n0) * n / np.maximum(n - 1, 1)
    return _ratio(weights @ (t.x1 / t.n1 - phi * t.x0 / t.n0), weights**2 @ variance)


def invert(
    statistic: Callable[[float], float], estimate: float, low: float, high: float, z: float
) -> tuple[float, float]:
    """Values between ``low`` and ``high`` where the falling ``statistic`` passes z and -z."""
    limits = []
    for end, target in ((low, z), (high, -z)):
        near, far = statistic(estimate) - target, statistic(end) - target
        if near == 0 or near * far > 0 or estimate == end:
            limits.append(end)
        else:
            root = optimize.brentq(lambda v: statistic(v) - target, estimate, end, xtol=1e-14)  # noqa: B023
            limits.append(float(root))
    return limits[0], limits[1]


def _ratio(numerator: Any, squared: Any) -> float:
    score, variance = float(numerator), float(squared)
    if abs(score) < 1e-15:
        return 0.0
    return float(score / np.sqrt(variance)) if variance > 0 else float(np.sign(score) * 1e10)
