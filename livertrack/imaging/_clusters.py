"""Clusters of latents: k-means, merging by Ward, stable order."""

from __future__ import annotations

from collections.abc import Iterator

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
    group_of = np.arange(len(centres))
    for groups, _ in _ward(centres, counts):
        if len(set(group_of.tolist())) <= n_types:
            break
        for number, members in enumerate(groups):
            group_of[members] = number
    return group_of


def levels(centres: Floats, counts: NDArray[np.int64]) -> tuple[NDArray[np.int16], Floats]:
    """Merge types one by one: the hierarchy of a vocabulary.

    Returns
    -------
    levels : array
        (K - 1, K), row i: group of each type, 1.., where there are K - 1 - i groups.
    heights : array
        (K - 1,), distance between the means of the two groups that the row has merged (chosen by
        Ward's criterion, so that distances need not rise from row to row).
    """
    k = len(centres)
    table = np.ones((k - 1, k), np.int16)
    heights = np.zeros(k - 1, np.float32)
    for row, (groups, height) in enumerate(_ward(centres, counts)):
        for number, members in enumerate(sorted(groups, key=min), start=1):
            table[row, members] = number
        heights[row] = height
    return table, heights


def _ward(
    centres: Floats, counts: NDArray[np.int64]
) -> Iterator[tuple[list[list[int]], float]]:  # fmt: skip
    """Groups after each merging, and the distance between the means of the two merged."""
    groups: list[list[int]] = [[i] for i in range(len(centres))]
    means = [c.astype(np.float64) for c in centres]
    sizes = [float(max(n, 1)) for n in counts]
    while len(groups) > 1:
        best, pair, gap = np.inf, (0, 1), 0.0
        for i in range(len(groups)):
            for j in range(i + 1, len(groups)):
                apart = float(((means[i] - means[j]) ** 2).sum())
                cost = sizes[i] * sizes[j] / (sizes[i] + sizes[j]) * apart
                if cost < best:
                    best, pair, gap = cost, (i, j), apart
        i, j = pair
        total = sizes[i] + sizes[j]
        means[i] = (sizes[i] * means[i] + sizes[j] * means[j]) / total
        sizes[i] = total
        groups[i] = groups[i] + groups[j]
        del groups[j], means[j], sizes[j]
        yield [list(members) for members in groups], float(np.sqrt(gap))
