"""Nested cross-validation by subject: representation and penalty are chosen inside each fold.

Splits are made of subjects, never of rows, outside and inside: the inner groups are made here
because scikit-learn does not hand groups on to an inner search.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from livertrack.endpoints import _ridge
from livertrack.endpoints._leakage import require_disjoint
from livertrack.endpoints._representations import (
    Representation,
    candidates,
    learn_groupings,
    represent,
)
from livertrack.endpoints._splits import Problem, deal, outcome_strata

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: penalties to choose from, largest (simplest model) first
PENALTIES = {
    "binary": np.array([100.0, 10.0, 1.0, 0.1]),
    "ordinal": np.array([1000.0, 100.0, 10.0, 1.0]),
    "continuous": np.array([1000.0, 100.0, 10.0, 1.0]),
}


class Splits(NamedTuple):
    """One partition: fold of each row, and every training set the nested procedure needs.

    ``train`` (outer folds x (inner + 1), rows): the inner training sets of each outer fold and,
    last, the whole outer training set; ``test`` likewise.
    """

    fold: NDArray[np.int64]
    train: Mask
    test: Mask
    n_inner: int


class Nested(NamedTuple):
    """Out-of-fold predictions of one partition, and what each outer fold chose."""

    predicted: Array
    chosen: tuple[tuple[Representation, float], ...]


def make_splits(
    rng: np.random.Generator, problem: Problem, n_folds: int, n_inner: int, *, by_site: bool
) -> Splits:
    """Draw the outer and inner folds of one partition.

    Subjects are dealt to folds in random order within outcome levels (thirds of a continuous
    outcome); ``by_site`` makes every site an outer fold.
    """
    subjects = problem.subjects
    strata = outcome_strata(problem.y, subjects, problem.task)
    if by_site and problem.sites is not None:
        fold = problem.sites
    else:
        fold = deal(rng, subjects, strata, np.ones(len(subjects), bool), n_folds)
    train, test = [], []
    for outer in np.unique(fold):
        inside = fold != outer
        inner = deal(rng, subjects, strata, inside, n_inner)
        for place in range(n_inner):
            train.append(inside & (inner != place))
            test.append(inside & (inner == place))
        train.append(inside)
        test.append(~inside)
    for rows, held in zip(train, test, strict=True):
        require_disjoint(rows, held, subjects)
    return Splits(fold, np.array(train), np.array(test), n_inner)


def nested(values: Array, parts: Mask, problem: Problem, splits: Splits) -> Nested:
    """Predict every row from models that never saw its subject.

    In each outer fold the candidate (representation x penalty) with the smallest inner loss
    (log loss, or squared error) is fitted to the outer training set; ties go to the simpler.
    """
    options = candidates(parts)
    penalties = PENALTIES[problem.task]
    outer = len(splits.train) // (splits.n_inner + 1)
    shape = (outer, splits.n_inner + 1, len(penalties), len(problem.y))
    sizes = [how.groups for how in options if how.groups]
    groupings = learn_groupings(values[:, parts], splits.train, sizes) if sizes else []
    scores, losses = [], []
    for how in options:
        x = represent(values, parts, how, splits.train, groupings)
        train = splits.train.astype(float)
        if problem.task == "binary":
            score = _ridge.logistic(x, problem.y, train, penalties)
            loss = np.logaddexp(0, score) - problem.y * score
        else:
            score = _ridge.linear(x, problem.y, train, penalties)
            loss = (problem.y - score) ** 2
        held = splits.test[:, None] * loss
        losses.append(held.reshape(shape)[:, :-1].sum(axis=(1, 3)))
        scores.append(score.reshape(shape)[:, -1])
    table = np.stack(losses, axis=1)  # outer x representation x penalty
    best = table.reshape(outer, -1).argmin(axis=1)
    final = np.stack(scores, axis=1).reshape(outer, -1, len(problem.y))
    out = np.full(len(problem.y), np.nan)
    for place, which in enumerate(best):
        rows = splits.test[(place + 1) * (splits.n_inner + 1) - 1]
        out[rows] = final[place, which, rows]
    if problem.task == "binary":
        out = expit(out)
    elif problem.task == "ordinal":
        out = np.clip(out, problem.y.min(), problem.y.max())
    chosen = tuple((options[w // len(penalties)], penalties[w % len(penalties)]) for w in best)
    return Nested(out, chosen)


def shuffled_rows(rng: np.random.Generator, problem: Problem) -> NDArray[np.int64]:
    """Rows of the features in random order: subjects change places, their rows stay together.

    Subjects change places only with subjects of the same site and the same number of rows.
    Outcomes and folds stay where they are, so that every relabelling has the same folds.
    """
    subjects = problem.subjects
    order = np.arange(len(subjects))
    rows_of = [np.flatnonzero(subjects == s) for s in np.unique(subjects)]
    site_of = [0 if problem.sites is None else int(problem.sites[rows[0]]) for rows in rows_of]
    kinds = np.array([site * (len(subjects) + 1) + len(rows) for site, rows
                      in zip(site_of, rows_of, strict=True)])  # fmt: skip
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        for to, source in zip(members, rng.permutation(members), strict=True):
            order[rows_of[to]] = rows_of[source]
    return order
