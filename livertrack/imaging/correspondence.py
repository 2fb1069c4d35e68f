"""Which point of the follow-up liver is which point of the baseline liver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.errors import UsageError
from livertrack.imaging._alignment import Array, Feature, Smooth, linear, smooth
from livertrack.imaging.scan import Scan

Method = Literal["rigid", "affine", "deformable"]

#: Distances from the surface beyond this are cut off, mm: they say nothing of where the liver is.
REACH_MM = 15.0
#: Scale of the local contrast that is matched inside the liver, mm; vessels are finer.
CONTRAST_MM = 6.0
#: Weight of a squared residual of local contrast (in its SD), all channels together, against 1 mm
#: of the surface distance squared.
CONTRAST_WEIGHT = 60.0
#: Distance of the control points of a deformation, mm, and its stiffness.
CONTROL_MM = 36.0
STIFFNESS = 0.0005
LINEAR_POINTS, SMOOTH_POINTS = 8000, 5000


@dataclass(frozen=True)
class Correspondence:
    """Map from baseline to follow-up, in mm of the images' common world frame.

    Attributes
    ----------
    matrix : array (3, 3)
    offset : array (3,)
        A baseline point ``p`` lies at ``matrix @ p + offset`` in the follow-up.
    smooth : Smooth or None
        Displacement added to that.
    quality : mapping
        ``dice_before, dice`` of the masks, ``surface_mm`` (mean distance of the baseline surface,
        carried over, from the follow-up surface), ``correlation`` (mean over channels, of
        intensities inside both livers), ``jacobian_low, jacobian_high`` (volume ratio of a voxel,
        1st and 99th percentile), ``jacobian_folded`` (voxels where space folds), ``shift_mm``
        (mean displacement), ``converged``.
    """

    matrix: Array
    offset: Array
    smooth: Smooth | None
    quality: dict[str, Any]

    def __call__(self, points: Array) -> Array:
        """Where baseline points (n, 3) lie in the follow-up, mm."""
        moved = points @ self.matrix.T + self.offset
        if self.smooth is not None:
            moved = moved + self.smooth(points)
        return moved


def register(baseline: Scan, follow_up: Scan, *, method: Method = "rigid") -> Correspondence:
    """Align a follow-up scan with the baseline inside the liver.

    Parameters
    ----------
    baseline, follow_up : Scan
        With affines to one world frame (mm); grids may differ. Channels are used where both
        scans have the same number of them and they vary.
    method : {"rigid", "affine", "deformable"}
        ``deformable`` adds a cubic B-spline displacement to the rigid map.

    Returns
    -------
    Correspondence

    Notes
    -----
    Squared residuals of the signed distance to the liver surface (mm, cut off at 15 mm) and of the
    local contrast of every channel (intensity less its local mean over 6 mm, in units of its SD in
    the liver: free of gain and receive field, and made of vessels and coarse structure) are
    minimised over fixed points by Gauss-Newton. Nothing is drawn at random; one thread.
    Checked against: known shifts, rotations and deformations, and SimpleITK
    (tests/imaging/test_correspondence.py).
    """
    if method not in ("rigid", "affine", "deformable"):
        msg = f"method is rigid, affine or deformable; got {method!r}"
        raise UsageError(msg)
    first, second = _Liver(baseline), _Liver(follow_up)
    points = _spread(np.argwhere(first.distance > -REACH_MM / 2), LINEAR_POINTS)
    places = first.world(points)
    start = second.centre - first.centre
    # the surface first: contrast has many local optima
    matrix, offset, _ = linear(
        _features(first, second, points, contrast=False), places, second.to_voxel, start,
        affine=False,
    )  # fmt: skip
    features = _features(first, second, points, contrast=True)
    matrix, offset, converged = linear(
        features, places, second.to_voxel, offset, matrix=matrix, affine=method == "affine"
    )
    field = None
    if method == "deformable":
        some = _spread(points, SMOOTH_POINTS)
        places = first.world(some)
        field = smooth(
            _features(first, second, some, contrast=True), places,
            places @ matrix.T + offset, second.to_voxel,
            control_mm=CONTROL_MM, stiffness=STIFFNESS,
        )  # fmt: skip
    found = Correspondence(matrix, offset, field, {"converged": converged})
    return replace(found, quality={**_quality(found, first, second), "converged": converged})


def carry(
    labels: NDArray[np.integer[Any]],
    follow_up: Scan,
    baseline: Scan,
    correspondence: Correspondence,
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Bring a label map of the follow-up to the baseline's liver voxels, by nearest neighbour.

    Returns
    -------
    carried : int16 array (voxels of the baseline mask,)
        In array order; 0 where the follow-up has no label.
    in_view : bool array (voxels of the baseline mask,)
        The voxel lies inside the follow-up's field of view.
    """
    index = follow_up_index(baseline, follow_up, correspondence)
    return _nearest(np.asarray(labels), index)


