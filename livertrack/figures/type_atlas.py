"""Where tissue types are, how they merge, and what they go with at biopsy."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex

from livertrack._region_names import region_name
from livertrack._views import frame_of, order_of, rows_of, type_number
from livertrack.figures._palette import DIVERGING, INK, SOFT, ink_on, type_colour, type_marker
from livertrack.figures._style import empty_axes, styled
from livertrack.figures.atlas import _box, _levels, _paint, _spread

Array = np.ndarray[Any, Any]
Labels = Mapping[str, str]
_CELL = ("parameter", "visit", "region", "n", "mean", "conf_low", "conf_high")


@styled
def type_regions(result: Any, *, visit: str, labels: Labels | None = None) -> Array:
    """Draw the mean share of each type by region at a visit, one panel per type.

    Parameters
    ----------
    result : TypeAtlas or StoredResult
    visit : str
    labels : mapping, optional
        PARAMCD -> title of the panel.

    Returns
    -------
    ndarray of Axes
        The dashed line is the whole liver; every panel has its own axis.
    """
    frame = frame_of(result, "table", _CELL)
    frame = frame[frame["visit"].eq(visit)] if len(frame) else frame
    names = order_of([*frame["parameter"]])
    regions = [r for r in order_of([*frame["region"].fillna("")]) if r]
    if not names or not regions:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No regions")])
    columns = min(4, len(names))
    lines = math.ceil(len(names) / columns)
    _, axes = plt.subplots(
        lines, columns, figsize=(7.2, 0.5 + 1.6 * lines), squeeze=False, sharex=True
    )
    for ax, name in zip(axes.flat, names, strict=False):
        rows = {str(r["region"]): r for r in rows_of(frame[frame["parameter"] == name])}
        number = type_number(name)
        for place, region in enumerate(regions):
            row = rows.get(region)
            if row is None:
                continue
            ax.vlines(place, 100 * row["conf_low"], 100 * row["conf_high"], color=INK, linewidth=1)
            ax.plot(
                place, 100 * row["mean"], type_marker(number), color=type_colour(number),
                markeredgecolor=INK, markeredgewidth=0.6, markersize=6,
            )  # fmt: skip
        if "" in rows:
            ax.axhline(100 * rows[""]["mean"], color=SOFT, linestyle="--", linewidth=0.9)
        ax.set_title((labels or {}).get(name, name))
        ax.set_xlim(-0.5, len(regions) - 0.5)
        short = [re.sub(r"\D", "", region) or region for region in regions]
        ax.set_xticks(range(len(regions)), short)
        ax.grid(axis="y")
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    kind = re.sub(r"\s*\d+$", "", region_name(regions[0])).capitalize()
    for ax in axes[-1]:
        ax.set_xlabel(kind)
    for ax in axes[:, 0]:
        ax.set_ylabel("% of the region")
    return np.asarray(axes)


@styled
def type_places(
    result: Any, cells: Array, *, spacing: Sequence[float] = (1.0, 1.0),
    labels: Labels | None = None, shown: int = 3,
) -> Array:  # fmt: skip
    """Draw the mean share of each type in each place of the template liver, at baseline.

    Parameters
    ----------
    result : TypeAtlas or StoredResult
    cells : int array (x, y, z)
        Number of the cell of each voxel of the template, 0 outside.
    spacing : pair of float
        Voxel size in mm along x and y.
    shown : int
        Slices per type, from head to feet.

    Returns
    -------
    ndarray of Axes (types / 2, 2 x slices)
        Two types beside each other; every type has its own scale, from 0.
    """
    frame = frame_of(result, "places", ("parameter", "cell", "n", "mean"))
    levels = _levels(cells, shown)
    names = order_of([*frame["parameter"]])
    if not names or not levels:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No atlas records")])
    n = int(max(cells.max(initial=0), frame["cell"].astype(int).max())) + 1
    box = _box(cells > 0)
    wide = (box[0].stop - box[0].start) * spacing[0]
    high = (box[1].stop - box[1].start) * spacing[1]
    lines, per = math.ceil(len(names) / 2), len(levels)
    size = 3.0 / per
    figure, axes = plt.subplots(
        lines, 2 * per, figsize=(7.2, 0.2 + lines * (size * high / wide + 0.24)), squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    nothing = np.zeros(n, bool)
    for place, name in enumerate(names):
        line, first = place // 2, per * (place % 2)
        part = frame[frame["parameter"].astype(str) == name]
        values = _spread(n, part["cell"], 100 * part["mean"].astype(float))
        top = max(float(np.nanmax(values)), 1.0)
        image: Any = None
        own = axes[line, first : first + per]
        for ax, level in zip(own, levels, strict=True):
            image = _paint(ax, cells[(*box, level)], values, nothing, "YlGnBu", Normalize(0, top),
                           spacing)  # fmt: skip
        own[0].set_title((labels or {}).get(name, name))
        bar = figure.colorbar(image, ax=list(own), shrink=0.8, aspect=12, pad=0.02)
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)  # type: ignore[operator]
        if first == 0:
            own[0].text(0.0, 0.5, "R", transform=own[0].transAxes, ha="right", va="center",
                        color=SOFT)  # fmt: skip
    return np.asarray(axes)


@styled
def correlation_matrix(
    result: Any, *, labels: Labels | None = None, outcomes: Labels | None = None
) -> Axes:
    """Draw rank correlations of types (rows) and biopsy components (columns)."""
    frame = frame_of(result, "table", ("parameter", "outcome", "estimate", "p_adjusted"))
    down, across = order_of([*frame["parameter"]]), order_of([*frame["outcome"]])
    ax: Axes
    _, ax = plt.subplots(figsize=(7.2, 0.9 + 0.36 * max(len(down), 1)))
    if not down:
        return empty_axes(ax, "No subject has a scan and a biopsy")
    alpha = 1 - float(result.settings.get("conf_level", 0.95))
    values = np.full((len(down), len(across)), np.nan)
    sure = np.zeros(values.shape, bool)
    for row in rows_of(frame):
        place = down.index(str(row["parameter"])), across.index(str(row["outcome"]))
        values[place] = row["estimate"]
        sure[place] = row["p_adjusted"] <= alpha
    most = max(float(np.nanmax(np.abs(np.nan_to_num(values)))), 0.3)
    cmap = colormaps[DIVERGING].with_extremes(bad="#E4E7EB")
    norm = Normalize(-most, most)
    ax.pcolormesh(
        np.arange(len(across) + 1) - 0.5, np.arange(len(down) + 1) - 0.5, values, cmap=cmap,
        norm=norm, edgecolors="white", linewidth=1,
    )  # fmt: skip
    for (i, j), value in np.ndenumerate(values):
        shade = to_hex(cmap(norm(value)))
        text = "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")
        ax.text(
            j, i, text + (" *" if sure[i, j] else ""), ha="center", va="center",
            color=ink_on(shade), fontweight="bold" if sure[i, j] else "normal",
        )  # fmt: skip
    ax.set_yticks(range(len(down)), [(labels or {}).get(name, name) for name in down])
    ax.set_xticks(range(len(across)), [_wrapped((outcomes or {}).get(o, o)) for o in across])
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.invert_yaxis()
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


@styled
def type_tree(result: Any) -> Axes:
    """Draw how tissue types merge, as a tree from left (apart) to right (one).

    A step to the right is a merging; the number beside it is the distance of the two groups.
    """
    frame = frame_of(result, "hierarchy", ("n_groups", "merged", "distance"))
    types = frame_of(result, "table", ("parameter",))
    names = order_of([*types["parameter"]])
    ax: Axes
    _, ax = plt.subplots(figsize=(7.2, 0.8 + 0.27 * max(len(names), 2)))
    if frame.empty:
        return empty_axes(ax, "One tissue type")
    steps = [_groups(str(row["merged"])) for row in rows_of(frame)]
    order = _leaves(steps, names)
    where = {frozenset([name]): (0.0, float(place)) for place, name in enumerate(order)}
    for step, (groups, row) in enumerate(zip(steps, rows_of(frame), strict=True), start=1):
        ends, x = [where[group] for group in groups], float(step)
        for start, y in ends:
            ax.plot([start, x], [y, y], color=INK, linewidth=1.2)
        ax.plot([x, x], [min(y for _, y in ends), max(y for _, y in ends)], color=INK,
                linewidth=1.2)  # fmt: skip
        where[frozenset().union(*groups)] = (x, float(np.mean([y for _, y in ends])))
        ax.text(x + 0.06, max(y for _, y in ends) - 0.01, f"{row['distance']:.2f}", fontsize=8,
                ha="left", va="bottom")  # fmt: skip
    for place, name in enumerate(order):
        colour = type_colour(type_number(name))
        ax.text(
            -0.02, place, f" {type_number(name)} ", ha="right", va="center", fontweight="bold",
            color=ink_on(colour), transform=ax.get_yaxis_transform(),
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 2.0},
        )  # fmt: skip
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlim(0, len(steps) + 0.6)
    ax.set_xticks(range(1, len(steps) + 1))
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.set_xlabel("Step (number at the line: distance of the merged, spreads of a type)")
    ax.grid(axis="x")
    return ax


def _groups(merged: str) -> list[frozenset[str]]:
    return [frozenset(re.findall(r"TV\d+", part)) for part in merged.split(" with ")]


def _leaves(steps: Sequence[Sequence[frozenset[str]]], names: Sequence[str]) -> list[str]:
    """Order of the types in which no branches of the tree cross."""
    held: dict[frozenset[str], list[str]] = {frozenset([name]): [name] for name in names}
    for groups in steps:
        joined = [name for group in groups for name in held.pop(group)]
        held[frozenset().union(*groups)] = joined
    return [name for part in held.values() for name in part]


def _wrapped(text: str) -> str:
    words, lines = text.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 14 and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
