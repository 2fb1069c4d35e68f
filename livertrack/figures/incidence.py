"""Cumulative incidence with competing causes, the numbers at risk below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from livertrack._views import frame_of, order_of
from livertrack.figures._palette import arm_style
from livertrack.figures._style import empty_axes, one_axes, styled
from livertrack.figures.survival import numbers_at_risk

_MEAN = ("arm", "time", "estimate", "conf_low", "conf_high")
_CURVE = ("arm", "cause", "time", "estimate", "conf_low", "conf_high")


@styled
def incidence_curves(
    result: Any, *, arms: Sequence[str] | None = None, time_label: str = "Time"
) -> np.ndarray[Any, Any]:
    """Draw the curves of a `cumulative_incidence` result, a panel per cause.

    Parameters
    ----------
    result : CumulativeIncidence or StoredResult
    arms : sequence of str, optional
        Order of the arms.
    time_label : str
        Label of the time axis, with its unit.

    Returns
    -------
    ndarray of Axes
        Panels above, numbers at risk below the first (they are the same for every cause).
    """
    curve = frame_of(result, "curve", _CURVE)
    at_risk = frame_of(result, "at_risk", ("arm", "time", "n_risk"))
    table = frame_of(result, "table", ("arm", "cause", "time"))
    levels, causes = order_of([*table["arm"]], arms), order_of([*table["cause"]])
    if curve.empty:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No event")])
    below = 0.25 + 0.22 * len(levels)
    rows = 2 if len(at_risk) else 1
    figure, axes = plt.subplots(
        rows, len(causes), figsize=(7.2, 3.1 + (below if rows == 2 else 0)), squeeze=False,
        sharey="row", height_ratios=[3.1, below][:rows], gridspec_kw={"wspace": 0.09},
    )  # fmt: skip
    end = float(table["time"].max())
    for ax, cause in zip(axes[0], causes, strict=True):
        here = curve[curve["cause"].astype(str) == cause]
        for place, level in enumerate(levels):
            last = table.loc[table["arm"].astype(str) == level, "time"].max()
            _steps(ax, here[here["arm"].astype(str) == level], level, place, float(last))
        ax.set(
            title=cause.capitalize() if cause.isupper() else cause,
            xlabel=time_label,
            xlim=(0, end),
        )
        ax.grid(axis="y")
    axes[0, 0].set_ylim(0, None)
    axes[0, 0].set_ylabel("Cumulative incidence")
    axes[0, 0].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(levels))
    if rows == 2:
        for column, ax in enumerate(axes[1]):
            numbers_at_risk(ax, at_risk, levels, axes[0, column], names=column == 0)
    return np.asarray(axes)


@styled
def mean_event_curves(
    result: Any, *, arms: Sequence[str] | None = None, time_label: str = "Time",
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw the mean number of events of a subject over time, from a `recurrent_events` result."""
    ax = one_axes(ax, (7.2, 3.4))
    curve = frame_of(result, "mean_function", _MEAN)
    if curve.empty:
        return empty_axes(ax, "No event")
    levels = order_of([*frame_of(result, "rates", ("arm",))["arm"]], arms)
    end = float(curve["time"].max())
    for place, level in enumerate(levels):
        _steps(ax, curve[curve["arm"].astype(str) == level], level, place, end)
    ax.set(xlabel=time_label, ylabel="Mean number of events", xlim=(0, end), ylim=(0, None))
    ax.grid(axis="y")
    ax.legend(loc="upper left")
    return ax


def _steps(ax: Axes, rows: pd.DataFrame, level: str, place: int, last: float) -> None:
    style = arm_style(place)
    rows = rows.sort_values("time")
    time = np.r_[0.0, rows["time"].to_numpy(float)]
    estimate, low, high = (
        np.r_[0.0, rows[column].to_numpy(float)]
        for column in ("estimate", "conf_low", "conf_high")
    )
    if last > time[-1]:
        time = np.r_[time, last]
        estimate, low, high = (np.r_[values, values[-1]] for values in (estimate, low, high))
    ax.step(time, estimate, where="post", color=style.colour, linestyle=style.line, label=level)
    low, high = np.where(np.isnan(low), estimate, low), np.where(np.isnan(high), estimate, high)
    ax.fill_between(time, low, high, step="post", color=style.colour, alpha=0.10, linewidth=0)
