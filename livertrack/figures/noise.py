"""Change of each measure beside the smallest change that is more than noise."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from livertrack._views import frame_of, order_of, rows_of, scale_of, type_number
from livertrack.figures._palette import LINE, SOFT, arm_style, type_colour
from livertrack.figures._style import empty_axes, styled

_REAL = ("parameter", "arm", "limit", "n", "fell", "rose", "within")


@styled
def real_change_panels(
    result: Any,
    *,
    arms: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
) -> np.ndarray[Any, Any]:
    """Draw a `real_change` result: per measure, who fell, stayed and rose beyond noise.

    Parameters
    ----------
    result : RealChange or StoredResult
    arms : sequence of str, optional
        Order of the bars.
    labels : mapping, optional
        PARAMCD -> title of the panel.

    Returns
    -------
    ndarray of Axes
        One panel per measure; a bar per arm holds all its subjects with a change: those who fell
        to the left of zero, those who rose to the right, in subjects.
    """
    table = frame_of(result, "table", _REAL)
    table = table[table["limit"].notna()] if len(table) else table
    names = order_of([*table["parameter"]])
    if not names:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No repeat scans")])
    levels = order_of([*table["arm"]], arms)
    columns = min(4, len(names))
    rows = math.ceil(len(names) / columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(7.2, 0.5 + rows * (0.62 + 0.2 * len(levels))), squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    most = float(max(table["fell"].max(), table["rose"].max(), 1))
    for ax, name in zip(axes.flat, names, strict=False):
        _panel(ax, table[table["parameter"] == name], levels, arms)
        limit = scale_of(name) * float(table.loc[table["parameter"] == name, "limit"].iloc[0])
        unit = " %" if type_number(name) else ""
        title = textwrap.fill((labels or {}).get(name, name), 24)
        ax.set_title(f"{title}\n±{limit:.3g}{unit}", fontsize=8.5)
        if type_number(name):
            ax.plot(
                [0, 1], [1.0, 1.0], transform=ax.transAxes, color=type_colour(type_number(name)),
                linewidth=4, solid_capstyle="butt", clip_on=False,
            )  # fmt: skip
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    first = axes[0, 0]
    first.set_yticks(range(len(levels)), levels)
    first.set_ylim(len(levels) - 0.4, -0.6)
    first.set_xlim(-1.25 * most, 1.25 * most)
    first.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    for place in range(columns):
        bottom = max(row for row in range(rows) if row * columns + place < len(names))
        axes[bottom, place].set_xlabel("← fell   subjects   rose →", fontsize=8)
        axes[bottom, place].tick_params(labelbottom=True)
    return np.asarray(axes)


def _panel(ax: Axes, part: pd.DataFrame, levels: Sequence[str], arms: Sequence[str]) -> None:
    ax.axvline(0, color=SOFT, linewidth=0.9)
    for row in rows_of(part):
        place = levels.index(str(row["arm"]))
        style = arm_style(list(arms).index(str(row["arm"])) if row["arm"] in arms else place)
        for side, count, hatch in ((-1, row["fell"], ""), (1, row["rose"], "////")):
            ax.barh(
                place, side * count, height=0.66, color=style.colour if side < 0 else "white",
                edgecolor=style.colour, hatch=hatch, linewidth=0.9,
            )  # fmt: skip
            if count:
                ax.annotate(
                    f"{int(count)}", (side * count, place), (side * 3, 0),
                    textcoords="offset points", va="center",
                    ha="left" if side > 0 else "right", fontsize=7.5,
                )  # fmt: skip
    ax.grid(axis="x", color=LINE)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
