"""Cumulative incidence with competing events: Aalen-Johansen, Gray's test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_conf_level
from livertrack.endpoints._events import (
    Floats,
    competing_times,
    empty_arms,
    level_rows,
    round_times,
)
from livertrack.endpoints._gray import gray_test
from livertrack.endpoints._sentences import interval_text, p_text
from livertrack.errors import DataError


@dataclass(frozen=True, kw_only=True)
class CumulativeIncidence(Result):
    """Incidence at the end of follow-up (``table``), curves, and Gray's tests (``tests``)."""

    curve: pd.DataFrame
    tests: pd.DataFrame
    at_risk: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "cause")
    context: ClassVar[str] = "cumulative_incidence"


def cumulative_incidence(
    data: pd.DataFrame,
    *,
    time: str = "AVAL",
    censor: str = "CNSR",
    cause: str = "CAUSE",
    arm: str = "TRT01P",
    strata: str | None = None,
    at: float | None = None,
    conf_level: float = 0.95,
) -> CumulativeIncidence:
    """Probability that each kind of event has happened first, per arm.

    Parameters
    ----------
    data : DataFrame, one row per subject
        Time to the first event of any kind, in any one unit; ``censor`` = 0 is an event.
    time, censor, arm : str
        Columns.
    cause : str
        Column naming the kind of the event; needed where ``censor`` is 0, ignored elsewhere.
    strata : str, optional
        Column within which Gray's test compares the arms.
    at : float, optional
        Time of ``table``, in the unit of ``time``; by default the last time of each arm.
    conf_level : float
        Of the pointwise log(-log) limits.

    Returns
    -------
    CumulativeIncidence
        ``.table``: ``arm, cause, n, events`` (up to the time), ``time, estimate, std_error,
        conf_low, conf_high, method``. ``.curve``: the same at every time of an event of any kind.
        ``.tests``: ``cause, statistic, df, p_value``: Gray's test that the incidence of the
        cause is the same in all arms (no row with a single arm). ``.at_risk``: ``arm, time,
        n_risk``: subjects without any event whose time is at least that.

    Notes
    -----
    Denominator: subjects with time, flag, arm and, when the event happened, cause; dropped ones
    are counted in ``notes``. A time ``at`` beyond an arm's follow-up is NaN there.
    Limits: exp(-exp(log(-log F) +- z s / (F log F))), NaN where F is 0 or 1.
    Source: Aalen and Johansen (1978); variance and test as in Gray (1988).
    Checked against: R cmprsk 2.2-11 ``cuminc`` (tests/reference/survival.R).
    """
    require_conf_level(conf_level)
    wanted = [arm] if strata is None else [arm, strata]
    known = competing_times(data, time=time, censor=censor, cause=cause, columns=wanted)
    rows, when, kind, causes = known.data, known.time, known.kind, known.causes
    notes = [*known.notes, *empty_arms(rows[arm])]
    if not causes:
        msg = f"no event among {len(rows)} subjects; an incidence needs at least one"
        raise DataError(msg)
    levels = ordered_levels(rows[arm])
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    summary, curves = [], []
    for level in levels:
        mine = level_rows(rows[arm], level)
        for number, name in enumerate(causes, start=1):
            curve = _curve(when[mine], kind[mine], number, z)
            curves.append(curve.assign(arm=level, cause=name))
            summary.append(
                {
                    "arm": level, "cause": name, "n": int(mine.sum()),
                    **_at(curve, at, float(when[mine].max())),
                    "method": "Aalen-Johansen",
                }
            )  # fmt: skip
    silent = [f"{row['cause']} in {row['arm']}" for row in summary if np.isnan(row["conf_low"])]
    if silent:
        notes.append(f"no limits for {', '.join(silent)}: no event, all had it, or one subject")
    tests = []
    if len(levels) > 1:
        group = pd.Categorical(rows[arm], categories=levels).codes
        place = rows[strata].to_numpy() if strata else np.zeros(len(rows))
        for number, name in enumerate(causes, start=1):
            statistic, df = gray_test(when, kind, number, group, place)
            p_value = float(stats.chi2.sf(statistic, df)) if df else float("nan")
            tests.append({"cause": name, "statistic": statistic, "df": df, "p_value": p_value})
        untested = [str(test["cause"]) for test in tests if not test["df"]]
        if untested:
            notes.append(f"no test for {', '.join(untested)}: no event with two arms at risk")
    else:
        notes.append("one arm has subjects: no test")
    front = ["arm", "cause"]
    curve_frame = pd.concat(curves, ignore_index=True)
    table = pd.DataFrame(summary)
    test_frame = pd.DataFrame(tests, columns=["cause", "statistic", "df", "p_value"])
    return CumulativeIncidence(
        table=table,
        curve=curve_frame[[*front, *(c for c in curve_frame.columns if c not in front)]],
        tests=test_frame,
        at_risk=pd.DataFrame(
            [
                {"arm": level, "time": t, "n_risk": int((mine & (when >= t)).sum())}
                for level in levels
                for mine in [level_rows(rows[arm], level)]
                for t in round_times(float(when.max()))
            ]
        ),
        text=_sentence(table, test_frame, conf_level),
        settings={
            "method": "Aalen-Johansen, Gray's test", "conf_level": conf_level, "at": at,
            "causes": [str(name) for name in causes], "strata": strata,
            "time": time, "censor": censor, "cause": cause, "arm": arm,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _curve(time: Floats, kind: Any, number: int, z: float) -> pd.DataFrame:
    """Incidence of cause ``number`` at each time of an event of any cause."""
    distinct, place = np.unique(time, return_inverse=True)
    total = np.bincount(place, minlength=len(distinct)).astype(float)
    n = total[::-1].cumsum()[::-1]
    d = np.bincount(place[kind > 0], minlength=len(distinct)).astype(float)
    dk = np.bincount(place[kind == number], minlength=len(distinct)).astype(float)
    left = np.concatenate([[1.0], np.cumprod(1 - d / n)[:-1]])
    estimate = np.cumsum(left * dk / n)
    keep = d > 0
    variance = _variance(n[keep], d[keep], dk[keep], left[keep], estimate[keep])
    error = np.sqrt(np.maximum(variance, 0)) if len(time) > 1 else np.full(len(variance), np.nan)
    F = estimate[keep]
    with np.errstate(all="ignore"):
        inside = (F > 0) & (F < 1)
        loglog = np.where(inside, np.log(-np.log(F)), np.nan)
        step = z * error / np.abs(F * np.log(F))
        low, high = np.exp(-np.exp(loglog + step)), np.exp(-np.exp(loglog - step))
    return pd.DataFrame(
        {
            "time": distinct[keep], "n_risk": n[keep].astype(int), "n_event": dk[keep].astype(int),
            "estimate": F, "std_error": error, "conf_low": low, "conf_high": high,
        }
    )  # fmt: skip


def _variance(n: Floats, d: Floats, dk: Floats, left: Floats, F: Floats) -> Floats:
    """Variance of the incidence after each event time s.

    With q = (F(s) - F(t)) / S(t), the sum over t <= s of left^2 / n^2 times
    dk c(dk) (1 - q)^2 + (d - dk) c(d - dk) q^2, where c(m) = 1 - (m - 1) / (n - 1) corrects for
    ties; expanded in powers of F(s) into cumulative sums.
    """
    S = left * (1 - d / n)
    inverse = np.where(S > 0, 1 / np.where(S > 0, S, 1.0), 0.0)
    others = d - dk
    own = left**2 / n**2 * dk * _tied(dk, n)
    rest = left**2 / n**2 * others * _tied(others, n)
    start = 1 + F * inverse  # 1 - q = start - F(s) / S(t)
    constant = np.cumsum(own * start**2 + rest * (F * inverse) ** 2)
    linear = np.cumsum(own * start * inverse + rest * F * inverse**2)
    square = np.cumsum((own + rest) * inverse**2)
    return np.asarray(constant - 2 * F * linear + F**2 * square)


def _tied(m: Floats, n: Floats) -> Floats:
    return np.asarray(np.where(m > 1, 1 - (m - 1) / np.maximum(n - 1, 1.0), 1.0))


def _at(curve: pd.DataFrame, at: float | None, last: float) -> dict[str, Any]:
    when = last if at is None else float(at)
    past = curve[curve["time"] <= when]
    result = {"events": int(past["n_event"].sum()), "time": when}
    numbers = ["estimate", "std_error", "conf_low", "conf_high"]
    if when > last:
        return {**result, **dict.fromkeys(numbers, float("nan"))}
    if past.empty:
        return {**result, "estimate": 0.0, **dict.fromkeys(numbers[1:], float("nan"))}
    last_row = past.iloc[-1]
    return {**result, **{name: float(last_row[name]) for name in numbers}}


def _sentence(table: pd.DataFrame, tests: pd.DataFrame, conf_level: float) -> str:
    parts = [
        f"{row['cause']} by {row['time']:g}, {row['arm']}: " + interval_text(
            row["estimate"], row["conf_low"], row["conf_high"], conf_level=conf_level, form=".1%"
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    gray = [f"{row['cause']} {p_text(row['p_value'])}" for row in tests.to_dict("records")]
    tail = f" Gray's test: {', '.join(gray)}." if gray else ""
    return f"Cumulative incidence of {'; '.join(parts)}.{tail}"
