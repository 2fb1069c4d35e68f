"""Making scanners comparable: grid, bias field, and a scale that does not erase disease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.errors import UsageError
from livertrack.imaging.bias_field import log_bias_field
from livertrack.imaging.channels import align_channels
from livertrack.imaging.quality import box_of
from livertrack.imaging.reading import UnusableImage
from livertrack.imaging.scan import Bools, Floats, Scan, Spacing

BiasField = Literal["n4", "none"]
Standardise = Literal["reference", "tail", "none"]
Align = Literal["none", "rigid"]


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
    align_channels : {"none", "rigid"}
        Whether the other channels are aligned to the first (see `align_channels`).
    divisors : tuple of float
        One per channel, or none: a channel in physical units (fat fraction, R2*) is divided by
        its number, and neither bias corrected nor standardised; 0 marks the other channels.
    """

    spacing_mm: Spacing | None = None
    bias_field: BiasField = "n4"
    standardise: Standardise = "reference"
    align_channels: Align = "none"
    divisors: tuple[float, ...] = ()

    def fixed(self, channels: int) -> NDArray[np.float32]:
        """Divisor of each channel in physical units, zero for the others, (C,)."""
        if not self.divisors:
            return np.zeros(channels, np.float32)
        if len(self.divisors) != channels:
            msg = f"{len(self.divisors)} divisors for {channels} channels; give one for each"
            raise UsageError(msg)
        return np.asarray(self.divisors, np.float32)


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
        What was done to the scan: ``BIASSD`` (standard deviation of the logarithm of the bias
        field in the liver), ``SCALED`` (what channels were divided by: reference, body, liver or
        none), and what `align_channels` found.
    """

    volume: Floats
    mask: Bools
    quality: Mapping[str, Any]
    _back: _Back = field(repr=False)

    def restore(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Values of the voxels of ``mask``, (n, ...) in C order, on the scan's own grid.

        Returns
        -------
        array
            (x, y, z, ...) of the same type; zero outside the scan's mask.
        """
        place = self._places
        out = np.zeros((*place.shape, *rows.shape[1:]), rows.dtype)
        inside = place > 0
        out[inside] = rows[place[inside] - 1]
        return out

    @cached_property
    def _places(self) -> NDArray[np.int32]:
        """Number (from 1) of the voxel of ``mask`` for each voxel of the scan's mask."""
        working = np.zeros(self.mask.shape, np.int32)
        working[self.mask] = np.arange(1, int(self.mask.sum()) + 1)
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

    def to_scan(self, numbers: NDArray[np.int32]) -> NDArray[np.int32]:
        """Number (from 1) of the working voxel nearest to each voxel of the scan's mask."""
        x, y, z = self.box
        box_shape = (x.stop - x.start, y.stop - y.start, z.stop - z.start)
        full: Any = np.zeros(self.working_mask.shape, np.int32)
        full[self.working_box] = numbers
        if full.shape != box_shape:
            index = [_nearest(new, old) for new, old in zip(box_shape, full.shape, strict=True)]
            full = full[np.ix_(*index)]
        canonical = np.zeros(self.shape, np.int32)
        canonical[self.box] = full
        back = nib.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], self.orientation)
        out = np.asarray(nib.orientations.apply_orientation(canonical, back), np.int32)
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
    fixed = how.fixed(len(scan.volume))
    quality: dict[str, Any] = {}
    if how.align_channels == "rigid":
        scan, facts = align_channels(scan)
        quality = facts
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
    scales, quality["SCALED"], volume, quality["BIASSD"] = _standardised(
        volume, mask, reference, how, fixed, spacing
    )
    box = box_of(mask, margin=2)
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
    working_box = box_of(mask, margin=0)
    back = _Back(scan.mask, orientation, box, canonical(scan.mask).shape, working_box, mask)
    small = np.ascontiguousarray(mask[working_box])  # orientation may have flipped axes
    filled = fill_outside(volume, mask, working_box, receptive_field)
    return Prepared(filled, small, quality, back)


def _standardised(
    volume: Floats, mask: Bools, reference: Bools | None, how: Preparation, fixed: Floats,
    spacing: Sequence[float],
) -> tuple[Floats, str, Floats, float]:  # fmt: skip
    """Divisors, what they were taken from, bias-corrected volume, and amplitude of the field."""
    other = fixed == 0
    scales, source, amplitude = fixed.copy(), "none", 0.0
    if other.any() and how.bias_field == "n4":
        log_field = log_bias_field(volume[other], mask, spacing)
        amplitude = float(log_field[mask].std())
        volume[other] *= np.exp(-log_field)
    if other.any():
        scales[other], source = scale_factors(volume[other], mask, reference, how.standardise)
    return scales, source, volume, amplitude


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
