"""Read back the truth of a simulated trial."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from livertrack.errors import DataError


@dataclass(frozen=True)
class Truth:
    """What is known about a simulated trial.

    Attributes
    ----------
    types : DataFrame
        ``TYPE`` (1 to 8), ``NAME`` and MR properties.
    flows : DataFrame
        Planted rates: ``TRT01P, AVISIT, FROMTYPE, TOTYPE, RATE`` (expected share of FROMTYPE).
    pathways : DataFrame
        What happened: ``USUBJID, TRT01P, AVISIT, AVISITN, REGION, FROMTYPE, TOTYPE, AVAL, NVOX``;
        AVAL is the share of the liver and sums to 1 over the pairs of a subject and visit.
    composition : DataFrame
        ``USUBJID, TRT01P, AVISIT, AVISITN, TYPE, AVAL``: share of the liver in each type.
    subjects : DataFrame
        Dose, response, scanner, weeks of leaving and of stopping treatment, and physiology of each
        subject.
    labs : DataFrame
        ``USUBJID, TRT01P, PARAMCD, AVISIT, AVISITN``, ``AVAL`` without noise and ``UNSTOPPED``,
        what it had been had treatment gone on: of all subjects at all visits, attended or not.
    maps : DataFrame
        ``USUBJID, AVISIT, AVISITN, MAP``: true type maps on the grid of the scans, absolute paths;
        empty for a trial without images.
    deformations : DataFrame
        ``USUBJID, AVISIT, AVISITN, LEFTMM, BACKMM, HEADMM, SMOOTHRMSMM, CONTROL``.
    """

    types: pd.DataFrame
    flows: pd.DataFrame
    pathways: pd.DataFrame
    composition: pd.DataFrame
    subjects: pd.DataFrame
    labs: pd.DataFrame
    maps: pd.DataFrame
    deformations: pd.DataFrame

    def map(self, subject: str, visit: str) -> np.ndarray:
        """Read the true type map of a scan, array (x, y, z), 1 to 8 in the liver, else 0."""
        rows = self.maps[(self.maps["USUBJID"] == subject) & (self.maps["AVISIT"] == visit)]
        if len(rows) != 1:
            msg = f"truth: no map for that subject at {visit!r}; {len(self.maps)} maps are known"
            raise DataError(msg)
        return np.asarray(nib.Nifti1Image.from_filename(rows["MAP"].iloc[0]).dataobj)


def load_truth(path: str | Path) -> Truth:
    """Read the truth of a simulated trial.

    Parameters
    ----------
    path : str or Path
        The study folder, or its ``truth`` folder.

    Returns
    -------
    Truth

    Raises
    ------
    DataError
        There is no truth there: the study was not simulated.
    """
    path = Path(path)
    folder = path if (path / "types.csv").is_file() else path / "truth"
    if not (folder / "types.csv").is_file():
        msg = f"truth: no types.csv in {folder}; only simulated studies have a known truth"
        raise DataError(msg)
    study = folder.parent
    maps = _read(folder / "maps.csv", ["USUBJID", "AVISIT", "AVISITN", "MAP"])
    maps["MAP"] = [str(study / name) for name in maps["MAP"]]
    moved = [
        "USUBJID",
        "AVISIT",
        "AVISITN",
        "LEFTMM",
        "BACKMM",
        "HEADMM",
        "SMOOTHRMSMM",
        "CONTROL",
    ]
    deformations = _read(folder / "deformations.csv", moved)
    deformations["CONTROL"] = [str(study / name) for name in deformations["CONTROL"]]
    return Truth(
        types=_read(folder / "types.csv"),
        flows=_read(folder / "flows.csv"),
        pathways=_read(folder / "pathways.csv"),
        composition=_read(folder / "composition.csv"),
        subjects=_read(folder / "subjects.csv"),
        labs=_read(folder / "labs.csv"),
        maps=maps,
        deformations=deformations,
    )


def _read(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    if columns is not None and not path.is_file():
        return pd.DataFrame(columns=columns)
    return pd.read_csv(path, dtype={"USUBJID": str, "REGION": str}, keep_default_na=False,
                       na_values={"LEAVEWK": [""], "STOPWK": [""]})  # fmt: skip
