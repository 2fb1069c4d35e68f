"""DICOM: a series of files, one multi-frame file, or a segmentation, as one volume.

pydicom (extra ``io``) reads the headers; voxels stored by a codec it lacks are decoded by
SimpleITK.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from livertrack.imaging._dicom_frames import Frame, frames_of, one_stack
from livertrack.imaging._dicom_segments import is_segmentation, open_segmentation
from livertrack.imaging.image_file import (
    LPS_TO_RAS,
    NOT_A_VOLUME,
    NOT_REAL,
    TRUNCATED,
    UNREADABLE,
    Header,
    UnusableImage,
    short,
    volume_shape,
)

#: slices may lie this far from their place, in parts of their distance
EVEN = 0.05
_SUFFIXES = (".dcm", ".dicom", ".ima")


def is_dicom(path: Path) -> bool:
    """Whether a path is a folder or a DICOM file (by its name or its mark)."""
    if path.is_dir() or path.suffix.lower() in _SUFFIXES:
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def series_files(path: Path) -> list[Path]:
    """Files that a DICOM path may stand for: those of the folder, or of the file's folder."""
    folder = path if path.is_dir() else path.parent
    files = [file for file in folder.iterdir() if file.is_file() and not _aside(file)]
    if path.is_dir():
        return sorted(files)
    return sorted({path, *(file for file in files if is_dicom(file))})


def open_dicom(path: Path, max_voxels: int) -> Header:
    """Header of the volume that a folder, or the series of a file, holds.

    A folder must hold one series of one contrast. A file stands for all files of its folder with
    the same series and contrast (echo time, image type, time point).

    Raises
    ------
    ImageError
        Files that are not DICOM, several series or contrasts, slices that are missing, repeated
        or unevenly spaced, a tilted gantry, colours.
    """
    if not path.is_dir():
        first = _read_one(path)
        if is_segmentation(first):
            return open_segmentation(first, path, max_voxels)
    return stack_header(stack_at(path), path, max_voxels)


def stack_at(path: Path) -> list[Frame]:
    """Frames of the one stack of a folder, or of that to which a file belongs, unsorted."""
    stacks = stacks_of(path)
    if path.is_dir():
        if len(stacks) > 1:
            seen = sorted({text for stack in stacks for text in [stack[0].contrast] if text})
            raise UnusableImage(
                "the folder holds several series or contrasts",
                cure="name one file of the wanted series in its place", file=path.name,
                detail=f"{len(stacks)}: {'; '.join(seen)[:200]}" if seen else f"{len(stacks)}",
            )  # fmt: skip
        return stacks[0]
    own = [stack for stack in stacks if any(frame.file == path for frame in stack)]
    if len(own) > 1:
        raise UnusableImage(
            "the file holds several contrasts", cure="split it, or convert it to NIfTI",
            file=path.name, detail=f"{len(own)}",
        )  # fmt: skip
    return own[0]


def stacks_of(path: Path) -> list[list[Frame]]:
    """Read every stack of frames that may be one volume, of a folder or of a file's folder."""
    datasets = list(_datasets(path))
    if not datasets:
        cure = "put the files of one series there"
        raise UnusableImage("the folder holds no DICOM image", cure=cure, file=path.name)
    frames = [frame for file, data in datasets for frame in frames_of(file, data)]
    return one_stack(frames, path)


def _aside(file: Path) -> bool:
    return file.name.startswith(".") or file.name.upper() == "DICOMDIR"


def _pydicom() -> Any:
    try:
        return importlib.import_module("pydicom")
    except ImportError as error:
        cure = "install livertrack with the extra io (it brings pydicom)"
        raise UnusableImage("DICOM cannot be read here", cure=cure) from error


def _read_one(path: Path, *, pixels: bool = False) -> Any:
    pydicom = _pydicom()
    try:
        data = pydicom.dcmread(path, stop_before_pixels=not pixels, force=_named(path))
        if "Rows" not in data and "DirectoryRecordSequence" not in data:
            msg = "no image"
            raise ValueError(msg)
    except Exception as error:  # a damaged header fails in many ways
        raise UnusableImage(
            UNREADABLE, cure="export the series again", file=path.name, detail=short(error)
        ) from error
    return data


def _named(path: Path) -> bool:
    """Old files lack the mark; their name then has to say what they are."""
    return path.suffix.lower() in _SUFFIXES


