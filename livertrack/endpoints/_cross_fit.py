"""Cross-fitted discriminant score: every subject is scored by a rule the subject took no part in.

The rule is Fisher's linear discriminant on standardised columns, its within-arm correlation
shrunk towards the identity by the formula of Ledoit and Wolf (2004): nothing is tuned. It is
written for many resamples at once, a resample being a row of counts; all copies of a subject
fall into one fold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from livertrack.endpoints import _bootstrap as boot
from livertrack.endpoints._effect_sizes import TINY, exact_j

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Folds = NDArray[np.int64]

#: share added to every part of a composition before its logarithm, the same in every fold
ZERO_SHARE = 1e-4
#: cells of a block of pairwise comparisons
PAIRS = 4_000_000


class Scores(NamedTuple):
    """Scores of both arms, one row per resample."""

    x: Matrix
    y: Matrix


def coordinates(parts: Matrix, transform: Literal["raw", "clr"]) -> Matrix:
    """Columns as they are, or centred log-ratios after adding `ZERO_SHARE` to every part."""
    if transform == "raw":
        return parts
    logs = np.log(parts + ZERO_SHARE)
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def random_folds(rng: np.random.Generator, rows: int, n: int, n_folds: int) -> Folds:
    """Fold of each of ``n`` subjects, balanced, drawn anew for every row."""
    base = np.tile(np.arange(n) % n_folds, (rows, 1))
    return rng.permuted(base, axis=1)


def cross_fit(
    wx: Matrix, wy: Matrix, x: Matrix, y: Matrix, fx: Folds, fy: Folds, n_folds: int
) -> Scores:
    """Out-of-fold scores of every subject in every resample (NaN where a rule is undefined)."""
    sx, sy = np.zeros(wx.shape), np.zeros(wy.shape)
    for fold in range(n_folds):
        part = discriminant(wx * (fx != fold), wy * (fy != fold), x, y)
        sx = np.where(fx == fold, part.x, sx)
        sy = np.where(fy == fold, part.y, sy)
    return Scores(sx, sy)


def discriminant(wx: Matrix, wy: Matrix, x: Matrix, y: Matrix) -> Scores:
    """Scores of all subjects by the rule fitted to each row of counts.

    ``wx`` (resamples x m) and ``wy`` (resamples x n) weigh the subjects, ``x`` (m x p) and
    ``y`` (n x p) are their columns. Columns without variation within the arms get no weight;
    a rule needs two subjects in each arm.
    """
    nx, ny = wx.sum(axis=1), wy.sum(axis=1)
    total = nx + ny
    with np.errstate(divide="ignore", invalid="ignore"):
        mx, my = wx @ x / nx[:, None], wy @ y / ny[:, None]
        scatter = _scatter(wx, x, mx) + _scatter(wy, y, my)
        variance = np.einsum("bpp->bp", scatter) / total[:, None]
        size = np.maximum(np.abs(x).max(axis=0), np.abs(y).max(axis=0))
        usable = variance > (1e-9 * size) ** 2
        inverse = np.where(usable, 1 / np.sqrt(variance), 0.0)
        moment = scatter / total[:, None, None] * inverse[:, :, None] * inverse[:, None, :]
        fourth = _norms(wx, x, mx, inverse) + _norms(wy, y, my, inverse)
    width = usable.sum(axis=1)
    shrink = _ledoit_wolf(moment, fourth / total, total, width)
    matrix = (1 - shrink)[:, None, None] * moment + shrink[:, None, None] * np.eye(x.shape[1])
    # a unit entry keeps the matrix regular where a column has no weight
    matrix += np.eye(x.shape[1]) * (~usable)[:, None, :]
    defined = (_distinct(wx) > 1) & (_distinct(wy) > 1) & (width > 0)
    matrix[~defined] = np.eye(x.shape[1])
    gap = np.where(defined[:, None], (mx - my) * inverse, 0.0)
    weights = np.linalg.solve(matrix, gap[:, :, None])[:, :, 0] * inverse
    middle = np.where(defined, ((mx + my) / 2 * weights).sum(axis=1), np.nan)
    return Scores(weights @ x.T - middle[:, None], weights @ y.T - middle[:, None])


def score_g(wx: Matrix, wy: Matrix, scores: Scores) -> Vector:
    """Hedges g of the scores of every resample."""
    sx, sy = wx.sum(axis=1), wy.sum(axis=1)
    mx, my = (wx * scores.x).sum(axis=1) / sx, (wy * scores.y).sum(axis=1) / sy
    ss = (wx * (scores.x - mx[:, None]) ** 2).sum(axis=1)
    ss += (wy * (scores.y - my[:, None]) ** 2).sum(axis=1)
    j = exact_j(float(sx[0] + sy[0] - 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.sqrt(ss / (sx + sy - 2))
        floor = TINY * np.maximum(np.abs(scores.x).max(axis=1), np.abs(scores.y).max(axis=1))
        return np.where(pooled > floor, j * (mx - my) / pooled, np.nan)


def score_auc(wx: Matrix, wy: Matrix, scores: Scores) -> Vector:
    """AUC of the scores of every resample, ties half."""
    out = np.full(len(wx), math.nan)
    for rows in _slices(len(wx), wx.shape[1] * wy.shape[1]):
        sign = np.sign(scores.x[rows, :, None] - scores.y[rows, None, :])
        wins = np.einsum("bm,bmn,bn->b", wx[rows], (sign + 1) / 2, wy[rows])
        out[rows] = wins / (wx[rows].sum(axis=1) * wy[rows].sum(axis=1))
    return out


def repeated(
    rng: np.random.Generator, x: Matrix, y: Matrix, n_folds: int, n_repeats: int
) -> Scores:
    """Out-of-fold scores of the data themselves for ``n_repeats`` partitions."""
    wx, wy = np.ones((n_repeats, len(x))), np.ones((n_repeats, len(y)))
    fx = random_folds(rng, n_repeats, len(x), n_folds)
    fy = random_folds(rng, n_repeats, len(y), n_folds)
    return cross_fit(wx, wy, x, y, fx, fy, n_folds)


class Resampled(NamedTuple):
    """Cross-fitted g or AUC of every resample, and the variance that one partition adds to it."""

    values: Vector
    partition: float


def resampled(
    rng: np.random.Generator, wx: Matrix, wy: Matrix, x: Matrix, y: Matrix, n_folds: int
) -> tuple[Vector, Vector]:
    """Cross-fitted g and AUC (resamples x 2): two partitions, drawn anew, in each resample."""
    parts = []
    for rows in _slices(len(wx), wx.shape[1] * wy.shape[1]):
        for _ in range(2):
            fx = random_folds(rng, len(wx[rows]), len(x), n_folds)
            fy = random_folds(rng, len(wy[rows]), len(y), n_folds)
            scores = cross_fit(wx[rows], wy[rows], x, y, fx, fy, n_folds)
            auc = score_auc(wx[rows], wy[rows], scores)
            parts.append((score_g(wx[rows], wy[rows], scores), auc))
    pairs = [
        [
            np.column_stack([one[k], two[k]])
            for one, two in zip(parts[::2], parts[1::2], strict=True)
        ]
        for k in (0, 1)
    ]
    return np.concatenate(pairs[0]), np.concatenate(pairs[1])


def averaged(pairs: Matrix) -> Resampled:
    """Mean of the two partitions, and the variance of a single one, from their differences."""
    gaps = (pairs[:, 0] - pairs[:, 1]) ** 2 / 2
    known = gaps[~np.isnan(gaps)]
    return Resampled(pairs.mean(axis=1), float(known.mean()) if len(known) else math.nan)


def _slices(rows: int, cells: int) -> Iterator[slice]:
    step = max(1, min(PAIRS, boot.BLOCK) // max(1, cells))
    return (slice(start, start + step) for start in range(0, rows, step))


def _distinct(weights: Matrix) -> NDArray[np.int64]:
    return np.asarray((weights > 0).sum(axis=1))


def _scatter(weights: Matrix, values: Matrix, means: Matrix) -> Matrix:
    """Weighted sums of squares and products about the means (resamples x p x p)."""
    p = values.shape[1]
    products = (values[:, :, None] * values[:, None, :]).reshape(len(values), p * p)
    raw = (weights @ products).reshape(-1, p, p)
    total = weights.sum(axis=1)
    return np.asarray(raw - total[:, None, None] * means[:, :, None] * means[:, None, :])


def _norms(weights: Matrix, values: Matrix, means: Matrix, inverse: Matrix) -> Vector:
    """Weighted sum over subjects of the squared length of the standardised residual, squared."""
    scale = inverse**2
    lengths = scale @ (values**2).T - 2 * (means * scale) @ values.T
    lengths = lengths + (means**2 * scale).sum(axis=1)[:, None]
    return np.asarray((weights * lengths**2).sum(axis=1))


def _ledoit_wolf(moment: Matrix, fourth: Vector, total: Vector, width: Vector) -> Vector:
    """Shrinkage intensity towards the identity, in [0, 1]; 1 where it is not defined."""
    squares = (moment**2).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = squares - width
        noise = np.minimum((fourth - squares) / total, distance)
        return np.where(distance > 0, np.clip(noise / distance, 0, 1), 1.0)
