"""Severity of tissue types: ridge regression of an outcome on the composition of the liver."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: penalties that leave-one-out error chooses from, in units of subjects
PENALTIES = np.geomspace(0.1, 1000.0, 17)


def severities(shares: Array, outcome: Array) -> Array:
    """Outcome that a liver made of one type alone would have, for every type.

    Parameters
    ----------
    shares : array (subjects, types)
        Composition.
    outcome : array (subjects,)

    Returns
    -------
    array (types,)
        Mean outcome plus the ridge coefficient of the type's share; the penalty on standardised
        shares is the one with the least leave-one-out error. A type whose share does not vary has
        the mean outcome: nothing is known of it. NaN with fewer than three subjects.

    Notes
    -----
    A liver is a mixture of its types and the outcome the mean over the mixture: the coefficients
    of a regression on shares that sum to one are the outcomes of the pure types.
    """
    n, k = shares.shape
    if n < 3:
        return np.full(k, np.nan)
    mean, spread = shares.mean(axis=0), shares.std(axis=0)
    usable = spread > 1e-9
    if not usable.any():
        return np.full(k, outcome.mean())
    z = (shares[:, usable] - mean[usable]) / spread[usable]
    y = outcome - outcome.mean()
    u, d, vt = np.linalg.svd(z, full_matrices=False)
    kept = d > 1e-8 * d[0]
    u, d, vt = u[:, kept], d[kept], vt[kept]
    filters = d**2 / (d**2 + PENALTIES[:, None])
    target = u.T @ y
    fitted = (filters * target) @ u.T
    leverage = 1 / n + filters @ (u**2).T
    error = (((y - fitted) / np.maximum(1 - leverage, 1e-6)) ** 2).sum(axis=1)
    penalty = PENALTIES[int(error.argmin())]
    slope = vt.T @ (d / (d**2 + penalty) * target)
    out = np.zeros(k)
    out[usable] = slope / spread[usable]
    # severities are relative to the mean liver, which has the mean outcome
    return np.asarray(outcome.mean() + out - out @ mean)


def fold_severities(shares: Array, outcome: Array, fold: NDArray[np.int64], n_folds: int) -> Array:
    """Severities (folds, types), each learned without the subjects of its fold."""
    return np.stack([severities(shares[fold != f], outcome[fold != f]) for f in range(n_folds)])
