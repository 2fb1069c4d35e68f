"""Least squares of the fat and water signal, all voxels at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from livertrack.imaging._fat_water_model import BATCH, Complexes, Echoes

Array = NDArray[np.float64]

#: largest R2* that is fitted, 1/s
MOST = 2000.0
#: steps smaller than this end the search: Hz, and 1/s
SETTLED = 0.01
_ITERATIONS = 25


def refine(signal: Complexes, echoes: Echoes, field: Array, r2star: Array) -> Array:
    """Fit W, F, phase, field and R2* of each voxel from a field and R2* near the solution.

    Returns
    -------
    array (V, 6)
        Water and fat (real, W + F >= 0; either may be slightly negative by noise), phase (rad),
        field (Hz), R2* (1/s, 0 to 2000), squared residual.

    Notes
    -----
    Levenberg-Marquardt with the two amplitudes and the phase solved exactly at the start.
    """
    found = [
        _refine(
            signal[rows].astype(np.complex128), echoes, field[rows].copy(), r2star[rows].copy()
        )
        for start in range(0, len(signal), BATCH)
        for rows in [slice(start, start + BATCH)]
    ]
    return np.concatenate(found) if found else np.zeros((0, 6))


def amplitudes(
    signal: NDArray[np.complex128], echoes: Echoes, field: Array, r2star: Array
) -> tuple[Array, Array, Array]:
    """Best water, fat and common phase for given field and R2* of each voxel."""
    decay = np.exp(-np.outer(r2star, echoes.times))
    turned = signal * np.exp(-2j * np.pi * np.outer(field, echoes.times))
    b = np.stack([(turned * decay).sum(1), (turned * decay * echoes.fat.conj()).sum(1)])
    weight = decay**2
    ww, wf = weight.sum(1), (weight * echoes.fat.real).sum(1)
    ff = (weight * np.abs(echoes.fat) ** 2).sum(1)
    det = ww * ff - wf**2

    def solve(one: NDArray[np.complex128], two: NDArray[np.complex128]) -> tuple[Array, Array]:
        return (ff * one - wf * two) / det, (ww * two - wf * one) / det

    w, f = solve(b[0], b[1])
    phase = np.angle(b[0] * w + b[1] * f) / 2
    back = np.exp(-1j * phase)
    water, fat = (part.real for part in solve(b[0] * back, b[1] * back))
    flip = np.where(water + fat < 0, -1.0, 1.0)
    return water * flip, fat * flip, phase + np.pi * (flip < 0)


def _refine(signal: NDArray[np.complex128], echoes: Echoes, field: Array, r2star: Array) -> Array:
    water, fat, phase = amplitudes(signal, echoes, field, r2star)
    values = np.stack([water, fat, phase, field, r2star], axis=1)
    damping = np.full(len(values), 1e-3)
    cost = np.full(len(values), np.inf)
    busy = np.arange(len(values))
    for _ in range(_ITERATIONS):
        step, now = _step(values[busy], signal[busy], echoes, damping[busy])
        cost[busy] = now
        trial = values[busy] - step
        trial[:, 4] = np.clip(trial[:, 4], 0.0, MOST)
        residual = _residual(trial, signal[busy], echoes)
        better = (residual**2).sum(1) <= now
        values[busy[better]] = trial[better]
        damping[busy] *= np.where(better, 0.2, 5.0)
        moved = (np.abs(step[:, 3]) > SETTLED) | (np.abs(step[:, 4]) > SETTLED)
        busy = busy[moved & (damping[busy] < 1e6)]
        if not len(busy):
            break
    water, fat, phase = amplitudes(signal, echoes, values[:, 3], values[:, 4])
    values[:, 0], values[:, 1], values[:, 2] = water, fat, phase
    residual = _residual(values, signal, echoes)
    return np.column_stack([values, (residual**2).sum(1)])


def _step(
    values: Array, signal: NDArray[np.complex128], echoes: Echoes, damping: Array
) -> tuple[Array, Array]:
    """Damped Gauss-Newton step of each voxel, and its squared residual before it."""
    residual, parts = _residual(values, signal, echoes), _derivatives(values, echoes)
    normal = parts @ parts.transpose(0, 2, 1)
    slope = (parts @ residual[..., None])[..., 0]
    own = np.arange(5)
    diagonal = normal[:, own, own]
    normal[:, own, own] += diagonal * damping[:, None] + 1e-12 * diagonal.max(1)[:, None] + 1e-30
    step = np.linalg.solve(normal, slope[..., None])[..., 0].astype(np.float64)
    return step, np.asarray((residual**2).sum(1))


def _carrier(values: Array, echoes: Echoes) -> NDArray[np.complex128]:
    phase, field, r2star = values.T[2:, :, None]
    times = echoes.times[None]
    return np.asarray(np.exp(1j * (phase + 2 * np.pi * field * times) - r2star * times))


def _residual(values: Array, signal: NDArray[np.complex128], echoes: Echoes) -> Array:
    """Model less signal, real then imaginary, (V, 2N)."""
    mixture = values[:, :1] + values[:, 1:2] * echoes.fat[None]
    gap = mixture * _carrier(values, echoes) - signal
    return np.concatenate([gap.real, gap.imag], axis=1)


def _derivatives(values: Array, echoes: Echoes) -> Array:
    """Derivatives of the model by W, F, phase, field and R2*, (V, 5, 2N)."""
    carrier = _carrier(values, echoes)
    model = (values[:, :1] + values[:, 1:2] * echoes.fat[None]) * carrier
    slow = echoes.times[None] * model
    parts = np.stack(
        [carrier, carrier * echoes.fat[None], 1j * model, 2j * np.pi * slow, -slow], axis=1
    )
    return np.concatenate([parts.real, parts.imag], axis=2)
