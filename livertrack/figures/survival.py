"""Kaplan-Meier curves with the numbers at risk below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from livertrack._views import frame_of, order_of, rows_of
from livertrack.figures._palette import arm_style
from livertrack.figures._style import empty_axes, styled

_CURVE = ("arm", "time", "n_risk", "n_event", "n_censor", "estimate", "conf_low", "conf_high")


@styled
def kaplan_meier_curve(
    result: Any,
    *,
    arms: Sequence[str] | None = None,
    time_label: str = "Time",
    limits: bool = True,
) -> np.ndarray[Any, Any]:
    """Draw the curves of a `kaplan_meier` result: steps, censoring ticks, limits, numbers at risk.

    Parameters
    ----------
    result : KaplanMeier or StoredResult
    arms : sequence of str, optional
        Order of the arms.
    time_label : str
        Label of the time axis, with its unit.
    limits : bool
        Shade the pointwise confidence limits.

    Returns
    -------
    ndarray of Axes
        Curves above, numbers at risk below.
    """
    curve = frame_of(result, "curve", _CURVE)
    at_risk = frame_of(result, "at_risk", ("arm", "time", "n_risk"))
    levels = order_of([*frame_of(result, "table", ("arm",))["arm"]], arms)
    height = 3.4 + 0.22 * max(1, len(levels))
    _, axes = plt.subplots(
        2, 1, figsize=(7.2, height), height_ratios=[3.4, 0.25 + 0.22 * max(1, len(levels))]
    )
    if curve.empty:
        empty_axes(axes[0], "No events or follow-up to show")
        axes[1].set_axis_off()
        return np.asarray(axes)
    for place, level in enumerate(levels):
        _curve(axes[0], curve[curve["arm"].astype(str) == level], level, place, shaded=limits)
    axes[0].set(ylim=(0, 1.03), ylabel="Free of the event", xlim=(0, None))
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes[0].grid(axis="y")
    axes[0].legend(loc="lower left")
    axes[0].set_xlabel(time_label)
    numbers_at_risk(axes[1], at_risk, levels, axes[0])
    return np.asarray(axes)


def _curve(ax: Axes, rows: pd.DataFrame, level: str, place: int, *, shaded: bool) -> None:
    style = arm_style(place)
    rows = rows.sort_values("time")
    time = np.r_[0.0, rows["time"].to_numpy(float)]
    estimate = np.r_[1.0, rows["estimate"].to_numpy(float)]
    ax.step(time, estimate, where="post", color=style.colour, linestyle=style.line, label=level)
    if shaded:
        low = np.r_[1.0, rows["conf_low"].to_numpy(float)]
        high = np.r_[1.0, rows["conf_high"].to_numpy(float)]
        low, high = (
            np.where(np.isnan(low), estimate, low),
            np.where(np.isnan(high), estimate, high),
        )
        ax.fill_between(time, low, high, step="post", color=style.colour, alpha=0.12, linewidth=0)
    censored = rows[rows["n_censor"] > 0]
    ax.plot(
        censored["time"], censored["estimate"], linestyle="none", marker="|", markersize=6,
        color=style.colour,
    )  # fmt: skip


def numbers_at_risk(
    ax: Axes, at_risk: pd.DataFrame, levels: Sequence[str], above: Axes, *, names: bool = True
) -> None:
    """Write the numbers at risk of each arm under the time axis of ``above``."""
    ax.set(xlim=above.get_xlim(), ylim=(len(levels) - 0.4, -1.1))
    ax.text(0, -0.85, "Number at risk", fontsize=8.5, fontweight="bold", ha="left", va="center")
    for row in rows_of(at_risk):
        place, count = levels.index(str(row["arm"])), int(row["n_risk"])
        ax.text(float(row["time"]), place, str(count), ha="center", va="center", fontsize=8.5)
    if names:
        ax.set_yticks(range(len(levels)), levels)
    ax.tick_params(length=0, pad=14, labelleft=names)
    ax.set_xticks([])
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
