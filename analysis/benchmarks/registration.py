"""Error and seconds of registration inside livers whose motion is known.

    OMP_NUM_THREADS=1 python analysis/benchmarks/registration.py [--subjects 6] [--real FOLDER]

Simulated: each subject's liver is scanned twice without any change, in two breath-holds (default
breathing and deformation of the simulator). Real (FOLDER holds img_totalseg_mr_liver and
img_totalseg_ct_liver): a real volume and its machine-made liver mask are warped by fields drawn in
the same way, with another gain, a receive field and noise; the mask's surface is roughened as a
second segmentation would be. Error: mean distance, over the baseline liver that is still in view,
between where a voxel is found and where it is. Spurious change: simulated, voxels whose true type
differs after nearest-neighbour carrying; real, voxels whose tissue class (thirds of the
intensity, smoothed) differs. The row "truth" is what nearest-neighbour sampling alone costs,
"none" what no registration leaves.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.imaging.correspondence import _homogeneous, _nearest, carry, register
from livertrack.imaging.scan import Scan
from livertrack.simulate import ScanSettings, simulate_subject
from livertrack.simulate.fields import smooth_field
from livertrack.simulate.motion import draw_motion

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two scans of one liver, types of both, and where each baseline voxel lies, mm."""

    scans: tuple[Scan, Scan]
    types: tuple[NDArray[np.int16], NDArray[np.int16]]
    end: Array


def simulated(seed: int) -> Pair:
    """Two breath-holds of a simulated subject."""
    subject = simulate_subject(seed, 1, visits={"Baseline": 0, "Again": 0})
    one, two = (subject.scans[name] for name in ("Baseline", "Again"))
    scans = tuple(Scan(s.volume, s.mask == 5, s.spacing, affine=s.affine) for s in (one, two))
    step, shape = np.array(one.spacing), one.mask.shape
    start = np.argwhere(scans[0].mask) * step
    leave, arrive = one.motion.displacement(shape), two.motion.displacement(shape)
    end = arrival(start, leave, arrive, step)
    places = _homogeneous(np.asarray(one.affine), end / step)
    return Pair((scans[0], scans[1]), (one.truth, two.truth), places)


def arrival(start: Array, leave: Array, arrive: Array, step: Array) -> Array:
    """Points whose anatomy is that of ``start``: end + arrive(end) = start + leave(start)."""

    def at(field: Array, points: Array) -> Array:
        index = (points / step).T
        parts = [ndimage.map_coordinates(f, index, order=1, mode="nearest") for f in field]
        return np.stack(parts, axis=1)

    end = start
    for _ in range(40):
        end = start + at(leave, start) - at(arrive, end)
    return end


def real(folder: Path, name: str, seed: int) -> Pair:
    """Warp a real volume by a known field: the second scan of an unchanged liver."""
    image, labels = {
        "MR": ("img_totalseg_mr_liver/example_mr_sm", "img_totalseg_mr_liver/example_seg_mr"),
        "CT": (
            "img_totalseg_ct_liver/example_ct",
            "img_totalseg_ct_liver/example_seg_fast_force_split",
        ),
    }[name]
    loaded = nib.as_closest_canonical(nib.load(folder / f"{image}.nii.gz"))
    volume = np.asarray(loaded.dataobj, dtype=float)
    mask = np.asarray(nib.as_closest_canonical(nib.load(folder / f"{labels}.nii.gz")).dataobj) == 5
    box = _box(mask, 8)
    volume, mask = volume[box], mask[box]
    affine = np.array(loaded.affine)
    affine[:3, 3] = _homogeneous(affine, np.array([[s.start for s in box]]))[0]
    step = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    rng = np.random.default_rng(seed)
    how = ScanSettings()
    motion = draw_motion(
        rng, shape=mask.shape, spacing=step, breathing_mm=how.breathing_mm * np.sqrt(2),
        deformation_mm=how.deformation_mm * np.sqrt(2),
    )  # fmt: skip
    moved = motion.displacement(mask.shape).astype(float)
    index = np.indices(mask.shape) + moved / step[:, None, None, None]
    again = ndimage.map_coordinates(volume, index, order=3, mode="nearest")
    spread = volume[mask].std()
    field = np.exp(0.1 * smooth_field(rng, mask.shape, step, 60.0))
    again = 1.2 * field * again + 0.25 * spread * rng.normal(size=mask.shape)
    distance = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    rough = distance + 0.6 * smooth_field(rng, mask.shape, step, 6.0)
    inside = ndimage.map_coordinates(rough, index, order=1, mode="nearest") > 0
    classes = _classes(volume, mask, step)
    carried = ndimage.map_coordinates(classes, index, order=0, mode="nearest")
    spacing = tuple(float(s) for s in step)
    scans = (
        Scan(volume[None].astype(np.float32), mask, spacing, affine=affine),
        Scan(again[None].astype(np.float32), inside, spacing, affine=affine),
    )
    start = np.argwhere(mask) * step
    end = arrival(start, np.zeros_like(moved), moved, step) / step
    types = (classes, np.where(inside, np.maximum(carried, 1), 0).astype(np.int16))
    return Pair(scans, types, _homogeneous(affine, end))


