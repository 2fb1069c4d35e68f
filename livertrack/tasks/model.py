"""Training a task for use: the networks of all folds vote, a file keeps them, records come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from livertrack._seeds import generator, spawn
from livertrack.endpoints._checks import numeric
from livertrack.endpoints._splits import deal, outcome_strata
from livertrack.endpoints.cross_validation.guard import require_no_leakage
from livertrack.errors import DataError, LivertrackError
from livertrack.tasks._network_learner import NetworkLearner
from livertrack.tasks._task import Cases, ImageTask

if TYPE_CHECKING:
    from livertrack.imaging.learning.training import Network

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """One network of a model: its architecture and the fold that it never saw."""

    architecture: str
    fold: int
    network: Network


@dataclass(frozen=True)
class TaskModel:
    """A trained task.

    Attributes
    ----------
    task : ImageTask
    members : tuple of Member
        Every architecture's networks of all folds.
    shapes : mapping
        Shape of one case of every input.
    facts : mapping
        Plain values: what the decision learned, folds, seed, cases, whether they were simulated.
    out_of_fold : DataFrame
        ``model, repeat, fold, USUBJID, row, observed, predicted`` of the training cases, each by
        the networks that never saw it; empty for a model read from a file.
    """

    task: ImageTask
    members: tuple[Member, ...]
    shapes: Mapping[str, tuple[int, ...]]
    facts: Mapping[str, Any]
    out_of_fold: pd.DataFrame

    def rows(self, cases: Cases) -> pd.DataFrame:
        """Predict cases.

        Returns
        -------
        DataFrame
            One row per case in the order of the cases: identifying columns, ``predicted`` (mean of
            the networks) and, for a binary task, ``votes`` (share of networks that say 1).
        """
        found = self._every(cases)
        out = cases.frame[[c for c in _IDENTIFIERS if c in cases.frame]].copy()
        out["predicted"] = found.mean(axis=0)
        if self.task.kind == "binary":
            out["votes"] = (found >= 0.5).mean(axis=0)
        return out

    def subjects(self, cases: Cases) -> pd.DataFrame:
        """Predict examinations (subject and visit).

        Returns
        -------
        DataFrame
            ``USUBJID, AVISIT`` (where the cases have visits), ``n`` (cases), ``predicted``,
            ``votes`` (binary: share of networks whose own prediction of the examination says 1)
            and what the task's decision adds.
        """
        found = self._every(cases)
        keys = [c for c in ("USUBJID", "AVISIT", "AVISITN") if c in cases.frame]
        place = cases.frame.groupby(keys, sort=True, dropna=False).ngroup().to_numpy()
        joined = np.stack([
            pd.Series(p).groupby(place).agg(self.task.combine).to_numpy() for p in found
        ])  # fmt: skip
        first = np.unique(place, return_index=True)[1]
        out = cases.frame[keys].iloc[first].reset_index(drop=True)
        out["n"] = np.bincount(place)
        out["predicted"] = joined.mean(axis=0)
        if self.task.kind == "binary":
            out["votes"] = (joined >= 0.5).mean(axis=0)
        if self.task.decision is not None:
            out = self.task.decision.apply(out, self.facts["decision"])
        return out

    def records(self, cases: Cases) -> pd.DataFrame:
        """Predictions as records: ``USUBJID, AVISIT, PARAMCD, PARAM, AVAL``, sorted.

        The outcome's own PARAMCD is not used: a prediction is no measurement.
        """
        subjects = self.subjects(cases)
        makers = self.task.records or {
            (self.task.paramcd, f"{self.task.title} (predicted)"): lambda f: f["predicted"]
        }
        keys = [c for c in ("USUBJID", "AVISIT", "AVISITN") if c in subjects]
        parts = [
            subjects[keys].assign(PARAMCD=code, PARAM=text, AVAL=make(subjects).to_numpy(float))
            for (code, text), make in makers.items()
        ]
        out = pd.concat(parts, ignore_index=True)
        return out.sort_values(["USUBJID", *keys[1:], "PARAMCD"], ignore_index=True)

    def save(self, path: str | Path) -> None:
        """Write the model as safetensors (see `save_model`)."""
        from livertrack.imaging.learning.model_file import save_model

        state = {
            f"{place}/{name}": value
            for place, member in enumerate(self.members)
            for name, value in member.network.tensors().items()
        }
        members = [
            {"architecture": m.architecture, "fold": m.fold, "loss": m.network.loss,
             "scale": list(m.network.scale)} for m in self.members
        ]  # fmt: skip
        names = list(dict.fromkeys(m.architecture for m in self.members))
        save_model(path, state, {
            **self.facts, "task": self.task.name, "architecture": names,
            "preprocessing": dict(self.task.preparation), "members": members,
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
        })  # fmt: skip

    @classmethod
    def load(cls, path: str | Path, *, task: ImageTask | None = None) -> TaskModel:
        """Read a model; refused where task or preparation differ from what they are now."""
        from livertrack.imaging.learning.model_file import load_model, require_facts

        state, facts = load_model(path, {} if task is None else {"task": task.name})
        if task is None:
            from livertrack.tasks import find_task

            task = find_task(str(facts["task"]))
        expect = {"preprocessing": dict(task.preparation)}
        require_facts(facts, expect, what=Path(path).name)
        unknown = [str(n) for n in facts["architecture"] if n not in task.networks]
        if unknown:
            msg = (
                f"{Path(path).name}: refused: its architecture is {', '.join(unknown)}, "
                f"{task.name} has {', '.join(task.networks)}; train a model for these data"
            )
            raise DataError(msg)
        try:
            shapes = {name: tuple(shape) for name, shape in facts["shapes"].items()}
            members = tuple(
                _restored(task, shapes, place, member, state)
                for place, member in enumerate(facts["members"])
            )
        except LivertrackError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{Path(path).name}: the model is incomplete ({error!s:.100}); train it again"
            raise DataError(msg) from error
        kept = {k: v for k, v in facts.items() if k not in _OF_THE_FILE}
        return cls(task, members, shapes, kept, pd.DataFrame())

    def _every(self, cases: Cases) -> Vector:
        """Prediction of every member, (members, cases)."""
        if {n: tuple(s) for n, s in cases.shapes.items()} != dict(self.shapes):
            msg = f"the model reads {dict(self.shapes)}, the cases hold {cases.shapes}"
            raise DataError(msg)
        return np.stack([m.network.predict(cases.inputs) for m in self.members])


_IDENTIFIERS = ("USUBJID", "SITEID", "AVISIT", "AVISITN", "SLICE")
_OF_THE_FILE = ("task", "architecture", "preprocessing", "members", "shapes")


def train_task(
    task: ImageTask,
    cases: Cases,
    *,
    seed: int,
    networks: Sequence[str] | None = None,
    n_folds: int | None = None,
) -> TaskModel:
    """Train a task on all cases: a network per fold, which leaves the fold's subjects out.

    Parameters
    ----------
    task : ImageTask
    cases : Cases
        With the outcome; cases without one are left out.
    seed : int
    networks : sequence of str, optional
        Architectures; those that the task deploys by default.
    n_folds : int, optional
        Folds of subjects; the published number by default.

    Returns
    -------
    TaskModel
        What it decides (an abstention band, an interval) was learned from out-of-fold
        predictions of the training cases.

    Notes
    -----
    Identical for any number of joblib workers. Source: Nieves-Vazquez et al. (2024) for the vote
    of the folds' networks.
    """
    names = task.chosen(networks or task.deployed or None)
    if task.outcome not in cases.frame:
        msg = f"{task.name}: the cases have no outcome {task.outcome}; nothing can be learned"
        raise DataError(msg)
    known = cases.frame[task.outcome].notna().to_numpy()
    if not known.all():
        cases = cases.subset(known)
    order = cases.frame.sort_values(["USUBJID", "HASH"], kind="stable").index.to_numpy()
    cases = cases.ordered(order)
    frame = cases.frame
    y = numeric(frame, task.outcome)
    subjects = np.unique(frame["USUBJID"].astype(str), return_inverse=True)[1].astype(np.int64)
    folds = n_folds or task.n_folds
    everything = np.ones(len(frame), bool)
    learners = {n: NetworkLearner(task.networks[n], cases, task.schedule(n)) for n in names}
    require_no_leakage(
        frame, learners, outcome=task.outcome, subject="USUBJID", site=None, hashes=["HASH"],
        fitted_on={}, tested=everything,
    )  # fmt: skip
    if len(np.unique(subjects)) < 2 * folds:
        msg = f"{len(np.unique(subjects))} subjects are too few for {folds} folds"
        raise DataError(msg)
    rng = generator(seed, "train_task", "folds")
    fold = deal(rng, subjects, outcome_strata(y, subjects, task.kind), everything, folds)
    jobs = [
        delayed(_fit)(task, learner, name, frame, y, fold, k, seed)
        for name, learner in learners.items()
        for k in range(folds)
    ]
    fitted = list(Parallel()(jobs))
    members = tuple(member for member, _ in fitted)
    predicted = np.empty((len(names), len(frame)))
    for number, (member, values) in enumerate(fitted):
        predicted[number // folds, fold == member.fold] = values
    held = pd.DataFrame({
        "model": " + ".join(names), "repeat": 0, "fold": fold, "row": np.arange(len(frame)),
        "USUBJID": frame["USUBJID"].to_numpy(), "observed": y,
        "predicted": predicted.mean(axis=0),
    })  # fmt: skip
    facts = {
        "seed": seed, "n_folds": folds, "n_subjects": len(np.unique(subjects)),
        "n_rows": len(frame), "simulated": cases.simulated,
        "training": {name: task.schedule(name).facts() for name in names},
        "decision": {} if task.decision is None else task.decision.learn(held),
    }  # fmt: skip
    return TaskModel(task, members, cases.shapes, facts, held)


def _fit(
    task: ImageTask, learner: NetworkLearner, name: str, frame: pd.DataFrame, y: Vector,
    fold: NDArray[np.int64], k: int, seed: int,
) -> tuple[Member, Vector]:  # fmt: skip
    train, test = fold != k, fold == k
    number = int(spawn(seed, "train_task", name, k).generate_state(1)[0])
    network = learner.network(frame[train], y[train], task.kind, seed=number)
    return Member(name, k, network), network.predict(learner.cases.take(frame["HASH"][test]))


def _restored(
    task: ImageTask, shapes: Mapping[str, tuple[int, ...]], place: int, member: Mapping[str, Any],
    state: Mapping[str, NDArray[Any]],
) -> Member:  # fmt: skip
    from livertrack.imaging.learning.training import Network

    prefix = f"{place}/"
    tensors = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
    name, scale = str(member["architecture"]), tuple(float(v) for v in member["scale"])
    make = partial(task.networks[name], shapes, task.outputs(len(scale)))
    network = Network.restored(make, tensors, loss=member["loss"], scale=scale)
    return Member(name, int(member["fold"]), network)
