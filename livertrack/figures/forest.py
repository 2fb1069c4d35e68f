"""Forest plots: estimates with intervals, one row per measure, one panel per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from livertrack._views import frame_of, order_of, rows_of, variable_of
from livertrack.figures._palette import LINE, SOFT, arm_style, type_colour
from livertrack.figures._style import empty_axes, styled

#: metric -> (label of the axis, value of no difference)
METRICS = {
    "g": ("Hedges g, arm v {reference}", 0.0),
    "auc": ("AUC, arm v {reference}", 0.5),
}


@styled
def forest(
    results: Any,
    *,
    metric: str = "g",
    arms: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> np.ndarray[Any, Any]:
    """Separation of the arms by measure, usual measures and tissue types side by side.

    Parameters
    ----------
    results : Separation or StoredResult, or a sequence of them
        One per measure; the variable of a stored result names its row.
    metric : {"g", "auc"}
    arms : sequence of str, optional
        Order of the panels.
    labels : mapping, optional
        PARAMCD -> what the reader sees.

    Returns
    -------
    ndarray of Axes
        One per arm. Tissue types are drawn in their colour, other measures in black.
    """
    listed = list(results) if isinstance(results, (list, tuple)) else [results]
    columns = ("arm", metric, f"{metric}_low", f"{metric}_high")
    frames = [frame_of(one, "table", columns).assign(measure=variable_of(one)) for one in listed]
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    levels = order_of([*rows["arm"]], arms)
    if not levels:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])])
    reference = str(listed[0].settings.get("reference", "reference"))
    measures = order_of([*rows["measure"]])
    _, axes = plt.subplots(
        1, len(levels), figsize=(7.2, 0.9 + 0.27 * len(measures)), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    axis_label, null = METRICS[metric]
    for level, ax in zip(levels, axes[0], strict=True):
        found = {
            str(row["measure"]): row for row in rows_of(rows[rows["arm"].astype(str) == level])
        }
        ax.axvline(null, color=SOFT, linewidth=0.9)
        for place, measure in enumerate(measures):
            if measure in found:
                one = found[measure]
                limits = float(one[f"{metric}_low"]), float(one[f"{metric}_high"])
                _row(ax, place, float(one[metric]), *limits, measure)
        ax.set_title(level)
        ax.set_xlabel(axis_label.format(reference=reference))
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    names = [(labels or {}).get(measure, measure) for measure in measures]
    axes[0, 0].set_yticks(range(len(measures)), names)
    axes[0, 0].set_ylim(len(measures) - 0.4, -0.6)
    return np.asarray(axes[0])


def _row(ax: Axes, place: int, value: float, low: float, high: float, measure: str) -> None:
    is_type = measure.startswith("TV") and measure[2:].isdigit()
    colour = type_colour(int(measure[2:])) if is_type else "#111111"
    if np.isnan(value):
        ax.text(
            0.5, place, "not estimable", color=SOFT, fontsize=7.5, ha="center", va="center",
            transform=ax.get_yaxis_transform(),
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
        return
    if not (np.isnan(low) or np.isnan(high)):
        ax.plot([low, high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
    ax.plot(
        value, place, marker="o" if is_type else "s", color=colour, markeredgecolor="#111111",
        markeredgewidth=0.6, markersize=5.5,
    )  # fmt: skip


@styled
def estimates_by(
    frame: pd.DataFrame,
    *,
    by: str,
    arm: str = "arm",
    arms: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    ylabel: str = "",
    null: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Estimates with intervals of each arm over an ordered axis, e.g. LS means by visit.

    Parameters
    ----------
    frame : DataFrame
        Columns ``by``, ``arm``, ``estimate, conf_low, conf_high``.
    by : str
        Column of the horizontal axis.
    null : float, optional
        Where a reference line is drawn.
    """
    ax = ax if ax is not None else plt.subplots(figsize=(6.2, 3.4))[1]
    levels, places = order_of([*frame.get(arm, [])], arms), order_of([*frame.get(by, [])], order)
    if not levels or not places:
        return empty_axes(ax)
    if null is not None:
        ax.axhline(null, color=LINE, linewidth=0.9)
    width = 0.5 / max(1, len(levels) - 1) if len(levels) > 1 else 0.0
    for number, level in enumerate(levels):
        rows = frame[frame[arm].astype(str) == level]
        style = arm_style(list(arms).index(level) if arms and level in arms else number)
        x = np.array([places.index(str(value)) for value in rows[by]], dtype=float)
        x += (number - (len(levels) - 1) / 2) * min(width, 0.14)
        y = rows["estimate"].to_numpy(float)
        low, high = rows["conf_low"].to_numpy(float), rows["conf_high"].to_numpy(float)
        ax.plot(x, y, color=style.colour, linestyle=style.line, marker=style.marker, label=level)
        ax.vlines(x, low, high, color=style.colour, linewidth=1.2)
    ax.set_xticks(range(len(places)), places)
    ax.set_xlim(-0.5, len(places) - 0.5)
    ax.set_ylabel("\n".join(wrap(ylabel, 38)))
    ax.grid(axis="y")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(levels))
    return ax
