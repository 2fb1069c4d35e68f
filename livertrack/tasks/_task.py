"""What a prediction task from pictures is: a declaration, and the cases it is asked of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._results import Result
from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation import CrossValidation
from livertrack.endpoints.cross_validation.learners import Learner
from livertrack.endpoints.cross_validation.levels import Combine
from livertrack.errors import DataError, UsageError
from livertrack.imaging.learning.settings import Build, Loss, Training

_LOSS: dict[Task, Loss] = {"binary": "binary", "ordinal": "ordinal", "continuous": "squared"}


def file_name(*labels: object) -> str:
    """Name of a file made of labels: letters, digits, dots and dashes."""
    plain = (re.sub(r"[^A-Za-z0-9.-]+", "-", str(label)) for label in labels)
    return "_".join(part for part in plain if part)


@dataclass(frozen=True)
class Cases:
    """Cases of a task: a frame, and arrays with the same cases first.

    Attributes
    ----------
    frame : DataFrame
        One row per slice or scan: ``USUBJID``, ``HASH`` (of the content of its pictures), the
        outcome where it is known, ``SITEID`` where known, measures of the baselines, covariates.
    inputs : mapping of name to float32 array, cases first
        What the networks read, finite.
    spacing : tuple of float
        Millimetres of a pixel or voxel of the pictures; empty where it does not matter.
    simulated : bool
        Whether the cases are simulated; said wherever their numbers are shown.
    """

    frame: pd.DataFrame
    inputs: Mapping[str, NDArray[np.float32]]
    spacing: tuple[float, ...] = ()
    simulated: bool = False

    @classmethod
    def of(
        cls, frame: pd.DataFrame, inputs: Mapping[str, NDArray[Any]], *,
        hashed: Sequence[str] = ("images",), spacing: Sequence[float] = (),
        simulated: bool = False,
    ) -> Cases:  # fmt: skip
        """Cases with the hash of the inputs ``hashed`` of every case.

        Raises
        ------
        DataError
            Numbers of rows and of cases differ, or values are not finite.
        """
        arrays = {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in inputs.items()}
        for name, array in arrays.items():
            if len(array) != len(frame):
                msg = f"{name}: {len(array)} case(s) for {len(frame)} row(s)"
                raise DataError(msg)
            bad = int((~np.isfinite(array)).reshape(len(array), -1).any(axis=1).sum())
            if bad:
                msg = f"{name}: {bad} case(s) hold values that are not finite; replace them first"
                raise DataError(msg)
        hashes = [
            hashlib.sha256(b"".join(arrays[name][place].tobytes() for name in hashed)).hexdigest()
            for place in range(len(frame))
        ]
        rows = frame.reset_index(drop=True).assign(HASH=hashes)
        return cls(rows, arrays, tuple(float(v) for v in spacing), simulated)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one case of every input."""
        return {name: array.shape[1:] for name, array in self.inputs.items()}

    def take(self, hashes: pd.Series) -> dict[str, NDArray[np.float32]]:
        """Inputs of the cases with these hashes, in that order.

        The hash is what ties a row to its pictures: rows may come sorted, shuffled or in part.
        """
        known = pd.Series(np.arange(len(self.frame)), index=self.frame["HASH"])
        place = known[~known.index.duplicated()].reindex(hashes)
        missing = int(place.isna().sum())
        if missing:
            msg = f"{missing} row(s) have no pictures among the cases (HASH)"
            raise DataError(msg)
        chosen = place.to_numpy(np.int64)
        return {name: array[chosen] for name, array in self.inputs.items()}

    def subset(self, keep: NDArray[np.bool_]) -> Cases:
        """Cases where ``keep`` is true."""
        keep = np.asarray(keep, bool)
        rows = self.frame[keep].reset_index(drop=True)
        return replace(self, frame=rows, inputs={n: a[keep] for n, a in self.inputs.items()})

    def ordered(self, order: NDArray[np.int64]) -> Cases:
        """Cases in another order."""
        rows = self.frame.iloc[order].reset_index(drop=True)
        return replace(self, frame=rows, inputs={n: a[order] for n, a in self.inputs.items()})

    def joined(self, other: Cases) -> Cases:
        """Both cohorts, one below the other."""
        if self.shapes != other.shapes:
            msg = f"the cohorts' inputs differ in shape: {self.shapes} and {other.shapes}"
            raise DataError(msg)
        return replace(
            self, frame=pd.concat([self.frame, other.frame], ignore_index=True),
            inputs={n: np.concatenate([a, other.inputs[n]]) for n, a in self.inputs.items()},
            simulated=self.simulated or other.simulated,
        )  # fmt: skip


