"""Anatomy of one subject: body, liver, spleen, vessels, as a map of tissue codes.

Positions are in mm from the centre of the field of view, as a radiologist sees an axial slice:
x grows towards the subject's left, y towards the back, z towards the head. The nominal anatomy
fits a field of view of 288 x 216 x 128 mm and is scaled to the one that is asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from livertrack.simulate import tissue
from livertrack.simulate.fields import smooth_field

Point = tuple[float, float, float]
NOMINAL_FOV = (288.0, 216.0, 128.0)


@dataclass(frozen=True)
class Anatomy:
    """What stays fixed in a subject between visits.

    Attributes
    ----------
    tissues : array (x, y, z), uint8
        Tissue codes; liver parenchyma is `tissue.NORMAL`, its vessels `tissue.VESSEL`.
    liver : boolean array (x, y, z)
        The liver, vessels included.
    right_lobe : boolean array (x, y, z)
        The part of the liver on the right of the portal bifurcation.
    spacing : (float, float, float)
        Voxel size, mm.
    """

    tissues: np.ndarray
    liver: np.ndarray
    right_lobe: np.ndarray
    spacing: tuple[float, float, float]

    @property
    def parenchyma(self) -> np.ndarray:
        """Liver without its vessels, boolean array (x, y, z)."""
        return np.asarray(self.liver & (self.tissues != tissue.VESSEL))


def draw_anatomy(
    rng: np.random.Generator,
    *,
    shape: Sequence[int],
    spacing: Sequence[float],
    bmi: float = 32.0,
) -> Anatomy:
    """Draw one subject's anatomy.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    shape, spacing : (int, int, int), (float, float, float)
        Grid and voxel size in mm.
    bmi : float
        Body mass index, kg/m2; sets the thickness of subcutaneous fat.

    Returns
    -------
    Anatomy
    """
    size = np.asarray(shape) * np.asarray(spacing)
    scale = float(np.min(size / np.asarray(NOMINAL_FOV)))
    x, y, z = _grid(shape, np.asarray(spacing) / scale)
    wobble = [smooth_field(rng, shape, spacing, 28.0 * scale) for _ in range(3)]
    wx, wy, wz = x + 4.0 * wobble[0], y + 4.0 * wobble[1], z + 4.0 * wobble[2]
    vary = rng.normal(1.0, 0.05, size=12)

    skin = float(np.clip(6.0 + 0.5 * (bmi - 22.0), 4.0, 16.0))
    body = _oval(x, y, (0, 4), (136, 98), power=2.5)
    wall = _oval(x, y, (0, 4), (136 - skin, 98 - skin), power=2.5)
    cavity = _oval(x, y, (0, 2), (128 - skin, 87 - skin), power=2.5)
    tissues = np.full(tuple(shape), tissue.AIR, dtype=np.uint8)
    tissues[body < 0] = tissue.SKIN_FAT
    tissues[wall < 0] = tissue.MUSCLE
    tissues[cavity < 0] = tissue.BELLY_FAT
    bowel = smooth_field(rng, shape, spacing, (11.0 * scale, 9.0 * scale, 9.0 * scale))
    tissues[(cavity < -0.08) & ((bowel > 0.1) | (z > 40))] = tissue.BOWEL

    def ball(centre: tuple[float, float, float], axes: tuple[float, float, float]) -> np.ndarray:
        return _ellipsoid(wx, wy, wz, centre, axes)

    tissues[(ball((-58, 48, -58), (24, 22, 40)) < 0)] = tissue.KIDNEY
    tissues[(ball((60, 52, -52), (23, 21, 42)) < 0)] = tissue.KIDNEY
    stomach = ball((58, -22, 4), (40 * vary[0], 34, 46))
    tissues[(stomach < 0) & (cavity < 0)] = tissue.MUSCLE
    tissues[(stomach < -0.22) & (cavity < 0)] = tissue.STOMACH
    tissues[(stomach < -0.22) & (cavity < 0) & (y < -34)] = tissue.AIR
    spine = _oval(x, y, (0, 62), (23, 20), power=2.2)
    tissues[_oval(x, y, (0, 84), (52, 20), power=2.4) < 0] = tissue.MUSCLE
    tissues[spine < 0] = tissue.MARROW
    tissues[_oval(x, y, (0, 86), (9, 7), power=2.0) < 0] = tissue.STOMACH

    inner = _oval(x, y, (0, 2), (124 - skin, 83 - skin), power=2.5)
    spleen = np.maximum(ball((84, 38, 6), (36, 42 * vary[1], 50 * vary[2])), inner * 3)
    spleen = np.maximum(spleen, -ball((62, 18, 6), (26, 28, 60)))
    liver = np.maximum(_liver(ball, vary), inner * 3)
    for hollow in (
        _oval(x, y, (-14, 34), (12, 11), power=2.0),
        _oval(x, y, (6, 56), (32, 26), power=2.2),
        ball((-34, -36, -44), (13, 20, 24)),
    ):
        liver = np.maximum(liver, -hollow)
    above = z - _diaphragm(x, y)
    lung = (above > 0) & (cavity < 0) & (spine > 0.35)
    tissues[lung] = tissue.LUNG
    spleen_mask = _largest((spleen < 0) & (above < 0))
    liver_mask = _largest((liver < 0) & (above < 0) & ~spleen_mask)
    tissues[(ball((-34, -36, -44), (10, 16, 20)) < 0) & ~lung] = tissue.BILE
    tissues[_oval(x, y, (-14, 34), (11, 9), power=2.0) < 0] = tissue.BLOOD
    tissues[_oval(x, y, (12, 36), (9, 9), power=2.0) < 0] = tissue.BLOOD
    tissues[spleen_mask] = tissue.SPLEEN
    tissues[liver_mask] = tissue.NORMAL
    tissues[_vessels(rng, (x, y, z), liver_mask)] = tissue.VESSEL
    right = liver_mask & (x < -22)
    dx, dy, dz = (float(step) for step in spacing)
    return Anatomy(tissues=tissues, liver=liver_mask, right_lobe=right, spacing=(dx, dy, dz))


def _grid(shape: Sequence[int], spacing: np.ndarray) -> list[np.ndarray]:
    axes = [
        ((np.arange(n) - (n - 1) / 2) * step).astype(np.float32)
        for n, step in zip(shape, spacing, strict=True)
    ]
    return list(np.meshgrid(*axes, indexing="ij"))


def _oval(
    x: np.ndarray,
    y: np.ndarray,
    centre: tuple[float, float],
    axes: tuple[float, float],
    power: float,
) -> np.ndarray:
    """Superellipse in the axial plane: below 0 inside."""
    distance: np.ndarray = (
        np.abs((x - centre[0]) / axes[0]) ** power + np.abs((y - centre[1]) / axes[1]) ** power
    )
    return distance - 1.0


def _ellipsoid(
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    centre: tuple[float, float, float],
    axes: tuple[float, float, float],
) -> np.ndarray:
    """Ellipsoid: distance in units of its axes minus 1, below 0 inside."""
    squared: np.ndarray = (
        ((x - centre[0]) / axes[0]) ** 2
        + ((y - centre[1]) / axes[1]) ** 2
        + ((z - centre[2]) / axes[2]) ** 2
    )
    return np.asarray(np.sqrt(squared) - 1.0)


def _liver(ball: Callable[[Point, Point], np.ndarray], vary: np.ndarray) -> np.ndarray:
    """Right lobe, left lobe and the tip between them, joined smoothly."""
    right = ball((-66, 8, -6), (60 * vary[3], 66 * vary[4], 60 * vary[5]))
    dome = ball((-60, 0, 26), (54, 56 * vary[6], 36))
    left = ball((-2, -38, 14 * vary[7]), (66 * vary[8], 27 * vary[9], 31 * vary[10]))
    caudate = ball((-18, 12, 6), (26, 20 * vary[11], 26))
    return _join(_join(_join(right, dome), left), caudate)


def _join(a: np.ndarray, b: np.ndarray, width: float = 0.18) -> np.ndarray:
    """Smooth minimum of two implicit shapes."""
    h = np.clip(0.5 + 0.5 * (b - a) / width, 0.0, 1.0)
    joined: np.ndarray = b + (a - b) * h - width * h * (1.0 - h)
    return joined


def _diaphragm(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of the diaphragm, mm: a dome over each side, the right one higher."""
    right = 58.0 - 0.006 * (x + 58) ** 2 - 0.007 * (y + 4) ** 2
    left = 52.0 - 0.007 * (x - 52) ** 2 - 0.007 * (y + 4) ** 2
    return np.maximum(right, left)


