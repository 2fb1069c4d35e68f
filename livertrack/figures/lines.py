"""Forest plots of any estimates: one labelled line each, in groups, beside their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from livertrack._views import (
    arm_of_term,
    frame_of,
    order_of,
    rows_of,
    term_name,
    type_number,
    unitless,
)
from livertrack.figures._palette import INK, LINE, SOFT, arm_style, type_colour
from livertrack.figures._style import empty_axes, styled

NAN = float("nan")


@dataclass(frozen=True)
class Line:
    """One estimate with its limits; without an estimate a heading."""

    label: str
    estimate: float = NAN
    low: float = NAN
    high: float = NAN
    note: str = ""
    style: int = 0
    heading: bool = False
    colour: str | None = None


@styled
def line_forest(
    lines: Sequence[Line],
    *,
    xlabel: str,
    null: float | None = None,
    log: bool = False,
    note_title: str = "",
    empty: str = "No estimate to show",
) -> Axes:
    """Draw lines from top to bottom; ``style`` chooses the marker, ``note`` stands at the right.

    Parameters
    ----------
    lines : sequence of Line
    xlabel : str
        Label of the axis, which says what is higher.
    null : float, optional
        Where there is no difference.
    log : bool
        Logarithmic axis, for ratios.
    note_title : str
        Heading of the notes.
    empty : str
        What is said where no line has an estimate.
    """
    drawn = [line for line in lines if line.heading or not np.isnan(line.estimate)]
    if not any(not line.heading for line in drawn):
        return empty_axes(plt.subplots(figsize=(7.2, 1.4))[1], empty)
    _, ax = plt.subplots(figsize=(7.2, 0.85 + 0.25 * len(lines)))
    low, high = _span(lines, null, log=log)
    ax.set_xscale("log" if log else "linear")
    ax.set_xlim(low, high)
    if null is not None:
        ax.axvline(null, color=SOFT, linewidth=0.9)
    for place, line in enumerate(lines):
        _draw(ax, place, line, low, high)
        if line.note:
            ax.text(
                1.01, place, line.note, transform=ax.get_yaxis_transform(), fontsize=8,
                va="center",
            )  # fmt: skip
    if note_title:
        ax.text(
            1.01, -0.85, note_title, transform=ax.get_yaxis_transform(), fontsize=8,
            fontweight="bold", va="center",
        )  # fmt: skip
    ax.set_yticks(range(len(lines)), [line.label for line in lines])
    for tick, line in zip(ax.get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if line.heading else "normal")
    ax.set_ylim(len(lines) - 0.4, -1.1 if note_title else -0.6)
    ax.set_xlabel(xlabel)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    if log:
        _label_ratios(ax, low, high)
    return ax


def _label_ratios(ax: Axes, low: float, high: float) -> None:
    """Mark round ratios: every 1, 2 and 5 of a decade, or every power of ten of a wide axis."""
    steps = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    marks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    ax.xaxis.set_major_locator(FixedLocator([mark for mark in marks if low <= mark <= high]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _span(lines: Sequence[Line], null: float | None, *, log: bool) -> tuple[float, float]:
    """Ends of the axis: all estimates, and limits unless these run far away."""
    inner = [line.estimate for line in lines] + ([] if null is None else [null])
    outer = [*inner, *(line.low for line in lines), *(line.high for line in lines)]
    inner, outer = (
        [x for x in values if np.isfinite(x) and (x > 0 or not log)] for values in (inner, outer)
    )
    if log:
        inner, outer = list(np.log(inner)), list(np.log(outer))
    spread = max(max(inner) - min(inner), 1e-9)
    low = max(min(outer), min(inner) - 3 * spread)
    high = min(max(outer), max(inner) + 3 * spread)
    pad = 0.06 * max(high - low, 1e-9)
    ends = (low - pad, high + pad)
    return (float(np.exp(ends[0])), float(np.exp(ends[1]))) if log else ends


def _draw(ax: Axes, place: int, line: Line, low: float, high: float) -> None:
    if line.heading:
        return
    if np.isnan(line.estimate):
        ax.text(
            0.5, place, "not estimable", color=SOFT, fontsize=7.5, ha="center", va="center",
            transform=ax.get_yaxis_transform(),
        )  # fmt: skip
        return
    style = arm_style(line.style)
    colour = line.colour or style.colour
    if not (np.isnan(line.low) or np.isnan(line.high)):
        ends = [max(line.low, low), min(line.high, high)]
        ax.plot(ends, [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        for end, limit, arrow in ((0, line.low, "<"), (1, line.high, ">")):
            if ends[end] != limit:
                ax.plot(ends[end], place, marker=arrow, color=colour, markersize=5, clip_on=False)
    ax.plot(
        line.estimate, place, marker=style.marker, color=colour, markeredgecolor=INK,
        markeredgewidth=0.6, markersize=6,
    )  # fmt: skip


def odds_forest(
    result: Any, *, arms: Sequence[str] = (), labels: Mapping[str, str] | None = None
) -> Axes:
    """Odds ratios of a `proportional_odds` result, one line per term."""
    columns = ("term", "odds_ratio", "odds_ratio_low", "odds_ratio_high")
    lines = [
        Line(
            term_name(str(row["term"]), arms, labels), float(row["odds_ratio"]),
            float(row["odds_ratio_low"]), float(row["odds_ratio_high"]),
            style=_place(arm, arms), colour=None if arm in arms else SOFT,
        )
        for row in rows_of(frame_of(result, "table", columns))
        for arm in [arm_of_term(str(row["term"]), arms)]
    ]  # fmt: skip
    drawn: Axes = line_forest(
        lines, xlabel="Odds ratio (above 1: higher, worse scores)", null=1.0, log=True
    )
    return drawn


def subgroup_lines(result: Any, *, arms: Sequence[str] = (), labels: Any = None) -> Axes:
    """Draw a `subgroup_forest` result: a line per level and arm, p of interaction at its head."""
    columns = (
        "subgroup", "level", "arm", "estimate", "conf_low", "conf_high", "n_arm", "n_ref",
    )  # fmt: skip
    frame = frame_of(result, "table", columns)
    tests = {
        (str(row["subgroup"]), str(row["arm"])): row["p_value"]
        for row in rows_of(frame_of(result, "interactions", ("subgroup", "arm", "p_value")))
    }
    effect = str(result.settings.get("method", "difference"))
    ratio, share = effect == "hazard ratio", effect == "risk difference"
    levels = order_of([*frame["arm"]], arms)
    several = len(levels) > 1
    lines = []
    for subgroup in order_of([*frame["subgroup"]]):
        part = frame[frame["subgroup"].astype(str) == subgroup]
        name = (labels or {}).get(subgroup, subgroup)
        known = [(arm, tests[subgroup, arm]) for arm in levels if (subgroup, arm) in tests]
        p = ", ".join(
            (f"{arm}: " if several else "") + (f"{value:.2f}" if value == value else "–")
            for arm, value in known
        )
        lines.append(Line(name, heading=True, note=p))
        for row in rows_of(part):
            scale = 100.0 if share else 1.0
            level = str(row["level"]) or "all subjects"
            lines.append(
                Line(
                    f"{level}{', ' + str(row['arm']) if several else ''} "
                    f"({int(row['n_arm'])} v {int(row['n_ref'])})",
                    scale * float(row["estimate"]),
                    scale * float(row["conf_low"]),
                    scale * float(row["conf_high"]),
                    style=_place(str(row["arm"]), arms),
                )
            )
    reference = result.settings.get("reference", "the reference")
    xlabel = {
        "hazard ratio": f"Hazard ratio v {reference}",
        "risk difference": f"Difference of proportions v {reference}, percentage points",
    }.get(effect, f"Difference of means v {reference}")
    drawn: Axes = line_forest(
        lines, xlabel=xlabel, null=1.0 if ratio else 0.0, log=ratio, note_title="p (interaction)"
    )
    return drawn


def composition_lines(
    result: Any, *, arms: Sequence[str] = (), labels: Mapping[str, str] | None = None
) -> Axes:
    """Draw a `composition_regression` result: factor of each part, one group per arm."""
    frame = frame_of(
        result, "table", ("arm", "part", "ratio", "estimate", "conf_low", "conf_high")
    )
    lines = []
    for arm in order_of([*frame["arm"]], arms):
        lines.append(Line(arm, heading=True))
        for row in rows_of(frame[frame["arm"].astype(str) == arm]):
            part = str(row["part"])
            number = type_number(part)
            lines.append(
                Line(
                    (labels or {}).get(part, part), float(row["ratio"]),
                    float(np.exp(row["conf_low"])), float(np.exp(row["conf_high"])),
                    colour=type_colour(number) if number else None,
                )
            )  # fmt: skip
    reference = result.settings.get("reference", "the reference")
    drawn: Axes = line_forest(
        lines, xlabel=f"Factor relative to all parts, v {reference}", null=1.0, log=True
    )
    return drawn


def max_t_lines(
    result: Any, *, arms: Sequence[str] = (), labels: Mapping[str, str] | None = None
) -> Axes:
    """Draw a `max_t` result: statistic of every measure and arm, with the simultaneous limits."""
    frame = frame_of(result, "table", ("arm", "value", "statistic", "p_adjusted"))
    levels = order_of([*frame["arm"]], arms)
    measures = order_of([*frame["value"]])
    if not measures:
        return empty_axes(plt.subplots(figsize=(7.2, 1.4))[1], "No measure could be compared")
    return _statistics(frame, levels, measures, arms, labels or {}, result)


@styled
def _statistics(
    frame: Any, levels: Sequence[str], measures: Sequence[str], arms: Sequence[str],
    labels: Mapping[str, str], result: Any,
) -> Axes:  # fmt: skip
    _, ax = plt.subplots(figsize=(7.2, 1.2 + 0.26 * len(measures)))
    critical = result.settings.get("critical")
    ax.axvline(0, color=SOFT, linewidth=0.9)
    if critical is not None and np.isfinite(critical):
        for side in (-1, 1):
            ax.axvline(side * critical, color=INK, linestyle="--", linewidth=1)
    alpha = 1 - float(result.settings.get("conf_level", 0.95))
    for number, level in enumerate(levels):
        rows = frame[frame["arm"].astype(str) == level]
        style = arm_style(_place(level, arms))
        shift = (number - (len(levels) - 1) / 2) * 0.22
        for row in rows_of(rows):
            clear = bool(row["p_adjusted"] <= alpha)
            ax.plot(
                row["statistic"], measures.index(str(row["value"])) + shift,
                marker=style.marker, linestyle="none", markersize=6, markeredgecolor=style.colour,
                markerfacecolor=style.colour if clear else "white",
            )  # fmt: skip
        ax.plot([], [], marker=style.marker, linestyle="none", color=style.colour, label=level)
    for place in range(len(measures)):
        ax.axhline(place, color=LINE, linewidth=0.5, zorder=0)
    ax.set_yticks(range(len(measures)), [unitless(labels.get(m, m)) for m in measures])
    ax.set_ylim(len(measures) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"Welch t, arm v {result.settings.get('reference', 'the reference')}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=len(levels))
    return ax


def _place(arm: str, arms: Sequence[str]) -> int:
    return list(arms).index(arm) if arm in arms else 1