class Decision(Protocol):
    """What is decided from a prediction: learned from out-of-fold predictions, then applied."""

    def learn(self, predictions: pd.DataFrame) -> dict[str, Any]:
        """Plain facts for the model file, from ``fold, USUBJID, observed, predicted`` (rows)."""
        ...

    def apply(self, subjects: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
        """Add columns of the decision to ``USUBJID, predicted`` (one row per subject)."""
        ...


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """One prediction task: a declaration on the shared trainer and the shared evaluation.

    Attributes
    ----------
    name, title : str
        ``mre-quality``, "Quality of MR elastography".
    outcome : str
        Column of the cases' frame: 0/1, stages or a value.
    kind : {"binary", "ordinal", "continuous"}
    networks : mapping of name to callable
        ``build(shapes, outputs)`` makes the untrained module; its forward takes the inputs by
        name. Shapes are those of one case.
    training : Training
        The schedule, fixed beforehand.
    baselines : mapping of name to Learner
        Models that the networks must beat, on columns of the frame (mean intensity, radiomics).
    preparation : mapping
        Plain values: how inputs were prepared. A model remembers it, and is refused where it
        differs.
    read : callable
        ``read(folder) -> Cases`` from the task's folder layout; the outcome may be absent.
    simulate : callable
        ``simulate(folder, n, seed)`` writes ``n`` simulated subjects in that layout.
    published : DataFrame
        ``figure, metric, level, model, published, source``; ``model`` and ``level`` say which of
        our numbers stands beside it.
    n_published : int
        Subjects of the published study.
    n_folds : int
        Folds of the published study.
    combine : {"mean", "median", "max"}
        How rows of a subject become its prediction.
    ensemble : bool
        Whether the mean of all networks is a model of its own.
    hashed : sequence of str
        Inputs whose content must not occur twice.
    decision : Decision, optional
        What is decided from the prediction of a subject.
    paramcd : str
        PARAMCD of the prediction's record.
    records : mapping of (PARAMCD, PARAM) to callable, optional
        Records of an examination, made of the frame of `TaskModel.subjects`; otherwise one
        record of the prediction.
    further : callable, optional
        Further results made of an evaluation and its cases, by name: an abstention band,
        prediction intervals, an audit of confounders. `livertrack train --evaluate` writes them
        beside it.
    deployed : sequence of str
        Networks that `train` fits unless others are named; all where empty.
    schedules : mapping of network to Training, optional
        Schedules of networks that differ from ``training``.
    placed : callable, optional
        ``placed(folder, cases, maps)`` gives maps (cases, channels, spatial axes) back as
        images on the grids of the folder's files, each with a name; absent where networks read
        no pictures.
    """

    name: str
    title: str
    outcome: str
    kind: Task
    networks: Mapping[str, Build]
    training: Training
    baselines: Mapping[str, Learner]
    preparation: Mapping[str, Any]
    read: Callable[[Path], Cases]
    simulate: Callable[[Path, int, int], Path]
    published: pd.DataFrame
    n_published: int
    n_folds: int = 5
    combine: Combine = "mean"
    ensemble: bool = True
    hashed: Sequence[str] = ("images",)
    decision: Decision | None = None
    paramcd: str = "PRED"
    records: Mapping[tuple[str, str], Callable[[pd.DataFrame], pd.Series]] = field(
        default_factory=dict
    )
    further: Callable[[CrossValidation, Cases], Mapping[str, Result]] | None = None
    deployed: Sequence[str] = field(default=())
    schedules: Mapping[str, Training] = field(default_factory=dict)
    placed: Callable[[Path, Cases, NDArray[np.float32]], Iterator[tuple[str, Any]]] | None = None

    @property
    def loss(self) -> Loss:
        """Loss of the networks, by the kind of outcome."""
        return _LOSS[self.kind]

    def schedule(self, network: str) -> Training:
        """Schedule of a network."""
        return self.schedules.get(network, self.training)

    def chosen(self, networks: Sequence[str] | None) -> list[str]:
        """Names of networks, checked; all of them where none are given."""
        names = list(self.networks) if networks is None else list(networks)
        unknown = [name for name in names if name not in self.networks]
        if unknown or not names:
            msg = (
                f"networks of {self.name} are {', '.join(self.networks)}; "
                f"got {', '.join(names) or 'none'}"
            )
            raise UsageError(msg)
        return names

    def outputs(self, levels: int) -> int:
        """Outputs of a network for an outcome of so many levels."""
        return levels - 1 if self.kind == "ordinal" else 1
