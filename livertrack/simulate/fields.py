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
    sigma = np.minimum(scales / np.asarray(spacing, float), np.asarray(shape) / 4)
    noise = rng.standard_normal(tuple(shape), dtype=np.float32)
    field = ndimage.gaussian_filter(noise, sigma, mode="wrap", truncate=3.0)
    field -= field.mean()
    spread = float(field.std())
    return field / spread if spread > 0 else field


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
    return (ranks + 0.5) / max(values.size, 1)
