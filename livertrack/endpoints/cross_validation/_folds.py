"""Fitting one fold: tuning on inner folds of subjects, one final fit, predictions of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack._seeds import generator, spawn
from livertrack.endpoints._leakage import require_disjoint
from livertrack.endpoints._metrics import primary
from livertrack.endpoints._splits import Mask, Problem
from livertrack.endpoints.cross_validation._input import Rows
from livertrack.endpoints.cross_validation.learners import Learner
from livertrack.endpoints.cross_validation.levels import Combine, by_subject
from livertrack.endpoints.cross_validation.splits import Split, inner_fold
from livertrack.errors import DataError

Vector = NDArray[np.float64]


class Fold(NamedTuple):
    """Predictions of the test rows of a split and the candidate that made them."""

    predicted: Vector
    chosen: str


def fit_fold(
    rows: pd.DataFrame, problem: Problem, split: Split, learner: Learner, *,
    n_inner: int, seed: int, names: tuple[str | int, ...],
) -> Fold:  # fmt: skip
    """Choose among the learner's candidates inside ``split.train``, fit, predict ``split.test``.

    The smallest mean inner loss wins (log loss; squared error), the earlier candidate at a tie.
    """
    key = (*names, split.repeat, split.fold)
    candidates = list(learner.candidates())
    with threadpool_limits(limits=1):
        chosen = candidates[0]
        if len(candidates) > 1:
            rng = generator(seed, *key, "inner")
            inner = inner_fold(problem, split.train, n_inner, rng)
            losses = [
                sum(
                    _inner_loss(rows, problem, candidate, inner, place, _seed(seed, *key, place))
                    for place in range(n_inner)
                )
                for candidate in candidates
            ]
            chosen = candidates[int(np.argmin(losses))]
        predict = chosen.fit(
            rows[split.train], problem.y[split.train], problem.task, seed=_seed(seed, *key)
        )
        predicted = _checked(predict(rows[split.test]), problem, int(split.test.sum()))
    return Fold(predicted, chosen.label())


def mean_folds(members: Sequence[Sequence[Fold]]) -> list[Fold]:
    """Mean prediction of several models, fold by fold."""
    return [
        Fold(np.mean([fold.predicted for fold in same], axis=0), f"mean of {len(same)} models")
        for same in zip(*members, strict=True)
    ]


def permuted_metric(
    rows: Rows, splits: list[Split], learner: Learner, *,
    number: int, n_inner: int, seed: int, name: str, combine: Combine,
) -> float:  # fmt: skip
    """First metric of the task, by subject, after subjects exchanged their outcomes."""
    rng = generator(seed, "cross_validate", "permutation", number)
    problem = rows.problem
    shuffled = replace(problem, y=exchange(rng, problem, rows.external))
    out = np.full(len(problem.y), np.nan)
    names = ("cross_validate", name, "permutation", number)
    for split in splits:
        if np.ptp(shuffled.y[split.train]) == 0:
            return np.nan  # nothing to learn from; left out of the null
        fold = fit_fold(
            rows.frame, shuffled, split, learner, n_inner=n_inner, seed=seed, names=names
        )
        out[split.test] = fold.predicted
    used = ~np.isnan(out)
    whole, joined, _ = by_subject(shuffled.subset(used), {name: out[used]}, combine)
    return primary(whole.y, joined[name], problem.task)


def exchange(rng: np.random.Generator, problem: Problem, external: Mask) -> Vector:
    """Outcomes after subjects changed places, within their site and cohort.

    Where the outcome is one per subject it moves as such; else whole series change places among
    subjects with equally many rows.
    """
    subjects = problem.subjects
    rows_of = [np.flatnonzero(subjects == s) for s in np.unique(subjects)]
    constant = all(np.ptp(problem.y[rows]) == 0 for rows in rows_of)
    site = np.zeros(len(subjects), int) if problem.sites is None else problem.sites
    kind = np.array([
        (external[rows[0]], site[rows[0]], 0 if constant else len(rows)) for rows in rows_of
    ])  # fmt: skip
    out = problem.y.copy()
    for level in np.unique(kind, axis=0):
        members = np.flatnonzero((kind == level).all(axis=1))
        for to, source in zip(members, rng.permutation(members), strict=True):
            out[rows_of[to]] = (
                problem.y[rows_of[source]][0] if constant else problem.y[rows_of[source]]
            )
    return out


def _inner_loss(
    rows: pd.DataFrame, problem: Problem, candidate: Learner, inner: NDArray[np.int64],
    place: int, seed: int,
) -> float:  # fmt: skip
    train, test = (inner >= 0) & (inner != place), inner == place
    require_disjoint(train, test, problem.subjects)
    if not test.any() or np.ptp(problem.y[train]) == 0:
        return 0.0  # the same for every candidate
    predict = candidate.fit(rows[train], problem.y[train], problem.task, seed=seed)
    predicted = _checked(predict(rows[test]), problem, int(test.sum()))
    if problem.task == "binary":
        p = np.clip(predicted, 1e-6, 1 - 1e-6)
        loss = -(problem.y[test] * np.log(p) + (1 - problem.y[test]) * np.log1p(-p))
    else:
        loss = (problem.y[test] - predicted) ** 2
    return float(loss.sum())


def _checked(predicted: Vector, problem: Problem, n: int) -> Vector:
    """Predictions as one finite number per row, inside the range of the task."""
    out = np.asarray(predicted, float).reshape(-1)
    bad = int((~np.isfinite(out)).sum())
    if len(out) != n or bad:
        msg = f"a model gave {len(out)} prediction(s) for {n} row(s), {bad} of them not finite"
        raise DataError(msg)
    if problem.task == "binary" and ((out < 0) | (out > 1)).any():
        msg = "a model gave probabilities outside 0 to 1; use one with predict_proba"
        raise DataError(msg)
    return out


def _seed(seed: int, *names: str | int) -> int:
    return int(spawn(seed, *names).generate_state(1)[0])
