"""NIfTI and the other formats that nibabel reads."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from livertrack.imaging.image_file import (
    NOT_REAL,
    TRUNCATED,
    UNREADABLE,
    Header,
    UnusableImage,
    short,
    volume_shape,
)

_ERRORS = (
    ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error, MemoryError,
)  # fmt: skip


def open_nifti(path: Path, max_voxels: int) -> Header:
    """Header of a file, with its length checked where it is not compressed."""
    try:
        image: Any = nib.load(path)
        affine = np.asarray(image.affine, dtype=np.float64)
        kind = image.header.get_data_dtype()
    except _ERRORS as error:
        raise UnusableImage(
            UNREADABLE, cure="export it again as NIfTI", file=path.name, detail=short(error)
        ) from error
    shape = volume_shape(image.shape, path, max_voxels)
    if kind.kind not in "iufb":
        raise UnusableImage(
            NOT_REAL, cure="export magnitudes", file=path.name, detail=f"type {kind}"
        )
    need, have = math.prod(shape) * kind.itemsize, path.stat().st_size
    if not path.name.endswith((".gz", ".bz2", ".zst")) and have < need:
        detail = f"{have:,} bytes where the header claims {need:,}"
        raise UnusableImage(TRUNCATED, cure="copy the file again", file=path.name, detail=detail)

    def load() -> NDArray[Any]:
        try:
            return np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
        except _ERRORS as error:
            raise UnusableImage(
                TRUNCATED, cure="copy the file again", file=path.name, detail=short(error)
            ) from error

    return Header(path, shape, affine, load)
