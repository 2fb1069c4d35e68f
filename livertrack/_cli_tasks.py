"""Commands of prediction tasks: ``simulate-task``, ``train``, ``predict``."""

from __future__ import annotations

import argparse
from pathlib import Path

from livertrack._cli_options import Add, pairs

_TASKS = "mre-quality, cirrhosis or stiffness"


def add_task_commands(add: Add) -> None:
    """Add the commands to a parser; ``add(name, function, text)`` makes a command."""
    sub = add("simulate-task", _simulate_task, "write simulated cases of a prediction task")
    sub.add_argument("task", help=_TASKS)
    sub.add_argument("folder", type=Path, help="folder to write; must not exist")
    sub.add_argument("--n", type=int, help="subjects; the published number by default")
    sub.add_argument("--seed", type=int, default=20261121)

    sub = add("train", _train, "train a prediction task on a folder of cases")
    sub.add_argument("task", help=_TASKS)
    sub.add_argument("data", type=Path, help="folder in the layout of the task")
    sub.add_argument("--out", type=Path, required=True, help="model.safetensors to write")
    sub.add_argument("--networks", nargs="+", help="architectures; the task's choice by default")
    sub.add_argument("--weights", nargs="+", default=[], metavar="NETWORK=FILE",
                     help="weights to start from, as safetensors")  # fmt: skip
    sub.add_argument("--folds", type=int, help="folds of subjects; the published number else")
    sub.add_argument("--evaluate", type=Path, metavar="OUT",
                     help="folder for the cross-validation and its report")  # fmt: skip
    sub.add_argument("--seed", type=int, default=20261121)

    sub = add("predict", _predict, "apply a trained model to a folder of cases")
    sub.add_argument("model", type=Path)
    sub.add_argument("data", type=Path)
    sub.add_argument("--out", type=Path, required=True, help="records.csv to write")
    sub.add_argument("--maps", type=Path, metavar="FOLDER",
                     help="folder for maps of where the networks look, as NIfTI")  # fmt: skip


def _simulate_task(a: argparse.Namespace) -> int:
    from livertrack.pipeline.tasks import simulate_task

    print(simulate_task(a.task, a.folder, n=a.n, seed=a.seed))
    return 0


def _train(a: argparse.Namespace) -> int:
    from livertrack.pipeline.tasks import train

    for path in train(
        a.task, a.data, out=a.out, networks=a.networks,
        weights=pairs(a.weights, "--weights", "NETWORK=FILE"), n_folds=a.folds,
        evaluate=a.evaluate, seed=a.seed,
    ):  # fmt: skip
        print(path)
    return 0


def _predict(a: argparse.Namespace) -> int:
    from livertrack.pipeline.tasks import predict

    for path in predict(a.model, a.data, out=a.out, maps=a.maps):
        print(path)
    return 0
