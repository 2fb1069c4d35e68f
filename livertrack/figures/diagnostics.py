"""Diagnostics of an MMRM: normal scores, residuals, covariance seen and fitted."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from livertrack._views import frame_of, order_of, rows_of
from livertrack.figures._palette import INK, LINE, SOFT, arm_style
from livertrack.figures._style import empty_axes, styled

_RESIDUALS = ("visit", "fitted", "normalized", "quantile", "quantile_low", "quantile_high")
_VISITS = ("visit", "n", "q05", "q25", "median", "q75", "q95", "minimum", "maximum")
_COVARIANCE = ("group", "visit_1", "visit_2", "n_pairs", "fitted", "observed")


@styled
def mmrm_diagnostic_panels(result: Any) -> np.ndarray[Any, Any]:
    """Draw four panels: normal scores, residuals against fitted and by visit, covariance.

    Parameters
    ----------
    result : MmrmDiagnostics or StoredResult

    Returns
    -------
    ndarray (2, 2) of Axes
        Residuals are normalised: uncorrelated with variance one where the model holds.
    """
    _, axes = plt.subplots(2, 2, figsize=(7.2, 6.4))
    residuals = frame_of(result, "residuals", _RESIDUALS)
    _scores(axes[0, 0], residuals)
    visits = frame_of(result, "table", _VISITS)
    _against_fitted(axes[0, 1], residuals, order_of([*visits["visit"]]))
    _by_visit(axes[1, 0], visits)
    _covariance(axes[1, 1], frame_of(result, "covariance", _COVARIANCE))
    return np.asarray(axes)


def _scores(ax: Axes, residuals: pd.DataFrame) -> None:
    if residuals.empty:
        empty_axes(ax)
        return
    rows = residuals.sort_values("quantile")
    x = rows["quantile"].to_numpy(float)
    low, high = rows["quantile_low"].to_numpy(float), rows["quantile_high"].to_numpy(float)
    ax.fill_between(x, low, high, color=LINE, alpha=0.5, linewidth=0, label="95 % of each rank")
    ax.plot(x, x, color=SOFT, linewidth=0.9)
    ax.plot(x, rows["normalized"], "o", color=INK, markersize=2.6, alpha=0.75)
    ax.set(xlabel="Normal score", ylabel="Normalised residual", title="Normal scores")
    ax.legend(loc="upper left")


def _against_fitted(ax: Axes, residuals: pd.DataFrame, visits: list[str]) -> None:
    if residuals.empty:
        empty_axes(ax)
        return
    _zero(ax)
    for number, visit in enumerate(visits):
        rows = residuals[residuals["visit"].astype(str) == visit]
        style = arm_style(number)
        ax.plot(
            rows["fitted"], rows["normalized"], linestyle="none", marker=style.marker,
            color=style.colour, markersize=3, alpha=0.65, label=visit,
        )  # fmt: skip
    ax.set(xlabel="Fitted value", ylabel="Normalised residual", title="Against fitted values")
    if 1 < len(visits) <= 6:
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=min(4, len(visits)),
            handletextpad=0.1, columnspacing=0.9,
        )  # fmt: skip


def _by_visit(ax: Axes, table: pd.DataFrame) -> None:
    if table.empty:
        empty_axes(ax)
        return
    boxes = [
        {
            "label": f"{row['visit']}\nn = {row['n']:.0f}", "med": row["median"],
            "q1": row["q25"], "q3": row["q75"], "whislo": row["q05"], "whishi": row["q95"],
            "fliers": [row["minimum"], row["maximum"]],
        }
        for row in rows_of(table)
    ]  # fmt: skip
    _zero(ax)
    ax.bxp(
        boxes, widths=0.5, medianprops={"color": INK, "linewidth": 1.6},
        boxprops={"color": INK}, whiskerprops={"color": SOFT}, capprops={"color": SOFT},
        flierprops={"marker": "o", "markersize": 3, "markeredgecolor": SOFT},
    )  # fmt: skip
    if len(boxes) > 5:
        ax.tick_params(axis="x", labelrotation=60)
    ax.set(ylabel="Normalised residual", title="By visit")
    ax.text(
        0.0, -0.32 if len(boxes) <= 5 else -0.55, "whiskers: 5th and 95th percentile; "
        "dots: extremes", transform=ax.transAxes, fontsize=7.5, color=SOFT,
    )  # fmt: skip


def _covariance(ax: Axes, pairs: pd.DataFrame) -> None:
    if pairs.empty:
        empty_axes(ax, "No covariance over visits")
        return
    values = pairs[["fitted", "observed"]].to_numpy(float)
    ends = [float(np.nanmin([values.min(), 0])), float(np.nanmax(values))]
    ax.plot(ends, ends, color=SOFT, linewidth=0.9)
    groups = order_of([*pairs["group"]])
    for number, group in enumerate(groups):
        own = pairs[pairs["group"].astype(str) == group]
        diagonal = own["visit_1"].astype(str) == own["visit_2"].astype(str)
        colour = arm_style(number).colour if len(groups) > 1 else INK
        for rows, marker, what in (
            (own[diagonal], "s", "variance"), (own[~diagonal], "o", "covariance"),
        ):  # fmt: skip
            ax.plot(
                rows["fitted"], rows["observed"], linestyle="none", marker=marker, color=colour,
                markersize=5, alpha=0.8, markerfacecolor=colour if marker == "s" else "white",
                label=f"{group}, {what}" if group else what,
            )  # fmt: skip
    ax.set(xlabel="Fitted", ylabel="Observed", title="Covariance of the visits")
    ax.legend(loc="upper left")


def _zero(ax: Axes) -> None:
    ax.axhline(0, color=SOFT, linewidth=0.9)
    for limit in (-2, 2):
        ax.axhline(limit, color=LINE, linewidth=0.8, linestyle="--")
