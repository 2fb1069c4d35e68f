"""Signal equations of the simulated sequences.

All are textbook: the spoiled gradient echo in steady state, water and fat precessing at their own
frequencies, T2* decay, T1 shortened by contrast agent, Rician magnitude noise.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

#: Main fat frequency relative to water, ppm; and the six-peak model of Hamilton et al.,
#: NMR Biomed 2011;24:784 (liver fat): shifts in ppm relative to water, relative amplitudes.
FAT_SHIFT_PPM = -3.4
FAT_PEAKS_PPM = (-3.80, -3.40, -2.60, -1.94, -0.39, 0.60)
FAT_PEAK_WEIGHTS = (0.087, 0.693, 0.128, 0.004, 0.039, 0.048)
GYROMAGNETIC_MHZ_PER_T = 42.577


@dataclass(frozen=True)
class Protocol:
    """Acquisition parameters of the three sequences.

    Defaults are of a 1.5 T dual-echo T1-weighted 3-D gradient echo and of a fat-suppressed
    T1-weighted 3-D gradient echo 20 minutes after gadoxetate, as in clinical liver protocols.

    Attributes
    ----------
    tesla : float
        Field strength, T.
    tr_ms, flip_deg : float
        Repetition time and flip angle of the dual-echo sequence.
    te_in_ms, te_opposed_ms : float
        Echo times at which water and fat are in phase and opposed.
    hbp_tr_ms, hbp_flip_deg, hbp_te_ms : float
        The same for the hepatobiliary phase.
    fat_suppression : float
        Share of the fat signal that fat suppression removes in the hepatobiliary phase.
    fat_t1_ms : float
        T1 of fat, ms (de Bazelaire et al., Radiology 2004;230:652: 343 ms at 1.5 T).
    fat_model : {"single", "multipeak"}
        One fat peak that is exactly in or out of phase at the two echo times, or six peaks
        (Hamilton et al. 2011), whose cancellation is not complete.
    """

    tesla: float = 1.5
    tr_ms: float = 7.0
    flip_deg: float = 10.0
    te_in_ms: float = 4.6
    te_opposed_ms: float = 2.3
    hbp_tr_ms: float = 4.6
    hbp_flip_deg: float = 14.0
    hbp_te_ms: float = 2.1
    fat_suppression: float = 0.9
    fat_t1_ms: float = 343.0
    fat_model: Literal["single", "multipeak"] = "single"


def spoiled_gradient_echo(
    density: np.ndarray | float, t1_ms: np.ndarray | float, *, tr_ms: float, flip_deg: float
) -> np.ndarray:
    """Steady-state signal of a spoiled gradient echo at echo time zero.

    ``density * sin(a) * (1 - E1) / (1 - cos(a) * E1)`` with ``E1 = exp(-TR / T1)``. Shapes are
    broadcast; the unit is that of ``density``. Source: Haase et al., J Magn Reson 1986;67:258.
    """
    angle = np.deg2rad(flip_deg)
    e1 = np.exp(-tr_ms / np.asarray(t1_ms))
    signal: np.ndarray = np.asarray(density) * np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1)
    return signal


def fat_phasor(te_ms: float, protocol: Protocol) -> complex:
    """Complex factor of the fat signal at an echo time, water being 1.

    For the single peak the echo times of the protocol are taken as exactly in phase (1) and
    opposed (-1); other echo times precess at -3.4 ppm.
    """
    if protocol.fat_model == "single":
        if te_ms == protocol.te_in_ms:
            return 1.0 + 0.0j
        if te_ms == protocol.te_opposed_ms:
            return -1.0 + 0.0j
        shifts, weights = np.array([FAT_SHIFT_PPM]), np.array([1.0])
    else:
        shifts = np.array(FAT_PEAKS_PPM)
        weights = np.array(FAT_PEAK_WEIGHTS) / np.sum(FAT_PEAK_WEIGHTS)
    hertz = shifts * protocol.tesla * GYROMAGNETIC_MHZ_PER_T
    return complex(np.sum(weights * np.exp(2j * np.pi * hertz * te_ms / 1000.0)))


def water_fat_signal(
    water: np.ndarray | float,
    fat: np.ndarray | float,
    *,
    r2star: np.ndarray | float,
    te_ms: float,
    phasor: complex,
) -> np.ndarray:
    """Magnitude of water plus fat at an echo time: ``|W + F c| exp(-R2* TE)``.

    ``r2star`` in 1/s. With ``c = -1`` equal parts of water and fat cancel.
    """
    decay = np.exp(-np.asarray(r2star) * te_ms / 1000.0)
    signal: np.ndarray = np.abs(np.asarray(water) + np.asarray(fat) * phasor) * decay
    return signal


def enhanced_t1(t1_ms: np.ndarray | float, uptake: np.ndarray | float) -> np.ndarray:
    """T1 in ms after contrast, from the increase of R1 (relaxivity times concentration) in 1/s."""
    t1: np.ndarray = 1000.0 / (1000.0 / np.asarray(t1_ms) + np.asarray(uptake))
    return t1


def sequence_signals(
    *,
    density: np.ndarray,
    fat: np.ndarray,
    t1_ms: np.ndarray,
    r2star: np.ndarray,
    uptake: np.ndarray,
    protocol: Protocol,
) -> dict[str, np.ndarray]:
    """Noise-free signals of the three sequences.

    Parameters
    ----------
    density, fat, t1_ms, r2star, uptake : arrays of one shape
        Proton density, fat fraction (0 to 1), T1 of water (ms), R2* (1/s), R1 increase (1/s).
    protocol : Protocol
        Acquisition parameters.

    Returns
    -------
    dict of arrays
        ``IP``, ``OP`` and ``HBP``, in units of proton density.
    """
    dual = {"tr_ms": protocol.tr_ms, "flip_deg": protocol.flip_deg}
    late = {"tr_ms": protocol.hbp_tr_ms, "flip_deg": protocol.hbp_flip_deg}
    water = spoiled_gradient_echo(density * (1 - fat), t1_ms, **dual)
    lipid = density * fat * spoiled_gradient_echo(1.0, protocol.fat_t1_ms, **dual)
    signals = {
        name: water_fat_signal(
            water, lipid, r2star=r2star, te_ms=te, phasor=fat_phasor(te, protocol)
        )
        for name, te in (("IP", protocol.te_in_ms), ("OP", protocol.te_opposed_ms))
    }
    enhanced = spoiled_gradient_echo(density * (1 - fat), enhanced_t1(t1_ms, uptake), **late)
    rest = (1 - protocol.fat_suppression) * density * fat
    rest = rest * spoiled_gradient_echo(1.0, protocol.fat_t1_ms, **late)
    signals["HBP"] = water_fat_signal(
        enhanced, rest, r2star=r2star, te_ms=protocol.hbp_te_ms, phasor=1.0 + 0.0j
    )
    return signals


def rician(rng: np.random.Generator, signal: np.ndarray, noise: float) -> np.ndarray:
    """Magnitude of a signal with complex Gaussian noise, standard deviation ``noise`` per part."""
    if noise <= 0:
        return np.asarray(np.abs(signal))
    size = signal.shape
    real = rng.standard_normal(size, dtype=np.float32)
    imaginary = rng.standard_normal(size, dtype=np.float32)
    real *= np.float32(noise)
    real += signal
    imaginary *= np.float32(noise)
    magnitude: np.ndarray = np.sqrt(real * real + imaginary * imaginary)
    return magnitude
