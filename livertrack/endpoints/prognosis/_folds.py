"""Rows of a prognosis and its fits: tuning on inner folds, one final fit, risks of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack._seeds import generator, spawn
from livertrack.endpoints._checks import numeric, require_columns, require_unique
from livertrack.endpoints._events import is_event
from livertrack.endpoints._leakage import require_feature_names
from livertrack.endpoints._splits import Mask, Problem
from livertrack.endpoints.cross_validation.guard import require_no_leakage
from livertrack.endpoints.cross_validation.learners import Tabular
from livertrack.endpoints.cross_validation.splits import Split, inner_fold
from livertrack.endpoints.prognosis._metrics import Outcome, _brier, censoring
from livertrack.endpoints.prognosis.models import RiskLearner
from livertrack.errors import DataError, UsageError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Cohort(NamedTuple):
    """Subjects with times and events, sorted; ``external`` marks a second cohort."""

    frame: pd.DataFrame
    time: Vector
    event: Flags
    problem: Problem
    external: Mask
    notes: tuple[str, ...]


class Fold(NamedTuple):
    """Risks of the test rows of a split and the candidate that made them."""

    risk: Matrix
    chosen: str


def gather(
    data: pd.DataFrame, external: pd.DataFrame | None, *, time: str, censor: str, subject: str,
    site: str | None, models: Mapping[str, RiskLearner],
) -> Cohort:  # fmt: skip
    """Subjects of both cohorts with known times, in an order the input does not decide."""
    used = list(dict.fromkeys(c for model in models.values() for c in model.columns))
    for outcome in (time, censor):
        require_feature_names(
            {n: list(m.columns) for n, m in models.items()},
            outcome=outcome, subject=subject, site=site,
        )  # fmt: skip
    needed = [subject, time, censor, *([site] if site else [])]
    parts, notes = [], []
    for name, frame in {"data": data, "external": external}.items():
        if frame is None:
            continue
        require_columns(frame, [*needed, *used], name=name)
        require_unique(frame, [subject])
        known = frame[needed].notna().all(axis=1)
        if (~known).any():
            listed = ", ".join(needed)
            notes.append(
                f"{name}: {int((~known).sum())} of {len(frame)} subject(s) without {listed} "
                "are left out"
            )
        if not known.any():
            msg = f"{name}: none of {len(frame)} subject(s) has {', '.join(needed)}"
            raise DataError(msg)
        kept = frame.loc[known.to_numpy(), [*needed, *used]].reset_index(drop=True)
        parts.append(kept.loc[kept[subject].astype(str).sort_values(kind="stable").index])
    both = pd.concat(parts, ignore_index=True)
    second = np.repeat([False, True][: len(parts)], [len(part) for part in parts])
    shared = int(both[subject].astype(str).duplicated().sum())
    if shared:
        msg = f"external: {shared} subject(s) are in both cohorts; nothing was fitted"
        raise DataError(msg)
    times, event = numeric(both, time), is_event(numeric(both, censor), name=censor)
    if (times <= 0).any():
        n = int((times <= 0).sum())
        msg = f"{time}: {n} time(s) are not positive; a prognosis starts at time 0"
        raise DataError(msg)
    if not event.any():
        msg = f"no event ({censor} = 0) among {len(both)} subjects: there is nothing to predict"
        raise DataError(msg)
    sites = np.unique(both[site].astype(str), return_inverse=True)[1] if site else None
    problem = Problem(event.astype(float), np.arange(len(both)), sites, "binary")
    return Cohort(both, times, event, problem, second, tuple(notes))


def require_horizons(cohort: Cohort, tested: Mask, horizons: Sequence[float]) -> Vector:
    """Horizons in rising order; `UsageError` where nobody is at risk or no event came before."""
    found = np.unique(np.asarray(horizons, float))
    if not len(found) or not (np.isfinite(found).all() and found[0] > 0):
        msg = f"horizons are one or more positive times, got {list(horizons)}"
        raise UsageError(msg)
    time, event = cohort.time[tested], cohort.event[tested]
    before = int((event & (time <= found[0])).sum())
    after = int((time > found[-1]).sum())
    if before == 0 or after == 0:
        msg = (
            f"horizons {found[0]:g} to {found[-1]:g}: {before} event(s) up to the first and "
            f"{after} subject(s) under observation after the last; choose others"
        )
        raise UsageError(msg)
    return found


def require_no_leak(
    cohort: Cohort, models: Mapping[str, RiskLearner], *, censor: str, subject: str,
    site: str | None, tested: Mask,
) -> None:  # fmt: skip
    """Refuse features copied from the event or from another subject."""
    shims = {n: Tabular(DummyClassifier(), list(m.columns)) for n, m in models.items()}
    outcome = f"event ({censor} = 0)"
    rows = cohort.frame.assign(**{outcome: cohort.event.astype(float)})
    require_no_leakage(
        rows, shims, outcome=outcome, subject=subject, site=site, hashes=(), fitted_on={},
        tested=tested,
    )  # fmt: skip


def fit_fold(
    cohort: Cohort, split: Split, learner: RiskLearner, times: Vector, horizons: Vector, *,
    n_inner: int, seed: int, names: tuple[str | int, ...],
) -> Fold:  # fmt: skip
    """Choose among candidates inside ``split.train``, fit, predict ``split.test``.

    The smallest mean Brier score over the horizons wins, censoring weighed by the training rows;
    the earlier candidate at a tie.
    """
    key = (*names, split.repeat, split.fold)
    found = list(learner.candidates())
    with threadpool_limits(limits=1):
        chosen = found[0]
        if len(found) > 1:
            inner = inner_fold(
                cohort.problem, split.train, n_inner, generator(seed, *key, "inner")
            )
            losses = [
                _inner_loss(cohort, c, inner, split.train, horizons, n_inner, _seed(seed, *key))
                for c in found
            ]
            chosen = found[int(np.argmin(losses))]
        predict = chosen.fit(
            cohort.frame[split.train], cohort.time[split.train], cohort.event[split.train],
            seed=_seed(seed, *key),
        )  # fmt: skip
        risk = np.asarray(predict(cohort.frame[split.test], times), float)
    shape = (int(split.test.sum()), len(times))
    if risk.shape != shape or not np.isfinite(risk).all() or risk.min() < 0 or risk.max() > 1:
        msg = f"a model gave risks that are not {shape[0]} x {shape[1]} probabilities"
        raise DataError(msg)
    return Fold(risk, chosen.label())


def exchanged(cohort: Cohort, rng: np.random.Generator) -> Cohort:
    """The cohort after subjects exchanged times and events, within site and cohort."""
    site = np.zeros(len(cohort.time), int)
    site = site if cohort.problem.sites is None else cohort.problem.sites
    place = np.arange(len(cohort.time))
    for kind in np.unique(np.column_stack([site, cohort.external]), axis=0):
        members = np.flatnonzero((site == kind[0]) & (cohort.external == kind[1]))
        place[members] = rng.permutation(members)
    time, event = cohort.time[place], cohort.event[place]
    problem = Problem(event.astype(float), cohort.problem.subjects, cohort.problem.sites, "binary")
    return cohort._replace(time=time, event=event, problem=problem)


def _inner_loss(
    cohort: Cohort, candidate: RiskLearner, inner: NDArray[np.int64], train: Mask,
    horizons: Vector, n_inner: int, seed: int,
) -> float:  # fmt: skip
    risk = np.full((len(cohort.time), len(horizons)), np.nan)
    for place in range(n_inner):
        learn, test = (inner >= 0) & (inner != place), inner == place
        if not test.any() or not cohort.event[learn].any():
            continue
        predict: Any = candidate.fit(
            cohort.frame[learn], cohort.time[learn], cohort.event[learn], seed=seed
        )
        risk[test] = predict(cohort.frame[test], horizons)
    used = train & ~np.isnan(risk).any(axis=1)
    outcome = Outcome(cohort.time[used], cohort.event[used], horizons, horizons)
    ones = np.ones((1, int(used.sum())))
    before, at = censoring(ones, outcome)
    scores = [
        float(_brier(ones, outcome, risk[used, k], float(h), before, at(float(h)))[0])
        for k, h in enumerate(horizons)
    ]
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else 0.0


def _seed(seed: int, *names: str | int) -> int:
    return int(spawn(seed, *names).generate_state(1)[0])
