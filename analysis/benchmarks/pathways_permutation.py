"""Seconds for the permutation test of change pathways.

    python analysis/benchmarks/pathways_permutation.py [--threads 2]

Flows of 150 subjects in two arms: 10 x 10 types in 5 regions, 10,000 relabellings within 7 sites;
the target is 10 s on 2 cores, records read and all tables made.
"""

import argparse
import time

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import livertrack as lt


def records(n_subjects: int, n_types: int, n_regions: int, seed: int) -> pd.DataFrame:
    """Pathway records with one planted flow in the active arm."""
    rng = np.random.default_rng(seed)
    arm = np.resize(["Active", "Placebo"], n_subjects)
    shape = (n_subjects, n_regions, n_types, n_types)
    cube = rng.gamma(0.3, 1.0, shape) + 8 * np.eye(n_types)
    cube[arm == "Active", :, 2, 0] += 0.3
    cube /= cube.sum(axis=(2, 3), keepdims=True)
    subject, region, origin, target = (index.ravel() for index in np.indices(shape))
    names = np.array(["", *[f"SHELL{n}" for n in range(1, n_regions)]])
    return pd.DataFrame(
        {
            "USUBJID": np.char.zfill(subject.astype(str), 4), "TRT01P": arm[subject],
            "SITEID": (subject // 2 % 7).astype(str), "AVISIT": "Week 48", "REGION": names[region],
            "FROMTYPE": origin + 1, "TOTYPE": target + 1, "AVAL": cube.ravel(),
        }
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--permutations", type=int, default=10_000)
    arguments = parser.parse_args()
    data = records(150, 10, 5, seed=1)
    with threadpool_limits(arguments.threads):
        wall, cpu = time.perf_counter(), time.process_time()
        result = lt.change_pathways(
            data, reference="Placebo", n_perm=arguments.permutations, seed=1, strata="SITEID"
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    tested = result.settings["n_tested"]
    print(f"{len(data):,} records, {tested} flows, {arguments.permutations:,} permutations:")
    print(f"{wall:.2f} s wall, {cpu:.2f} s CPU on {arguments.threads} threads")
    print(result.text)


if __name__ == "__main__":
    main()
