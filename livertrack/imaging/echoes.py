"""Complex multi-echo images from files, and the maps made of them as images of their own.

``FILE#pdff`` (or ``#r2star, #field, #water, #fat, #residual``) names a map of `fat_fraction`. FILE
is an ISMRM fat-water ``.mat``, one echo of a BIDS ``MEGRE`` group, or a DICOM folder that holds
magnitude and phase, or real and imaginary parts, of every echo.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livertrack.imaging._dicom_frames import Frame
from livertrack.imaging.dicom import is_dicom, series_files, stack_header, stacks_of
from livertrack.imaging.fat_water import MAPS, FatFraction, Turning, fat_fraction
from livertrack.imaging.image_file import (
    MAX_VOXELS,
    UNREADABLE,
    Header,
    UnusableImage,
    short,
    volume_shape,
)
from livertrack.imaging.nifti import open_nifti

Complexes = NDArray[np.complex64]

#: bytes of a .mat file that livertrack is willing to open
MAX_BYTES = 2**30
_PARTS = {
    "mag": "mag", "M": "mag", "MAGNITUDE": "mag", "phase": "phase", "P": "phase",
    "PHASE": "phase", "PHASE MAP": "phase", "real": "real", "R": "real", "REAL": "real",
    "imag": "imag", "I": "imag", "IMAGINARY": "imag",
}  # fmt: skip
_MEGRE = re.compile(r"(.*_)echo-(\d+)(_.*)?(_MEGRE\.nii(\.gz)?)$")


@dataclass(frozen=True)
class EchoImages:
    """Complex echoes of one scan.

    Attributes
    ----------
    echoes : array
        (echo, x, y, z) complex64.
    times : array
        Echo times, s.
    tesla : float
        Field strength, T.
    affine : array or None
        Voxel index to millimetres; None where the file does not say.
    precession : str
        ``clockwise``, ``anticlockwise``, or ``auto`` where the file does not say.
    """

    echoes: Complexes
    times: NDArray[np.float64]
    tesla: float
    affine: NDArray[np.float64] | None
    precession: Turning = "auto"

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Voxel size, mm."""
        if self.affine is None:
            return None
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)).tolist()
        return (x, y, z)


def split_map(path: Path) -> tuple[Path, str]:
    """File and name of the map; blank for a path that is a file itself."""
    if "#" not in path.name or path.exists():
        return path, ""
    file, _, name = path.name.rpartition("#")
    return path.with_name(file), name.lower()


def echo_files(path: Path) -> list[Path]:
    """Files that the echoes of a path are read from."""
    if not path.exists():
        return []
    if _MEGRE.fullmatch(path.name):
        images = [image for image, _, _ in _group(path)]
        return sorted({*images, *(s for s in map(_sidecar, images) if s.is_file())})
    return series_files(path) if is_dicom(path) else [path]


def open_map(path: Path, name: str, max_voxels: int = MAX_VOXELS) -> Header:
    """Header of a map; it is computed when its voxels are asked for.

    Raises
    ------
    ImageError
        An unknown map, or echoes that cannot be read.
    """
    if name not in MAPS:
        cure = f"name one of {', '.join(MAPS)} after the #"
        raise UnusableImage("unknown map", cure=cure, file=path.name, detail=name)
    given = read_echoes(path)
    shape = volume_shape(given.echoes.shape[1:], path, max_voxels)
    affine = np.eye(4) if given.affine is None else given.affine

    def load() -> NDArray[Any]:
        values: NDArray[np.float32] = getattr(_fitted(path, _stamp(path)), name)
        return values

    return Header(path.with_name(f"{path.name}#{name}"), shape, affine, load,
                  placed=given.affine is not None)  # fmt: skip


def read_echoes(path: str | Path) -> EchoImages:
    """Complex echoes, echo times and field strength of a file or folder.

    Parameters
    ----------
    path : path
        ISMRM fat-water ``.mat`` (``imDataParams``; several coils are combined), one file of a BIDS
        MEGRE group (``part-mag`` and ``part-phase``, or ``part-real`` and ``part-imag``, sidecars
        beside the images), or a DICOM folder.

    Raises
    ------
    ImageError
        Files that are absent, damaged, without echo times, field strength or phase.
    """
    path = Path(path)
    if not path.exists():
        cure = "correct the path in images.csv or restore the file"
        raise UnusableImage("no such file", cure=cure, file=path.name)
    if path.suffix.lower() == ".mat":
        return _from_mat(path)
    if _MEGRE.fullmatch(path.name):
        return _from_bids(path)
    if is_dicom(path):
        return _from_dicom(path)
    cure = "give a .mat file, an echo of a BIDS MEGRE group, or a DICOM folder"
    raise UnusableImage("not a multi-echo image", cure=cure, file=path.name)


