"""Fat fraction and R2* from complex multi-echo images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._files import whole_file
from livertrack._results import Result
from livertrack.errors import UsageError
from livertrack.imaging._fat_water_field import choose_field
from livertrack.imaging._fat_water_fit import refine
from livertrack.imaging._fat_water_model import LIVER_FAT, Complexes, Echoes, search
from livertrack.imaging.image_file import UnusableImage

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Turning = Literal["auto", "clockwise", "anticlockwise"]

#: voxels with less signal than this part of the 98th percentile are not fitted
TISSUE = 0.05
#: side of the blocks on which the field is estimated first, mm (4 voxels where sizes are unknown)
BLOCK_MM = 10.0
#: limits of a map, beyond which a voxel is noise: percent
PDFF_LIMITS = (-50.0, 150.0)
#: maps by name, with their unit
MAPS = {
    "pdff": "%", "r2star": "1/s", "field": "Hz", "water": "", "fat": "", "residual": "",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class FatFraction(Result):
    """Maps of `fat_fraction`, each (x, y, z) float32, zero outside ``fitted``.

    Attributes
    ----------
    table : DataFrame
        One row per map: ``measure, unit, n`` (voxels fitted), ``q25, median, q75``.
    pdff : array
        Proton density fat fraction, percent. Not cut at 0 and 100, so that noise does not bias
        averages; cut at -50 and 150.
    r2star : array
        1/s, common to water and fat, 0 to 2000.
    field : array
        Difference from resonance, Hz, modulo one over the echo spacing.
    water, fat : array
        Signal at echo time zero, scanner units.
    residual : array
        Root of the squared misfit over the squared signal of all echoes: 0 is a perfect fit.
    fitted : array
        Voxels with signal (and in the mask, where one was given), bool.
    """

    pdff: Floats
    r2star: Floats
    field: Floats
    water: Floats
    fat: Floats
    residual: Floats
    fitted: Bools

    keys: ClassVar[tuple[str, ...]] = ("measure", "unit")
    context: ClassVar[str] = "fat_fraction"

    def save(
        self, folder: str | Path, affine: NDArray[np.float64], *, prefix: str = ""
    ) -> list[Path]:
        """Write the maps as NIfTI, ``<prefix>pdff.nii.gz`` and so on; gives the files."""
        written = []
        for name in MAPS:
            image = nib.Nifti1Image(getattr(self, name), affine)
            image.header.set_xyzt_units("mm")
            path = Path(folder) / f"{prefix}{name}.nii.gz"
            with whole_file(path) as temporary:
                nib.save(image, temporary)
            written.append(path)
        return written


def fat_fraction(
    echoes: Complexes,
    echo_times: Sequence[float],
    field_strength: float,
    *,
    mask: Bools | None = None,
    spacing: Sequence[float] | None = None,
    precession: Turning = "auto",
    spectrum: Sequence[tuple[float, float]] = LIVER_FAT,
) -> FatFraction:
    """Fat fraction, R2* and field of every voxel with signal.

    Parameters
    ----------
    echoes : array
        (echo, x, y, z) complex, at least three echoes of a spoiled gradient echo, coils combined.
    echo_times : sequence of float
        Seconds, rising.
    field_strength : float
        Tesla.
    mask : array or None
        Voxels that are wanted, bool (x, y, z). The field is estimated on all tissue all the same.
    spacing : (float, float, float) or None
        Voxel size, mm.
    precession : {"auto", "clockwise", "anticlockwise"}
        Sense in which phase grows (the ISMRM toolbox's PrecessionIsClockwise); ``anticlockwise``
        images are conjugated. ``auto`` takes the sense in which the fat spectrum fits better.
    spectrum : pairs
        Shift of each fat peak from water, ppm, and its part of the signal.

    Returns
    -------
    FatFraction

    Raises
    ------
    UsageError
        Shapes, times or field strength that cannot be.
    ImageError
        Echoes without signal, or not finite.

    Notes
    -----
    Model: six-peak liver fat (Hamilton et al. 2011), one R2*, one phase common to water and fat at
    echo time zero (Bydder et al. 2011), so that amplitudes are real: noise moves PDFF to both
    sides and does not bias it. For each field and R2* the amplitudes have a closed form (variable
    projection). The field is searched over one period; where several fields explain a voxel, the
    choice is made with the neighbourhood by tree-reweighted messages (Kolmogorov 2006) on blocks
    and then voxel by voxel; Levenberg-Marquardt finishes all parameters. T1 is not corrected for:
    use a small flip angle. Three echoes leave hardly a check of the fit.
    Checked against: simulated truth, scipy ``least_squares`` voxel by voxel, and a multi-scale
    graph cut program (mri-fatwater 1.2.2) on real four-echo data
    (tests/imaging/test_fat_water.py, tests/reference/fat_fraction.py).
    """
    data = np.asarray(echoes)
    times = np.asarray(echo_times, dtype=np.float64)
    _check(data, times, field_strength, mask, precession)
    if not np.isfinite(data).all():
        raise UnusableImage("echoes are not finite", cure="export the images again")
    strength = np.abs(data).max(axis=0)
    scale = float(np.percentile(strength, 98))
    tissue = strength > TISSUE * scale
    if scale <= 0 or not tissue.any():
        raise UnusableImage("the echoes have no signal", cure="check the export of the images")
    wanted = tissue if mask is None else np.asarray(mask, bool) & (strength > 0)
    used = tissue | wanted
    signal = np.ascontiguousarray(data[:, used].T / scale).astype(np.complex64)
    model = Echoes(times, float(field_strength), tuple((float(a), float(b)) for a, b in spectrum))
    turned, ratio = _sense(signal, model, precession)
    signal = signal.conj() if turned else signal
    start, decay = choose_field(
        signal, np.argwhere(used), strength.shape, model, _block(spacing, strength.shape)
    )
    keep = wanted[used]
    fitted = refine(signal[keep], model, start[keep], decay[keep])
    maps = _maps(fitted, signal[keep], model, scale, wanted)
    settings = {
        "method": "varpro-trw", "echo_times": times.tolist(), "field_strength": field_strength,
        "precession": "anticlockwise" if turned else "clockwise", "precession_asked": precession,
        "misfit_ratio": ratio, "spectrum": [list(peak) for peak in model.spectrum],
        "n_voxels": int(wanted.sum()),
    }  # fmt: skip
    table = _summary(maps, wanted)
    return FatFraction(
        table=table, text=_text(table), settings=settings, notes=_notes(times, precession, ratio),
        fitted=wanted, **maps,
    )  # fmt: skip


def _check(
    data: NDArray[Any], times: NDArray[np.float64], tesla: float, mask: Any, precession: str
) -> None:
    problem = ""
    if data.ndim != 4 or not np.iscomplexobj(data):
        problem = f"echoes must be complex (echo, x, y, z), got {data.ndim} axes of {data.dtype}"
    elif len(times) != len(data) or len(times) < 3:
        problem = f"{len(times)} echo times for {len(data)} echoes; at least three are needed"
    elif not (np.diff(times) > 0).all() or times[0] <= 0 or times[-1] > 0.1:
        problem = f"echo times must rise from above 0, in seconds, got {times.tolist()}"
    elif not 0.1 <= tesla <= 15:
        problem = f"field_strength is in tesla, got {tesla}"
    elif mask is not None and np.shape(mask) != data.shape[1:]:
        problem = f"mask {np.shape(mask)} has another shape than the echoes {data.shape[1:]}"
    elif precession not in ("auto", "clockwise", "anticlockwise"):
        problem = f"precession is auto, clockwise or anticlockwise, got {precession!r}"
    if problem:
        raise UsageError(problem)


def _sense(signal: Complexes, model: Echoes, asked: Turning) -> tuple[bool, float]:
    """Whether to conjugate, and the misfit as it is over the misfit of the conjugate."""
    energy = (np.abs(signal) ** 2).sum(axis=1)
    best = np.argsort(-energy, kind="stable")[: max(200, len(energy) // 4)]
    some = signal[np.sort(best)[:: max(1, len(best) // 4000)]]
    fields = model.fields(0.15)
    misfit = [
        float(search(one, model, fields)[0].min(axis=1).sum()) for one in (some, some.conj())
    ]
    ratio = misfit[0] / max(misfit[1], 1e-30)
    return (asked == "anticlockwise" or (asked == "auto" and ratio > 1)), ratio


def _block(spacing: Sequence[float] | None, shape: Sequence[int]) -> tuple[int, int, int]:
    if spacing is None:
        return (4, 4, 1)
    x, y, z = (
        int(np.clip(round(BLOCK_MM / step), 1, max(1, n // 8)))
        for step, n in zip(spacing, shape, strict=True)
    )
    return (x, y, z)


def _maps(
    fitted: NDArray[np.float64], signal: Complexes, model: Echoes, scale: float, wanted: Bools
) -> dict[str, Floats]:
    water, fat, _, hertz, rate, misfit = fitted.T
    total = water + fat
    energy = (np.abs(signal) ** 2).sum(axis=1)
    if model.even:
        hertz = (hertz + model.period / 2) % model.period - model.period / 2
    percent = 100 * fat / np.where(total > 0, total, 1.0)
    values = {
        "pdff": np.clip(np.where(total > 0, percent, 0.0), *PDFF_LIMITS), "r2star": rate,
        "field": hertz, "water": water * scale, "fat": fat * scale,
        "residual": np.sqrt(misfit / np.maximum(energy, 1e-30)),
    }  # fmt: skip
    maps = {}
    for name, value in values.items():
        maps[name] = np.zeros(wanted.shape, np.float32)
        maps[name][wanted] = value
    return maps


def _summary(maps: dict[str, Floats], wanted: Bools) -> pd.DataFrame:
    rows = []
    for name, unit in MAPS.items():
        values = maps[name][wanted].astype(float)
        low, middle, high = (
            np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else (np.nan,) * 3
        )
        rows.append([name, unit, len(values), low, middle, high])
    return pd.DataFrame(rows, columns=["measure", "unit", "n", "q25", "median", "q75"])


def _text(table: pd.DataFrame) -> str:
    middle = dict(zip(table["measure"], table["median"], strict=True))
    return (
        f"{table['n'].iloc[0]:,} voxels: median fat fraction {middle['pdff']:.1f} %, median R2* "
        f"{middle['r2star']:.0f} 1/s, median relative residual {middle['residual']:.3f}."
    )


def _notes(times: NDArray[np.float64], precession: str, ratio: float) -> tuple[str, ...]:
    notes = []
    if len(times) == 3:
        notes.append("three echoes leave hardly a check of the fit")
    if precession == "auto" and 0.9 < ratio < 1.1:
        notes.append(
            "the sense of precession could hardly be told (misfits differ by less than a tenth); "
            "state it"
        )
    elif precession != "auto" and (ratio > 1) != (precession == "anticlockwise"):
        notes.append("the other sense of precession would fit better")
    return tuple(notes)
