"""Error and seconds of registration inside simulated livers, whose motion is known.

    OMP_NUM_THREADS=1 python analysis/benchmarks/registration.py [--subjects 6]

Each subject's liver is scanned twice without any change, in two breath-holds (default breathing
and deformation of the simulator). Error: mean distance, over the baseline liver, between where a
voxel is found and where it is. Spurious change: voxels whose true type differs after nearest-
neighbour carrying; the row "truth" is what nearest-neighbour sampling alone costs.
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy import ndimage

from livertrack.imaging.correspondence import _homogeneous, _nearest, carry, register
from livertrack.imaging.scan import Scan
from livertrack.simulate import simulate_subject


def pair(seed: int) -> tuple[list[Scan], list[np.ndarray], np.ndarray]:
    """Two scans, their true types, and where each baseline voxel lies in the second, mm."""
    subject = simulate_subject(seed, 1, visits={"Baseline": 0, "Again": 0})
    one, two = (subject.scans[name] for name in ("Baseline", "Again"))
    scans = [Scan(s.volume, s.mask == 5, s.spacing, affine=s.affine) for s in (one, two)]
    step, shape = np.array(one.spacing), one.mask.shape
    start = np.argwhere(scans[0].mask) * step
    leave, arrive = one.motion.displacement(shape), two.motion.displacement(shape)

    def at(field: np.ndarray, points: np.ndarray) -> np.ndarray:
        index = (points / step).T
        parts = [ndimage.map_coordinates(f, index, order=1, mode="nearest") for f in field]
        return np.stack(parts, axis=1)

    end = start
    for _ in range(30):
        end = start + at(leave, start) - at(arrive, end)
    return scans, [one.truth, two.truth], _homogeneous(np.asarray(one.affine), end / step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=6)
    rows = []
    for seed in range(parser.parse_args().subjects):
        scans, types, end = pair(seed)
        places = _homogeneous(np.asarray(scans[0].affine), np.argwhere(scans[0].mask))
        before = types[0][scans[0].mask]

        def changed(carried: np.ndarray, before: np.ndarray = before) -> float:
            seen = carried > 0
            return float((carried[seen] != before[seen]).mean())

        index = _homogeneous(np.linalg.inv(np.asarray(scans[1].affine)), end)
        rows.append(
            {"method": "truth", "error_mm": 0.0, "spurious": changed(_nearest(types[1], index)[0])}
        )
        index = np.argwhere(scans[0].mask).astype(float)
        still = np.sqrt(((places - end) ** 2).sum(axis=1)).mean()
        rows.append(
            {
                "method": "none",
                "error_mm": still,
                "spurious": changed(_nearest(types[1], index)[0]),
            }
        )
        for method in ("rigid", "affine", "deformable"):
            clock = time.process_time()
            found = register(*scans, method=method)
            seconds = time.process_time() - clock
            error = np.sqrt(((found(places) - end) ** 2).sum(axis=1))
            carried, _ = carry(types[1], scans[1], scans[0], found)
            rows.append(
                {
                    "method": method, "error_mm": error.mean(), "p95_mm": np.quantile(error, 0.95),
                    "spurious": changed(carried), "dice": found.quality["dice"],
                    "cpu_seconds": seconds,
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    print(frame.groupby("method", sort=False).mean().round(3).to_string())


if __name__ == "__main__":
    main()