def _stamp(path: Path) -> tuple[Any, ...]:
    """What changes when a file does."""
    return tuple((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in echo_files(path))


@lru_cache(maxsize=2)
def _fitted(path: Path, stamp: tuple[Any, ...]) -> FatFraction:
    """Maps of a file; the last two are kept, since a scan's channels are read one by one."""
    del stamp
    given = read_echoes(path)
    return fat_fraction(
        given.echoes, given.times.tolist(), given.tesla, spacing=given.spacing,
        precession=given.precession,
    )  # fmt: skip


def _from_mat(path: Path) -> EchoImages:
    from scipy.io import loadmat

    def unusable(problem: str, cure: str, detail: str = "") -> UnusableImage:
        return UnusableImage(problem, cure=cure, file=path.name, detail=detail)

    if path.stat().st_size > MAX_BYTES:
        raise unusable("the file is larger than a scan can be", "crop the images")
    try:
        content = loadmat(path, struct_as_record=False)
    except NotImplementedError as error:
        raise unusable(UNREADABLE, "save it in MATLAB with -v7", short(error)) from error
    except Exception as error:  # a damaged file fails in many ways
        raise unusable(UNREADABLE, "export it again", short(error)) from error
    needed = ("images", "TE", "FieldStrength")
    structs = [
        value.flat[0] for key, value in content.items()
        if not key.startswith("__") and value.dtype == object and value.size == 1
    ]  # fmt: skip
    found = [s for s in structs if set(needed) <= set(getattr(s, "_fieldnames", ()))]
    if len(found) != 1:
        cure = f"give one struct with {', '.join(needed)} (ISMRM fat-water toolbox)"
        raise unusable("no multi-echo image in the file", cure)
    data = found[0]
    images = np.asarray(data.images)
    times = np.asarray(data.TE, dtype=np.float64).ravel()
    if images.ndim == 4 and images.shape[-1] == len(times):
        images = images[:, :, :, None]
    if images.ndim != 5 or images.shape[-1] != len(times) or not np.iscomplexobj(images):
        detail = f"{images.dtype} {images.shape}, {len(times)} echo times"
        raise unusable("images are not complex (x, y, z, coil, echo)", "export them so", detail)
    volume_shape(images.shape[:3], path, MAX_VOXELS)
    combined = _combined(np.moveaxis(images, (3, 4), (0, 1)).astype(np.complex64))
    fields = getattr(data, "_fieldnames", ())
    precession: Turning = "auto"
    if "PrecessionIsClockwise" in fields:
        clockwise = float(np.asarray(data.PrecessionIsClockwise).ravel()[0]) > 0
        precession = "clockwise" if clockwise else "anticlockwise"
    affine = None
    if "voxelSize" in fields and np.size(data.voxelSize) == 3:
        affine = np.diag([*np.asarray(data.voxelSize, float).ravel().tolist(), 1.0])
    tesla = float(np.asarray(data.FieldStrength).ravel()[0])
    return EchoImages(combined, times, tesla, affine, precession)


def _combined(images: Complexes) -> Complexes:
    """Coils combined by their first echo, (coil, echo, x, y, z) to (echo, x, y, z)."""
    if len(images) == 1:
        return np.asarray(images[0], dtype=np.complex64)
    first = images[:, :1]
    weight = first.conj() / np.maximum(np.sqrt((np.abs(first) ** 2).sum(axis=0)), 1e-12)
    return np.asarray((images * weight).sum(axis=0), dtype=np.complex64)


def _group(path: Path) -> list[tuple[Path, int, str]]:
    """Files of a MEGRE group with their echo and part."""
    own = _MEGRE.fullmatch(path.name)
    if own is None:
        return []

    def rest(text: str | None) -> str:
        return re.sub(r"_part-[a-z]+", "", text or "")

    found = []
    for file in sorted(path.parent.iterdir()):
        match = _MEGRE.fullmatch(file.name)
        if match is None or rest(match[1]) != rest(own[1]) or rest(match[3]) != rest(own[3]):
            continue
        part = re.search(r"_part-([a-z]+)", file.name)
        found.append((file, int(match[2]), _PARTS.get(part[1], "") if part else ""))
    return found


def _sidecar(image: Path) -> Path:
    return image.with_name(re.sub(r"\.nii(\.gz)?$", ".json", image.name))


def _from_bids(path: Path) -> EchoImages:
    parts: dict[float, dict[str, NDArray[np.float32]]] = {}
    units, tesla, affine = [], None, None
    for image, _, part in _group(path):
        try:
            facts = json.loads(_sidecar(image).read_text(encoding="utf-8"))
            time, field = float(facts["EchoTime"]), float(facts["MagneticFieldStrength"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnusableImage(
                "no sidecar with EchoTime and MagneticFieldStrength", file=image.name,
                cure="write the .json beside each echo", detail=short(error),
            ) from error  # fmt: skip
        header = open_nifti(image, MAX_VOXELS)
        parts.setdefault(time, {})[part] = header.load()
        tesla, affine = field, header.affine
        if part == "phase":
            units.append(str(facts.get("Units", "")))
    if tesla is None:  # the group holds the path itself
        raise UnusableImage(UNREADABLE, cure="give an echo of the group", file=path.name)
    return EchoImages(
        _complex(parts, path, radians=bool(units) and set(units) == {"rad"}),
        np.array(sorted(parts)), tesla, affine,
    )  # fmt: skip


def _from_dicom(path: Path) -> EchoImages:
    parts: dict[float, dict[str, NDArray[np.float32]]] = {}
    field, affine = None, None
    for stack in stacks_of(path):
        time = stack[0].facts.get("echo_time")
        part = _part(stack[0])
        if time is None or not part:
            continue
        header = stack_header(stack, path, MAX_VOXELS)
        parts.setdefault(float(time) / 1000, {})[part] = header.load()
        field, affine = stack[0].facts.get("field"), header.affine
    if affine is None or not field:
        cure = "give magnitude and phase of every echo, with echo time and field strength"
        raise UnusableImage("not a multi-echo image", cure=cure, file=path.name)
    return EchoImages(_complex(parts, path), np.array(sorted(parts)), float(field), affine)


def _part(frame: Frame) -> str:
    return next((_PARTS[word] for word in frame.facts.get("kind", ()) if word in _PARTS), "")


def _complex(
    parts: Mapping[float, Mapping[str, NDArray[np.float32]]], path: Path, *, radians: bool = False
) -> Complexes:
    """Complex echoes in order of time, from magnitude and phase, or real and imaginary part."""
    echoes = []
    phases = [part["phase"] for part in parts.values() if "phase" in part]
    unit = 1.0 if radians or not phases else _radians(phases, path)
    for _, part in sorted(parts.items()):
        if {"real", "imag"} <= set(part):
            echoes.append(part["real"] + 1j * part["imag"])
        elif {"mag", "phase"} <= set(part):
            echoes.append(part["mag"] * np.exp(1j * unit * part["phase"]))
        else:
            raise UnusableImage(
                "an echo lacks its phase", file=path.name, detail=", ".join(sorted(part)),
                cure="give magnitude and phase, or real and imaginary part, of every echo",
            )  # fmt: skip
    shapes = {echo.shape for echo in echoes}
    if len(shapes) != 1 or len(echoes) < 3:
        cure = "give at least three echoes of one scan"
        detail = f"{len(echoes)} echoes, {len(shapes)} sizes"
        raise UnusableImage("the echoes do not fit together", cure=cure, file=path.name,
                            detail=detail)  # fmt: skip
    return np.asarray(np.stack(echoes), dtype=np.complex64)


def _radians(phases: Sequence[NDArray[np.float32]], path: Path) -> float:
    """Radians per stored unit: radians, milliradians, or whole numbers over a power of two.

    Phase in the air around the body takes every value, so that the range of all echoes tells.
    """
    low, high = (
        float(min(p.min() for p in phases)), float(max(p.max() for p in phases)),
    )  # fmt: skip
    span, most = high - low, max(abs(low), abs(high))
    if most <= 2 * np.pi + 0.1:
        return 1.0
    if 3000 <= most <= 3200 and span > 5800:
        return 0.001
    for whole in (4096.0, 8192.0, 65536.0):
        if 0.9 * whole <= span <= whole:
            return 2 * np.pi / whole
    raise UnusableImage(
        "the unit of the phase is not known", cure="export phase in radians", file=path.name,
        detail=f"{low:g} to {high:g}",
    )  # fmt: skip
