"""One look for all figures, and files that are the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from livertrack._files import whole_file
from livertrack.figures._palette import INK, LINE, SOFT

STYLE: dict[str, Any] = {
    "figure.figsize": (7.2, 4.2),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "hatch.linewidth": 0.4,
    "svg.hashsalt": "livertrack",
    "svg.fonttype": "path",
}

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Draw with the house style, whatever the user's own settings are."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with plt.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return drawn


def one_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Give the axes, or those of a new figure of ``size`` inches."""
    return ax if ax is not None else plt.subplots(figsize=size)[1]


def figure_of(drawn: Any) -> Figure:
    """Figure behind what a drawing function returned: axes, an array of axes, or a figure."""
    if isinstance(drawn, Figure):
        return drawn
    first: Any = np.ravel(drawn)[0] if isinstance(drawn, (np.ndarray, Sequence)) else drawn
    figure = first.get_figure(root=True)
    if not isinstance(figure, Figure):
        msg = "these axes belong to no figure"
        raise TypeError(msg)
    return figure


def save_figure(drawn: Any, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Write ``name.svg`` and ``name.png`` and close the figure; no date inside either."""
    figure = figure_of(drawn)
    folder = Path(folder)
    with plt.style.context(["default", STYLE]):
        with whole_file(folder / f"{name}.svg") as path:
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        figure.set_layout_engine("none")  # the places are found; the second file keeps them
        with whole_file(folder / f"{name}.png") as path:
            figure.savefig(path, format="png", dpi=200, metadata={"Software": None})
    plt.close(figure)
    return folder / f"{name}.svg", folder / f"{name}.png"


def empty_axes(ax: Axes, message: str = "No data to show") -> Axes:
    """Say why a figure is empty: its designed form without data."""
    ax.set_axis_off()
    ax.text(
        0.5,
        0.5,
        message,
        ha="center",
        va="center",
        transform=ax.transAxes,
        color=SOFT,
        fontsize=10,
    )
    return ax
