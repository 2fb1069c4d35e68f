"""Quality of MR elastography at the published sample size: networks, baselines, the vote.

90 simulated examinations of ten slices (900; published were 914 slices of 90 patients), and a
second simulated cohort of as many. Parts, each written when it is done:

- vote: SqueezeNet in eight folds, whose networks vote on the second cohort;
- second cohort: all five architectures and the baselines, learned from the first cohort;
- out of fold, NETWORK: eight-fold cross-validation of a network beside the baselines, for each
  of the five on the same folds.

About half an hour on one core, most of it for the ResNets in eight folds; parts may be named:

    OMP_NUM_THREADS=1 python analysis/benchmarks/mre_quality.py OUT.csv [vote ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import livertrack as lt
from livertrack.tasks import Cases, TaskResult
from livertrack.tasks.model import TaskModel, train_task
from livertrack.tasks.mre_quality import TASK, simulate_cases

SEED = 20261121
SHOWN = ("auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity")
LIMITS = ("estimate", "conf_low", "conf_high", "n")


def vote(model: TaskModel, fresh: Cases) -> list[dict[str, Any]]:
    """Accuracy of the vote by slice and by examination, of those decided, and its cost."""
    start = time.process_time()
    exams = model.subjects(fresh)
    seconds = (time.process_time() - start) / len(exams)
    truth = fresh.frame.groupby("USUBJID")["DIAGNOSTIC"].max().to_numpy()
    right = exams["diagnostic"].to_numpy() == truth
    decided = exams["decided"].to_numpy()
    slices = (model.rows(fresh)["votes"] > 0.5).to_numpy() == fresh.frame["DIAGNOSTIC"].to_numpy()
    band = model.facts["decision"]
    found = [
        ("row", "accuracy", slices.mean(), len(slices)),
        ("subject", "accuracy", right.mean(), len(right)),
        ("subject", "accuracy where decided", right[decided].mean(), int(decided.sum())),
        ("subject", "share decided", decided.mean(), len(right)),
        ("subject", "band, low", band["low"], model.facts["n_subjects"]),
        ("subject", "band, high", band["high"], model.facts["n_subjects"]),
        ("subject", "seconds per examination", seconds, len(exams)),
    ]
    return [
        {"part": "vote", "model": "squeezenet, eight folds", "level": level, "metric": metric,
         "estimate": float(value), "n": n}
        for level, metric, value, n in found
    ]  # fmt: skip


def figures(part: str, found: TaskResult) -> list[dict[str, Any]]:
    """Metrics of every model, and differences to the baselines."""
    chosen = found.table[found.table["metric"].isin(SHOWN)]
    rows = [
        {"part": part, **{k: row[k] for k in ("model", "level", "metric", *LIMITS)}}
        for row in chosen.to_dict("records")
    ]
    pairs = found.comparison[found.comparison["metric"].isin(["auc", "accuracy"])]
    for row in pairs.to_dict("records"):
        one, two = row["model_1"], row["model_2"]
        sign = -1 if one in TASK.baselines and two not in TASK.baselines else 1
        if (two if sign == 1 else one) not in TASK.baselines:
            continue
        low, high = sorted([sign * row["conf_low"], sign * row["conf_high"]])
        rows.append({
            "part": part, "model": f"{one} - {two}" if sign == 1 else f"{two} - {one}",
            "level": row["level"], "metric": f"difference in {row['metric']}",
            "estimate": sign * row["difference"], "conf_low": low, "conf_high": high,
            "n": row["n"],
        })  # fmt: skip
    return rows


def main(out: str, *only: str) -> None:
    """Write one row per figure: part, model, level, metric, estimate, limits, n.

    ``only`` names parts; the rows of others that the file has are kept.
    """
    cases, fresh = simulate_cases(90, seed=SEED), simulate_cases(90, seed=SEED + 1)
    fresh.frame["USUBJID"] = "F" + fresh.frame["USUBJID"]
    makers: dict[str, Callable[[str], list[dict[str, Any]]]] = {
        "vote": lambda _: vote(train_task(TASK, cases, seed=SEED), fresh),
        "second cohort": lambda part: figures(
            part, lt.evaluate_task(TASK, cases, split="external", external=fresh, seed=SEED)
        ),
    }
    for name in ("squeezenet", "mobilenet_v2", "resnet18", "resnet34", "resnet50"):
        makers[f"out of fold, {name}"] = lambda part: figures(
            part, lt.evaluate_task(TASK, cases, networks=[part.split(", ")[1]], seed=SEED)
        )
    for part in only or makers:
        start = time.process_time()
        rows = makers[part](part)
        rows.append({
            "part": part, "model": "", "level": "", "metric": "seconds of training",
            "estimate": round(time.process_time() - start), "n": len(cases.frame),
        })  # fmt: skip
        before = pd.read_csv(out) if Path(out).exists() else pd.DataFrame({"part": []})
        table = pd.concat([before[before["part"].ne(part)], pd.DataFrame(rows)])
        columns = ["part", "model", "level", "metric", *LIMITS]
        table.reindex(columns=columns).to_csv(
            out, index=False, float_format="%.4f", lineterminator="\n"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