def _box(mask: NDArray[np.bool_], margin: int) -> tuple[slice, ...]:
    return tuple(
        slice(max(0, found.start - margin), found.stop + margin)
        for found in ndimage.find_objects(mask.astype(np.uint8))[0]
    )


def _classes(volume: Array, mask: NDArray[np.bool_], step: Array) -> NDArray[np.int16]:
    """Thirds of the smoothed intensity of the liver, 1 to 3; 0 outside."""
    sigma = 4.0 / step
    weight = np.maximum(ndimage.gaussian_filter(mask.astype(float), sigma), 1e-3)
    smooth = ndimage.gaussian_filter(np.where(mask, volume, 0.0), sigma) / weight
    cuts = np.quantile(smooth[mask], [1 / 3, 2 / 3])
    return np.where(mask, 1 + np.searchsorted(cuts, smooth), 0).astype(np.int16)


def measure(pair: Pair) -> list[dict[str, float | str]]:
    """Error, spurious change and CPU seconds of every method on one pair."""
    one, two = pair.scans
    voxels = np.argwhere(one.mask)
    places = _homogeneous(np.asarray(one.affine), voxels)
    before = pair.types[0][one.mask]
    index = _homogeneous(np.linalg.inv(np.asarray(two.affine)), pair.end)
    seen = ((index >= 0) & (index <= np.array(two.mask.shape) - 1)).all(axis=1)

    def changed(carried: NDArray[np.int16]) -> float:
        known = (carried > 0) & seen
        return float((carried[known] != before[known]).mean())

    def off(points: Array) -> Array:
        return np.asarray(np.sqrt(((points - pair.end)[seen] ** 2).sum(axis=1)))

    still = off(places)
    best, _ = _nearest(pair.types[1], index)
    unmoved, _ = _nearest(pair.types[1], voxels.astype(float))
    rows: list[dict[str, float | str]] = [
        {"method": "truth", "error_mm": 0.0, "spurious": changed(best)},
        {
            "method": "none", "error_mm": still.mean(), "p95_mm": np.quantile(still, 0.95),
            "spurious": changed(unmoved),
        },
    ]  # fmt: skip
    for method in ("rigid", "affine", "deformable"):
        clock = time.process_time()
        found = register(one, two, method=method)
        seconds = time.process_time() - clock
        error = off(found(places))
        carried, _ = carry(pair.types[1], two, one, found)
        rows.append(
            {
                "method": method, "error_mm": error.mean(), "p95_mm": np.quantile(error, 0.95),
                "spurious": changed(carried), "dice": found.quality["dice"],
                "folded": found.quality["jacobian_folded"], "cpu_seconds": seconds,
            }
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=6)
    parser.add_argument("--real", type=Path, help="folder of real volumes")
    parser.add_argument("--out", type=Path, help="csv to write")
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.subjects):
        rows += [{"volume": "simulated", **row} for row in measure(simulated(seed))]
        for name in ("MR", "CT") if arguments.real else ():
            pair = real(arguments.real, name, seed)
            rows += [{"volume": f"real {name}", **row} for row in measure(pair)]
    frame = pd.DataFrame(rows)
    table = frame.groupby(["volume", "method"], sort=False).mean().round(3)
    table.insert(0, "pairs", arguments.subjects)
    print(table.to_string())
    if arguments.out:
        table.reset_index().to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
