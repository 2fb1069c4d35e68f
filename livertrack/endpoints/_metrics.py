"""Performance of out-of-fold predictions, for many weightings of the rows at once.

A weighting is a row of counts (how often each row was drawn); ones give the metric itself, ones
with a subject left out the jackknife. Undefined values are NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: what a permutation test looks at, by task
PRIMARY = {"binary": "auc", "ordinal": "concordance", "continuous": "r2"}
#: metrics whose smaller values are better
ERRORS = ("brier", "mae", "rmse")
#: predicted probabilities are kept this far from 0 and 1 on the logit scale
_EDGE = 1e-6


def permutation_p(observed: float, null: Vector) -> float:
    """(1 + values of the null at least as large, but for rounding) / (1 + their number)."""
    return float((1 + (null >= observed - 1e-12).sum()) / (1 + len(null)))


def metrics(
    weights: Matrix, y: Vector, predicted: Vector, task: str, threshold: float = 0.5, *,
    by_level: bool = False,
) -> dict[str, Vector]:  # fmt: skip
    """All metrics of a task.

    Parameters
    ----------
    weights : array (weightings, rows)
    y, predicted : array (rows,)
        Outcome; probability of 1, expected stage or value.
    task : {"binary", "ordinal", "continuous"}
    threshold : float
        Probability from which a row is classified as 1.
    by_level : bool
        Also balanced accuracy, and precision, recall, specificity and F1 of every level of an
        ordinal outcome against the others.

    Returns
    -------
    dict of metric to array (weightings,)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if task == "binary":
            return _binary(weights, y, predicted, threshold)
        if task == "ordinal":
            found = _ordinal(weights, y, predicted)
            return found | (_by_level(weights, y, predicted) if by_level else {})
        return _continuous(weights, y, predicted)


