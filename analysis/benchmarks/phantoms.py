"""Texture phantoms with a known truth: tissue types differ in texture, not only in mean.

Nine types in two channels. Some share mean *and* variance and differ only in the scale, the
direction or the channel correlation of their texture. Every scan has its own gain, gamma, bias
field, blur and Rician noise, and its own mixture of types. A spleen of constant signal lies
beside the liver, in fat and muscle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

#: means of both channels, amplitude, correlation length (voxels, x y z), channel correlation
TYPES: tuple[tuple[float, float, float, tuple[float, float, float], float], ...] = (
    (1.00, 1.00, 0.06, (1.0, 1.0, 0.7), 0.9),  # parenchyma
    (1.00, 0.72, 0.06, (1.0, 1.0, 0.7), 0.9),  # channel ratio
    (0.78, 1.00, 0.06, (1.0, 1.0, 0.7), 0.9),  # channel ratio
    (1.00, 1.00, 0.22, (0.7, 0.7, 0.5), 0.9),  # amplitude, fine
    (1.00, 1.00, 0.22, (2.0, 2.0, 1.0), 0.9),  # scale: as the one above in mean and variance
    (0.88, 0.88, 0.22, (2.5, 0.6, 0.6), 0.9),  # direction x
    (0.88, 0.88, 0.22, (0.6, 2.5, 0.6), 0.9),  # direction y
    (1.00, 1.00, 0.22, (1.0, 1.0, 0.7), -0.9),  # channel correlation
    (1.55, 0.60, 0.05, (1.0, 1.0, 0.7), 0.9),  # vessels
)


@dataclass(frozen=True)
class Phantom:
    """One scan: ``volume`` (2, X, Y, Z), ``mask``, ``reference``, ``truth`` (1..9 in the mask)."""

    volume: np.ndarray
    mask: np.ndarray
    reference: np.ndarray
    truth: np.ndarray
    spacing: tuple[float, float, float]


def phantom(
    seed: int,
    number: int,
    *,
    shape: tuple[int, int, int] = (96, 96, 32),
    spacing: tuple[float, float, float] = (2.4, 2.4, 4.0),
    gain: float = 0.25,
    bias: float = 0.15,
    noise: tuple[float, float] = (0.02, 0.06),
    blur: float = 0.5,
    patch_mm: float = 30.0,
) -> Phantom:
    """Scan ``number`` of the cohort ``seed``."""
    rng = np.random.default_rng([seed, number])
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    liver = _ball(grid, rng, centre=(-0.15, 0, 0), radius=(0.72, 0.78, 0.9))
    spleen = _ball(grid, rng, centre=(0.8, 0.35, 0), radius=(0.12, 0.3, 0.7)) & ~liver
    body = (grid[0] ** 2 + grid[1] ** 2) < 1.0
    truth = _layout(rng, shape, spacing, patch_mm)
    truth[~liver] = 0
    clean = np.zeros((2, *shape))
    clean[:, body] = rng.choice([0.5, 1.4], p=[0.6, 0.4], size=int(body.sum()))
    clean = ndimage.gaussian_filter(clean, (0, 2, 2, 1))
    clean[0, spleen], clean[1, spleen] = 0.75, 0.9
    for kind, (first, second, amplitude, scale, correlation) in enumerate(TYPES, start=1):
        where = truth == kind
        one = _texture(rng, shape, scale)
        two = correlation * one + np.sqrt(1 - correlation**2) * _texture(rng, shape, scale)
        clean[0, where] = first * (1 + amplitude * one[where])
        clean[1, where] = second * (1 + amplitude * two[where])
    volume = _scanner(clean, rng, gain=gain, bias=bias, noise=noise, blur=blur)
    return Phantom(volume, liver, spleen, truth.astype(np.int16), spacing)


def cohort(seed: int, n_scans: int, **options: object) -> list[Phantom]:
    """Several scans of one cohort (see `phantom`)."""
    return [phantom(seed, number, **options) for number in range(n_scans)]  # type: ignore[arg-type]


def _ball(grid, rng, *, centre, radius):
    where = sum(
        ((axis - c - rng.normal(0, 0.03)) / r) ** 2
        for axis, c, r in zip(grid, centre, radius, strict=True)
    )
    return where < 1


def _layout(rng, shape, spacing, patch_mm):
    n = len(TYPES)
    lean = rng.normal(0, 0.5, n)
    width = [patch_mm / 2 / s for s in spacing]
    fields = np.stack(
        [ndimage.gaussian_filter(rng.standard_normal(shape), width) for _ in range(n - 1)]
    )
    fields /= fields.std(axis=(1, 2, 3), keepdims=True)
    truth = (fields + lean[: n - 1, None, None, None]).argmax(0) + 1
    tubes = [
        ndimage.gaussian_filter(rng.standard_normal(shape), [8 / s for s in spacing])
        for _ in range(2)
    ]
    tubes = [t / t.std() for t in tubes]
    truth[(np.abs(tubes[0]) < 0.3) & (np.abs(tubes[1]) < 0.3)] = n
    return truth


def _texture(rng, shape, scale):
    field = ndimage.gaussian_filter(rng.standard_normal(shape), scale)
    return field / field.std()


def _scanner(clean, rng, *, gain, bias, noise, blur):
    shape = clean.shape[1:]
    field = ndimage.gaussian_filter(rng.standard_normal(shape), [n / 3 for n in shape])
    field = np.exp(bias * field / field.std())
    out = np.empty(clean.shape, np.float32)
    width = rng.uniform(0, blur)
    exponent = np.exp(rng.normal(0, 0.05))
    level = rng.uniform(*noise)
    for channel in range(clean.shape[0]):
        signal = ndimage.gaussian_filter(clean[channel].clip(0), (width, width, 0)) ** exponent
        signal = signal * field * np.exp(rng.normal(0, gain))
        real, imaginary = level * rng.standard_normal((2, *shape)) * signal.mean() / 0.7
        out[channel] = np.hypot(signal + real, imaginary)
    return out * 300
