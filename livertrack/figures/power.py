"""Power by effect and size, and separation by effect: what simulated trials showed."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from livertrack.figures._palette import LINE, arm_style
from livertrack.figures._style import empty_axes, styled

_TESTS = (
    ("global_sum", "Global test"), ("any_flow", "Any flow (max-T)"),
    ("any_net", "Any net change (max-T)"), ("largest_flow", "Largest true flow (max-T)"),
)  # fmt: skip
_NAMES = {"ALT": "ALT", "PDFF": "fat fraction", "STIFF": "stiffness"}


@styled
def power_curves(power: pd.DataFrame) -> Any:
    """Share of simulated trials in which each test is significant, by effect and subjects per arm.

    Parameters
    ----------
    power : DataFrame
        As `livertrack.validation.curves.released_power` returns it.

    Returns
    -------
    ndarray of Axes
        One panel per test, one line per size; the dotted line is 5 %.
    """
    _, axes = plt.subplots(2, 2, figsize=(7.2, 5.4), sharex=True, sharey=True)
    for ax, (column, title) in zip(axes.flat, _TESTS, strict=True):
        if power.empty:
            empty_axes(ax)
            continue
        for place, (size, part) in enumerate(power.groupby("n_per_arm")):
            _line(ax, part["effect"], 100 * part[column], place, f"{size} per arm")
        ax.axhline(5, color=LINE, linewidth=1, linestyle=":", zorder=0)
        ax.set_title(title)
        ax.set_ylim(-3, 103)
        ax.grid(axis="y")
    if not power.empty:
        for ax in axes[1]:
            ax.set_xlabel("Effect of the planted pathways")
        for ax in axes[:, 0]:
            ax.set_ylabel("Percent of trials")
        axes[0, 0].legend(loc="lower right")
    return axes


@styled
def separation_curves(separation: pd.DataFrame) -> Any:
    """Separation by the cross-fitted signature and by other measures, by effect.

    Parameters
    ----------
    separation : DataFrame
        As `livertrack.validation.curves.released_separation` returns it.

    Returns
    -------
    ndarray of Axes
        Mean AUC of each measure; share of trials in which the signature is better, and (hollow)
        worse, with an interval that excludes zero.
    """
    _, axes = plt.subplots(1, 2, figsize=(7.2, 3.4))
    left, right = axes
    if separation.empty:
        for ax in axes:
            empty_axes(ax)
        return axes
    measures = [name for name in _NAMES if (separation["measure"] == name).any()]
    first = separation[separation["measure"] == measures[0]]
    _line(left, first["effect"], first["auc_signature"], 0, "signature")
    for place, name in enumerate(measures, start=1):
        part = separation[separation["measure"] == name]
        _line(left, part["effect"], part["auc_measure"], place, _NAMES[name])
        _line(right, part["effect"], 100 * part["better"], place, f"than {_NAMES[name]}")
        style = arm_style(place)
        right.plot(
            part["effect"], 100 * part["worse"], linestyle="none", marker=style.marker,
            markerfacecolor="white", markeredgecolor=style.colour,
        )  # fmt: skip
    left.axhline(0.5, color=LINE, linewidth=1, linestyle=":", zorder=0)
    left.set(title="Mean AUC", ylabel="AUC, active arm against placebo", ylim=(0.3, 1.02))
    right.set(title="Signature better (filled) or worse", ylabel="Percent of trials",
              ylim=(-3, 103))  # fmt: skip
    for ax in axes:
        ax.set_xlabel("Effect of the planted pathways")
        ax.grid(axis="y")
    left.legend(loc="lower right", ncols=2)
    right.legend(loc="center right")
    return axes


def _line(ax: Axes, x: pd.Series, y: pd.Series, place: int, label: str) -> None:
    style = arm_style(place)
    ax.plot(x, y, color=style.colour, linestyle=style.line, marker=style.marker, label=label)
