"""Records of one model, arranged by subject: padded arrays sorted by pattern of visits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from livertrack.endpoints._design import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Subjects:
    """Subjects (or rows with the same cross-products) in blocks of one pattern.

    Attributes
    ----------
    W : ndarray (n, d, p + 1)
        Predictors and response by visit, zero where a visit is missing.
    pattern : ndarray (n,)
        Pattern of each block row, ascending.
    mask : ndarray (k, d)
        Which visits a pattern has.
    group : ndarray (k,)
        Covariance group of each pattern, ascending.
    count : ndarray (k,)
        Number of subjects of each pattern (their sum of weights in a bootstrap sample).
    distance : ndarray (k, d, d) or None
        Distances between measurements, for a spatial covariance.
    n_groups : int
    """

    W: Floats
    pattern: Ints
    mask: NDArray[np.bool_]
    group: Ints
    count: Floats
    distance: Floats | None
    n_groups: int

    @property
    def d(self) -> int:
        """Number of visits."""
        return int(self.W.shape[1])

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return int(self.W.shape[2]) - 1

    @property
    def n_obs(self) -> float:
        """Number of observations."""
        return float(self.count @ self.mask.sum(axis=1))

    @cached_property
    def starts(self) -> Ints:
        """First row of each pattern."""
        return np.searchsorted(self.pattern, np.arange(len(self.mask))).astype(np.int64)

    @cached_property
    def group_starts(self) -> Ints:
        """First row of each group."""
        of_row = self.group[self.pattern]
        return np.searchsorted(of_row, np.arange(self.n_groups + 1)).astype(np.int64)

    def resampled(self, times: Ints) -> Subjects:
        """Subjects each taken ``times`` times: a bootstrap sample (before `compressed`).

        A subject taken several times is one row with as many times the cross-products.
        """
        keep = np.flatnonzero(times)
        pattern = self.pattern[keep]
        present, again = np.unique(pattern, return_inverse=True)
        distance = None if self.distance is None else self.distance[present]
        return Subjects(
            self.W[keep] * np.sqrt(times[keep])[:, None, None], again.astype(np.int64),
            self.mask[present], self.group[present],
            np.bincount(again, weights=times[keep]).astype(float), distance, self.n_groups,
        )  # fmt: skip

    def compressed(self) -> Subjects:
        """Replace the subjects of large patterns by fewer rows with the same cross-products.

        Only sums of cross-products over the subjects of a pattern enter the likelihood and its
        derivatives; at most d (p + 1) rows have the same ones.
        """
        bounds = np.append(self.starts, len(self.W))
        if (np.diff(bounds) <= self.mask.sum(axis=1) * self.W.shape[2]).all():
            return self
        blocks, sizes = [], []
        for number, mask in enumerate(self.mask):
            block = self.W[bounds[number] : bounds[number + 1]]
            width = int(mask.sum()) * self.W.shape[2]
            if len(block) > width:
                block = _reduced(block, mask)
            blocks.append(block)
            sizes.append(len(block))
        pattern = np.repeat(np.arange(len(sizes)), sizes)
        return Subjects(
            np.concatenate(blocks), pattern.astype(np.int64), self.mask, self.group, self.count,
            self.distance, self.n_groups,
        )  # fmt: skip


def arrange(
    X: Floats,
    y: Floats,
    *,
    subject: Ints,
    position: Ints,
    group: Ints,
    n_groups: int,
    d: int,
    coordinates: Floats | None = None,
) -> tuple[Subjects, Ints]:
    """Arrange rows as `Subjects`; also gives the block row of every subject code.

    Parameters
    ----------
    X, y : ndarray
        Rows, already multiplied by the square roots of their weights.
    subject, position : ndarray
        Codes 0.. of the subject and of the visit (place among the ``d`` columns) of each row.
    group : ndarray
        Covariance group of each subject.
    coordinates : ndarray (rows, c), optional
        Coordinates of each row for a spatial covariance.
    """
    n = len(group)
    W = np.zeros((n, d, X.shape[1] + 1))
    W[subject, position, :-1] = X
    W[subject, position, -1] = y
    mask = np.zeros((n, d), bool)
    mask[subject, position] = True
    keys = np.column_stack([group, mask])
    if coordinates is not None:
        placed = np.zeros((n, d, coordinates.shape[1]))
        placed[subject, position] = coordinates
        keys = np.column_stack([keys, placed.reshape(n, -1)])
        first, pattern = _unique_rows(keys)
    else:
        weight = 2.0 ** np.arange(d)[::-1]
        code = group * 2.0**d + mask @ weight if d <= 40 else None
        if code is None:
            first, pattern = _unique_rows(keys)
        else:
            _, first, pattern = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(pattern, kind="stable")
    row_of_subject = np.empty(n, np.int64)
    row_of_subject[order] = np.arange(n)
    distance = None
    if coordinates is not None:
        where = placed[first]
        distance = np.sqrt(((where[:, :, None] - where[:, None]) ** 2).sum(axis=-1))
        both = mask[first][:, :, None] & mask[first][:, None]
        distance = np.where(both, distance, 0.0)
    subjects = Subjects(
        W[order], pattern[order].astype(np.int64), mask[first], group[first],
        np.bincount(pattern).astype(float), distance, n_groups,
    )  # fmt: skip
    return subjects, row_of_subject


def _unique_rows(keys: Floats) -> tuple[Ints, Ints]:
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def _reduced(block: Floats, mask: NDArray[np.bool_]) -> Floats:
    """Eigenvectors of the cross-products of a block, scaled; those of zero length are left out."""
    n, d, width = block.shape
    seen = np.flatnonzero(mask)
    flat = block[:, seen].reshape(n, -1)
    length, axes = np.linalg.eigh(flat.T @ flat)
    keep = length > 1e-15 * length[-1]
    rows = np.sqrt(length[keep])[:, None] * axes[:, keep].T
    reduced = np.zeros((len(rows), d, width))
    reduced[:, seen] = rows.reshape(len(rows), len(seen), width)
    return reduced
