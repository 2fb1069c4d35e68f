"""Quality of scans: every scan beside its limit, and sites beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from livertrack._views import frame_of, order_of, rows_of
from livertrack.figures._palette import INK, SOFT
from livertrack.figures._style import empty_axes, styled

Array = np.ndarray[Any, Any]


@styled
def quality_strips(
    scans: pd.DataFrame,
    *,
    measures: Sequence[str],
    visits: Sequence[str],
    labels: Mapping[str, str],
    limits: Mapping[str, Sequence[float]] | None = None,
) -> Array:
    """Draw a dot per scan and visit, one panel per measure, with the limits of the plan.

    Parameters
    ----------
    scans : DataFrame, one row per scan
        ``AVISIT`` and the measures, in the units of the data dictionary.
    measures, visits : sequence of str
    labels : mapping
        Measure -> title of the panel.
    limits : mapping of sequences, optional
        Measure -> values of lines; a line far outside the values is written instead of drawn.

    Returns
    -------
    ndarray of Axes
    """
    shown = [m for m in measures if m in scans and scans[m].notna().any()]
    if not shown:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No scan measured")])
    columns = min(3, len(shown))
    lines = math.ceil(len(shown) / columns)
    _, axes = plt.subplots(lines, columns, figsize=(7.2, 0.3 + 1.9 * lines), squeeze=False)
    for ax, measure in zip(axes.flat, shown, strict=False):
        for place, visit in enumerate(visits):
            here = scans.loc[scans["AVISIT"].astype(str).eq(visit), measure].astype(float)
            values = np.sort(here.dropna().to_numpy(float))
            ax.plot(place + _beside(values), values, "o", color=INK, markersize=2.6, alpha=0.65)
        _limit_lines(ax, (limits or {}).get(measure, ()), scans[measure].astype(float))
        ax.set_title(_short_title(labels.get(measure, measure)), fontsize=8.5)
        ax.set_xlim(-0.6, len(visits) - 0.4)
        ax.set_xticks(range(len(visits)), [_short(visit) for visit in visits])
        ax.yaxis.set_major_locator(MaxNLocator(4))
        ax.yaxis.set_major_formatter(_written)
        ax.grid(axis="y")
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    return np.asarray(axes)


@styled
def site_levels(
    result: Any, *, factor: str, measures: Sequence[str], labels: Mapping[str, str]
) -> Array:
    """Draw each site's (or scanner's) median and range, one panel per measure."""
    frame = frame_of(
        result, "levels", ("factor", "level", "measure", "n", "minimum", "median", "maximum")
    )
    frame = frame[frame["factor"].astype(str).eq(factor)] if len(frame) else frame
    shown = [m for m in measures if m in set(frame["measure"])]
    if not shown:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "One site")])
    levels = order_of([*frame["level"]])
    columns = min(3, len(shown))
    lines = math.ceil(len(shown) / columns)
    _, axes = plt.subplots(
        lines, columns, figsize=(7.2, 0.3 + lines * (0.75 + 0.2 * len(levels))), squeeze=False,
        sharey=True,
    )  # fmt: skip
    for ax, measure in zip(axes.flat, shown, strict=False):
        for row in rows_of(frame[frame["measure"].astype(str) == measure]):
            y = levels.index(str(row["level"]))
            ax.hlines(y, row["minimum"], row["maximum"], color=SOFT, linewidth=1)
            ax.plot(row["median"], y, "o", color=INK, markersize=4.5)
        ax.set_title(_short_title(labels.get(measure, measure)), fontsize=8.5)
        ax.xaxis.set_major_locator(MaxNLocator(2 if _small(ax) else 3))
        ax.xaxis.set_major_formatter(_written)
        ax.grid(axis="x")
    for ax in axes[:, 0]:
        ax.set_yticks(range(len(levels)), levels)
        ax.set_ylim(len(levels) - 0.5, -0.5)
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    return np.asarray(axes)


def _limit_lines(ax: Any, limits: Sequence[float], values: pd.Series) -> None:
    """Limits near the values as lines; others in words at the edge they lie beyond."""
    low, high = float(values.min()), float(values.max())
    room = 0.6 * max(high - low, abs(high) * 0.05, 1e-9)
    for limit in limits:
        if low - room <= limit <= high + room:
            ax.axhline(limit, color=INK, linestyle="--", linewidth=0.9)
        else:
            above = limit > high
            ax.text(
                0.98, 0.97 if above else 0.03, f"limit {limit:g} {'↑' if above else '↓'}",
                transform=ax.transAxes, ha="right", va="top" if above else "bottom", fontsize=7,
                color=SOFT, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip


def _small(ax: Any) -> bool:
    """Whether the numbers of the horizontal axis are long."""
    return bool(max(map(abs, ax.get_xlim())) < 0.01)


def _written(value: float, _place: int) -> str:
    """Write a number of an axis in full, without a power that stands elsewhere."""
    text = f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:g}"
    return (text or "0").replace("-", "\N{MINUS SIGN}")


def _beside(values: Array) -> Array:
    """Sideways places of dots, so that few overlap: the same for the same values."""
    return np.asarray(0.26 * np.sin(2.399963 * np.arange(len(values))))


def _short(visit: str) -> str:
    return visit.replace("Baseline", "Base").replace("Week ", "W").replace("Month ", "M")


def _short_title(text: str) -> str:
    """Title of a narrow panel: two lines at most, what stands in parentheses left out first."""
    text = text if len(text) <= 26 else text.split(" (")[0]
    return "\n".join(wrap(text, 27)[:2])
