"""Prediction of a biopsy feature: ROC curves, calibration, confusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from livertrack._views import frame_of, order_of, rows_of
from livertrack.figures._palette import SOFT, arm_style
from livertrack.figures._style import empty_axes, one_axes, styled

_ROC = ("feature_set", "fpr", "tpr")
_CALIBRATION = ("feature_set", "n", "predicted", "observed", "conf_low", "conf_high")
_CONFUSION = ("feature_set", "observed", "predicted", "n")


@styled
def prediction_panels(result: Any, *, labels: Mapping[str, str] | None = None) -> Any:
    """ROC curves (binary outcomes) beside calibration, from a `biopsy_prediction` result.

    Parameters
    ----------
    result : BiopsyPrediction or StoredResult
    labels : mapping, optional
        Feature set -> text of the legend, e.g. with its AUC.

    Returns
    -------
    ndarray of Axes
    """
    roc = len(frame_of(result, "roc", _ROC)) > 0
    _, axes = plt.subplots(1, 2 if roc else 1, figsize=(7.2 if roc else 4.6, 4.3), squeeze=False)
    if roc:
        _roc(axes[0, 0], frame_of(result, "roc", _ROC), labels or {})
    _calibration(axes[0, -1], result)
    return axes[0]


@styled
def cross_validation_panels(result: Any) -> Any:
    """ROC curves (binary outcomes) beside calibration, by subject, of a `cross_validate` result.

    Returns
    -------
    ndarray of Axes
    """
    curves, bins = (
        _by_subject(frame_of(result, name, (*columns, "level")))
        for name, columns in (("roc", _ROC), ("calibration", _CALIBRATION))
    )
    both = len(curves) > 0
    _, axes = plt.subplots(1, 2 if both else 1, figsize=(7.2 if both else 4.6, 4.3), squeeze=False)
    if both:
        _roc(axes[0, 0], curves, {})
    binary = str(result.settings.get("task", "binary")) == "binary"
    _calibrated(axes[0, -1], bins, binary=binary)
    return axes[0]


def _by_subject(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the subject level, with models in the place of feature sets."""
    if "model" in frame.columns:
        frame = frame.drop(columns="feature_set", errors="ignore")
        frame = frame.rename(columns={"model": "feature_set"})
    return frame[frame["level"].eq("subject")]


@styled
def roc_curves(
    result: Any, *, labels: Mapping[str, str] | None = None, ax: Axes | None = None
) -> Axes:
    """ROC curves of out-of-fold predictions, one line style per feature set."""
    return _roc(one_axes(ax, (4.4, 4.4)), frame_of(result, "roc", _ROC), labels or {})


def _roc(ax: Axes, curves: pd.DataFrame, labels: Mapping[str, str]) -> Axes:
    if curves.empty:
        return empty_axes(ax, "No curve: the outcome is not binary")
    ax.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8)
    for place, name in enumerate(order_of([*curves["feature_set"]])):
        rows = curves[curves["feature_set"].astype(str) == name].sort_values(["fpr", "tpr"])
        style = arm_style(place + 1)
        ax.plot(
            rows["fpr"], rows["tpr"], color=style.colour, linestyle=style.line,
            label=labels.get(name, name), drawstyle="steps-post",
        )  # fmt: skip
    ax.set(
        xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel="1 − specificity",
        ylabel="Sensitivity", title="ROC (AUC with interval)",
    )  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), handlelength=3)
    return ax


@styled
def calibration_plot(result: Any, *, ax: Axes | None = None) -> Axes:
    """Observed against predicted values in groups of subjects, with intervals."""
    return _calibration(one_axes(ax, (4.4, 4.4)), result)


def _calibration(ax: Axes, result: Any) -> Axes:
    bins = frame_of(result, "calibration", _CALIBRATION)
    return _calibrated(ax, bins, binary=str(result.settings.get("task", "binary")) == "binary")


def _calibrated(ax: Axes, bins: pd.DataFrame, *, binary: bool) -> Axes:
    if bins.empty:
        return empty_axes(ax, "No calibration: too few subjects")
    numbers = bins[["predicted", "observed", "conf_low", "conf_high"]].to_numpy(float)
    low, high = (0.0, 1.0) if binary else (float(np.nanmin(numbers)), float(np.nanmax(numbers)))
    ax.plot([low, high], [low, high], color=SOFT, linewidth=0.8)
    observed_by_predicted(ax, bins, by="feature_set")
    edge = 0.02 * (high - low)
    ax.set(
        xlim=(low - edge, high + edge), ylim=(low - edge, high + edge), aspect="equal",
        xlabel="Predicted probability" if binary else "Predicted",
        ylabel="Observed proportion" if binary else "Observed mean", title="Calibration",
    )  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), handlelength=3)
    return ax


def observed_by_predicted(ax: Axes, bins: pd.DataFrame, *, by: str) -> None:
    """Observed against predicted values of groups, with intervals, a line per value of ``by``."""
    for place, name in enumerate(order_of([*bins[by]])):
        rows = bins[bins[by].astype(str) == name].sort_values("predicted")
        style = arm_style(place + 1)
        ax.plot(
            rows["predicted"], rows["observed"], color=style.colour, linestyle=style.line,
            marker=style.marker, label=name,
        )  # fmt: skip
        ax.vlines(
            rows["predicted"], rows["conf_low"], rows["conf_high"], color=style.colour,
            linewidth=0.9,
        )  # fmt: skip


@styled
def confusion_matrices(result: Any, *, columns: int = 3) -> Any:
    """How many subjects of each observed class were given each class, per feature set.

    Returns
    -------
    ndarray of Axes
        Shade: proportion of the observed class; numbers: subjects.
    """
    counts = frame_of(result, "confusion", _CONFUSION)
    names = order_of([*counts["feature_set"]])
    if not names:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])])
    wide = min(columns, len(names))
    rows = -(-len(names) // wide)
    _, axes = plt.subplots(rows, wide, figsize=(2.4 * wide, 2.5 * rows), squeeze=False)
    for ax, name in zip(axes.flat, names, strict=False):
        binary = str(result.settings.get("task", "")) == "binary"
        _confusion(ax, counts[counts["feature_set"].astype(str) == name], binary=binary)
        ax.set_title(name)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    return axes


def _confusion(ax: Axes, counts: pd.DataFrame, *, binary: bool) -> None:
    observed = counts["observed"].astype(float)
    predicted = counts["predicted"].astype(float)
    classes = sorted({*observed, *predicted})
    grid = np.zeros((len(classes), len(classes)))
    for row in rows_of(counts):
        place = classes.index(float(row["observed"])), classes.index(float(row["predicted"]))
        grid[place] = float(row["n"])
    total = np.maximum(grid.sum(axis=1, keepdims=True), 1)
    ax.imshow(grid / total, cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(grid):
        # the darker half of the colour map takes white digits
        ink = "#FFFFFF" if value / total[i, 0] > 0.55 else "#000000"
        ax.text(j, i, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=10)
    texts = [("no", "yes")[int(v)] if binary else f"{v:g}" for v in classes]
    ax.set_xticks(range(len(classes)), texts)
    ax.set_yticks(range(len(classes)), texts)
    ax.set(xlabel="Predicted", ylabel="Biopsy")
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
