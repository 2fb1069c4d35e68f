"""Shape of the liver: the morphological features of the IBSI that need no intensities but one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from livertrack.imaging.scan import Bools, Floats, Spacing

#: terms of the series of the surface of an ellipsoid
_SERIES = 20


def shape_features(volume: Floats, mask: Bools, spacing: Spacing) -> dict[str, float]:
    """Features by their IBSI code.

    Parameters
    ----------
    volume : array
        One channel (x, y, z); weighs the centre of mass of KLMA only.
    mask : array
        Liver (x, y, z), bool.
    spacing : (float, float, float)
        Voxel size, mm: lengths are in mm, areas in mm2, volumes in mm3.

    Notes
    -----
    The mesh is that of marching cubes at the level 0.5. Features of a mesh or a hull are NaN where
    there is none (a single plane of voxels).
    """
    from skimage.measure import marching_cubes, mesh_surface_area

    steps = np.asarray(spacing, float)
    places = np.argwhere(mask) * steps
    padded = np.pad(mask, 1).astype(np.float32)
    corners, faces, _, _ = marching_cubes(padded, 0.5, spacing=tuple(steps))
    area = float(mesh_surface_area(corners, faces))
    a, b, c = (corners[faces[:, k]] - corners.mean(axis=0) for k in range(3))
    bulk = abs(float((np.cross(b, c) * a).sum())) / 6
    out = {
        "RNU0": bulk,
        "YEKZ": len(places) * float(steps.prod()),
        "C0JK": area,
        "2PR5": area / bulk,
        "SKGS": bulk / (math.sqrt(math.pi) * area**1.5),
        "BQWJ": 36 * math.pi * bulk**2 / area**3,
        "KRCK": area / (36 * math.pi * bulk**2) ** (1 / 3),
        "QCFX": (36 * math.pi * bulk**2) ** (1 / 3) / area,
        "25C7": (area**3 / (36 * math.pi * bulk**2)) ** (1 / 3) - 1,
        "KLMA": _shift(volume[mask].astype(float), places),
    }
    extent = corners.max(axis=0) - corners.min(axis=0)
    box = 2 * float(extent[0] * extent[1] + extent[0] * extent[2] + extent[1] * extent[2])
    return (
        out
        | _axes(places, bulk, area)
        | {"PBX1": bulk / float(extent.prod()), "R59B": area / box}
        | _hull(corners, bulk, area)
    )


def _shift(values: NDArray[np.float64], places: NDArray[np.float64]) -> float:
    """Distance between the centre of the voxels and that weighted by intensity, mm."""
    total = values.sum()
    if total == 0:
        return math.nan
    return float(np.linalg.norm(places.mean(axis=0) - values @ places / total))


def _axes(places: NDArray[np.float64], bulk: float, area: float) -> dict[str, float]:
    """Axes of the ellipsoid with the voxels' covariance, and its volume and surface."""
    spread = np.cov(places.T) if len(places) > 1 else np.zeros((3, 3))
    least, minor, major = np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 0))
    ratio = (minor / major, least / major) if major > 0 else (math.nan, math.nan)
    ellipsoid = 4 / 3 * math.pi * 8 * major * minor * least
    surface = _ellipsoid_surface(2 * major, 2 * minor, 2 * least)
    return {
        "TDIC": 4 * major, "P9VJ": 4 * minor, "7J51": 4 * least, "Q3CK": ratio[0],
        "N17B": ratio[1], "6BDE": bulk / ellipsoid if ellipsoid > 0 else math.nan,
        "RDD2": area / surface if surface > 0 else math.nan,
    }  # fmt: skip


def _ellipsoid_surface(a: float, b: float, c: float) -> float:
    """Surface of an ellipsoid with semi-axes a >= b >= c, by Maas' series as in the IBSI."""
    if a <= 0 or b <= 0:
        return 0.0
    alpha, beta = math.sqrt(1 - (b / a) ** 2), math.sqrt(max(1 - (c / a) ** 2, 0.0))
    product = alpha * beta
    x = (alpha**2 + beta**2) / (2 * product) if product > 0 else 1.0
    legendre = np.polynomial.legendre.Legendre
    terms = [product**k / (1 - 4 * k**2) * float(legendre.basis(k)(x)) for k in range(_SERIES + 1)]
    return 4 * math.pi * a * b * float(np.sum(terms))


def _hull(corners: NDArray[np.float64], bulk: float, area: float) -> dict[str, float]:
    try:
        hull = ConvexHull(corners)
    except QhullError:
        return {"L0JK": math.nan, "R3ER": math.nan, "7T7F": math.nan}
    widest = float(pdist(corners[hull.vertices]).max())
    return {"L0JK": widest, "R3ER": bulk / hull.volume, "7T7F": area / hull.area}
