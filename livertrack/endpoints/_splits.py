"""Rows to predict, and dealing their subjects, never rows, to folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int64]
Task = Literal["binary", "ordinal", "continuous"]


@dataclass(frozen=True)
class Problem:
    """Rows of one analysis: ``subjects`` and ``sites`` as integers, ``y`` the outcome.

    ``values`` holds one array (rows x columns) per feature set, ``parts`` its columns that are
    a composition; none where the features are not numbers of a table.
    """

    y: Array
    subjects: Labels
    sites: Labels | None
    task: Task
    values: tuple[Array, ...] = ()
    parts: tuple[Mask, ...] = ()

    def subset(self, rows: Mask) -> Problem:
        """Rows of a problem without feature tables; subjects are numbered anew from 0."""
        subjects = np.unique(self.subjects[rows], return_inverse=True)[1]
        sites = None if self.sites is None else self.sites[rows]
        return Problem(self.y[rows], np.asarray(subjects, np.int64), sites, self.task)


def outcome_strata(y: Array, subjects: Labels, task: Task) -> Labels:
    """Outcome level of each subject (largest over its rows), repeated on its rows.

    Thirds of the subjects' levels for a continuous outcome.
    """
    largest = np.full(subjects.max() + 1, -np.inf)
    np.maximum.at(largest, subjects, y)
    level = largest[subjects]
    if task == "continuous":
        cuts = np.quantile(level, [1 / 3, 2 / 3])
        return np.asarray(np.searchsorted(cuts, level))
    return np.asarray(np.unique(level, return_inverse=True)[1])


def deal(
    rng: np.random.Generator, subjects: Labels, strata: Labels, among: Mask, n_folds: int
) -> Labels:
    """Fold of each row among ``among`` (-1 elsewhere); strata follow one another like cards."""
    chosen, first = np.unique(subjects[among], return_index=True)
    level = strata[among][first]
    order = rng.permutation(len(chosen))
    order = order[np.argsort(level[order], kind="stable")]
    dealt = np.empty(len(chosen), np.int64)
    dealt[order] = (np.arange(len(chosen)) + rng.integers(n_folds)) % n_folds
    fold = np.full(len(subjects), -1)
    fold[among] = dealt[np.searchsorted(chosen, subjects[among])]
    return fold
