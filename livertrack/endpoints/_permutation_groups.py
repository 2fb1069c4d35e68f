"""Groups of columns in a permutation test: a test of each, and of the best of them.

Choosing the group that tells the arms apart best looks at the arms, so the choice is made anew in
every relabelling: its p-value is that of the smallest p over the groups (min-P).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TIE = 1e-9  # a permuted statistic this close to the observed one is a tie


@dataclass(frozen=True)
class GroupTest:
    """Tests of groups of columns.

    Attributes
    ----------
    statistic : array (groups,)
        Sum of squared statistics; one-sided, only those in the asked direction.
    p_value : array (groups,)
        Permutation p of each group alone.
    p_chosen : array (groups,)
        Single-step min-P: as if the group had been chosen because its p is the smallest.
    """

    statistic: np.ndarray
    p_value: np.ndarray
    p_chosen: np.ndarray


def lower(score: np.ndarray | float) -> np.ndarray:
    """``score`` less the tolerance within which a permuted statistic is a tie."""
    score = np.asarray(score, float)
    slack = TIE * np.maximum(1.0, np.abs(np.where(np.isinf(score), 0.0, score)))
    return np.asarray(score - slack)


def group_sums(scores: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Sums of squared scores by group (relabellings, groups); only scores above zero count."""
    squares = np.maximum(scores, 0.0) ** 2
    if n_groups == 1:
        return np.asarray(squares.sum(axis=1, keepdims=True))
    return np.stack([squares[:, group == g].sum(axis=1) for g in range(n_groups)], axis=1)


def choose_group(observed: np.ndarray, null: np.ndarray, extra: int) -> GroupTest:
    """Test every group, and the best of them with its choice repeated in every relabelling.

    Parameters
    ----------
    observed : array (groups,)
    null : array (relabellings, groups)
    extra : int
        1: the observed labelling is to be added to the relabellings; 0: it is among them.
    """
    total = len(null) + extra
    n_groups = len(observed)
    if not total or not len(null):
        nothing = np.full(n_groups, np.nan)
        return GroupTest(observed, nothing, nothing)
    every = np.concatenate([observed[None], null]) if extra else null
    ranked = np.sort(every, axis=0)

    def p_of(values: np.ndarray, g: int) -> np.ndarray:
        return np.asarray((total - np.searchsorted(ranked[:, g], lower(values))) / total)

    p_value = np.array([p_of(observed[g], g) for g in range(n_groups)])
    smallest = np.sort(np.min([p_of(every[:, g], g) for g in range(n_groups)], axis=0))
    p_chosen = np.searchsorted(smallest, p_value + 1e-12, side="right") / total
    return GroupTest(observed, p_value, p_chosen)
