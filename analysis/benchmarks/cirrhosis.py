"""Cirrhosis stage from simulated T1W and T2W volumes, as many as CirrMRI600+ has subjects.

    OMP_NUM_THREADS=1 python analysis/benchmarks/cirrhosis.py

Five folds of subjects, four slabs of three slices per subject. ``what`` in cirrhosis.csv:
``metric`` (out of fold), ``difference`` (paired, first model minus second), ``shuffled`` (the
fused network on stages that 100 of the subjects exchanged), ``published``. Seconds: of the
processor.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from livertrack._seeds import generator
from livertrack.tasks import evaluate_task
from livertrack.tasks._task import Cases
from livertrack.tasks.cirrhosis import TASK

METRICS = ("accuracy", "balanced_accuracy", "concordance", "quadratic_kappa", "auc_ge_2",
           "auc_ge_3", "mae")  # fmt: skip


def cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def exchanged(cases: Cases, seed: int) -> Cases:
    """Cases whose subjects exchanged their stages."""
    stages = cases.frame.groupby("USUBJID")["STAGE"].first()
    drawn = generator(seed, "benchmark", "exchange").permutation(stages.to_numpy())
    frame = cases.frame.assign(
        STAGE=cases.frame["USUBJID"].map(dict(zip(stages.index, drawn, strict=True)))
    )
    return Cases(frame, cases.inputs, cases.spacing, cases.simulated)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=TASK.n_published)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--networks", nargs="+", default=["fused", "T1W", "T2W"])
    parser.add_argument("--shuffled", type=int, default=100, help="subjects of the null")
    out = Path(__file__).with_name("cirrhosis.csv")
    parser.add_argument("--out", type=Path, default=out)
    options = parser.parse_args()
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        start = cpu()
        TASK.simulate(Path(folder), options.n, options.seed)
        simulated = cpu()
        cases = TASK.read(Path(folder))
    read = cpu()
    found = evaluate_task(TASK, cases, seed=options.seed, networks=options.networks, n_boot=1000)
    fitted = cpu()
    table = found.table[found.table["metric"].isin(METRICS)]
    parts.append(table.assign(what="metric"))
    parts.append(found.comparison.assign(what="difference").rename(
        columns={"difference": "estimate", "model_1": "model", "model_2": "other"}
    ))  # fmt: skip
    published = found.published.rename(columns={"ours": "estimate"})
    parts.append(published.assign(what="published"))
    few = cases.subset(cases.frame["USUBJID"].isin(
        cases.frame["USUBJID"].unique()[: options.shuffled]
    ).to_numpy())  # fmt: skip
    null = evaluate_task(
        TASK, exchanged(few, options.seed), seed=options.seed, networks=["fused"],
        baselines=[], n_boot=1000,
    )  # fmt: skip
    shuffled = null.table[null.table["metric"].isin(METRICS)]
    parts.append(shuffled.assign(what="shuffled"))
    seconds = {
        "seconds_simulate": simulated - start, "seconds_read": read - simulated,
        "seconds_evaluate": fitted - read, "seconds_shuffled": cpu() - fitted,
    }  # fmt: skip
    parts.append(pd.DataFrame(
        [{"what": "cost", "metric": name, "estimate": value} for name, value in seconds.items()]
    ))  # fmt: skip
    columns = ["what", "model", "other", "level", "metric", "estimate", "conf_low", "conf_high",
               "p_value", "published", "n_subjects"]  # fmt: skip
    whole = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    numbers = whole.select_dtypes(np.number).columns
    whole[numbers] = whole[numbers].round(4)
    whole.to_csv(options.out, index=False, lineterminator="\n")
    print(found.text)
    print(whole.to_string(index=False))


if __name__ == "__main__":
    main()
