"""From features of voxels to tissue types: the nearest cluster, or how probable each type is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from livertrack.imaging.vocabulary import Vocabulary

#: from features (features, n) to results (n, ...)
Work = Callable[[Tensor], Tensor]


class Labelled(NamedTuple):
    """A labelled scan: see `Vocabulary.labelled`.

    ``labels`` int16 (x, y, z); ``shares`` uint8 (x, y, z, K) in steps of 1/255, or None;
    ``quality`` numbers.
    """

    labels: NDArray[np.int16]
    shares: NDArray[np.uint8] | None
    quality: dict[str, Any]


def signed_types(vocabulary: Vocabulary, device: torch.device) -> Work:
    """Type of each voxel (n,), negative where it is unlike any seen."""
    scores, types = _scores(vocabulary, device), _nearest(vocabulary, device)
    return lambda columns: types(*scores(columns))


def type_shares(vocabulary: Vocabulary, device: torch.device, variance: float) -> Work:
    """Probability of each type in each voxel (n, K), float32."""
    scores, shares = _scores(vocabulary, device), _mixture(vocabulary, device, variance)
    return lambda columns: shares(scores(columns)[0])


def types_and_shares(vocabulary: Vocabulary, device: torch.device, variance: float) -> Work:
    """Both from one pass, (n, 1 + K): the signed type, then the probabilities."""
    scores, types = _scores(vocabulary, device), _nearest(vocabulary, device)
    shares = _mixture(vocabulary, device, variance)

    def both(columns: Tensor) -> Tensor:
        score, length = scores(columns)
        first = types(score, length).to(score.dtype)
        return torch.cat([first[:, None], shares(score)], dim=1)

    return both


def _nearest(vocabulary: Vocabulary, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    groups = torch.from_numpy(vocabulary.groups).to(device)
    limit = torch.from_numpy(vocabulary.card["limit"]).to(device)

    def types(score: Tensor, length: Tensor) -> Tensor:
        best, own = score.max(0)
        labels = groups[own]
        return torch.where(length - 2 * best > limit[own], -labels, labels)

    return types


def _mixture(vocabulary: Vocabulary, device: torch.device, variance: float) -> Work:
    groups = torch.from_numpy(vocabulary.groups).to(device)
    kinds = torch.arange(1, vocabulary.n_types + 1, device=device)
    # which clusters make a type, as a matrix: shares of clusters to shares of types
    member = (kinds[:, None] == groups[None, :]).float()
    return lambda score: (member @ (score / variance).softmax(0)).T


def _scores(
    vocabulary: Vocabulary, device: torch.device
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Scores (clusters, n) and squared lengths (n,): squared distance = length - 2 score."""
    centres = torch.from_numpy(vocabulary.centres).to(device)
    offset = (centres**2).sum(1, keepdim=True) / 2
    latents = vocabulary.encoder.fused()

    def scores(columns: Tensor) -> tuple[Tensor, Tensor]:
        found = latents(columns)
        return centres @ found - offset, (found * found).sum(0)

    return scores
