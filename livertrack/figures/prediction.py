"""Prediction of a biopsy feature: ROC curves, calibration, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from livertrack._views import order_of
from livertrack.figures._palette import SOFT, arm_style, ink_on
from livertrack.figures._style import empty_axes, one_axes, styled


@styled
def roc_curves(
    curves: pd.DataFrame, *, labels: Mapping[str, str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw ROC curves, one line style per feature set.

    Parameters
    ----------
    curves : DataFrame
        ``feature_set, false_positive_rate, true_positive_rate`` in drawing order.
    labels : mapping, optional
        Feature set -> text of the legend, e.g. with its AUC.
    """
    ax = one_axes(ax, (4.4, 4.2))
    if curves.empty:
        return empty_axes(ax, "No curve: the outcome has one class")
    ax.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8)
    for place, name in enumerate(order_of([*curves["feature_set"]])):
        rows = curves[curves["feature_set"].astype(str) == name]
        style = arm_style(place + 1)
        ax.plot(
            rows["false_positive_rate"], rows["true_positive_rate"], color=style.colour,
            linestyle=style.line, label=(labels or {}).get(name, name), drawstyle="steps-post",
        )  # fmt: skip
    ax.set(
        xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel="1 − specificity",
        ylabel="Sensitivity",
    )  # fmt: skip
    ax.legend(loc="lower right")
    return ax


@styled
def calibration_plot(
    bins: pd.DataFrame, *, labels: Mapping[str, str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw observed against predicted probability, one marker per group of subjects.

    Parameters
    ----------
    bins : DataFrame
        ``feature_set, predicted, observed, conf_low, conf_high, n``: mean predicted probability,
        proportion observed with limits, and number of subjects of each group.
    """
    ax = one_axes(ax, (4.4, 4.2))
    if bins.empty:
        return empty_axes(ax)
    ax.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8)
    for place, name in enumerate(order_of([*bins["feature_set"]])):
        rows = bins[bins["feature_set"].astype(str) == name]
        style = arm_style(place + 1)
        ax.plot(
            rows["predicted"], rows["observed"], color=style.colour, linestyle=style.line,
            marker=style.marker, label=(labels or {}).get(name, name),
        )  # fmt: skip
        if {"conf_low", "conf_high"} <= set(rows.columns):
            ax.vlines(
                rows["predicted"], rows["conf_low"], rows["conf_high"], color=style.colour,
                linewidth=1,
            )  # fmt: skip
    ax.set(
        xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel="Predicted probability",
        ylabel="Observed proportion",
    )  # fmt: skip
    ax.legend(loc="upper left")
    return ax


@styled
def confusion_matrix(
    counts: pd.DataFrame, *, title: str = "", ax: Axes | None = None, order: Sequence[str] = ()
) -> Axes:
    """Draw how many subjects of each true class were given each class.

    Parameters
    ----------
    counts : DataFrame
        ``truth, predicted, n`` (subjects).
    """
    ax = one_axes(ax, (3.2, 3.0))
    if counts.empty:
        return empty_axes(ax)
    classes = order_of([*order, *sorted({*counts["truth"], *counts["predicted"]}, key=str)])
    classes = [
        name
        for name in classes
        if name in {*map(str, counts["truth"]), *map(str, counts["predicted"])}
    ]
    grid = np.zeros((len(classes), len(classes)))
    for row in counts.itertuples():
        grid[classes.index(str(row.truth)), classes.index(str(row.predicted))] = float(row.n)
    total = np.maximum(grid.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(grid / total, cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(grid):
        shade = image.cmap(image.norm(value / total[i, 0]))
        ink = ink_on("#%02x%02x%02x" % tuple(int(255 * part) for part in shade[:3]))
        ax.text(j, i, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=10)
    ax.set_xticks(range(len(classes)), classes)
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="Predicted", ylabel="Biopsy", title=title)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    return ax
