"""Evaluating a prediction task: networks, baselines, published figures, on the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from livertrack.endpoints._metrics import PRIMARY
from livertrack.endpoints.cross_validation import CrossValidation, cross_validate
from livertrack.endpoints.cross_validation.learners import Learner
from livertrack.endpoints.cross_validation.splits import Kind
from livertrack.errors import DataError
from livertrack.tasks._network_learner import NetworkLearner
from livertrack.tasks._task import Cases, ImageTask

#: name of the mean of all networks
ENSEMBLE = "ensemble"


@dataclass(frozen=True, kw_only=True)
class TaskResult(CrossValidation):
    """Out-of-fold performance of a task's networks and baselines; see `evaluate_task`."""

    published: pd.DataFrame

    context: ClassVar[str] = "evaluate_task"


def evaluate_task(
    task: ImageTask | str,
    cases: Cases,
    *,
    seed: int,
    networks: Sequence[str] | None = None,
    baselines: Sequence[str] | None = None,
    n_folds: int | None = None,
    split: Kind = "k-fold",
    site: str | None = None,
    time: str | None = None,
    holdout: float = 0.3,
    external: Cases | None = None,
    n_perm: int = 0,
    n_boot: int = 2000,
    conf_level: float = 0.95,
) -> TaskResult:
    """Evaluate the networks of a task beside its baselines on subjects they never saw.

    Parameters
    ----------
    task : ImageTask or str
        A task, or the name of one: ``mre-quality``, ``cirrhosis``, ``stiffness``.
    cases : Cases
        One row per slice or scan, with the outcome; ``task.read`` reads them from a folder.
    seed : int
        Decides folds, weights, batches and resamples.
    networks, baselines : sequence of str, optional
        Those to evaluate; all of the task by default.
    n_folds : int, optional
        Outer folds; the published number by default.
    split, site, time, holdout : str
        As in `cross_validate`: folds of subjects, a site left out, the latest subjects, or
        another cohort.
    external : Cases, optional
        The second cohort, for ``split="external"``.
    n_perm, n_boot, conf_level
        As in `cross_validate`.

    Returns
    -------
    TaskResult
        The frames of `cross_validate` (``.table, .predictions, .comparison, ...``; the model
        "ensemble" is the mean of the networks) and ``.published``: ``figure, metric, level,
        model, published, source, ours, conf_low, conf_high, n_subjects, simulated``.

    Raises
    ------
    DataError
        Leaks that `cross_validate` refuses: the same pictures twice or under two subjects, a
        subject in both cohorts; cases without an outcome.

    Notes
    -----
    Denominator: cases with an outcome. Nothing is chosen outside the fold: the schedule of
    training is fixed, baselines tune inside. Simulated cases are said to be simulated in the
    text, the settings and every row of ``.published``.
    Source: Collins et al. (2024, TRIPOD+AI).
    Checked against: `cross_validate` with a learner of its own; shuffled labels give chance
    (tests/tasks).
    """
    if isinstance(task, str):
        from livertrack.tasks import find_task

        task = find_task(task)
    both = cases if external is None else cases.joined(external)
    names = task.chosen(networks)
    models: dict[str, Learner] = {
        name: NetworkLearner(task.networks[name], both, task.schedule(name)) for name in names
    }
    kept = task.baselines if baselines is None else {n: task.baselines[n] for n in baselines}
    models |= kept
    frame = cases.frame
    if task.outcome not in frame:
        msg = f"{task.name}: the cases have no outcome {task.outcome}; nothing can be evaluated"
        raise DataError(msg)
    ensembles = {ENSEMBLE: names} if task.ensemble and len(names) > 1 else {}
    found = cross_validate(
        frame, outcome=task.outcome, models=models, task=task.kind, ensembles=ensembles,
        split=split, site=site, time=time, holdout=holdout,
        external=None if external is None else external.frame, hashes=["HASH"],
        n_folds=task.n_folds if n_folds is None else n_folds, combine=task.combine,
        n_perm=n_perm, n_boot=n_boot, conf_level=conf_level, seed=seed,
    )  # fmt: skip
    shown = {f.name: getattr(found, f.name) for f in fields(found)}
    settings = {
        **found.settings, "task_name": task.name, "title": task.title,
        "simulated": both.simulated, "networks": names, "baselines": list(kept),
        "training": {name: task.schedule(name).facts() for name in names},
        "preparation": dict(task.preparation), "n_published": task.n_published,
    }  # fmt: skip
    said = "These subjects are simulated. " if both.simulated else ""
    return TaskResult(
        **{**shown, "settings": settings, "text": f"{task.title}. {said}{found.text}"},
        published=beside_published(task, found.table, simulated=both.simulated),
    )


def beside_published(task: ImageTask, table: pd.DataFrame, *, simulated: bool) -> pd.DataFrame:
    """Published figures with our estimate of the same metric, level and model; NaN without one.

    A figure of no named model stands beside the ensemble, or the network with the best first
    metric where there is none.
    """
    rows: list[dict[str, Any]] = []
    for figure in task.published.to_dict("records"):
        model = figure["model"] or _leading(task, table, str(figure["level"]))
        level = figure["level"] if (table["level"] == figure["level"]).any() else "subject"
        here = table[
            table["model"].eq(model) & table["level"].eq(level)
            & table["metric"].eq(figure["metric"])
        ]  # fmt: skip
        ours = here.iloc[0].to_dict() if len(here) else {}
        rows.append({
            **{str(key): value for key, value in figure.items()}, "model": model,
            "ours": float(ours.get("estimate", np.nan)),
            "conf_low": float(ours.get("conf_low", np.nan)),
            "conf_high": float(ours.get("conf_high", np.nan)),
            "n_subjects": int(ours.get("n_subjects", 0)), "simulated": simulated,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _leading(task: ImageTask, table: pd.DataFrame, level: str) -> str:
    if table["model"].eq(ENSEMBLE).any():
        return ENSEMBLE
    known = table[
        table["model"].isin(task.networks) & table["metric"].eq(PRIMARY[task.kind])
        & table["level"].isin([level, "subject"])
    ]  # fmt: skip
    return str(known.sort_values("estimate", ascending=False, kind="stable")["model"].iloc[0])
