"""Whether images lie on one grid, and how one is brought to the grid of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.imaging.image_file import Header, UnusableImage

#: what is said of a mask that cannot be brought to its image
OTHER_GRID = "the mask lies on another grid than the image"


def same_grid(one: Header, other: Header, *, tolerance: float = 0.01) -> bool:
    """Whether two files have the same shape and the same place of every corner (mm)."""
    if one.shape != other.shape:
        return False
    if not (one.placed and other.placed):
        return True
    corners = _corners(one.shape) @ (one.affine - other.affine).T
    return bool(np.abs(corners).max() <= max(tolerance, 1e-3))


def same_frame(one: Header, other: Header, *, tolerance: float = 0.02) -> bool:
    """Whether two grids differ in sampling only: axes parallel, extents nearly the same."""
    if not (one.placed and other.placed):
        return False
    direction = [h.affine[:3, :3] / np.array(h.spacing) for h in (one, other)]
    parallel = bool(np.abs(direction[0] - direction[1]).max() <= tolerance)
    centres = [h.affine @ np.append((np.array(h.shape) - 1) / 2, 1.0) for h in (one, other)]
    extents = [np.array(h.shape) * np.array(h.spacing) for h in (one, other)]
    step = max(*one.spacing, *other.spacing)
    near = bool(np.abs(centres[0] - centres[1]).max() <= step)
    return parallel and near and bool(np.abs(extents[0] - extents[1]).max() <= 2 * step)


def same_lattice(one: Header, other: Header) -> NDArray[np.float64] | None:
    """Map of voxel indices of ``one`` to those of ``other``, if axes are swapped or turned only.

    Returns
    -------
    array (4, 4) or None
        A signed permutation and a whole offset; None where voxels do not coincide (within a
        fiftieth of a voxel at every corner of ``one``).
    """
    if not (one.placed and other.placed):
        return None
    between = np.linalg.inv(other.affine) @ one.affine
    whole = np.rint(between)
    turned = np.abs(whole[:3, :3])
    if not ((turned.sum(axis=0) == 1).all() and (turned.sum(axis=1) == 1).all()):
        return None
    off = _corners(one.shape) @ (between - whole).T
    return whole if float(np.abs(off).max()) <= 0.02 else None


def covers(one: Header, other: Header) -> bool:
    """Whether every voxel of ``other`` is a voxel of ``one`` (see `same_lattice`)."""
    between = same_lattice(other, one)
    if between is None:
        return False
    corners = (_corners(other.shape) @ between.T)[:, :3]
    return bool((corners >= 0).all() and (corners < np.array(one.shape)).all())


def working_grid(images: Sequence[Header], mask: Header) -> Header:
    """Grid on which images and mask are analysed.

    It is that of the mask, or, for formats that store a mask's box only, that of the first image.

    Raises
    ------
    ImageError
        The first image does not lie on the grid of the mask (axes may be swapped or turned), or a
        further one has another field of view.
    """
    first, *others = images
    whole = same_grid(first, mask) or (covers(first, mask) and covers(mask, first))
    if not (whole or (mask.boxed and covers(first, mask))):
        detail = f"mask {mask.shape} of {_mm(mask)} mm, image {first.shape} of {_mm(first)} mm"
        raise UnusableImage(
            OTHER_GRID, cure="resample it to the image", file=mask.path.name, detail=detail,
            column="MASK",
        )  # fmt: skip
    grid = mask if whole and mask.placed else first
    if not grid.placed:
        raise UnusableImage(
            "neither image nor mask says where its voxels lie", cure="give the mask as NIfTI",
            file=mask.path.name, column="MASK",
        )  # fmt: skip
    for other in others:
        if not (same_grid(other, grid) or covers(other, grid) or same_frame(other, grid)):
            raise UnusableImage(
                "the sequence lies on another grid and field of view than the first",
                cure="register it to the first sequence", file=other.path.name, column="IMAGE",
            )  # fmt: skip
    return grid


def onto(values: NDArray[np.float32], header: Header, grid: Header) -> NDArray[np.float32]:
    """Voxels of an image on another grid.

    Voxels that coincide are taken as they are (zero where the image has none: a mask's box);
    else the sampling is linear, and outside the field of view the nearest voxel counts.
    """
    if same_grid(header, grid):
        return values
    between = same_lattice(header, grid)
    if between is not None and (covers(header, grid) or covers(grid, header)):
        return _placed(values, between, grid.shape)
    matrix = np.linalg.inv(header.affine) @ grid.affine
    moved = ndimage.affine_transform(
        values, matrix[:3, :3], matrix[:3, 3], output_shape=grid.shape, order=1, mode="nearest"
    )
    return np.asarray(moved, dtype=np.float32)


def _placed(
    values: NDArray[np.float32], between: NDArray[np.float64], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Copy voxels to their places on another grid of the same lattice."""
    axes = np.abs(between[:3, :3]).argmax(axis=1)
    signs = between[:3, :3].sum(axis=1)
    turned = values.transpose(*axes)
    turned = turned[tuple(slice(None, None, int(sign)) for sign in signs)]
    start = []
    for axis, sign in enumerate(signs):
        last = 0 if sign > 0 else turned.shape[axis] - 1
        start.append(round(between[axis, 3]) - last)
    into: list[slice] = []
    take: list[slice] = []
    for begin, length, room in zip(start, turned.shape, shape, strict=True):
        low, high = max(begin, 0), min(begin + length, room)
        into.append(slice(low, high))
        take.append(slice(low - begin, high - begin))
    out = np.zeros(shape, np.float32)
    out[tuple(into)] = turned[tuple(take)]
    return out


def _corners(shape: Sequence[int]) -> NDArray[np.float64]:
    ends: Any = [[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    corners = np.array(ends, dtype=np.float64)
    corners[:, :3] *= np.array(shape) - 1
    return corners


def _mm(header: Header) -> str:
    return " x ".join(f"{s:.3g}" for s in header.spacing)
