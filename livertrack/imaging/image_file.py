"""What an image file says about itself, and what is said of files that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livertrack.errors import ImageError

#: voxels of one file that livertrack is willing to load: 2**27 (512 MiB as float32)
MAX_VOXELS = 2**27
#: voxel sizes that an abdominal scan can have, mm
SPACING_LIMITS = (0.05, 50.0)
#: what is said of files
TRUNCATED = "the file is truncated or damaged"
UNREADABLE = "not a readable image"
NOT_REAL = "voxels are not real numbers"
NOT_A_VOLUME = "not a volume of three dimensions"
#: from the axes of DICOM and ITK (left, posterior, superior) to those of NIfTI (right, anterior)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class UnusableImage(ImageError):  # noqa: N818
    """An image that cannot be used; its reason names no file, since file names may name subjects.

    Attributes
    ----------
    problem : str
        What is wrong, in the same words for every file.
    cure : str
        What to do about it.
    column : str
        Column of ``images.csv`` that names the file: IMAGE or MASK.
    """

    def __init__(
        self, problem: str, *, cure: str, file: str = "", detail: str = "", column: str = ""
    ) -> None:
        self.problem, self.cure, self.column = problem, cure, column
        where = f"{file}: " if file else ""
        super().__init__(f"{where}{problem}{f' ({detail})' if detail else ''}; {cure}")


@dataclass(frozen=True)
class Header:
    """What a file says about itself.

    Attributes
    ----------
    path : Path
        As given in images.csv.
    shape : (int, int, int)
        Voxels along each axis.
    affine : (4, 4) array
        Voxel index to millimetres, axes towards right, anterior, superior.
    load : callable
        Gives the voxels, (X, Y, Z), scaled as the file says.
    placed : bool
        False for formats that store no geometry: such an image lies where its mask lies.
    boxed : bool
        True for formats that may store only the box around their labels.
    """

    path: Path
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    load: Callable[[], NDArray[Any]] = field(repr=False, compare=False)
    placed: bool = True
    boxed: bool = False

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size, mm."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)).tolist()
        return (x, y, z)


def checked(header: Header) -> Header:
    """Give the header if its voxel size is that of a scan: 0.05 to 50 mm."""
    low, high = SPACING_LIMITS
    fine = np.isfinite(header.affine).all() and all(low <= s <= high for s in header.spacing)
    if not fine:
        problem = f"voxel size is not between {low} and {high} mm"
        detail = f"{header.spacing} mm"
        raise UnusableImage(
            problem, cure="correct the header", file=header.path.name, detail=detail
        )
    return header


def volume_shape(shape: Sequence[int], path: Path, max_voxels: int) -> tuple[int, int, int]:
    """Shape without trailing axes of one.

    Raises
    ------
    ImageError
        Other than three axes, or more than ``max_voxels``.
    """
    found = tuple(int(n) for n in shape)
    while len(found) > 3 and found[-1] == 1:
        found = found[:-1]
    if len(found) != 3 or min(found) < 1:
        raise UnusableImage(
            NOT_A_VOLUME, cure="give one volume per file and one row per sequence in images.csv",
            file=path.name, detail=f"dimensions {found}",
        )  # fmt: skip
    voxels = math.prod(found)
    if voxels > max_voxels:
        raise UnusableImage(
            f"the header claims more than the limit of {max_voxels:,} voxels",
            cure="the header is damaged, or the image must be cropped first",
            file=path.name, detail=f"{voxels:,}",
        )  # fmt: skip
    return (found[0], found[1], found[2])


def short(error: BaseException) -> str:
    """First line of an error, cut."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:80]}" if text else type(error).__name__
