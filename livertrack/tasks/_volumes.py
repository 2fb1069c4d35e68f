"""From a volume and its liver mask to slabs of slices on one grid, relative to the liver."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.errors import DataError, UsageError
from livertrack.imaging.reading import read_header, read_voxels

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
#: millimetres of a shift between image and mask that rounding of headers explains
_SAME_PLACE = 0.5


@dataclass(frozen=True)
class SlabRules:
    """How slabs are cut out of a volume.

    Attributes
    ----------
    shape : (int, int)
        Pixels towards the right and towards the front, multiples of 4.
    pixel_mm, slice_mm : float
        Size of a pixel, and distance of the slices of a slab.
    depth : int
        Slices of a slab, odd.
    places : tuple of float
        Middle slices of the slabs: shares of the liver's volume that lie below.
    left_mm : float
        Shift of the window from the middle of the liver towards the subject's left, where the
        spleen is.
    """

    shape: tuple[int, int] = (80, 56)
    pixel_mm: float = 3.0
    slice_mm: float = 8.0
    depth: int = 3
    places: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    left_mm: float = 20.0

    def __post_init__(self) -> None:
        odd = self.depth % 2 == 1 and self.depth > 0
        inside = bool(self.places) and all(0 < place < 1 for place in self.places)
        fits = all(n % 4 == 0 for n in self.shape)
        if (
            not odd
            or not inside
            or not fits
            or min(self.pixel_mm, self.slice_mm, *self.shape) <= 0
        ):
            msg = (
                "slabs: depth is odd, places lie between 0 and 1, sizes are positive, pixels "
                "multiples of 4"
            )
            raise UsageError(msg)

    def settings(self) -> dict[str, Any]:
        """Plain values, which a model remembers."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class LiverVolume:
    """A volume with its liver, axes towards right, anterior, superior; voxel size in mm."""

    image: Floats
    mask: Bools
    spacing: tuple[float, float, float]

    @property
    def content(self) -> str:
        """Hash of the intensities: a volume that occurs twice has it twice."""
        return hashlib.sha256(np.ascontiguousarray(self.image).tobytes()).hexdigest()


def read_volume(image: Path, mask: Path, *, what: str) -> LiverVolume:
    """Read an image and its mask.

    Raises
    ------
    DataError
        The mask lies on another grid or is empty, voxels are not finite, a file is unreadable.
        ``what`` names the folder or table; no subject is named.
    """
    pictured, drawn = read_header(image), read_header(mask)
    near = np.abs(pictured.affine - drawn.affine).max() < _SAME_PLACE
    if pictured.shape != drawn.shape or not near:
        msg = (
            f"{what}: a mask lies on another grid ({drawn.shape}) than its image "
            f"({pictured.shape}); resample the mask"
        )
        raise DataError(msg)
    values, inside = read_voxels(pictured), read_voxels(drawn) > 0.5
    if not inside.any():
        msg = f"{what}: a mask is empty; remove the scan or draw its liver"
        raise DataError(msg)
    if not np.isfinite(values).all():
        msg = f"{what}: an image holds values that are not finite; export it again"
        raise DataError(msg)
    turn = nib.orientations.io_orientation(pictured.affine)
    spacing = np.empty(3)
    spacing[turn[:, 0].astype(int)] = pictured.spacing
    x, y, z = spacing.tolist()
    turned = nib.orientations.apply_orientation(values, turn)
    outlined = nib.orientations.apply_orientation(inside, turn)
    return LiverVolume(
        np.ascontiguousarray(turned, np.float32), np.ascontiguousarray(outlined, bool), (x, y, z)
    )


def as_read(image: NDArray[Any], mask: Bools, spacing: tuple[float, float, float]) -> LiverVolume:
    """Volume of a simulator's arrays, x towards left and y towards back, as its file reads."""
    turned = (np.ascontiguousarray(array[::-1, ::-1]) for array in (image, mask))
    values, inside = turned
    return LiverVolume(values.astype(np.float32), inside, spacing)


