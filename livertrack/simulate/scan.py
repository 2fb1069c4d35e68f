"""One scan of one subject: tissue map in, three sequences, mask and truth out."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from livertrack.simulate import tissue
from livertrack.simulate.anatomy import Anatomy
from livertrack.simulate.fields import smooth_field
from livertrack.simulate.motion import Motion, draw_motion, pull_field, pull_labels
from livertrack.simulate.physics import Protocol, sequence_signals
from livertrack.simulate.scanner import Scanner, ScanSettings, acquire

SEQUENCES = ("IP", "OP", "HBP")
#: Labels of the mask, TotalSegmentator numbering.
LIVER_LABEL, SPLEEN_LABEL = 5, 1

_T = {
    name: tissue.lookup(name)
    for name in (
        "density", "fat", "t1", "r2star", "uptake", "fat_texture", "t1_texture", "uptake_texture",
    )
}  # fmt: skip
_GRAIN = np.zeros(len(_T["fat"]), int)
for _tissue in tissue.ALL_TISSUES:
    _GRAIN[_tissue.code] = 1 + list(tissue.GRAINS).index(_tissue.grain) if _tissue.grain else 0


#: Spline order by grain: linear interpolation would blur the fine ones.
_ORDER = tuple(3 if min(grain) < 2.5 else 1 for grain in tissue.GRAINS.values())


@dataclass(frozen=True)
class Physiology:
    """What sets one subject's tissue apart; all are factors with mean near 1.

    Attributes
    ----------
    fat, t1, r2star, uptake : float
        Multiply the fat fraction of fatty states, T1 of liver water, R2*, hepatobiliary uptake.
    """

    fat: float = 1.0
    t1: float = 1.0
    r2star: float = 1.0
    uptake: float = 1.0


@dataclass(frozen=True)
class SimulatedScan:
    """One scan.

    Attributes
    ----------
    images : dict of arrays (x, y, z), int16
        By sequence: IP, OP, HBP.
    mask : array (x, y, z), uint8
        5 liver, 1 spleen, 0 elsewhere.
    truth : array (x, y, z), uint8
        True tissue state 1 to 8 in the liver, 0 elsewhere, on the grid of the images.
    motion : Motion
        Where the scan lies in the subject's reference anatomy.
    spacing : (float, float, float)
        Voxel size, mm.
    """

    images: dict[str, np.ndarray]
    mask: np.ndarray
    truth: np.ndarray
    motion: Motion
    spacing: tuple[float, float, float]

    @property
    def volume(self) -> np.ndarray:
        """Array (channel, x, y, z), float32, channels IP, OP, HBP."""
        return np.stack([self.images[name] for name in SEQUENCES]).astype(np.float32)

    @property
    def affine(self) -> np.ndarray:
        """Voxel to world (RAS): the axes run to the subject's left, back and head."""
        return scan_affine(self.mask.shape, self.spacing)


def scan_affine(shape: tuple[int, ...], spacing: tuple[float, float, float]) -> np.ndarray:
    """Affine of images whose axes run to the left, back and head, centred in the field of view."""
    step = np.array([-1.0, -1.0, 1.0]) * spacing
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = -step * (np.asarray(shape) - 1) / 2
    return affine


def draw_textures(rng: np.random.Generator, anatomy: Anatomy) -> np.ndarray:
    """Texture fields of one subject, array (grains, x, y, z): fixed for all visits.

    Fields finer than about a voxel are stored as cubic spline coefficients, see `_ORDER`.
    """
    fields = [
        smooth_field(rng, anatomy.liver.shape, anatomy.spacing, grain)
        for grain in tissue.GRAINS.values()
    ]
    return np.stack(
        [
            ndimage.spline_filter(field, order=3, mode="nearest", output=np.float32)
            if order == 3
            else field
            for field, order in zip(fields, _ORDER, strict=True)
        ]
    )


