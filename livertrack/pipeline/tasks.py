"""Prediction tasks from the command line: simulate cases, train, evaluate, predict."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from livertrack._files import write_parquet, write_text
from livertrack.errors import DataError, UsageError
from livertrack.imaging.learning.settings import Build, Shapes
from livertrack.report import render_report
from livertrack.tasks import ImageTask, evaluate_task, find_task
from livertrack.tasks.explain import example_maps, write_maps
from livertrack.tasks.model import TaskModel, train_task


def simulate_task(task: str, folder: Path, *, n: int | None, seed: int) -> Path:
    """Write simulated cases of a task in the layout that `train` reads."""
    declared = find_task(task)
    if folder.exists() and any(folder.iterdir()):
        msg = f"{folder.name} is not empty; name a folder that does not exist yet"
        raise UsageError(msg)
    subjects = declared.n_published if n is None else n
    if subjects < 1:
        msg = f"--n is a number of subjects, got {subjects}"
        raise UsageError(msg)
    return declared.simulate(folder, subjects, seed)


def train(
    task: str, data: Path, *, out: Path, networks: Sequence[str] | None = None,
    weights: Mapping[str, str] | None = None, n_folds: int | None = None,
    evaluate: Path | None = None, seed: int,
) -> list[Path]:  # fmt: skip
    """Train a task on a folder; returns the files written, the model first.

    Parameters
    ----------
    weights : mapping of network to file, optional
        Weights (safetensors) to start from instead of random ones.
    evaluate : path, optional
        Run folder for the cross-validation of networks and baselines: its analysis results data
        and its page.
    """
    declared = _with_weights(find_task(task), weights or {})
    cases = declared.read(_folder(data))
    names = declared.chosen(networks) if networks else None
    model = train_task(declared, cases, seed=seed, networks=names, n_folds=n_folds)
    model.save(out)
    written = [out]
    if evaluate is not None:
        found = evaluate_task(declared, cases, networks=names, n_folds=n_folds, seed=seed)
        more = {} if declared.further is None else dict(declared.further(found, cases))
        if declared.placed is not None and importlib.util.find_spec("captum"):
            more["task_maps"] = example_maps(model, cases)
        for name, result in {found.context: found, **more}.items():
            ard = evaluate / "ard" / f"{name}.parquet"
            write_parquet(ard, result.to_ard(analysis=f"{declared.name} {name}"))
            written.append(ard)
        written += render_report(evaluate)
    return written


def predict(model: Path, data: Path, *, out: Path, maps: Path | None = None) -> list[Path]:
    """Write the records that a model predicts for a folder of cases; returns what was written.

    Parameters
    ----------
    maps : path, optional
        Folder for a map per examination (see `write_maps`), on the grid of its picture.
    """
    trained = TaskModel.load(model)
    cases = trained.task.read(_folder(data))
    if maps is not None:
        write_maps(trained, cases, data, maps)
    records = trained.records(cases)
    write_text(out, records.to_csv(index=False, lineterminator="\n"))
    return [out] if maps is None else [out, maps]


def _folder(data: Path) -> Path:
    if not data.is_dir():
        msg = f"{data.name}: no such folder; `livertrack simulate-task` writes an example"
        raise DataError(msg)
    return data


def _with_weights(task: ImageTask, weights: Mapping[str, str]) -> ImageTask:
    if not weights:
        return task
    task.chosen(list(weights))
    changed = {
        name: partial(_started, task.networks[name], file) for name, file in weights.items()
    }
    return replace(task, networks={**task.networks, **changed})


def _started(build: Build, file: str, shapes: Shapes, outputs: int) -> Any:
    """Network that starts from the weights of a file."""
    from livertrack.imaging.learning.architectures import load_weights
    from livertrack.imaging.learning.model_file import read_weights

    network = build(shapes, outputs)
    load_weights(network, read_weights(file))
    return network
