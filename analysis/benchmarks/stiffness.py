"""Stiffness at the published sample size, simulated: ten folds, later subjects, elsewhere.

    OMP_NUM_THREADS=1 python analysis/benchmarks/stiffness.py

3680 examinations of 3376 subjects, 304 of whom have a second one, and 365 elsewhere; the last
1224 subjects are the later ones. Volumes are made, read as tokens and forgotten one by one.
``what`` in stiffness.csv: ``metric`` (out of fold), ``difference`` (paired, first model minus
second), ``auroc`` (at ``threshold``), ``coverage`` (of 90 % prediction intervals), ``audit``
(of errors, kPa), ``shuffled`` (stiffness exchanged between subjects, five folds of the first
1000), ``cost`` (CPU seconds). ``level``: a subject counts once, or every examination.
"""

from __future__ import annotations

import argparse
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from livertrack._seeds import generator
from livertrack.tasks import Cases, evaluate_task
from livertrack.tasks.stiffness import TASK, simulate_cases, stiffness_checks, task_for

METRICS = ("r", "r2", "mae", "rmse", "calibration_slope")


def cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def exchanged(cases: Cases, seed: int, n: int) -> Cases:
    """Cases of the first ``n`` subjects, which exchanged their stiffness."""
    few = cases.subset(cases.frame["USUBJID"].isin(cases.frame["USUBJID"].unique()[:n]).to_numpy())
    kpa = few.frame.groupby("USUBJID")["KPA"].mean()
    drawn = pd.Series(generator(seed, "benchmark", "exchange").permutation(kpa), kpa.index)
    return replace(few, frame=few.frame.assign(KPA=few.frame["USUBJID"].map(drawn)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=TASK.n_published)
    parser.add_argument("--repeated", type=int, default=304)
    parser.add_argument("--later", type=int, default=1224)
    parser.add_argument("--n-external", type=int, default=365)
    parser.add_argument("--shuffled", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folds", type=int, default=TASK.n_folds)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("stiffness.csv"))
    options = parser.parse_args()
    seed, parts, seconds = options.seed, [], {}
    start = cpu()
    cases = simulate_cases(options.n, seed=seed, repeated=options.repeated)
    elsewhere = simulate_cases(options.n_external, seed=seed, external=True)
    elsewhere = replace(elsewhere, frame=elsewhere.frame.assign(AVISIT="Examination 1"))
    seconds["simulate and read"] = cpu() - start
    splits = {
        "k-fold": {"n_folds": options.folds, "site": "SITEID"},
        "temporal": {"split": "temporal", "time": "SCANDT", "holdout": options.later / options.n},
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
    null = evaluate_task(
        TASK, exchanged(cases, seed, options.shuffled), seed=seed, n_folds=5, baselines=[],
        n_boot=1000,
    )  # fmt: skip
    seconds["shuffled"] = cpu() - start
    parts.append(null.table[null.table["metric"].isin(METRICS)].assign(what="shuffled"))
    parts.append(pd.DataFrame({
        "what": "cost", "metric": list(seconds), "estimate": list(seconds.values()),
    }))  # fmt: skip
    columns = ["what", "split", "model", "other", "level", "metric", "threshold", "estimate",
               "conf_low", "conf_high", "p_value", "margin", "equivalent", "half_width",
               "published", "n_subjects"]  # fmt: skip
    whole = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    numbers = whole.select_dtypes(np.number).columns
    whole[numbers] = whole[numbers].round(4)
    whole.to_csv(options.out, index=False, lineterminator="\n")
    print(whole.to_string(index=False))


if __name__ == "__main__":
    main()
