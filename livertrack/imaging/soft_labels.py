"""Soft labels: how probable each tissue type is in each voxel, for pathways that doubt.

A voxel between two types has either label by chance of the noise, and changes it from scan to
scan. Its probabilities hardly change, and pathways counted from them take it as unchanged.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from livertrack.imaging.scan import Scan

if TYPE_CHECKING:
    from livertrack.imaging.vocabulary import Vocabulary

#: Variance of a voxel's latent about its type, in units of the mean squared distance of a place
#: from the mean of its type: what predicts the type in a repeat scan nearly best
#: (analysis/benchmarks/soft_labels.py).
SOFTNESS = 0.35


def soft_labels(
    vocabulary: Vocabulary, scan: Scan, *, softness: float = SOFTNESS, device: str | None = None
) -> NDArray[np.float32]:
    """Probability of every tissue type in every voxel of the mask.

    Parameters
    ----------
    vocabulary : Vocabulary
    scan : Scan
        The channels of the vocabulary, in order.
    softness : float
        Variance of the latent about a cluster's centre, in units of the squared spread of the
        types (mean squared distance of a place from the mean of its type). Towards 0 the
        probabilities are 0 and 1.
    device : str or None

    Returns
    -------
    array
        float32 (x, y, z, K): rows sum to one inside the mask, to zero outside.

    Notes
    -----
    ``p(k) ~ sum over the clusters c of type k of exp(-|z - c|^2 / (2 softness spread^2))``, with z
    the latent of the voxel. The latent space is scaled so that differences between views of one
    place have the same size in all directions, so one variance serves. The most probable type is
    the label of `Vocabulary.label` where every type is one cluster.
    Checked against: the label maps, and hand-worked distances (tests/imaging/test_soft_labels.py).
    """
    from livertrack.imaging._assignment import type_shares
    from livertrack.imaging._threads import pick_device

    variance = latent_variance(vocabulary, softness)
    prepared, shares = vocabulary.over(
        scan, partial(type_shares, variance=variance), device=pick_device(device)
    )
    return prepared.restore(shares)


def latent_variance(vocabulary: Vocabulary, softness: float) -> float:
    """Variance of a latent about its cluster, in squared latent units."""
    return softness * _spread(vocabulary) ** 2


def _spread(vocabulary: Vocabulary) -> float:
    """Root mean squared distance of a place from the mean of its type, in latent units."""
    types = range(1, vocabulary.n_types + 1)
    groups = np.asarray(vocabulary.groups)
    means = np.stack([
        vocabulary.centres[groups == t].mean(axis=0) if (groups == t).any()
        else np.full(vocabulary.centres.shape[1], np.nan)
        for t in types
    ]).astype(float)  # fmt: skip
    between = np.sqrt(((means[:, None] - means[None]) ** 2).sum(axis=-1))
    units = np.asarray(vocabulary.card["distances"], float)
    known = np.isfinite(between) & (units > 0)
    return float(np.median(between[known] / units[known])) if known.any() else 1.0
