"""Turn the Mayo PBC trial into a livertrack study folder.

    python analysis/pbc/build_study.py DATA_FOLDER STUDY_FOLDER

DATA_FOLDER holds ``pbc.csv`` and ``pbcseq.csv`` as R's survival package has them (the row-name
column of Rdatasets is ignored; a sub-folder ``derived_csv`` is looked into as well).
STUDY_FOLDER gets ``plan.yaml`` and ``adam/``: adsl, adlb, adbx, adtte. Run it with
``livertrack run STUDY_FOLDER --out OUT``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from livertrack._files import whole_file
from livertrack.errors import DataError, LivertrackError

HERE = Path(__file__).resolve().parent

#: visit -> (AVISITN, first day, last day, target day); the limits are the midpoints between
#: targets (0, 182, 365, 730, 1095). Baseline is the day of entry itself.
WINDOWS = {
    "Baseline": (0, 0, 0, 0),
    "Month 6": (6, 92, 273, 182),
    "Year 1": (12, 274, 547, 365),
    "Year 2": (24, 548, 912, 730),
}
#: PARAMCD -> (column of pbcseq, PARAM, AVALU)
LABS = {
    "BILI": ("bili", "Total bilirubin (mg/dL)", "mg/dL"),
    "ALB": ("albumin", "Albumin (g/dL)", "g/dL"),
    "ALP": ("alk.phos", "Alkaline phosphatase (U/L)", "U/L"),
    "AST": ("ast", "Aspartate aminotransferase (U/L)", "U/L"),
    "PLAT": ("platelet", "Platelets (10^9/L)", "10^9/L"),
    "PT": ("protime", "Prothrombin time (s)", "s"),
    "CHOL": ("chol", "Total cholesterol (mg/dL)", "mg/dL"),
    "LOGBILI": ("logbili", "Log total bilirubin (log mg/dL)", "log mg/dL"),
}
STAGE = {"STAGE": ("stage", "Histologic stage (Ludwig)", "stage")}
#: codes of survival::pbc
ARMS = {1: "D-penicillamine", 2: "Placebo"}
CENSORED, TRANSPLANT, DEATH = 0, 1, 2


def read_raw(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read pbc (the 312 randomised) and pbcseq."""
    frames = []
    signs = ["ascites", "hepato", "spiders", "edema"]
    measured = [column for column, _, _ in LABS.values() if column != "logbili"]
    wanted = {
        "pbc": ["id", "time", "status", "trt", "age", "sex", *signs],
        "pbcseq": ["id", "trt", "day", "stage", *measured],
    }
    for name, columns in wanted.items():
        paths = [folder / f"{name}.csv", folder / "derived_csv" / f"{name}.csv"]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            msg = f"no {name}.csv in {folder}; export survival::{name} from R with write.csv"
            raise DataError(msg)
        frame = pd.read_csv(path)
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            msg = f"{path.name}: column(s) {', '.join(missing)} missing; expected survival::{name}"
            raise DataError(msg)
        frames.append(frame[columns])
    pbc, seq = frames
    pbc = pbc[pbc["trt"].notna()].astype({"trt": int}).sort_values("id")
    seq = seq.sort_values(["id", "day"], kind="stable")
    if set(pbc["id"]) != set(seq["id"]) or not set(pbc["trt"]) <= set(ARMS):
        msg = "pbc.csv and pbcseq.csv do not hold the same randomised subjects"
        raise DataError(msg)
    seq["logbili"] = np.log(seq["bili"])
    return pbc.reset_index(drop=True), seq.reset_index(drop=True)


def make_bds(seq: pd.DataFrame, measures: dict[str, tuple[str, str, str]]) -> pd.DataFrame:
    """One record per subject, measure and visit window.

    Rule: of the non-missing measurements in the window, the one nearest to its target day; of two
    equally near, the earlier.
    """
    parts = []
    for code, (column, title, unit) in measures.items():
        for visit, (number, first, last, target) in WINDOWS.items():
            rows = seq[seq[column].notna() & seq["day"].between(first, last)]
            rows = rows.assign(distance=(rows["day"] - target).abs())
            rows = rows.sort_values(["id", "distance", "day"]).drop_duplicates("id")
            parts.append(
                pd.DataFrame(
                    {
                        "USUBJID": subject_id(rows["id"]), "PARAMCD": code, "PARAM": title,
                        "AVALU": unit, "AVISIT": visit, "AVISITN": number, "ADY": rows["day"],
                        "AVAL": rows[column], "ABLFL": "Y" if visit == "Baseline" else "",
                    }
                )
            )  # fmt: skip
    return pd.concat(parts).sort_values(["USUBJID", "PARAMCD", "AVISITN"])


