"""Intercurrent events: which records are kept, removed, replaced, modelled or imputed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import require_columns
from livertrack.endpoints._design import Floats
from livertrack.endpoints._imputation_strategies import read_strategy
from livertrack.endpoints.mmrm._subjects import Ints
from livertrack.errors import DataError

_COUNTS = ["n_subjects", "n_observed", "n_missing"]


@dataclass(frozen=True)
class Handling:
    """What becomes of the records of n subjects at d visits.

    Attributes
    ----------
    event : ndarray (n,)
        First visit that the assumption is about; d where there is none.
    assumption : tuple of str
        Of every subject.
    known : ndarray (n, d)
        Observed records that stay, which imputation conditions on; NaN elsewhere.
    modelled : ndarray (n, d)
        Those the imputation model is fitted to: not after an event with a reference-based
        assumption.
    fixed : ndarray (n, d)
        Values given by a composite or while-on-treatment strategy; NaN elsewhere.
    after : ndarray (n, d), bool
        Visits past any event.
    summary : DataFrame
        ``event, strategy, assumption``, the arm, ``n_subjects, n_observed, n_missing`` (records
        after the event that were observed, and that were not).
    """

    event: Ints
    assumption: tuple[str, ...]
    known: Floats
    modelled: Floats
    fixed: Floats
    after: np.ndarray
    summary: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def imputed(self) -> np.ndarray:
        """Records to be filled in (n, d), bool."""
        return np.isnan(self.known) & np.isnan(self.fixed)


def no_events(y: Floats, assumption: str, arms: pd.Series[Any]) -> Handling:
    """Handle dropout alone: ``assumption`` is about what follows the last observed record."""
    d = y.shape[1]
    event = np.where(~np.isnan(y), np.arange(d), -1).max(axis=1) + 1
    after = np.arange(d) >= event[:, None]
    left = event < d
    rows = pd.DataFrame({"arm": arms, "left": left, "n": np.where(left, d - event, 0)})
    counts = rows.groupby("arm", observed=True, sort=False)[["left", "n"]].sum().reset_index()
    summary = pd.DataFrame(
        {
            "event": "No record from a visit on", "strategy": "", "assumption": assumption,
            str(arms.name): counts["arm"], "n_subjects": counts["left"].astype(int),
            "n_observed": 0, "n_missing": counts["n"].astype(int),
        }
    )  # fmt: skip
    nothing = np.full_like(y, np.nan)
    names = (assumption,) * len(y)
    return Handling(event.astype(np.int64), names, y, y, nothing, after, summary)


def handle_events(
    y: Floats,
    events: pd.DataFrame,
    *,
    people: Sequence[Any],
    arms: pd.Series[Any],
    visits: Sequence[Any],
    subject: str,
    visit: str,
    strategy: str,
) -> Handling:
    """Apply the strategy of every event.

    Parameters
    ----------
    y : ndarray (n, d)
        Observed responses, NaN where missing; rows as ``people``, columns as ``visits``.
    events : DataFrame
        ``subject, visit`` (first affected) and, if wanted, ``STRATEGY, ASSUMPTION, VALUE, EVENT``;
        a subject may have several rows.
    strategy : str
        Strategy where ``events`` has no column ``STRATEGY``.

    Notes
    -----
    Several events of a subject: records go from the first hypothetical event on; the assumption
    is that of the first event with one other than MAR; the first composite or while-on-treatment
    event decides all later records.
    """
    read = _read_events(events, people, visits, subject, visit, strategy)
    n, d = y.shape
    known, fixed = y.copy(), np.full((n, d), np.nan)
    event, names = np.full(n, d), ["MAR"] * n
    after = np.zeros((n, d), bool)
    bare = 0
    decided = np.full(n, d)
    for row in read.to_dict("records"):
        person, when = int(row["person"]), int(row["when"])
        after[person, when:] = True
        if row["strategy"] == "hypothetical":
            known[person, when:] = np.nan
        if row["assumption"] != "MAR" and when < event[person]:
            event[person], names[person] = when, str(row["assumption"])
        if row["strategy"] in ("composite", "while-on-treatment") and when < decided[person]:
            decided[person] = when
            seen = np.flatnonzero(~np.isnan(known[person, :when]))
            known[person, when:] = np.nan
            if row["strategy"] == "composite":
                fixed[person, when:] = float(row["value"])
            elif len(seen):
                fixed[person, when:] = known[person, seen[-1]]
            else:
                bare += 1
    hidden = (np.arange(d) >= event[:, None]) & ~np.isnan(known)
    notes = (
        (f"while on treatment: {bare} subject(s) without a record before the event are imputed "
         "as missing at random",)
        if bare
        else ()
    )  # fmt: skip
    return Handling(
        event.astype(np.int64), tuple(names), known, np.where(hidden, np.nan, known), fixed,
        after, _summary(read, y, arms), notes,
    )  # fmt: skip


def _read_events(
    events: pd.DataFrame,
    people: Sequence[Any],
    visits: Sequence[Any],
    subject: str,
    visit: str,
    strategy: str,
) -> pd.DataFrame:
    """Events of the subjects of the data, in time: places of subject and visit, what is done."""
    require_columns(events, [subject, visit], name="events")
    place = {person: number for number, person in enumerate(people)}
    order = {name: number for number, name in enumerate(visits)}
    read = pd.DataFrame(
        {
            "person": events[subject].map(place).to_numpy(float),
            "when": events[visit].astype(object).map(order).to_numpy(float),
        }
    )
    unknown = int(read["when"].isna().sum())
    if unknown:
        msg = f"events: {unknown} row(s) with a {visit} the data do not have"
        raise DataError(msg)
    given = events["STRATEGY"] if "STRATEGY" in events else pd.Series([strategy] * len(events))
    assumed = events["ASSUMPTION"] if "ASSUMPTION" in events else pd.Series([None] * len(events))
    pairs = [
        read_strategy(str(how), None if pd.isna(what) else str(what))
        for how, what in zip(given, assumed, strict=True)
    ]
    read["strategy"] = [how for how, _ in pairs]
    read["assumption"] = [what for _, what in pairs]
    read["value"] = events["VALUE"].to_numpy(float) if "VALUE" in events else np.nan
    read["event"] = (
        events["EVENT"].astype(str).to_numpy() if "EVENT" in events else "Intercurrent event"
    )
    bare = int((read["strategy"].eq("composite") & read["value"].isna()).sum())
    if bare:
        msg = f"events: {bare} composite event(s) without a VALUE; state what the records become"
        raise DataError(msg)
    read = read[read["person"].notna()].astype({"person": int, "when": int})
    read = read.drop_duplicates().sort_values(
        ["person", "when", "strategy", "assumption", "value", "event"], kind="stable"
    )
    _require_agreement(read)
    return read.reset_index(drop=True)


def _require_agreement(read: pd.DataFrame) -> None:
    """Two events of a subject at one visit must not ask for different things."""
    keys = ["person", "when"]
    tilted = read[read["assumption"] != "MAR"].groupby(keys)["assumption"].nunique()
    final = read[read["strategy"].isin(["composite", "while-on-treatment"])]
    decided = final.assign(value=final["value"].fillna(0)).groupby(keys)[["strategy", "value"]]
    clashes = int((tilted > 1).sum() + (decided.nunique().gt(1)).any(axis=1).sum())
    if clashes:
        msg = (
            f"events: {clashes} subject-visit(s) with events whose strategies contradict each "
            "other; keep the one that decides"
        )
        raise DataError(msg)


def _summary(read: pd.DataFrame, y: Floats, arms: pd.Series[Any]) -> pd.DataFrame:
    seen = ~np.isnan(y)
    read = read.drop_duplicates(["person", "event", "strategy", "assumption"])
    person, when = read["person"].to_numpy(), read["when"].to_numpy()
    later = np.arange(y.shape[1]) >= when[:, None]
    arm = str(arms.name)
    rows = read[["event", "strategy", "assumption"]].assign(
        **{
            arm: arms.to_numpy()[person],
            "n_subjects": 1,
            "n_observed": (seen[person] & later).sum(axis=1),
            "n_missing": (~seen[person] & later).sum(axis=1),
        }
    )
    kinds = rows[["event", "strategy", "assumption"]].drop_duplicates()
    kinds = kinds.sort_values(list(kinds.columns))
    every = kinds.merge(pd.DataFrame({arm: pd.unique(arms)}), how="cross")
    keys = [*kinds.columns, arm]
    counts = rows.groupby(keys, observed=True)[_COUNTS].sum().reset_index()
    found = every.astype({arm: object}).merge(counts.astype({arm: object}), on=keys, how="left")
    return found.fillna(dict.fromkeys(_COUNTS, 0)).astype(dict.fromkeys(_COUNTS, int))
