"""Simulated coverage and error rates at a glance."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from livertrack.figures._palette import INK, SOFT
from livertrack.figures._style import empty_axes, styled

_PANELS = (
    ("Coverage of 95 % intervals", ("coverage",), 0.95),
    ("Rejections of a true hypothesis", ("type I error", "familywise error"), 0.05),
)


@styled
def characteristics_panels(characteristics: pd.DataFrame) -> Any:
    """Every simulated interval and test beside its promise, one row per family.

    Parameters
    ----------
    characteristics : DataFrame
        ``family, kind, nominal, estimate, verdict``, one row per claim. Only promises of 95 % and
        5 % are drawn; the others are in the tables.

    Returns
    -------
    ndarray of Axes
        Filled circles lie inside their Monte Carlo band, hollow triangles outside: upwards for
        conservative, downwards for liberal.
    """
    families = list(dict.fromkeys(characteristics["family"]))
    height = 0.36 * max(1, len(families)) + 1.6
    _, axes = plt.subplots(1, 2, figsize=(7.2, height), sharey=True)
    for ax, (title, kinds, nominal) in zip(axes, _PANELS, strict=True):
        rows = characteristics[
            characteristics["kind"].isin(kinds) & np.isclose(characteristics["nominal"], nominal)
        ].dropna(subset=["estimate"])
        if rows.empty:
            empty_axes(ax)
            continue
        _panel(ax, rows, families, nominal)
        ax.set_title(title)
    axes[0].set_yticks(range(len(families)), families)
    axes[0].set_ylim(len(families) - 0.4, -0.6)
    return axes


def _panel(ax: Axes, rows: pd.DataFrame, families: list[str], nominal: float) -> None:
    ax.axvline(100 * nominal, color=INK, linewidth=1.0, zorder=0)
    marks: dict[str, tuple[str, dict[str, Any]]] = {
        "inside": ("o", {"facecolor": INK, "edgecolor": INK, "s": 11}),
        "conservative": ("^", {"facecolor": "white", "edgecolor": INK, "s": 26}),
        "liberal": ("v", {"facecolor": "white", "edgecolor": INK, "s": 26}),
    }
    for place, family in enumerate(families):
        mine = rows[rows["family"] == family].sort_values("estimate", kind="stable")
        spread = np.resize([0.0, 0.14, -0.14, 0.26, -0.26], len(mine))
        for verdict, (marker, look) in marks.items():
            at = (mine["verdict"] == verdict).to_numpy()
            ax.scatter(
                100 * mine["estimate"][at], place + spread[at], marker=marker,
                linewidth=0.9, **look,
            )  # fmt: skip
    ax.set_xlabel("Percent of simulated trials")
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_color(SOFT)
