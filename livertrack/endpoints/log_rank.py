"""Log-rank test, optionally stratified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels
from livertrack.endpoints._events import EventTimes, Floats, empty_arms, event_times, level_rows
from livertrack.endpoints._sentences import p_text
from livertrack.endpoints._strata import stratum_numbers
from livertrack.errors import DataError


@dataclass(frozen=True, kw_only=True)
class LogRank(Result):
    """The test (``table``, one row) and observed and expected events per arm (``observed``)."""

    observed: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm",)
    context: ClassVar[str] = "log_rank"


def log_rank(
    data: pd.DataFrame,
    *,
    time: str = "AVAL",
    censor: str = "CNSR",
    arm: str = "TRT01P",
    strata: str | list[str] | None = None,
) -> LogRank:
    """Test that the hazard is the same in all arms.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``time`` in any one unit; ``censor`` = 0 is the event.
    time, censor, arm : str
        Columns; two or more arms.
    strata : str or list of str, optional
        Columns whose combinations are compared only within themselves.

    Returns
    -------
    LogRank
        ``.table``: ``statistic`` (chi-square), ``df, p_value, n, events, n_strata, method``.
        ``.observed``: ``arm, n, observed, expected, ratio`` (observed / expected).

    Notes
    -----
    Denominator: subjects with time, flag, arm and strata; dropped ones are counted in ``notes``.
    One arm with subjects, or no event, gives NaN and a note. Tied events use the hypergeometric
    variance.
    Source: Mantel (1966); Peto and Peto (1972).
    Checked against: R survival 3.5 ``survdiff`` (tests/reference/survival.R).
    """
    by = [strata] if isinstance(strata, str) else list(strata or [])
    known = event_times(data, time=time, censor=censor, columns=[arm, *by])
    if known.data.empty:
        msg = (
            f"no subject has {', '.join([time, censor, arm, *by])}; {len(data)} row(s) were given"
        )
        raise DataError(msg)
    levels = ordered_levels(known.data[arm])
    groups = np.column_stack([level_rows(known.data[arm], level) for level in levels])
    place = stratum_numbers(known.data, by)
    observed, expected, variance = _sums(known, groups.astype(float), place)
    statistic, df = _quadratic(observed - expected, variance)
    notes = [*known.notes, *empty_arms(known.data[arm])]
    if df == 0:
        cause = (
            "one arm has subjects"
            if len(levels) < 2
            else "no event, or none with two arms at risk"
        )
        notes.append(f"no test: {cause}")
    p_value = float(stats.chi2.sf(statistic, df)) if df else float("nan")
    method = "stratified log-rank" if by else "log-rank"
    table = pd.DataFrame(
        [
            {
                "statistic": statistic, "df": df, "p_value": p_value, "n": len(groups),
                "events": int(known.event.sum()), "n_strata": len(np.unique(place)),
                "method": method,
            }
        ]
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        frame = pd.DataFrame(
            {
                "arm": levels, "n": groups.sum(axis=0).astype(int),
                "observed": observed.astype(int), "expected": expected,
                "ratio": np.where(expected > 0, observed / expected, np.nan),
            }
        )  # fmt: skip
    text = (
        f"{method.capitalize()} test over {len(levels)} arms: chi-square {statistic:.3f}, "
        f"df {df}, {p_text(p_value)} ({int(known.event.sum())} events in {len(groups)} subjects)."
        if df
        else f"The {method} test cannot be computed: {notes[-1]}."
    )
    return LogRank(
        table=table,
        observed=frame,
        text=text,
        settings={"method": method, "strata": by, "time": time, "censor": censor, "arm": arm},
        notes=tuple(notes),
    )


def _sums(
    known: EventTimes, groups: Floats, place: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """Observed and expected events per arm and the covariance of their difference."""
    k = groups.shape[1]
    observed, expected, variance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for stratum in np.unique(place):
        mine = place == stratum
        time, event, group = known.time[mine], known.event[mine], groups[mine]
        _, first, tie = np.unique(time, return_index=True, return_inverse=True)
        at_risk = group[::-1].cumsum(axis=0)[::-1][first]
        events = np.zeros_like(at_risk)
        np.add.at(events, tie, group * event[:, None])
        n, d = at_risk.sum(axis=1), events.sum(axis=1)
        share = at_risk / n[:, None]
        observed += events.sum(axis=0)
        expected += (d[:, None] * share).sum(axis=0)
        weight = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
        variance += np.diag(weight @ share) - (share * weight[:, None]).T @ share
    return observed, expected, variance


def _quadratic(difference: Floats, variance: Floats) -> tuple[float, int]:
    """Chi-square of ``difference`` over the arms that could have had events, and its df."""
    used = np.flatnonzero(np.diag(variance) > 1e-12)
    if len(used) < 2:
        return float("nan"), 0
    df = int(np.linalg.matrix_rank(variance[np.ix_(used, used)]))
    inverse = np.linalg.pinv(variance[np.ix_(used, used)], hermitian=True, rcond=1e-10)
    return float(difference[used] @ inverse @ difference[used]), df
