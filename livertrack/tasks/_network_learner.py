"""A network as a learner of `cross_validate`: rows in, pictures looked up, predictions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation.learners import Learner, Predictor
from livertrack.imaging.learning.settings import Build, Training
from livertrack.tasks._task import _LOSS, Cases

if TYPE_CHECKING:
    from livertrack.imaging.learning.training import Network

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class NetworkLearner:
    """A network that learns the pictures of the rows it is given, and nothing else.

    Attributes
    ----------
    build : callable
        ``build(shapes, outputs)`` makes the untrained module.
    cases : Cases
        Where the pictures of a row are; rows are found by ``HASH``.
    training : Training
        The schedule.
    """

    build: Build
    cases: Cases
    training: Training

    def candidates(self) -> Sequence[Learner]:
        """Itself: nothing is tuned."""
        return [self]

    def network(self, rows: pd.DataFrame, y: Vector, task: Task, *, seed: int) -> Network:
        """Fit the network to rows."""
        from livertrack.imaging.learning.training import fit_network

        outputs = len(np.unique(y)) - 1 if task == "ordinal" else 1
        return fit_network(
            partial(self.build, self.cases.shapes, outputs), self.cases.take(rows["HASH"]), y,
            loss=_LOSS[task], settings=self.training, seed=seed,
        )  # fmt: skip

    def fit(self, rows: pd.DataFrame, y: Vector, task: Task, *, seed: int) -> Predictor:
        """Fit; the predictor reads the pictures of the rows it is asked."""
        network = self.network(rows, y, task, seed=seed)

        def predict(test: pd.DataFrame) -> Vector:
            return network.predict(self.cases.take(test["HASH"]))

        return predict

    def label(self) -> str:
        """Nothing distinguishes candidates."""
        return ""
