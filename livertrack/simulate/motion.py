"""Breathing: the liver lies elsewhere, and has another shape, in every breath-hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from livertrack.simulate.fields import interpolate, smooth_field

#: Distance of the control points of a deformation, mm.
CONTROL_MM = 24.0


@dataclass(frozen=True)
class Motion:
    """Where each voxel of a scan lies in the subject's reference anatomy.

    Attributes
    ----------
    translation : array (3,)
        Shift of the whole, mm.
    control : array (3, i, j, k)
        Smooth displacement at control points, mm; trilinear between them, the first and last
        points at the first and last voxels.
    """

    translation: np.ndarray
    control: np.ndarray

    def displacement(self, shape: Sequence[int]) -> np.ndarray:
        """Displacement at every voxel, array (3, x, y, z), mm.

        The voxel at ``p`` of the scan shows the reference anatomy at ``p + displacement``.
        """
        smooth = self.control
        for axis, n in enumerate(shape, start=1):
            places = np.linspace(0, self.control.shape[axis] - 1, n)
            smooth = interpolate(smooth, places, axis=axis)
        moved: np.ndarray = smooth + self.translation[:, None, None, None]
        return moved.astype(np.float32)


def draw_motion(
    rng: np.random.Generator,
    *,
    shape: Sequence[int],
    spacing: Sequence[float],
    breathing_mm: float,
    deformation_mm: float,
) -> Motion:
    """Draw the position of one breath-hold.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    shape, spacing : (int, int, int), (float, float, float)
        Grid and voxel size in mm.
    breathing_mm : float
        Standard deviation, between two visits, of the shift along the body axis; it is a third of
        that across.
    deformation_mm : float
        Root mean square, between two visits, of the length of the smooth deformation.

    Returns
    -------
    Motion
        Each of two visits has its own, so both arguments are divided by the square root of two.
    """
    size = np.asarray(shape) * np.asarray(spacing)
    points = np.maximum(np.ceil(size / CONTROL_MM).astype(int) + 1, 3)
    steps = size / (points - 1)
    translation = rng.normal(0.0, breathing_mm / np.sqrt(2), 3) * np.array([1 / 3, 1 / 3, 1.0])
    control = np.stack([smooth_field(rng, points, steps, 1.2 * CONTROL_MM) for _ in range(3)])
    return Motion(translation, control * (deformation_mm / np.sqrt(6)))


def pull_labels(
    labels: np.ndarray, displacement: np.ndarray, spacing: Sequence[float]
) -> np.ndarray:
    """Label map of the reference anatomy at displaced positions, by nearest voxel.

    Parameters
    ----------
    labels : integer array (x, y, z)
        In the reference anatomy; its outermost voxels continue outside the grid.
    displacement : array (3, x, y, z)
        In mm.
    spacing : (float, float, float)
        Voxel size, mm.

    Returns
    -------
    array (x, y, z) of the type of ``labels``
    """
    places = []
    own = np.ogrid[tuple(slice(n) for n in labels.shape)]
    for axis, shift, step, n in zip(own, displacement, spacing, labels.shape, strict=True):
        near = np.rint(shift / np.float32(step) + axis.astype(np.float32)).astype(np.intp)
        places.append(np.clip(near, 0, n - 1))
    return np.asarray(labels[tuple(places)])


def pull_field(
    field: np.ndarray,
    where: np.ndarray,
    displacement: np.ndarray,
    spacing: Sequence[float],
    *,
    order: int,
) -> np.ndarray:
    """Field of the reference anatomy at displaced positions, only where asked for.

    Parameters
    ----------
    field : array (x, y, z)
        In the reference anatomy; spline coefficients (``scipy.ndimage.spline_filter``) where the
        order is above 1.
    where : boolean array (x, y, z)
        Voxels that are wanted.
    displacement : array (3, x, y, z)
        In mm.
    spacing : (float, float, float)
        Voxel size, mm.
    order : int
        Spline order.

    Returns
    -------
    array (n,), one value per voxel of ``where`` in array order
    """
    places = np.stack(
        [
            axis + shift[where] / np.float32(step)
            for axis, shift, step in zip(np.nonzero(where), displacement, spacing, strict=True)
        ]
    )
    return np.asarray(
        ndimage.map_coordinates(field, places, order=order, mode="nearest", prefilter=False)
    )
