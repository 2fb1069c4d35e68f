"""Reader of CirrMRI600+: T1W and T2W volumes of cirrhotic livers, their masks, and a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.errors import DataError
from livertrack.imaging.reading import read_header
from livertrack.simulate.staging_files import MARKER
from livertrack.tasks._task import Cases, file_name
from livertrack.tasks._texture import feature_names, mean_intensity, shape, texture
from livertrack.tasks._volumes import (
    LiverVolume,
    SlabRules,
    read_volume,
    require_distinct,
    stacked,
    unslabbed,
)

#: folder of each sequence, and the parts that the authors split it into
FOLDERS = {"T1W": "Cirrhosis_T1_3D", "T2W": "Cirrhosis_T2_3D"}
SPLITS = ("train", "valid", "test")
_COLUMNS = {
    "patientid": "USUBJID", "age": "AGE", "gender": "SEX", "radiologicalevaluation": "STAGE",
}  # fmt: skip
_SUFFIX = ".nii.gz"
#: what is measured of every sequence
MEASURES = ("MEAN", *feature_names(), "VOLML", "ROUGHNESS")


class Entry(NamedTuple):
    """Files of one sequence of one subject, and the authors' part it is in."""

    image: Path
    mask: Path
    split: str


def read_cirrmri(folder: Path | str, *, rules: SlabRules | None = None) -> Cases:
    """Cases of a folder in the layout of CirrMRI600+.

    Parameters
    ----------
    folder : path
        Holds ``Cirrhosis_T1_3D`` and/or ``Cirrhosis_T2_3D``, each with ``train_images,
        train_masks, valid_images, ...`` of files ``<Patient ID>.nii.gz`` (an unpacked archive may
        repeat the folder's name once), and ``*age_gender_evaluation.csv``, beside them or in
        ``Metadata``: Patient ID, Age, Gender, Radiological Evaluation (1 mild, 2 moderate, 3
        severe). A byte order mark is understood.
    rules : SlabRules, optional
        How slabs are cut.

    Returns
    -------
    Cases
        One row per slab: ``USUBJID, SLAB, STAGE`` (where the table has it), ``AGE, SEX`` (as
        coded), ``SPLIT_T1W, SPLIT_T2W`` (blank where there is no such sequence), mean intensities
        and texture of whole volumes, alike in all slabs of a subject. Inputs: ``images, masks``
        (slabs, sequence, slice, x, y) and ``present`` (slabs, sequence).

    Raises
    ------
    DataError
        No folder or no table; images without mask or masks without image; a subject in two parts
        of one sequence; an image under two subjects; a stage that is not 1 to 3, or two of them.
    """
    folder, rules = Path(folder), rules or SlabRules()
    entries = {sequence: _entries(folder, name) for sequence, name in FOLDERS.items()}
    subjects = sorted({s for found in entries.values() for s in found}, key=_natural)
    if not subjects:
        msg = (
            f"{folder.name}: no volumes; {' or '.join(FOLDERS.values())} with train_images, "
            "train_masks, ... is expected"
        )
        raise DataError(msg)
    table = _table(folder)
    rows, images, masks, present, contents = [], [], [], [], []
    for subject in subjects:
        volumes: dict[str, LiverVolume | None] = {}
        for sequence, name in FOLDERS.items():
            entry = entries[sequence].get(subject)
            volumes[sequence] = None
            if entry is not None:
                volumes[sequence] = read_volume(entry.image, entry.mask, what=name)
        contents += [(s, subject, v.content) for s, v in volumes.items() if v is not None]
        picture, liver, there = stacked(list(volumes.values()), rules)
        measures = measured(volumes)
        known: dict[str, object] = {}
        if subject in table.index:
            known = {str(k): v for k, v in table.loc[subject].to_dict().items()}
        splits = {f"SPLIT_{s}": e[subject].split if subject in e else ""
                  for s, e in entries.items()}  # fmt: skip
        for slab in range(len(rules.places)):
            rows.append({"USUBJID": subject, "SLAB": slab + 1, **known, **splits, **measures})
        images.append(picture)
        masks.append(liver)
        present.append(np.tile(there, (len(rules.places), 1)))
    require_distinct(contents, what=folder.name)
    return Cases.of(
        pd.DataFrame(rows),
        {"images": np.concatenate(images), "masks": np.concatenate(masks),
         "present": np.concatenate(present)},
        spacing=(rules.pixel_mm, rules.pixel_mm, rules.slice_mm),
        simulated=(folder / MARKER).exists(),
    )  # fmt: skip


