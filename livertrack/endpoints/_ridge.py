"""Ridge regression, logistic and linear, for many training sets and penalties at once.

A training set is a row of 0/1 weights over the same rows of data, so that one array holds all of
them. Agrees with scikit-learn's ``LogisticRegression`` (C = 1 / penalty) and ``Ridge``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]

_INTERCEPT = 1e-9
_LARGEST_STEP = 6.0


def logistic(
    x: Array, y: Array, train: Array, penalties: Array, *, tol: float = 1e-3, steps: int = 40
) -> Array:
    """Linear predictors of ridge logistic regressions, by Newton's method.

    Parameters
    ----------
    x : array (sets, rows, columns)
        Columns as each training set standardises them.
    y : array (rows,) of 0 and 1
    train : array (sets, rows) of 0 and 1
        Rows of each training set.
    penalties : array (penalties,)
        Minimised: sum of log losses + penalty / 2 x squared length of the coefficients; the
        intercept is free.
    tol, steps : float, int
        Newton stops after a step that moved no linear predictor by more than ``tol`` (its error
        is then of the order of ``tol`` squared), at the latest after ``steps`` steps.

    Returns
    -------
    array (sets, penalties, rows)
        Predictors of all rows, in training or not.
    """
    design, products, upper = _design(x)
    ridge = _ridge(penalties, design.shape[2])
    share = np.clip((train @ y) / train.sum(axis=1), 1e-6, 1 - 1e-6)
    beta = np.zeros((len(x), len(penalties), design.shape[2]))
    beta[:, :, 0] = np.log(share / (1 - share))[:, None]
    eta = beta @ design.transpose(0, 2, 1)
    for _ in range(steps):
        probability = expit(eta)
        gradient = (train[:, None] * (y - probability)) @ design - beta * ridge_diagonal(ridge)
        weight = train[:, None] * probability * (1 - probability)
        hessian = _full(weight @ products, upper, design.shape[2]) + ridge
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        change = step @ design.transpose(0, 2, 1)
        largest = np.abs(change).max(axis=2)
        # a long step of Newton can overshoot; a shortened one still descends
        scale = np.minimum(1, _LARGEST_STEP / np.maximum(largest, 1e-300))[..., None]
        beta, eta = beta + scale * step, eta + scale * change
        if largest.max() < tol:
            break
    return np.asarray(eta)


def linear(x: Array, y: Array, train: Array, penalties: Array) -> Array:
    """Predictions of ridge linear regressions; arguments and shape as in `logistic`.

    Minimised: sum of squares + penalty x squared length of the coefficients.
    """
    design, products, upper = _design(x)
    width = design.shape[2]
    gram = _full((train[:, None] @ products), upper, width)
    matrix = gram + _ridge(penalties, width)
    target = ((train * y)[:, None] @ design)[:, 0]
    right = np.broadcast_to(target[:, None, :, None], (*matrix.shape[:3], 1))
    beta = np.linalg.solve(matrix, right)[..., 0]
    return np.asarray(beta @ design.transpose(0, 2, 1))


def ridge_diagonal(ridge: Array) -> Array:
    """Diagonals of the penalty matrices (penalties x columns)."""
    return np.asarray(np.einsum("lpp->lp", ridge))


def _design(x: Array) -> tuple[Array, Array, tuple[NDArray[np.intp], ...]]:
    """Columns with an intercept, their pairwise products, and the places of the products."""
    ones = np.ones((*x.shape[:2], 1))
    design = np.concatenate([ones, x], axis=2)
    upper = np.triu_indices(design.shape[2])
    return design, design[:, :, upper[0]] * design[:, :, upper[1]], upper


def _full(flat: Array, upper: tuple[NDArray[np.intp], ...], width: int) -> Array:
    """Symmetric matrices from their upper triangles."""
    out = np.empty((*flat.shape[:-1], width, width))
    out[..., upper[0], upper[1]] = flat
    out[..., upper[1], upper[0]] = flat
    return out


def _ridge(penalties: Array, width: int) -> Array:
    out = penalties[:, None, None] * np.eye(width)
    out[:, 0, 0] = _INTERCEPT
    return np.asarray(out)