def slabs(volume: LiverVolume, rules: SlabRules) -> tuple[Floats, Floats]:
    """Slabs of a volume and of its mask, each (places, depth, x, y).

    The signal is relative to the median of the liver (0 there, -1 is none, at most 3), so that a
    scanner's gain drops out. Outside the volume there is no signal.
    """
    inside = volume.mask
    level = float(np.median(volume.image[inside]))
    if not level > 0:
        msg = "the median signal of a liver is not positive; magnitudes are needed"
        raise DataError(msg)
    centres = _window(inside, volume.spacing, rules)
    steps = np.array(volume.spacing)
    grid = [
        (np.arange(n) - (n - 1) / 2) * size
        for n, size in (
            (rules.depth, rules.slice_mm),
            (rules.shape[0], rules.pixel_mm),
            (rules.shape[1], rules.pixel_mm),
        )
    ]
    z, x, y = np.meshgrid(*grid, indexing="ij")
    signal = np.clip(volume.image / level - 1.0, -1.0, 3.0).astype(np.float32)
    sigma = [0.5 * max(rules.pixel_mm / step - 1.0, 0.0) for step in steps[:2]]
    if max(sigma) > 0:
        signal = ndimage.gaussian_filter(signal, (*sigma, 0.0), mode="nearest")
    pictures, livers = [], []
    for cx, cy, cz in centres:
        places = [(cx + x) / steps[0], (cy + y) / steps[1], (cz + z) / steps[2]]
        pictures.append(ndimage.map_coordinates(signal, places, order=1, cval=-1.0))
        livers.append(ndimage.map_coordinates(inside.astype(np.float32), places, order=1))
    return np.stack(pictures).astype(np.float32), np.stack(livers).astype(np.float32)


def unslabbed(maps: Floats, volume: LiverVolume, rules: SlabRules) -> Floats:
    """Maps of slabs (places, depth, x, y) on the volume's grid: mean where slabs overlap, else 0.

    Inverse of `slabs`, up to interpolation.
    """
    steps = np.array(volume.spacing)
    size = np.array([rules.pixel_mm, rules.pixel_mm, rules.slice_mm])
    half = (np.array([*rules.shape, rules.depth]) - 1) / 2
    total, seen = np.zeros(volume.mask.shape), np.zeros(volume.mask.shape)
    for found, centre in zip(maps, _window(volume.mask, volume.spacing, rules), strict=True):
        where: Any = {
            "matrix": steps / size, "offset": half - np.array(centre) / size,
            "output_shape": volume.mask.shape, "order": 1, "mode": "grid-constant",
        }  # fmt: skip
        turned = np.moveaxis(found, 0, 2).astype(float)
        total += ndimage.affine_transform(turned, **where)
        seen += ndimage.affine_transform(np.ones(turned.shape), **where)
    return np.asarray(np.where(seen > 0.5, total / np.maximum(seen, 0.5), 0.0), np.float32)


def stacked(
    volumes: Sequence[LiverVolume | None], rules: SlabRules
) -> tuple[Floats, Floats, Floats]:
    """Slabs of a subject's sequences: images and masks (places, sequences, depth, x, y), present.

    A missing sequence is all zeros, and 0 in ``present`` (sequences,).
    """
    shape = (len(rules.places), len(volumes), rules.depth, *rules.shape)
    images, masks = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for place, volume in enumerate(volumes):
        if volume is not None:
            images[:, place], masks[:, place] = slabs(volume, rules)
    present = np.array([volume is not None for volume in volumes], np.float32)
    return images, masks, present


def require_distinct(contents: Sequence[tuple[str, str, str]], *, what: str) -> None:
    """Refuse an image that two subjects share; ``contents`` are (sequence, subject, hash)."""
    owners: dict[tuple[str, str], set[str]] = {}
    for sequence, subject, content in contents:
        owners.setdefault((sequence, content), set()).add(subject)
    shared = sum(len(subjects) > 1 for subjects in owners.values())
    if shared:
        msg = f"{what}: {shared} image(s) belong to more than one subject; remove the copies"
        raise DataError(msg)


def _window(
    inside: Bools, spacing: tuple[float, float, float], rules: SlabRules
) -> list[tuple[float, float, float]]:
    """Middles of the slabs, mm from the first voxel."""
    lateral, frontal = (np.flatnonzero(inside.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    # towards the left is towards smaller x
    cx = (lateral[0] + lateral[-1]) / 2 * spacing[0] - rules.left_mm
    cy = (frontal[0] + frontal[-1]) / 2 * spacing[1]
    below = np.cumsum(inside.sum(axis=(0, 1))) / inside.sum()
    heights = [float(np.searchsorted(below, share)) * spacing[2] for share in rules.places]
    return [(cx, cy, height) for height in heights]
