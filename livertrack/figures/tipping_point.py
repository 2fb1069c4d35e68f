"""Tipping points: how far imputed values may move before a conclusion no longer holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from livertrack._views import frame_of, order_of
from livertrack.figures._palette import INK, LINE, SOFT, TINT
from livertrack.figures._style import empty_axes, styled

_TABLE = (
    "delta", "delta_reference", "reference", "estimate", "conf_low", "conf_high", "p_value",
)  # fmt: skip
#: significant difference: which way, colour, hatch
_SIDES = (("arm lower", "#9CC3E0", ""), ("arm higher", "#F2B98F", "//"))
_MARK = "#A94A00"


Floats = np.ndarray[Any, Any]


@styled
def tipping_point_plot(
    result: Any, *, arms: Sequence[str] | None = None, unit: str = ""
) -> np.ndarray[Any, Any]:
    """Draw the result at every delta, and the boundary at which it tips; one panel per arm.

    Parameters
    ----------
    result : TippingPoint or StoredResult
    arms : sequence of str, optional
        Order of the panels.
    unit : str
        Of the response, for the labels.

    Returns
    -------
    ndarray of Axes
        One-way: difference with limits over delta, shaded where it is not significant, with the
        tipping point. Two-way: deltas of both arms, coloured where the difference is significant
        (and which way), with the line p = alpha and lines of equal difference.
    """
    columns = [*_TABLE, str(result.settings.get("arm", "arm"))]
    table = frame_of(result, "table", columns)
    arm = columns[-1]
    levels = order_of([*table[arm]], arms)
    if not levels:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])])
    two_way = len(order_of([*table["delta_reference"]])) > 1
    figure, axes = plt.subplots(
        1, len(levels), figsize=(max(5.6, 3.7 * len(levels)), 4.1 if two_way else 3.6),
        squeeze=False, sharey=True,
    )  # fmt: skip
    for ax, level in zip(axes[0], levels, strict=True):
        rows = table[table[arm].astype(str) == level]
        reference = str(rows["reference"].iloc[0])
        if two_way:
            _two_way(ax, rows, unit, level)
        else:
            _one_way(ax, rows, _tip(result, arm, level), unit, level)
        ax.set_title(f"{level} minus {reference}")
    what = "Difference" + (f" ({unit})" if unit else "")
    reference = str(table["reference"].iloc[0])
    left = f"Added to imputed values of {reference}" if two_way else what
    confidence = f"{100 * float(result.settings.get('conf_level', 0.95)):g} %"
    _legend(figure, two_way=two_way, level=confidence)
    axes[0, 0].set_ylabel(left + (f" ({unit})" if unit and two_way else ""))
    return np.asarray(axes[0])


def _tip(result: Any, arm: str, level: str) -> dict[str, Any]:
    tipping = frame_of(result, "tipping", (arm, "delta_reference", "tipping_exact"))
    rows = tipping[(tipping[arm].astype(str) == level) & (tipping["delta_reference"] == 0)]
    return {str(k): v for k, v in rows.iloc[0].items()} if len(rows) else {}


def _one_way(ax: Axes, rows: pd.DataFrame, tip: dict[str, Any], unit: str, level: str) -> None:
    rows = rows.sort_values("delta")
    x, y = rows["delta"].to_numpy(float), rows["estimate"].to_numpy(float)
    low, high = rows["conf_low"].to_numpy(float), rows["conf_high"].to_numpy(float)
    fine = np.linspace(x[0], x[-1], 1001)
    covered = (np.interp(fine, x, low) <= 0) & (np.interp(fine, x, high) >= 0)
    ax.fill_between(
        fine, 0, 1, where=list(covered), transform=ax.get_xaxis_transform(), color=LINE,
        alpha=0.3, linewidth=0, label="not significant",
    )  # fmt: skip
    ax.axhline(0, color=SOFT, linewidth=0.9)
    ax.plot(x, y, color=INK, marker="o", markersize=3.5)
    for limit in (low, high):
        ax.plot(x, limit, color=INK, linewidth=0.9, linestyle="--")
    exact = float(tip.get("tipping_exact", np.nan))
    if not np.isnan(exact):
        ax.axvline(exact, color=_MARK, linewidth=1.3)
        ax.annotate(
            f"tips at {exact:.3g}", (exact, 0.98), xycoords=("data", "axes fraction"),
            xytext=(4, 0), textcoords="offset points", va="top", fontsize=8.5, color=_MARK,
        )  # fmt: skip
    ax.set_xlabel(f"Added to imputed values of {level}" + (f" ({unit})" if unit else ""))
    ax.grid(axis="y")


def _two_way(ax: Axes, rows: pd.DataFrame, unit: str, level: str) -> None:
    def grid(name: str) -> np.ndarray[Any, Any]:
        wide = rows.pivot_table(index="delta_reference", columns="delta", values=name)
        return np.asarray(wide.sort_index().sort_index(axis=1).to_numpy(float))

    x, y = np.unique(rows["delta"].to_numpy(float)), np.unique(rows["delta_reference"])
    low, high, estimate = grid("conf_low"), grid("conf_high"), grid("estimate")
    ax.set_facecolor(TINT)
    if min(estimate.shape) > 1:
        for limit, (_, colour, hatch) in zip((-high, low), _SIDES, strict=True):
            if (limit > 0).any():
                top = float(limit.max()) + 1
                ax.contourf(x, y, limit, levels=[0, top], colors=[colour], hatches=[hatch])
            if (limit > 0).any() and (limit < 0).any():
                ax.contour(x, y, limit, levels=[0], colors=[INK], linewidths=2.0)
        lines = ax.contour(x, y, estimate, levels=6, colors=[SOFT], linewidths=0.7)
        _label_inside(ax, lines, x, y)
    ax.plot(0, 0, marker="P", color=INK, markersize=8, linestyle="none", clip_on=False, zorder=5)
    ax.set_xlabel(f"Added to imputed values of {level}" + (f" ({unit})" if unit else ""))


def _label_inside(ax: Axes, lines: Any, x: Floats, y: Floats) -> None:
    """Write the difference on each line where it is nearest the middle; none at a corner."""
    low, high = np.array([x[0], y[0]]), np.array([x[-1], y[-1]])
    places = []
    for segments in lines.allsegs:
        parts = [(part - low) / (high - low) for part in segments if len(part)]
        if parts:
            points = np.concatenate(parts)
            best = points[np.abs(points - 0.5).max(axis=1).argmin()]
            if np.abs(best - 0.5).max() < 0.42:
                places.append(tuple(low + best * (high - low)))
    if places:
        ax.clabel(lines, fontsize=7.5, fmt=lambda v: f"{v:.3g}".replace("-", "\N{MINUS SIGN}"),
                  manual=places)  # fmt: skip


def _legend(figure: Figure, *, two_way: bool, level: str) -> None:
    """One legend below the panels."""
    handles: list[Any] = []
    if two_way:
        handles += [
            Patch(facecolor=colour, hatch=hatch, edgecolor=SOFT, label=name)
            for name, colour, hatch in _SIDES
        ]
        handles += [
            Patch(facecolor=TINT, edgecolor=SOFT, label="not significant"),
            Line2D([], [], marker="P", color=INK, linestyle="none", label="no delta"),
        ]
    else:
        handles += [
            Line2D([], [], color=INK, marker="o", markersize=3.5, label="difference"),
            Line2D([], [], color=INK, linewidth=0.9, linestyle="--", label=f"{level} limits"),
            Patch(facecolor=LINE, alpha=0.3, label="not significant"),
        ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
