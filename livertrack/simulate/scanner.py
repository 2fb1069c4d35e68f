"""Scanners: gain, blur, receive field and noise, each with its own character."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from livertrack.simulate.fields import smooth_field
from livertrack.simulate.physics import Protocol, rician

#: Stored intensity of a unit of signal relative to normal liver in phase.
STORED_LEVEL = 400.0


@dataclass(frozen=True)
class ScanSettings:
    """How scans are made, and everything that spoils them.

    Attributes
    ----------
    protocol : Protocol
        Acquisition parameters.
    noise : float
        Standard deviation of the complex noise, relative to normal liver in phase: 0.03 is a
        signal-to-noise ratio of 33, usual for parenchyma in T1-weighted 3-D gradient echoes.
    gain : float
        Standard deviation of the log of a scanner's gain; scans of one scanner vary by a third of
        it (receiver settings are rescaled at each examination).
    blur_mm : float
        Standard deviation of the in-plane point spread, mm; scanners vary by a quarter of it.
    bias : float
        Standard deviation of the log of the receive field within the body; surface coils at 1.5 T
        leave about 10 to 30 % (Vovk et al., IEEE Trans Med Imaging 2007;26:405).
    breathing_mm : float
        Standard deviation between visits of the position along the body axis; 4.4 mm between
        fractions under breath-hold (Dawson et al., Int J Radiat Oncol Biol Phys 2001;51:1410).
    deformation_mm : float
        Root mean square between visits of the non-rigid part. After rigid alignment of livers in
        breath-hold, 38 % of fractions needed corrections of 3 mm or more (Radiat Oncol
        2019;14:154).
    sequence_shift_mm : float
        Standard deviation of the shift of the hepatobiliary phase against the dual echo, which is
        another breath-hold of the same session.
    t1_cv : float
        Within-subject coefficient of variation of T1 between examinations: 5 % (repeatability
        figure of the trials this package is written for).
    texture : float
        Multiplies the amplitude of all textures; 0 leaves only mean intensities.
    """

    protocol: Protocol = field(default_factory=Protocol)
    noise: float = 0.03
    gain: float = 0.3
    blur_mm: float = 1.3
    bias: float = 0.15
    breathing_mm: float = 4.4
    deformation_mm: float = 3.0
    sequence_shift_mm: float = 1.0
    t1_cv: float = 0.05
    texture: float = 1.0


@dataclass(frozen=True)
class Scanner:
    """One scanner: name, gain per sequence, blur in mm, noise, shape of its receive field."""

    name: str
    gain: Mapping[str, float]
    blur_mm: float
    noise: float
    coil: np.ndarray


def draw_scanner(
    rng: np.random.Generator, name: str, sequences: Sequence[str], settings: ScanSettings
) -> Scanner:
    """Draw one scanner; the dual echoes share a gain, since they are one acquisition."""
    level, late = rng.normal(0.0, settings.gain, 2)
    gain = {
        sequence: float(np.exp(level + (0.5 * late if sequence == "HBP" else 0.0)))
        for sequence in sequences
    }
    blur = settings.blur_mm * float(np.clip(rng.normal(1.0, 0.25), 0.5, 1.5))
    noise = settings.noise * float(np.exp(rng.normal(0.0, 0.25)))
    return Scanner(name, gain, blur, noise, rng.normal(0.0, 1.0, 9))


def receive_field(
    rng: np.random.Generator,
    scanner: Scanner,
    *,
    shape: Sequence[int],
    spacing: Sequence[float],
    bias: float,
) -> np.ndarray:
    """Smooth multiplicative field, mean of its log 0 and standard deviation ``bias``.

    Half of it belongs to the scanner (its coil), half to the position of the subject.
    """
    if bias <= 0:
        return np.ones(tuple(shape), np.float32)
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    terms = (x, y, z, x * y, x * z, y * z, x**2, y**2, z**2)
    coil = np.zeros(tuple(shape), np.float32)
    for weight, term in zip(scanner.coil, terms, strict=True):
        coil += np.float32(weight) * term
    coil -= coil.mean()
    position = smooth_field(rng, shape, spacing, 55.0)
    log_field = coil / max(float(coil.std()), 1e-6) + position
    log_field *= bias / max(float(log_field.std()), 1e-6)
    multiplier: np.ndarray = np.exp(log_field)
    return multiplier


def acquire(
    rng: np.random.Generator,
    signals: Mapping[str, np.ndarray],
    *,
    scanner: Scanner,
    settings: ScanSettings,
    level: float,
    spacing: Sequence[float],
) -> dict[str, np.ndarray]:
    """Turn noise-free signals into stored images.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    signals : mapping from sequence to array (x, y, z)
        In units of proton density.
    scanner : Scanner
        Its gain, blur, noise and receive field.
    settings : ScanSettings
        Gain variation and bias.
    level : float
        Signal of normal liver in phase; stored as 400 at unit gain.
    spacing : (float, float, float)
        Voxel size, mm.

    Returns
    -------
    dict of arrays (x, y, z), int16
        Images as a scanner stores them: arbitrary units, not negative.
    """
    shape = next(iter(signals.values())).shape
    coil_field = receive_field(rng, scanner, shape=shape, spacing=spacing, bias=settings.bias)
    session = float(np.exp(rng.normal(0.0, settings.gain / 3)))
    sigma = np.array([1.0, 1.0, 0.6]) * scanner.blur_mm / np.asarray(spacing)
    images = {}
    for sequence, signal in signals.items():
        clean = ndimage.gaussian_filter(signal / level, sigma, mode="nearest", truncate=3.0)
        noisy = rician(rng, clean * coil_field, scanner.noise)
        stored = noisy * (STORED_LEVEL * scanner.gain[sequence] * session)
        images[sequence] = np.clip(np.rint(stored), 0, 32767).astype(np.int16)
    return images
