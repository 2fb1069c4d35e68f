"""Levels of a vocabulary: its types, and coarser ones in which similar types are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from livertrack.endpoints._pathways_flows import Flows
from livertrack.errors import UsageError

#: With ``share="from-type"``: least proportion of a from-type at baseline.
LEAST_BASELINE = 0.01


def column_means(values: np.ndarray) -> np.ndarray:
    """Means of columns, NaN left out; NaN without values."""
    count = (~np.isnan(values)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nansum(values, axis=0) / count)


class Level:
    """Flows between different types of one level of the vocabulary, as columns."""

    def __init__(
        self, number: int, every: Flows, share: str, groups: np.ndarray,
        null: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.number, self.share = number, share
        self.merged = every.merged(groups) if number else every
        self.start = self.merged.cube.sum(axis=-1)
        beyond = every if null is None else every.beyond(null)
        self.tested = beyond.merged(groups) if number else beyond
        self.members = {
            int(name): "+".join(
                str(t) for t, g in zip(every.types, groups, strict=True) if g == name
            )
            for name in np.unique(groups)
        }
        self.different = ~np.eye(len(self.merged.types), dtype=bool).ravel()

    def columns(self) -> np.ndarray:
        """Values (subjects, visits x regions x pairs of different types)."""
        cube = self.tested.cube
        if self.share == "from-type":
            start = self.start[..., None]
            with np.errstate(divide="ignore", invalid="ignore"):
                cube = np.where(start >= LEAST_BASELINE, cube / start, np.nan)
        return self._flat(cube)

    def own(self) -> np.ndarray:
        """Baseline proportion of the from-type of each column, in its region."""
        return self._flat(np.broadcast_to(self.start[..., None], self.merged.cube.shape))

    def prevalence(self) -> np.ndarray:
        """Mean proportion of the region over all subjects, whatever their arm."""
        return column_means(self._flat(self.merged.cube))

    def _flat(self, cube: np.ndarray) -> np.ndarray:
        n, v, r, k, _ = cube.shape
        return np.asarray(cube.reshape(n, v, r, k * k)[..., self.different].reshape(n, -1))

    def rows(self) -> pd.DataFrame:
        """Describe each column, in the order of `columns`."""
        here = self.merged
        pairs = [(a, b) for a, b in product(here.types, here.types) if a != b]
        frame = pd.DataFrame(
            [(v, r, a, b) for v, r, (a, b) in product(here.visits, here.regions, pairs)],
            columns=["visit", "region", "from_type", "to_type"],
        )
        frame.insert(2, "level", self.number)
        frame["from_group"] = frame["from_type"].map(self.members)
        frame["to_group"] = frame["to_type"].map(self.members)
        return frame


def resolve(
    every: Flows, merge: Sequence[Mapping[int, int] | int], distances: ArrayLike | None
) -> list[np.ndarray]:
    """Group of each type for every level that is asked for."""
    return [
        similar_groups(every, rule, distances)
        if isinstance(rule, (int, np.integer))
        else groups_of(every.types, rule)
        for rule in merge
    ]


def groups_of(types: tuple[int, ...], mapping: Mapping[int, int]) -> np.ndarray:
    """Group of each type, named by its smallest member."""
    unknown = sorted(set(mapping) - set(types))
    if unknown:
        msg = f"merge: type(s) {unknown} do not occur; types are {list(types)}"
        raise UsageError(msg)
    raw = [("group", mapping[kind]) if kind in mapping else ("alone", kind) for kind in types]
    return _named(raw, types)


def similar_groups(every: Flows, n_groups: int, distances: ArrayLike | None = None) -> np.ndarray:
    """Merge types until ``n_groups`` are left, without looking at the arms.

    Parameters
    ----------
    every : Flows
        All subjects of all arms.
    n_groups : int
        At least 2, fewer than there are types.
    distances : array (K, K), optional
        Distance between types 1..K, e.g. a vocabulary's ``card["distances"]``. Without it, types
        are near when they exchange tissue in both directions alike, as types do that a scanner
        or a segmentation confuses: similarity of i and j is twice the smaller of the mean flows
        i to j and j to i over the sum of their mean baseline proportions. A one-way flow, which
        a treatment or a disease makes, brings no types together.

    Returns
    -------
    array (types,)
        Average linkage; each group is named by its smallest type.
    """
    k = len(every.types)
    if not 2 <= n_groups < k:
        msg = f"merge: a number of groups is at least 2 and below the {k} types, got {n_groups}"
        raise UsageError(msg)
    if distances is None:
        apart = 1 - _exchange(every)
    else:
        table = np.asarray(distances, float)
        largest = max(every.types)
        if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < largest:
            msg = f"distances: expected a square array of at least {largest} types"
            raise UsageError(msg)
        index = np.array(every.types) - 1
        apart = table[np.ix_(index, index)]
        apart = (apart + apart.T) / 2
    apart = apart * (1 - np.eye(k))
    tree = linkage(squareform(apart, checks=False), method="average")
    return _named(fcluster(tree, n_groups, criterion="maxclust").tolist(), every.types)


def _exchange(every: Flows) -> np.ndarray:
    region = every.regions.index("") if "" in every.regions else 0
    mean = column_means(every.cube[:, :, region].reshape(-1, *every.cube.shape[-2:]))
    mean = np.nan_to_num(mean)
    start = mean.sum(axis=1)
    total = start[:, None] + start[None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, 2 * np.minimum(mean, mean.T) / total, 0.0))


def _named(labels: Sequence[Any], types: tuple[int, ...]) -> np.ndarray:
    first = dict(zip(reversed(labels), reversed(types), strict=True))
    return np.array([first[name] for name in labels])
