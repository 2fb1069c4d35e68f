"""Times to an event: the one place where the censoring flag becomes an event flag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import (
    numeric,
    ordered_levels,
    require_columns,
    require_unique,
)
from livertrack.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EventTimes:
    """Subjects with a known time: ``time`` >= 0, ``event`` True where the event was seen."""

    data: pd.DataFrame
    time: Floats
    event: NDArray[np.bool_]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CompetingTimes:
    """Subjects with a known time: ``kind`` 0 is censored, 1, 2, ... the place in ``causes``."""

    data: pd.DataFrame
    time: Floats
    kind: NDArray[np.int64]
    causes: tuple[str, ...]
    notes: tuple[str, ...]

    def is_cause(self, event: str) -> NDArray[np.bool_]:
        """Subjects whose event is of the kind ``event``, which must have happened."""
        if event not in self.causes:
            msg = (
                f"event {event!r} did not happen; events of {len(self.time)} subjects are "
                f"{', '.join(map(str, self.causes))}"
                if self.causes
                else f"no event among {len(self.time)} subjects; a hazard ratio needs events"
            )
            raise DataError(msg)
        return np.asarray(self.kind == 1 + self.causes.index(event))


@dataclass(frozen=True)
class RiskTable:
    """Counts at each distinct time of one group, in increasing order of time."""

    time: Floats
    n_risk: Floats
    n_event: Floats
    n_censor: Floats


def is_event(censor: Floats, *, name: str = "CNSR") -> NDArray[np.bool_]:
    """Event flag of an ADaM censoring flag: 0 is the event, 1, 2, ... are kinds of censoring.

    This is the only conversion in the package. Anything but a whole number >= 0 is an error.
    """
    bad = int(((censor < 0) | (censor != np.floor(censor))).sum())
    if bad:
        msg = f"{name}: {bad} cell(s) are not 0 (event) or a positive whole number (censored)"
        raise DataError(msg)
    return np.asarray(censor == 0)


def event_times(
    data: pd.DataFrame,
    *,
    time: str,
    censor: str,
    columns: Sequence[str] = (),
    subject: str = "USUBJID",
) -> EventTimes:
    """Rows with time, censoring flag and ``columns`` present, sorted by time, events first.

    Dropped rows are counted in ``notes``. Where the column ``subject`` exists each subject may
    occur once: an adtte with several PARAMCD must be filtered to one.
    """
    require_columns(data, [time, censor, *columns])
    if subject in data.columns:
        require_unique(data, [subject])
    used = data.loc[:, list(dict.fromkeys([time, censor, *columns]))]
    keep = used.notna().all(axis=1).to_numpy()
    kept = data[keep]
    durations = numeric(kept, time)
    negative = int((durations < 0).sum())
    if negative:
        msg = f"{time}: {negative} negative time(s); times run from randomisation, in one unit"
        raise DataError(msg)
    event = is_event(numeric(kept, censor), name=censor)
    order = np.lexsort((~event, durations))
    dropped = int((~keep).sum())
    missing = ", ".join(used.columns)
    notes = (
        (f"dropped {dropped} of {len(data)} subjects: {missing} incomplete",) if dropped else ()
    )
    return EventTimes(kept.iloc[order], durations[order], event[order], notes)


def competing_times(
    data: pd.DataFrame, *, time: str, censor: str, cause: str, columns: Sequence[str] = ()
) -> CompetingTimes:
    """`event_times` with the kind of each event, named by the column ``cause``.

    An event without a cause is dropped and counted; a cause where the flag says censored is
    ignored.
    """
    known = event_times(data, time=time, censor=censor, columns=columns)
    if cause not in data.columns:
        msg = f"data: column {cause} missing; it names the kind of each event"
        raise DataError(msg)
    unnamed = known.event & known.data[cause].isna().to_numpy()
    notes = known.notes
    if unnamed.any():
        lost = f"dropped {int(unnamed.sum())} of {len(data)} subjects: event without {cause}"
        notes = (*notes, lost)
    rows, event = known.data[~unnamed], known.event[~unnamed]
    causes = ordered_levels(rows.loc[event, cause])
    kind = np.where(event, 1 + pd.Categorical(rows[cause], categories=causes).codes, 0)
    return CompetingTimes(rows, known.time[~unnamed], kind.astype(int), tuple(causes), notes)


def risk_table(time: Floats, event: NDArray[np.bool_]) -> RiskTable:
    """Numbers at risk just before, events at and censorings at each distinct time."""
    distinct, place = np.unique(time, return_inverse=True)
    total = np.bincount(place, minlength=len(distinct)).astype(float)
    events = np.bincount(place[event], minlength=len(distinct)).astype(float)
    at_risk = np.asarray(np.cumsum(total[::-1])[::-1], dtype=np.float64)
    return RiskTable(distinct, at_risk, events, total - events)


def round_times(longest: float) -> list[float]:
    """About six round steps from 0 to ``longest``, where numbers at risk are counted."""
    if longest <= 0:
        return [0.0]
    raw = longest / 6
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw)
    return [float(t) for t in np.arange(0, longest + step * 1e-9, step)]


def survival_and_greenwood(table: RiskTable) -> tuple[Floats, Floats]:
    """Kaplan-Meier estimate and Greenwood's sum d / (n (n - d)) after each time of ``table``.

    The sum is infinite once everybody at risk had the event (the estimate is 0 there).
    """
    n, d = table.n_risk, table.n_event
    with np.errstate(divide="ignore"):
        terms = np.where(d > 0, d / (n * (n - d)), 0.0)
    return np.asarray(np.cumprod(1 - d / n)), np.asarray(np.cumsum(terms))


def empty_arms(values: pd.Series) -> list[str]:
    """Note on the planned arms (categories) that have no subject."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return []
    present = set(values.dropna().unique())
    absent = [str(level) for level in values.cat.categories if level not in present]
    return [f"no subject in {', '.join(absent)}"] if absent else []


def level_rows(values: pd.Series, level: object) -> NDArray[np.bool_]:
    """Rows of one level, as a plain boolean array."""
    return np.asarray((values == level).to_numpy(dtype=bool))
