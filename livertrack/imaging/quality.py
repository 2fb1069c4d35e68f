"""Numbers that say whether a scan and its mask can be trusted, and limits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.imaging.scan import Bools, Floats, Scan, Spacing

#: air voxels needed on either side of a comparison
LEAST_AIR = 500
#: the body is brighter than this part of the liver's median
BODY = 0.35
#: air this close to the body is left out: blurred edges, mm
MARGIN_MM = 8.0


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a scan is flagged.

    Attributes
    ----------
    volume_ml : (float, float)
        Liver volume, from and to, millilitres.
    largest_part : float
        Least share of the mask in its largest connected part.
    snr : float
        Least signal-to-noise ratio in the liver.
    ghost, clipped : float
        Most ghosting and clipping (`image_numbers`).
    shift_mm : float
        Most that a channel may have had to be moved, mm.
    """

    volume_ml: tuple[float, float] = (400.0, 5000.0)
    largest_part: float = 0.95
    snr: float = 5.0
    ghost: float = 0.1
    clipped: float = 0.01
    shift_mm: float = 10.0


#: flag -> what it means and what to do
FLAGS = {
    "volume": ("the liver volume is outside the limits of the plan", "check the mask"),
    "parts": ("the mask is in several parts", "check the mask, keep the largest part"),
    "edge": ("the mask touches the edge of the image", "the liver may be cut off: check"),
    "noise": ("signal-to-noise ratio below the limit of the plan", "look at the images"),
    "ghosting": ("ghosting above the limit of the plan", "look for motion"),
    "clipping": ("clipped liver voxels above the limit of the plan", "export the image again"),
    "shift": ("a channel had to be moved by more than the limit", "look at the images"),
    "scale": (
        "scaled by the liver itself: no body in the image", "give the whole image, not a crop",
    ),
}  # fmt: skip


def flags_of(numbers: Mapping[str, Any], limits: Limits | None) -> list[str]:
    """Which limits a scan passes beyond; a number that is missing passes none."""
    if limits is None:
        return []

    def value(name: str) -> float:
        found = numbers.get(name)
        return float("nan") if found is None else float(found)

    low, high = limits.volume_ml
    beyond = {
        "volume": value("VOLML") < low or value("VOLML") > high,
        "parts": value("LARGEST") < limits.largest_part,
        "edge": numbers.get("BORDERFL") == "Y",
        "noise": value("SNR") < limits.snr,
        "ghosting": value("GHOST") > limits.ghost,
        "clipping": value("CLIPPED") > limits.clipped,
        "shift": value("ALIGNMM") > limits.shift_mm,
        "scale": numbers.get("SCALED") == "liver",
    }
    return [flag for flag in FLAGS if beyond[flag]]


def quality_numbers(scan: Scan, *, quantitative: Sequence[bool] = ()) -> dict[str, Any]:
    """Numbers on a scan for the dataset ``adscan``: those of its mask and of its images."""
    return {
        **mask_numbers(scan.mask, scan.spacing),
        **image_numbers(scan.volume, scan.mask, scan.spacing, quantitative=quantitative),
    }


def mask_numbers(mask: Bools, spacing: Spacing) -> dict[str, Any]:
    """Numbers on a liver mask.

    Returns
    -------
    dict
        ``NVOX`` voxels, ``VOLML`` millilitres, ``NCOMP`` connected parts (faces touch),
        ``LARGEST`` share of the largest, ``BORDERFL`` Y where it touches the edge of the image.
    """
    touches = any(
        bool(np.take(mask, index, axis=axis).any()) for axis in range(3) for index in (0, -1)
    )
    parts, count = ndimage.label(mask[box_of(mask)])
    sizes = np.bincount(parts.ravel())[1:]
    voxels = int(sizes.sum())
    return {
        "NVOX": voxels,
        "VOLML": voxels * float(np.prod(spacing)) / 1000.0,
        "NCOMP": int(count),
        "LARGEST": float(sizes.max() / voxels),
        "BORDERFL": "Y" if touches else "N",
    }


