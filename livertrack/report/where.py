"""Pictures of place that a run holds: cells of the template liver, one liver then and now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from livertrack.report._errors import ReportError
from livertrack.report.example import choose_maps, example_slices

CELLS = "atlas/cells.nii.gz"


@dataclass(frozen=True)
class TemplateCells:
    """Cells of the template liver (x, y, z), patient's right first; voxel size in plane, mm."""

    cells: NDArray[np.int32]
    spacing: tuple[float, float]


@dataclass(frozen=True)
class ChangeSlice:
    """One axial slice of one liver at two visits; patient's right on the left, anterior up."""

    before: NDArray[np.int16]
    after: NDArray[np.int16]
    spacing: tuple[float, float]
    visits: tuple[str, str]
    anatomy: NDArray[np.float32] | None = None


def template_cells(out: str | Path) -> TemplateCells | None:
    """Cells of the atlas of a run; None where there are none."""
    path = Path(out) / CELLS
    if not path.is_file():
        return None
    cells, spacing = _canonical(path)
    return TemplateCells(cells[::-1].astype(np.int32), spacing)


def change_slice(out: str | Path, visits: Sequence[str]) -> ChangeSlice | None:
    """Return the example liver at baseline and at its last carried visit; None without one.

    The slice is the one with most liver; the anatomy is that of the example where its slice is the
    same. The subject is not named anywhere.
    """
    out = Path(out)
    records = out / "adam" / "adreg.parquet"
    if not records.is_file() or not len(visits):
        return None
    quality = pd.read_parquet(records)
    if "CARRIED" not in quality:
        return None
    chosen = choose_maps(out, visits)
    first = chosen.get(visits[0])
    later = [(visit, path) for visit, path in chosen.items() if visit != visits[0]]
    carried = {name.split("_space-")[0]: name for name in quality["CARRIED"].fillna("") if name}
    for visit, path in reversed(later):
        stem = path.name.removesuffix(".nii.gz").removesuffix("_dseg")
        name = carried.get(stem)
        if first is None or name is None or not (out / "carried" / name).is_file():
            continue
        before, spacing = _canonical(first)
        after, _ = _canonical(out / "carried" / name)
        level = int((before > 0).sum(axis=(0, 1)).argmax())
        box = _box(before[:, :, level] > 0)
        flat = before[:, :, level][box][::-1].astype(np.int16)
        anatomy = next(
            (
                one.anatomy for one in example_slices(out, visits)
                if one.visit == visits[0] and one.labels.shape == flat.shape
                and (one.labels == flat).all()
            ),
            None,
        )  # fmt: skip
        return ChangeSlice(
            before=flat, after=after[:, :, level][box][::-1].astype(np.int16), spacing=spacing,
            visits=(visits[0], visit), anatomy=anatomy,
        )  # fmt: skip
    return None


def _canonical(path: Path) -> tuple[NDArray[Any], tuple[float, float]]:
    try:
        canonical: Any = nib.as_closest_canonical  # type: ignore[attr-defined]
        image = canonical(nib.load(path))
        zooms = image.header.get_zooms()
        return np.asarray(image.dataobj), (float(zooms[0]), float(zooms[1]))
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        msg = f"report: a map of the run cannot be read: {error}"
        raise ReportError(msg) from error


def _box(inside: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Bounds of the liver with the margin of the example slices."""
    rows, columns = np.nonzero(inside)
    if not len(rows):
        return slice(None), slice(None)
    first, second = (
        slice(max(0, int(hits.min()) - margin), int(hits.max()) + margin + 1)
        for hits, margin in (
            (rows, 2 + inside.shape[0] // 10), (columns, 2 + inside.shape[1] // 10),
        )
    )  # fmt: skip
    return first, second
