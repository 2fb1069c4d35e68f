"""What the tissue types look like: exemplar patches, intensity profiles, a labelled slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from livertrack.figures._palette import SOFT, ink_on, type_colour, type_hatch
from livertrack.figures._style import empty_axes, one_axes, styled

Array = np.ndarray[Any, Any]


@styled
def exemplar_patches(
    patches: Array, *, channels: Sequence[str], shown: int = 4, shares: Sequence[float] = ()
) -> Array:
    """Draw the most typical patches of each type, one row per type, one column per channel.

    Parameters
    ----------
    patches : array (types, exemplars, channels, x, y)
        Standardised intensities; every channel has one grey scale over all types.
    channels : sequence of str
        Names of the channels (sequences).
    shown : int
        Exemplars per type and channel.
    shares : sequence of float, optional
        Share of each type (0 to 1), written beside its number.

    Returns
    -------
    ndarray of Axes (types, channels)
    """
    if patches.size == 0:
        return np.asarray(
            [[empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No exemplars stored")]]
        )
    patches = patches[:, :shown]
    n_types, n_shown, n_channels, wide, high = patches.shape
    _, axes = plt.subplots(
        n_types, n_channels, figsize=(7.2, 0.35 + 0.62 * n_types), squeeze=False
    )
    for channel in range(n_channels):
        low, top = np.nanpercentile(patches[:, :, channel], [1, 99])
        for number in range(n_types):
            ax = axes[number, channel]
            strip = np.full((high, n_shown * (wide + 1) - 1), np.nan)
            for place in range(n_shown):
                start = place * (wide + 1)
                strip[:, start : start + wide] = patches[number, place, channel].T
            ax.imshow(strip, cmap="gray", vmin=low, vmax=top, interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            for side in ax.spines.values():
                side.set_visible(False)
            if number == 0:
                ax.set_title(channels[channel])
    for number in range(n_types):
        _badge(axes[number, 0], number + 1, shares[number] if len(shares) else None)
    return np.asarray(axes)


def _badge(ax: Axes, number: int, share: float | None) -> None:
    colour = type_colour(number)
    ax.text(
        -0.22 if share is not None else -0.05, 0.5, f" {number} ", transform=ax.transAxes,
        ha="right", va="center", color=ink_on(colour), fontweight="bold",
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 2.5},
    )  # fmt: skip
    if share is not None:
        ax.text(
            -0.03, 0.5, f"{100 * share:.0f} %", transform=ax.transAxes, ha="right", va="center",
            fontsize=7, color=SOFT,
        )  # fmt: skip


@styled
def intensity_profiles(
    means: Array, *, channels: Sequence[str], sds: Array | None = None
) -> Array:
    """Draw the mean intensity of each type, one panel per channel.

    Parameters
    ----------
    means, sds : array (types, channels)
        In the unit of the standardised images.
    channels : sequence of str
    """
    if means.size == 0:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No profiles stored")])
    n_types = means.shape[0]
    _, axes = plt.subplots(
        1, len(channels), figsize=(7.2, 0.9 + 0.24 * n_types), sharey=True, squeeze=False
    )
    for place, name in enumerate(channels):
        ax = axes[0, place]
        for number in range(1, n_types + 1):
            ax.barh(
                number, means[number - 1, place], color=type_colour(number), height=0.72,
                edgecolor="#333333", linewidth=0.5, hatch=type_hatch(number),
                xerr=None if sds is None else sds[number - 1, place],
                error_kw={"elinewidth": 0.9, "ecolor": "#333333"},
            )  # fmt: skip
        ax.axvline(0, color=SOFT, linewidth=0.8)
        ax.set_title(name)
        ax.grid(axis="x")
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.set_yticks(range(1, n_types + 1))
        ax.tick_params(axis="y", length=0)
    axes[0, 0].invert_yaxis()
    axes[0, 0].set_ylabel("Tissue type")
    error = " (line: SD over voxels)" if sds is not None else ""
    axes[0, len(channels) // 2].set_xlabel(f"Mean standardised intensity{error}")
    return np.asarray(axes[0])


@styled
def label_map(
    labels: Array,
    *,
    anatomy: Array | None = None,
    spacing: Sequence[float] = (1.0, 1.0),
    n_types: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a slice of tissue types, on the anatomy where there is one.

    Parameters
    ----------
    labels : int array (x, y)
        Types 1..K, 0 outside the liver.
    anatomy : array (x, y), optional
        Image of the same slice, drawn in grey.
    spacing : pair of float
        Voxel size in mm along x and y.
    n_types : int, optional
        Number of types of the vocabulary (for the legend); default: the largest in the slice.
    """
    ax = one_axes(ax, (6.4, 4.0))
    k = n_types or int(labels.max(initial=1))
    if _slice(ax, labels, anatomy, spacing, k):
        ax.legend(
            handles=_legend([labels], k), title="Tissue type", loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )  # fmt: skip
    return ax


@styled
def label_maps(slices: Sequence[Any], *, n_types: int) -> Array:
    """Draw one liver at its visits: anatomy above where it is stored, tissue types below.

    Parameters
    ----------
    slices : sequence of objects with ``visit, labels, spacing, anatomy``
        Arrays (x, y); ``anatomy`` may be None.
    n_types : int
        Number of types of the vocabulary.

    Returns
    -------
    ndarray of Axes (one or two rows, visits)
    """
    if not slices:
        return np.asarray([empty_axes(plt.subplots(figsize=(7.2, 1.6))[1], "No label map")])
    pictured = any(one.anatomy is not None for one in slices)
    rows = 2 if pictured else 1
    figure, axes = plt.subplots(
        rows, len(slices), figsize=(7.2, 0.6 + rows * 7.2 / max(len(slices), 2) * 0.78),
        squeeze=False,
    )  # fmt: skip
    for place, one in enumerate(slices):
        axes[0, place].set_title(one.visit)
        if pictured:
            blank = np.zeros_like(one.labels)
            _slice(axes[0, place], blank, one.anatomy, one.spacing, n_types)
        _slice(axes[-1, place], one.labels, one.anatomy, one.spacing, n_types)
    figure.legend(
        handles=_legend([one.labels for one in slices], n_types), title="Tissue type",
        loc="outside lower center", ncols=12,
    )  # fmt: skip
    return axes


def _slice(
    ax: Axes, labels: Array, anatomy: Array | None, spacing: Sequence[float], k: int
) -> bool:
    extent = (0.0, labels.shape[0] * spacing[0], 0.0, labels.shape[1] * spacing[1])
    shown: dict[str, Any] = {"origin": "lower", "extent": extent, "interpolation": "nearest"}
    if anatomy is None and not labels.any():
        empty_axes(ax, "No labelled liver in this slice")
        return False
    ax.set_axis_off()
    if anatomy is not None:
        low, high = np.nanpercentile(anatomy, [1, 99.5])
        ax.imshow(anatomy.T, cmap="gray", vmin=low, vmax=high, **shown)
    if labels.any():
        cmap = ListedColormap([type_colour(number) for number in range(1, k + 1)])
        overlay = np.ma.masked_equal(labels, 0)
        alpha = 0.62 if anatomy is not None else 1.0
        ax.imshow(overlay.T, cmap=cmap, vmin=0.5, vmax=k + 0.5, alpha=alpha, **shown)
    return True


def _legend(slices: Sequence[Array], k: int) -> list[Patch]:
    present = [n for n in range(1, k + 1) if any((labels == n).any() for labels in slices)]
    return [Patch(facecolor=type_colour(n), edgecolor="#333333", label=str(n)) for n in present]
