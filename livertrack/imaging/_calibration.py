"""What a vocabulary knows of its own limits: how far its places lie, and which types are near."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livertrack.imaging._clusters import levels

Floats = NDArray[np.float32]

#: part of the training places, seen by any scanner, that a cluster's limit leaves inside
INSIDE = 0.999
#: a cluster with fewer views of places than this takes the limit of all clusters
FEW = 200


def calibration(
    views: Floats, centres: Floats, groups: NDArray[np.int16], types: NDArray[np.int16]
) -> dict[str, NDArray[Any]]:
    """Limits and spread of clusters, and the hierarchy of types.

    Parameters
    ----------
    views : array
        (places, views, latent): training places as they are and as other scanners would see them.
    centres, groups : array
        Clusters and their types.
    types : array
        (places,), type of each place as it is.

    Returns
    -------
    dict
        ``limit`` (clusters,): squared distance to the centre that 99.9 % of the views nearest to
        it keep; ``variance`` (1,): mean squared distance to the nearest centre per latent
        dimension, over all views; ``levels`` and
        ``heights`` (see `_clusters.levels`).
    """
    squared, near = [], []
    for view in range(views.shape[1]):
        distance = _squared(views[:, view], centres)
        near.append(distance.argmin(1))
        squared.append(distance.min(1))
    every, own = np.concatenate(squared), np.concatenate(near)
    limit = np.full(len(centres), np.quantile(every, INSIDE), np.float32)
    for number in range(len(centres)):
        members = every[own == number]
        if len(members) >= FEW:
            limit[number] = np.quantile(members, INSIDE)
    k = int(groups.max())
    first = views[:, 0]
    counts = np.bincount(types, minlength=k + 1)[1:]
    means = np.stack(
        [
            first[types == kind].mean(0) if counts[kind - 1] else centres[groups == kind].mean(0)
            for kind in range(1, k + 1)
        ]
    )
    table, heights = levels(means, counts)
    return {
        "limit": limit,
        "variance": np.array([every.mean() / views.shape[-1]], np.float32),
        "levels": table, "heights": heights,
    }  # fmt: skip


def absent(centres: Floats, groups: NDArray[np.int16]) -> Mapping[str, NDArray[Any]]:
    """Calibration of a vocabulary that was stored without: nothing is unknown."""
    k = int(groups.max())
    means = np.stack([centres[groups == kind].mean(0) for kind in range(1, k + 1)])
    table, heights = levels(means, np.ones(k, np.int64))
    return {
        "limit": np.full(len(centres), np.inf, np.float32),
        "variance": np.array([np.nan], np.float32), "levels": table, "heights": heights,
    }  # fmt: skip


def _squared(rows: Floats, centres: Floats) -> NDArray[np.float32]:
    inner = (rows**2).sum(1, keepdims=True)
    found: NDArray[np.float32] = np.maximum(inner - 2 * rows @ centres.T + (centres**2).sum(1), 0)
    return found
