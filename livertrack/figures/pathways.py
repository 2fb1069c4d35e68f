"""Change pathways: ribbons of each arm, and the matrix of differences from the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline

from livertrack._views import frame_of, order_of
from livertrack.figures._palette import DIVERGING, INK, SOFT, ink_on, type_colour, type_hatch
from livertrack.figures._style import empty_axes, styled

_MATRIX = ("visit", "region", "arm", "from_type", "to_type", "mean", "n")
_TABLE = (
    "arm", "reference", "visit", "region", "level", "from_type", "to_type", "estimate",
    "p_adjusted", "p_value", "n_arm", "n_ref", "tested",
)  # fmt: skip
#: thinnest ribbon that is drawn, as proportion of the region
LEAST = 0.002


@styled
def alluvial(
    result: Any,
    *,
    visit: str | None = None,
    region: str = "",
    arms: Sequence[str] | None = None,
    baseline: str = "Baseline",
) -> np.ndarray[Any, Any]:
    """Draw where the tissue of each arm went: bars of types at both visits, ribbons between.

    Parameters
    ----------
    result : ChangePathways or StoredResult
    visit, region : str
        Which flows; the last visit and the whole liver by default.
    arms : sequence of str, optional
        Order of the panels.
    baseline : str
        Name of the first visit.

    Returns
    -------
    ndarray of Axes
        One per arm; heights are mean proportions of the region over subjects. Tissue that kept
        its type is pale, tissue that changed has the colour of the type it left.
    """
    cells = frame_of(result, "matrices", _MATRIX)
    cells = cells[cells["region"].astype(str) == region]
    visits = order_of([*cells["visit"]])
    if not visits:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No pathway records")])
    shown = visit if visit is not None else visits[-1]
    cells = cells[cells["visit"].astype(str) == shown]
    levels = order_of([*cells["arm"]], arms)
    _, axes = plt.subplots(1, len(levels), figsize=(7.2, 4.3), squeeze=False)
    for level, ax in zip(levels, axes[0], strict=True):
        rows = cells[cells["arm"].astype(str) == level]
        n = int(rows["n"].iloc[0]) if len(rows) else 0
        ax.set_title(f"{level}, N = {n}")
        _ribbons(ax, rows, baseline, shown)
    return np.asarray(axes[0])


def _grid(rows: pd.DataFrame, value: str) -> tuple[list[int], np.ndarray[Any, Any]]:
    types = sorted({*rows["from_type"].astype(int), *rows["to_type"].astype(int)})
    place = {number: i for i, number in enumerate(types)}
    grid = np.full((len(types), len(types)), np.nan)
    origins, targets = rows["from_type"].astype(int), rows["to_type"].astype(int)
    for origin, target, cell in zip(origins, targets, rows[value], strict=True):
        grid[place[origin], place[target]] = float(cell)
    return types, grid


def _ribbons(ax: Axes, rows: pd.DataFrame, baseline: str, visit: str) -> None:
    types, flow = _grid(rows, "mean")
    if not np.isfinite(flow).any():
        empty_axes(ax, "no subject with\nboth scans")
        return
    flow = np.nan_to_num(flow)
    gap = 0.012
    left = np.r_[0, np.cumsum(flow.sum(1) + gap)[:-1]]
    right = np.r_[0, np.cumsum(flow.sum(0) + gap)[:-1]]
    from_left, to_right = left.copy(), right.copy()
    for i, j in np.ndindex(*flow.shape):
        height = flow[i, j]
        if height >= LEAST:
            same = i == j
            _ribbon(ax, from_left[i], to_right[j], height, types[i], alpha=0.18 if same else 0.78)
        from_left[i] += height
        to_right[j] += height
    for x, starts, heights, side in (
        (0.0, left, flow.sum(1), "right"), (1.0, right, flow.sum(0), "left"),
    ):  # fmt: skip
        for number, start, height in zip(types, starts, heights, strict=True):
            ax.add_patch(
                Rectangle(
                    (x - 0.045, start), 0.09, height, facecolor=type_colour(number),
                    edgecolor="#333333", linewidth=0.5, hatch=type_hatch(number),
                )
            )  # fmt: skip
            if height > 0.015:
                offset = -0.075 if side == "right" else 0.075
                ax.text(
                    x + offset, start + height / 2, str(number), ha=side, va="center", fontsize=8
                )
    ax.set(xlim=(-0.22, 1.22), ylim=(1 + gap * len(types), -0.01))
    ax.set_xticks([0, 1], [baseline, visit])
    ax.set_yticks([])
    ax.tick_params(length=0)
    for edge in ax.spines.values():
        edge.set_visible(False)


def _ribbon(ax: Axes, y0: float, y1: float, height: float, number: int, *, alpha: float) -> None:
    x0, x1, mid = 0.045, 0.955, 0.5
    points = [
        (x0, y0), (mid, y0), (mid, y1), (x1, y1), (x1, y1 + height), (mid, y1 + height),
        (mid, y0 + height), (x0, y0 + height), (x0, y0),
    ]  # fmt: skip
    codes = [
        Outline.MOVETO, Outline.CURVE4, Outline.CURVE4, Outline.CURVE4, Outline.LINETO,
        Outline.CURVE4, Outline.CURVE4, Outline.CURVE4, Outline.CLOSEPOLY,
    ]  # fmt: skip
    strong = alpha > 0.5
    ax.add_patch(
        PathPatch(
            Outline(points, codes), facecolor=type_colour(number), alpha=alpha,
            edgecolor="#333333" if strong else "none", linewidth=0.3 if strong else 0,
        )
    )  # fmt: skip


@styled
def pathway_matrix(
    result: Any,
    *,
    visit: str | None = None,
    region: str = "",
    arms: Sequence[str] | None = None,
) -> np.ndarray[Any, Any]:
    """Draw the difference of every flow from the reference, in percentage points of the region.

    Parameters
    ----------
    result : ChangePathways or StoredResult
    visit, region : str
        Which flows; the last visit and the whole liver by default.

    Returns
    -------
    ndarray of Axes
        One per arm. A boxed cell with ``*`` differs after adjustment over the whole family at
        the level of the result; a dot marks flows too rare to be tested.
    """
    table = frame_of(result, "table", _TABLE)
    table = table[table["region"].astype(str) == region]
    if "level" in table.columns and len(table):
        table = table[table["level"].astype(str).isin(["0", "nan"])]
    visits = order_of([*table["visit"]])
    if not visits:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No pathway records")])
    shown = visit if visit is not None else visits[-1]
    table = table[table["visit"].astype(str) == shown]
    levels = order_of([*table["arm"]], arms)
    reference = str(table["reference"].iloc[0])
    alpha = 1 - float(result.settings.get("conf_level", 0.95))
    largest = float(np.nanmax(np.abs(table["estimate"].astype(float)), initial=0.0)) * 100
    norm = Normalize(-max(largest, 0.1), max(largest, 0.1))
    width = 7.2 if len(levels) > 1 else 4.6
    figure, axes = plt.subplots(
        1,
        len(levels),
        figsize=(width, 0.9 + 3.3 * (1 if len(levels) < 3 else 0.75)),
        squeeze=False,
    )
    image = None
    for level, ax in zip(levels, axes[0], strict=True):
        image = _matrix(ax, table[table["arm"].astype(str) == level], norm, alpha)
        ax.set_title(f"{level} − {reference}")
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes[0]), shrink=0.8, aspect=28)
        bar.set_label("Percentage points of the region")
        bar.outline.set_visible(False)  # type: ignore[operator]
    axes[0, 0].set_ylabel("From type (baseline)")
    return np.asarray(axes[0])


def _matrix(ax: Axes, rows: pd.DataFrame, norm: Normalize, alpha: float) -> Any:
    types, grid = _grid(rows, "estimate")
    _, adjusted = _grid(rows, "p_adjusted")
    off = ~np.eye(len(types), dtype=bool)
    values = np.where(off, 100 * grid, np.nan)
    cmap = colormaps[DIVERGING].with_extremes(bad="#E4E7EA")
    image = ax.imshow(values, cmap=cmap, norm=norm)
    for i, j in zip(*np.nonzero(off), strict=True):
        if not np.isfinite(values[i, j]):
            continue
        if not np.isfinite(adjusted[i, j]):
            ax.text(j, i, "·", ha="center", va="center", color=SOFT, fontsize=7)
        elif adjusted[i, j] <= alpha:
            shade = cmap(float(norm(values[i, j])))
            ink = ink_on("#" + "".join(f"{int(255 * part):02x}" for part in shade[:3]))
            ax.text(j, i + 0.08, "*", ha="center", va="center", color=ink, fontsize=12)
            ax.add_patch(
                Rectangle(
                    (j - 0.48, i - 0.48), 0.96, 0.96, fill=False, edgecolor=INK, linewidth=1.4
                )
            )
    ax.set_xticks(range(len(types)), [str(number) for number in types])
    ax.set_yticks(range(len(types)), [str(number) for number in types])
    ax.set_xlabel("To type")
    ax.tick_params(length=0)
    for edge in ax.spines.values():
        edge.set_visible(False)
    return image
