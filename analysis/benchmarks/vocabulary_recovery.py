"""How well vocabularies recover a known truth: ours and its peers, five seeds, one table.

    python analysis/benchmarks/vocabulary_recovery.py --seeds 21 22 23 24 25
    python analysis/benchmarks/vocabulary_recovery.py --study demo/study --seeds 1 2 3 4 5

Texture phantoms (`phantoms.py`): every seed is another cohort, fitted on some scans and judged on
others; ours is fitted with a second seed too, to see how far its label maps agree. The settings of
``invariant`` were chosen on the cohorts 1 to 5, 11 and 12: judge it on others.
With ``--study`` a simulated trial (``livertrack demo`` or ``livertrack simulate``): the same scans
for every seed, so that the maps of every method can be compared between seeds.

Methods: ``invariant`` (ours), ``joint``, ``kmeans`` (7 x 7 x 3 patches and principal components),
``dcn``, and
those of `vocabulary_peers.py`. Rows are added to the file as they come. Seconds are CPU seconds of
one core, of fitting with preparation and sampling (``fit_cpu_s``) and of labelling a scan with
preparation (``label_cpu_s``); the peers of `vocabulary_peers.py` are given prepared scans.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

sys.path.insert(0, str(Path(__file__).resolve().parent))

from phantoms import TYPES, cohort
from vocabulary_peers import PEERS, peer_maps

from livertrack.imaging import Scan, fit_vocabulary, read_scan, recovery
from livertrack.imaging.preprocessing import Preparation, prepare
from livertrack.imaging.scan import sources

MARGIN = (8, 8, 2)

#: all methods, and those fitted twice
METHODS = ("invariant", "joint", "kmeans", "dcn", *PEERS)
TWICE = ("invariant",)


def phantom_scans(seed: int, n: int, side: int) -> tuple[list[Scan], list[np.ndarray]]:
    made = cohort(seed, n, shape=(side, side, side // 3))
    scans = [Scan(p.volume, p.mask, p.spacing, p.reference) for p in made]
    return scans, [p.truth for p in made]


def study_scans(study: Path, limit: int) -> tuple[list[Scan], list[np.ndarray], int]:
    from livertrack.imaging.reading import read_header, read_voxels

    images = pd.read_csv(study / "images.csv", dtype={"USUBJID": str})
    for column in ("IMAGE", "MASK"):
        images[column] = [str((study / value).resolve()) for value in images[column]]
    truth = pd.read_csv(study / "truth" / "maps.csv", dtype={"USUBJID": str})
    maps = {(r.USUBJID, float(r.AVISITN)): study / r.MAP for r in truth.itertuples()}
    scans, truths = [], []
    found = sources(images, sequences=["IP", "OP", "HBP"], liver_label=5, reference_label=1)
    step = max(1, len(found) // limit)
    for source in found[::step][:limit]:
        scans.append(
            read_scan(
                source.images, source.mask, liver_label=5, reference_label=1,
                subject=source.subject, visit=source.visit, visit_number=source.visit_number,
            )
        )  # fmt: skip
        truths.append(
            read_voxels(read_header(maps[source.subject, source.visit_number])).astype(int)
        )
    return scans, truths, len(pd.read_csv(study / "truth" / "types.csv"))


def package_maps(
    method: str, scans: Sequence[Scan], n_fit: int, options: dict[str, object], steps: int
) -> Callable[[], list[np.ndarray]]:
    """Fit a method of the package on the first scans; what is returned labels the rest."""
    vocabulary = fit_vocabulary(scans[:n_fit], method=method, steps=steps, **options)
    return lambda: [vocabulary.label_scan(scan)[0] for scan in scans[n_fit:]]


def judge(
    scans: Sequence[Scan],
    truths: Sequence[np.ndarray],
    methods: Sequence[str],
    *,
    n_fit: int,
    n_types: int,
    seed: int,
    steps: int,
    peer_steps: int,
    places: int,
) -> tuple[pd.DataFrame, dict[str, list[np.ndarray]]]:
    """Fit each method on the first ``n_fit`` scans and judge it on the rest."""
    how = Preparation(scans[0].spacing, "n4", "reference")
    prepared = [prepare(scan, how, [2 * m + 1 for m in MARGIN]) for scan in scans]
    options = {"n_types": n_types, "seed": seed, "n_places": places, "standardise": "reference"}
    rows, maps = [], {}
    for method in methods:
        start = time.process_time()
        if method in PEERS:
            label = peer_maps(
                method, prepared[:n_fit], prepared[n_fit:], margin=MARGIN, n_types=n_types,
                n_places=places, steps=peer_steps, seed=seed,
            )  # fmt: skip
        else:
            trained = steps if method == "joint" else peer_steps
            label = package_maps(method, scans, n_fit, options, trained)
        fitted = time.process_time() - start
        maps[method] = label()
        labelled = (time.process_time() - start - fitted) / len(maps[method])
        masks = [scan.mask for scan in scans[n_fit:]]
        row = recovery({method: maps[method]}, truths[n_fit:], masks)
        rows.append(row.assign(seed=seed, fit_cpu_s=fitted, label_cpu_s=labelled))
        print(rows[-1].round(3).to_string(index=False, header=len(rows) == 1), flush=True)
    return pd.concat(rows), maps


def agreement(one: Sequence[np.ndarray], two: Sequence[np.ndarray]) -> float:
    """Adjusted Rand index between the label maps of two seeds, all voxels together."""
    pairs = [(a[a > 0], b[b > 0]) for a, b in zip(one, two, strict=True)]
    return float(adjusted_rand_score(*(np.concatenate(part) for part in zip(*pairs, strict=True))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23, 24, 25])
    parser.add_argument(
        "--methods", nargs="+", default=["invariant", "joint", "kmeans", "dcn", *PEERS]
    )
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--peer-steps", type=int, default=600)
    parser.add_argument("--places", type=int, default=24_000)
    parser.add_argument("--scans", type=int, default=11, help="scans in all")
    parser.add_argument("--fit", type=int, default=8, help="scans to fit on; the rest is judged")
    parser.add_argument("--side", type=int, default=96, help="in-plane voxels of a phantom")
    parser.add_argument("--no-second", action="store_true", help="no second fit of the phantoms")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    a = parser.parse_args()
    name = "phantoms" if a.study is None else "simulator"
    kept: dict[int, dict[str, list[np.ndarray]]] = {}
    for seed in a.seeds:
        if a.study is None:
            scans, truths = phantom_scans(seed, a.scans, a.side)
            n_types = len(TYPES)
        elif seed == a.seeds[0]:
            scans, truths, n_types = study_scans(a.study, a.scans)
        size = {
            "n_fit": a.fit, "n_types": n_types, "steps": a.steps, "peer_steps": a.peer_steps,
            "places": a.places,
        }  # fmt: skip
        table, maps = judge(scans, truths, a.methods, seed=seed, **size)
        again = dict[str, float]()
        if a.study is not None:
            for method, before in itertools.product(maps, kept.values()):
                again.setdefault(method, 0.0)
                again[method] += agreement(before[method], maps[method]) / len(kept)
            kept[seed] = maps
        elif not a.no_second:
            twice = [method for method in TWICE if method in a.methods]
            _, second = judge(scans, truths, twice, seed=seed + 100, **size)
            again |= {method: agreement(maps[method], second[method]) for method in twice}
        table = table.assign(
            data=name, seed_to_seed=table["method"].map(again), steps=a.steps,
            peer_steps=a.peer_steps, places=a.places, n_fit=a.fit,
        )  # fmt: skip
        if a.out.exists():
            table = pd.concat([pd.read_csv(a.out), table], ignore_index=True)
        table.to_csv(a.out, index=False, float_format="%.4g")
    columns = ["ari", "ari_interior", "nmi", "signature_error", "seed_to_seed"]
    columns += ["fit_cpu_s", "label_cpu_s"]
    print(table.groupby(["data", "method"])[columns].mean().round(3).to_string())


if __name__ == "__main__":
    main()
