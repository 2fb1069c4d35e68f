"""From features of voxels to tissue types: the nearest cluster, or a share of each type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
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


def type_shares(vocabulary: Vocabulary, device: torch.device) -> Work:
    """Probability of each type (n, K): round Gaussians of one size about the clusters."""
    scores = _scores(vocabulary, device)
    variance = float(vocabulary.card["variance"][0])
    share = torch.from_numpy(vocabulary.card["share"]).clamp_min(1e-6).log()[:, None].to(device)
    kinds = np.arange(1, vocabulary.n_types + 1)
    member = torch.from_numpy(vocabulary.groups[:, None] == kinds).to(device, torch.float32)

    def shares(columns: Tensor) -> Tensor:
        score, _ = scores(columns)
        return torch.softmax(score / variance + share, 0).T @ member

    return shares


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
