"""Encoders: from standardised voxels to a latent vector per voxel, dense and patchwise alike.

Every encoder is a valid convolution: the latent of a voxel depends on its receptive field alone,
so that labelling a whole scan in one pass gives what labelling patch by patch gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from livertrack.imaging._bank import Triple
from livertrack.imaging._dense import over_voxels
from livertrack.imaging.invariant import InvariantEncoder
from livertrack.imaging.texture import TextureEncoder, triple


class PatchEncoder(nn.Module):
    """Principal components of the raw patch, written as one convolution."""

    def __init__(
        self, channels: int, *, patch: Sequence[int] = (7, 7, 3), latent: int = 20
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "channels": channels, "patch": list(patch), "latent": latent,
        }  # fmt: skip
        self.field = triple(patch)
        self.components = nn.Conv3d(channels, latent, self.field)

    def maps(self, volume: Tensor) -> Tensor:
        """Component scores, (batch, components, x, y, z)."""
        return self.components(_channels_last(volume))  # type: ignore[no-any-return]

    def columns(self, volume: Tensor) -> Tensor:
        """Component scores: (C, [batch,] x, y, z) to (latent, [batch,] x, z, y)."""
        return _as_columns(self.maps, volume)

    def head(self, rows: Tensor) -> Tensor:
        """Scores as they are."""
        return rows

    def fused(self) -> Callable[[Tensor], Tensor]:
        """`head` for columns."""
        return _same


class SliceEncoder(nn.Module):
    """The authors' encoder of two-dimensional patches: three convolutional blocks (50, 20, 10).

    Without strided pooling, so that it labels every voxel rather than every second one.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, channels: int, *, patch: int = 9, latent: int = 20) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {"channels": channels, "patch": patch, "latent": latent}
        self.field: Triple = (patch, patch, 1)
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        rest = patch - 6
        self.blocks = nn.Sequential(
            nn.Conv3d(channels, 50, (3, 3, 1)),
            nn.ReLU(),
            nn.Conv3d(50, 20, (3, 3, 1)),
            nn.ReLU(),
            nn.Conv3d(20, 10, (3, 3, 1)),
            nn.ReLU(),
            nn.Conv3d(10, latent, (rest, rest, 1)),
        )

    def maps(self, volume: Tensor) -> Tensor:
        """Latents, (batch, latent, x, y, z)."""
        volume = (volume - _column(self.centre)) / _column(self.scale)
        return self.blocks(_channels_last(volume))  # type: ignore[no-any-return]

    def columns(self, volume: Tensor) -> Tensor:
        """Latents: (C, [batch,] x, y, z) to (latent, [batch,] x, z, y)."""
        return _as_columns(self.maps, volume)

    def head(self, rows: Tensor) -> Tensor:
        """Latents as they are."""
        return rows

    def fused(self) -> Callable[[Tensor], Tensor]:
        """`head` for columns."""
        return _same


Encoder = InvariantEncoder | TextureEncoder | PatchEncoder | SliceEncoder
_KINDS: dict[str, type[nn.Module]] = {
    "invariant": InvariantEncoder,
    "texture": TextureEncoder,
    "patch": PatchEncoder,
    "slice": SliceEncoder,
}


def build_encoder(kind: str, settings: Mapping[str, Any]) -> Encoder:
    """Build an encoder of a kind (a name of `_KINDS`) from its settings."""
    return _KINDS[kind](**settings)  # type: ignore[return-value]


def encoder_kind(encoder: Encoder) -> str:
    """Name of an encoder's kind, as `build_encoder` takes it."""
    return next(name for name, kind in _KINDS.items() if type(encoder) is kind)


def encode_patches(encoder: Encoder, patches: Tensor) -> Tensor:
    """Latents of patches of exactly the receptive field: (n, C, *field) -> (n, latent)."""
    return encoder.head(encoder.columns(patches.transpose(0, 1)).flatten(1).T)


def feature_rows(
    encoder: Encoder, volume: Tensor, where: Tensor, *, device: torch.device, threads: int = 1
) -> Tensor:
    """Features (n, features) at the voxels of ``where``, in one dense pass (see `over_voxels`)."""
    return over_voxels(encoder, volume, where, _rows, device=device, threads=threads)


def _rows(columns: Tensor) -> Tensor:
    return columns.T


def _same(columns: Tensor) -> Tensor:
    return columns


def _as_columns(maps: Callable[[Tensor], Tensor], volume: Tensor) -> Tensor:
    """Maps of a convolution (batch, f, x, y, z) in the order of the bank."""
    if volume.ndim == 4:
        return maps(volume[None])[0].transpose(-1, -2)
    return maps(volume.transpose(0, 1)).transpose(0, 1).transpose(-1, -2)


def _channels_last(volume: Tensor) -> Tensor:
    return volume.contiguous(memory_format=torch.channels_last_3d)


def _column(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1, 1)
