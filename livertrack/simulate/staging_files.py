"""Simulated cohorts of staging as files, in the layouts that real data come in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._files import write_text
from livertrack._seeds import generator
from livertrack.simulate.staging import SPACING, Examination, StagingCohort

#: says that a folder holds simulated subjects
MARKER = "SIMULATED.txt"
#: shares of the published split: 248, 31 and 31 of 310 T1W volumes
_SPLIT = {"train": 0.8, "valid": 0.1, "test": 0.1}


def write_cirrmri(cohort: StagingCohort, folder: Path, *, seed: int) -> Path:
    """Write a cohort of `simulate_cirrhosis` in the layout of CirrMRI600+.

    ``Cirrhosis_T1_3D/{train,valid,test}_{images,masks}/<Patient ID>.nii.gz``, the same for T2,
    and ``Metadata/{T1,T2}_age_gender_evaluation.csv`` (with a byte order mark, as published).
    """
    rng = generator(seed, "staging", "split")
    splits = rng.choice(list(_SPLIT), size=len(cohort.frame), p=list(_SPLIT.values()))
    table = pd.DataFrame({
        "Patient ID": cohort.frame["USUBJID"], "Age": cohort.frame["AGE"].astype(int),
        "Gender": cohort.frame["SEX"], "Radiological Evaluation": cohort.frame["STAGE"],
    })  # fmt: skip
    for short, sequence in (("T1", "T1W"), ("T2", "T2W")):
        held = []
        for name, split, volumes in zip(table["Patient ID"], splits, cohort.scans, strict=True):
            held.append(sequence in volumes)
            if sequence not in volumes:
                continue
            place = folder / f"Cirrhosis_{short}_3D"
            volume = volumes[sequence]
            file = f"{name}.nii.gz"
            _save(place / f"{split}_images" / file, volume.image, cohort.spacing)
            _save(place / f"{split}_masks" / file, volume.mask.astype(np.uint8), cohort.spacing)
        text = table[np.array(held)].to_csv(index=False, lineterminator="\n")
        write_text(folder / "Metadata" / f"{short}_age_gender_evaluation.csv", "\ufeff" + text)
    _mark(folder, "cirrhosis", seed)
    return folder


def write_stiffness(examinations: Iterable[Examination], folder: Path, *, seed: int) -> Path:
    """Write ``subjects.csv``, ``images.csv`` and volumes, examination by examination."""
    rows, index = [], []
    for row, volumes in examinations:
        keys = {name: row[name] for name in ("USUBJID", "AVISIT") if name in row}
        name = "_".join(str(keys[key]).replace(" ", "") for key in keys)
        mask = f"volumes/{name}_mask.nii.gz"
        outlined = next(iter(volumes.values())).mask.astype(np.uint8)
        _save(folder / mask, outlined, SPACING)
        for sequence, volume in volumes.items():
            image = f"volumes/{name}_{sequence}.nii.gz"
            _save(folder / image, volume.image, SPACING)
            index.append(keys | {"SEQUENCE": sequence, "IMAGE": image, "MASK": mask})
        rows.append(row)
    for file, table in (("subjects.csv", rows), ("images.csv", index)):
        write_text(folder / file, pd.DataFrame(table).to_csv(index=False, lineterminator="\n"))
    _mark(folder, "stiffness", seed)
    return folder


def _mark(folder: Path, what: str, seed: int) -> None:
    write_text(folder / MARKER, f"Simulated by livertrack: {what}, seed {seed}. No patient.\n")


def _save(path: Path, array: NDArray[Any], spacing: tuple[float, float, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # x grows towards the left and y towards the back; NIfTI counts to the right and front
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    image: Any = nib.Nifti1Image(array, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
