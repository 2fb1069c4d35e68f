"""Flow of subjects through the trial, by arm, in the manner of CONSORT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from livertrack._views import frame_of, order_of, reason_text
from livertrack.figures._palette import INK, SOFT, TINT
from livertrack.figures._style import empty_axes, styled

_COLUMNS = ("stage", "visit", "reason", "arm", "n", "denominator")
_LINE = 0.165  # inches per text line


@styled
def consort(result: Any, *, arms: Sequence[str] | None = None, total: str = "Total") -> Axes:
    """Draw a `disposition` result: randomised, analysed, scanned at each visit, finished.

    Parameters
    ----------
    result : Disposition or StoredResult
    arms : sequence of str, optional
        Order of the columns.

    Returns
    -------
    Axes
        Counts are subjects.
    """
    table = frame_of(result, "table", _COLUMNS)
    if table.empty:
        return empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No subject was randomised")
    table = table.assign(arm=table["arm"].astype(str))
    levels = [arm for arm in order_of([*table["arm"]], arms) if arm != total] or [total]
    steps = _steps(table)
    boxes = {arm: [_text(table, arm, step) for step in steps] for arm in levels}
    heights = [
        0.16 + _LINE * max(boxes[arm][row].count("\n") + 1 for arm in levels)
        for row in range(len(steps))
    ]
    gap = 0.24
    size = 0.6 + sum(heights) + gap * len(steps)
    _, ax = plt.subplots(figsize=(7.2, size))
    ax.set(xlim=(0, 7.2), ylim=(size, 0))
    ax.set_axis_off()
    everyone = _count(table, total, "randomised")
    _box(ax, 3.6, 0.22, 2.6, 0.34, f"Randomised: {everyone} subjects", bold=True)
    width = 7.2 / len(levels)
    for column, arm in enumerate(levels):
        x = width * (column + 0.5)
        top = 0.55 + gap
        ax.plot([3.6, 3.6, x, x], [0.39, 0.5, 0.5, top], color=SOFT, linewidth=0.9)
        for row, height in enumerate(heights):
            _box(ax, x, top + height / 2, width - 0.25, height, boxes[arm][row], bold=row == 0)
            if row + 1 < len(heights):
                ax.annotate(
                    "", (x, top + height + gap), (x, top + height),
                    arrowprops={"arrowstyle": "-|>", "color": SOFT, "linewidth": 0.9},
                )  # fmt: skip
            top += height + gap
    return ax


def _steps(table: pd.DataFrame) -> list[tuple[str, str]]:
    """(kind, visit) of each row of boxes."""
    visits = order_of([v for v in table["visit"] if str(v)])
    steps = [("arm", "")]
    stages = set(table["stage"])
    steps += [("visit", visit) for visit in visits]
    if stages & {"discontinued", "completed"}:
        steps.append(("end", ""))
    return steps


def _text(table: pd.DataFrame, arm: str, step: tuple[str, str]) -> str:
    kind, visit = step
    if kind == "arm":
        lines = [arm, f"randomised: {_count(table, arm, 'randomised')}"]
        if "not in population" in set(table["stage"]):
            lines.append(f"not in population: {_count(table, arm, 'not in population')}")
        return "\n".join([*lines, f"analysed: {_count(table, arm, 'population')}"])
    if kind == "end":
        lines = ["End of study"]
        for stage in ("completed", "discontinued"):
            if stage in set(table["stage"]):
                lines.append(f"{stage}: {_count(table, arm, stage)}")
                lines += _reasons(table, arm, stage, "")
        return "\n".join(lines)
    lines = [visit]
    here = set(table.loc[table["visit"] == visit, "stage"])
    for stage, words in (
        ("analysed", "scan analysed"), ("excluded", "scan excluded"), ("no scan", "no scan"),
        ("with data", "with data"),
    ):  # fmt: skip
        if stage in here:
            lines.append(f"{words}: {_count(table, arm, stage, visit)}")
            if stage == "excluded":
                lines += _reasons(table, arm, stage, visit)
    return "\n".join(lines)


def _count(table: pd.DataFrame, arm: str, stage: str, visit: str = "") -> int:
    rows = table[
        (table["arm"] == arm) & (table["stage"] == stage) & (table["visit"] == visit)
        & (table["reason"] == "")
    ]  # fmt: skip
    return int(rows["n"].iloc[0]) if len(rows) else 0


def _reasons(table: pd.DataFrame, arm: str, stage: str, visit: str) -> list[str]:
    rows = table[
        (table["arm"] == arm) & (table["stage"] == stage) & (table["visit"] == visit)
        & (table["reason"] != "") & (table["n"] > 0)
    ]  # fmt: skip
    texts = [reason_text(str(reason)) for reason in rows["reason"]]
    short = [text if len(text) <= 26 else text[:25].rstrip() + "…" for text in texts]
    return [f"  {text}: {int(n)}" for text, n in zip(short, rows["n"], strict=True)]


def _box(
    ax: Axes, x: float, y: float, width: float, height: float, text: str, *, bold: bool = False
) -> None:
    ax.add_patch(
        Rectangle(
            (x - width / 2, y - height / 2), width, height, facecolor=TINT, edgecolor=SOFT,
            linewidth=0.9,
        )
    )  # fmt: skip
    first, *rest = text.split("\n")
    if not rest:
        ax.text(
            x, y, first, ha="center", va="center", color=INK, fontweight="bold" if bold else None
        )
        return
    top = y - height / 2 + 0.08 + _LINE / 2
    ax.text(x, top, first, ha="center", va="center", color=INK, fontweight="bold", fontsize=8.5)
    for number, line in enumerate(rest, start=1):
        ax.text(
            x - width / 2 + 0.12, top + number * _LINE, line, ha="left", va="center", fontsize=8,
            color=INK,
        )  # fmt: skip
