"""Models of the folds at hand: for questions that ask a fitted model more than one prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation._folds import _seed, fit_fold
from livertrack.endpoints.cross_validation._input import (
    Rows,
    gather,
    require_enough,
    require_options,
)
from livertrack.endpoints.cross_validation.guard import require_no_leakage
from livertrack.endpoints.cross_validation.learners import Predictor, Tabular, as_learners
from livertrack.endpoints.cross_validation.splits import Split, outer_splits
from livertrack.errors import UsageError


def subject_folds(
    data: pd.DataFrame, model: Tabular, *, outcome: str, task: Task, subject: str,
    site: str | None, n_folds: int, n_inner: int, n_boot: int, seed: int,
) -> tuple[Rows, list[Split]]:  # fmt: skip
    """Checked rows, one per subject, and the folds of `cross_validate` with this seed."""
    require_options(
        split="k-fold", site=site, time=None, external=None, holdout=0.3, n_folds=n_folds,
        n_inner=n_inner, n_repeats=1, n_perm=0, n_boot=n_boot, task=task,
    )  # fmt: skip
    learners = as_learners({"model": model}, None)
    rows = gather(data, None, outcome, subject, site, None, task, learners)
    require_enough(rows.problem, n_folds, outcome)
    if len(np.unique(rows.problem.subjects)) < len(rows.frame):
        msg = f"data: {len(rows.frame)} rows of fewer subjects; give one row per subject"
        raise UsageError(msg)
    splits = outer_splits(
        rows.problem, "k-fold", n_folds=n_folds, n_repeats=1, seed=seed, moment=None, holdout=0.3,
        external=rows.external,
    )  # fmt: skip
    require_no_leakage(
        rows.frame, learners, outcome=outcome, subject=subject, site=site, hashes=(),
        fitted_on={}, tested=np.ones(len(rows.frame), bool),
    )  # fmt: skip
    return rows, splits


def fold_model(
    rows: Rows, part: Split, model: Tabular, *, n_inner: int, seed: int
) -> tuple[NDArray[np.float64], Predictor]:
    """Predictions of a fold's test rows, and the model that made them.

    Both are those of `cross_validate` with this seed and a model called ``model``.
    """
    names = ("cross_validate", "model")
    whole = fit_fold(
        rows.frame, rows.problem, part, model, n_inner=n_inner, seed=seed, names=names
    )
    labels = {candidate.label(): candidate for candidate in model.candidates()}
    with threadpool_limits(limits=1):
        predict = labels[whole.chosen].fit(
            rows.frame[part.train], rows.problem.y[part.train], rows.problem.task,
            seed=_seed(seed, *names, part.repeat, part.fold),
        )  # fmt: skip
    return whole.predicted, predict


def feature_groups(
    model: Tabular, groups: Mapping[str, Sequence[str]] | None
) -> dict[str, list[str]]:
    """Groups of columns by name, each column by itself where None; checked against the model."""
    sets = {str(k): list(v) for k, v in (groups or {c: [c] for c in model.columns}).items()}
    unknown = sorted({c for members in sets.values() for c in members} - set(model.columns))
    if unknown or not sets:
        msg = f"groups: {', '.join(unknown) or 'none'} not in the model"
        raise UsageError(msg)
    return sets
