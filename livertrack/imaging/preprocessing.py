"""Making scanners comparable: grid, bias field, and a scale that does not erase disease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.imaging.bias_field import log_bias_field
from livertrack.imaging.reading import UnusableImage
from livertrack.imaging.scan import Bools, Floats, Scan, Spacing

BiasField = Literal["n4", "none"]
Standardise = Literal["reference", "tail", "none"]


@dataclass(frozen=True)
class Preparation:
    """How scans are prepared; the same for fitting and for labelling.

    Attributes
    ----------
    spacing_mm : (float, float, float) or None
        Grid to resample to, mm; None leaves a scan on its own grid.
    bias_field : {"n4", "none"}
        N4 at about 15 mm in the body, one field for all channels (see `log_bias_field`).
    standardise : {"reference", "tail", "none"}
        ``reference`` divides each channel by the median of the reference tissue. ``tail`` divides
        by the median of the body outside the liver (voxels above three tenths of the liver's
        median: noise in air stays below), or where the image shows no body, by the 75th percentile
        of the liver. Neither centres nor scales by the liver's own spread: a z-score in the mask
        makes a fatty liver look normal.
    """

    spacing_mm: Spacing | None = None
    bias_field: BiasField = "n4"
    standardise: Standardise = "reference"


@dataclass(frozen=True)
class Prepared:
    """A scan ready for an encoder.

    Attributes
    ----------
    volume : array
        (C, X, Y, Z), standardised; larger than ``mask`` by ``field - 1`` voxels on each axis.
        Outside the liver each voxel mirrors the liver across its surface.
    mask : array
        The liver's box on the working grid.
    quality : mapping
        Numbers on the scan (see `quality_numbers`).
    """

    volume: Floats
    mask: Bools
    quality: Mapping[str, Any]
    _back: _Back = field(repr=False)

    def restore(self, rows: NDArray[np.int16]) -> NDArray[np.int16]:
        """Labels of the voxels of ``mask`` (C order) as a map on the scan's own grid."""
        working = np.zeros(self.mask.shape, np.int16)
        working[self.mask] = rows
        return self._back.to_scan(working)


@dataclass(frozen=True)
class _Back:
    """The way from the working grid to the scan's grid."""

    mask: Bools
    orientation: NDArray[np.float64]
    box: tuple[slice, slice, slice]
    shape: tuple[int, int, int]
    working_box: tuple[slice, slice, slice]
    working_mask: Bools

    def to_scan(self, labels: NDArray[np.int16]) -> NDArray[np.int16]:
        x, y, z = self.box
        box_shape = (x.stop - x.start, y.stop - y.start, z.stop - z.start)
        full: Any = np.zeros(self.working_mask.shape, np.int16)
        full[self.working_box] = labels
        if full.shape != box_shape:
            index = [_nearest(new, old) for new, old in zip(box_shape, full.shape, strict=True)]
            full = full[np.ix_(*index)]
        canonical = np.zeros(self.shape, np.int16)
        canonical[self.box] = full
        back = nib.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], self.orientation)
        out = np.asarray(nib.orientations.apply_orientation(canonical, back), np.int16)
        missed = self.mask & (out == 0)
        if missed.any():
            nearest = ndimage.distance_transform_edt(
                out == 0, return_distances=False, return_indices=True
            )
            out[missed] = out[tuple(axis[missed] for axis in nearest)]
        out[~self.mask] = 0
        return np.ascontiguousarray(out)


