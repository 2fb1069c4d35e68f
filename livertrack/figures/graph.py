"""The graph of a graphical test: weights, transitions, and the order of rejection."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, FancyArrowPatch

from livertrack._views import frame_of, rows_of
from livertrack.figures._palette import INK, LINE, SOFT
from livertrack.figures._style import empty_axes, styled

_WIDE, _HIGH = 1.15, 0.62


@styled
def hypothesis_graph(result: Any, *, ax: Axes | None = None) -> Axes:
    """Draw a `graphical_test` result as planned, with what was rejected, and in which order.

    Parameters
    ----------
    result : GraphicalTest or StoredResult
    ax : Axes, optional

    Returns
    -------
    Axes
        A node per hypothesis with its share of alpha; arrows say where the share goes when it is
        rejected. Filled: rejected, with its place in the order.
    """
    nodes = rows_of(
        frame_of(result, "table", ("hypothesis", "weight", "rejected", "order", "p_adjusted"))
    )
    if not nodes:
        ax = ax if ax is not None else plt.subplots(figsize=(7.2, 1.4))[1]
        return empty_axes(ax, "No hypothesis")
    places = _places(len(nodes))
    reach = np.abs(places).max(axis=0) + np.array([_WIDE, _HIGH]) * 1.08
    if ax is None:
        ax = plt.subplots(figsize=(7.2, min(6.0, 7.2 * reach[1] / reach[0])))[1]
    names = [str(node["hypothesis"]) for node in nodes]
    for start, end, share in _arrows(result, names):
        _arrow(ax, places[start], places[end], share, both=_back(result, names, start, end))
    for node, place in zip(nodes, places, strict=True):
        _node(ax, node, place)
    ax.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]), aspect="equal")
    ax.set_axis_off()
    return ax


def _places(count: int) -> np.ndarray[Any, Any]:
    """Two columns where that is even and small, else a ring; the first hypothesis at the top."""
    if count == 1:
        return np.zeros((1, 2))
    if count <= 6 and count % 2 == 0:
        half = count // 2
        x = (np.arange(count) // 2 - (half - 1) / 2) * 3.3
        y = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
        return np.column_stack([x, y])
    angle = np.pi / 2 - 2 * np.pi * np.arange(count) / count
    radius = max(1.5, 0.55 * count)
    return radius * np.column_stack([1.4 * np.cos(angle), np.sin(angle)])


def _arrows(result: Any, names: list[str]) -> list[tuple[int, int, float]]:
    """Transitions of the graph as planned: those of step 0."""
    steps = frame_of(result, "steps", ("step", "hypothesis"))
    first = steps[steps["step"].astype(float) == 0] if len(steps) else steps
    arrows = []
    for row in rows_of(first):
        for place, name in enumerate(names):
            share = row.get(f"to_{name}", 0.0)
            if str(row["hypothesis"]) in names and share == share and share and share > 0:
                arrows.append((names.index(str(row["hypothesis"])), place, float(share)))
    return arrows


def _back(result: Any, names: list[str], start: int, end: int) -> bool:
    return any((a, b) == (end, start) for a, b, _ in _arrows(result, names))


def _arrow(ax: Axes, start: Any, end: Any, share: float, *, both: bool) -> None:
    """Arrow between two nodes, bent where there is one in either direction."""
    bend = 0.22 if both else 0.0
    away = end - start
    distance = float(np.hypot(*away))
    unit = away / max(distance, 1e-9)
    normal = np.array([unit[1], -unit[0]])
    gap = 1 / math.hypot(unit[0] / (_WIDE * 0.98), unit[1] / (_HIGH * 0.98))
    side = normal * (0.16 if both else 0.0)
    a, b = start + unit * gap + side, end - unit * gap + side
    ax.add_patch(
        FancyArrowPatch(
            a, b, arrowstyle="-|>", mutation_scale=12, color=SOFT, linewidth=1.1,
            connectionstyle=f"arc3,rad={bend}",
        )
    )  # fmt: skip
    middle = a + 0.38 * (b - a) + normal * bend * distance * 0.3
    ax.text(
        float(middle[0]), float(middle[1]), f"{share:.3g}", fontsize=8, ha="center",
        va="center", color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def _node(ax: Axes, node: dict[str, Any], place: Any) -> None:
    rejected = bool(node["rejected"]) and str(node["rejected"]) != "False"
    ax.add_patch(
        Ellipse(
            place, 2 * _WIDE, 2 * _HIGH, facecolor=LINE if rejected else "white", edgecolor=INK,
            linewidth=1.6 if rejected else 1.0, zorder=3,
        )
    )  # fmt: skip
    name = textwrap.fill(str(node["hypothesis"]), 22)
    order = node["order"]
    told = f"rejected {_ordinal(int(order))}" if rejected and order == order else "not rejected"
    ax.text(
        float(place[0]), float(place[1]),
        f"{name}\nweight {float(node['weight']):.3g}\n{told}", ha="center", va="center",
        fontsize=8, zorder=4,
    )  # fmt: skip


def _ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number if number < 20 else number % 10, "th")
    return f"{number}{suffix}"
