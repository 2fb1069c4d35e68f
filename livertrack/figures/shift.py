"""Counts of a score before and after, or of two raters, as shaded squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from livertrack._views import frame_of, order_of, rows_of
from livertrack.figures._palette import INK, SOFT
from livertrack.figures._style import empty_axes, styled


@styled
def shift_heat_map(
    result: Any, *, arms: Sequence[str] = (), xlabel: str = "At the visit",
    ylabel: str = "At baseline",
) -> np.ndarray[Any, Any]:  # fmt: skip
    """Draw a `shift_table` result: one panel per arm, subjects by score before and after.

    Parameters
    ----------
    result : ShiftTable or StoredResult
    arms : sequence of str, optional
        Order of the panels.
    xlabel, ylabel : str
        What columns and rows are.

    Returns
    -------
    ndarray of Axes
        Squares on the diagonal are outlined: no change. Numbers are subjects.
    """
    frame = frame_of(result, "table", ("arm", "baseline", "value", "n"))
    levels = order_of([*frame["arm"]], arms)
    if not levels:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])])
    scores = list(result.settings.get("levels", ())) or order_of([*frame["baseline"]])
    return _panels(
        {level: _cells(rows_of(frame[frame["arm"].astype(str) == level]), "baseline", "value")
         for level in levels},
        [str(score) for score in scores], xlabel=xlabel, ylabel=ylabel,
    )  # fmt: skip


@styled
def rater_heat_map(result: Any) -> np.ndarray[Any, Any]:
    """Draw a `weighted_kappa` result: subjects by the scores of the two raters."""
    frame = frame_of(result, "counts", ("rater_1", "rater_2", "n"))
    if frame.empty:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])])
    scores = [str(score) for score in result.settings.get("levels", ())]
    cells = _cells(rows_of(frame), "rater_1", "rater_2")
    first, second = (str(result.settings.get(f"rater_{i}", f"rater {i}")) for i in (1, 2))
    return _panels({"": cells}, scores, xlabel=second, ylabel=first)


def _cells(rows: Sequence[dict[str, Any]], down: str, across: str) -> dict[tuple[str, str], int]:
    return {(str(row[down]), str(row[across])): int(row["n"]) for row in rows}


def _panels(
    panels: dict[str, dict[tuple[str, str], int]], scores: Sequence[str], *, xlabel: str,
    ylabel: str,
) -> np.ndarray[Any, Any]:  # fmt: skip
    side = min(max(1.5, 0.4 * len(scores)), 6.2 / len(panels))
    _, axes = plt.subplots(
        1, len(panels), figsize=(min(7.2, 0.8 + (side + 0.2) * len(panels)), side + 0.9),
        sharey=True, squeeze=False,
    )  # fmt: skip
    most = max(max(cells.values(), default=0) for cells in panels.values()) or 1
    for ax, (title, cells) in zip(axes[0], panels.items(), strict=True):
        _matrix(ax, cells, scores, most)
        ax.set(title=title, xlabel=xlabel)
    axes[0, 0].set_ylabel(ylabel)
    return np.asarray(axes[0])


def _matrix(ax: Axes, cells: dict[tuple[str, str], int], scores: Sequence[str], most: int) -> None:
    for (down, across), n in cells.items():
        if down not in scores or across not in scores:
            continue
        y, x = scores.index(down), scores.index(across)
        shade = 0.85 * n / most
        same = x == y
        ax.add_patch(
            Rectangle(
                (x - 0.47, y - 0.47), 0.94, 0.94, facecolor=plt.get_cmap("Greys")(shade),
                edgecolor=INK if same else "#D5DAE0", linewidth=1.6 if same else 0.6,
                zorder=2 if same else 1,
            )
        )  # fmt: skip
        ax.text(
            x, y, str(n) if n else "·", ha="center", va="center", fontsize=8.5, zorder=3,
            color=("white" if shade > 0.5 else INK) if n else SOFT,
        )  # fmt: skip
    ax.set(xlim=(-0.6, len(scores) - 0.4), ylim=(len(scores) - 0.4, -0.6), aspect="equal")
    ax.set_xticks(range(len(scores)), scores)
    ax.set_yticks(range(len(scores)), scores)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
