"""From features of voxels to tissue types: the nearest cluster, if it is near enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from livertrack.imaging.vocabulary import Vocabulary

#: from features (features, n) to results (n, ...)
Work = Callable[[Tensor], Tensor]


def signed_types(vocabulary: Vocabulary, device: torch.device) -> Work:
    """Type of each voxel (n,), negative where it is unlike any seen."""
    scores = _scores(vocabulary, device)
    groups = torch.from_numpy(vocabulary.groups).to(device)
    limit = torch.from_numpy(vocabulary.card["limit"]).to(device)

    def types(columns: Tensor) -> Tensor:
        score, length = scores(columns)
        best, own = score.max(0)
        labels = groups[own]
        return torch.where(length - 2 * best > limit[own], -labels, labels)

    return types


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
