"""How well vocabularies recover a known truth: joint, k-means on patches, dcn; one table.

    python analysis/benchmarks/vocabulary_recovery.py --seeds 1 2 3 4 5
    python analysis/benchmarks/vocabulary_recovery.py --study demo/study --seeds 1 --out table.csv

Without ``--study``: texture phantoms (`phantoms.py`), fitted on some scans and judged on others.
With it: a simulated trial (``livertrack simulate``), fitted and judged on its scans.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))

from phantoms import TYPES, cohort

from livertrack.imaging import Scan, fit_vocabulary, read_scan, recovery
from livertrack.imaging.scan import sources


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


def judge(
    scans: Sequence[Scan],
    truths: Sequence[np.ndarray],
    methods: Sequence[str],
    *,
    n_fit: int,
    n_types: int,
    seed: int,
    steps: int,
    places: int,
    standardise: str,
) -> pd.DataFrame:
    """Fit each method on the first ``n_fit`` scans and judge it on the rest (or all)."""
    test = list(range(n_fit, len(scans))) or list(range(len(scans)))
    rows = []
    for method in methods:
        start, cpu = time.perf_counter(), time.process_time()
        vocabulary = fit_vocabulary(
            scans[:n_fit], n_types=n_types, seed=seed, method=method, steps=steps,
            n_places=places, standardise=standardise,
        )  # fmt: skip
        fitted, fitted_cpu = time.perf_counter() - start, time.process_time() - cpu
        cpu = time.process_time()
        maps = [vocabulary.label_scan(scans[i])[0] for i in test]
        labelled = (time.process_time() - cpu) / len(test)
        row = recovery({method: maps}, [truths[i] for i in test], [scans[i].mask for i in test])
        row["seed"], row["fit_s"], row["fit_cpu_s"] = seed, fitted, fitted_cpu
        row["label_cpu_s"] = labelled
        rows.append(row)
        print(row.round(3).to_string(index=False, header=len(rows) == 1), flush=True)
    return pd.concat(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--methods", nargs="+", default=["joint", "kmeans", "dcn"])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--places", type=int, default=24_000)
    parser.add_argument("--scans", type=int, default=12, help="scans in all")
    parser.add_argument("--fit", type=int, default=8, help="scans to fit on; the rest is judged")
    parser.add_argument("--side", type=int, default=96, help="in-plane voxels of a phantom")
    parser.add_argument("--standardise", nargs="+", default=["auto"])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    tables = []
    for seed, standardise in itertools.product(arguments.seeds, arguments.standardise):
        if arguments.study is None:
            scans, truths = phantom_scans(seed, arguments.scans, arguments.side)
            n_types = len(TYPES)
        else:
            scans, truths, n_types = study_scans(arguments.study, arguments.scans)
        table = judge(
            scans, truths, arguments.methods, n_fit=arguments.fit, n_types=n_types, seed=seed,
            steps=arguments.steps, places=arguments.places, standardise=standardise,
        )  # fmt: skip
        tables.append(table.assign(standardise=standardise))
    table = pd.concat(tables, ignore_index=True)
    numbers = table.select_dtypes("number").columns.drop("seed")
    print(table.groupby(["method", "standardise"])[list(numbers)].mean().round(3).to_string())
    if arguments.out is not None:
        table.to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
