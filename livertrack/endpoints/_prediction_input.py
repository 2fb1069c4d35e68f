"""Input of the biopsy prediction: feature sets, complete rows, and whether they can be learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import numeric
from livertrack.endpoints._metrics import PRIMARY
from livertrack.endpoints._representations import composition_columns
from livertrack.endpoints._splits import Problem, Task
from livertrack.errors import DataError, UsageError


def named_sets(
    features: pd.DataFrame, outcome: str, subject: str, site: str | None,
    columns: Sequence[str] | None, feature_sets: Mapping[str, Sequence[str]] | None,
) -> dict[str, list[str]]:  # fmt: skip
    """Give the feature sets, however they were named."""
    if columns is not None and feature_sets is not None:
        msg = "give columns or feature_sets, not both"
        raise UsageError(msg)
    if feature_sets is not None:
        sets = {str(name): list(members) for name, members in feature_sets.items()}
    elif columns is not None:
        sets = {"features": list(columns)}
    else:
        numbers = features.select_dtypes(["number", "bool"]).columns
        sets = {"features": sorted(c for c in numbers if c not in (outcome, subject, site))}
    empty = [name for name, members in sets.items() if not members]
    if empty or not sets:
        msg = f"no feature columns in {', '.join(empty) or 'feature_sets'}; name at least one"
        raise UsageError(msg)
    return sets


def require_options(
    task: str, counts: Mapping[str, int], resamples: tuple[int, int], site: str | None, *,
    leave_site_out: bool,
) -> None:  # fmt: skip
    """Raise `UsageError` on arguments that make no sense, all at once."""
    least = {"n_folds": 2, "n_inner": 2, "n_repeats": 1}
    problems = [f"{name} must be at least {least[name]}, got {value}"
                for name, value in counts.items() if value < least[name]]  # fmt: skip
    if task not in PRIMARY:
        problems.append(f"task is one of {', '.join(PRIMARY)}, got {task!r}")
    if min(resamples) < 0:
        problems.append("n_perm and n_boot are numbers of resamples, 0 for none")
    if leave_site_out and site is None:
        problems.append("leave_site_out needs the column of the site")
    if problems:
        raise UsageError("; ".join(problems))


def complete(
    features: pd.DataFrame, subject: str, outcome: str, used: list[str], groups: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Rows with subject, outcome and site, in an order that the input's order does not decide."""
    known = features[[subject, outcome, *groups]].notna().all(axis=1)
    lost = int((~known).sum())
    names = ", ".join([subject, outcome, *groups])
    notes = [f"{lost} of {len(features)} row(s) without {names} are left out"] if lost else []
    data = features.loc[known, [subject, *groups, outcome, *used]].copy()
    if data.empty:
        msg = f"features: no row has {names}"
        raise DataError(msg)
    data = data.reset_index(drop=True)
    order = data.assign(**{subject: data[subject].astype(str)})
    order = order.sort_values([subject, outcome, *used], kind="stable")
    return data.loc[order.index], notes


def as_problem(
    data: pd.DataFrame, outcome: str, subject: str, site: str | None,
    sets: Mapping[str, Sequence[str]], task: Task,
) -> tuple[Problem, NDArray[Any], int]:  # fmt: skip
    """Give the rows as arrays, the site of each row, and the number of missing feature values."""
    y = numeric(data, outcome, name="features")
    values = {
        name: np.column_stack([numeric(data, column, name="features") for column in members])
        for name, members in sets.items()
    }
    every = {
        c: values[n][:, place] for n, members in sets.items() for place, c in enumerate(members)
    }
    blank = [column for column, seen in every.items() if np.isnan(seen).all()]
    if blank:
        msg = f"features: {', '.join(blank)} have no value at all; leave them out"
        raise DataError(msg)
    subjects = np.unique(data[subject].astype(str), return_inverse=True)[1]
    labels = data[site].astype(str).to_numpy() if site else np.array([], dtype=str)
    problem = Problem(
        y=y,
        subjects=np.asarray(subjects, np.int64),
        sites=np.unique(labels, return_inverse=True)[1] if site else None,
        values=tuple(values.values()),
        parts=tuple(composition_columns(list(m), values[n]) for n, m in sets.items()),
        task=task,
    )
    return problem, labels, int(sum(np.isnan(seen).sum() for seen in every.values()))


def require_learnable(
    problem: Problem, outcome: str, n_folds: int, *, leave_site_out: bool
) -> None:
    """Raise `DataError` where there is nothing to learn, or too little for the folds."""
    levels = np.unique(problem.y)
    if len(levels) < 2:
        msg = f"{outcome} has one level in {len(problem.y)} rows: there is nothing to predict"
        raise DataError(msg)
    n = int(problem.subjects.max()) + 1
    if n < 2 * n_folds and not leave_site_out:
        msg = f"{n} subjects are too few for {n_folds} folds; at least {2 * n_folds} are needed"
        raise DataError(msg)
    if problem.task == "binary":
        if not set(levels) <= {0.0, 1.0}:
            msg = f"{outcome} is not 0/1; state a threshold first, or choose task='ordinal'"
            raise DataError(msg)
        rarer = min(len(np.unique(problem.subjects[problem.y == level])) for level in (0.0, 1.0))
        if rarer < n_folds and not leave_site_out:
            msg = f"{outcome}: {rarer} subjects of the rarer class are fewer than {n_folds} folds"
            raise DataError(msg)
    if leave_site_out and problem.sites is not None:
        kept = [np.unique(problem.y[problem.sites != s]) for s in np.unique(problem.sites)]
        if len(kept) < 2 or any(len(levels) < 2 for levels in kept):
            msg = f"{outcome} has one level, or no rows, outside at least one site"
            raise DataError(msg)
