"""Who changed by more than the noise of the measurement: counts per arm and parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from livertrack._results import Result
from livertrack.endpoints._checks import (
    numeric,
    ordered_levels,
    require_columns,
    require_conf_level,
    require_unique,
)
from livertrack.endpoints.repeatability import Repeatability
from livertrack.errors import DataError

METHOD = "changes beyond the smallest real change; Wilson limits"


@dataclass(frozen=True, kw_only=True)
class RealChange(Result):
    """Subjects of each arm whose change is beyond the smallest real change."""

    keys: ClassVar[tuple[str, ...]] = ("parameter", "arm")
    context: ClassVar[str] = "real_change"


def real_change(
    data: pd.DataFrame,
    *,
    limits: Mapping[str, float] | Repeatability,
    value: str = "CHG",
    parameter: str = "PARAMCD",
    arm: str = "TRT01P",
    subject: str = "USUBJID",
    conf_level: float = 0.95,
) -> RealChange:
    """Count the subjects of each arm whose change is more than noise.

    Parameters
    ----------
    data : DataFrame, one row per subject and parameter
        ``value`` is the change between two visits, in the unit of the parameter.
    limits : mapping of parameter to number, or a `repeatability` result
        Smallest change that is real, in the same unit; of a result its
        ``smallest_real_change``.
    value, parameter, arm, subject : str
        Columns.
    conf_level : float
        Of the Wilson limits of the proportion.

    Returns
    -------
    RealChange
        ``.table``: ``parameter, arm, limit, n, n_missing, fell, rose, changed, within``
        (subjects whose change is below -limit, above +limit, either, in between or equal),
        ``estimate`` (proportion beyond the limit in either direction), ``conf_low, conf_high,
        method``.

    Notes
    -----
    Denominator: subjects of the arm with a change; ``n_missing`` counts the others. Of subjects
    who did not change at all, at most one in twenty is expected beyond a limit made with coverage
    0.95. A parameter without a limit (no repeat measurements) and an arm without a change have
    NaN proportions and a note.
    Source: Bland and Altman (1996) for the limit; Wilson (1927).
    Checked against: counts by hand and R 4.2 ``prop.test(correct = FALSE)``
    (tests/endpoints/test_real_change.py).
    """
    require_conf_level(conf_level)
    require_columns(data, [subject, parameter, arm, value])
    require_unique(data, [subject, parameter])
    bounds = _bounds(limits)
    used = data.dropna(subset=[arm, parameter])
    used = used.assign(**{value: numeric(used, value)})
    if used.empty:
        msg = f"no change of any subject; {len(data)} row(s) were given"
        raise DataError(msg)
    levels = ordered_levels(used[arm])
    rows, notes = [], []
    for name in dict.fromkeys(used[parameter].astype(str)):
        limit = bounds.get(name, float("nan"))
        if np.isnan(limit):
            notes.append(f"{name}: no smallest real change is known")
        mine = used[used[parameter].astype(str).eq(name)]
        rows += [
            {
                "parameter": name, "arm": level, "limit": limit,
                **_counts(mine.loc[mine[arm].eq(level), value], limit, conf_level),
                "method": METHOD,
            }
            for level in levels
        ]  # fmt: skip
    table = pd.DataFrame(rows)
    empty = int(table["n"].eq(0).sum())
    if empty:
        notes.append(f"{empty} arm(s) without a change of a parameter")
    if len(used) < len(data):
        notes.append(f"dropped {len(data) - len(used)} of {len(data)} rows: no arm or parameter")
    return RealChange(
        table=table,
        text=_sentence(table),
        settings={"method": METHOD, "conf_level": conf_level, "value": value, "arm": arm},
        notes=tuple(notes),
    )


def _bounds(limits: Mapping[str, float] | Repeatability) -> dict[str, float]:
    if isinstance(limits, Repeatability):
        table = limits.table[limits.table["quantity"].eq("smallest_real_change")]
        limits = dict(zip(table["parameter"], table["estimate"], strict=True))
    bounds = {str(name): float(limit) for name, limit in limits.items()}
    negative = sum(limit < 0 for limit in bounds.values())
    if negative:
        msg = f"limits: {negative} of {len(bounds)} are negative; a limit is a size of a change"
        raise DataError(msg)
    return bounds


def _counts(values: pd.Series, limit: float, conf_level: float) -> dict[str, float]:
    change = values.dropna().to_numpy(float)
    n, fell, rose = len(change), int((change < -limit).sum()), int((change > limit).sum())
    share = low = high = float("nan")
    if n and not np.isnan(limit):
        share = (fell + rose) / n
        low, high = proportion_confint(fell + rose, n, alpha=1 - conf_level, method="wilson")
        low, high = (0.0 if not fell + rose else low), (1.0 if fell + rose == n else high)
    return {
        "n": n, "n_missing": len(values) - n, "fell": fell, "rose": rose,
        "changed": fell + rose,
        "within": n - fell - rose, "estimate": share, "conf_low": float(low),
        "conf_high": float(high),
    }  # fmt: skip


def _sentence(table: pd.DataFrame) -> str:
    parts = []
    for name, part in table.groupby("parameter", sort=False):
        limit = part["limit"].iloc[0]
        if np.isnan(limit):
            continue
        counts = ", ".join(
            f"{row['arm']} {row['fell'] + row['rose']} of {row['n']}"
            for row in part.to_dict("records")
        )
        parts.append(f"{name} (more than {limit:.4g}): {counts}")
    if not parts:
        return "No smallest real change is known."
    return f"Subjects who changed by more than noise: {'; '.join(parts)}."
