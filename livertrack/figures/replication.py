"""Replication: the chosen flows in both cohorts, side by side."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from livertrack._region_names import region_name
from livertrack._views import frame_of, rows_of
from livertrack.figures._palette import LINE, SOFT, arm_style
from livertrack.figures._style import empty_axes, styled

_COLUMNS = (
    "own_arm", "visit", "region", "from_group", "to_group", "first_estimate", "first_low",
    "first_high", "estimate", "conf_low", "conf_high", "replicated",
)  # fmt: skip


@styled
def replication_forest(result: Any, *, most: int = 15) -> Axes:
    """Draw the difference of every chosen flow in the first and in the second cohort.

    Parameters
    ----------
    result : Replication or StoredResult
    most : int
        Flows drawn, in the order of the result.

    Returns
    -------
    Axes
        Percentage points of the region with intervals; a filled marker in the second cohort
        replicated after adjustment over the chosen flows.
    """
    table = frame_of(result, "table", _COLUMNS).head(most)
    if table.empty:
        return empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No flow was chosen")
    _, ax = plt.subplots(figsize=(7.2, 1.0 + 0.42 * len(table)))
    first, second = arm_style(0), arm_style(1)
    names = []
    for place, row in enumerate(rows_of(table)):
        for style, shift, key in ((first, -0.14, "first"), (second, 0.14, "second")):
            middle, low, high = (
                (row["first_estimate"], row["first_low"], row["first_high"])
                if key == "first"
                else (row["estimate"], row["conf_low"], row["conf_high"])
            )
            hollow = key == "second" and not row["replicated"]
            ax.plot(
                [100 * low, 100 * high], [place + shift] * 2, color=style.colour, linewidth=1.4,
                linestyle="-" if key == "second" else (0, (3, 1)),
            )  # fmt: skip
            ax.plot(
                100 * middle, place + shift, marker=style.marker, color=style.colour,
                markerfacecolor="white" if hollow else style.colour, linestyle="none",
                label=f"{key} cohort" if place == 0 else None,
            )  # fmt: skip
        where = f", {region_name(str(row['region']))}" if str(row["region"]) else ""
        names.append(
            f"{row['from_group']} → {row['to_group']}{where}\n{row['own_arm']}, {row['visit']}"
        )
    ax.axvline(0, color=SOFT, linewidth=0.8)
    ax.grid(axis="x", color=LINE)
    ax.set_yticks(np.arange(len(names)), names, fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.set_xlabel("Difference from the reference (percentage points of the region)")
    ax.legend(loc="best")
    return ax
