"""Prediction of a biopsy feature: ROC curves, calibration, confusion."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
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
def cross_validation_panels(
    result: Any, *, labels: Mapping[str, str] | None = None, level: str = "subject",
    models: Sequence[str] | None = None,
) -> Any:  # fmt: skip
    """ROC curves (binary outcomes) beside calibration of a `cross_validate` result.

    Parameters
    ----------
    result : CrossValidation or StoredResult
    labels : mapping, optional
        Model -> text of the legend, e.g. with its AUC.
    level : {"subject", "row"}
    models : sequence of str, optional
        Those to draw; all where None.

    Returns
    -------
    ndarray of Axes
    """
    curves, bins = (
        _of_level(frame_of(result, name, (*columns, "level")), level, models)
        for name, columns in (("roc", _ROC), ("calibration", _CALIBRATION))
    )
    both = len(curves) > 0
    tall = 3.9 + 0.2 * bins["feature_set"].nunique()
    size = (7.2 if both else 4.6, tall)
    _, axes = plt.subplots(1, 2 if both else 1, figsize=size, squeeze=False)
    if both:
        _roc(axes[0, 0], curves, labels or {})
    binary = str(result.settings.get("task", "binary")) == "binary"
    _calibrated(axes[0, -1], bins, binary=binary)
    return axes[0]


def _of_level(
    frame: pd.DataFrame, level: str = "subject", models: Sequence[str] | None = None
) -> pd.DataFrame:
    """Rows of one level, with models in the place of feature sets."""
    if "model" in frame.columns:
        frame = frame.drop(columns="feature_set", errors="ignore")
        frame = frame.rename(columns={"model": "feature_set"})
    frame = frame[frame["level"].astype(str).eq(level)]
    return frame if models is None else frame[frame["feature_set"].astype(str).isin(models)]


@styled
def observed_against_predicted(
    result: Any, *, model: str, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Out-of-fold predictions of a continuous or ordinal outcome, a point per row.

    The line is where both agree; the first partition is drawn.
    """
    ax = one_axes(ax, (4.6, 4.3))
    columns = ("model", "repeat", "observed", "predicted")
    rows = frame_of(result, "predictions", columns)
    rows = rows[rows["model"].astype(str).eq(model) & rows["repeat"].astype(float).eq(0)]
    if rows.empty:
        return empty_axes(ax, f"No predictions of {model}")
    x, y = rows["predicted"].to_numpy(float), rows["observed"].to_numpy(float)
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    edge = 0.04 * (high - low)
    ax.plot([low, high], [low, high], color=SOFT, linewidth=0.8)
    ax.plot(x, y, color=arm_style(1).colour, marker="o", linestyle="none", markersize=3, alpha=0.6)
    tail = f" ({unit})" if unit else ""
    ax.set(
        xlim=(low - edge, high + edge), ylim=(low - edge, high + edge), aspect="equal",
        xlabel=f"Predicted{tail}", ylabel=f"Observed{tail}", title=model,
    )  # fmt: skip
    return ax


@styled
def model_forest(
    result: Any, *, metric: str, level: str = "subject", name: str = "",
    published: Sequence[tuple[str, float]] = (), chance: float | None = None,
) -> Axes:  # fmt: skip
    """One metric of every model with its interval; published values as open marks below."""
    columns = ("model", "level", "metric", "estimate", "conf_low", "conf_high")
    rows = frame_of(result, "table", columns)
    rows = rows[rows["metric"].astype(str).eq(metric) & rows["level"].astype(str).eq(level)]
    total = len(rows) + len(published)
    _, ax = plt.subplots(figsize=(5.6, 0.7 + 0.36 * max(total, 2)))
    if not total:
        return empty_axes(ax, "No model has this metric")
    places = list(range(total, 0, -1))
    style = arm_style(1)
    ours = places[: len(rows)]
    if chance is not None:
        ax.axvline(chance, color=SOFT, linewidth=0.8)
    ax.hlines(ours, rows["conf_low"], rows["conf_high"], color=style.colour, linewidth=1.2)
    ax.plot(rows["estimate"], ours, color=style.colour, marker="o", linestyle="none")
    for place, (_, value) in zip(places[len(rows) :], published, strict=True):
        ax.plot([value], [place], marker="D", markerfacecolor="white", linestyle="none",
                color=arm_style(0).colour)  # fmt: skip
    names = [*map(str, rows["model"]), *(text for text, _ in published)]
    ax.set_yticks(places, [textwrap.fill(text, 34) for text in names])
    ax.set(xlabel=name or metric, ylim=(0.4, total + 0.6))
    return ax


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
def confusion_matrices(
    result: Any, *, columns: int = 3, level: str = "subject", observed: str = "Biopsy",
    models: Sequence[str] | None = None,
) -> Any:  # fmt: skip
    """How many subjects of each observed class were given each class, per feature set or model.

    Parameters
    ----------
    result : BiopsyPrediction, CrossValidation or StoredResult
    columns : int
        Matrices beside each other.
    level : {"subject", "row"}
        Of a `cross_validate` result.
    observed : str
        What the rows are.
    models : sequence of str, optional
        Those to draw; all where None.

    Returns
    -------
    ndarray of Axes
        Shade: proportion of the observed class; numbers: subjects.
    """
    counts = frame_of(result, "confusion", _CONFUSION)
    if "level" in counts.columns:
        counts = _of_level(counts, level, models)
    names = order_of([*counts["feature_set"]])
    if not names:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])])
    wide = min(columns, len(names))
    rows = -(-len(names) // wide)
    _, axes = plt.subplots(rows, wide, figsize=(2.4 * wide, 2.8 * rows), squeeze=False)
    for ax, name in zip(axes.flat, names, strict=False):
        binary = str(result.settings.get("task", "")) == "binary"
        mine = counts[counts["feature_set"].astype(str) == name]
        _confusion(ax, mine, binary=binary, ylabel=observed)
        ax.set_title(name)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    return axes


def _confusion(ax: Axes, counts: pd.DataFrame, *, binary: bool, ylabel: str) -> None:
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
    ax.set(xlabel="Predicted", ylabel=ylabel)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
