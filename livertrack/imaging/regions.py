"""Regions of the liver in which signatures are counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.imaging.scan import Bools, Spacing

#: REGION of the whole liver
WHOLE = ""


def capsule_shells(mask: Bools, spacing: Spacing, n_shells: int) -> NDArray[np.int16]:
    """Shells of equal volume from the capsule to the core.

    Parameters
    ----------
    mask : array
        Liver, bool (x, y, z).
    spacing : (float, float, float)
        Voxel size, mm.
    n_shells : int
        Number of shells; 0 gives none.

    Returns
    -------
    array
        1 (outermost) to ``n_shells`` in the mask, 0 outside. The depth of a voxel is its distance
        to the nearest voxel outside, mm; the edge of the image counts as inside, so that a liver
        cut off by the field of view has no capsule there. Voxels of equal depth share a shell, so
        volumes are equal up to ties.
    """
    shells = np.zeros(mask.shape, np.int16)
    if n_shells < 1:
        return shells
    if mask.all():
        shells[mask] = n_shells
        return shells
    depth = ndimage.distance_transform_edt(mask, sampling=spacing)[mask]
    cuts = np.quantile(depth, np.arange(1, n_shells) / n_shells)
    shells[mask] = 1 + np.searchsorted(cuts, depth, side="left")
    return shells


def region_counts(
    labels: NDArray[np.int16], mask: Bools, spacing: Spacing, n_types: int, n_shells: int
) -> dict[str, list[int]]:
    """Voxels of each type, 1..K, by REGION: the whole liver (blank) and SHELL1, SHELL2, ..."""
    counts = {WHOLE: _count(labels[mask], n_types)}
    shells = capsule_shells(mask, spacing, n_shells)
    for number in range(1, n_shells + 1):
        counts[f"SHELL{number}"] = _count(labels[shells == number], n_types)
    return counts


def _count(labels: NDArray[np.int16], n_types: int) -> list[int]:
    return [int(n) for n in np.bincount(labels, minlength=n_types + 1)[1:]]
