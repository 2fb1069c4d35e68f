"""Reading image files safely: the header is judged before any voxel is loaded."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from livertrack.errors import ImageError

#: voxels of one file that livertrack is willing to load: 2**27 (512 MiB as float32)
MAX_VOXELS = 2**27
#: what is said of a file that ends too early
TRUNCATED = "the file is truncated or damaged"
_UNREADABLE = (
    ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error, MemoryError,
)  # fmt: skip
#: voxel sizes that an abdominal scan can have, mm
SPACING_LIMITS = (0.05, 50.0)


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
    shape : (int, int, int)
        Voxels along each axis.
    affine : (4, 4) array
        Voxel index to millimetres.
    """

    path: Path
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size, mm."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)).tolist()
        return (x, y, z)


def read_header(path: str | Path, *, max_voxels: int = MAX_VOXELS) -> Header:
    """Header of an image file, checked; no voxel is read.

    Raises
    ------
    ImageError
        The file is absent or not an image, claims more than ``max_voxels``, has other than
        three dimensions, a voxel size outside 0.05 to 50 mm, or fewer bytes than it claims.
    """
    path = Path(path)

    def unusable(problem: str, cure: str, detail: str = "") -> UnusableImage:
        return UnusableImage(problem, cure=cure, file=path.name, detail=detail)

    if not path.is_file():
        problem = "no such file"
        raise unusable(problem, "correct the path in images.csv or restore the file")
    try:
        image: Any = nib.load(path)
        shape = tuple(int(n) for n in image.shape)
        affine = np.asarray(image.affine, dtype=np.float64)
        kind = image.header.get_data_dtype()
    except _UNREADABLE as error:
        problem = "not a readable image"
        raise unusable(problem, "export it again as NIfTI", _short(error)) from error
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        cure = "give one volume per file and one row per sequence in images.csv"
        raise unusable("not a volume of three dimensions", cure, f"dimensions {shape}")
    voxels = math.prod(shape)
    if voxels > max_voxels:
        problem = f"the header claims more than the limit of {max_voxels:,} voxels"
        cure = "the header is damaged, or the image must be cropped first"
        raise unusable(problem, cure, f"{voxels:,}")
    if kind.kind not in "iufb":
        raise unusable("voxels are not real numbers", "export magnitudes", f"type {kind}")
    header = Header(path, (shape[0], shape[1], shape[2]), affine)
    low, high = SPACING_LIMITS
    if not np.isfinite(affine).all() or not all(low <= s <= high for s in header.spacing):
        problem = f"voxel size is not between {low} and {high} mm"
        raise unusable(problem, "correct the header", f"{header.spacing} mm")
    need = voxels * kind.itemsize
    if not path.name.endswith((".gz", ".bz2", ".zst")) and path.stat().st_size < need:
        detail = f"{path.stat().st_size:,} bytes where the header claims {need:,}"
        raise unusable(TRUNCATED, "copy the file again", detail)
    return header


def read_voxels(header: Header) -> NDArray[np.float32]:
    """Voxels of a file as float32 (X, Y, Z), scaled as the header says.

    Raises
    ------
    ImageError
        The file ends before the voxels do, or its compression is damaged.
    """
    try:
        image: Any = nib.load(header.path)
        data = np.asarray(image.dataobj, dtype=np.float32)
    except _UNREADABLE as error:
        raise UnusableImage(
            TRUNCATED, cure="copy the file again", file=header.path.name, detail=_short(error)
        ) from error
    return np.ascontiguousarray(data.reshape(header.shape))


def same_grid(one: Header, other: Header, *, tolerance: float = 0.01) -> bool:
    """Whether two files have the same shape and the same place of every corner (mm)."""
    if one.shape != other.shape:
        return False
    corners = np.array(
        [[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64
    )
    corners[:, :3] *= np.array(one.shape) - 1
    return bool(np.abs(corners @ (one.affine - other.affine).T).max() <= max(tolerance, 1e-3))


def same_frame(one: Header, other: Header, *, tolerance: float = 0.02) -> bool:
    """Whether two grids differ in sampling only: axes parallel, extents nearly the same."""
    direction = [h.affine[:3, :3] / np.array(h.spacing) for h in (one, other)]
    parallel = bool(np.abs(direction[0] - direction[1]).max() <= tolerance)
    centres = [h.affine @ np.append((np.array(h.shape) - 1) / 2, 1.0) for h in (one, other)]
    extents = [np.array(h.shape) * np.array(h.spacing) for h in (one, other)]
    step = max(*one.spacing, *other.spacing)
    near = bool(np.abs(centres[0] - centres[1]).max() <= step)
    return parallel and near and bool(np.abs(extents[0] - extents[1]).max() <= 2 * step)


def _short(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:80]}" if text else type(error).__name__
