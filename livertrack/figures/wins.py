"""Wins, ties and losses of a hierarchy of outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from livertrack._views import frame_of, order_of, rows_of
from livertrack.figures._palette import INK
from livertrack.figures._style import empty_axes, styled

_COLUMNS = ("arm", "outcome", "step", "wins", "losses", "ties")
#: per step: a shade of wins, a shade of losses, a hatch that both share
_WINS = ("#0072B2", "#56B4E9", "#A6D3EF", "#D6EAF6")
_LOSSES = ("#D55E00", "#E69F00", "#F2C879", "#F9E4BC")
_HATCHES = ("", "///", "\\\\\\", "xxx")
_TIES = "#E3E6EA"


@styled
def win_bars(result: Any, *, arms: Sequence[str] = (), ax: Axes | None = None) -> Axes:
    """Draw a `win_ratio` result: all pairs of an arm as one bar, decided step by step.

    Parameters
    ----------
    result : WinRatio or StoredResult
    arms : sequence of str, optional
        Order of the bars.

    Returns
    -------
    Axes
        Wins of the arm from the left, losses from the right, ties between, in pairs.
    """
    frame = frame_of(result, "levels", _COLUMNS)
    levels = order_of([*frame["arm"]], arms)
    steps = order_of([*frame["outcome"]])
    if ax is None:
        height = 1.1 + 0.6 * max(1, len(levels)) + 0.18 * len(steps)
        ax = plt.subplots(figsize=(7.2, height))[1]
    if not levels:
        return empty_axes(ax, "No pair of subjects to compare")
    for place, arm in enumerate(levels):
        rows = [row for row in rows_of(frame) if str(row["arm"]) == arm]
        _bar(ax, place, rows, steps)
    ax.set_yticks(range(len(levels)), levels)
    ax.set_ylim(len(levels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"Pairs of a subject of the arm and one of {_reference(result)}")
    handles = [
        Patch(facecolor=shades[i % 4], hatch=_HATCHES[i % 4], edgecolor=INK, linewidth=0.5,
              label=f"{word}: {step}")
        for word, shades in (("Win", _WINS), ("Loss", _LOSSES))
        for i, step in enumerate(steps)
    ]  # fmt: skip
    handles.append(Patch(facecolor=_TIES, edgecolor=INK, linewidth=0.5, label="Tie"))
    # one column of wins, one of losses, one with the tie alone
    handles += [Patch(alpha=0, label="") for _ in steps[1:]]
    figure: Any = ax.figure
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return ax


def _bar(ax: Axes, place: int, rows: Sequence[dict[str, Any]], steps: Sequence[str]) -> None:
    left, ties = 0.0, float(rows[-1]["ties"])
    segments = [(float(row["wins"]), _WINS, steps.index(str(row["outcome"]))) for row in rows]
    segments.append((ties, (_TIES,) * 4, 0))
    segments += [
        (float(row["losses"]), _LOSSES, steps.index(str(row["outcome"]))) for row in rows[::-1]
    ]
    total = sum(width for width, _, _ in segments)
    for width, shades, step in segments:
        hatch = "" if shades[0] == _TIES else _HATCHES[step % 4]
        ax.barh(
            place, width, left=left, height=0.62, color=shades[step % 4], hatch=hatch,
            edgecolor=INK, linewidth=0.5,
        )  # fmt: skip
        if total and width / total > 0.04:
            ax.text(
                left + width / 2, place, f"{width:.0f}", ha="center", va="center", fontsize=8.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
            )  # fmt: skip
        left += width


def _reference(result: Any) -> str:
    return str(result.settings.get("reference", "the reference"))
