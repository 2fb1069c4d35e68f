"""Where in the liver: a template liver coloured by change, and one subject's change on anatomy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Patch

from livertrack._views import frame_of, order_of
from livertrack.figures._palette import DIVERGING, INK, SOFT, TINT, type_colour
from livertrack.figures._style import empty_axes, styled

Array = np.ndarray[Any, Any]

_TABLE = (
    "arm", "reference", "visit", "cell", "estimate", "p_adjusted", "mean_arm", "mean_ref",
)  # fmt: skip
_SEQUENTIAL = "YlGnBu"


@styled
def change_atlas_slices(
    result: Any,
    cells: Array,
    *,
    spacing: Sequence[float] = (1.0, 1.0),
    arms: Sequence[str] | None = None,
    shown: int = 4,
) -> Array:
    """Draw, on axial slices of the template liver, how much changed and where arms differ.

    Parameters
    ----------
    result : ChangeAtlas or StoredResult
    cells : int array (x, y, z)
        Number of the cell of each voxel of the template, 0 outside; patient's right first, back
        to front, feet to head.
    spacing : pair of float
        Voxel size in mm along x and y.
    arms : sequence of str, optional
        Order of the arms.
    shown : int
        Slices, spread over the liver from head to feet.

    Returns
    -------
    ndarray of Axes (1 + arms, slices)
        First row: mean share of each place that changed in the reference. Then one row per arm:
        the difference in percentage points; places that differ after adjustment over all places
        and arms are outlined.
    """
    table = frame_of(result, "table", _TABLE)
    levels = _levels(cells, shown)
    if table.empty or not levels:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No atlas records")])
    names = order_of([*table["arm"]], arms)
    reference = str(table["reference"].iloc[0])
    alpha = 1 - float(result.settings.get("conf_level", 0.95))
    place = table["cell"].astype(int)
    n = int(max(cells.max(initial=0), place.max())) + 1
    box = _box(cells > 0)
    wide = (box[0].stop - box[0].start) * spacing[0]
    high = (box[1].stop - box[1].start) * spacing[1]
    figure, axes = plt.subplots(
        1 + len(names), len(levels),
        figsize=(7.2, 0.5 + (1 + len(names)) * (6.2 / len(levels) * high / wide + 0.15)),
        squeeze=False,
    )  # fmt: skip
    first = table[table["arm"].astype(str) == names[0]]
    share = _spread(n, first["cell"], 100 * first["mean_ref"].astype(float))
    top = _largest(share)
    size = _largest(100 * table["estimate"].astype(float).to_numpy())
    rows: list[tuple[str, Array, Array, str, Normalize]] = [
        (reference, share, np.zeros(n, bool), _SEQUENTIAL, Normalize(0, top))
    ]
    for name in names:
        part = table[table["arm"].astype(str) == name]
        differs = np.zeros(n, bool)
        sure = part["p_adjusted"].astype(float).le(alpha)
        differs[part.loc[sure, "cell"].astype(int)] = True
        values = _spread(n, part["cell"], 100 * part["estimate"].astype(float))
        rows.append((f"{name} − {reference}", values, differs, DIVERGING, Normalize(-size, size)))
    for line, (title, values, differs, colours, norm) in enumerate(rows):
        image: Any = None
        for column, level in enumerate(levels):
            image = _paint(axes[line, column], cells[(*box, level)], values, differs, colours,
                           norm, spacing)  # fmt: skip
        axes[line, 0].set_title(title)
        bar = figure.colorbar(image, ax=list(axes[line]), shrink=0.8, aspect=14)
        bar.set_label("% of the place" if line == 0 else "Percentage points", fontsize=8)
        bar.outline.set_visible(False)  # type: ignore[operator]
    axes[0, 0].text(0.0, 0.5, "R", transform=axes[0, 0].transAxes, ha="right", va="center",
                    color=SOFT)  # fmt: skip
    return np.asarray(axes)


@styled
def change_map(
    before: Array,
    after: Array,
    *,
    anatomy: Array | None = None,
    spacing: Sequence[float] = (1.0, 1.0),
    visits: Sequence[str] = ("Baseline", "Follow-up"),
    n_types: int | None = None,
) -> Array:
    """Draw one liver then, now, and where its tissue changed.

    Parameters
    ----------
    before, after : int array (x, y)
        Types at both visits in the baseline liver, 1..K; 0 outside or out of view.
    anatomy : array (x, y), optional
        Image of the baseline slice, drawn in grey.
    spacing : pair of float
        Voxel size in mm along x and y.
    visits : pair of str
        Names of the visits.
    n_types : int, optional
        Types of the vocabulary.

    Returns
    -------
    ndarray of Axes (3,)
        The third panel colours changed places by the type they have now; places that kept their
        type are pale, places out of view are left blank.
    """
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.9))
    if not before.any():
        for ax in axes:
            empty_axes(ax, "No labelled liver")
        return np.asarray(axes)
    k = n_types or int(max(before.max(), after.max()))
    known = (before > 0) & (after > 0)
    changed = np.where(known & (before != after), after, 0)
    kept = known & (before == after)
    share = float((known & (before != after)).sum() / max(int(known.sum()), 1))
    panels = ((visits[0], before), (f"{visits[1]}, carried back", after), ("Changed to", changed))
    for ax, (title, labels) in zip(axes, panels, strict=True):
        _types(ax, labels, anatomy, spacing, k, pale=kept if labels is changed else None)
        ax.set_title(title)
    axes[2].text(
        1.0, -0.02, f"{100 * share:.0f} % of the liver in this slice changed", ha="right",
        va="top", transform=axes[2].transAxes, color=SOFT, fontsize=8,
    )  # fmt: skip
    present = [n for n in range(1, k + 1) if (before == n).any() or (after == n).any()]
    figure.legend(
        handles=[
            Patch(facecolor=type_colour(n), edgecolor="#333333", label=str(n)) for n in present
        ],
        title="Tissue type", loc="outside lower center", ncols=12,
    )  # fmt: skip
    return np.asarray(axes)


def _types(
    ax: Axes, labels: Array, anatomy: Array | None, spacing: Sequence[float], k: int,
    pale: Array | None,
) -> None:  # fmt: skip
    extent = (0.0, labels.shape[0] * spacing[0], 0.0, labels.shape[1] * spacing[1])
    shown: dict[str, Any] = {"origin": "lower", "extent": extent, "interpolation": "nearest"}
    ax.set_axis_off()
    if anatomy is not None:
        low, top = np.nanpercentile(anatomy, [1, 99.5])
        ax.imshow(anatomy.T, cmap="gray", vmin=low, vmax=top, **shown)
    if pale is not None:
        ax.imshow(np.ma.masked_equal(pale, 0).T, cmap=ListedColormap([TINT]), alpha=0.35, **shown)
    cmap = ListedColormap([type_colour(number) for number in range(1, k + 1)])
    cover = 0.62 if anatomy is not None and pale is None else 0.95
    ax.imshow(
        np.ma.masked_equal(labels, 0).T, cmap=cmap, vmin=0.5, vmax=k + 0.5, alpha=cover, **shown
    )


def _levels(cells: Array, shown: int) -> list[int]:
    """Axial slices from head to feet, those with little liver left out."""
    size = (cells > 0).sum(axis=(0, 1))
    full = np.flatnonzero(size >= 0.3 * size.max(initial=1))
    if not len(full):
        return []
    return [int(i) for i in full[np.linspace(len(full) - 1, 0, min(shown, len(full))).astype(int)]]


def _box(inside: Array) -> tuple[slice, slice]:
    rows, columns = np.nonzero(inside.any(axis=2))
    return (
        slice(max(0, int(rows.min()) - 1), int(rows.max()) + 2),
        slice(max(0, int(columns.min()) - 1), int(columns.max()) + 2),
    )


def _largest(values: Array) -> float:
    """Largest absolute value, at least one percentage point."""
    known = np.abs(values[np.isfinite(values)])
    return max(float(known.max(initial=0.0)), 1.0)


def _spread(n: int, cell: Any, values: Any) -> Array:
    out = np.full(n, np.nan)
    out[cell.astype(int).to_numpy()] = values.to_numpy()
    return out


def _paint(
    ax: Axes, cells: Array, values: Array, differs: Array, colours: str, norm: Normalize,
    spacing: Sequence[float],
) -> Any:  # fmt: skip
    extent = (0.0, cells.shape[0] * spacing[0], 0.0, cells.shape[1] * spacing[1])
    ax.set_axis_off()
    ax.set_aspect("equal")
    picture = np.where(cells > 0, values[cells], np.nan)
    cmap = colormaps[colours].with_extremes(bad="none")
    image = ax.imshow(
        picture.T, cmap=cmap, norm=norm, origin="lower", extent=extent, interpolation="nearest"
    )
    x = (np.arange(cells.shape[0]) + 0.5) * spacing[0]
    y = (np.arange(cells.shape[1]) + 0.5) * spacing[1]
    if min(cells.shape) > 1 and (cells > 0).any():
        ax.contour(x, y, (cells > 0).T.astype(float), [0.5], colors=SOFT, linewidths=0.7)
        marked = (cells > 0) & differs[cells]
        if marked.any():
            ax.contour(x, y, marked.T.astype(float), [0.5], colors=INK, linewidths=1.2)
    return image
