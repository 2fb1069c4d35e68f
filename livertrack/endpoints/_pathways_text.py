"""The sentence and the notes of a change-pathways result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from livertrack.endpoints._pathways_flows import Flows


def sentence(
    table: pd.DataFrame, overall: pd.DataFrame, settings: Mapping[str, Any], trend: pd.DataFrame
) -> str:
    """Say what was found, in the numbers of the tables."""
    tested = table[table["p_adjusted"].notna()]
    if tested.empty:
        return "No flow between tissue types could be tested."
    alpha = 1 - settings["conf_level"]
    found = tested[tested["p_adjusted"] <= alpha]
    joint = overall[overall["statistic_name"] == "sum of squared statistics"]
    parts = [
        f"{len(found)} of {len(tested)} flows differed from {settings['reference']} at a "
        f"family-wise level of {alpha:.3g} (step-down max-T)."
    ]
    ranked = tested.assign(size=-tested["statistic"].abs()).sort_values(["p_adjusted", "size"])
    best = ranked.iloc[0]
    place = f"region {best['region']}" if best["region"] else "the whole liver"
    interval = (
        f", simultaneous {settings['conf_level']:.0%} interval "
        f"{100 * best['simultaneous_low']:.2f} to {100 * best['simultaneous_high']:.2f}"
        if np.isfinite(best["simultaneous_low"])
        else ""
    )
    unit = "percentage points of the region"
    if settings["share"] == "from-type":
        unit = "percentage points of the type at baseline"
    parts.append(
        f"The largest contrast was type {best['from_group']} to {best['to_group']} in {place} at "
        f"{best['visit']} in {best['arm']}: {100 * best['estimate']:+.2f} {unit}{interval}, "
        f"adjusted p {_p(best['p_adjusted'])}."
    )
    tests = ", ".join(f"{row.arm} {_p(row.p_value)}" for row in joint.itertuples())
    parts.append(f"Any pathway differs (global permutation p): {tests}.")
    if len(trend):
        slopes = trend[trend["p_adjusted"].notna()]
        found = slopes[slopes["p_adjusted"] <= alpha]
        parts.append(
            f"{len(found)} of {len(slopes)} flows followed the dose at a family-wise level of "
            f"{alpha:.3g}."
        )
    return " ".join(parts)


def _p(value: Any) -> str:
    if np.isnan(value):
        return "not estimable"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def notes_of(table: pd.DataFrame, every: Flows, population_given: bool) -> tuple[str, ...]:
    """Give the counts a reader must know."""
    notes = []
    for v, visit in enumerate(every.visits):
        seen = every.present[:, v].any(axis=1)
        lost = [
            f"{int((~seen & (every.arm == arm)).sum())} of {int((every.arm == arm).sum())} {arm}"
            for arm in dict.fromkeys([*table["reference"].unique(), *table["arm"].unique()])
        ]
        if not seen.all():
            notes.append(
                f"{visit}: subjects without a pathway record, in no denominator: {', '.join(lost)}"
            )
    if not population_given:
        notes.append("subjects without any pathway record are not known here and not counted")
    if every.transport.any():
        transported = int(every.transport.any(axis=(1, 2)).sum())
        notes.append(
            f"{transported} of {len(every.subjects)} subjects have registration-free (transport) "
            "records: their flows are the least change that explains both compositions"
        )
    untested = int((~table["tested"]).sum())
    if untested:
        notes.append(
            f"{untested} of {len(table)} flows not tested: too rare over all arms together, "
            "without variance, or fewer than two subjects in an arm"
        )
    for arm, part in table.groupby("arm", sort=False):
        if part["n_arm"].max() < 2 or part["n_ref"].max() < 2:
            notes.append(f"{arm}: fewer than two subjects in an arm, nothing can be tested")
    return tuple(notes)
