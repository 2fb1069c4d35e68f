"""Agreement of two methods: differences against means."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from livertrack._views import frame_of
from livertrack.figures._palette import INK, LINE, SOFT
from livertrack.figures._style import empty_axes, one_axes, styled

_ROWS = ("quantity", "estimate", "conf_low", "conf_high")


@styled
def bland_altman_plot(
    result: Any, *, points: pd.DataFrame | None = None, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the bias and limits of agreement of a `bland_altman` result with their intervals.

    Parameters
    ----------
    result : BlandAltman or StoredResult
    points : DataFrame, optional
        ``mean, difference`` of each pair; drawn as dots.
    unit : str
        Of both methods.
    """
    ax = one_axes(ax, (5.2, 3.6))
    table = frame_of(result, "table")
    name = next(
        (c for c in ("quantity", "statistic", "term", "measure") if c in table.columns), ""
    )
    if table.empty or not name or "estimate" not in table.columns:
        return empty_axes(ax, "No pair of measurements")
    if points is not None and len(points):
        ax.plot(points["mean"], points["difference"], "o", color=SOFT, markersize=3.5, alpha=0.8)
    for row in table.to_dict("records"):
        key = str(row[name]).lower()
        if not ("bias" in key or "limit" in key or "loa" in key or key in ("lower", "upper")):
            continue
        solid = "bias" in key
        ax.axhline(row["estimate"], color=INK, linestyle="-" if solid else "--", linewidth=1.1)
        if "conf_low" in row and row["conf_low"] == row["conf_low"]:
            ax.axhspan(row["conf_low"], row["conf_high"], color=LINE, alpha=0.35, linewidth=0)
        ax.text(
            1.01, row["estimate"], f"{row['estimate']:.3g}".replace("-", "−"), fontsize=8,
            va="center", transform=ax.get_yaxis_transform(),
        )  # fmt: skip
    suffix = f" ({unit})" if unit else ""
    ax.set(xlabel=f"Mean of the two methods{suffix}", ylabel=f"Difference{suffix}")
    return ax