def prepare(scan: Scan, how: Preparation, receptive_field: Sequence[int]) -> Prepared:
    """Prepare one scan: canonical axes, grid, bias field, scale, and a filled surrounding.

    Parameters
    ----------
    receptive_field : (int, int, int)
        Of the encoder, voxels (odd): decides the margin.

    Raises
    ------
    ImageError
        ``standardise="reference"`` without a reference tissue, or a scale of zero.
    """
    orientation = nib.orientations.io_orientation(scan.affine)
    order = [int(axis) for axis in orientation[:, 0]]

    def canonical(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(nib.orientations.apply_orientation(values, orientation))

    mask = canonical(scan.mask)
    reference = None if scan.reference is None else canonical(scan.reference)
    volume = np.stack([canonical(channel) for channel in scan.volume])
    spacing = [0.0, 0.0, 0.0]
    for axis, place in enumerate(order):
        spacing[place] = scan.spacing[axis]
    amplitude = 0.0
    if how.bias_field == "n4":
        log_field = log_bias_field(volume, mask, spacing)
        amplitude = float(log_field[mask].std())
        volume = volume * np.exp(-log_field)
    scales, how_scaled = scale_factors(volume, mask, reference, how.standardise)
    box = _box(mask, margin=2)
    volume, mask = volume[:, *box], mask[box]
    target = tuple(spacing) if how.spacing_mm is None else how.spacing_mm
    shape = tuple(
        n if abs(old / new - 1) < 0.01 else max(1, round(n * old / new))
        for n, old, new in zip(mask.shape, spacing, target, strict=True)
    )
    if shape != mask.shape:
        index = [_nearest(n, m) for n, m in zip(shape, mask.shape, strict=True)]
        volume = np.stack([_linear(channel, shape) for channel in volume])
        mask = mask[np.ix_(*index)]
        if not mask.any():
            raise UnusableImage(
                "the liver vanishes on the working grid", cure="use a finer spacing_mm"
            )
    volume = np.asarray(volume / scales[:, None, None, None], dtype=np.float32)
    working_box = _box(mask, margin=0)
    back = _Back(scan.mask, orientation, box, canonical(scan.mask).shape, working_box, mask)
    small = np.ascontiguousarray(mask[working_box])  # orientation may have flipped axes
    filled = fill_outside(volume, mask, working_box, receptive_field)
    quality = quality_numbers(scan, volume, mask, amplitude)
    quality["SCALED"] = how_scaled
    return Prepared(filled, small, quality, back)


def scale_factors(
    volume: Floats, mask: Bools, reference: Bools | None, standardise: Standardise
) -> tuple[Floats, str]:
    """Divisor of each channel, (C,), and what it was taken from (see `Preparation`)."""
    if standardise == "none":
        return np.ones(len(volume), np.float32), "none"
    if standardise == "reference":
        if reference is None:
            cure = "give reference_label, or fit with standardise='tail'"
            raise UnusableImage("no reference tissue in the mask", cure=cure, column="MASK")
        values, source = np.median(volume[:, reference], axis=1), "reference"
    else:
        values, source = _tail(volume, mask, reference)
    if not (np.isfinite(values).all() and (values > 0).all()):
        cure = "check the image and the reference tissue"
        raise UnusableImage("a channel has no signal to scale by", cure=cure, detail=source)
    return values.astype(np.float32), source


def _tail(volume: Floats, mask: Bools, reference: Bools | None) -> tuple[Floats, str]:
    outside = ~mask if reference is None else ~(mask | reference)
    values, source = [], "body"
    for channel in volume:
        liver = channel[mask]
        body = channel[outside]
        body = body[body > 0.3 * np.median(liver)]
        if len(body) >= max(500, len(liver) // 4):
            values.append(np.median(body))
        else:
            values.append(np.percentile(liver, 75))
            source = "liver"
    return np.array(values, np.float32), source


def fill_outside(
    volume: Floats, mask: Bools, box: tuple[slice, slice, slice], receptive_field: Sequence[int]
) -> Floats:
    """Cut out the box of the liver with a margin, the outside mirrored inwards.

    A voxel outside the liver gets the value as deep inside the surface as it lies outside, or,
    where that is outside again, the value of the nearest liver voxel. What the encoder sees of
    the surroundings is then tissue of the liver, with its texture.
    """
    margin = [(need - 1) // 2 for need in receptive_field]
    pads = [(m, need - 1 - m) for m, need in zip(margin, receptive_field, strict=True)]
    small = np.pad(mask[box], pads)
    inner = np.pad(volume[:, *box], [(0, 0), *pads])
    nearest = ndimage.distance_transform_edt(~small, return_distances=False, return_indices=True)
    where: Any = np.nonzero(~small)
    surface: Any = nearest[:, *where]
    mirrored = 2 * surface - np.stack(where)
    for axis, length in enumerate(small.shape):
        np.clip(mirrored[axis], 0, length - 1, out=mirrored[axis])
    lands = small[tuple(mirrored)]
    source: Any = np.where(lands, mirrored, surface)
    inner[:, *where] = inner[:, *source]
    return np.ascontiguousarray(inner, dtype=np.float32)


def quality_numbers(
    scan: Scan, volume: Floats, mask: Bools, bias_amplitude: float
) -> dict[str, Any]:
    """Numbers on a scan for the dataset ``adscan``.

    Returns
    -------
    dict
        ``NVOX`` voxels and ``VOLML`` millilitres of the mask on its own grid; ``SNR`` median
        signal over noise of the worst channel in the liver (noise from the second difference in
        plane, Immerkaer 1996, by its median absolute value); ``BIASSD`` standard deviation of the
        logarithm of the bias field in the liver, mean of the channels; ``NCOMP`` connected parts
        of the mask; ``BORDERFL`` Y where the mask touches the edge of the image.
    """
    touches = any(
        bool(np.take(scan.mask, index, axis=axis).any()) for axis in range(3) for index in (0, -1)
    )
    ratios = []
    core = mask[1:-1, 1:-1] & mask[2:, 1:-1] & mask[:-2, 1:-1] & mask[1:-1, 2:] & mask[1:-1, :-2]
    for channel in volume:
        across = channel[2:] - 2 * channel[1:-1] + channel[:-2]
        second = across[:, 2:] - 2 * across[:, 1:-1] + across[:, :-2]
        values = np.abs(second[core])
        noise = 1.4826 * float(np.median(values)) / 6.0 if len(values) else np.nan
        ratios.append(float(np.median(channel[mask])) / noise if noise > 0 else np.nan)
    finite = [ratio for ratio in ratios if np.isfinite(ratio)]
    return {
        "NVOX": scan.n_voxels,
        "VOLML": scan.volume_ml,
        "SNR": min(finite) if finite else np.nan,
        "BIASSD": bias_amplitude,
        "NCOMP": int(ndimage.label(scan.mask)[1]),
        "BORDERFL": "Y" if touches else "N",
    }


def _box(mask: Bools, *, margin: int) -> tuple[slice, slice, slice]:
    found = []
    for axis, length in enumerate(mask.shape):
        where = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        found.append(
            slice(max(0, int(where[0]) - margin), min(length, int(where[-1]) + 1 + margin))
        )
    return (found[0], found[1], found[2])


def _nearest(n_new: int, n_old: int) -> NDArray[np.intp]:
    """Index of the old voxel at the centre of each new one, over the same extent."""
    where = np.floor((np.arange(n_new) + 0.5) * n_old / n_new).astype(np.intp)
    return np.clip(where, 0, n_old - 1)


def _linear(values: Floats, shape: Sequence[int]) -> Floats:
    """Linear resampling over the same extent, averaging first where the new grid is coarser."""
    blur = [max(0.0, 0.35 * (old / new - 1)) for old, new in zip(values.shape, shape, strict=True)]
    out = ndimage.gaussian_filter(values, blur) if any(blur) else values
    for axis, (new, old) in enumerate(zip(shape, values.shape, strict=True)):
        if new == old:
            continue
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.minimum(place.astype(np.intp), max(old - 2, 0))
        weight = (place - low).astype(np.float32)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(3)])
        high = np.minimum(low + 1, old - 1)
        out = out.take(low, axis) * (1 - weight) + out.take(high, axis) * weight
    return np.asarray(out, dtype=np.float32)