def follow_up_index(baseline: Scan, follow_up: Scan, found: Correspondence) -> Array:
    """Voxel index in the follow-up of every voxel of the baseline mask, in array order."""
    voxels = np.argwhere(baseline.mask)
    return _homogeneous(
        np.linalg.inv(_affine(follow_up)), found(_homogeneous(_affine(baseline), voxels))
    )


def _nearest(volume: NDArray[Any], index: Array) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    # halves go up whatever the parity, so that a shift of half a voxel is the same everywhere
    near = np.floor(index + 0.5 + 1e-6).astype(int)
    inside = np.asarray(((near >= 0) & (near < volume.shape)).all(axis=1))
    carried = np.zeros(len(near), np.int16)
    carried[inside] = volume[tuple(near[inside].T)]
    return carried, inside


def _affine(scan: Scan) -> Array:
    return np.asarray(scan.affine, float)


def _homogeneous(affine: Array, points: NDArray[Any]) -> Array:
    return np.asarray(points @ affine[:3, :3].T + affine[:3, 3])


def _spread(points: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most ``most`` points, evenly along the list."""
    if len(points) <= most:
        return points
    return np.asarray(points[np.linspace(0, len(points) - 1, most).astype(int)])


class _Liver:
    """What is matched of one scan."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.affine = _affine(scan)
        self.to_voxel = np.linalg.inv(self.affine)
        self.centre = self.world(np.argwhere(scan.mask)).mean(axis=0)

    def world(self, voxels: NDArray[Any]) -> Array:
        """World position of voxel indices, mm."""
        return _homogeneous(self.affine, voxels)

    @cached_property
    def distance(self) -> Array:
        """Signed distance to the surface, mm: positive inside, zero between the voxels."""
        mask, step = self.scan.mask, self.scan.spacing
        if mask.all():
            return np.full(mask.shape, REACH_MM)
        inside = ndimage.distance_transform_edt(mask, sampling=step)
        outside = ndimage.distance_transform_edt(~mask, sampling=step)
        half = min(step) / 2
        signed = np.where(mask, inside - half, half - outside)
        return np.asarray(np.clip(signed, -REACH_MM, REACH_MM))

    @cached_property
    def contrast(self) -> list[Array]:
        """Local contrast of every channel inside the liver, in its SD; zero outside."""
        mask = self.scan.mask
        sigma = [CONTRAST_MM / step for step in self.scan.spacing]
        weight = np.maximum(ndimage.gaussian_filter(mask.astype(float), sigma), 1e-3)
        found = []
        for channel in self.scan.volume:
            values = np.where(mask, channel, 0.0).astype(float)
            rest = np.where(mask, values - ndimage.gaussian_filter(values, sigma) / weight, 0.0)
            spread = rest[mask].std()
            flat = spread <= 1e-6 * (np.abs(values[mask]).mean() + 1e-12)
            found.append(np.zeros_like(rest) if flat else np.clip(rest / spread, -3, 3))
        return found


def _features(
    first: _Liver, second: _Liver, points: NDArray[np.intp], *, contrast: bool
) -> list[Feature]:
    pairs = [(first.distance, second.distance, 1.0)]
    if contrast and len(first.scan.volume) == len(second.scan.volume):
        share = CONTRAST_WEIGHT / len(first.scan.volume)
        pairs += [(a, b, share) for a, b in zip(first.contrast, second.contrast, strict=True)]
    at = tuple(points.T)
    return [Feature.of(a[at], b, weight) for a, b, weight in pairs if weight == 1.0 or b.any()]


def _quality(found: Correspondence, first: _Liver, second: _Liver) -> dict[str, Any]:
    voxels = np.argwhere(first.scan.mask)
    places = first.world(voxels)
    moved = found(places)
    still = Correspondence(np.eye(3), np.zeros(3), None, {})
    surface = np.abs(first.distance[first.scan.mask]) <= max(first.scan.spacing)
    index = _homogeneous(second.to_voxel, moved)
    there = ndimage.map_coordinates(second.distance, index[surface].T, order=1, mode="nearest")
    here = first.distance[tuple(voxels[surface].T)]
    ratio = _jacobian(found, places)
    return {
        "dice_before": _dice(still, first, second), "dice": _dice(found, first, second),
        "surface_mm": float(np.abs(there - here).mean()),
        "correlation": _correlation(first, second, index),
        "jacobian_low": float(np.quantile(ratio, 0.01)),
        "jacobian_high": float(np.quantile(ratio, 0.99)),
        "jacobian_folded": int((ratio <= 0).sum()),
        "shift_mm": float(np.sqrt(((moved - places) ** 2).sum(axis=1)).mean()),
    }  # fmt: skip


def _dice(found: Correspondence, first: _Liver, second: _Liver) -> float:
    """Overlap of the baseline mask with the follow-up mask on the baseline's grid."""
    box = np.argwhere(first.distance > -REACH_MM)
    index = _homogeneous(second.to_voxel, found(first.world(box)))
    carried, _ = _nearest(second.scan.mask.astype(np.int16), index)
    both = int((carried.astype(bool) & first.scan.mask[tuple(box.T)]).sum())
    # the follow-up's volume is counted on its own grid, so that what lies outside the box counts
    volume = second.scan.n_voxels * abs(np.linalg.det(second.affine[:3, :3]))
    inside = first.world(np.argwhere(first.scan.mask))
    growth = float(np.abs(_jacobian(found, inside)).mean())
    there = volume / abs(np.linalg.det(first.affine[:3, :3])) / max(growth, 1e-6)
    return float(2 * both / (first.scan.n_voxels + there))


def _correlation(first: _Liver, second: _Liver, index: Array) -> float:
    """Mean over channels of the correlation of intensities inside both livers."""
    if len(first.scan.volume) != len(second.scan.volume):
        return float("nan")
    carried, _ = _nearest(second.scan.mask.astype(np.int16), index)
    both = carried.astype(bool)
    found = []
    for a, b in zip(first.scan.volume, second.scan.volume, strict=True):
        x = a[first.scan.mask][both].astype(float)
        y = ndimage.map_coordinates(b, index[both].T, order=1, mode="nearest").astype(float)
        if len(x) > 2 and x.std() > 0 and y.std() > 0:
            found.append(float(np.corrcoef(x, y)[0, 1]))
    return float(np.mean(found)) if found else float("nan")


def _jacobian(found: Correspondence, places: Array) -> Array:
    """Volume ratio at points: determinant of the derivative of the map, by central differences."""
    if found.smooth is None:
        return np.full(1, float(np.linalg.det(found.matrix)))
    some = places[:: max(1, len(places) // 4000)]
    step = 0.5
    columns = [
        (found(some + step * axis) - found(some - step * axis)) / (2 * step) for axis in np.eye(3)
    ]
    return np.asarray(np.linalg.det(np.stack(columns, axis=2)))
