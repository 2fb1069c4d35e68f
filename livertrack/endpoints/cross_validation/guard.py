"""Refuse what would let a model see its answers, all findings at once, in counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from sklearn.frozen import FrozenEstimator

from livertrack.endpoints._leakage import require_clean_features, require_feature_names
from livertrack.endpoints._splits import Mask
from livertrack.endpoints.cross_validation.learners import Learner, Tabular
from livertrack.errors import DataError, UsageError


def require_no_leakage(
    rows: pd.DataFrame, learners: Mapping[str, Learner], *, outcome: str, subject: str,
    site: str | None, hashes: Sequence[str], fitted_on: Mapping[str, Collection[Any]],
    tested: Mask,
) -> None:  # fmt: skip
    """Raise `DataError` or `UsageError` on every leak that can be seen in the data.

    Refused: an image (hash) that occurs twice, under one subject or
    two; features equal to the outcome or the same under two subjects; a frozen estimator; features
    whose extractor was fitted on a subject that is predicted.
    """
    problems = []
    subjects = rows[subject].astype(str).to_numpy()
    for column in hashes:
        known = rows.loc[rows[column].notna(), [column, subject]]
        again = int(known.duplicated([column]).sum())
        owners = known.drop_duplicates().groupby(column)[subject].nunique()
        shared = int((owners > 1).sum())
        if shared:
            problems.append(f"{shared} image(s) ({column}) belong to more than one {subject}")
        elif again:
            problems.append(f"{again} image(s) ({column}) are entered twice")
    held = set(subjects[tested])
    for name, seen in fitted_on.items():
        overlap = held & {str(value) for value in seen}
        if overlap:
            problems.append(
                f"the extractor of {name} was fitted on {len(overlap)} subject(s) that are "
                "predicted: fit it inside the folds"
            )
    if problems:
        msg = f"data: {'; '.join(problems)}; nothing was fitted"
        raise DataError(msg)
    inner = {name: _tabular(m) for name, m in learners.items()}
    tables = {name: list(m.columns) for name, m in inner.items() if m is not None}
    frozen = [n for n, m in inner.items() if m is not None and _frozen(m.estimator)]
    if frozen:
        msg = f"models: {', '.join(frozen)} hold a part fitted before; folds must fit everything"
        raise UsageError(msg)
    if tables:
        require_feature_names(tables, outcome=outcome, subject=subject, site=site)
        require_clean_features(
            rows, outcome=outcome, subject=subject, site=site, feature_sets=tables
        )


def _tabular(learner: Any) -> Tabular | None:
    """Table model inside a learner that wraps others (``learner``), or None."""
    while not isinstance(learner, Tabular) and hasattr(learner, "learner"):
        learner = learner.learner
    return learner if isinstance(learner, Tabular) else None


def _frozen(estimator: Any) -> bool:
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return any(isinstance(part, FrozenEstimator) for part in parts)
