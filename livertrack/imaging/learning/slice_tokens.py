"""Slices as short vectors: energies of a fixed bank of cosines, counted once per scan.

The grain of a texture is a ratio of energies of fine and coarse filters. With the bank fixed there
is nothing to learn below the transformer, whose training then takes seconds.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from livertrack.imaging._threads import torch_threads
from livertrack.imaging.learning._multiscale import cosines

Floats = NDArray[np.float32]

#: filters of each scale, and cells of the picture in which mean signals are taken
FILTERS, CELLS = 8, (5, 4)
#: features of a slice: three scales in the liver, at its rim, around it; the outline; the cells
FEATURES = 3 * FILTERS * 3 + FILTERS + CELLS[0] * CELLS[1]
#: how far from the liver the surroundings reach, pixels of half the resolution
_FAR = 8
_LEAST, _EMPTY = 1e-3, 1e-2


def slice_tokens(images: Floats, masks: Floats) -> Floats:
    """Features of slices.

    Parameters
    ----------
    images, masks : array (..., x, y)
        Signal relative to the liver's median, and the share of liver; x and y multiples of 4.

    Returns
    -------
    array (..., FEATURES)
        Logarithms of mean absolute responses: of 8 cosines at 3, 6 and 12 mm (pixels of 3 mm) in
        the liver and at its rim, and of the outline; mean logarithms of responses up to 48 mm
        around the liver, which tell a scanner's noise and blur from the liver's own grain; mean
        signals of 5 x 4 cells, in which the spleen shows. No response depends on a slow receive
        field.
    """
    lead = images.shape[:-2]
    flat = (-1, 1, *images.shape[-2:])
    with torch_threads(1), torch.inference_mode():
        found = [
            _features(*(torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in pair))
            for pair in zip(
                np.array_split(images.reshape(flat), max(1, len(images.reshape(flat)) // 64)),
                np.array_split(masks.reshape(flat), max(1, len(masks.reshape(flat)) // 64)),
                strict=True,
            )
        ]
        out = torch.cat(found).numpy()
    return np.asarray(out.reshape(*lead, FEATURES), np.float32)


def _features(image: Tensor, mask: Tensor) -> Tensor:
    bank = cosines(FILTERS)[:, None]
    half = functional.avg_pool2d(mask, 2)
    inside = 1 - functional.max_pool2d(1 - half, 3, 1, 1)
    rim = functional.max_pool2d(half, 3, 1, 1) - inside
    near = torch.cat([inside, rim], dim=1)
    far = functional.avg_pool2d(near, 2)
    middle = functional.avg_pool2d(image, 2)
    scales = ((image, 2, near), (middle, 2, far), (functional.avg_pool2d(middle, 2), 1, far))
    parts = [
        _energy(picture, bank, stride, regions).flatten(1) for picture, stride, regions in scales
    ]
    parts.append(_energy(mask, bank, 2, rim).flatten(1))
    around = _dilated(half, _FAR) - _dilated(half, 2)
    wide = functional.avg_pool2d(around, 2)
    parts += [
        _floor(picture, bank, stride, region)
        for (picture, stride, _), region in zip(scales, (around, wide, wide), strict=True)
    ]
    parts.append(functional.adaptive_avg_pool2d(image, CELLS).flatten(1))
    return torch.cat(parts, dim=1)


def _dilated(share: Tensor, by: int) -> Tensor:
    return functional.max_pool2d(share, 2 * by + 1, 1, by)


def _floor(picture: Tensor, bank: Tensor, stride: int, region: Tensor) -> Tensor:
    """Mean logarithms of absolute responses (n, filters): edges between organs count little."""
    size = functional.conv2d(picture, bank, stride=stride, padding=2).abs().flatten(2)
    share = region.flatten(2)
    total = torch.log(size + _LEAST) @ share.transpose(1, 2)
    return (total / (share.sum(2)[:, None] + _EMPTY)).flatten(1)


def _energy(picture: Tensor, bank: Tensor, stride: int, regions: Tensor) -> Tensor:
    """Logarithms of mean absolute responses (n, filters, regions)."""
    size = functional.conv2d(picture, bank, stride=stride, padding=2).abs().flatten(2)
    share = regions.flatten(2)
    mean = size @ share.transpose(1, 2) / (share.sum(2)[:, None] + _EMPTY)
    return torch.log(mean + _LEAST)
