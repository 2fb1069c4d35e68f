"""What a model may see of the features: as they are, as log-ratios, or with tissue types merged.

Whatever is learned from data (which types are merged, medians, means, standard deviations) is
learned from the training rows alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

#: share added to every part before its logarithm, the same in every fold
ZERO_SHARE = 1e-4
_TISSUE_TYPE = re.compile(r"^TV\d+$")


@dataclass(frozen=True)
class Representation:
    """One way of presenting the features.

    ``kind`` is "raw", "clr" or "merged"; ``groups`` the number of merged types of the last.
    """

    kind: str
    groups: int = 0

    @property
    def name(self) -> str:
        """Name for tables: raw, clr, merged-4."""
        return f"merged-{self.groups}" if self.kind == "merged" else self.kind


def composition_columns(columns: Sequence[str], values: Array) -> NDArray[np.bool_]:
    """Which columns are parts of a composition: tissue types (TV1, TV02, ...) in proportions.

    None of them unless there are three, all within 0 to 1, and no row sums to more than 1.
    """
    named = np.array([bool(_TISSUE_TYPE.match(column)) for column in columns], bool)
    parts = values[:, named]
    seen = parts[~np.isnan(parts)]
    proportions = len(seen) > 0 and seen.min() >= 0 and seen.max() <= 1
    if named.sum() < 3 or not proportions or np.nansum(parts, axis=1).max() > 1 + 1e-6:
        return np.zeros(len(columns), bool)
    return named


def candidates(parts: NDArray[np.bool_]) -> list[Representation]:
    """Representations to choose from: raw alone unless some columns are a composition."""
    count = int(parts.sum())
    if count == 0:
        return [Representation("raw")]
    merged = sorted({max(2, count // 2), max(2, count // 3)}, reverse=True)
    return [
        Representation("raw"),
        Representation("clr"),
        *(Representation("merged", groups) for groups in merged if groups < count),
    ]


def represent(
    values: Array, parts: NDArray[np.bool_], how: Representation, train: NDArray[np.bool_],
    groupings: Sequence[Mapping[int, Labels]],
) -> Array:  # fmt: skip
    """Standardised columns for several training sets.

    Parameters
    ----------
    values : array (rows, columns)
        NaN = missing: the median of the training rows after the transformation.
    parts : boolean array (columns,)
        Columns of the composition; the others are taken as they are.
    how : Representation
    train : boolean array (sets, rows)
    groupings : sequence over the sets
        Merged types of every size, from `learn_groupings` on the same training rows.

    Returns
    -------
    array (sets, rows, columns of the representation)
        Mean 0 and SD 1 over the training rows; a column without spread there is 0.
    """
    rest = values[:, ~parts]
    if how.kind == "merged":
        blocks = [merged(values[:, parts], labels[how.groups]) for labels in groupings]
    else:
        block = values[:, parts] if how.kind == "raw" else centred_logs(values[:, parts])
        blocks = [block]
    stacked = np.stack([np.concatenate([block, rest], axis=1) for block in blocks])
    stacked = np.broadcast_to(stacked, (len(train), *stacked.shape[1:]))
    return _standardised(_imputed(stacked, train), train)


def centred_logs(parts: Array) -> Array:
    """Centred log-ratios after adding `ZERO_SHARE` to every part."""
    logs = np.log(parts + ZERO_SHARE)
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def learn_groupings(
    parts: Array, train: NDArray[np.bool_], sizes: Collection[int]
) -> list[dict[int, Labels]]:
    """Merge types step by step in every training set; labels for the asked numbers of groups.

    Types whose log-ratios correlate over the training rows are merged: average linkage of 1 - r.
    """
    logs = centred_logs(parts)
    known = ~np.isnan(logs).any(axis=1)
    found = []
    for rows in train:
        used = logs[rows & known]
        count = parts.shape[1]
        if len(used) < 3:
            distance = np.ones((count, count))
        else:
            centred = used - used.mean(axis=0)
            length = np.sqrt((centred**2).sum(axis=0))
            unit = centred / np.where(length > 1e-12, length, 1.0)
            distance = 1 - unit.T @ unit
        found.append(average_linkage(distance.round(12), sizes))
    return found


def average_linkage(distance: Array, sizes: Collection[int]) -> dict[int, Labels]:
    """Average linkage of ``distance`` (k x k): labels 0.. for each of ``sizes`` groups (< k)."""
    count = len(distance)
    held = (distance + distance.T) / 2
    np.fill_diagonal(held, np.inf)
    size = np.ones(count)
    labels = np.arange(count)
    out = {}
    for groups in range(count - 1, min(sizes, default=count) - 1, -1):
        first, second = sorted(divmod(int(held.argmin()), count))
        joint = (size[first] * held[first] + size[second] * held[second]) / (
            size[first] + size[second]
        )
        held[first], held[:, first] = joint, joint
        held[first, first] = np.inf
        held[second], held[:, second] = np.inf, np.inf
        size[first] += size[second]
        labels[labels == second] = first
        if groups in sizes:
            out[groups] = np.unique(labels, return_inverse=True)[1]
    return out


def merged(parts: Array, labels: Labels) -> Array:
    """Centred log-ratios of the sums of types with equal labels."""
    sums = parts @ np.eye(labels.max() + 1)[labels]
    return centred_logs(sums)


def _imputed(x: Array, train: NDArray[np.bool_]) -> Array:
    """Fill missing values with the medians of the training rows (0 where there is none)."""
    holes = np.isnan(x).any(axis=(0, 1))
    if not holes.any():
        return x
    out = x.copy()
    part = np.sort(np.where(train[:, :, None], out[:, :, holes], np.nan), axis=1)  # NaN last
    count = (~np.isnan(part)).sum(axis=1, keepdims=True)
    low = np.take_along_axis(part, np.maximum((count - 1) // 2, 0), axis=1)
    above = np.minimum(count // 2, part.shape[1] - 1)
    high = np.take_along_axis(part, above, axis=1)
    median = np.where(count > 0, (low + high) / 2, 0.0)
    out[:, :, holes] = np.where(np.isnan(out[:, :, holes]), median, out[:, :, holes])
    return out


def _standardised(x: Array, train: NDArray[np.bool_]) -> Array:
    weight = train / train.sum(axis=1, keepdims=True)
    mean = (weight[:, None] @ x)[:, 0]
    centred = x - mean[:, None]
    spread = np.sqrt((weight[:, None] @ centred**2)[:, 0])
    size = np.abs(x).max(axis=1)
    scale = np.where(spread > 1e-10 * np.maximum(size, 1e-12), spread, np.inf)
    return np.asarray(centred / scale[:, None])
