"""Reading image files safely: the header is judged before any voxel is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livertrack.imaging.dicom import is_dicom, open_dicom, series_files
from livertrack.imaging.echoes import echo_files, open_map, split_map
from livertrack.imaging.grids import onto
from livertrack.imaging.image_file import (
    MAX_VOXELS,
    TRUNCATED,
    Header,
    UnusableImage,
    checked,
)
from livertrack.imaging.nifti import open_nifti
from livertrack.imaging.nrrd import SUFFIXES as NRRD_SUFFIXES
from livertrack.imaging.nrrd import open_nrrd

__all__ = [
    "MAX_VOXELS", "TRUNCATED", "Header", "UnusableImage", "files_behind", "read_header",
    "read_onto", "read_voxels",
]  # fmt: skip


def read_header(path: str | Path, *, max_voxels: int = MAX_VOXELS) -> Header:
    """Header of an image, checked; no voxel is read.

    Parameters
    ----------
    path : path
        NIfTI (and what else nibabel reads), NRRD or MetaImage, a DICOM file or a folder of one
        series, or ``FILE#pdff`` (see `livertrack.imaging.echoes`).

    Raises
    ------
    ImageError
        The file is absent or not an image, claims more than ``max_voxels``, has other than
        three dimensions, a voxel size outside 0.05 to 50 mm, or fewer bytes than it claims.
    """
    path, map_name = split_map(Path(path))
    if not path.exists():
        raise UnusableImage(
            "no such file", cure="correct the path in images.csv or restore the file",
            file=path.name,
        )  # fmt: skip
    if map_name:
        return checked(open_map(path, map_name, max_voxels))
    if is_dicom(path):
        return checked(open_dicom(path, max_voxels))
    if path.name.lower().endswith(NRRD_SUFFIXES):
        return checked(open_nrrd(path, max_voxels))
    return checked(open_nifti(path, max_voxels))


def read_voxels(header: Header) -> NDArray[np.float32]:
    """Voxels of a file as float32 (X, Y, Z), scaled as the header says.

    Raises
    ------
    ImageError
        The file ends before the voxels do, or its compression is damaged.
    """
    return np.ascontiguousarray(header.load(), dtype=np.float32)


def read_onto(path: str | Path, other: str | Path) -> NDArray[np.float32]:
    """Voxels of an image on the grid of another file (a label map).

    Raises
    ------
    ImageError
        One of the files cannot be read.
    """
    header, grid = read_header(path), read_header(other)
    return onto(read_voxels(header), header, grid)


def files_behind(path: str | Path) -> list[Path]:
    """Files that an image is read from; none where there is no such file.

    A DICOM file stands for its series: every DICOM file of its folder is given.
    """
    path, map_name = split_map(Path(path))
    if map_name:
        return echo_files(path)
    if not path.exists():
        return []
    return series_files(path) if is_dicom(path) else [path]
