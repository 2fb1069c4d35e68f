"""Records of events that can recur, as intervals at risk of subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import numeric, require_columns
from livertrack.endpoints._events import Floats, is_event
from livertrack.errors import DataError


@dataclass(frozen=True)
class Intervals:
    """Intervals at risk ``(start, stop]``; ``event`` where one happened at ``stop``.

    ``subject`` numbers the subjects 0, 1, ...; rows are sorted by subject, then start. ``data``
    holds the records, ``subjects`` the first record of each subject.
    """

    data: pd.DataFrame
    subject: NDArray[np.int64]
    start: Floats
    stop: Floats
    event: NDArray[np.bool_]
    notes: tuple[str, ...]

    @property
    def subjects(self) -> pd.DataFrame:
        """First record of each subject, in order."""
        return self.data.iloc[np.unique(self.subject, return_index=True)[1]]

    def per_subject(self, values: Floats) -> Floats:
        """Sums of ``values`` (one per row) over the rows of each subject."""
        return np.asarray(np.bincount(self.subject, values), dtype=np.float64)


def intervals(
    data: pd.DataFrame,
    *,
    subject: str,
    time: str,
    censor: str,
    start: str | None,
    fixed: Sequence[str],
) -> Intervals:
    """Intervals at risk of subjects whose records are complete.

    Without ``start`` an interval begins where the one before ended, the first at 0, and each
    subject has one record per event and one that closes follow-up (``censor`` >= 1), unless
    follow-up ends with an event. With ``start`` the intervals are those given; a gap is time not
    at risk. Subjects with a blank in any column are dropped whole; ``fixed`` columns must not
    change within a subject.
    """
    wanted = [time, censor, *([start] if start else []), *fixed]
    require_columns(data, [subject, *wanted])
    unnamed = int(data[subject].isna().sum())
    if unnamed:
        msg = f"{subject}: {unnamed} record(s) without a subject; complete or remove them"
        raise DataError(msg)
    blank = data[wanted].isna().any(axis=1).groupby(data[subject].to_numpy()).transform("any")
    kept = data[~blank.to_numpy()]
    notes = _dropped(data, kept, subject, wanted)
    stop, event = numeric(kept, time), is_event(numeric(kept, censor), name=censor)
    begin = numeric(kept, start) if start else np.zeros(len(kept))
    negative = int(((stop < 0) | (begin < 0)).sum())
    if negative:
        msg = f"{time}: {negative} negative time(s); times run from randomisation, in one unit"
        raise DataError(msg)
    # the closing record after an event at the same time
    order = np.lexsort((~event, stop, kept[subject].astype(str).to_numpy()))
    kept, stop, event, begin = kept.iloc[order], stop[order], event[order], begin[order]
    number = pd.factorize(kept[subject])[0].astype(np.int64)
    _require_fixed(kept, number, fixed)
    same = np.zeros(len(kept), bool)
    same[1:] = number[1:] == number[:-1]
    previous = np.concatenate([[0.0], stop[:-1]]) if len(stop) else stop
    if start is None:
        begin = np.where(same, previous, 0.0)
        _require_closed(same, event, censor)
    else:
        overlap = int((same & (begin < previous)).sum())
        if overlap:
            msg = f"{start}: {overlap} interval(s) overlap the one before of the same subject"
            raise DataError(msg)
    return _positive(kept, number, begin, stop, event, notes, time)


def _dropped(
    data: pd.DataFrame, kept: pd.DataFrame, subject: str, wanted: Sequence[str]
) -> tuple[str, ...]:
    total, left = data[subject].nunique(), kept[subject].nunique()
    if left == total:
        return ()
    listed = ", ".join(dict.fromkeys(wanted))
    return (f"dropped {total - left} of {total} subjects: {listed} incomplete",)


def _require_fixed(kept: pd.DataFrame, number: NDArray[np.int64], fixed: Sequence[str]) -> None:
    for column in fixed:
        counts = kept[column].astype(str).groupby(number).nunique()
        changing = int((counts > 1).sum())
        if changing:
            msg = f"{column} differs between records of {changing} subject(s); it must not change"
            raise DataError(msg)


def _require_closed(same: NDArray[np.bool_], event: NDArray[np.bool_], censor: str) -> None:
    """One closing record per subject at most, and nothing after it."""
    after = int((same[1:] & ~event[:-1]).sum())
    if after:
        msg = (
            f"{censor}: {after} record(s) follow a closing one ({censor} >= 1) of the same "
            "subject; keep one closing record per subject, or name the column ``start`` of "
            "intervals at risk"
        )
        raise DataError(msg)


def _positive(
    kept: pd.DataFrame, number: NDArray[np.int64], begin: Floats, stop: Floats,
    event: NDArray[np.bool_], notes: tuple[str, ...], time: str,
) -> Intervals:  # fmt: skip
    """Drop closing records without length; an event without time at risk is an error."""
    empty = stop <= begin
    bad = int((empty & event).sum() + (stop < begin).sum())
    if bad:
        msg = (
            f"{time}: {bad} record(s) end where they begin: an event at time 0, two events of a "
            "subject at the same time, or an interval turned round; count events of one day once"
        )
        raise DataError(msg)
    total = int(number.max()) + 1 if len(number) else 0
    left, subject = np.unique(number[~empty], return_inverse=True)
    if len(left) < total:
        lost = f"dropped {total - len(left)} of {total} subjects: no time at risk"
        notes = (*notes, lost)
    return Intervals(
        kept[~empty], subject.astype(np.int64), begin[~empty], stop[~empty], event[~empty], notes
    )
