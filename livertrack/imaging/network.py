"""Encoders: from standardised voxels to a latent vector per voxel, dense and patchwise alike.

Every encoder is a valid convolution: the latent of a voxel depends on its receptive field alone,
so that labelling a whole scan in one pass gives what labelling patch by patch gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Triple = tuple[int, int, int]

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

    def maps(self, volume: Tensor) -> Tensor:
        """Features of the bank, (batch, features, x, y, z) of a valid convolution."""
        log = torch.log(volume.clamp_min(self.floor))
        pairs = itertools.combinations(range(self.channels), 2)
        ratios = [log[:, i : i + 1] - log[:, j : j + 1] for i, j in pairs]
        joined = torch.cat([log, *ratios], dim=1)
        middle = _shifted(joined, (0, 0, 0), self.reach)
        steps = [(_shifted(joined, lag, self.reach) - middle).abs() for lag in LAGS]
        change = torch.log(torch.cat(steps, dim=1) + 0.02)
        features = [
            box_mean(_inner(change, self.pool, box), box) for box in (self.pool, self.middle)
        ]
        features += [
            box_mean(_inner(middle, self.pool, box), box)
            for box in (self.pool, self.fine, (1, 1, 1))
        ]
        return torch.cat(features, dim=1)

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

    def head(self, rows: Tensor) -> Tensor:
        """Scores as they are."""
        return rows


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

    def head(self, rows: Tensor) -> Tensor:
        """Latents as they are."""
        return rows


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
    return encoder.head(encoder.maps(patches).flatten(1))


def feature_rows(
    encoder: Encoder, volume: Tensor, where: Tensor, *, slab: int = 16, device: torch.device
) -> Tensor:
    """Features at the voxels of ``where``, in one dense pass over slabs of the first axis.

    Parameters
    ----------
    volume : Tensor
        (C, X, Y, Z), larger than ``where`` by the receptive field minus one on each axis.
    where : Tensor
        Boolean (x, y, z); rows come in its C order.
    slab : int
        Slices per pass: memory stays bounded by the slab, not by the scan.

    Returns
    -------
    Tensor
        (n, features), on the CPU.
    """
    rows = []
    extra = encoder.field[0] - 1
    with torch.inference_mode():
        for start in range(0, where.shape[0], slab):
            chosen = where[start : start + slab]
            if not bool(chosen.any()):
                continue
            part = volume[:, start : start + len(chosen) + extra].unsqueeze(0).to(device)
            maps = encoder.maps(part)[0]
            rows.append(maps.permute(1, 2, 3, 0)[chosen.to(device)].cpu())
    return torch.cat(rows)


def box_mean(x: Tensor, size: Sequence[int]) -> Tensor:
    """Mean over a box, valid, one axis after the other: (b, f, x, y, z) -> smaller by size - 1."""
    for axis, width in enumerate(size, start=2):
        x = _running_sum(x, axis, width)
    count = float(size[0] * size[1] * size[2])
    return x / count if count > 1 else x


def _running_sum(x: Tensor, axis: int, width: int) -> Tensor:
    """Sum of ``width`` neighbours along an axis by doubling.

    Every output adds the same numbers in the same order wherever it lies, so that a patch and
    a whole scan agree to the last bit.
    """
    length = x.shape[axis] - width + 1
    total: Tensor | None = None
    offset, span, power = 0, 1, x
    while span <= width:
        if width & span:
            part = power.narrow(axis, offset, length)
            total = part if total is None else total + part
            offset += span
        if 2 * span <= width:
            rest = power.shape[axis] - span
            power = power.narrow(axis, 0, rest) + power.narrow(axis, span, rest)
        span *= 2
    return x if total is None else total


def _shifted(x: Tensor, lag: Triple, reach: Triple) -> Tensor:
    """``x`` moved by a lag, cropped by the reach of the bank on every side."""
    for axis, (step, margin) in enumerate(zip(lag, reach, strict=True), start=2):
        x = x.narrow(axis, margin + step, x.shape[axis] - 2 * margin)
    return x


def _inner(x: Tensor, outer: Triple, inner: Triple) -> Tensor:
    """Crop so that an ``inner`` box gives the same output grid as an ``outer`` box."""
    for axis, (wide, small) in enumerate(zip(outer, inner, strict=True), start=2):
        cut = (wide - small) // 2
        x = x.narrow(axis, cut, x.shape[axis] - 2 * cut)
    return x


def _channels_last(volume: Tensor) -> Tensor:
    return volume.contiguous(memory_format=torch.channels_last_3d)


def _column(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1, 1)


def _triple(values: Sequence[int]) -> Triple:
    x, y, z = (int(v) for v in values)
    return (x, y, z)
