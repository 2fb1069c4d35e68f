"""Outer splits: folds of subjects, a site left out, the latest subjects, another cohort."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from livertrack._seeds import generator
from livertrack.endpoints._leakage import require_disjoint
from livertrack.endpoints._splits import Labels, Mask, Problem, deal, outcome_strata
from livertrack.errors import DataError

F = TypeVar("F")
Kind = Literal["k-fold", "leave-one-site-out", "temporal", "external"]


class Split(NamedTuple):
    """One fit: its partition and fold, rows to learn from and rows to predict."""

    repeat: int
    fold: int
    train: Mask
    test: Mask


def outer_splits(
    problem: Problem, kind: Kind, *, n_folds: int, n_repeats: int, seed: int,
    moment: NDArray[np.float64] | None, holdout: float, external: Mask,
) -> list[Split]:  # fmt: skip
    """Make the splits of a kind; every row is predicted at most once per partition."""
    n = len(problem.y)
    everything = np.ones(n, bool)
    if kind == "external":
        found = [Split(0, 0, ~external, external)]
    elif kind == "temporal":
        late = _latest(problem.subjects, moment, holdout)
        found = [Split(0, 0, ~late, late)]
    elif kind == "leave-one-site-out":
        sites = np.zeros(n, np.int64) if problem.sites is None else problem.sites
        found = [Split(0, int(s), sites != s, sites == s) for s in np.unique(sites)]
    else:
        found = []
        for repeat in range(n_repeats):
            rng = generator(seed, "cross_validate", "folds", repeat)
            fold = deal(rng, problem.subjects, _strata(problem), everything, n_folds)
            found += [Split(repeat, k, fold != k, fold == k) for k in range(n_folds)]
    for split in found:
        require_disjoint(split.train, split.test, problem.subjects)
        if len(np.unique(problem.y[split.train])) < 2:
            msg = f"fold {split.fold + 1}: the outcome has one level among its training rows"
            raise DataError(msg)
    return found


def fits_by_model(
    fit: Callable[..., F], models: Mapping[str, Any], splits: Sequence[Split], *, use: str
) -> dict[str, list[F]]:
    """``fit(split, model, names=(use, name))`` of every model and split, side by side."""
    jobs = (
        delayed(fit)(part, model, names=(use, name))
        for name, model in models.items()
        for part in splits
    )
    done = list(Parallel()(jobs))
    return {
        name: done[place * len(splits) : (place + 1) * len(splits)]
        for place, name in enumerate(models)
    }


def mean_prediction(
    splits: Sequence[Split], predicted: Sequence[NDArray[np.float64]], tested: Mask
) -> NDArray[np.float64]:
    """Mean over partitions of what was predicted for each tested row, (tested rows, ...)."""
    total = np.zeros((len(tested), *predicted[0].shape[1:]))
    count = np.zeros(len(tested))
    for part, values in zip(splits, predicted, strict=True):
        total[part.test] += values
        count[part.test] += 1
    return np.asarray(total[tested] / count[tested].reshape(-1, *[1] * (total.ndim - 1)))


def inner_fold(problem: Problem, train: Mask, n_inner: int, rng: np.random.Generator) -> Labels:
    """Inner fold of each training row, by subject; -1 elsewhere."""
    return deal(rng, problem.subjects, _strata(problem), train, n_inner)


def _strata(problem: Problem) -> Labels:
    """Outcome level within site: folds hold their share of both."""
    level = outcome_strata(problem.y, problem.subjects, problem.task)
    if problem.sites is None:
        return level
    pairs = np.column_stack([problem.sites, level])
    return np.asarray(np.unique(pairs, axis=0, return_inverse=True)[1]).ravel()


def _latest(subjects: Labels, moment: NDArray[np.float64] | None, holdout: float) -> Mask:
    """Rows of the subjects whose first time lies beyond the cut; equal times stay together."""
    if moment is None:  # checked by the caller
        moment = np.zeros(len(subjects))
    first = np.full(subjects.max() + 1, np.inf)
    np.minimum.at(first, subjects, moment)
    cut = np.quantile(first, 1 - holdout, method="lower")
    late = np.asarray(first[subjects] > cut)
    if not late.any():
        msg = "temporal split: no subject is later than the others; use split='k-fold'"
        raise DataError(msg)
    return late
