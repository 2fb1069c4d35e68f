"""Shapley values: a point per subject and feature."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from livertrack._views import frame_of
from livertrack.figures._palette import DIVERGING, SOFT
from livertrack.figures._style import empty_axes, figure_of, one_axes, styled

_VALUES = ("feature", "measured", "shapley")
#: intervals in which points are stacked
_BINS = 60


@styled
def shapley_points(result: Any, *, most: int = 12, ax: Axes | None = None) -> Axes:
    """Shapley value of every subject, a row per feature, the largest on top.

    Parameters
    ----------
    result : Shapley or StoredResult
    most : int
        Features to draw.
    ax : Axes, optional

    Returns
    -------
    Axes
        Colour: rank of the feature among the subjects, purple low, orange high; grey where it
        was not measured or where a row is a group of features.
    """
    order = [str(f) for f in frame_of(result, "table", ("feature",))["feature"]][:most]
    ax = one_axes(ax, (5.6, 0.9 + 0.42 * max(len(order), 2)))
    values = frame_of(result, "values", _VALUES)
    if not order or values.empty:
        return empty_axes(ax)
    ax.axvline(0, color=SOFT, linewidth=0.8)
    drawn = None
    span = float(np.ptp(values["shapley"].astype(float))) or 1.0
    for place, name in zip(range(len(order), 0, -1), order, strict=True):
        mine = values[values["feature"].astype(str).eq(name)]
        x = mine["shapley"].to_numpy(float)
        level = mine["measured"].astype(float).rank(pct=True).to_numpy()
        y = place + _stacked(x, span)
        known = ~np.isnan(level)
        ax.scatter(x[~known], y[~known], s=9, color=SOFT, linewidth=0)
        if known.any():
            drawn = ax.scatter(
                x[known], y[known], s=9, c=level[known], cmap=DIVERGING, vmin=0, vmax=1,
                edgecolor=SOFT, linewidth=0.2,
            )  # fmt: skip
    ax.set_yticks(range(len(order), 0, -1), order)
    ax.set(xlabel="Share of the feature in the prediction", ylim=(0.4, len(order) + 0.6))
    if drawn is not None:
        bar = figure_of(ax).colorbar(drawn, ax=ax, ticks=[0, 1], shrink=0.7)
        bar.ax.set_yticklabels(["low", "high"])
        bar.set_label("Feature")
    return ax


def _stacked(x: NDArray[np.float64], span: float) -> NDArray[np.float64]:
    """Heights that keep points of alike values apart, symmetric about 0."""
    bins = np.floor(x / span * _BINS).astype(int)
    out = np.zeros(len(x))
    for level in np.unique(bins):
        here = np.flatnonzero(bins == level)
        side = (np.arange(len(here)) + 1) // 2 * np.where(np.arange(len(here)) % 2, 1, -1)
        out[here] = 0.38 * side / max(np.abs(side).max(), 6)
    return out
