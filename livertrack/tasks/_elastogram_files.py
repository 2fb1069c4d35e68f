"""Folder of MR elastography examinations: tables of examinations and slices, NIfTI volumes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from livertrack._files import write_text
from livertrack.endpoints._checks import require_columns, require_unique
from livertrack.errors import DataError
from livertrack.imaging.reading import read_header, read_voxels
from livertrack.simulate.elastography import SPACING, Elastogram
from livertrack.simulate.staging_files import MARKER
from livertrack.tasks._task import Cases, file_name

#: columns of exams.csv that name a volume
VOLUMES = ("MAGNITUDE", "CONFIDENCE", "STIFFNESS")
_KEYS = ("USUBJID", "AVISIT")


def read_examinations(folder: Path) -> tuple[pd.DataFrame, list[dict[str, NDArray[np.float32]]]]:
    """Slices of a folder.

    Parameters
    ----------
    folder : path
        ``exams.csv``, a row per examination: ``USUBJID, AVISIT`` (and ``AVISITN, SITEID``),
        ``MAGNITUDE, CONFIDENCE, STIFFNESS`` (volumes x, y, slice; paths relative to the folder;
        confidence 0 to 1, stiffness in kPa). ``slices.csv``, optional, a row per slice that a
        reader judged: ``USUBJID, AVISIT, SLICE`` (1, 2, ... along the third axis),
        ``DIAGNOSTIC`` (1 or 0).

    Returns
    -------
    frame, list of dict
        A row per slice - the columns of exams.csv, ``SLICE`` and, with slices.csv, ``DIAGNOSTIC``
        (missing where no reader judged) - and its three pictures (x, y).

    Raises
    ------
    DataError
        A table or column is missing, a subject and visit occur twice, volumes of an examination
        differ in shape, confidence lies outside 0 to 1, a judged slice does not exist.
    """
    exams = _examinations(folder)
    rows, pictures = [], []
    for exam in exams.to_dict("records"):
        volumes = {name: _volume(folder / str(exam[name])) for name in VOLUMES}
        if len({v.shape for v in volumes.values()}) > 1:
            msg = "exams.csv: volumes of one examination differ in shape; export them alike"
            raise DataError(msg)
        seen = volumes["CONFIDENCE"]
        if float(np.nanmin(seen)) < -1e-3 or float(np.nanmax(seen)) > 1 + 1e-3:
            msg = (
                f"CONFIDENCE reaches from {np.nanmin(seen):.3g} to {np.nanmax(seen):.3g} in an "
                "examination; divide it so that it lies between 0 and 1"
            )
            raise DataError(msg)
        kept = {str(k): v for k, v in exam.items() if k not in VOLUMES}
        for place in range(seen.shape[2]):
            rows.append({**kept, "SLICE": place + 1})
            pictures.append({name: v[:, :, place] for name, v in volumes.items()})
    frame = pd.DataFrame(rows)
    if (folder / "slices.csv").is_file():
        judged = _table(folder / "slices.csv", ["USUBJID", "SLICE", "DIAGNOSTIC"])
        if "AVISIT" not in judged:
            judged["AVISIT"] = ""
        keys = [*_KEYS, "SLICE"]
        require_unique(judged, keys, name="slices.csv")
        frame = frame.merge(judged[[*keys, "DIAGNOSTIC"]], on=keys, how="left", indicator=True)
        lost = len(judged) - int(frame.pop("_merge").eq("both").sum())
        if lost:
            msg = f"slices.csv: {lost} slice(s) are in no examination; compare with exams.csv"
            raise DataError(msg)
    return frame, pictures


def placed_maps(
    folder: Path, cases: Cases, maps: NDArray[np.float32]
) -> Iterator[tuple[str, Any]]:
    """Maps (slices, channels, x, y) on the grid of each magnitude, summed over channels."""
    for exam in _examinations(Path(folder)).to_dict("records"):
        header = read_header(Path(folder) / str(exam["MAGNITUDE"]))
        mine = cases.frame["USUBJID"].eq(exam["USUBJID"])
        if "AVISIT" in cases.frame:
            mine &= cases.frame["AVISIT"].eq(exam["AVISIT"])
        rows = np.flatnonzero(mine)[np.argsort(cases.frame.loc[mine, "SLICE"].to_numpy())]
        grid = np.meshgrid(
            *((np.arange(n) + 0.5) * size / n - 0.5
              for n, size in zip(header.shape[:2], maps.shape[2:], strict=True)),
            indexing="ij",
        )  # fmt: skip
        whole = [
            ndimage.map_coordinates(maps[row].sum(0), grid, order=1, mode="nearest")
            for row in rows
        ]
        image: Any = nib.Nifti1Image(  # type: ignore[no-untyped-call]
            np.stack(whole, axis=2).astype(np.float32), header.affine
        )
        yield file_name(exam["USUBJID"], exam["AVISIT"]), image


def write_examinations(
    folder: Path, frame: pd.DataFrame, images: list[Elastogram], *, seed: int
) -> Path:
    """Write simulated slices of `simulate_elastograms` in the layout of `read_examinations`."""
    rows = []
    for subject, part in frame.groupby("USUBJID", sort=True):
        names = {name: f"volumes/{subject}_{name.lower()}.nii.gz" for name in VOLUMES}
        for name, file in names.items():
            stack = [getattr(images[place], name.lower()) for place in part.index]
            _save(folder / file, np.stack(stack, axis=2))
        rows.append({"USUBJID": subject, "AVISIT": "Baseline", **names})
    write_text(folder / "exams.csv", pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
    slices = frame.assign(AVISIT="Baseline")[["USUBJID", "AVISIT", "SLICE", "DIAGNOSTIC"]]
    write_text(folder / "slices.csv", slices.to_csv(index=False, lineterminator="\n"))
    said = f"Simulated by livertrack: mre-quality, seed {seed}. No patient.\n"
    write_text(folder / MARKER, said)
    return folder


def _examinations(folder: Path) -> pd.DataFrame:
    exams = _table(folder / "exams.csv", ["USUBJID", *VOLUMES])
    if "AVISIT" not in exams:
        exams["AVISIT"] = ""
    require_unique(exams, list(_KEYS), name="exams.csv")
    return exams.sort_values(list(_KEYS), ignore_index=True)


def _table(path: Path, columns: list[str]) -> pd.DataFrame:
    if not path.is_file():
        msg = f"{path.name}: no such table; see the layout of the task mre-quality"
        raise DataError(msg)
    frame = pd.read_csv(path, dtype={"USUBJID": str, "AVISIT": str, "SITEID": str})
    require_columns(frame, columns, name=path.name)
    return frame


def _volume(path: Path) -> NDArray[np.float32]:
    return np.asarray(read_voxels(read_header(path)), np.float32)


def _save(path: Path, array: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-SPACING, -SPACING, 10.0, 1.0])
    image: Any = nib.Nifti1Image(array.astype(np.float32), affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    nib.save(image, path)  # type: ignore[no-untyped-call]
