"""Encoders on a bank of texture features: from features of a voxel to a latent vector.

Signals enter as logarithms, so that gain and slow bias are additive and leave differences alone.
The bank takes differences at several distances and directions of every channel and of every ratio
of two channels; their logarithms over a middle and a wide box (a local variogram, which holds the
second moments of a texture: amplitude, scale, direction, channel correlation) are joined with the
local mean of channels and ratios at three scales.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from livertrack.imaging._bank import Triple, bank

#: differences that make the filter bank, voxels: near, diagonal, far, and to the next slice
LAGS: tuple[Triple, ...] = (
    (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, -1, 0),
    (2, 0, 0), (0, 2, 0), (4, 0, 0), (0, 4, 0), (0, 0, 1),
)  # fmt: skip


class BankEncoder(nn.Module, ABC):
    """What encoders on the bank share: its geometry, the local signal, and the common metric.

    Parameters
    ----------
    channels : int
        Image channels.
    hidden : int
        Width of the hidden layers.
    latent : int
        Length of the code.
    pool, middle, fine : (int, int, int)
        Wide, middle and small averaging boxes, voxels, odd.
    floor : float
        Smallest signal (in units of the standardised scan) that is told from none.
    """

    #: smallest weight of the local signal beside the code, in the common metric
    least_signal: ClassVar[float]
    centre: Tensor
    scale: Tensor
    mix: Tensor
    signal_mix: Tensor

    def __init__(
        self,
        channels: int,
        *,
        hidden: int,
        latent: int,
        pool: Sequence[int] = (9, 9, 3),
        middle: Sequence[int] = (5, 5, 3),
        fine: Sequence[int] = (3, 3, 1),
        floor: float = 0.05,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "channels": channels, "pool": list(pool), "middle": list(middle), "fine": list(fine),
            "hidden": hidden, "latent": latent, "floor": floor,
        }  # fmt: skip
        self.channels, self.floor = channels, floor
        self.pool, self.middle, self.fine = triple(pool), triple(middle), triple(fine)
        self.reach: Triple = (4, 4, 1)
        self.combinations = channels + channels * (channels - 1) // 2
        self.width = 2 * self.combinations * len(LAGS) + 3 * self.combinations
        self.register_buffer("centre", torch.zeros(self.width))
        self.register_buffer("scale", torch.ones(self.width))
        self.register_buffer("mix", torch.eye(latent))
        self.register_buffer("signal_mix", torch.zeros(channels, channels))

    @property
    def field(self) -> Triple:
        """Receptive field, voxels."""
        x, y, z = (2 * r + p for r, p in zip(self.reach, self.pool, strict=True))
        return (x, y, z)

    def columns(self, volume: Tensor) -> Tensor:
        """Features of the bank: (C, [batch,] x, y, z) to (features, [batch,] x, z, y)."""
        log = torch.log(volume.clamp_min(self.floor)).transpose(-1, -2)
        joined = torch.cat([log, self._ratios(log)])
        return bank(joined, LAGS, self.reach, (self.pool, self.middle, self.fine))

    @abstractmethod
    def code(self, rows: Tensor) -> Tensor:
        """Learned code (n, latent) of features (n, features)."""

    @abstractmethod
    def fused(self) -> Callable[[Tensor], Tensor]:
        """`head` for many voxels: columns (features, n) to latents (latent + channels, n)."""

    def signal(self, rows: Tensor) -> Tensor:
        """Local signal (n, channels): log ratio of each channel to the first, and their level."""
        start = rows.shape[-1] - 2 * self.combinations  # the means of the small box
        local = rows[..., start : start + self.channels]
        ratios = local[..., 1:] - local[..., :1]
        return torch.cat([ratios, local.mean(-1, keepdim=True)], dim=-1)

    def with_gains(self, rows: Tensor, gains: Tensor) -> Tensor:
        """Features (n, features) of places whose channels had the log gains (n, channels).

        Differences do not know a gain; channels, and ratios of channels, have it added. (What the
        floor cuts off is not followed.)
        """
        added = torch.cat([gains.T, self._ratios(gains.T)]).T.repeat(1, 3)
        out = rows.clone()
        out[:, rows.shape[1] - added.shape[1] :] += added
        return out

    def head(self, rows: Tensor) -> Tensor:
        """Latents (n, latent + channels): code and signal in a common metric."""
        signal = self.signal(rows) - self.signal(self.centre)
        return torch.cat([self.code(rows) @ self.mix, signal @ self.signal_mix], dim=1)

    def _ratios(self, logs: Tensor) -> Tensor:
        pairs = itertools.combinations(range(self.channels), 2)
        ratios = [logs[i] - logs[j] for i, j in pairs]
        return torch.stack(ratios) if ratios else logs[:0]

    def _tail(self) -> tuple[Tensor, Tensor]:
        """Weights (channels, features) and offsets (channels, 1) of the signal's latents."""
        tail = self.signal(torch.eye(self.width, device=self.centre.device))
        tail = (tail @ self.signal_mix).T.contiguous()
        return tail, -(tail @ self.centre)[:, None]


class TextureEncoder(BankEncoder):
    """A small network on the bank: pointwise layers make the code (see `BankEncoder`)."""

    least_signal = 0.1

    def __init__(
        self, channels: int, *, hidden: int = 128, latent: int = 32, **geometry: Any
    ) -> None:
        super().__init__(channels, hidden=hidden, latent=latent, **geometry)
        self.layers = nn.Sequential(
            nn.Linear(self.width, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, latent),
        )

    def code(self, rows: Tensor) -> Tensor:
        """Learned code (n, latent) of features (n, features)."""
        return self.layers((rows - self.centre) / self.scale)  # type: ignore[no-any-return]

    def fused(self) -> Callable[[Tensor], Tensor]:
        """`head` for many voxels: columns (features, n) to latents (latent + channels, n).

        Standardisation and batch normalisation are folded into the weights, the metric into the
        last layer; the local signal is one more product.
        """
        with torch.inference_mode():
            weights, offsets = self._folded()
            tail, shift = self._tail()
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


def triple(values: Sequence[int]) -> Triple:
    """Three whole numbers."""
    x, y, z = (int(v) for v in values)
    return (x, y, z)
