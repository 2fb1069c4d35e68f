"""Rigid alignment of the sequences of one scan to the first of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.imaging._alignment import Array, Feature, linear
from livertrack.imaging.quality import box_of
from livertrack.imaging.scan import Bools, Floats, Scan

#: scales of the edges that are matched, first to last, mm
SCALES_MM = (8.0, 3.0)
#: edges this far around the liver are matched, mm
AROUND_MM = 12.0
#: a channel that would have to move further than this is left where it was, mm
FARTHEST_MM = 40.0
POINTS = 6000
#: a channel is moved where the misfit of edges falls to this part or less: resampling blurs
GAIN = 0.9


def align_channels(scan: Scan) -> tuple[Scan, dict[str, Any]]:
    """Move every channel but the first so that edges in and around the liver agree with its.

    Parameters
    ----------
    scan : Scan
        The mask is that of the first channel.

    Returns
    -------
    Scan
        Channels resampled linearly on the same grid; outside the field of view the nearest voxel
        counts.
    dict
        ``ALIGNMM`` mean displacement of the liver's voxels by the channel that moved most, mm;
        ``ALIGNFL`` Y where all channels are in place (moved, or edges would agree by less than a
        tenth better), N where the search for some channel did not settle and it was left.

    Notes
    -----
    The size of the intensity gradient, in units of its root mean square around the liver, is free
    of the contrast of a sequence; its squared differences are minimised over rigid movements of
    fixed points by Gauss-Newton, at 8 and then at 3 mm. Nothing is drawn at random.
    Checked against: known movements of simulated sequences (tests/imaging/test_channels.py).
    """
    affine = np.asarray(scan.affine, dtype=np.float64)
    points = _points(scan.mask, scan.spacing)
    places = points @ affine[:3, :3].T + affine[:3, 3]
    liver = np.argwhere(scan.mask) @ affine[:3, :3].T + affine[:3, 3]
    around = _around(scan.mask, scan.spacing)
    fixed = [_edges(scan.volume[0], around, scan.spacing, scale) for scale in SCALES_MM]
    channels, shifts, settled = [scan.volume[0]], [0.0], True
    for channel in scan.volume[1:]:
        found = _movement(channel, fixed, points, places, around, scan, affine)
        if found is None:
            settled = False
            channels.append(channel)
            continue
        matrix, offset, gain = found
        if gain > GAIN:
            channels.append(channel)
            continue
        shifts.append(_displacement(matrix, offset, liver))
        channels.append(_moved(channel, matrix, offset, affine))
    facts = {"ALIGNMM": max(shifts), "ALIGNFL": "Y" if settled else "N"}
    return replace(scan, volume=np.stack(channels)), facts


def _movement(
    channel: Floats, fixed: list[Array], points: NDArray[np.intp], places: Array, around: Bools,
    scan: Scan, affine: Array,
) -> tuple[Array, Array, float] | None:  # fmt: skip
    """Rigid map from the first channel to ``channel``, mm, and what is left of the misfit.

    None where the search does not settle, or ends far away.
    """
    to_voxel = np.linalg.inv(affine)
    at = tuple(points.T)
    matrix: Array = np.eye(3)
    offset: Array = np.zeros(3)
    moving: Array = np.zeros(0)
    converged = False
    for first, scale in zip(fixed, SCALES_MM, strict=True):
        moving = _edges(channel, around, scan.spacing, scale)
        feature = Feature.of(first[at], moving, 1.0)
        matrix, offset, converged = linear(
            [feature], places, to_voxel, offset, affine=False, matrix=matrix, iterations=60
        )
    target = fixed[-1][at]
    before = _misfit(moving, target, places, np.eye(3), np.zeros(3), to_voxel)
    after = _misfit(moving, target, places, matrix, offset, to_voxel)
    if not converged or _displacement(matrix, offset, places) > FARTHEST_MM:
        return None
    return matrix, offset, after / before if before > 0 else 1.0


def _misfit(
    moving: Array, target: Array, places: Array, matrix: Array, offset: Array, to_voxel: Array
) -> float:
    index = (places @ matrix.T + offset) @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    there = ndimage.map_coordinates(moving, index.T, order=1, mode="nearest")
    return float(((there - target) ** 2).mean())


def _displacement(matrix: Array, offset: Array, places: Array) -> float:
    return float(np.sqrt(((places @ matrix.T + offset - places) ** 2).sum(axis=1)).mean())


def _moved(channel: Floats, matrix: Array, offset: Array, affine: Array) -> Floats:
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = matrix, offset
    index = np.linalg.inv(affine) @ world @ affine
    moved = ndimage.affine_transform(channel, index[:3, :3], index[:3, 3], order=1, mode="nearest")
    return np.asarray(moved, dtype=np.float32)


def _edges(channel: Floats, around: Bools, spacing: tuple[float, ...], scale: float) -> Array:
    """Size of the gradient at a scale, in units of its root mean square around the liver."""
    sigma = [scale / 2 / step if n > 1 else 0.0
             for step, n in zip(spacing, channel.shape, strict=True)]  # fmt: skip
    low, high = np.percentile(channel[around], [1, 99])
    values = np.clip(channel, low, high).astype(np.float64)
    parts = [
        ndimage.gaussian_filter(values, sigma, order=[int(a == axis) for a in range(3)])
        / spacing[axis]
        for axis in range(3)
        if channel.shape[axis] > 1
    ]
    size = np.sqrt(np.sum(np.square(parts), axis=0))
    usual = float(np.sqrt((size[around] ** 2).mean()))
    return np.asarray(np.minimum(size / usual, 3.0) if usual > 0 else size)


def _around(mask: Bools, spacing: tuple[float, ...]) -> Bools:
    """The liver and what lies around it."""
    margin = round(max(AROUND_MM / step for step in spacing)) + 1
    box = box_of(mask, margin=margin)
    near = np.zeros_like(mask)
    near[box] = ndimage.distance_transform_edt(~mask[box], sampling=spacing) <= AROUND_MM
    return near


def _points(mask: Bools, spacing: tuple[float, ...]) -> NDArray[np.intp]:
    found = np.argwhere(_around(mask, spacing))
    return np.asarray(found[np.linspace(0, len(found) - 1, min(POINTS, len(found))).astype(int)])
