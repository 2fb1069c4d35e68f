"""Encoders: from standardised voxels to a latent vector per voxel, dense and patchwise alike.

Every encoder is a valid convolution: the latent of a voxel depends on its receptive field alone,
so that labelling a whole scan in one pass gives what labelling patch by patch gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from livertrack.imaging._bank import Triple, bank
from livertrack.imaging._dense import over_voxels

#: differences that make the filter bank, voxels: near, diagonal, far, and to the next slice
LAGS: tuple[Triple, ...] = (
    (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, -1, 0),
    (2, 0, 0), (0, 2, 0), (4, 0, 0), (0, 4, 0), (0, 0, 1),
)  # fmt: skip


class TextureEncoder(nn.Module):
    """A bank of difference filters, squared and averaged, mixed by a small learned network.

    Signals enter as logarithms, so that gain and slow bias are additive and leave differences
    alone. The bank takes differences at several distances and directions of every channel and of
    every ratio of two channels; their mean squares over a middle and a wide box (a local
    variogram, which holds all second moments of a texture: amplitude, scale, direction, channel
    correlation) are joined with bright and dark detail and with the local mean of channels and
    ratios at three scales. Pointwise layers make the latent.

    Parameters
    ----------
    channels : int
        Image channels.
    pool, middle, fine : (int, int, int)
        Wide, middle and small averaging boxes, voxels, odd.
    floor : float
        Smallest signal (in units of the standardised scan) that is told from none.
    """

    centre: Tensor
    scale: Tensor
    mix: Tensor
    signal_mix: Tensor

    def __init__(
        self,
        channels: int,
        *,
        pool: Sequence[int] = (9, 9, 3),
        middle: Sequence[int] = (5, 5, 3),
        fine: Sequence[int] = (3, 3, 1),
        hidden: int = 128,
        latent: int = 32,
        floor: float = 0.05,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "channels": channels, "pool": list(pool), "middle": list(middle), "fine": list(fine),
            "hidden": hidden, "latent": latent, "floor": floor,
        }  # fmt: skip
        self.channels, self.floor = channels, floor
        self.pool, self.middle, self.fine = _triple(pool), _triple(middle), _triple(fine)
        self.reach: Triple = (4, 4, 1)
        combinations = channels + channels * (channels - 1) // 2
        energies = combinations * len(LAGS)
        width = 2 * energies + 3 * combinations
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("mix", torch.eye(latent))
        self.register_buffer("signal_mix", torch.zeros(channels, channels))
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, latent),
        )

    @property
    def field(self) -> Triple:
        """Receptive field, voxels."""
        x, y, z = (2 * r + p for r, p in zip(self.reach, self.pool, strict=True))
        return (x, y, z)

    def columns(self, volume: Tensor) -> Tensor:
        """Features of the bank: (C, [batch,] x, y, z) to (features, [batch,] x, z, y)."""
        log = torch.log(volume.clamp_min(self.floor)).transpose(-1, -2)
        pairs = itertools.combinations(range(self.channels), 2)
        ratios = [log[i] - log[j] for i, j in pairs]
        joined = torch.stack([*log, *ratios])
        return bank(joined, LAGS, self.reach, (self.pool, self.middle, self.fine))

    def code(self, rows: Tensor) -> Tensor:
        """Learned code (n, latent) of features (n, features)."""
        return self.layers((rows - self.centre) / self.scale)  # type: ignore[no-any-return]

    def signal(self, rows: Tensor) -> Tensor:
        """Local signal (n, channels): log ratio of each channel to the first, and their level."""
        combinations = self.channels + self.channels * (self.channels - 1) // 2
        start = rows.shape[-1] - 2 * combinations  # the means of the small box
        local = rows[..., start : start + self.channels]
        ratios = local[..., 1:] - local[..., :1]
        return torch.cat([ratios, local.mean(-1, keepdim=True)], dim=-1)

    def head(self, rows: Tensor) -> Tensor:
        """Latents (n, latent + channels): code and signal in a common metric."""
        signal = self.signal(rows) - self.signal(self.centre)
        return torch.cat([self.code(rows) @ self.mix, signal @ self.signal_mix], dim=1)

    def fused(self) -> Callable[[Tensor], Tensor]:
        """`head` for many voxels: columns (features, n) to latents (latent + channels, n).

        Standardisation and batch normalisation are folded into the weights, the metric into the
        last layer; the local signal is one more product.
        """
        with torch.inference_mode():
            weights, offsets = self._folded()
            tail = self.signal(torch.eye(len(self.centre), device=self.centre.device))
            tail = (tail @ self.signal_mix).T.contiguous()
            shift = -(tail @ self.centre)[:, None]
        code = len(weights[-1])

        def latents(columns: Tensor) -> Tensor:
            hidden = columns
            for weight, offset in zip(weights[:-1], offsets[:-1], strict=True):
                hidden = torch.addmm(offset, weight, hidden).relu_()
            out = columns.new_empty((code + len(tail), columns.shape[1]))
            torch.addmm(offsets[-1], weights[-1], hidden, out=out[:code])
            torch.addmm(shift, tail, columns, out=out[code:])
            return out

        return latents

    def _folded(self) -> tuple[list[Tensor], list[Tensor]]:
        weights, offsets = [], []
        before_scale, before_shift = 1 / self.scale, -self.centre / self.scale
        layers: list[Any] = list(self.layers)
        for linear, norm in ((layers[0], layers[1]), (layers[3], layers[4])):
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight = linear.weight * gain[:, None]
            offset = (linear.bias - norm.running_mean) * gain + norm.bias
            offsets.append((offset + weight @ before_shift)[:, None])
            weights.append(weight * before_scale)
            before_scale, before_shift = torch.ones_like(gain), torch.zeros_like(gain)
        weights.append(self.mix.T @ layers[6].weight)
        offsets.append((self.mix.T @ layers[6].bias)[:, None])
        return weights, offsets


class PatchEncoder(nn.Module):
    """Principal components of the raw patch, written as one convolution."""

    def __init__(
        self, channels: int, *, patch: Sequence[int] = (7, 7, 3), latent: int = 20
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "channels": channels, "patch": list(patch), "latent": latent,
        }  # fmt: skip
        self.field = _triple(patch)
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


Encoder = TextureEncoder | PatchEncoder | SliceEncoder
_KINDS: dict[str, type[nn.Module]] = {
    "texture": TextureEncoder,
    "patch": PatchEncoder,
    "slice": SliceEncoder,
}


def build_encoder(kind: str, settings: Mapping[str, Any]) -> Encoder:
    """Build an encoder of a kind (``texture``, ``patch``, ``slice``) from its settings."""
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


def _triple(values: Sequence[int]) -> Triple:
    x, y, z = (int(v) for v in values)
    return (x, y, z)
