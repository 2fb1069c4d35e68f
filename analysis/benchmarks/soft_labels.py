"""What counting pathways from probabilities does to change that is noise, and to true change.

    OMP_NUM_THREADS=1 python analysis/benchmarks/soft_labels.py [--subjects 8] [--out FOLDER]

Each simulated subject is scanned at baseline, once more without any change (repositioned), and at
week 48 on placebo and, the same subject again, on the full dose. Follow-ups are registered
rigidly. ``soft_labels.csv``, by softness (0: labels): ``spurious``, ``placebo``, ``active``: mean
share of the liver that changes type in the repeat scan and at week 48; ``noise_ratio``: what the
dose adds to the share over the spurious share; ``five_largest``: mean difference of the arms in SD
between subjects, of the five flows where it is largest; ``log_loss`` of the type in the repeat
scan given the probabilities at baseline (the default of `soft_labels` is where it is least).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.imaging import Scan, Vocabulary, fit_vocabulary
from livertrack.imaging._coupling import count_pairs, couple
from livertrack.imaging.correspondence import follow_up_index, register
from livertrack.imaging.soft_labels import SOFTNESS, soft_labels
from livertrack.simulate import simulate_subject

SHAPE, SPACING = (72, 54, 24), (4.0, 4.0, 5.3)
GRID = (0.05, 0.1, 0.2, SOFTNESS, 0.5, 0.7, 1.0)
LATER = ("again", "placebo", "active")
Array = NDArray[Any]
Pairs = dict[str, tuple[Array, Array]]
Row = dict[str, float]


def scans_of(seed: int, subject: int) -> dict[str, Scan]:
    """Baseline, repeat, and week 48 on placebo and on the full dose."""
    found = {}
    for arm, dose in (("placebo", 0.0), ("active", 1.0)):
        made = simulate_subject(
            seed, subject, dose=dose, shape=SHAPE, spacing=SPACING,
            visits={"baseline": 0, arm: 48}, repeats={"again": "baseline"},
        ).scans  # fmt: skip
        found |= {
            name: Scan(s.volume, s.mask == 5, s.spacing, s.mask == 1, s.affine)
            for name, s in made.items()
        }
    return found


def places(baseline: Scan, later: Scan) -> tuple[Array, Array]:
    """Voxel of the later scan for each baseline liver voxel, where it lies in the later liver."""
    index = follow_up_index(baseline, later, register(baseline, later, method="rigid"))
    near = np.floor(index + 0.5 + 1e-6).astype(int)
    inside = ((near >= 0) & (near < later.mask.shape)).all(axis=1)
    inside[inside] = later.mask[tuple(near[inside].T)]
    return inside, near[inside]


def pairs_of(words: Vocabulary, scans: dict[str, Scan]) -> Pairs:
    """Probabilities at softness 1 of baseline voxels and of their places in each later scan."""
    shares = {name: soft_labels(words, scan, softness=1.0) for name, scan in scans.items()}
    first = shares["baseline"][scans["baseline"].mask]
    found = {}
    for name in LATER:
        inside, near = places(scans["baseline"], scans[name])
        found[name] = (first[inside], shares[name][tuple(near.T)])
    return found


def harder(shares: Array, softness: float) -> Array:
    """Probabilities at another softness: every type is one cluster, so they are powers."""
    logs = np.log(np.maximum(shares.astype(float), 1e-30)) / softness
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def flows(k: int, subjects: list[Pairs], softness: float) -> dict[str, Array]:
    """Flows (subjects, K, K) of each later scan, and the log loss of the repeat's types."""
    out: dict[str, list[Any]] = {name: [] for name in (*LATER, "loss")}
    for pairs in subjects:
        for name, pair in pairs.items():
            types = [share.argmax(axis=1) + 1 for share in pair]
            flow = count_pairs(*types, k).astype(float)
            if softness:
                p, q = (harder(share, softness) for share in pair)
                flow = couple(p, q)
                if name == "again":
                    held = p[np.arange(len(p)), types[1] - 1]
                    out["loss"].append(-np.log(np.maximum(held, 1e-3)).mean())
            out[name].append(flow / flow.sum())
    return {name: np.array(values) for name, values in out.items()}


def row(k: int, subjects: list[Pairs], softness: float) -> Row:
    got = flows(k, subjects, softness)
    moved = {name: float(1 - np.trace(got[name], axis1=1, axis2=2).mean()) for name in LATER}
    apart = ~np.eye(k, dtype=bool)
    none, full = got["placebo"][:, apart], got["active"][:, apart]
    spread = np.sqrt((none.var(axis=0, ddof=1) + full.var(axis=0, ddof=1)) / 2)
    kept = none.mean(axis=0) >= 0.001
    size = np.abs((full - none).mean(axis=0)[kept]) / spread[kept]
    return {
        "softness": softness, "spurious": moved["again"], "placebo": moved["placebo"],
        "active": moved["active"],
        "noise_ratio": (moved["active"] - moved["placebo"]) / moved["again"],
        "five_largest": float(np.sort(size)[-5:].mean()),
        "log_loss": float(got["loss"].mean()) if softness else np.nan,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    start = time.process_time()
    subjects = [scans_of(arguments.seed, number) for number in range(arguments.subjects)]
    seen = [scans[name] for scans in subjects for name in ("baseline", "active")]
    words = fit_vocabulary(seen, n_types=8, seed=arguments.seed, spacing_mm=SPACING)
    pairs = [pairs_of(words, scans) for scans in subjects]
    rows = [row(words.n_types, pairs, softness) for softness in (0.0, *GRID)]
    table = pd.DataFrame(rows).round(4)
    table.insert(0, "subjects", arguments.subjects)
    table.to_csv(arguments.out / "soft_labels.csv", index=False)
    print(table.to_string(index=False))
    print(f"{time.process_time() - start:.0f} CPU s")


if __name__ == "__main__":
    main()