def tissue_signals(
    tissues: np.ndarray,
    texture: np.ndarray,
    *,
    physiology: Physiology,
    settings: ScanSettings,
    t1_factor: float = 1.0,
) -> dict[str, np.ndarray]:
    """Noise-free signals of a map of tissue codes.

    Parameters
    ----------
    tissues : integer array (x, y, z)
        Tissue codes.
    texture : array (n,)
        Value of its own texture field at each liver voxel, in array order.
    physiology : Physiology
        Factors of the subject.
    settings : ScanSettings
        Protocol and amplitude of textures.
    t1_factor : float
        Multiplies T1 of the liver in this examination.

    Returns
    -------
    dict of arrays (x, y, z)
        IP, OP, HBP, in units of proton density.
    """
    properties = ("density", "fat", "t1", "r2star", "uptake")
    inside = (tissues > 0) & (tissues <= tissue.N_STATES)
    codes = tissues[inside]
    texture = settings.texture * np.clip(texture, -2.5, 2.5)
    parenchyma = codes != tissue.VESSEL
    own = {
        "fat": physiology.fat * (1.0 + _T["fat_texture"][codes] * texture),
        "t1": physiology.t1 * t1_factor * (1.0 + _T["t1_texture"][codes] * texture),
        "r2star": np.full(codes.size, physiology.r2star),
        "uptake": physiology.uptake * (1.0 - _T["uptake_texture"][codes] * texture),
    }
    parts = {name: _T[name][codes] for name in properties}
    for name, factor in own.items():
        parts[name][parenchyma] *= factor[parenchyma]
    detail = _signals(parts, settings.protocol)
    plain = _signals({name: _T[name] for name in properties}, settings.protocol)
    signals = {}
    for name, by_code in plain.items():
        signals[name] = by_code.astype(np.float32)[tissues]
        signals[name][inside] = detail[name]
    return signals


def _signals(parts: dict[str, np.ndarray], protocol: Protocol) -> dict[str, np.ndarray]:
    """Signals of tissue properties, in arrays of any one shape."""
    return sequence_signals(
        density=parts["density"], fat=np.clip(parts["fat"], 0.0, 1.0), t1_ms=parts["t1"],
        r2star=parts["r2star"], uptake=parts["uptake"], protocol=protocol,
    )  # fmt: skip


def simulate_scan(
    rng: np.random.Generator,
    anatomy: Anatomy,
    states: np.ndarray,
    textures: np.ndarray,
    *,
    scanner: Scanner,
    physiology: Physiology | None = None,
    settings: ScanSettings | None = None,
) -> SimulatedScan:
    """Simulate one scan of a subject whose liver is in given states.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    anatomy : Anatomy
        Reference anatomy of the subject.
    states : array (x, y, z), uint8
        Liver states on the reference anatomy, 0 outside the liver.
    textures : array (grains, x, y, z)
        From `draw_textures`.
    scanner : Scanner
        From `draw_scanner`.
    physiology, settings : optional
        Factors of the subject; protocol and noise.

    Returns
    -------
    SimulatedScan
    """
    physiology = physiology or Physiology()
    settings = settings or ScanSettings()
    spacing = anatomy.spacing
    shape = anatomy.liver.shape
    tissues = np.where(states > 0, states, anatomy.tissues).astype(np.uint8)
    motion = draw_motion(
        rng, shape=shape, spacing=spacing, breathing_mm=settings.breathing_mm,
        deformation_mm=settings.deformation_mm,
    )  # fmt: skip
    t1_factor = float(np.exp(rng.normal(0.0, settings.t1_cv)))
    shift = rng.normal(0.0, 1.0, 3) * settings.sequence_shift_mm
    displacement = motion.displacement(shape)

    def look(extra: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        moved = displacement + extra[:, None, None, None].astype(np.float32)
        seen = pull_labels(tissues, moved, spacing)
        texture = np.zeros(shape)
        for grain, (field, order) in enumerate(zip(textures, _ORDER, strict=True), start=1):
            where = _GRAIN[seen] == grain
            texture[where] = pull_field(field, where, moved, spacing, order=order)
        return seen, tissue_signals(
            seen,
            texture[(seen > 0) & (seen <= tissue.N_STATES)],
            physiology=physiology,
            settings=settings,
            t1_factor=t1_factor,
        )

    seen, signals = look(np.zeros(3))
    if settings.sequence_shift_mm > 0:
        signals["HBP"] = look(shift)[1]["HBP"]
    images = acquire(
        rng, signals, scanner=scanner, settings=settings, level=_normal_level(settings),
        spacing=spacing,
    )  # fmt: skip
    truth = np.where(seen <= tissue.N_STATES, seen, 0).astype(np.uint8)
    mask = np.where(truth > 0, LIVER_LABEL, 0).astype(np.uint8)
    mask[seen == tissue.SPLEEN] = SPLEEN_LABEL
    return SimulatedScan(images, mask, truth, motion, spacing)


def _normal_level(settings: ScanSettings) -> float:
    """In-phase signal of normal liver, the unit of the stored images."""
    codes = np.full((1, 1, 1), tissue.NORMAL)
    plain = tissue_signals(codes, np.zeros(1), physiology=Physiology(), settings=settings)
    return float(plain["IP"][0, 0, 0])