def placed_maps(
    folder: Path, cases: Cases, maps: NDArray[np.float32], *, rules: SlabRules
) -> Iterator[tuple[str, Any]]:
    """Maps (slabs, sequence, slice, x, y) on the grid of each volume, one per sequence."""
    for place, (sequence, name) in enumerate(FOLDERS.items()):
        for subject, entry in _entries(Path(folder), name).items():
            rows = np.flatnonzero(cases.frame["USUBJID"].eq(subject))
            volume = read_volume(entry.image, entry.mask, what=name)
            found = unslabbed(maps[rows, place], volume, rules)
            header = read_header(entry.image)
            back = nib.orientations.ornt_transform(
                [[0, 1], [1, 1], [2, 1]], nib.orientations.io_orientation(header.affine)
            )
            turned = nib.orientations.apply_orientation(found, back)
            image: Any = nib.Nifti1Image(turned, header.affine)  # type: ignore[no-untyped-call]
            yield f"{file_name(subject)}_{sequence}", image


def measured(volumes: Mapping[str, LiverVolume | None]) -> dict[str, float]:
    """Columns of the baselines: mean, texture and outline; NaN where a sequence is missing."""
    found: dict[str, float] = {}
    for sequence, volume in volumes.items():
        values = dict.fromkeys(MEASURES, float("nan"))
        if volume is not None:
            values["MEAN"] = mean_intensity(volume.image, volume.mask)
            values |= texture(volume.image, volume.mask) | shape(volume.mask, volume.spacing)
        found |= {f"{sequence}_{name}": value for name, value in values.items()}
    return found


def _entries(folder: Path, name: str) -> dict[str, Entry]:
    """Files of a sequence by subject, checked."""
    place = folder / name
    if (place / name).is_dir():
        place = place / name
    found: dict[str, Entry] = {}
    lacking, idle, twice = 0, 0, 0
    for split in SPLITS:
        images, masks = (_files(place / f"{split}_{kind}") for kind in ("images", "masks"))
        lacking += len(images.keys() - masks.keys())
        idle += len(masks.keys() - images.keys())
        twice += len(images.keys() & found.keys())
        found |= {s: Entry(images[s], masks[s], split) for s in images.keys() & masks.keys()}
    problems = []
    if lacking:
        problems.append(f"{lacking} image(s) without a mask of the same name")
    if idle:
        problems.append(f"{idle} mask(s) without an image of the same name")
    if twice:
        problems.append(f"{twice} subject(s) in more than one of {', '.join(SPLITS)}")
    if problems:
        msg = f"{name}: {'; '.join(problems)}; complete or remove them"
        raise DataError(msg)
    return found


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {
        path.name.removesuffix(_SUFFIX): path
        for path in sorted(folder.iterdir())
        if path.name.endswith(_SUFFIX) and not path.name.startswith(".")
    }


def _table(folder: Path) -> pd.DataFrame:
    """Age, sex and stage by subject, of all tables that there are."""
    places = [folder, folder / "Metadata"]
    paths = sorted(p for place in places for p in place.glob("*age_gender_evaluation.csv"))
    if not paths:
        msg = (
            f"{folder.name}: no *age_gender_evaluation.csv here or in Metadata; it holds Patient "
            "ID, Age, Gender and Radiological Evaluation"
        )
        raise DataError(msg)
    parts = []
    for path in paths:
        frame = pd.read_csv(path, encoding="utf-8-sig", dtype=str)
        frame.columns = [
            _COLUMNS.get("".join(c for c in str(name).lower() if c.isalnum()), str(name))
            for name in frame.columns
        ]
        if "USUBJID" not in frame:
            msg = f"{path.name}: no column Patient ID; present are {', '.join(frame.columns)}"
            raise DataError(msg)
        parts.append(frame[[c for c in _COLUMNS.values() if c in frame]])
    whole = pd.concat(parts, ignore_index=True)
    whole["USUBJID"] = whole["USUBJID"].str.strip().str.removesuffix(".0")
    for column in ("AGE", "STAGE"):
        if column in whole:
            whole[column] = pd.to_numeric(whole[column], errors="coerce")
    _require_stages(whole)
    first = whole.groupby("USUBJID", sort=True).first()
    return first.dropna(axis="columns", how="all")


def _require_stages(whole: pd.DataFrame) -> None:
    if "STAGE" not in whole:
        return
    known = whole.dropna(subset=["STAGE", "USUBJID"])
    odd = int((~known["STAGE"].isin([1, 2, 3])).sum())
    two = int(known.drop_duplicates(["USUBJID", "STAGE"])["USUBJID"].duplicated().sum())
    if odd or two:
        msg = (
            f"Radiological Evaluation: {odd} row(s) are not 1, 2 or 3, {two} subject(s) have more "
            "than one stage; correct the tables"
        )
        raise DataError(msg)


def _natural(subject: str) -> tuple[int, int, str]:
    """Numbers in their order, before other names."""
    return (0, int(subject), subject) if subject.isdecimal() else (1, 0, subject)