def make_adsl(pbc: pd.DataFrame, seq: pd.DataFrame) -> pd.DataFrame:
    """One row per randomised subject; baseline laboratory values as covariates (suffix BL)."""
    entry = seq[seq["day"] == 0].set_index("id")
    yes_no = {0: "N", 1: "Y"}
    return pd.DataFrame(
        {
            "USUBJID": subject_id(pbc["id"]),
            "SITEID": "MAYO",
            "TRT01P": pbc["trt"].map(ARMS),
            "FASFL": "Y",
            "AGE": pbc["age"],
            "SEX": pbc["sex"].str.upper(),
            "ASCITES": pbc["ascites"].map(yes_no),
            "HEPATOM": pbc["hepato"].map(yes_no),
            "SPIDERS": pbc["spiders"].map(yes_no),
            "EDEMA": pbc["edema"],
            "STAGEBL": pbc["id"].map(entry["stage"]),
            "LOGBILBL": pbc["id"].map(entry["logbili"]),
            "ALBBL": pbc["id"].map(entry["albumin"]),
            "PTBL": pbc["id"].map(entry["protime"]),
        }
    )


def make_adtte(pbc: pd.DataFrame) -> pd.DataFrame:
    """Two times from randomisation, in days, with the follow-up of pbc (to July 1986).

    TXFREE: death or transplant, CAUSE says which. OS: death, censored at transplant.
    """
    cause = pbc["status"].map({DEATH: "death", TRANSPLANT: "transplant"})
    description = cause.str.capitalize().fillna("End of follow-up")
    common = {"USUBJID": subject_id(pbc["id"]), "AVALU": "day", "AVAL": pbc["time"]}
    free = pd.DataFrame(
        {
            **common, "PARAMCD": "TXFREE", "PARAM": "Transplant-free survival (day)",
            "CNSR": (pbc["status"] == CENSORED).astype(int), "EVNTDESC": description,
            "CAUSE": cause,
        }
    )  # fmt: skip
    survival = pd.DataFrame(
        {
            **common, "PARAMCD": "OS", "PARAM": "Overall survival (day)",
            "CNSR": (pbc["status"] != DEATH).astype(int),
            "EVNTDESC": description.replace("Transplant", "Censored at transplant"),
            "CAUSE": cause.where(cause == "death"),
        }
    )  # fmt: skip
    return pd.concat([free, survival]).sort_values(["USUBJID", "PARAMCD"])


def subject_id(number: pd.Series) -> pd.Series:
    """Identifier of a subject: the number of the data set in three digits."""
    return "PBC-" + number.astype(int).astype(str).str.zfill(3)


def build_study(data: str | Path, study: str | Path) -> Path:
    """Write the study folder; existing files of the same names are replaced."""
    pbc, seq = read_raw(Path(data))
    study = Path(study)
    frames = {
        "adsl": make_adsl(pbc, seq),
        "adlb": make_bds(seq, LABS),
        "adbx": make_bds(seq, STAGE),
        "adtte": make_adtte(pbc),
    }
    for name, frame in frames.items():
        with whole_file(study / "adam" / f"{name}.csv") as path:
            frame.to_csv(path, index=False)
    shutil.copyfile(HERE / "plan.yaml", study / "plan.yaml")
    return study


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with pbc.csv and pbcseq.csv")
    parser.add_argument("study", type=Path, help="study folder to write")
    options = parser.parse_args(arguments)
    try:
        study = build_study(options.data, options.study)
    except LivertrackError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"wrote {study}: now run  livertrack run {study} --out {study}-results")
    return 0


if __name__ == "__main__":
    sys.exit(main())
