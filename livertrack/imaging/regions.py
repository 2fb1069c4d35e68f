"""Regions of the liver in which signatures and pathways are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.imaging.scan import Bools, Scan, Spacing

#: REGION of the whole liver
WHOLE = ""
#: a liver that lies further than this from left to right is cut by the axes of the body, degrees
MOST_TILT = 45.0


@dataclass(frozen=True)
class Regions:
    """Which regions are counted, besides the whole liver.

    Attributes
    ----------
    shells : int
        Capsule-to-core shells of equal volume (`capsule_shells`).
    sectors : {0, 2, 4, 8}
        Parts cut by planes through the centre (`sectors`).
    vessel_distance_mm : tuple of float
        Limits between bands of distance to the vessels (`vessel_bands`), rising.
    """

    shells: int = 3
    sectors: Literal[0, 2, 4, 8] = 0
    vessel_distance_mm: tuple[float, ...] = ()

    def settings(self) -> dict[str, Any]:
        """What decides the regions, for hashes and records."""
        return asdict(self)


def region_voxels(scan: Scan, rules: Regions) -> dict[str, NDArray[np.bool_]]:
    """Which voxels of the mask (in array order) each region holds, the whole liver first.

    Regions that the scan cannot have are absent: bands of a scan without vessels. Shells, sectors
    and bands are three divisions of the same liver; each adds up to the whole.
    """
    mask = scan.mask
    found = {WHOLE: np.ones(scan.n_voxels, bool)}
    shells = capsule_shells(mask, scan.spacing, rules.shells)[mask]
    found |= {f"SHELL{number}": shells == number for number in range(1, rules.shells + 1)}
    if rules.sectors:
        codes = sectors(mask, np.asarray(scan.affine), rules.sectors)[mask]
        names = SECTOR_NAMES[rules.sectors]
        found |= {name: codes == number for number, name in enumerate(names, start=1)}
    if rules.vessel_distance_mm and scan.vessels is not None:
        bands = vessel_bands(mask, scan.vessels, scan.spacing, rules.vessel_distance_mm)[mask]
        numbers = range(1, len(rules.vessel_distance_mm) + 2)
        found |= {f"VESSEL{number}": bands == number for number in numbers}
    return found


def region_counts(
    labels: NDArray[np.int16], scan: Scan, n_types: int, rules: Regions
) -> dict[str, list[int]]:
    """Voxels of each type, 1..K, by REGION (see `region_voxels`)."""
    inside = labels[scan.mask]
    return {
        name: np.bincount(inside[voxels], minlength=n_types + 1)[1:].tolist()
        for name, voxels in region_voxels(scan, rules).items()
    }


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


#: names of the sectors by their number, in the order of the codes of `sectors`
SECTOR_NAMES = {
    2: ("RIGHT", "LEFT"),
    4: ("RIGHTUP", "RIGHTLOW", "LEFTUP", "LEFTLOW"),
    8: (
        "RPOSTUP", "RPOSTLOW", "RANTUP", "RANTLOW", "LMEDUP", "LMEDLOW", "LLATUP", "LLATLOW",
    ),
}  # fmt: skip


def sectors(mask: Bools, affine: NDArray[np.float64], n_sectors: int) -> NDArray[np.int16]:
    """Parts of the liver cut by planes through its centre of mass.

    Parameters
    ----------
    mask : array
        Liver, bool (x, y, z).
    affine : array
        Voxel index to millimetres towards right, anterior, superior (as in NIfTI).
    n_sectors : {2, 4, 8}
        2: right and left; 4: each also upper and lower; 8: the right half also posterior and
        anterior, the left half also medial and lateral, each through the centre of its half.

    Returns
    -------
    array
        1..n in the mask in the order of `SECTOR_NAMES`, 0 outside.

    Notes
    -----
    The axes are those of the body, turned about its long axis to the principal axis of the liver
    in the axial plane (at most 45 degrees; else not turned). This is geometry, not anatomy: the
    planes do not follow hepatic veins or portal branches, and the eight parts lie only about
    where the Couinaud segments lie. Use them to ask where in the liver, not which segment.
    """
    codes = np.zeros(mask.shape, np.int16)
    places = np.argwhere(mask) @ affine[:3, :3].T
    places = places - places.mean(axis=0)
    along = _long_axis(places[:, :2])
    right = places[:, :2] @ along
    front = places[:, :2] @ np.array([-along[1], along[0]])
    is_right, is_low = right > 0, places[:, 2] <= 0
    if n_sectors == 2:
        code = np.where(is_right, 1, 2)
    elif n_sectors == 4:
        code = np.where(is_right, 1, 3) + is_low
    else:
        anterior = front > (front[is_right].mean() if is_right.any() else 0.0)
        lateral = right <= (right[~is_right].mean() if (~is_right).any() else 0.0)
        code = np.where(is_right, 1 + 2 * anterior, 5 + 2 * lateral) + is_low
    codes[mask] = code
    return codes


def vessel_bands(
    mask: Bools, vessels: Bools, spacing: Spacing, limits: Sequence[float]
) -> NDArray[np.int16]:
    """Bands of the liver by distance to the nearest vessel voxel.

    Parameters
    ----------
    limits : sequence of float
        Limits between bands, mm, rising; a voxel at a limit belongs to the nearer band.

    Returns
    -------
    array
        1 (nearest) to ``len(limits) + 1`` (beyond the last limit) in the mask, 0 outside; all
        zero where there is no vessel.
    """
    bands = np.zeros(mask.shape, np.int16)
    if vessels.any():
        distance = ndimage.distance_transform_edt(~vessels, sampling=spacing)[mask]
        bands[mask] = 1 + np.searchsorted(np.asarray(limits, float), distance, side="left")
    return bands


def _long_axis(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector of the largest spread in the axial plane, towards the right."""
    _, axes = np.linalg.eigh(places.T @ places)
    along = axes[:, -1]
    along = along if along[0] >= 0 else -along
    if along[0] < np.cos(np.radians(MOST_TILT)):
        return np.array([1.0, 0.0])
    return np.asarray(along)