def image_numbers(
    volume: Floats, mask: Bools, spacing: Spacing, *, quantitative: Sequence[bool] = ()
) -> dict[str, Any]:
    """Numbers on the images of a scan, each that of its worst channel.

    Parameters
    ----------
    volume : array
        (C, x, y, z), as it came from the scanner.
    quantitative : sequence of bool
        Channels in physical units (fat fraction, R2*), which are left out.

    Returns
    -------
    dict
        ``SNR`` median signal in the liver over noise (from the second difference along the first
        two axes, Immerkaer 1996, by its median absolute value: texture counts as noise).
        ``GHOST`` mean signal of the air before and behind the body along an axis, less that of
        the other air, over the mean signal of the body; the largest of the axes (after Giannelli
        et al. 2010); missing where the image shows too little air, or air was set to zero.
        ``CLIPPED`` share of liver voxels that have the largest or the smallest value of the
        image.
    """
    chosen = [
        channel for number, channel in enumerate(volume)
        if not (number < len(quantitative) and quantitative[number])
    ]  # fmt: skip
    ratios = [_signal_to_noise(channel, mask) for channel in chosen]
    ghosts = [_ghosting(channel, mask, spacing) for channel in chosen]
    clipped = [
        float(((channel[mask] >= channel.max()) | (channel[mask] <= channel.min())).mean())
        for channel in chosen
    ]
    return {
        "SNR": _worst(ratios, min), "GHOST": _worst(ghosts, max), "CLIPPED": _worst(clipped, max),
    }  # fmt: skip


def box_of(mask: Bools, *, margin: int = 0) -> tuple[slice, slice, slice]:
    """Smallest box around a mask that is not empty, with a margin inside the image."""
    found = []
    for axis, length in enumerate(mask.shape):
        where = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        found.append(
            slice(max(0, int(where[0]) - margin), min(length, int(where[-1]) + 1 + margin))
        )
    return (found[0], found[1], found[2])


def _worst(values: Sequence[float], of: Any) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(of(finite)) if finite else float("nan")


def _signal_to_noise(channel: Floats, mask: Bools) -> float:
    box = box_of(mask, margin=1)
    values, inside = channel[box].astype(np.float64), mask[box]
    if min(values.shape[:2]) < 3:
        return float("nan")
    core = np.asarray(ndimage.minimum_filter(inside, size=(3, 3, 1)))[1:-1, 1:-1]
    across = values[2:] - 2 * values[1:-1] + values[:-2]
    second = np.abs(across[:, 2:] - 2 * across[:, 1:-1] + across[:, :-2])[core]
    noise = 1.4826 * float(np.median(second)) / 6.0 if len(second) else float("nan")
    return float(np.median(values[inside]) / noise) if noise > 0 else float("nan")


def _ghosting(channel: Floats, mask: Bools, spacing: Spacing) -> float:
    even = ndimage.uniform_filter(channel, [3 if n > 2 else 1 for n in channel.shape])
    bright = (even > BODY * float(np.median(channel[mask]))) | mask
    parts, _ = ndimage.label(bright)
    body = parts == np.bincount(parts[mask]).argmax()
    near = _grown(body, spacing)
    air = ~near
    if air.sum() < 2 * LEAST_AIR or float(np.ptp(channel[air])) == 0:
        return float("nan")
    level = float(channel[body].mean())
    found = []
    for axis in range(3):
        shadow = air & near.any(axis=axis, keepdims=True)
        other = air & ~shadow
        if min(shadow.sum(), other.sum()) >= LEAST_AIR:
            found.append(float(channel[shadow].mean() - channel[other].mean()) / level)
    return max(found, default=float("nan"))


def _grown(body: Bools, spacing: Spacing) -> NDArray[np.bool_]:
    """The body, its holes, and a margin: a box filter along each axis."""
    grown = np.asarray(ndimage.binary_fill_holes(body))
    for axis, step in enumerate(spacing):
        reach = 2 * max(1, round(MARGIN_MM / step)) + 1
        if grown.shape[axis] > 1:
            grown = ndimage.maximum_filter1d(grown.view(np.uint8), reach, axis=axis).astype(bool)
    return grown
