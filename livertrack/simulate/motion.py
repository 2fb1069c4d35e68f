"""Breathing: the liver lies elsewhere, and has another shape, in every breath-hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from livertrack.simulate.fields import smooth_field

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

        The voxel at position ``p`` of the scan shows the reference anatomy at ``p + displacement``.
        """
        grid = np.meshgrid(
            *[
                np.linspace(0, points - 1, n)
                for points, n in zip(self.control.shape[1:], shape, strict=True)
            ],
            indexing="ij",
        )
        smooth = [
            ndimage.map_coordinates(part, grid, order=1, mode="nearest") for part in self.control
        ]
        moved: np.ndarray = np.stack(smooth) + self.translation[:, None, None, None]
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


def pull(
    volume: np.ndarray, displacement: np.ndarray, spacing: Sequence[float], *, order: int,
    where: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Resample a volume of the reference anatomy at displaced positions.

    Parameters
    ----------
    volume : array (x, y, z)
        In the reference anatomy.
    displacement : array (3, x, y, z)
        In mm.
    spacing : (float, float, float)
        Voxel size, mm.
    order : int
        Spline order: 0 for label maps, 1 for smooth fields. With order 3 the volume holds spline
        coefficients (``scipy.ndimage.spline_filter``), so that they are computed once.
    where : boolean array (x, y, z), optional
        Only these voxels are resampled, and the result is a flat array of them.

    Returns
    -------
    array (x, y, z) or (n,), of the type of the volume
    """
    if where is None:
        index = np.ogrid[tuple(slice(n) for n in volume.shape)]
        moved = displacement
    else:
        index = np.nonzero(where)
        moved = displacement[:, where]
    places = [
        axis + shift / np.float32(step)
        for axis, shift, step in zip(index, moved, spacing, strict=True)
    ]
    values = ndimage.map_coordinates(volume, places, order=order, mode="nearest", prefilter=False)
    resampled: np.ndarray = values
    return resampled
