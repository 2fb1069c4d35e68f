"""NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from livertrack.imaging.image_file import (
    LPS_TO_RAS,
    NOT_REAL,
    TRUNCATED,
    UNREADABLE,
    Header,
    UnusableImage,
    short,
    volume_shape,
)

SUFFIXES = (".nrrd", ".mha")


def open_nrrd(path: Path, max_voxels: int) -> Header:
    """Header of a file; one that keeps its voxels in another file is refused."""
    with path.open("rb") as stream:
        head = stream.read(65536).split(b"\n\n")[0].lower()
    if b"data file:" in head or b"datafile:" in head:
        cure = "write header and voxels into one file"
        raise UnusableImage("the voxels are in another file", cure=cure, file=path.name)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise UnusableImage(
            UNREADABLE, cure="export it again as NIfTI", file=path.name, detail=short(error)
        ) from error
    if reader.GetNumberOfComponents() != 1 or "complex" in _kind(reader):
        cure = "export magnitudes, or label maps of one layer"
        raise UnusableImage(NOT_REAL, cure=cure, file=path.name, detail=_kind(reader))
    shape = volume_shape(reader.GetSize(), path, max_voxels)

    def load() -> NDArray[Any]:
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise UnusableImage(
                TRUNCATED, cure="copy the file again", file=path.name, detail=short(error)
            ) from error
        values = sitk.GetArrayFromImage(image).astype(np.float32)
        return values.T.reshape(shape)

    return Header(path, shape, _affine(reader), load, boxed=True)


def _kind(reader: Any) -> str:
    return str(sitk.GetPixelIDValueAsString(reader.GetPixelID())).lower()


def _affine(reader: Any) -> NDArray[np.float64]:
    size = reader.GetDimension()
    direction = np.array(reader.GetDirection()).reshape(size, size)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(reader.GetSpacing())[:3]
    affine[:3, 3] = np.array(reader.GetOrigin())[:3]
    return np.asarray(LPS_TO_RAS @ affine)