def _datasets(path: Path) -> Iterable[tuple[Path, Any]]:
    """Images among the files of a folder; files of other kinds are passed over."""
    if not path.is_dir():
        yield path, _read_one(path)
    for file in series_files(path):
        if file == path or not is_dicom(file):
            continue
        try:
            data = _read_one(file)
        except UnusableImage:
            if path.is_dir():
                raise
            continue
        if not is_segmentation(data):
            yield file, data


def stack_header(frames: Sequence[Frame], path: Path, max_voxels: int) -> Header:
    """Header of a stack, its slices in order."""
    ordered = sorted(frames, key=lambda frame: frame.height)
    first = ordered[0]
    step = _step(ordered, path)
    columns = np.stack([first.row * first.spacing[1], first.column * first.spacing[0], step])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = columns.T, first.position
    shape = volume_shape((first.size[1], first.size[0], len(ordered)), path, max_voxels)

    def load() -> NDArray[Any]:
        return np.stack(_slices(ordered), axis=-1)

    return Header(path, shape, np.asarray(LPS_TO_RAS @ affine), load)


def _step(ordered: Sequence[Frame], path: Path) -> NDArray[np.float64]:
    """Vector from one slice to the next, mm, once they are known to be even and complete."""
    first = ordered[0]
    if len(ordered) == 1:
        if not first.thickness:
            cure = "give the whole series"
            raise UnusableImage(NOT_A_VOLUME, cure=cure, file=path.name, detail="one slice")
        return np.asarray(first.normal * first.thickness)
    places = np.array([frame.height for frame in ordered])
    gaps = np.diff(places)
    usual = float(np.median(gaps))
    if usual <= 0 or gaps.min() < EVEN * usual:
        cure = "remove repeated slices, or name one file of the wanted series"
        raise UnusableImage("several slices lie at the same place", cure=cure, file=path.name)
    if np.abs(gaps - usual).max() > EVEN * usual:
        times = gaps / usual
        if np.abs(times - np.rint(times)).max() <= EVEN:
            raise UnusableImage(
                "slices of the series are missing", cure="copy the whole series",
                file=path.name, detail=f"{round(times.sum()) - len(gaps)}",
            )  # fmt: skip
        raise UnusableImage(
            "the slices are not evenly spaced", cure="resample the series, or export it again",
            file=path.name, detail=f"{gaps.min():.2f} to {gaps.max():.2f} mm",
        )  # fmt: skip
    step = (ordered[-1].position - first.position) / (len(ordered) - 1)
    if np.linalg.norm(step - first.normal * (step @ first.normal)) > 0.01 * usual:
        cure = "resample the series to an upright grid"
        raise UnusableImage("the slices are sheared (gantry tilt)", cure=cure, file=path.name)
    return np.asarray(step)


def _slices(ordered: Sequence[Frame]) -> list[NDArray[np.float32]]:
    """Voxels of each slice (column, row), scaled."""
    found = []
    file, stored = None, np.empty(0)
    for frame in ordered:
        if frame.file != file:
            file, stored = frame.file, pixels_of(frame.file)
        values = stored[frame.number].astype(np.float32)
        if values.shape != frame.size:
            raise UnusableImage(TRUNCATED, cure="copy the file again", file=frame.file.name)
        found.append((values * frame.slope + frame.intercept).T.astype(np.float32))
    return found


def pixels_of(file: Path) -> NDArray[Any]:
    """Stored values of all frames of a file, (frame, row, column), not scaled."""
    data = _read_one(file, pixels=True)
    if int(data.get("SamplesPerPixel", 1)) != 1:
        raise UnusableImage(NOT_REAL, cure="export grey values", file=file.name, detail="colours")
    try:
        values = np.asarray(data.pixel_array)
    except Exception as error:  # no decoder, or damaged pixels
        values = _decoded(file, data, error)
    return values if values.ndim == 3 else values[np.newaxis]


def _decoded(file: Path, data: Any, reason: Exception) -> NDArray[Any]:
    """Decode by SimpleITK, whose scaling is undone."""
    slope = float(data.get("RescaleSlope", 1) or 1)
    intercept = float(data.get("RescaleIntercept", 0) or 0)
    syntax = data.file_meta.get("TransferSyntaxUID")
    try:
        if syntax is not None and not syntax.is_compressed:
            raise reason
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(file))).astype(np.float64)
    except Exception as error:  # both programs gave up
        raise UnusableImage(
            TRUNCATED, cure="copy the file again, or convert it to NIfTI", file=file.name,
            detail=short(error),
        ) from error  # fmt: skip
    return np.asarray((values - intercept) / slope)
