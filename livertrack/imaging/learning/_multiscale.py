"""Encoder of one sequence: energies of learned filters at several scales, outline, spleen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: factors by which a picture is averaged before each branch looks at it
SCALES = (1, 2, 4)
#: least energy of a filter, and area of an empty region, pixels
_LEAST, _EMPTY = 1e-3, 1e-2


class Energies(nn.Module):
    """Logarithms of mean absolute responses of learned filters, region by region.

    The grain of a texture is a ratio of energies of fine and coarse filters, whatever its
    contrast: a difference of logarithms, which the next layer finds at once. Filters have a mean
    of zero, so that a receive field drops out; they start as cosines of rising frequency.
    """

    def __init__(self, filters: int, *, stride: int, through: int) -> None:
        super().__init__()
        start = cosines(filters)[:, None, None].repeat(1, 1, through, 1, 1) / through
        self.weight = nn.Parameter(start + 0.02 * torch.randn_like(start))
        self.stride = stride

    def forward(self, picture: Tensor, regions: Tensor) -> Tensor:
        """Features (n, filters x regions) of (n, 1, z, x, y); regions on the output's grid."""
        weight = self.weight - self.weight.mean((2, 3, 4), keepdim=True)
        through = weight.shape[2]
        n, slices = len(picture), picture.shape[2]
        if through == 1:  # slices side by side are quicker than a flat kernel in space
            flat = picture.reshape(n * slices, 1, *picture.shape[3:])
            size = functional.conv2d(flat, weight[:, :, 0], stride=self.stride, padding=2)
        else:
            size = functional.conv3d(
                picture, weight, stride=(1, self.stride, self.stride), padding=(through // 2, 2, 2)
            )
            size = size.transpose(1, 2).flatten(0, 1)
        share = regions.transpose(1, 2).flatten(0, 1).flatten(2)
        total = size.abs().flatten(2) @ share.transpose(1, 2)
        total = total.unflatten(0, (n, slices)).sum(1)
        area = share.sum(2).unflatten(0, (n, slices)).sum(1)
        mean = total / (area[:, None] + _EMPTY)
        return torch.log(mean + _LEAST).flatten(1)


def cosines(count: int) -> Tensor:
    """First ``count`` two-dimensional cosines of 5 x 5 pixels by frequency, (count, 5, 5)."""
    places = (torch.arange(5) + 0.5) * torch.pi / 5
    waves = torch.stack([torch.cos(u * places) for u in range(5)])
    pairs = [(u, v) for u in range(5) for v in range(5) if u + v]
    chosen = sorted(pairs, key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, pair))
    found = torch.stack([torch.outer(waves[u], waves[v]) for u, v in chosen[:count]])
    length: Tensor = found.flatten(1).norm(dim=1)[:, None, None]
    return found / length


class Surroundings(nn.Module):
    """What lies around the liver, the spleen above all: small convolutions, means of them."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip

    def forward(self, picture: Tensor) -> Tensor:
        """Features (n, width) of (n, channels, x, y)."""
        return self.layers(picture).flatten(2).mean(2)  # type: ignore[no-any-return]


class MultiScale(nn.Module):
    """Texture at all scales, outline and surroundings, weighed by the sequence's own attention.

    Parameters
    ----------
    slices : int
        Slices of a picture.
    filters : int
        Filters of each scale, at most 24.
    latent : int
        Numbers that describe a picture.
    volumetric : bool
        Filters reach through three slices; else each slice is filtered by itself.
    """

    def __init__(
        self, slices: int, *, filters: int = 10, latent: int = 24, volumetric: bool = False
    ) -> None:
        super().__init__()
        through = 3 if volumetric else 1
        self.energies = nn.ModuleList(
            Energies(filters, stride=1 if scale == SCALES[-1] else 2, through=through)
            for scale in SCALES
        )
        self.outline = Energies(filters, stride=2, through=1)
        self.around = Surroundings(2 * slices, filters)
        widths = [*(2 * filters for _ in SCALES), filters, filters]
        self.mixes = nn.ModuleList(_mix(width, latent) for width in widths)
        self.query = nn.Linear(latent, 1)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Describe pictures (n, slices, x, y), x and y multiples of 4, by (n, latent)."""
        half = functional.avg_pool2d(mask, 2)
        inside = 1 - functional.max_pool2d(1 - half, 3, 1, 1)
        rim = functional.max_pool2d(half, 3, 1, 1) - inside
        near = torch.stack([inside, rim], dim=1)
        far = functional.avg_pool3d(near, (1, 2, 2))
        middle = functional.avg_pool2d(image, 2)
        pictures = (image, middle, functional.avg_pool2d(middle, 2))
        codes = [
            mix(branch(picture[:, None], regions))
            for picture, regions, branch, mix in zip(
                pictures, (near, far, far), self.energies, self.mixes, strict=False
            )
        ]
        codes.append(self.mixes[-2](self.outline(mask[:, None], near[:, 1:])))
        wide = torch.cat([pictures[-1], functional.avg_pool2d(half, 2)], dim=1)
        codes.append(self.mixes[-1](self.around(wide)))
        stack = torch.stack(codes, dim=1)
        weight = torch.softmax(self.query(torch.tanh(stack)), dim=1)
        return (stack * weight).sum(1)


def _mix(features: int, latent: int) -> nn.Sequential:
    layers: list[Any] = [nn.BatchNorm1d(features), nn.Linear(features, latent), nn.GELU()]
    return nn.Sequential(*layers, nn.Linear(latent, latent))
