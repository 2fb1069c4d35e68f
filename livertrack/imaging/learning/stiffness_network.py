"""Shear stiffness: a transformer over slices of T1W, T2W and DWI and over a clinical table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from livertrack.imaging.learning._multiscale import MultiScale


class StiffnessNetwork(nn.Module):
    """Tokens of slices and of clinical values, attention between them, one number out.

    A missing sequence is left out of the attention; a missing clinical value is a learned token of
    its own, so that a value that was not taken is not read as an average one.

    Parameters
    ----------
    sequences, slices : int
        Sequences, and slices of each.
    clinical : int
        Clinical values.
    filters, latent, heads, blocks : int
        Filters, size of a token, attention heads, transformer blocks.
    """

    def __init__(
        self, *, sequences: int, slices: int, clinical: int, outputs: int = 1, filters: int = 8,
        latent: int = 32, heads: int = 4, blocks: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.encoders = nn.ModuleList(
            MultiScale(1, filters=filters, latent=latent) for _ in range(sequences)
        )
        self.norm = nn.LayerNorm(latent)
        self.sequence = nn.Parameter(0.1 * torch.randn(sequences, latent))
        self.place = nn.Parameter(0.1 * torch.randn(slices, latent))
        self.slope = nn.Parameter(0.1 * torch.randn(clinical, latent))
        self.known = nn.Parameter(0.1 * torch.randn(clinical, latent))
        self.unknown = nn.Parameter(0.1 * torch.randn(clinical, latent))
        self.summary = nn.Parameter(0.1 * torch.randn(1, latent))
        self.blocks = nn.ModuleList(_Block(latent, heads) for _ in range(blocks))
        self.head = nn.Sequential(nn.LayerNorm(latent), nn.Linear(latent, outputs))

    def forward(
        self, images: Tensor, masks: Tensor, present: Tensor, clinical: Tensor, recorded: Tensor
    ) -> Tensor:
        """Standardised stiffness (n, outputs).

        Parameters
        ----------
        images, masks : Tensor (n, sequences, slices, x, y)
        present : Tensor (n, sequences)
            1 where a sequence is there.
        clinical, recorded : Tensor (n, values)
            Standardised values (0 where not recorded), and 1 where recorded.
        """
        n, _, slices = images.shape[:3]
        tokens, kept = [self.summary.expand(n, 1, -1)], [present.new_ones((n, 1))]
        for place, encoder in enumerate(self.encoders):
            picture = images[:, place].flatten(0, 1)[:, None]
            liver = masks[:, place].flatten(0, 1)[:, None]
            code = self.norm(encoder(picture, liver)).unflatten(0, (n, slices))
            tokens.append(code + self.sequence[place] + self.place)
            kept.append(present[:, place : place + 1].expand(n, slices))
        value = clinical[..., None] * self.slope + self.known
        there = recorded[..., None]
        tokens.append(there * value + (1 - there) * self.unknown)
        kept.append(torch.ones_like(recorded))
        stream, open_ = torch.cat(tokens, dim=1), torch.cat(kept, dim=1) > 0.5
        for block in self.blocks:
            stream = block(stream, open_)
        return self.head(stream[:, 0])  # type: ignore[no-any-return]


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
