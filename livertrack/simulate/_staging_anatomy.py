"""Upper abdomens of a given severity: texture, surface and spleen tell it, no mean does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.simulate.fields import smooth_field
from livertrack.simulate.physics import rician

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

#: voxels of a volume and their size in mm: x towards the left, y towards the back, z to the head
SHAPE, SPACING = (80, 56, 12), (3.0, 3.0, 8.0)
#: signal of liver, spleen, fat, muscle and other contents, vessels: relative, by sequence
SIGNALS: dict[str, tuple[float, float, float, float, float]] = {
    "T1W": (1.00, 0.70, 1.35, 0.65, 0.60),
    "T2W": (0.55, 0.95, 1.05, 0.45, 0.95),
    "DWI": (0.60, 1.20, 0.20, 0.50, 0.35),
}
#: how the nodules of a sequence follow the common pattern, and how strong they are
PATTERN = {"T1W": (1.0, 1.0), "T2W": (-0.8, 0.8), "DWI": (-0.6, 0.7)}
#: noise of a sequence relative to the signal of the liver
NOISE = {"T1W": 0.07, "T2W": 0.11, "DWI": 0.13}


@dataclass(frozen=True)
class Vendor:
    """What a scanner does to a picture: gain, blur in mm, noise, receive field."""

    name: str
    gain: float
    blur_mm: float
    noise: float


VENDORS = (
    Vendor("A", 1.0, 1.0, 1.0),
    Vendor("B", 2.6, 1.4, 0.9),
    Vendor("C", 0.5, 1.2, 1.15),
)


class Volume(NamedTuple):
    """One sequence: intensities (x, y, z), arbitrary units, and the mask of the liver."""

    image: NDArray[np.int16]
    mask: Bools


class Body(NamedTuple):
    """Organs of one subject (x, y, z) and the fields that its sequences share."""

    liver: Bools
    spleen: Bools
    vessels: Bools
    body: Bools
    fat: Bools
    pattern: Floats
    drift: Floats


def draw_body(rng: np.random.Generator, *, severity: float, bmi: float) -> Body:
    """Organs of a subject; ``severity`` from 0 to 1, ``bmi`` in kg/m2.

    With severity the texture of the liver grows coarser (kernel of about 1.8 to 4.6 mm, +/- 16 %
    between subjects of one severity), nodules of its surface grow from 1 to 2.6 mm (+/- 30 %),
    the spleen by two fifths in each axis (+/- 15 %).
    """
    axes = [
        ((np.arange(n) - (n - 1) / 2) * step).astype(np.float32)
        for n, step in zip(SHAPE, SPACING, strict=True)
    ]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    move = rng.normal(0.0, 4.0, 3)
    vary = rng.normal(1.0, 0.06, 8)
    skin = float(np.clip(5.0 + 0.6 * (bmi - 22.0), 4.0, 18.0))
    body = (x / 119) ** 2 + (y / 83) ** 2 < 1
    inside = (x / (119 - skin)) ** 2 + (y / (83 - skin)) ** 2 < 1

    def ball(centre: Sequence[float], size: Sequence[float]) -> Floats:
        """Distance to an ellipsoid in mm, roughly; negative inside."""
        parts = [
            ((axis - c - m) / s) ** 2
            for axis, c, m, s in zip((x, y, z), centre, move, size)  # noqa: B905
        ]
        return np.asarray((np.sqrt(sum(parts)) - 1.0) * min(size), np.float32)

    right = ball((-48, 4, -4), (46 * vary[0], 54 * vary[1], 52 * vary[2]))
    left = ball((2, -28, 8), (48 * vary[3], 24 * vary[4], 28 * vary[5]))
    surface = smooth_field(rng, SHAPE, SPACING, 4.5)
    wave = smooth_field(rng, SHAPE, SPACING, 20.0)
    bumps = (1.0 + 1.6 * severity) * float(np.exp(rng.normal(0.0, 0.3)))
    distance = np.minimum(right, left) + 3.0 * wave + bumps * surface
    grown = 1.0 + 0.4 * severity + float(rng.normal(0.0, 0.15))
    grown = max(grown, 0.6)
    tip = ball((82, 26, 2), (17 * grown, 24 * grown, 32 * grown)) + 2.0 * wave
    spleen = (tip < 0) & inside
    liver = (distance < 0) & inside & ~spleen
    one, two = (smooth_field(rng, SHAPE, SPACING, 13.0) for _ in range(2))
    vessels = liver & (np.abs(one) < 0.22) & (np.abs(two) < 0.30)
    scale = 1.8 * np.exp(0.95 * severity + rng.normal(0.0, 0.16))
    pattern = smooth_field(rng, SHAPE, SPACING, float(scale))
    drift = smooth_field(rng, SHAPE, SPACING, 16.0)
    return Body(liver, spleen, vessels, body, body & ~inside, pattern, drift)


def acquire_sequence(
    rng: np.random.Generator, body: Body, sequence: str, *, vendor: Vendor, steatosis: float,
    contrast: float, bmi: float,
) -> Volume:  # fmt: skip
    """One sequence of a subject as a scanner stores it.

    Parameters
    ----------
    steatosis : float
        Fat fraction of the liver, 0 to 1: brightens T1W and T2W.
    contrast : float
        Standard deviation of the texture relative to the liver's signal; whatever the severity.
    bmi : float
        Noise grows with it, kg/m2.
    """
    liver, spleen, fat, rest, blood = SIGNALS[sequence]
    follows, strength = PATTERN[sequence]
    own = smooth_field(rng, SHAPE, SPACING, 2.2)
    texture = contrast * strength * (follows * body.pattern + np.sqrt(1 - follows**2) * own)
    texture = texture + 0.07 * body.drift
    bright = 1.0 + (0.8 * steatosis if sequence != "DWI" else -0.3 * steatosis)
    signal = np.where(body.body, rest, 0.0)
    mottle = smooth_field(rng, SHAPE, SPACING, 7.0)
    signal = signal * (1.0 + 0.25 * mottle)
    signal = np.where(body.fat, fat, signal)
    signal = np.where(body.spleen, spleen * (1.0 + 0.05 * own), signal)
    signal = np.where(body.liver, liver * bright * (1.0 + texture), signal)
    signal = np.where(body.vessels, blood, signal)
    sigma = np.array([1.0, 1.0, 0.5]) * vendor.blur_mm / np.asarray(SPACING)
    signal = ndimage.gaussian_filter(np.maximum(signal, 0.0), sigma, truncate=3.0)
    bias = np.exp(0.15 * smooth_field(rng, SHAPE, SPACING, 55.0))
    level = liver * NOISE[sequence] * vendor.noise * np.exp(0.012 * (bmi - 28.0))
    noise = level * float(np.exp(rng.normal(0.0, 0.2)))
    stored = rician(rng, signal * bias, noise)
    gain = 300.0 * vendor.gain * float(np.exp(rng.normal(0.0, 0.3)))
    image = np.clip(np.rint(stored * gain), 0, 32767).astype(np.int16)
    return Volume(image, outline(body.liver))


def outline(liver: Bools) -> Bools:
    """The liver as a reader draws it: a smooth line, in every slice by itself."""
    soft = ndimage.gaussian_filter(liver.astype(np.float32), (0.7, 0.7, 0.0))
    return np.asarray(soft > 0.5)
