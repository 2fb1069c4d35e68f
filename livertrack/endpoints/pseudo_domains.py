"""Pseudo-domains: scans of similar appearance have a model of their own, found in the fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from livertrack._seeds import spawn
from livertrack.endpoints._checks import numeric, require_columns
from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation.learners import Learner, Predictor
from livertrack.errors import UsageError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: domain of rows that belong to none
NONE = -1
#: standard deviations at which a standardised appearance is cut, so that one scan makes no domain
_CUT = 4.0


@dataclass(frozen=True)
class PseudoDomains:
    """A learner refitted in every cluster of appearance that is large enough, else fitted once.

    Parameters
    ----------
    learner : Learner
        What learns the outcome, e.g. `Tabular`.
    appearance : sequence of str
        Numeric columns that tell how a scan looks and not what it shows: noise, bias field,
        texture of a reference tissue, first-order statistics. No site need be known.
    n_domains : sequence of int
        Candidates of the inner folds; 1 is a single model, so that domains are used only where
        they predict better.
    smallest : int
        Fewest training rows of a domain with a model of its own.
    rarest : int
        Fewest training rows of every level of a binary or ordinal outcome in such a domain.
    reach : float
        A row farther from its centre than ``reach`` times the farthest training row of the domain
        belongs to none.

    Notes
    -----
    Inside the fold: means and standard deviations of the appearance (cut at 4), centres by
    k-means from 20 starts, the models. The *fall-back*, for rows of a domain too small or without
    its levels, of an appearance unlike any, or without a known appearance, is the model of all
    training rows. Appearance must not hold the outcome or what only treatment changes.

    Source: Perkonigg et al. (2021), arXiv 2111.07634, where domains come from image style and
    change over time; here they are clusters of stated features.
    Checked against: the learner itself with one domain, and fitted by hand on each of two
    domains; simulated scanners (tests/endpoints/test_pseudo_domains.py).
    """

    learner: Learner
    appearance: Sequence[str]
    n_domains: Sequence[int] = (1, 2, 3)
    smallest: int = 20
    rarest: int = 5
    reach: float = 1.5

    def __post_init__(self) -> None:
        problems = []
        if not list(self.appearance):
            problems.append("appearance: name at least one column")
        if not list(self.n_domains) or min(self.n_domains) < 1:
            problems.append(f"n_domains are numbers from 1, got {list(self.n_domains)}")
        if self.smallest < 2 or self.rarest < 1 or not self.reach >= 1:
            problems.append("smallest is at least 2, rarest at least 1, reach at least 1")
        if problems:
            raise UsageError("; ".join(problems))

    def candidates(self) -> Sequence[PseudoDomains]:
        """Every number of domains with every candidate of the learner; one domain first."""
        return [
            replace(self, learner=candidate, n_domains=(number,))
            for number in sorted(set(self.n_domains))
            for candidate in self.learner.candidates()
        ]

    def fit(self, rows: pd.DataFrame, y: Vector, task: Task, *, seed: int) -> Predictor:
        """Find the domains of the rows; fit the learner to all of them and to each domain."""
        whole = self.learner.fit(rows, y, task, seed=seed)
        domains = self.domains(rows, seed=seed)
        place = domains.of(rows)
        own: dict[int, Predictor] = {
            number: self.learner.fit(rows[place == number], y[place == number], task, seed=seed)
            for number in range(domains.n)
            if domains.n > 1 and self._enough(y[place == number], y, task)
        }

        def predict(test: pd.DataFrame) -> Vector:
            out = np.asarray(whole(test), float)
            found = domains.of(test)
            for number, model in own.items():
                here = found == number
                if here.any():
                    out[here] = model(test[here])
            return out

        return predict

    def domains(self, rows: pd.DataFrame, *, seed: int) -> Domains:
        """Clusters of appearance among rows; the largest of ``n_domains`` that the rows allow."""
        x = _appearance(rows, self.appearance)
        known = x[np.isfinite(x).all(axis=1)]
        mean = known.mean(axis=0) if len(known) else np.zeros(x.shape[1])
        spread = known.std(axis=0) if len(known) else np.ones(x.shape[1])
        spread = np.where(spread > 1e-12 * np.maximum(np.abs(mean), 1.0), spread, np.inf)
        z = np.clip((known - mean) / spread, -_CUT, _CUT)
        number = min(int(self.n_domains[-1]), len(np.unique(z, axis=0)))
        if number < 2:
            return Domains(tuple(self.appearance), mean, spread, np.zeros((0, x.shape[1])),
                           np.zeros(0))  # fmt: skip
        state = int(spawn(seed, "pseudo_domains").generate_state(1)[0])
        found = KMeans(number, n_init=20, random_state=state).fit(z)
        order = np.lexsort(found.cluster_centers_.T[::-1])  # named by place, not by chance
        centres = found.cluster_centers_[order]
        distance = np.linalg.norm(z[:, None] - centres[None], axis=2)
        nearest = distance.argmin(axis=1)
        limit = np.array([distance[nearest == k, k].max(initial=0.0) for k in range(number)])
        # a domain seen in few scans says little about how far it reaches
        limit = self.reach * np.maximum(limit, np.median(distance.min(axis=1)))
        return Domains(tuple(self.appearance), mean, spread, centres, limit)

    def label(self) -> str:
        """Number of domains and the learner's own label."""
        inner = self.learner.label()
        return f"domains={self.n_domains[-1]}" + (f", {inner}" if inner else "")

    def _enough(self, mine: Vector, y: Vector, task: Task) -> bool:
        if len(mine) < self.smallest:
            return False
        if task == "continuous":
            return bool(np.ptp(mine) > 0)
        return all(int((mine == level).sum()) >= self.rarest for level in np.unique(y))


@dataclass(frozen=True)
class Domains:
    """Centres of appearance (domains x columns, standardised) and how far each reaches."""

    columns: tuple[str, ...]
    mean: Vector
    spread: Vector
    centres: Matrix
    limit: Vector

    @property
    def n(self) -> int:
        """Number of domains."""
        return max(1, len(self.centres))

    def of(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """Domain of every row, from 0; -1 of rows that belong to none."""
        if not len(self.centres):
            return np.zeros(len(rows), np.int64)
        x = _appearance(rows, self.columns)
        known = np.asarray(np.isfinite(x).all(axis=1), bool)
        z = np.clip(
            (np.where(known[:, None], x, self.mean) - self.mean) / self.spread, -_CUT, _CUT
        )
        distance = np.asarray(np.linalg.norm(z[:, None] - self.centres[None], axis=2), float)
        nearest = distance.argmin(axis=1)
        near = distance[np.arange(len(z)), nearest] <= self.limit[nearest]
        return np.asarray(np.where(known & near, nearest, NONE), np.int64)


def _appearance(rows: pd.DataFrame, columns: Sequence[str]) -> Matrix:
    require_columns(rows, list(columns))
    found: Any = [numeric(rows, column) for column in columns]
    return np.column_stack(found)
