"""Least-squares alignment of features sampled at points: rigid, affine, then a smooth grid.

Everything is in millimetres of the images' common world frame. Gauss-Newton on a few thousand
fixed points: no random sampling, no threads, the same numbers every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.floating[Any]]

#: A step that moves no point by more than this ends the search, mm.
STEP_MM = 0.02


@dataclass(frozen=True)
class Feature:
    """A volume of the follow-up scan to be matched at points of the baseline.

    Attributes
    ----------
    target : array (points,)
        Values of the baseline feature.
    volume : array (x, y, z)
        Feature of the follow-up on its grid.
    gradient : array (3, x, y, z)
        Its derivatives per voxel.
    weight : float
        Weight of a squared residual.
    """

    target: Array
    volume: Array
    gradient: Array
    weight: float

    @classmethod
    def of(cls, target: Array, volume: Array, weight: float) -> Feature:
        """Feature with the gradients of ``volume``."""
        steps = [
            np.gradient(volume, axis=axis) if volume.shape[axis] > 1 else np.zeros_like(volume)
            for axis in range(3)
        ]
        return cls(target, volume, np.stack(steps), weight)


@dataclass(frozen=True)
class Smooth:
    """Cubic B-spline displacement on a regular grid of control points.

    Attributes
    ----------
    low : array (3,)
        Corner of the box, mm.
    spacing : float
        Distance of control points, mm.
    coefficients : array (3, i, j, k)
        Displacements of the control points, mm; zero outside the box.
    """

    low: Array
    spacing: float
    coefficients: Array

    def basis(self, points: Array) -> Array:
        """Weights of the control points at ``points``: array (points, i x j x k)."""
        parts = [
            _cubic((points[:, a] - self.low[a]) / self.spacing, self.coefficients.shape[1 + a])
            for a in range(3)
        ]
        outer = (
            parts[0][:, :, None, None] * parts[1][:, None, :, None] * parts[2][:, None, None, :]
        )
        return np.asarray(outer.reshape(len(points), -1))

    def __call__(self, points: Array) -> Array:
        """Displacement at ``points`` (n, 3), mm."""
        flat = self.coefficients.reshape(3, -1)
        blocks = [
            self.basis(points[start : start + 4096]) @ flat.T
            for start in range(0, len(points), 4096)
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, 3))


def _cubic(place: Array, n: int) -> Array:
    """Values of ``n`` uniform cubic B-splines; places beyond the grid are moved to its edge."""
    place = np.clip(place, 0.0, n - 3 - 1e-9)
    cell = np.floor(place).astype(int)
    f = place - cell
    parts = [(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3]
    weights = np.zeros((len(place), n))
    for shift, part in enumerate(parts):
        weights[np.arange(len(place)), cell + shift] = part / 6
    return weights


def _sample(volume: Array, index: Array) -> Array:
    return np.asarray(ndimage.map_coordinates(volume, index.T, order=1, mode="nearest"))


def _normal_parts(
    features: Sequence[Feature], index: Array, to_voxel: Array
) -> list[tuple[Array, Array, float]]:
    """Residual (points,), gradient per mm (points, 3) and weight of each feature."""
    found: list[tuple[Array, Array, float]] = []
    for feature in features:
        residual = _sample(feature.volume, index) - feature.target
        per_voxel = np.stack([_sample(part, index) for part in feature.gradient], axis=1)
        found.append((residual, per_voxel @ to_voxel, feature.weight))
    return found


def linear(
    features: Sequence[Feature],
    points: Array,
    to_voxel: Array,
    start: Array,
    *,
    affine: bool,
    matrix: Array | None = None,
    iterations: int = 40,
) -> tuple[Array, Array, bool]:
    """Rigid or affine map of ``points`` that makes the features agree.

    Parameters
    ----------
    points : array (n, 3)
        Of the baseline, mm.
    to_voxel : array (4, 4)
        World to voxel index of the follow-up.
    start : array (3,)
        Offset to begin with, mm.
    matrix : array (3, 3), optional
        Matrix to begin with; none is the identity.

    Returns
    -------
    matrix : array (3, 3)
    offset : array (3,)
        A baseline point ``p`` lies at ``matrix @ p + offset`` in the follow-up.
    converged : bool
    """
    centre = points.mean(axis=0)
    arm = points - centre
    reach = float(np.sqrt((arm**2).sum(axis=1).max()))
    matrix = np.eye(3) if matrix is None else matrix
    shift, converged = start + matrix @ centre - centre, False
    axes, offset = to_voxel[:3, :3], to_voxel[:3, 3]
    for _ in range(iterations):
        turned = arm @ matrix.T
        index = (turned + centre + shift) @ axes.T + offset
        size = 12 if affine else 6
        normal, slope = np.zeros((size, size)), np.zeros(size)
        for residual, gradient, weight in _normal_parts(features, index, axes):
            if affine:
                turning = (gradient[:, :, None] * turned[:, None, :]).reshape(len(turned), 9)
            else:
                turning = np.cross(turned, gradient)
            jacobian = np.concatenate([gradient, turning], axis=1)
            normal += weight * jacobian.T @ jacobian
            slope += weight * jacobian.T @ residual
        ridge = np.diag(normal).max(initial=0.0) * 1e-9 + 1e-12
        step = -np.linalg.solve(normal + ridge * np.eye(size), slope)
        shift = shift + step[:3]
        if affine:
            matrix = (np.eye(3) + step[3:].reshape(3, 3)) @ matrix
        else:
            matrix = _rotation(step[3:]) @ matrix
        if np.abs(step[:3]).max() + reach * np.abs(step[3:]).max() < STEP_MM:
            converged = True
            break
    return matrix, centre + shift - matrix @ centre, converged


def _rotation(vector: Array) -> Array:
    """Rotation matrix of a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    if angle < 1e-12:
        return np.asarray(np.eye(3) + cross)
    sine, cosine = np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2
    return np.asarray(np.eye(3) + sine * cross + cosine * cross @ cross)


