"""Flows between two labellings of the same voxels, hard or by probability."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]
Shares = NDArray[np.floating[Any]]


def count_pairs(before: Labels, after: Labels, n_types: int) -> NDArray[np.int64]:
    """Voxels by type before and after, array (K, K); those with a 0 on a side are left out."""
    seen = (before > 0) & (after > 0)
    pairs = (before[seen].astype(np.int64) - 1) * n_types + after[seen] - 1
    return np.bincount(pairs, minlength=n_types**2).reshape(n_types, n_types)


def couple(before: Shares, after: Shares) -> NDArray[np.float64]:
    """Voxels that surely changed type, given the probabilities of the types at both visits.

    Parameters
    ----------
    before, after : array (voxels, K)
        Probabilities of the types; each row sums to one, or to zero where nothing is known.

    Returns
    -------
    array (K, K)
        Sum over voxels of the least change that explains both rows: ``min(p, q)`` stays, what p
        has in excess goes to what q has in excess, in proportion. Row sums are the expected
        composition before, column sums the one after.

    Notes
    -----
    A voxel that is 60 % one type and 40 % another at both visits did not change, and counts as
    such; labels by the larger probability might change with the noise. Where all probabilities are
    0 or 1 this is `count_pairs`. Source: maximal coupling (Lindvall 1992).
    Checked against: hand-worked voxels (tests/imaging/test_coupling.py).
    """
    known = (before.sum(axis=1) > 0) & (after.sum(axis=1) > 0)
    p, q = before[known].astype(np.float64), after[known].astype(np.float64)
    kept = np.minimum(p, q)
    lost, gained = p - kept, q - kept
    moved = lost.sum(axis=1)
    some = moved > 1e-12
    flow = (lost[some] / moved[some, None]).T @ gained[some]
    return np.asarray(flow + np.diag(kept.sum(axis=0)))
