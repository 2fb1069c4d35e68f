"""A scan as another scanner would have seen it: the physics that the vocabulary ignores.

Gain, gamma, bias field, blur and noise change; the tissue does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scanner:
    """How much one scanner differs from another, after standardisation.

    The receive field and the position of the coil are common to the sequences of an examination,
    so that the level of all channels together is uncertain, and the ratio of two channels is not.

    Attributes
    ----------
    level : float
        Standard deviation of the logarithm of the gain that all channels share. Larger than what
        standardisation leaves (0.1): types then hardly follow the level, and are found again on
        another scanner. On simulated rescans the ICC of a type, weighted by its share, was 0.24
        with 0.15, 0.49 with 0.3 and 0.90 with 0.6 (method ``joint``).
    level_alone : float
        The same for a scan of one channel, whose level is all there is.
    gain : float
        Standard deviation of the logarithm of each channel's own gain.
    bias : float
        Standard deviation of the logarithm of the signal's change from the centre of the scan to
        its edge, along each axis, the same for all channels.
    gamma : float
        Standard deviation of the logarithm of the exponent of the signal.
    noise : float
        Largest standard deviation of the noise, as a part of the spread of the signal in the
        liver.
    blur : float
        Largest weight of each in-plane neighbour.
    """

    level: float = 0.6
    level_alone: float = 0.075
    gain: float = 0.04
    bias: float = 0.08
    gamma: float = 0.05
    noise: float = 0.3
    blur: float = 0.15

    def log_gains(self, count: int, channels: int, draw: torch.Generator) -> Tensor:
        """Logarithms of the gains (count, channels) of ``count`` other scanners."""
        level = self.level if channels > 1 else self.level_alone
        common = level * torch.randn((count, 1), generator=draw)
        return common + self.gain * torch.randn((count, channels), generator=draw)

    def view(self, volume: Tensor, spread: Tensor, draw: torch.Generator) -> Tensor:
        """Another scanner's view of a standardised scan.

        Parameters
        ----------
        volume : Tensor
            (C, x, y, z).
        spread : Tensor
            (C,), standard deviation of each channel in the liver.
        """
        channels = volume.shape[0]
        weight = self.blur * float(torch.rand((), generator=draw))
        volume = _blur(_blur(volume, weight, 1), weight, 2)
        log = self.log_gains(1, channels, draw).view(-1, 1, 1, 1)
        for axis, length in enumerate(volume.shape[1:], start=1):
            ramp = torch.linspace(-1, 1, length)
            ramp = ramp.view([-1 if a == axis else 1 for a in range(4)])
            log = log + self.bias * torch.randn((), generator=draw) * ramp
        exponent = torch.exp(self.gamma * torch.randn((), generator=draw))
        volume = volume.clamp_min(1e-3).pow(exponent) * torch.exp(log)
        strength = self.noise * float(torch.rand((), generator=draw)) ** 2
        noise = torch.randn(volume.shape, generator=draw)
        return volume + strength * spread.view(-1, 1, 1, 1) * noise


def _blur(x: Tensor, weight: float, axis: int) -> Tensor:
    """Three-point blur, edges repeated; ``weight`` of each neighbour."""
    length = x.shape[axis]
    before = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, length - 1)], axis)
    after = torch.cat([x.narrow(axis, 1, length - 1), x.narrow(axis, length - 1, 1)], axis)
    return x + weight * (before + after - 2 * x)
