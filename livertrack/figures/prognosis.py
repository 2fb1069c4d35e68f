"""Prognosis of events: calibration at a horizon, risk groups; importance of features."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from livertrack._views import frame_of, order_of
from livertrack.figures._palette import SOFT, arm_style
from livertrack.figures._style import empty_axes, one_axes, styled
from livertrack.figures.prediction import observed_by_predicted

_CALIBRATION = ("model", "horizon", "predicted", "observed", "conf_low", "conf_high")
_CURVES = ("model", "group", "time", "estimate")


@styled
def prognosis_panels(result: Any, *, model: str | None = None) -> Any:
    """Calibration at the last horizon beside the risk groups of one model.

    Parameters
    ----------
    result : Prognosis or StoredResult
    model : str, optional
        Model whose groups are drawn; the first where None.

    Returns
    -------
    ndarray of Axes
    """
    _, axes = plt.subplots(1, 2, figsize=(7.2, 4.3))
    _calibration(axes[0], result)
    _groups(axes[1], result, model)
    return axes


@styled
def importance_bars(result: Any, *, most: int = 12, ax: Axes | None = None) -> Axes:
    """Metric lost without each feature, with its interval, the most important on top."""
    ax = one_axes(ax, (5.2, 3.6))
    columns = ("feature", "metric", "estimate", "conf_low", "conf_high")
    table = frame_of(result, "table", columns).head(most)
    if table.empty:
        return empty_axes(ax)
    style = arm_style(1)
    places = range(len(table), 0, -1)
    ax.axvline(0, color=SOFT, linewidth=0.8)
    ax.hlines(places, table["conf_low"], table["conf_high"], color=style.colour, linewidth=1.2)
    ax.plot(table["estimate"], places, color=style.colour, marker="o", linestyle="none")
    name = {"auc": "AUC", "concordance": "concordance", "r2": "R²"}[str(table["metric"].iloc[0])]
    ax.set_yticks(list(places), [str(f) for f in table["feature"]])
    ax.set(xlabel=f"{name} lost when the feature is exchanged", ylim=(0.4, len(table) + 0.6))
    return ax


def _calibration(ax: Axes, result: Any) -> None:
    bins = frame_of(result, "calibration", _CALIBRATION)
    if bins.empty:
        empty_axes(ax, "No calibration: too few subjects")
        return
    last = float(bins["horizon"].astype(float).max())
    bins = bins[bins["horizon"].astype(float) == last]
    top = _top(bins[["predicted", "observed", "conf_high"]].to_numpy(float))
    ax.plot([0, top], [0, top], color=SOFT, linewidth=0.8)
    observed_by_predicted(ax, bins, by="model")
    edge = 0.02 * top
    ax.set(
        xlim=(-edge, top + edge), ylim=(-edge, top + edge), aspect="equal",
        title=f"Calibration at {last:g}",
        xlabel="Mean risk, out of fold", ylabel="Share with an event (Kaplan-Meier)",
    )  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), handlelength=3)


def _groups(ax: Axes, result: Any, model: str | None) -> None:
    curves = frame_of(result, "curves", _CURVES)
    names = order_of([*curves["model"]])
    if not names:
        empty_axes(ax, "No risk group has subjects")
        return
    chosen = names[0] if model is None else model
    curves = curves[curves["model"].astype(str) == chosen]
    for place, group in enumerate(sorted({str(g) for g in curves["group"]})):
        rows = curves[curves["group"].astype(str) == group]
        # a result read back holds its times as text
        rows = rows.assign(time=rows["time"].astype(float)).sort_values("time")
        style = arm_style(place + 1)
        ax.step(
            [0.0, *rows["time"]], [0.0, *(1 - rows["estimate"].astype(float))],
            where="post", color=style.colour, linestyle=style.line, label=f"risk {group}",
        )  # fmt: skip
    top = _top(1 - curves["estimate"].to_numpy(float))
    ax.set(
        ylim=(-0.02 * top, 1.02 * top), xlabel="Time", ylabel="Share with an event",
        title=f"Risk groups, {chosen}",
    )  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), handlelength=3)


def _top(values: NDArray[np.float64]) -> float:
    """Upper end of an axis of probabilities: the next tenth above them all."""
    known = values[np.isfinite(values)]
    return min(1.0, float(np.ceil(10 * known.max(initial=0.0) + 1e-9) / 10)) if len(known) else 1.0
