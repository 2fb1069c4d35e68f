"""Signatures over the visits: the mean proportion of each tissue type in each arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from livertrack._views import frame_of, order_of
from livertrack.figures._palette import arm_style, type_colour
from livertrack.figures._style import empty_axes, styled

_COLUMNS = (
    "parameter", "region", "variable", "visit", "arm", "n", "mean", "conf_low", "conf_high",
)  # fmt: skip


@styled
def signature_trajectories(
    result: Any,
    *,
    arms: Sequence[str] | None = None,
    visits: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    region: str = "",
    variable: str = "AVAL",
    percent: bool = True,
) -> np.ndarray[Any, Any]:
    """Draw means with limits by visit, one panel per parameter, one line per arm.

    Parameters
    ----------
    result : SignatureSummary or StoredResult
    arms, visits : sequence of str, optional
        Their order.
    labels : mapping, optional
        PARAMCD -> title of the panel.
    region : str
        Blank is the whole liver.
    variable : {"AVAL", "CHG"}
    percent : bool
        Values are proportions and are shown as percent.

    Returns
    -------
    ndarray of Axes
        Every panel has its own vertical axis.
    """
    table = frame_of(result, "table", _COLUMNS)
    if len(table):
        table = table[(table["region"].astype(str) == region) & (table["variable"] == variable)]
    names = order_of([*table["parameter"]])
    if not names:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])])
    levels, places = order_of([*table["arm"]], arms), order_of([*table["visit"]], visits)
    columns = min(4, len(names))
    rows = math.ceil(len(names) / columns)
    width = (1.8 if columns > 2 else 3.6) * columns
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, 0.5 + 1.75 * rows), squeeze=False, sharex=True
    )
    scale = 100.0 if percent else 1.0
    for ax, name in zip(axes.flat, names, strict=False):
        here = table[table["parameter"] == name]
        for number, level in enumerate(levels):
            _line(
                ax,
                here[here["arm"].astype(str) == level],
                number,
                level,
                places,
                len(levels),
                scale,
            )
        number = int(name[2:]) if name.startswith("TV") and name[2:].isdigit() else 0
        ax.set_title((labels or {}).get(name, name))
        if number:
            ax.plot(
                [0, 1], [1.0, 1.0], transform=ax.transAxes, color=type_colour(number), linewidth=5,
                solid_capstyle="butt", clip_on=False,
            )  # fmt: skip
        ax.set_xticks(range(len(places)), [_short(place) for place in places])
        ax.set_xlim(-0.35, len(places) - 0.65)
        ax.grid(axis="y")
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    if percent:
        for ax in axes[:, 0]:
            ax.set_ylabel("% of the liver" if not region else "% of the region")
    handles, texts = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=len(levels))
    return np.asarray(axes)


def _line(
    ax: Axes, rows: Any, number: int, level: str, places: Sequence[str], arms: int, scale: float
) -> None:
    style = arm_style(number)
    x = np.array([places.index(str(visit)) for visit in rows["visit"]], dtype=float)
    x += (number - (arms - 1) / 2) * 0.09
    mean = scale * rows["mean"].to_numpy(float)
    low, high = (scale * rows[column].to_numpy(float) for column in ("conf_low", "conf_high"))
    order = np.argsort(x)
    ax.plot(
        x[order], mean[order], color=style.colour, linestyle=style.line, marker=style.marker,
        markersize=4, label=level,
    )  # fmt: skip
    ax.vlines(x, low, high, color=style.colour, linewidth=1)


def _short(visit: str) -> str:
    return visit.replace("Baseline", "Base").replace("Week ", "W").replace("Month ", "M")
