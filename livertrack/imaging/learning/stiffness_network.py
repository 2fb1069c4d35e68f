"""Shear stiffness: a transformer over slices of T1W, T2W and DWI and over a clinical table."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StiffnessNetwork(nn.Module):
    """Tokens of slices and of clinical values, attention between them, one number out.

    A missing sequence is left out of the attention; a missing clinical value is a learned token of
    its own, so that a value that was not taken is not read as an average one.

    Parameters
    ----------
    sequences, slices, features : int
        Sequences, slices of each, features of a slice (see `slice_tokens`).
    clinical : int
        Clinical values.
    latent, heads, blocks : int
        Size of a token, attention heads, transformer blocks.
    """

    def __init__(
        self, *, sequences: int, slices: int, features: int, clinical: int, outputs: int = 1,
        latent: int = 32, heads: int = 4, blocks: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.encoders = nn.ModuleList(_encoder(features, latent) for _ in range(sequences))
        self.sequence = nn.Parameter(0.1 * torch.randn(sequences, 1, latent))
        self.place = nn.Parameter(0.1 * torch.randn(slices, latent))
        self.slope = nn.Parameter(0.1 * torch.randn(clinical, latent))
        self.known = nn.Parameter(0.1 * torch.randn(clinical, latent))
        self.unknown = nn.Parameter(0.1 * torch.randn(clinical, latent))
        self.summary = nn.Parameter(0.1 * torch.randn(1, latent))
        self.blocks = nn.ModuleList(_Block(latent, heads) for _ in range(blocks))
        self.head = nn.Sequential(
            nn.LayerNorm(latent), nn.Dropout(0.2), nn.Linear(latent, outputs)
        )

    def forward(
        self, tokens: Tensor, present: Tensor, clinical: Tensor, recorded: Tensor
    ) -> Tensor:
        """Standardised stiffness (n, outputs).

        Parameters
        ----------
        tokens : Tensor (n, sequences, slices, features)
        present : Tensor (n, sequences)
            1 where a sequence is there.
        clinical, recorded : Tensor (n, values)
            Standardised values (0 where not recorded), and 1 where recorded.
        """
        n, sequences, slices = tokens.shape[:3]
        codes = torch.stack(
            [self._coded(k, tokens[:, k], present[:, k] > 0.5) for k in range(sequences)], dim=1
        )
        pictures = (codes + self.sequence + self.place).flatten(1, 2)
        there = recorded[..., None]
        value = there * (clinical[..., None] * self.slope + self.known)
        value = value + (1 - there) * self.unknown
        stream = torch.cat([self.summary.expand(n, 1, -1), pictures, value], dim=1)
        kept = torch.cat(
            [present.new_ones((n, 1)), present.repeat_interleave(slices, dim=1),
             torch.ones_like(recorded)], dim=1,
        )  # fmt: skip
        for block in self.blocks:
            stream = block(stream, kept > 0.5)
        share = kept[..., None]
        mean = (stream * share).sum(1) / share.sum(1)
        return self.head(stream[:, 0] + mean)  # type: ignore[no-any-return]

    def _coded(self, place: int, tokens: Tensor, there: Tensor) -> Tensor:
        """Codes (n, slices, latent); batch statistics come from cases that have the sequence."""
        encoder = self.encoders[place]
        code = tokens.new_zeros((*tokens.shape[:2], self.place.shape[1]))
        if int(there.sum()) * tokens.shape[1] > 1:
            found = encoder(tokens[there].flatten(0, 1)).unflatten(0, (-1, tokens.shape[1]))
            code = code.index_put((torch.nonzero(there)[:, 0],), found)
        return code


def _encoder(features: int, latent: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm1d(features), nn.Dropout(0.3), nn.Linear(features, latent), nn.GELU(),
        nn.Linear(latent, latent),
    )  # fmt: skip


class _Block(nn.Module):
    """Attention and a small network, each with its shortcut (normalised first)."""

    def __init__(self, latent: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(latent), nn.LayerNorm(latent)
        self.pairs, self.joined = nn.Linear(latent, 3 * latent), nn.Linear(latent, latent)
        self.mlp = nn.Sequential(
            nn.Linear(latent, 2 * latent), nn.GELU(), nn.Dropout(0.1),
            nn.Linear(2 * latent, latent),
        )  # fmt: skip

    def forward(self, stream: Tensor, kept: Tensor) -> Tensor:
        n, tokens, latent = stream.shape
        parts = self.pairs(self.first(stream)).view(n, tokens, 3, self.heads, -1)
        query, key, value = (part.transpose(1, 2) for part in parts.unbind(2))
        score = query @ key.transpose(-1, -2) / (latent // self.heads) ** 0.5
        score = score.masked_fill(~kept[:, None, None, :], -1e4)
        mixed = (torch.softmax(score, dim=-1) @ value).transpose(1, 2).reshape(n, tokens, latent)
        stream = stream + self.joined(mixed)
        return stream + self.mlp(self.second(stream))  # type: ignore[no-any-return]
