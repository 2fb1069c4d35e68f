"""Liver slices with and without a planted lesion: where a network must look is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.simulate.fields import smooth_field

#: standard deviation of the texture of the liver, and of the brightness of whole slices
_TEXTURE, _GAIN = 0.5, 0.3


@dataclass(frozen=True)
class PlantedLesions:
    """Slices of livers, half of them with a lesion.

    Attributes
    ----------
    images : array (n, 1, x, y), float32
        Brightness, arbitrary units; the liver is about 0.
    lesions, cysts : array (n, x, y), bool
        What was planted: a lesion in every second slice, a cyst in all.
    outcome : array (n,), float64
        1 with a lesion, else 0.
    """

    images: NDArray[np.float32]
    lesions: NDArray[np.bool_]
    cysts: NDArray[np.bool_]
    outcome: NDArray[np.float64]


def simulate_lesions(
    n: int, *, seed: int, shape: tuple[int, int] = (40, 40), contrast: float = 1.5
) -> PlantedLesions:
    """Slices of ``n`` livers; every second one has a lesion somewhere inside.

    Parameters
    ----------
    n : int
        At least 2.
    seed : int
    shape : (int, int)
        Pixels; at least 24 each.
    contrast : float
        How much brighter the rim of a lesion is than the liver; its core is as much darker.

    Notes
    -----
    Every liver also holds a cyst, as large and as bright as the rim but without a core, and
    vessels of one pixel's width: what only finds what stands out points at a cyst as often as at
    a lesion.
    """
    if n < 2 or min(shape) < 24:
        msg = f"n is at least 2 and shape at least 24 x 24, got {n} and {shape}"
        raise UsageError(msg)
    images = np.empty((n, 1, *shape), np.float32)
    lesions, cysts = np.zeros((n, *shape), bool), np.zeros((n, *shape), bool)
    x, y = np.indices(shape, dtype=float)
    for number in range(n):
        rng = generator(seed, "lesions", number)
        centre = np.array(shape) / 2 + rng.normal(0, 1, 2)
        size = np.array(shape) * rng.uniform(0.40, 0.46, 2)
        liver = ((x - centre[0]) / size[0]) ** 2 + ((y - centre[1]) / size[1]) ** 2 < 1
        texture = smooth_field(rng, (*shape, 1), (1.0, 1.0, 1.0), (1.5, 1.5, 0.1))[..., 0]
        picture = np.where(liver, _TEXTURE * texture, -1.5) + rng.normal(0, 0.1, shape)
        _vessels(rng, picture, liver, centre, size, contrast)
        # the two lie on opposite sides of the liver's middle, whichever way that is
        angle = rng.uniform(0, 2 * np.pi)
        away = size * rng.uniform(0.45, 0.6) * np.array([np.sin(angle), np.cos(angle)])
        for sign, masks in ((1, cysts), (-1, lesions)):
            place, radius = centre + sign * away, rng.uniform(3.5, 4.5)
            distance = np.hypot(x - place[0], y - place[1])
            if masks is lesions and number % 2 == 0:
                continue
            masks[number] = (distance < radius) & liver
            core = (distance < 0.55 * radius) & (masks is lesions)
            picture = np.where(masks[number], np.where(core, -contrast, contrast), picture)
        images[number, 0] = picture + rng.normal(0, _GAIN)
    return PlantedLesions(images, lesions, cysts, (np.arange(n) % 2).astype(float))


def _vessels(
    rng: np.random.Generator, picture: NDArray[np.float64], liver: NDArray[np.bool_],
    centre: NDArray[np.float64], size: NDArray[np.float64], contrast: float,
) -> None:  # fmt: skip
    for _ in range(4):
        start = centre + rng.uniform(-0.5, 0.5, 2) * size
        angle, along = rng.uniform(0, np.pi), np.linspace(0, 6, 13)
        i = np.round(start[0] + along * np.sin(angle)).astype(int).clip(0, liver.shape[0] - 1)
        j = np.round(start[1] + along * np.cos(angle)).astype(int).clip(0, liver.shape[1] - 1)
        picture[i, j] = np.where(liver[i, j], contrast, picture[i, j])