def _largest(mask: np.ndarray) -> np.ndarray:
    """Largest connected part, its holes filled."""
    parts, count = ndimage.label(mask)
    if count <= 1:
        return np.asarray(ndimage.binary_fill_holes(mask))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(parts == int(sizes.argmax())))


def _vessels(
    rng: np.random.Generator, grid: tuple[np.ndarray, ...], liver: np.ndarray
) -> np.ndarray:
    """Portal tree from the hilum and three hepatic veins to the vena cava."""
    points: list[np.ndarray] = []
    hilum, cava = np.array([-18.0, 4.0, -6.0]), np.array([-16.0, 26.0, 40.0])
    for target in ([-46, 8, -2], [-8, -30, 10]):
        _branch(rng, points, hilum, np.array(target, float), radius=7.0, depth=4)
    for target in ([-92, 12, 22], [-52, -36, 20], [12, -34, 22]):
        _branch(rng, points, cava, np.array(target, float), radius=6.0, depth=3)
    sampled = np.concatenate(points)
    inside = np.column_stack([axis[liver] for axis in grid])
    # Far from every branch the query gives infinity and an index past the end.
    reach = float(sampled[:, 3].max())
    distance, nearest = cKDTree(sampled[:, :3]).query(inside, k=3, distance_upper_bound=reach)
    wall = np.min(distance - np.append(sampled[:, 3], 0.0)[nearest], axis=1)
    vessels = np.zeros(liver.shape, bool)
    vessels[liver] = wall < 0
    return vessels


def _branch(
    rng: np.random.Generator,
    points: list[np.ndarray],
    start: np.ndarray,
    end: np.ndarray,
    *,
    radius: float,
    depth: int,
) -> None:
    """Append samples (x, y, z, radius) of a bent branch and of its two children."""
    along = np.linspace(0.0, 1.0, 24)[:, None]
    bend = rng.normal(0.0, 0.10, 3) * np.linalg.norm(end - start)
    path = start + (end - start) * along + bend * np.sin(np.pi * along)
    points.append(np.column_stack([path, radius * (1.0 - 0.3 * along[:, 0])]))
    if depth == 0:
        return
    direction = end - start
    for _ in range(2):
        turn = rng.normal(0.0, 0.55, 3) * np.linalg.norm(direction)
        child = end + 0.72 * direction + turn
        _branch(rng, points, path[-1], child, radius=0.72 * radius, depth=depth - 1)
