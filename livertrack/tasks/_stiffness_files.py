"""Folder of examinations for stiffness: a table of subjects, an index of volumes, NIfTI files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import numeric, require_columns, require_unique
from livertrack.errors import DataError
from livertrack.simulate.staging_files import MARKER
from livertrack.tasks._task import Cases
from livertrack.tasks._volumes import (
    LiverVolume,
    SlabRules,
    read_volume,
    require_distinct,
    stacked,
)
from livertrack.tasks.cirrmri import measured

SEQUENCES = ("T1W", "T2W", "DWI")
#: clinical values: whether the logarithm is taken, and by what they are centred and scaled.
#: Fixed, not learned: nothing of a test fold is in them.
CLINICAL: dict[str, tuple[bool, float, float]] = {
    "AGE": (False, 50.0, 15.0),
    "BMI": (False, 30.0, 6.0),
    "ALT": (True, 3.5, 0.6),
    "AST": (True, 3.4, 0.5),
    "PLAT": (True, 5.4, 0.4),
    "SEX": (False, 0.5, 0.5),
}
#: slices one by one, spread over the liver
RULES = SlabRules(depth=1, places=(0.08, 0.2, 0.32, 0.44, 0.56, 0.68, 0.8, 0.92))


def read_stiffness(folder: Path | str, *, rules: SlabRules = RULES) -> Cases:
    """Cases of a folder, one row per examination.

    Parameters
    ----------
    folder : path
        ``subjects.csv``, a row per examination: ``USUBJID``, ``KPA`` (kPa; absent or blank where
        unknown), ``AGE`` (years), ``BMI`` (kg/m2), ``ALT, AST`` (U/L), ``PLAT`` (10^9/L), ``SEX``
        (F or M), any of which may be missing, and what the audit asks for (``SITEID, VENDOR,
        STEATOSIS, SCANDT``). ``images.csv``: ``USUBJID, SEQUENCE`` (T1W, T2W, DWI; one or two
        may be missing), ``IMAGE, MASK`` (relative to the folder). Where a subject has several
        examinations, both tables also have ``AVISIT``.
    rules : SlabRules
        How slices are cut.

    Returns
    -------
    Cases
        Inputs: ``tokens`` (examinations, sequence, slice, feature; see `slice_tokens`),
        ``present`` (examinations, sequence), ``clinical, recorded`` (examinations, value).
        ``frame`` has the columns of subjects.csv, mean intensities, texture and outline, and the
        clinical values as ``Z_AGE, ...`` (blank where missing).

    Raises
    ------
    DataError
        A table, a column or a file is missing; an examination twice, or without any sequence; a
        sequence twice; an image under two subjects; a value that is not positive.
    """
    folder = Path(folder)
    subjects = _table(folder, "subjects.csv", ["USUBJID"])
    index = _table(folder, "images.csv", ["USUBJID", "SEQUENCE", "IMAGE", "MASK"])
    keys = ["USUBJID", *(["AVISIT"] if "AVISIT" in subjects and "AVISIT" in index else [])]
    require_unique(subjects, keys, name="subjects.csv")
    require_unique(index, [*keys, "SEQUENCE"], name="images.csv")
    subjects = subjects.sort_values(keys, ignore_index=True)
    files = {
        tuple(row[k] for k in (*keys, "SEQUENCE")): (str(row["IMAGE"]), str(row["MASK"]))
        for row in index.to_dict("records")
    }
    odd = sorted(set(index["SEQUENCE"].astype(str)) - set(SEQUENCES))
    if odd:
        msg = f"images.csv: SEQUENCE is one of {', '.join(SEQUENCES)}; found {', '.join(odd)}"
        raise DataError(msg)
    made = CaseMaker(rules, simulated=(folder / MARKER).is_file())
    bare = 0
    for row in subjects.to_dict("records"):
        volumes: dict[str, LiverVolume | None] = {}
        for sequence in SEQUENCES:
            pair = files.get((*(row[k] for k in keys), sequence))
            volumes[sequence] = None
            if pair is not None:
                image, mask = (folder / name for name in pair)
                volumes[sequence] = read_volume(image, mask, what="images.csv")
        if any(volumes.values()):
            made.add({str(k): v for k, v in row.items()}, volumes)
        else:
            bare += 1
    if bare:
        msg = f"images.csv: {bare} of {len(subjects)} examination(s) of subjects.csv have no image"
        raise DataError(msg)
    return made.cases()


class CaseMaker:
    """Turns examinations into cases one by one; of their volumes only features are kept."""

    def __init__(self, rules: SlabRules, *, simulated: bool) -> None:
        self._rules, self._simulated = rules, simulated
        self._rows: list[dict[str, Any]] = []
        self._tokens: list[NDArray[np.float32]] = []
        self._present: list[NDArray[np.float32]] = []
        self._contents: list[tuple[str, str, str]] = []

    def add(self, row: Mapping[str, Any], volumes: Mapping[str, LiverVolume | None]) -> None:
        """Add an examination: its row of subjects.csv, and a volume or None by sequence."""
        from livertrack.imaging.learning.slice_tokens import slice_tokens

        self._contents += [
            (s, str(row["USUBJID"]), v.content) for s, v in volumes.items() if v is not None
        ]
        picture, liver, there = stacked(list(volumes.values()), self._rules)
        # places become slices of one examination: (sequence, slice, feature)
        middle = self._rules.depth // 2
        found = slice_tokens(*(a[:, :, middle].swapaxes(0, 1) for a in (picture, liver)))
        self._tokens.append(found * there[:, None, None])
        self._present.append(there)
        self._rows.append({**row, **measured(volumes)})

    def cases(self) -> Cases:
        """All of them; `DataError` where two subjects share an image."""
        require_distinct(self._contents, what="images.csv")
        frame = pd.DataFrame(self._rows)
        clinical = _clinical(frame)
        for place, name in enumerate(CLINICAL):
            frame[f"Z_{name}"] = clinical[:, place]
        recorded = ~np.isnan(clinical)
        return Cases.of(
            frame,
            {"tokens": np.stack(self._tokens), "present": np.stack(self._present),
             "clinical": np.nan_to_num(clinical), "recorded": recorded.astype(np.float32)},
            hashed=("tokens",), spacing=(self._rules.pixel_mm, self._rules.pixel_mm),
            simulated=self._simulated,
        )  # fmt: skip


def _clinical(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Clinical values on their fixed scales, NaN where missing, (examinations, values)."""
    out = np.full((len(frame), len(CLINICAL)), np.nan)
    for place, (name, (logged, centre, scale)) in enumerate(CLINICAL.items()):
        if name not in frame:
            continue
        if name == "SEX":
            values = frame["SEX"].map({"F": 1.0, "M": 0.0}).to_numpy(float)
        else:
            values = numeric(frame, name, name="subjects.csv")
        if logged:
            bad = int((values <= 0).sum())
            if bad:
                msg = f"subjects.csv: {name} is not positive in {bad} row(s); correct the values"
                raise DataError(msg)
            values = np.log(values)
        out[:, place] = (values - centre) / scale
    return out


def _table(folder: Path, name: str, columns: list[str]) -> pd.DataFrame:
    path = folder / name
    if not path.is_file():
        msg = f"{folder.name}: no {name}; it holds {', '.join(columns)} and more"
        raise DataError(msg)
    kinds: Any = {"USUBJID": str, "AVISIT": str, "SITEID": str}
    frame = pd.read_csv(path, encoding="utf-8-sig", dtype=kinds)
    require_columns(frame, columns, name=name)
    return frame
