"""Clusters of latents: k-means, merging by Ward, stable order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from livertrack._seeds import spawn

Floats = NDArray[np.float32]


def kmeans(
    rows: Floats, k: int, *, seed: int, name: str, n_init: int = 4
) -> tuple[Floats, NDArray[np.intp]]:
    """Centres (k, d) and labels (n,) by k-means, identical for any number of threads."""
    state = int(spawn(seed, name).generate_state(1, np.uint32)[0] % (2**31))
    with threadpool_limits(1):
        model = KMeans(k, n_init=n_init, random_state=state, max_iter=200).fit(rows)
    return model.cluster_centers_.astype(np.float32), model.labels_


def merge(centres: Floats, counts: NDArray[np.int64], n_types: int) -> NDArray[np.int64]:
    """Group of each centre, 0..n_types - 1: Ward's criterion, centres weighted by counts."""
    groups: list[list[int]] = [[i] for i in range(len(centres))]
    means = [c.astype(np.float64) for c in centres]
    sizes = [float(max(n, 1)) for n in counts]
    while len(groups) > n_types:
        best, pair = np.inf, (0, 1)
        for i in range(len(groups)):
            for j in range(i + 1, len(groups)):
                cost = sizes[i] * sizes[j] / (sizes[i] + sizes[j])
                cost *= float(((means[i] - means[j]) ** 2).sum())
                if cost < best:
                    best, pair = cost, (i, j)
        i, j = pair
        total = sizes[i] + sizes[j]
        means[i] = (sizes[i] * means[i] + sizes[j] * means[j]) / total
        sizes[i] = total
        groups[i] += groups[j]
        del groups[j], means[j], sizes[j]
    group_of = np.empty(len(centres), np.int64)
    for number, members in enumerate(groups):
        group_of[members] = number
    return group_of
