"""MR elastography: slices of magnitude, phase, confidence and stiffness, good and spoiled.

A shear wave enters a liver from the driver at the right body wall; what spoils examinations is
what readers name: breathing, a driver without contact, ascites between driver and liver, and waves
so large that the phase wraps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.simulate.fields import smooth_field

Shade = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
Failure = Literal["", "motion", "contact", "ascites", "wrap"]
FAILURES: tuple[Failure, ...] = ("motion", "contact", "ascites", "wrap")

#: Hz; wave phases sampled in one cycle; kg per litre
FREQUENCY, OFFSETS, DENSITY = 60.0, 4, 1.0
#: pixels and millimetres of a slice
SHAPE, SPACING = (64, 64), 5.0
#: confidence below which a pixel of the elastogram is not read
LEAST_CONFIDENCE = 0.95
#: radians of the phase at the driver, and how the wave fades, per mm
_AMPLITUDE, _ATTENUATION = 1.6, 0.008
_NOISE = 0.12


@dataclass(frozen=True)
class Elastogram:
    """One slice.

    Attributes
    ----------
    magnitude : array (x, y)
        Signal, arbitrary units.
    phase : array (4, x, y)
        Wrapped phase at four moments of a cycle, radians.
    confidence : array (x, y)
        Share of the phase's variation over the cycle that one harmonic explains, 0 to 1.
    stiffness : array (x, y)
        Magnitude of the shear modulus by direct inversion, kPa, at most 20; about 8 % above the
        truth, for pixels of 5 mm. NaN where it is not defined.
    liver : array (x, y)
        Bool.
    failure : str
        What spoiled the examination; "" where nothing did.
    """

    magnitude: NDArray[np.float32]
    phase: NDArray[np.float32]
    confidence: NDArray[np.float32]
    stiffness: NDArray[np.float32]
    liver: NDArray[np.bool_]
    failure: str

    @property
    def confident(self) -> NDArray[np.bool_]:
        """Pixels of the liver that a reader may measure: confidence of 0.95 or more."""
        return self.liver & (self.confidence >= LEAST_CONFIDENCE)


def simulate_elastograms(
    n_exams: int, *, seed: int, slices: int = 4, spoiled: float = 0.4, graded: bool = False
) -> tuple[pd.DataFrame, list[Elastogram]]:
    """Examinations of several slices, some of them spoiled in every slice.

    Parameters
    ----------
    n_exams : int
        Subjects, one examination each.
    seed : int
        Decides everything; an examination does not depend on how many there are.
    slices : int
        Slices of an examination.
    spoiled : float
        Probability that an examination is not diagnostic; the four failures are equally likely.
    graded : bool
        Examinations between good and bad: waves mostly reach a part of a good liver (one window
        of any size), what spoils is often mild and leaves specks of confidence as large in sum,
        and one in seven slices of a good examination is spoiled. How much of the liver is
        confident then tells little; how it lies does.

    Returns
    -------
    frame, list of Elastogram
        One row per slice - ``USUBJID, SLICE, KPA`` (true stiffness), ``DIAGNOSTIC`` (1 or 0),
        ``FAILURE`` - and the slices in the same order; graded: also ``EXAM``, 1 where any slice
        is diagnostic. The mean of the magnitude is drawn for
        each slice, whatever its failure: a baseline of mean intensity has nothing to find.
    """
    if n_exams < 1 or slices < 1 or not 0 <= spoiled <= 1:
        msg = f"n_exams and slices are at least 1, spoiled a proportion; got {n_exams}, {slices}"
        raise UsageError(msg)
    rows, images = [], []
    for number in range(1, n_exams + 1):
        rng = generator(seed, "elastography", number)
        bad = bool(rng.random() < spoiled)
        failure: Failure = FAILURES[int(rng.integers(len(FAILURES)))] if bad else ""
        kpa = float(np.clip(2.4 * np.exp(rng.normal(0.15, 0.35)), 1.6, 9.0))
        strength = float(rng.uniform(0.2, 1.0))
        kinds = _graded_failures(rng, slices, failure) if graded else [failure] * slices
        for place, failure in enumerate(kinds, start=1):
            bad = bool(failure)
            shade = _shade(rng, failure) if graded else None
            strength = float(rng.uniform(0.05, 0.9)) if graded else strength
            images.append(
                simulate_elastogram(rng, kpa=kpa, failure=failure, strength=strength, shade=shade)
            )
            rows.append({
                "USUBJID": f"E{number:03d}", "SLICE": place, "KPA": kpa,
                "DIAGNOSTIC": int(not bad), "FAILURE": failure,
            })  # fmt: skip
    frame = pd.DataFrame(rows)
    if graded:
        frame["EXAM"] = frame.groupby("USUBJID")["DIAGNOSTIC"].transform("max")
    return frame, images


def simulate_elastogram(
    rng: np.random.Generator, *, kpa: float, failure: Failure = "", strength: float = 1.0,
    shade: Shade | None = None,
) -> Elastogram:  # fmt: skip
    """One slice of a liver of ``kpa``; ``strength`` (0 to 1) is how bad its failure is.

    ``shade`` makes, of the liver, a factor of the waves' amplitude at every pixel.
    """
    if failure not in ("", *FAILURES):
        msg = f"failure is one of {', '.join(FAILURES)} or '', got {failure!r}"
        raise UsageError(msg)
    x, y = np.indices(SHAPE, dtype=float) * SPACING
    width, height = (np.array(SHAPE) - 1) * SPACING
    centre = (0.40 * width + rng.normal(0, 5), 0.5 * height + rng.normal(0, 5))
    radius = (0.24 * width * rng.uniform(0.9, 1.1), 0.30 * height * rng.uniform(0.9, 1.1))
    liver = ((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 < 1
    body = ((x - width / 2) / (0.46 * width)) ** 2 + ((y - height / 2) / (0.42 * height)) ** 2 < 1
    texture = 1 + 0.08 * smooth_field(rng, (*SHAPE, 1), (SPACING, SPACING, SPACING), 12.0)[..., 0]
    magnitude = np.where(liver, 1.0, np.where(body, 0.8, 0.03)) * texture
    distance = np.hypot(x - 0.06 * width, y - centre[1])
    modulus = np.where(liver, kpa, 2.0)
    speed = np.sqrt(modulus / DENSITY)  # metres per second, as kPa over kg per litre
    wave = np.exp(1j * 2 * np.pi * FREQUENCY / speed * distance / 1000 + 2j * np.pi * rng.random())
    amplitude = _AMPLITUDE * np.exp(-_ATTENUATION * distance) * rng.uniform(0.6, 1.2)
    if failure == "contact":
        amplitude = amplitude * (0.65 - 0.5 * strength)
    if failure == "ascites":
        rim = ndimage.binary_dilation(liver, iterations=2 + round(2 * strength)) & ~liver & body
        magnitude = np.where(rim, 1.25 * texture, magnitude)
        amplitude = np.where(rim, 0.0, amplitude * (0.65 - 0.5 * strength))
    if failure == "wrap":
        amplitude = amplitude * (4.0 + 4.0 * strength)
    if shade is not None:
        amplitude = amplitude * shade(liver)
    displacement = amplitude * wave * body
    cycle = np.exp(2j * np.pi * np.arange(OFFSETS) / OFFSETS)
    phase = (displacement[None] * cycle[:, None, None]).real
    if failure == "motion":
        magnitude, phase = _breathing(rng, magnitude, phase, strength)
    signal = np.maximum(magnitude, 0.02)
    phase = phase + _NOISE * rng.standard_normal(phase.shape) / signal
    wrapped = np.angle(np.exp(1j * phase))
    magnitude = magnitude + 0.02 * rng.standard_normal(SHAPE)
    gain = float(np.exp(rng.normal(0.0, 0.15)))
    magnitude = np.abs(magnitude) * gain / float(np.abs(magnitude).mean())
    confidence, stiffness = _inverted(wrapped)
    return Elastogram(
        (100 * magnitude).astype(np.float32), wrapped.astype(np.float32),
        confidence.astype(np.float32), stiffness.astype(np.float32), liver, failure,
    )  # fmt: skip


def _graded_failures(rng: np.random.Generator, slices: int, failure: Failure) -> list[Failure]:
    """Failure of every slice: all of them in a bad examination, one in seven in a good one."""
    if failure:
        return [failure] * slices
    spoiled = rng.random(slices) < 1 / 7
    if spoiled.all():
        spoiled[0] = False
    return [FAILURES[int(rng.integers(2))] if bad else "" for bad in spoiled]


def _shade(rng: np.random.Generator, failure: Failure) -> Shade:
    """Where waves reach: a window of a good liver, specks of a spoiled one, equal in area."""
    share, rest = float(rng.uniform(0.25, 0.8)), float(rng.uniform(0.03, 0.2))
    level = float(rng.uniform(0.8, 1.1))
    if failure in ("contact", "ascites"):
        level *= 1.5  # what their own weakness takes away, mostly given back
    grain = 7.0 if failure else 60.0
    field = smooth_field(rng, (*SHAPE, 1), (SPACING,) * 3, grain)[..., 0]
    place = rng.uniform(-0.5, 0.5, 2)
    everywhere = failure == "wrap" or (not failure and bool(rng.random() < 0.3))

    def shade(liver: NDArray[np.bool_]) -> NDArray[np.float64]:
        if everywhere:
            return np.full(SHAPE, level)
        score = field.astype(float)
        if not failure:
            where = np.argwhere(liver)
            centre = where.mean(axis=0) + place * np.ptp(where, axis=0) / 2
            x, y = np.indices(SHAPE, dtype=float)
            reach = np.sqrt(liver.sum() / np.pi)
            score = 0.3 * score - np.hypot(x - centre[0], y - centre[1]) / reach
        inside = score >= np.quantile(score[liver], 1 - share)
        soft = ndimage.gaussian_filter(inside.astype(float), 0.7)
        return np.asarray(level * (rest + (1 - rest) * soft))

    return shade


def _breathing(
    rng: np.random.Generator, magnitude: NDArray[np.float64], phase: NDArray[np.float64],
    strength: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Ghosts along the phase encoding, and another place and phase at every moment."""
    ghost = np.roll(magnitude, SHAPE[1] // 4, axis=1) + np.roll(magnitude, -SHAPE[1] // 4, axis=1)
    magnitude = magnitude + 0.25 * strength * ghost
    moved = [
        np.roll(part, int(rng.integers(-3, 4)), axis=1) + strength * rng.normal(0, 0.9)
        + 0.5 * strength * smooth_field(rng, (*SHAPE, 1), (SPACING,) * 3, 25.0)[..., 0]
        for part in phase
    ]  # fmt: skip
    return magnitude, np.array(moved)


def _inverted(
    wrapped: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confidence, and stiffness by direct inversion of the smoothed first harmonic."""
    n = len(wrapped)
    cycle = np.exp(-2j * np.pi * np.arange(n) / n)
    harmonic = 2 / n * np.tensordot(cycle, wrapped, axes=1)
    fitted = (harmonic[None] * cycle.conj()[:, None, None]).real
    smooth = [ndimage.uniform_filter(v, 3) for v in ((wrapped - fitted) ** 2).mean(axis=0)[None]]
    explained = ndimage.uniform_filter((fitted**2).mean(axis=0), 3)
    confidence = explained / np.maximum(explained + smooth[0], 1e-12)
    soft = ndimage.gaussian_filter(harmonic.real, 1.2) + 1j * ndimage.gaussian_filter(
        harmonic.imag, 1.2
    )
    bend = (ndimage.convolve(soft.real, _LAPLACE) + 1j * ndimage.convolve(soft.imag, _LAPLACE)) / (
        SPACING / 1000
    ) ** 2
    omega = 2 * np.pi * FREQUENCY
    size = np.abs(bend)
    modulus = DENSITY * omega**2 * np.abs(soft) / np.where(size > 1e-9, size, np.nan)
    return confidence, np.minimum(modulus, 20.0)


_LAPLACE = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
