"""Cirrhosis stage from T1W and T2W: an encoder per sequence, fused by what is there."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from livertrack.imaging.learning._multiscale import MultiScale


class CirrhosisNetwork(nn.Module):
    """Multi-scale encoders with attention of their own, and a fusion that a gap does not break.

    Parameters
    ----------
    sequences : int
        Sequences, in the order of the inputs.
    depth : int
        Slices of a case.
    outputs : int
        Logits: stages less one.
    view : {"2.5d", "3d"}
        Neighbouring slices as channels of a picture, or convolutions through the slices.
    used : tuple of int
        Sequences that are read; all by default. Others are ignored, there or not.
    """

    def __init__(
        self, *, sequences: int, depth: int, outputs: int, view: Literal["2.5d", "3d"] = "2.5d",
        used: tuple[int, ...] = (), filters: int = 10, latent: int = 24,
    ) -> None:  # fmt: skip
        super().__init__()
        self.used = used or tuple(range(sequences))
        self.encoders = nn.ModuleList(
            MultiScale(depth, filters=filters, latent=latent, volumetric=view == "3d")
            for _ in self.used
        )
        self.gates = nn.ModuleList(nn.Linear(latent, 1) for _ in self.used)
        self.nothing = nn.Parameter(torch.zeros(latent))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(latent, outputs))

    def forward(self, images: Tensor, masks: Tensor, present: Tensor) -> Tensor:
        """Logits of "this stage or more", (n, outputs).

        Parameters
        ----------
        images, masks : Tensor (n, sequences, slices, x, y)
            Signal relative to the liver's median, and the liver.
        present : Tensor (n, sequences)
            1 where a sequence is there.
        """
        codes, scores = [], []
        for place, encoder, gate in zip(self.used, self.encoders, self.gates, strict=True):
            code = encoder(images[:, place], masks[:, place])
            codes.append(code)
            absent = present[:, place : place + 1] < 0.5
            scores.append(gate(torch.tanh(code)).masked_fill(absent, -1e4))
        score = torch.cat(scores, dim=1)
        weight = torch.softmax(score, dim=1) * (score > -5e3)
        fused = (torch.stack(codes, dim=1) * weight[..., None]).sum(1)
        gone = (weight.sum(1, keepdim=True) < 0.5).to(fused.dtype)
        return self.head(fused + gone * self.nothing)  # type: ignore[no-any-return]
