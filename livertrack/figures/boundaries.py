"""Boundaries of a group sequential design."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from livertrack._views import frame_of, rows_of
from livertrack.figures._palette import INK
from livertrack.figures._style import empty_axes, styled


@styled
def boundary_plot(result: Any, *, ax: Axes | None = None) -> Axes:
    """Draw a `group_sequential` result: the z that must be exceeded at each look."""
    ax = ax if ax is not None else plt.subplots(figsize=(5.2, 2.9))[1]
    table = frame_of(result, "table", ("look", "information", "boundary", "p_nominal"))
    if table.empty:
        return empty_axes(ax, "No look is planned")
    share, bound = table["information"].to_numpy(float), table["boundary"].to_numpy(float)
    ax.plot(100 * share, bound, marker="o", color=INK, label="Reject above")
    if int(result.settings.get("sides", 1)) == 2:
        ax.plot(100 * share, -bound, marker="s", linestyle="--", color=INK, label="Reject below")
        ax.legend(loc="center right")
    for row in rows_of(table):
        ax.annotate(
            f"{row['boundary']:.2f}", (100 * row["information"], row["boundary"]), (4, 5),
            textcoords="offset points", ha="left", fontsize=8.5,
        )  # fmt: skip
    ax.set(xlabel="Information (% of that planned)", ylabel="Boundary (z)", xlim=(0, 112))
    ax.margins(y=0.18)
    ax.grid(axis="y")
    return ax
