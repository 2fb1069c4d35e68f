"""Measures compared with each other on the same subjects: their AUCs and the differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from livertrack._views import frame_of, order_of, rows_of, unitless
from livertrack.figures._palette import INK, SOFT
from livertrack.figures._style import empty_axes, styled

_MEASURES = (
    "arm", "measure", "auc", "auc_low", "auc_high", "direction", "auc_apparent", "auc_optimism",
)  # fmt: skip
_PAIRS = ("arm", "measure_1", "measure_2", "metric", "difference", "conf_low", "conf_high")


@styled
def comparison_panels(
    results: Sequence[Any],
    *,
    arms: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
) -> np.ndarray[Any, Any]:
    """Draw `compare_separation` results: AUCs above, paired differences below, a column per arm.

    Parameters
    ----------
    results : sequence of SeparationComparison or StoredResult
        One per arm, or one with all arms.
    arms : sequence of str, optional
        Order of the columns.
    labels : mapping, optional
        PARAMCD -> what the reader sees.

    Returns
    -------
    ndarray of Axes, (2, arms)
        Filled: a score on subjects it was not fitted to (a plain measure is what it is). Hollow:
        the same score on the subjects it was fitted to; the distance is its optimism. A measure
        that falls counts with 1 - AUC, so that further right always separates better.
    """
    measures = _stack(results, "measures", _MEASURES)
    pairs = _stack(results, "table", _PAIRS)
    pairs = pairs[pairs["metric"].astype(str).eq("auc")]
    levels = order_of([*measures["arm"]], arms)
    if not levels:
        return np.asarray([[empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])]])
    names = order_of([*measures["measure"]])
    duels = list(
        dict.fromkeys(
            zip(pairs["measure_1"].astype(str), pairs["measure_2"].astype(str), strict=True)
        )
    )
    heights = [max(1, len(names)) + 1.2, 1.35 * max(1, len(duels)) + 1.2]
    _, axes = plt.subplots(
        2, len(levels), figsize=(7.2, 0.7 + 0.25 * sum(heights)), height_ratios=heights,
        sharey="row", sharex="row", squeeze=False,
    )  # fmt: skip
    shown = {name: unitless((labels or {}).get(name, name.replace("_", " "))) for name in names}
    shown = {name: text[:1].upper() + text[1:] for name, text in shown.items()}
    for column, level in enumerate(levels):
        top, low = axes[0, column], axes[1, column]
        _aucs(top, measures[measures["arm"].astype(str) == level], names)
        _differences(low, pairs[pairs["arm"].astype(str) == level], duels)
        top.set_title(level)
        top.set_xlabel("AUC")
        low.set_xlabel("Difference of AUC")
        for ax in (top, low):
            ax.grid(axis="x")
            ax.xaxis.set_major_locator(MaxNLocator(4))
            ax.tick_params(axis="y", length=0)
            ax.spines["left"].set_visible(False)
    axes[0, 0].set_yticks(range(len(names)), [shown[name] for name in names])
    axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
    words = [f"{shown.get(a, a)} − {shown.get(b, b)}" for a, b in duels]
    axes[1, 0].set_yticks(range(len(duels)), [_folded(word) for word in words])
    axes[1, 0].set_ylim(max(1, len(duels)) - 0.4, -0.6)
    return np.asarray(axes)


def _stack(results: Sequence[Any], name: str, columns: Sequence[str]) -> pd.DataFrame:
    frames = [frame for result in results if len(frame := frame_of(result, name, columns))]
    if not frames:
        return pd.DataFrame(columns=list(columns))
    return pd.concat([frame[list(columns)] for frame in frames], ignore_index=True)


def _aucs(ax: Axes, rows: pd.DataFrame, names: Sequence[str]) -> None:
    ax.axvline(0.5, color=SOFT, linewidth=0.9)
    for row in rows_of(rows):
        if row["auc"] != row["auc"]:
            continue
        place, falls = names.index(str(row["measure"])), row["auc"] < 0.5
        value, low, high, apparent = (
            1 - row[c] if falls else row[c] for c in ("auc", "auc_low", "auc_high", "auc_apparent")
        )
        ax.plot([low, high], [place, place], color=INK, linewidth=1.6, solid_capstyle="butt")
        ax.plot(value, place, marker="s", color=INK, markersize=5.5)
        if apparent == apparent:
            ax.plot([value, apparent], [place - 0.28] * 2, color=SOFT, linewidth=0.9)
            ax.plot(
                apparent, place - 0.28, marker="o", markerfacecolor="white", markeredgecolor=INK,
                markersize=5.5,
            )  # fmt: skip


def _differences(ax: Axes, rows: pd.DataFrame, duels: Sequence[tuple[str, str]]) -> None:
    ax.axvline(0, color=SOFT, linewidth=0.9)
    for row in rows_of(rows):
        if row["difference"] != row["difference"]:
            continue
        place = duels.index((str(row["measure_1"]), str(row["measure_2"])))
        ends = [row["conf_low"], row["conf_high"]]
        ax.plot(ends, [place, place], color=INK, linewidth=1.6, solid_capstyle="butt")
        ax.plot(row["difference"], place, marker="D", color=INK, markersize=5)


def _folded(label: str, width: int = 34) -> str:
    """Break a long label at its minus sign."""
    return label if len(label) <= width else label.replace(" − ", " −\n", 1)
