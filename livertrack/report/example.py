"""One example liver of a run: its label maps over the visits, on the anatomy if it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from livertrack._files import canonical_json, whole_file
from livertrack.report._errors import ReportError

#: file of the run folder that holds the slices
EXAMPLE = "example.safetensors"
_NAME = re.compile(r"sub-(?P<subject>[^_]+)_ses-(?P<visit>[^_]+)_")


@dataclass(frozen=True)
class ExampleSlice:
    """One axial slice, patient's right on the left, anterior up; arrays are (x, y)."""

    visit: str
    labels: NDArray[np.int16]
    spacing: tuple[float, float]
    anatomy: NDArray[np.float32] | None = None


def example_slices(out: str | Path, visits: Sequence[str]) -> list[ExampleSlice]:
    """Slices of one subject at each visit: from ``example.safetensors``, else from the label maps.

    Parameters
    ----------
    out : path
        Run folder.
    visits : sequence of str
        Visits in order.

    Returns
    -------
    list of ExampleSlice
        Empty where the run has no label map. The subject is not named anywhere.
    """
    stored = Path(out) / EXAMPLE
    if stored.is_file():
        return _read(stored)
    chosen = choose_maps(out, visits)
    return [_slice(path, visit) for visit, path in chosen.items()]


def choose_maps(out: str | Path, visits: Sequence[str]) -> dict[str, Path]:
    """Label maps by visit of the subject with most visits and, among them, of middle size."""
    found = map_files(out, visits)
    if not found:
        return {}
    most = max(len(maps) for maps in found.values())
    full = [maps for maps in found.values() if len(maps) == most]
    full.sort(key=lambda maps: (sum(p.stat().st_size for p in maps.values()), str(sorted(maps))))
    chosen = full[len(full) // 2]
    return {visit: chosen[visit] for visit in visits if visit in chosen}


def map_files(out: str | Path, visits: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Label maps of a run by label of the subject and visit."""
    places = {_plain(visit): visit for visit in visits}
    found: dict[str, dict[str, Path]] = {}
    for path in sorted((Path(out) / "maps").glob("sub-*_dseg.nii.gz")):
        match = _NAME.match(path.name)
        visit = places.get(_plain(match["visit"])) if match else None
        if match and visit:
            found.setdefault(match["subject"], {})[visit] = path
    return found


def write_example(
    out: str | Path, visits: Sequence[str], anatomy: Mapping[Path, Path], *, sequence: str
) -> Path | None:
    """Store the example slices with their anatomy, so that reports need nothing but the run.

    Parameters
    ----------
    out : path
        Run folder with its label maps.
    visits : sequence of str
        Visits in order.
    anatomy : mapping of path to path
        Label map -> image of the same scan and grid (one of its sequences).
    sequence : str
        Name of that sequence.

    Returns
    -------
    Path or None
        The file; None where the run has no label map.
    """
    chosen = choose_maps(out, visits)
    tensors: dict[str, NDArray[Any]] = {}
    for visit, path in chosen.items():
        one = _slice(path, visit, anatomy.get(path))
        key = f"{list(chosen).index(visit):02d}"
        tensors[f"{key}.labels"] = np.ascontiguousarray(one.labels)
        tensors[f"{key}.spacing"] = np.array(one.spacing, dtype=np.float64)
        if one.anatomy is not None:
            tensors[f"{key}.anatomy"] = np.ascontiguousarray(one.anatomy)
    if not tensors:
        return None
    header = canonical_json({"visits": list(chosen), "sequence": sequence})
    target = Path(out) / EXAMPLE
    with whole_file(target) as temporary:
        temporary.write_bytes(bytes(to_bytes(tensors, metadata={"livertrack": header})))
    return target


def _read(path: Path) -> list[ExampleSlice]:
    try:
        with safe_open(path, framework="numpy") as stream:
            header = json.loads((stream.metadata() or {})["livertrack"])
            names = set(stream.keys())
            return [
                ExampleSlice(
                    visit=visit,
                    labels=stream.get_tensor(f"{place:02d}.labels"),
                    spacing=_pair(stream.get_tensor(f"{place:02d}.spacing")),
                    anatomy=stream.get_tensor(f"{place:02d}.anatomy")
                    if f"{place:02d}.anatomy" in names
                    else None,
                )
                for place, visit in enumerate(header["visits"])
            ]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        msg = f"report: {path.name} cannot be read: {error}"
        raise ReportError(msg) from error


def _slice(path: Path, visit: str, picture: Path | None = None) -> ExampleSlice:
    """Axial slice with most liver, a margin of 10 % around it."""
    try:
        canonical: Any = nib.as_closest_canonical  # type: ignore[attr-defined]
        image = canonical(nib.load(path))
        labels = np.asarray(image.dataobj).astype(np.int16)
        other = None
        if picture is not None:
            from livertrack.imaging.reading import read_onto

            values = nib.Nifti1Image(read_onto(picture, path), nib.load(path).affine)  # type: ignore[attr-defined]
            other = np.asarray(canonical(values).dataobj)
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        msg = f"report: a label map of the run cannot be read: {error}"
        raise ReportError(msg) from error
    inside = labels > 0
    level = int(inside.sum(axis=(0, 1)).argmax())
    flat = labels[:, :, level]
    rows, columns = np.nonzero(flat)
    if not len(rows):
        box = (slice(None), slice(None))
    else:
        box = tuple(
            slice(max(0, int(hits.min()) - margin), int(hits.max()) + margin + 1)
            for hits, margin in (
                (rows, 2 + flat.shape[0] // 10), (columns, 2 + flat.shape[1] // 10)
            )
        )  # type: ignore[assignment]  # fmt: skip
    zooms = image.header.get_zooms()
    shown = None
    if other is not None and other.shape == labels.shape:
        shown = other[:, :, level][box][::-1].astype(np.float32)
    return ExampleSlice(
        visit=visit,
        labels=flat[box][::-1],
        spacing=(float(zooms[0]), float(zooms[1])),
        anatomy=shown,
    )


def _pair(values: NDArray[Any]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
