"""Flows between two compositions when voxels cannot be matched: the least transport."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from livertrack.errors import DataError

Counts = NDArray[np.floating[Any]]


def least_transport(before: Counts, after: Counts, cost: Counts) -> NDArray[np.float64]:
    """Flow of least total cost between two compositions.

    Parameters
    ----------
    before, after : array (K,)
        Proportions of the types, each summing to one.
    cost : array (K, K)
        Cost of turning one type into another per unit of proportion; zero on the diagonal.

    Returns
    -------
    array (K, K)
        Proportions that move, rows sum to ``before`` and columns to ``after``. With a metric cost
        as much as possible stays where it is: exchanges in both directions are invisible.

    Notes
    -----
    Linear programme, HiGHS dual simplex. Where several flows cost the same, the most even one of
    them is preferred by adding to the cost of a turn a 10^-6th part of itself squared, so that two
    short steps beat one long one. Checked against: the closed form for equal costs, and
    scipy.stats.wasserstein_distance for types on a line (tests/imaging/test_pathways.py).
    """
    n = len(before)
    if not np.isclose(before.sum(), 1) or not np.isclose(after.sum(), 1):
        msg = "a composition does not sum to one; divide by its total"
        raise DataError(msg)
    largest = max(float(cost.max()), 1e-300)
    price = cost / largest
    price = price + 1e-6 * price**2
    leaving = np.kron(np.eye(n), np.ones((1, n)))
    coming = np.kron(np.ones((1, n)), np.eye(n))
    # one equation is implied by the others; without it rounding cannot make them contradict
    solved = linprog(
        price.ravel(), A_eq=np.vstack([leaving, coming[:-1]]),
        b_eq=np.concatenate([before, after[:-1]]), method="highs-ds",
    )  # fmt: skip
    if solved.x is None:
        msg = f"the transport between two compositions was not found ({solved.message})"
        raise DataError(msg)
    flow = np.maximum(solved.x, 0).reshape(n, n)
    return np.asarray(flow / flow.sum(), dtype=np.float64)
