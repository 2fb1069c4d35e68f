"""Shear stiffness from simulated T1W, T2W and DWI with a clinical table: folds, later, elsewhere.

    OMP_NUM_THREADS=1 python analysis/benchmarks/stiffness.py

The published study had 3376 subjects (1224 later ones, 365 elsewhere); by default 160 are
simulated here, the last 30 % of them later, and 80 elsewhere: what fits a few minutes.
``what`` in stiffness.csv: ``metric`` (out of fold), ``difference`` (paired, first model minus
second), ``auroc`` (at ``threshold``), ``coverage`` (of 90 % prediction intervals), ``audit``
(of errors, kPa), ``shuffled`` (stiffness exchanged between subjects, five folds), ``cost`` (CPU
seconds).
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from livertrack._seeds import generator
from livertrack.tasks import evaluate_task
from livertrack.tasks.stiffness import TASK, simulate, stiffness_checks, task_for

METRICS = ("r", "r2", "mae", "rmse", "calibration_slope")


def cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=160)
    parser.add_argument("--n-external", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folds", type=int, default=TASK.n_folds)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("stiffness.csv"))
    options = parser.parse_args()
    seed, parts, seconds = options.seed, [], {}
    start = cpu()
    with tempfile.TemporaryDirectory() as folder:
        here, there = Path(folder, "here"), Path(folder, "there")
        simulate(here, options.n, seed)
        simulate(there, options.n_external, seed, external=True)
        seconds["simulate"] = cpu() - start
        start = cpu()
        cases, elsewhere = TASK.read(here), TASK.read(there)
    seconds["read"] = cpu() - start
    splits = {
        "k-fold": {"n_folds": options.folds, "site": "SITEID"},
        "temporal": {"split": "temporal", "time": "SCANDT"},
        "external": {"split": "external", "external": elsewhere},
    }
    both = cases.joined(elsewhere)
    folds = None
    for name, how in splits.items():
        start = cpu()
        found = evaluate_task(task_for(name), cases, seed=seed, n_boot=1000, **how)
        seconds[name] = cpu() - start
        folds = found if folds is None else folds
        checks = stiffness_checks(found, both, calibrate=None if name == "k-fold" else folds)
        print(found.text, checks.text, sep="\n", flush=True)
        pairs = found.comparison.rename(
            columns={"difference": "estimate", "model_1": "model", "model_2": "other"}
        )
        published = found.published.set_index("metric")["published"]
        metrics = found.table[found.table["metric"].isin(METRICS)]
        metrics = metrics.assign(published=metrics["metric"].map(published).where(
            metrics["model"].eq("transformer")
        ))  # fmt: skip
        auroc = checks.table.rename(
            columns={"auc": "estimate", "auc_low": "conf_low", "auc_high": "conf_high"}
        )
        auroc = auroc.assign(n_subjects=auroc["n_above"] + auroc["n_below"])
        audit = checks.audit.rename(columns={"covariate": "metric", "contrast": "other"})
        kinds = {
            "metric": metrics, "difference": pairs, "auroc": auroc,
            "coverage": checks.coverage.rename(columns={"coverage": "estimate"}), "audit": audit,
        }  # fmt: skip
        parts += [part.assign(what=what, split=name) for what, part in kinds.items()]
    start = cpu()
    drawn = generator(seed, "benchmark", "exchange").permutation(cases.frame["KPA"])
    null = evaluate_task(
        TASK, replace(cases, frame=cases.frame.assign(KPA=drawn)), seed=seed, n_folds=5,
        baselines=[], n_boot=1000,
    )  # fmt: skip
    seconds["shuffled"] = cpu() - start
    parts.append(null.table[null.table["metric"].isin(METRICS)].assign(what="shuffled"))
    parts.append(pd.DataFrame({
        "what": "cost", "metric": list(seconds), "estimate": list(seconds.values()),
    }))  # fmt: skip
    columns = ["what", "split", "model", "other", "metric", "threshold", "estimate", "conf_low",
               "conf_high", "p_value", "margin", "equivalent", "half_width", "published",
               "n_subjects"]  # fmt: skip
    whole = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    numbers = whole.select_dtypes(np.number).columns
    whole[numbers] = whole[numbers].round(4)
    whole.to_csv(options.out, index=False, lineterminator="\n")
    print(whole.to_string(index=False))


if __name__ == "__main__":
    main()
