"""Rows, outcome and groups of a cross-validation, in an order the input does not decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import numeric, require_columns
from livertrack.endpoints._metrics import PRIMARY
from livertrack.endpoints._splits import Mask, Problem, Task
from livertrack.endpoints.cross_validation.learners import Learner, Tabular
from livertrack.errors import DataError, UsageError

_KINDS = ("k-fold", "leave-one-site-out", "temporal", "external")


class Rows(NamedTuple):
    """Both cohorts one below the other; ``external`` marks the second."""

    frame: pd.DataFrame
    problem: Problem
    external: Mask
    moment: NDArray[np.float64] | None
    notes: tuple[str, ...]


def require_options(
    *, split: str, site: str | None, time: str | None, external: pd.DataFrame | None,
    holdout: float, n_folds: int, n_inner: int, n_repeats: int, n_perm: int, n_boot: int,
    task: str,
) -> None:  # fmt: skip
    """Raise `UsageError` on arguments that do not fit together, all at once."""
    problems = []
    if split not in _KINDS:
        problems.append(f"split is one of {', '.join(_KINDS)}, got {split!r}")
    if task not in PRIMARY:
        problems.append(f"task is one of {', '.join(PRIMARY)}, got {task!r}")
    if split == "leave-one-site-out" and site is None:
        problems.append("leave-one-site-out needs the column of the site")
    if split == "temporal" and time is None:
        problems.append("a temporal split needs the column of the time")
    if (split == "external") != (external is not None):
        problems.append("split='external' and a frame as external belong together")
    if not 0 < holdout < 1:
        problems.append(f"holdout is a proportion of subjects, got {holdout}")
    least = {"n_folds": (n_folds, 2), "n_inner": (n_inner, 2), "n_repeats": (n_repeats, 1)}
    problems += [
        f"{k} must be at least {low}, got {v}" for k, (v, low) in least.items() if v < low
    ]
    if min(n_perm, n_boot) < 0:
        problems.append("n_perm and n_boot are numbers of resamples, 0 for none")
    if split != "k-fold" and n_repeats > 1:
        problems.append(f"n_repeats: a {split} split has one partition")
    if problems:
        raise UsageError("; ".join(problems))


def gather(
    data: pd.DataFrame, external: pd.DataFrame | None, outcome: str, subject: str,
    site: str | None, time: str | None, task: Task, learners: Mapping[str, Learner],
) -> Rows:  # fmt: skip
    """Complete rows of both cohorts, sorted by subject and then by everything else."""
    named = [c for m in learners.values() if isinstance(m, Tabular) for c in m.columns]
    needed = [subject, outcome, *([site] if site else []), *([time] if time else [])]
    cohorts = {"data": data} if external is None else {"data": data, "external": external}
    parts, notes = [], []
    for name, frame in cohorts.items():
        require_columns(frame, list(dict.fromkeys([*needed, *named])), name=name)
        known = frame[needed].notna().all(axis=1)
        lost = int((~known).sum())
        if lost:
            listed = ", ".join(needed)
            notes.append(f"{name}: {lost} of {len(frame)} row(s) without {listed} are left out")
        if not known.any():
            msg = (
                f"{name}: no row has {', '.join(needed)}; {len(frame)} row(s) were given, each "
                "lacks at least one of them"
            )
            raise DataError(msg)
        parts.append(_sorted(frame[known], subject))
    both = pd.concat(parts, ignore_index=True)
    second = np.repeat([False, True][: len(parts)], [len(part) for part in parts])
    y = numeric(both, outcome)
    levels = np.unique(y)
    if len(levels) < 2:
        msg = f"{outcome} has one level in {len(y)} rows: there is nothing to predict"
        raise DataError(msg)
    if task == "binary" and not set(levels) <= {0.0, 1.0}:
        msg = f"{outcome} is not 0/1; state a threshold first, or choose task='ordinal'"
        raise DataError(msg)
    subjects = np.unique(both[subject].astype(str), return_inverse=True)[1]
    sites = np.unique(both[site].astype(str), return_inverse=True)[1] if site else None
    if site:
        moved = int(both[[subject, site]].drop_duplicates()[subject].duplicated().sum())
        if moved:
            msg = f"data: {moved} subject(s) are in more than one {site}; correct the data"
            raise DataError(msg)
    shared = len(np.intersect1d(subjects[second], subjects[~second]))
    if shared:
        msg = f"external: {shared} subject(s) are in both cohorts; nothing was fitted"
        raise DataError(msg)
    problem = Problem(y, np.asarray(subjects, np.int64), sites, task)
    return Rows(both, problem, second, _moment(both, time), tuple(notes))


def require_enough(problem: Problem, n_folds: int, outcome: str) -> None:
    """Raise where a fold would be without subjects, or without the rarer class."""
    n = int(problem.subjects.max()) + 1
    if n < 2 * n_folds:
        msg = f"{n} subjects are too few for {n_folds} folds; at least {2 * n_folds} are needed"
        raise DataError(msg)
    if problem.task == "binary":
        rarer = min(len(np.unique(problem.subjects[problem.y == level])) for level in (0.0, 1.0))
        if rarer < n_folds:
            msg = f"{outcome}: {rarer} subjects of the rarer class are fewer than {n_folds} folds"
            raise DataError(msg)


def require_members(
    ensembles: Mapping[str, Sequence[str]], learners: Mapping[str, Learner]
) -> None:
    """Raise `UsageError` where an ensemble has no members, unknown ones or the name of a model."""
    for name, members in ensembles.items():
        unknown = [m for m in members if m not in learners]
        if name in learners or unknown or not members:
            msg = (
                f"ensembles: {name} takes names of models ({', '.join(learners)}) and has a name "
                f"of its own; got {', '.join(members) or 'none'}"
            )
            raise UsageError(msg)


def _sorted(frame: pd.DataFrame, subject: str) -> pd.DataFrame:
    """Rows ordered by subject, then by their values as text: input order must not matter."""
    frame = frame.reset_index(drop=True)  # labels of rows may repeat
    text = frame.astype(str)
    rest = sorted(c for c in frame.columns if c != subject)
    return frame.loc[text.sort_values([subject, *rest], kind="stable").index]


def _moment(frame: pd.DataFrame, time: str | None) -> NDArray[np.float64] | None:
    if time is None:
        return None
    if pd.api.types.is_numeric_dtype(frame[time]):
        return numeric(frame, time)
    when = pd.to_datetime(frame[time], errors="coerce")
    bad = int(when.isna().sum())
    if bad:
        msg = f"data: {time} has {bad} cell(s) that are no date; use ISO 8601 or numbers"
        raise DataError(msg)
    return when.to_numpy("datetime64[ns]").astype("int64").astype(float)
