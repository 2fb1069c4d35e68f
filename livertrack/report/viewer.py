"""Look through a tissue map slice by slice: one HTML file that needs nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from livertrack._files import write_text
from livertrack.errors import ImageError, UsageError
from livertrack.figures._palette import type_colour
from livertrack.report._pandoc import ASSETS
from livertrack.report._png import data_url
from livertrack.report.example import choose_maps, map_files

Plane = Literal["axial", "coronal", "sagittal"]
#: axis cut by each plane, and what the sides of the picture are
_PLANES = {
    "axial": (2, "Patient's right on the left, front up."),
    "coronal": (1, "Patient's right on the left, head up."),
    "sagittal": (0, "Front on the left, head up."),
}
#: voxels kept around the liver
_MARGIN = 8
_HEIGHT = 640


@dataclass(frozen=True)
class TissueMapView:
    """A slice viewer.

    Attributes
    ----------
    html : str
        The whole page; it loads nothing.
    scans : tuple of str
        Names of the scans in it.
    """

    html: str
    scans: tuple[str, ...]

    def save(self, path: str | Path) -> Path:
        """Write the page, whole or not at all."""
        write_text(path, self.html)
        return Path(path)

    def _repr_html_(self) -> str:
        # a frame of its own keeps its style and script apart from the notebook's
        return (
            f'<iframe title="Tissue map viewer" width="100%" height="{_HEIGHT}" '
            f'style="border:0" srcdoc="{escape(self.html, quote=True)}"></iframe>'
        )


def view_tissue_map(
    source: str | Path | NDArray[Any] | Mapping[str, NDArray[Any]],
    *,
    anatomy: str | Path | NDArray[Any] | Mapping[str, Any] | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    subject: str | None = None,
    visits: Sequence[str] | None = None,
    plane: Plane = "axial",
    names: Mapping[int, str] | None = None,
    opacity: float = 0.6,
    title: str = "Tissue map",
) -> TissueMapView:
    """View label maps slice by slice, over the anatomy where it is given.

    Parameters
    ----------
    source : path, array or mapping of str to array
        A run folder; a label map (NIfTI); an array (x, y, z) of types 1..255 with 0 outside, axes
        to the patient's right, front and head; or several arrays of one shape by name.
    anatomy : path, array or mapping, optional
        Image on the grid of each map: for a run by visit, for several arrays by their names.
    spacing : (3,) in mm
        Voxel size of arrays; files have their own.
    subject : str, optional
        Of a run: label of the subject, as in the names of the maps; default: the example of the
        report. It is not shown.
    visits : sequence of str, optional
        Of a run: visits to show, in this order; default: all of the plan.
    plane : {"axial", "coronal", "sagittal"}
    names : mapping of int to str, optional
        Names of types for the legend; default ``Type 1``, ``Type 2``, ...
    opacity : float
        Of the types over the anatomy at the start, 0 to 1.
    title : str
        Heading of the page.

    Returns
    -------
    TissueMapView
        Shown as a viewer in a notebook; ``.save(path)`` writes the page.

    Raises
    ------
    UsageError
        Unknown plane or visit, no map of the subject, shapes that differ.
    ImageError
        A file cannot be read, or no voxel has a type.

    Notes
    -----
    Colours are those of every figure of the package, one per type. Nothing is computed but the
    cut: pictures are cropped to the liver with a margin of 8 voxels.
    """
    if plane not in _PLANES:
        msg = f"plane is axial, coronal or sagittal, not {plane!r}"
        raise UsageError(msg)
    if isinstance(source, (str, Path)):
        maps = _files(Path(source), subject, visits)
        scans = [_of_file(name, path, anatomy) for name, path in maps.items()]
    else:
        named = source if isinstance(source, Mapping) else {title: source}
        below = anatomy if isinstance(anatomy, Mapping) else dict.fromkeys(named, anatomy)
        sizes = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
        scans = [
            _Scan(str(name), np.asarray(array), _array(below.get(name)), sizes)
            for name, array in named.items()
        ]
    _check(scans)
    data = _data(scans, plane, names or {})
    first = data["scans"][0]
    alt = f"{plane.capitalize()} slice {first['middle'] + 1} of {first['depth']}, {first['name']}."
    still = _coloured(_cut(scans[0].labels[_box(scans[0].labels)], plane)[first["middle"]])
    page = (ASSETS / "viewer.html").read_text(encoding="utf-8")
    for mark, text in (
        ("__TITLE__", escape(title)), ("__ALT__", escape(alt, quote=True)),
        ("__SIDES__", escape(_PLANES[plane][1])), ("__STILL__", data_url(still)),
        ("__OPACITY__", str(round(100 * opacity))),
        ("__DATA__", json.dumps(data, ensure_ascii=True, sort_keys=True).replace("<", "\\u003c")),
    ):  # fmt: skip
        page = page.replace(mark, text)
    return TissueMapView(html=page, scans=tuple(scan.name for scan in scans))


@dataclass(frozen=True)
class _Scan:
    name: str
    labels: NDArray[Any]
    anatomy: NDArray[Any] | None
    spacing: tuple[float, float, float]


def _files(path: Path, subject: str | None, visits: Sequence[str] | None) -> dict[str, Path]:
    """Label maps of a run by visit, or the one of a file."""
    if path.is_dir():
        return _maps_of_run(path, subject, visits)
    return {re.sub(r"\.nii(\.gz)?$", "", path.name): path}


def _of_file(name: str, path: Path, anatomy: Any) -> _Scan:
    image = _canonical(path)
    zooms = image.header.get_zooms()
    return _Scan(
        name, np.asarray(image.dataobj), _anatomy(path, anatomy, name),
        (float(zooms[0]), float(zooms[1]), float(zooms[2])),
    )  # fmt: skip


def _maps_of_run(out: Path, subject: str | None, visits: Sequence[str] | None) -> dict[str, Path]:
    plan = out / "plan.json"
    if not plan.is_file():
        msg = f"{out} is not the folder of a finished run: it has no plan.json"
        raise UsageError(msg)
    planned = json.loads(plan.read_text(encoding="utf-8"))["data"]["visits"]
    unknown = [visit for visit in visits or () if visit not in planned]
    if unknown:
        msg = f"the plan has no visit {unknown[0]!r}; it has {', '.join(planned)}"
        raise UsageError(msg)
    wanted = list(visits or planned)
    if subject is None:
        found = choose_maps(out, wanted)
    else:
        found = map_files(out, wanted).get(re.sub(r"[^A-Za-z0-9]", "", subject), {})
        found = {visit: found[visit] for visit in wanted if visit in found}
    if not found:
        msg = f"{out / 'maps'} has no label map" + (" of that subject" if subject else "")
        raise UsageError(msg)
    return found


def _anatomy(path: Path, anatomy: Any, name: str) -> NDArray[Any] | None:
    picture = anatomy.get(name) if isinstance(anatomy, Mapping) else anatomy
    if not isinstance(picture, (str, Path)):
        return _array(picture)
    from livertrack.imaging.reading import read_onto

    values = nib.Nifti1Image(read_onto(Path(picture), path), nib.load(path).affine)  # type: ignore[attr-defined]
    return np.asarray(nib.as_closest_canonical(values).dataobj)  # type: ignore[attr-defined]


def _canonical(path: Path) -> Any:
    try:
        return nib.as_closest_canonical(nib.load(path))  # type: ignore[attr-defined]
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        msg = f"{path.suffix} label map cannot be read: {error}"
        raise ImageError(msg) from error


def _array(picture: Any) -> NDArray[Any] | None:
    return None if picture is None else np.asarray(picture)


def _check(scans: Sequence[_Scan]) -> None:
    for scan in scans:
        shapes = {scan.labels.shape} | (
            {scan.anatomy.shape} if scan.anatomy is not None else set()
        )
        if len(shapes) != 1 or scan.labels.ndim != 3:
            listed = " and ".join(sorted(str(shape) for shape in shapes))
            msg = f"a label map and its anatomy are (x, y, z) arrays of one shape, got {listed}"
            raise UsageError(msg)
        if not np.array_equal(scan.labels, np.round(scan.labels)):
            msg = "a label map holds whole numbers"
            raise UsageError(msg)
        if scan.labels.min() < 0 or scan.labels.max() > 255:
            msg = f"types are 1 to 255, got {scan.labels.min():g} to {scan.labels.max():g}"
            raise UsageError(msg)
        if not scan.labels.any():
            msg = "no voxel of the label map has a type"
            raise ImageError(msg)


def _data(scans: Sequence[_Scan], plane: Plane, names: Mapping[int, str]) -> dict[str, Any]:
    """Everything that the page draws."""
    present = sorted({int(number) for scan in scans for number in np.unique(scan.labels)} - {0})
    axis = _PLANES[plane][0]
    entries = []
    for scan in scans:
        box = _box(scan.labels)
        cut = _cut(scan.labels[box], plane)
        below = None if scan.anatomy is None else _cut(_grey(scan.anatomy[box]), plane)
        entries.append({
            "name": scan.name, "labels": [data_url(one) for one in cut],
            "anatomy": None if below is None else [data_url(one) for one in below],
            "depth": len(cut), "height": cut[0].shape[0], "width": cut[0].shape[1],
            "pixel": [size for place, size in enumerate(scan.spacing) if place != axis],
            "middle": int(np.argmax([np.count_nonzero(one) for one in cut])),
        })  # fmt: skip
    types = [
        {
            "number": number, "name": names.get(number, f"Type {number}"),
            "colour": type_colour(number), "rgb": _rgb(number),
        }
        for number in present
    ]  # fmt: skip
    return {"scans": entries, "plane": plane.capitalize(), "types": types}


def _box(labels: NDArray[Any]) -> tuple[slice, ...]:
    """Box around the types of a map, with a margin."""
    box = []
    for axis, size in enumerate(labels.shape):
        others = tuple(other for other in range(3) if other != axis)
        hits = np.flatnonzero((labels > 0).any(axis=others))
        box.append(slice(max(0, int(hits[0]) - _MARGIN), min(size, int(hits[-1]) + _MARGIN + 1)))
    return tuple(box)


def _cut(array: NDArray[Any], plane: Plane) -> list[NDArray[Any]]:
    """Slices as pictures (rows, columns), from feet to head, back to front, left to right."""
    axis = _PLANES[plane][0]
    # right, front and head are the high ends of the axes: to the left and up they are reversed
    return [np.take(array, k, axis=axis)[::-1, ::-1].T for k in range(array.shape[axis])]


def _grey(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale to 0..255 between the 1st and 99th percentile."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    low, high = np.percentile(values, [1, 99])
    spread = high - low if high > low else 1.0
    return np.asarray(np.clip((values - low) / spread, 0, 1) * 255, dtype=np.uint8)


def _coloured(cut: NDArray[Any]) -> NDArray[np.uint8]:
    colours = np.zeros((256, 3), dtype=np.uint8)
    for number in range(1, 256):
        colours[number] = _rgb(number)
    return colours[cut.astype(np.uint8)]


def _rgb(number: int) -> list[int]:
    code = type_colour(number).lstrip("#")
    return [int(code[place : place + 2], 16) for place in (0, 2, 4)]
