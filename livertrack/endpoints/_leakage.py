"""Guard against leakage: what must be true before a prediction may be called out-of-fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.errors import DataError, UsageError


def require_feature_names(
    feature_sets: Mapping[str, Sequence[str]], *, outcome: str, subject: str, site: str | None
) -> None:
    """Raise `UsageError` when the outcome, the subject or the site is among the features."""
    columns = {column for members in feature_sets.values() for column in members}
    named = [(outcome, "outcome"), (subject, "subject"), *([(site, "site")] if site else [])]
    bad = [f"{column} is the {role}" for column, role in named if column in columns]
    if bad:
        msg = f"features hold what must not be a feature: {', '.join(bad)}; remove them"
        raise UsageError(msg)


def require_clean_features(
    data: pd.DataFrame, *, outcome: str, subject: str, site: str | None,
    feature_sets: Mapping[str, Sequence[str]],
) -> None:  # fmt: skip
    """Raise on features that would tell a model the answer, all findings at once.

    Refused: a feature equal to the outcome in every row; a subject in two sites; the same feature
    values under two subjects.
    """
    columns = list(dict.fromkeys(c for members in feature_sets.values() for c in members))
    problems = []
    copies = [column for column in columns if _equal(data[column], data[outcome])]
    if copies:
        problems.append(f"{', '.join(copies)} equal the outcome {outcome} in every row")
    if site:
        pairs = data[[subject, site]].dropna().drop_duplicates()
        moved = int(pairs[subject].duplicated().sum())
        if moved:
            problems.append(f"{moved} subject(s) are in more than one {site}")
    twins = _twins(data, columns, subject)
    if twins:
        problems.append(
            f"{twins} row(s) have the same feature values under another {subject}: "
            "the same scan or sample entered twice"
        )
    if problems:
        msg = f"features: {'; '.join(problems)}; correct the data before predicting"
        raise DataError(msg)


def require_disjoint(
    train: NDArray[np.bool_], test: NDArray[np.bool_], subjects: NDArray[np.int64]
) -> None:
    """Raise when a subject has rows on both sides of a split."""
    shared = np.intersect1d(subjects[train], subjects[test])
    if len(shared):
        msg = f"{len(shared)} subject(s) are in training and in test rows of one fold"
        raise UsageError(msg)


def _twins(data: pd.DataFrame, columns: Sequence[str], subject: str) -> int:
    """Rows equal in all features to a row of another subject.

    Counts only if at least two features are continuous (more than half of the values differ):
    equal scores or integer laboratory values are no sign of a copy.
    """
    values = data[list(columns)]
    distinct = values.nunique() > values.notna().sum() / 2
    if int(distinct.sum()) < 2:
        return 0
    told = data[values.notna().sum(axis=1) >= 2]
    pairs = told[[*columns, subject]].drop_duplicates()
    return int(pairs.duplicated(list(columns)).sum())


def _equal(feature: pd.Series, outcome: pd.Series) -> bool:
    both = pd.to_numeric(feature, errors="coerce"), pd.to_numeric(outcome, errors="coerce")
    known = both[1].notna()
    return bool(known.any() and np.array_equal(both[0][known], both[1][known]))
