"""Restricted mean survival time and its difference between arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_conf_level, require_level
from livertrack.endpoints._events import (
    Floats,
    empty_arms,
    event_times,
    level_rows,
    risk_table,
    survival_and_greenwood,
)
from livertrack.endpoints._sentences import interval_text
from livertrack.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RestrictedMean(Result):
    """Mean time free of the event up to tau (``table``); arms compared (``contrasts``)."""

    contrasts: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "measure")
    context: ClassVar[str] = "rmst"


def rmst(
    data: pd.DataFrame,
    *,
    time: str = "AVAL",
    censor: str = "CNSR",
    arm: str = "TRT01P",
    reference: str,
    tau: float,
    conf_level: float = 0.95,
) -> RestrictedMean:
    """Mean of min(T, tau): the area under the Kaplan-Meier curve up to ``tau``.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``time`` in any one unit; ``censor`` = 0 is the event.
    time, censor, arm : str
        Columns.
    reference : str
        Arm the others are compared with.
    tau : float
        Horizon in the unit of ``time``; fix it before looking at the curves.
    conf_level : float
        Of the normal limits; of the ratio, on the log scale.

    Returns
    -------
    RestrictedMean
        ``.table``: ``arm, estimate, std_error, conf_low, conf_high, n, events, tau, method``;
        ``estimate`` in the unit of ``time``; ``events`` counts those up to ``tau``.
        ``.contrasts``: ``arm, reference, measure`` (difference; ratio), ``estimate, std_error``
        (of the ratio: of its logarithm), ``statistic, p_value, conf_low, conf_high, n_arm,
        n_ref``.

    Notes
    -----
    Denominator: subjects with time, flag and arm; dropped ones are counted in ``notes``.
    Variance: sum over event times t <= tau of A(t)^2 d / (n (n - d)), A(t) the area from t to
    tau; a time at which everybody left had the event adds nothing.
    An arm whose follow-up ends, censored, before ``tau`` has no restricted mean: NaN and a note.
    An arm with one subject, or in which nobody (or everybody) differs before ``tau``, has a mean
    but no standard error: NaN and a note, where R gives 0.
    Positive difference: longer free of the event than ``reference``.
    Source: Karrison (1987); Uno et al. (2014).
    Checked against: R survival 3.5 ``print(survfit, rmean = tau)`` (tests/reference/survival.R).
    """
    require_conf_level(conf_level)
    if not tau > 0:
        msg = f"tau is a positive time, got {tau!r}"
        raise UsageError(msg)
    known = event_times(data, time=time, censor=censor, columns=[arm])
    require_level(known.data, arm, reference, what="reference")
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    rows, notes = [], [*known.notes, *empty_arms(known.data[arm])]
    for level in ordered_levels(known.data[arm]):
        mine = level_rows(known.data[arm], level)
        estimate, error = _area(known.time[mine], known.event[mine], tau)
        if np.isnan(estimate):
            notes.append(
                f"{level}: follow-up ends at {known.time[mine].max():g}, before tau = {tau:g}"
            )
        events = int((known.event & mine & (known.time <= tau)).sum())
        if mine.sum() == 1:
            error = float("nan")
            notes.append(f"{level}: one subject, no standard error")
        elif error == 0:
            # nothing was seen to vary; a standard error of 0 would be a claim
            error = float("nan")
            notes.append(f"{level}: {events} event(s) before tau = {tau:g}, no standard error")
        rows.append(
            {
                "arm": level, "estimate": estimate, "std_error": error,
                "conf_low": estimate - z * error, "conf_high": estimate + z * error,
                "n": int(mine.sum()), "events": events,
                "tau": float(tau), "method": "area under Kaplan-Meier, Greenwood-type variance",
            }
        )  # fmt: skip
    by_arm = {row["arm"]: row for row in rows}
    contrasts = pd.DataFrame(
        [
            line
            for row in rows
            if row["arm"] != reference
            for line in _contrasts(row, by_arm[reference], z)
        ],
        columns=list(_CONTRAST_COLUMNS),
    )
    if contrasts.empty:
        notes.append(f"no arm besides the reference {reference} has subjects")
    return RestrictedMean(
        table=pd.DataFrame(rows),
        contrasts=contrasts,
        text=_sentence(contrasts, tau, conf_level),
        settings={
            "method": "restricted mean survival time", "tau": float(tau), "reference": reference,
            "conf_level": conf_level, "time": time, "censor": censor, "arm": arm,
        },
        notes=tuple(notes),
    )  # fmt: skip


_CONTRAST_COLUMNS = (
    "arm", "reference", "measure", "estimate", "std_error", "statistic", "p_value",
    "conf_low", "conf_high", "n_arm", "n_ref",
)  # fmt: skip


def _area(time: Floats, event: Any, tau: float) -> tuple[float, float]:
    """Area under the curve up to ``tau`` and its standard error."""
    counted = risk_table(time, event)
    estimate, _ = survival_and_greenwood(counted)
    if counted.time[-1] < tau and estimate[-1] > 0:
        return float("nan"), float("nan")
    inside = counted.time < tau
    knots = np.concatenate([[0.0], counted.time[inside], [tau]])
    pieces = np.concatenate([[1.0], estimate[inside]]) * np.diff(knots)
    remaining = pieces.sum() - np.cumsum(pieces)[:-1] if inside.any() else np.zeros(0)
    n, d = counted.n_risk[inside], counted.n_event[inside]
    terms = np.where(n > d, d / (n * np.where(n > d, n - d, 1.0)), 0.0)
    return float(pieces.sum()), float(np.sqrt((remaining**2 * terms).sum()))


def _contrasts(row: dict[str, Any], ref: dict[str, Any], z: float) -> list[dict[str, Any]]:
    base = {
        "arm": row["arm"], "reference": ref["arm"], "n_arm": row["n"], "n_ref": ref["n"],
    }  # fmt: skip
    difference = row["estimate"] - ref["estimate"]
    error = float(np.hypot(row["std_error"], ref["std_error"]))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = float(
            np.hypot(row["std_error"] / row["estimate"], ref["std_error"] / ref["estimate"])
        )
        ratio = row["estimate"] / ref["estimate"]
    return [
        {**base, "measure": "difference", **_wald(difference, error, z)},
        {**base, "measure": "ratio", **_wald(ratio, relative, z, logarithm=True)},
    ]


def _wald(estimate: float, error: float, z: float, *, logarithm: bool = False) -> dict[str, float]:
    value = np.log(estimate) if logarithm else estimate
    statistic = value / error if error > 0 else float("nan")
    low, high = value - z * error, value + z * error
    if logarithm:
        low, high = np.exp(low), np.exp(high)
    return {
        "estimate": float(estimate), "std_error": error, "statistic": float(statistic),
        "p_value": float(2 * stats.norm.sf(abs(statistic))),
        "conf_low": float(low), "conf_high": float(high),
    }  # fmt: skip


def _sentence(contrasts: pd.DataFrame, tau: float, conf_level: float) -> str:
    shown = contrasts[contrasts["measure"] == "difference"]
    if shown.empty:
        return f"Restricted mean survival time up to {tau:g}: no arm to compare."
    parts = [
        f"{row['arm']} minus {row['reference']}: " + interval_text(
            row["estimate"], row["conf_low"], row["conf_high"], conf_level=conf_level,
            p=row["p_value"], form=".4g",
        )
        for row in shown.to_dict("records")
    ]  # fmt: skip
    return f"Difference in restricted mean survival time up to {tau:g}: " + "; ".join(parts) + "."
