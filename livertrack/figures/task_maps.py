"""Examples of a prediction task: pictures, and what in them spoke for or against."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._views import frame_of, order_of, rows_of
from livertrack.figures._palette import DIVERGING
from livertrack.figures._style import empty_axes, figure_of, styled

_PIXELS = ("example", "picture", "x", "y", "value", "map")
#: percentile of a map at which its colour is full
_FULL = 99.0


@styled
def task_map_examples(result: Any) -> Any:
    """A row per example of `example_maps`: every picture, then the same one under its map.

    Parameters
    ----------
    result : TaskMaps or StoredResult

    Returns
    -------
    ndarray of Axes, examples x (2 pictures each)
        Orange speaks for a higher prediction, purple for a lower one, strong colour the more. The
        scale is that of the example, so that colours of two rows do not compare.
    """
    pixels = frame_of(result, "pixels", _PIXELS)
    if pixels.empty:
        return np.asarray([[empty_axes(plt.subplots(figsize=(7.2, 1.6))[1])]])
    names = order_of([*pixels["picture"]])
    turned = str(result.settings.get("axes", "")) == "RA"
    examples = rows_of(frame_of(result))
    _, axes = plt.subplots(
        len(examples), 2 * len(names), squeeze=False,
        figsize=(7.2, 0.35 + len(examples) * (0.35 + 7.2 / (2 * len(names)) * _ratio(pixels))),
    )  # fmt: skip
    for place, example in enumerate(examples):
        mine = pixels[pixels["example"].astype(str).eq(str(example["example"]))]
        top = float(np.percentile(mine["map"].astype(float).abs(), _FULL)) or 1.0
        for column, name in enumerate(names):
            pair = axes[place, 2 * column : 2 * column + 2]
            part = mine[mine["picture"].astype(str).eq(name)]
            for ax, title in zip(pair, (name, "map"), strict=True):
                ax.set_axis_off()
                if place == 0:
                    ax.set_title(title, fontsize=8)
            if len(part):
                _pair(pair, *(_grid(part, c, turned=turned) for c in ("value", "map")), top=top)
            else:
                pair[0].text(0.5, 0.5, "none", ha="center", transform=pair[0].transAxes)
        # beside the layout, which would widen the first column for it
        axes[place, 0].text(
            0.0, -0.05, _said(example), transform=axes[place, 0].transAxes, va="top", fontsize=8
        ).set_in_layout(False)
    engine: Any = figure_of(axes).get_layout_engine()
    engine.set(hspace=0.12, h_pad=0.1, rect=(0, 0.03, 1, 0.97))
    return axes


def _pair(axes: NDArray[Any], picture: NDArray[Any], found: NDArray[Any], *, top: float) -> None:
    low, high = np.percentile(picture, [1, 99.5])
    for ax in axes:
        ax.imshow(
            picture, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest"
        )
    strength = np.clip(np.abs(found) / top, 0, 1)
    axes[1].imshow(
        found, cmap=DIVERGING, vmin=-top, vmax=top, alpha=strength, interpolation="nearest"
    )


def _grid(part: pd.DataFrame, column: str, *, turned: bool) -> NDArray[Any]:
    """Rows from the front to the back, columns from the subject's right to the left."""
    x, y = (part[name].astype(float).astype(int).to_numpy() for name in ("x", "y"))
    grid = np.zeros((y.max() + 1, x.max() + 1))
    grid[y, x] = part[column].astype(float).to_numpy()
    return grid[::-1, ::-1] if turned else grid


def _ratio(pixels: pd.DataFrame) -> float:
    """Height of a picture over its width."""
    return float((pixels["y"].astype(float).max() + 1) / (pixels["x"].astype(float).max() + 1))


def _said(example: Any) -> str:
    return (
        f"{example['example']}: {example['kind']}; observed {float(example['observed']):g}, "
        f"predicted {float(example['predicted']):.2f}"
    )
