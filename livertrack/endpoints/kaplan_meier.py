"""Kaplan-Meier estimate, medians and numbers at risk of each arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_conf_level
from livertrack.endpoints._events import (
    Floats,
    RiskTable,
    empty_arms,
    event_times,
    level_rows,
    risk_table,
    round_times,
    survival_and_greenwood,
)
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class KaplanMeier(Result):
    """Medians (``table``), the step function (``curve``) and counts at times (``at_risk``)."""

    curve: pd.DataFrame
    at_risk: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm",)
    context: ClassVar[str] = "kaplan_meier"


def kaplan_meier(
    data: pd.DataFrame,
    *,
    time: str = "AVAL",
    censor: str = "CNSR",
    arm: str = "TRT01P",
    conf_level: float = 0.95,
    times: Sequence[float] | None = None,
) -> KaplanMeier:
    """Probability of being free of the event, per arm.

    Parameters
    ----------
    data : DataFrame, one row per subject
        One parameter of adtte. ``time`` is in any one unit (days, months) from randomisation.
    time, censor, arm : str
        Columns. ``censor`` = 0 is the event; 1, 2, ... are censorings.
    conf_level : float
        Of the pointwise log-log limits.
    times : sequence of float, optional
        Where ``at_risk`` counts, in the unit of ``time``; by default 0 and about six round steps.

    Returns
    -------
    KaplanMeier
        ``.table``: ``arm, n, events, censored, median, conf_low, conf_high, method``. A median or
        limit that the curve does not reach is NaN.
        ``.curve``: ``arm, time, n_risk, n_event, n_censor, estimate, std_error, conf_low,
        conf_high``, one row per distinct time (the curve is 1 before the first).
        ``.at_risk``: ``arm, time, n_risk, events, censored`` (cumulative, up to and with the
        time) and ``estimate, conf_low, conf_high`` at it.

    Notes
    -----
    Denominator: subjects with time, flag and arm; dropped ones are counted in ``notes``.
    ``n_risk`` counts subjects with time >= t. Events come before censorings at the same time.
    Limits: estimate ** exp(+-z s / log(estimate)) with Greenwood's s; NaN where the estimate is 0
    or 1. The median is the first time the curve is <= 0.5, or the middle of the stretch where
    it equals 0.5.
    Source: Kaplan and Meier (1958); Kalbfleisch and Prentice (2002); Brookmeyer and
    Crowley (1982) for the limits of the median.
    Checked against: R survival 3.5 ``survfit``, conf.type log-log (tests/reference/survival.R).

    Raises
    ------
    DataError
        When no subject is left, a time is negative or a flag is no whole number.
    """
    require_conf_level(conf_level)
    known = event_times(data, time=time, censor=censor, columns=[arm])
    if known.data.empty:
        msg = f"no subject has {time}, {censor} and {arm}; {len(data)} row(s) were given"
        raise DataError(msg)
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    grid = (
        round_times(float(known.time.max())) if times is None else sorted(float(t) for t in times)
    )
    if grid and grid[0] < 0:
        msg = f"times are counted from 0, got {grid[0]}"
        raise UsageError(msg)
    rows, curves, counts = [], [], []
    for level in ordered_levels(known.data[arm]):
        mine = level_rows(known.data[arm], level)
        counted = risk_table(known.time[mine], known.event[mine])
        curve = _curve(counted, z)
        curves.append(curve.assign(arm=level))
        counts.append(_counts(counted, curve, grid).assign(arm=level))
        middle, low, high = (
            _half_time(curve[column].to_numpy(), counted.time)
            for column in ("estimate", "conf_low", "conf_high")
        )
        rows.append(
            {
                "arm": level, "n": int(mine.sum()), "events": int(counted.n_event.sum()),
                "censored": int(counted.n_censor.sum()), "median": middle,
                "conf_low": low, "conf_high": high, "method": "Kaplan-Meier, log-log limits",
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    notes = [*known.notes, *empty_arms(known.data[arm])]
    silent = [str(row["arm"]) for row in rows if not row["events"]]
    if silent:
        notes.append(f"no event in {', '.join(silent)}")
    alone = [str(row["arm"]) for row in rows if row["n"] == 1]
    if alone:
        notes.append(f"one subject in {', '.join(alone)}: a curve without limits")
    return KaplanMeier(
        table=table,
        curve=_arm_first(pd.concat(curves, ignore_index=True)),
        at_risk=_arm_first(pd.concat(counts, ignore_index=True)),
        text=_sentence(table, conf_level),
        settings={
            "method": "Kaplan-Meier, log-log limits", "conf_level": conf_level,
            "n": int(table["n"].sum()), "events": int(table["events"].sum()),
            "time": time, "censor": censor, "arm": arm,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _curve(counted: RiskTable, z: float) -> pd.DataFrame:
    estimate, greenwood = survival_and_greenwood(counted)
    with np.errstate(all="ignore"):
        inside = (estimate > 0) & (estimate < 1)
        logged = np.where(inside, np.log(estimate), np.nan)
        step = z * np.sqrt(greenwood) / logged
        low, high = np.exp(logged * np.exp(-step)), np.exp(logged * np.exp(step))
        error = np.where(estimate > 0, estimate * np.sqrt(greenwood), np.nan)
    return pd.DataFrame(
        {
            "time": counted.time, "n_risk": counted.n_risk.astype(int),
            "n_event": counted.n_event.astype(int), "n_censor": counted.n_censor.astype(int),
            "estimate": estimate, "std_error": error, "conf_low": low, "conf_high": high,
        }
    )  # fmt: skip


def _counts(counted: RiskTable, curve: pd.DataFrame, grid: Sequence[float]) -> pd.DataFrame:
    start = {"estimate": 1.0, "conf_low": np.nan, "conf_high": np.nan}
    events, censored = counted.n_event.cumsum(), counted.n_censor.cumsum()
    total = float(counted.n_risk[0])
    rows = []
    for t in grid:
        past = int(np.searchsorted(counted.time, t, side="right"))
        before = int(np.searchsorted(counted.time, t, side="left"))
        gone = events[before - 1] + censored[before - 1] if before else 0.0
        here = {c: float(curve[c].iloc[past - 1]) for c in start} if past else start
        if t > counted.time[-1] and here["estimate"] > 0:
            here = dict.fromkeys(start, np.nan)  # beyond follow-up
        rows.append(
            {
                "time": t, "n_risk": int(total - gone),
                "events": int(events[past - 1]) if past else 0,
                "censored": int(censored[past - 1]) if past else 0, **here,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["time", "n_risk", "events", "censored", *start])


def _half_time(estimate: Floats, time: Floats) -> float:
    """First time the step function is <= 0.5; the middle of a stretch that equals 0.5."""
    slack = 1e-8
    below = np.flatnonzero(~np.isnan(estimate) & (estimate < 0.5 + slack))
    if not len(below):
        return float("nan")
    first = int(below[0])
    if abs(estimate[first] - 0.5) < slack:
        lower = below[estimate[below] < estimate[first] - slack]
        if len(lower):
            return float(time[first] + time[lower[0]]) / 2
    return float(time[first])


def _arm_first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["arm", *(column for column in frame.columns if column != "arm")]]


def _sentence(table: pd.DataFrame, conf_level: float) -> str:
    parts = []
    for row in table.to_dict("records"):
        middle = "not reached" if np.isnan(row["median"]) else f"{row['median']:.4g}"
        low, high = (
            "not reached" if np.isnan(row[c]) else f"{row[c]:.4g}"
            for c in ("conf_low", "conf_high")
        )
        parts.append(
            f"{row['arm']}: {row['events']} of {row['n']} subjects had the event, median {middle} "
            f"({conf_level:.0%} limits {low} to {high})"
        )
    return "; ".join(parts) + "."