def primary(y: Vector, predicted: Vector, task: str) -> float:
    """Metric that the permutation test looks at."""
    weights = np.ones((1, len(y)))
    chosen: dict[str, Callable[[], Vector]] = {
        "binary": lambda: _auc(weights, y == 1, predicted),
        "ordinal": lambda: _concordance(weights, y, predicted),
        "continuous": lambda: _r2(weights, y, predicted),
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(chosen[task]()[0])


def nearest_level(predicted: Vector, levels: Vector) -> Vector:
    """Level nearest to each prediction, the lower one at a tie."""
    return np.asarray(levels[np.abs(predicted[:, None] - levels[None, :]).argmin(axis=1)])


def _binary(weights: Matrix, y: Vector, p: Vector, threshold: float) -> dict[str, Vector]:
    called = (p >= threshold).astype(float)
    total = weights.sum(axis=1)
    hit, miss = weights @ (y * called), weights @ (y * (1 - called))
    quiet, alarm = weights @ ((1 - y) * (1 - called)), weights @ ((1 - y) * called)
    sensitivity, specificity = hit / (hit + miss), quiet / (quiet + alarm)
    slope, intercept = _logistic_calibration(weights, y, p)
    return {
        "auc": _auc(weights, y == 1, p),
        "accuracy": (hit + quiet) / total,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "precision": hit / (hit + alarm),
        "npv": quiet / (quiet + miss),
        "f1": 2 * hit / (2 * hit + miss + alarm),
        "brier": weights @ (y - p) ** 2 / total,
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }


def _ordinal(weights: Matrix, y: Vector, p: Vector) -> dict[str, Vector]:
    levels = np.unique(y)
    stage = nearest_level(p, levels)
    total = weights.sum(axis=1)
    disagreement = weights @ (y - stage) ** 2
    expected = weights @ y**2 + weights @ stage**2 - 2 * (weights @ y) * (weights @ stage) / total
    out = {
        "concordance": _concordance(weights, y, p),
        "quadratic_kappa": 1 - disagreement / expected,
        "accuracy": weights @ (y == stage).astype(float) / total,
        "mae": weights @ np.abs(y - p) / total,
        "r": _correlation(weights, y, p),
    }
    slope, intercept = _linear_calibration(weights, y, p)
    out |= {f"auc_ge_{level:g}": _auc(weights, y >= level, p) for level in levels[1:]}
    return out | {"calibration_slope": slope, "calibration_intercept": intercept}


def _by_level(weights: Matrix, y: Vector, p: Vector) -> dict[str, Vector]:
    levels = np.unique(y)
    stage = nearest_level(p, levels)
    found: dict[str, Vector] = {}
    for level in levels:
        is_it, called = (y == level).astype(float), (stage == level).astype(float)
        hit, miss = weights @ (is_it * called), weights @ (is_it * (1 - called))
        alarm, quiet = weights @ ((1 - is_it) * called), weights @ ((1 - is_it) * (1 - called))
        found |= {
            f"precision_{level:g}": hit / (hit + alarm),
            f"recall_{level:g}": hit / (hit + miss),
            f"specificity_{level:g}": quiet / (quiet + alarm),
            f"f1_{level:g}": 2 * hit / (2 * hit + miss + alarm),
        }
    recalls = [found[f"recall_{level:g}"] for level in levels]
    return {"balanced_accuracy": np.mean(recalls, axis=0), **found}


def _continuous(weights: Matrix, y: Vector, p: Vector) -> dict[str, Vector]:
    total = weights.sum(axis=1)
    slope, intercept = _linear_calibration(weights, y, p)
    return {
        "r2": _r2(weights, y, p),
        "r": _correlation(weights, y, p),
        "mae": weights @ np.abs(y - p) / total,
        "rmse": np.sqrt(weights @ (y - p) ** 2 / total),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }


def _auc(weights: Matrix, event: NDArray[np.bool_], p: Vector) -> Vector:
    kernel = (np.sign(p[event][:, None] - p[~event][None, :]) + 1) / 2
    first, second = weights[:, event], weights[:, ~event]
    wins = ((first @ kernel) * second).sum(axis=1)
    return np.asarray(wins / (first.sum(axis=1) * second.sum(axis=1)))


def _concordance(weights: Matrix, y: Vector, p: Vector) -> Vector:
    higher = (y[:, None] > y[None, :]).astype(float)
    wins = higher * (np.sign(p[:, None] - p[None, :]) + 1) / 2
    pairs = ((weights @ higher) * weights).sum(axis=1)
    return np.asarray(((weights @ wins) * weights).sum(axis=1) / pairs)


def _r2(weights: Matrix, y: Vector, p: Vector) -> Vector:
    mean = weights @ y / weights.sum(axis=1)
    spread = weights @ y**2 - weights.sum(axis=1) * mean**2
    return np.asarray(1 - weights @ (y - p) ** 2 / np.where(spread > 0, spread, np.nan))


def _moments(weights: Matrix, y: Vector, p: Vector) -> tuple[Vector, ...]:
    total = weights.sum(axis=1)
    y, p = y - y.mean(), p - p.mean()
    mean_y, mean_p = weights @ y / total, weights @ p / total
    var_y = weights @ y**2 / total - mean_y**2
    var_p = weights @ p**2 / total - mean_p**2
    return weights @ (y * p) / total - mean_y * mean_p, var_y, var_p


def _correlation(weights: Matrix, y: Vector, p: Vector) -> Vector:
    joint, var_y, var_p = _moments(weights, y, p)
    product = var_y * var_p
    return np.asarray(joint / np.sqrt(np.where(product > 0, product, np.nan)))


def _linear_calibration(weights: Matrix, y: Vector, p: Vector) -> tuple[Vector, Vector]:
    """Slope of the outcome on the prediction, and mean outcome minus mean prediction."""
    joint, _, var_p = _moments(weights, y, p)
    slope = joint / np.where(var_p > 1e-12, var_p, np.nan)
    return slope, weights @ (y - p) / weights.sum(axis=1)


def _logistic_calibration(weights: Matrix, y: Vector, p: Vector) -> tuple[Vector, Vector]:
    """Slope on the logit of the prediction, and the intercept with the slope fixed at 1."""
    x = logit(np.clip(p, _EDGE, 1 - _EDGE))
    events = weights @ y
    both = (events > 0) & (events < weights.sum(axis=1))
    slope = np.full(len(weights), np.nan)
    intercept = np.full(len(weights), np.nan)
    if both.any():
        used = weights[both]
        intercept[both] = _newton(used, y, x, free_slope=False)[:, 0]
        if np.ptp(x) > 1e-9:
            slope[both] = _newton(used, y, x, free_slope=True)[:, 1]
    return slope, intercept


def _newton(weights: Matrix, y: Vector, x: Vector, *, free_slope: bool) -> Matrix:
    """Intercept and slope of weighted logistic regressions; NaN where they do not converge."""
    out = np.tile([0.0, 1.0], (len(weights), 1))
    active = np.arange(len(weights))
    for _ in range(40):
        a, b, w = out[active, 0], out[active, 1], weights[active]
        fitted = expit(a[:, None] + b[:, None] * x)
        spread, residual = w * fitted * (1 - fitted), w * (y - fitted)
        g0, h00 = residual.sum(axis=1), spread.sum(axis=1)
        if free_slope:
            g1, h01, h11 = residual @ x, spread @ x, spread @ x**2
            determinant = h00 * h11 - h01**2
            determinant = np.where(determinant > 1e-14 * h00 * h11, determinant, np.nan)
            step = np.column_stack([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0])
            step /= determinant[:, None]
        else:
            step = np.column_stack([g0 / np.where(h00 > 0, h00, np.nan), np.zeros(len(a))])
        largest = np.abs(step).max(axis=1)
        out[active] += step / np.maximum(1, largest / 2)[:, None]
        # a NaN step and a slope without bound both end here, undefined
        active = active[(largest > 1e-8) & (np.abs(out[active, 1]) < 1e3)]
        if not len(active):
            break
    out[active] = np.nan
    out[~(np.abs(out[:, 1]) < 1e3)] = np.nan
    return out
