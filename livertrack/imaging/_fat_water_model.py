"""The signal of water and fat in a gradient echo, and how well a field explains it.

One phase is common to water and fat: at echo time zero they are in phase. Signal of a voxel at
echo time t, with real W and F:

    s(t) = (W + F sum_p a_p exp(2 pi i f_p t)) exp(i phase) exp(2 pi i field t) exp(-R2* t)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Complexes = NDArray[np.complex64]
Floats = NDArray[np.float32]

#: MHz per tesla
PROTON = 42.577478518
#: liver fat, six peaks: ppm from water, and their parts of the signal (Hamilton et al. 2011)
LIVER_FAT = (
    (-3.80, 0.087), (-3.40, 0.693), (-2.60, 0.128), (-1.94, 0.004), (-0.39, 0.039), (0.60, 0.048),
)  # fmt: skip
#: R2* at which the field is searched, 1/s
R2STAR_GRID = (0.0, 20.0, 40.0, 65.0, 100.0, 160.0, 300.0, 600.0)
#: voxels worked on at once
BATCH = 8192


@dataclass(frozen=True)
class Echoes:
    """Echo times and the spectrum of fat.

    Attributes
    ----------
    times : array (N,)
        Echo times, s.
    tesla : float
        Field strength, T.
    spectrum : pairs
        Shift from water, ppm, and part of the fat signal.
    """

    times: NDArray[np.float64]
    tesla: float
    spectrum: tuple[tuple[float, float], ...] = LIVER_FAT

    @cached_property
    def fat(self) -> NDArray[np.complex128]:
        """Signal of a unit of fat at each echo, (N,)."""
        shifts, parts = np.array(self.spectrum).T
        parts = parts / parts.sum()
        hertz = shifts * PROTON * self.tesla
        return np.asarray(np.exp(2j * np.pi * np.outer(self.times, hertz)) @ parts)

    @property
    def period(self) -> float:
        """Fields that differ by this cannot be told apart, Hz (as echoes are nearly even)."""
        return 1.0 / float(np.diff(self.times).mean())

    @property
    def even(self) -> bool:
        """Whether echoes are evenly spaced (within a fiftieth)."""
        steps = np.diff(self.times)
        return bool(np.abs(steps - steps.mean()).max() <= 0.02 * steps.mean())

    @cached_property
    def spread(self) -> float:
        """Phase that a field of 1 Hz spreads over the echoes, radians (standard deviation)."""
        return float(2 * np.pi * self.times.std())

    def fields(self, step: float) -> NDArray[np.float64]:
        """Fields to be searched, Hz: one period, or within 500 Hz of resonance.

        They are so far apart that the phase over the echoes changes by ``step`` radians.
        """
        width = self.period if self.even else 1000.0
        count = max(16, round(width * self.spread / step))
        return (np.arange(count) / count - 0.5) * width

    def basis(self, r2star: float) -> NDArray[np.complex128]:
        """Orthonormal in the sense of real amplitudes: columns B with Re(B* B) = identity."""
        columns = np.stack([np.ones_like(self.fat), self.fat], axis=1)
        columns = columns * np.exp(-r2star * self.times)[:, None]
        gram = np.linalg.inv((columns.conj().T @ columns).real)
        return np.asarray(columns @ np.linalg.cholesky(gram))


def search(
    signal: Complexes, echoes: Echoes, fields: NDArray[np.float64]
) -> tuple[Floats, NDArray[np.int8]]:
    """Squared residual of the best fit for every field, and which R2* of the grid gave it.

    Parameters
    ----------
    signal : array (V, N)

    Returns
    -------
    residual : array (V, fields)
    r2star : int8 array (V, fields)
        Index into `R2STAR_GRID`.
    """
    turn = np.exp(2j * np.pi * np.outer(echoes.times, fields))
    explained = np.zeros((len(signal), len(fields)), np.float32)
    which = np.zeros(explained.shape, np.int8)
    for number, rate in enumerate(R2STAR_GRID):
        base = echoes.basis(rate)
        parts = [(turn * column[:, None]).conj().astype(np.complex64) for column in base.T]
        for start in range(0, len(signal), BATCH):
            rows = slice(start, start + BATCH)
            first, second = (signal[rows] @ part for part in parts)
            power = first.real**2 + first.imag**2 + second.real**2 + second.imag**2
            common = first * first + second * second
            found = (power + np.sqrt(common.real**2 + common.imag**2)) / 2
            which[rows] = np.where(found > explained[rows], number, which[rows])
            np.maximum(explained[rows], found, out=explained[rows])
    energy = (np.abs(signal) ** 2).sum(axis=1, dtype=np.float32)
    return np.maximum(energy[:, None] - explained, 0), which