def smooth(
    features: Sequence[Feature],
    points: Array,
    start: Array,
    to_voxel: Array,
    *,
    control_mm: float,
    stiffness: float,
    iterations: int = 6,
) -> Smooth:
    """Smooth displacement, added to ``start``, that makes the features agree.

    Parameters
    ----------
    points : array (n, 3)
        Of the baseline, mm.
    start : array (n, 3)
        Where a linear map puts them in the follow-up, mm.
    control_mm : float
        Distance of control points, mm.
    stiffness : float
        Weight of the bending energy of the control points, and a third of it of their differences.

    Returns
    -------
    Smooth
    """
    low = points.min(axis=0)
    size = np.ceil((points.max(axis=0) - low) / control_mm + 1e-9).astype(int) + 3
    grid = Smooth(low, control_mm, np.zeros((3, *size)))
    basis = grid.basis(points)
    n_points, n = basis.shape
    penalty = stiffness * (_bending(size) + _differences(size) / 3)
    theta = np.zeros((3, n))
    axes, offset = to_voxel[:3, :3], to_voxel[:3, 3]
    for _ in range(iterations):
        index = (start + basis @ theta.T) @ axes.T + offset
        curvature, pull = np.zeros((n_points, 3, 3)), np.zeros((n_points, 3))
        for residual, gradient, weight in _normal_parts(features, index, axes):
            curvature += weight * gradient[:, :, None] * gradient[:, None, :]
            pull += weight * gradient * residual[:, None]
        normal, slope = np.zeros((3 * n, 3 * n)), np.zeros(3 * n)
        for a in range(3):
            rows = slice(a * n, (a + 1) * n)
            slope[rows] = basis.T @ pull[:, a] / n_points + penalty @ theta[a]
            for b in range(a, 3):
                columns = slice(b * n, (b + 1) * n)
                block = basis.T @ (basis * (curvature[:, a, b] / n_points)[:, None])
                normal[rows, columns] = block
                normal[columns, rows] = block.T
            normal[rows, rows] += penalty
        normal[np.diag_indices(3 * n)] += 1e-8
        step = -np.linalg.solve(normal, slope).reshape(3, n)
        theta += step
        if np.abs(step).max() < 5 * STEP_MM:
            break
    return Smooth(low, control_mm, theta.reshape(3, *size))


def _along(matrices: Sequence[Array]) -> Array:
    return np.asarray(np.kron(np.kron(matrices[0], matrices[1]), matrices[2]))


def _energy(size: Array, powers: Sequence[int]) -> Array:
    """Squared mixed finite differences of the given order along each axis."""
    parts = []
    for n, power in zip(size, powers, strict=True):
        step = np.diff(np.eye(int(n)), n=power, axis=0) if power else np.eye(int(n))
        parts.append(step.T @ step)
    return _along(parts)


def _bending(size: Array) -> Array:
    pure = [_energy(size, powers) for powers in ((2, 0, 0), (0, 2, 0), (0, 0, 2))]
    mixed = [_energy(size, powers) for powers in ((1, 1, 0), (1, 0, 1), (0, 1, 1))]
    return np.asarray(sum(pure) + 2 * sum(mixed))


def _differences(size: Array) -> Array:
    return np.asarray(sum(_energy(size, powers) for powers in ((1, 0, 0), (0, 1, 0), (0, 0, 1))))
