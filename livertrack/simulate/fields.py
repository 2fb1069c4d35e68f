"""Smooth Gaussian random fields on a voxel grid, and ranks of them inside a region."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def smooth_field(
    rng: np.random.Generator,
    shape: Sequence[int],
    spacing: Sequence[float],
    scale: float | Sequence[float],
) -> np.ndarray:
    """Stationary Gaussian random field, mean 0 and standard deviation 1.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    shape : (int, int, int)
        Voxels along x, y, z.
    spacing : (float, float, float)
        Voxel size, mm.
    scale : float or (float, float, float)
        Standard deviation of the Gaussian kernel that smooths white noise, mm; unequal values
        give an anisotropic field. Along an axis it is held below a quarter of the grid.

    Returns
    -------
    array (x, y, z), float32
    """
    scales = np.broadcast_to(np.asarray(scale, float), (3,))
    sizes = np.asarray(shape)
    sigma = np.minimum(scales / np.asarray(spacing, float), sizes / 4)
    # A field that is smooth over several voxels is drawn on a coarser grid and interpolated.
    step = np.maximum(1, (sigma / 2).astype(int))
    points = np.maximum((sizes - 2) // step + 2, 1)
    noise = rng.standard_normal(tuple(points), dtype=np.float32)
    field = ndimage.gaussian_filter(noise, sigma / step, mode="wrap", truncate=3.0)
    for axis, n in enumerate(sizes):
        if step[axis] > 1:
            field = interpolate(field, np.arange(n) / step[axis], axis=axis)
    field = np.ascontiguousarray(field[tuple(slice(n) for n in sizes)])
    field -= field.mean()
    spread = float(field.std())
    return np.asarray(field / np.float32(spread)) if spread > 0 else field


def interpolate(field: np.ndarray, places: np.ndarray, *, axis: int) -> np.ndarray:
    """Linear interpolation along one axis.

    Parameters
    ----------
    field : array
        Values at 0, 1, 2, ... along the axis.
    places : array (n,)
        Where they are wanted; places outside take the value at the end.
    axis : int
        The axis that is replaced by one of length n.
    """
    last = field.shape[axis] - 1
    below = np.clip(places.astype(int), 0, max(last - 1, 0))
    above = np.minimum(below + 1, last)
    part = np.clip(places - below, 0.0, 1.0).astype(np.float32)
    part = part.reshape([-1 if a == axis else 1 for a in range(field.ndim)])
    low, high = field.take(below, axis=axis), field.take(above, axis=axis)
    values: np.ndarray = low + (high - low) * part
    return values


def ranks_within(field: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Rank of each voxel of a region, from 0 (lowest) to 1 (exclusive).

    Parameters
    ----------
    field : array (x, y, z)
        Any field.
    region : boolean array (x, y, z)
        Voxels that are ranked.

    Returns
    -------
    array (n,), one value per voxel of the region in array order
        (rank + 0.5) / n; ties are broken by position.
    """
    values = field[region]
    ranks = np.empty(values.size)
    ranks[np.argsort(values, kind="stable")] = np.arange(values.size)
    return np.asarray((ranks + 0.5) / max(values.size, 1))
