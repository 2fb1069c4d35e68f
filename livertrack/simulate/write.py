"""Write the tables of a simulated trial: records, index of images, truth, plan."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from livertrack._files import write_json, write_text
from livertrack.plan import Plan
from livertrack.simulate import tissue
from livertrack.simulate.member import Member


def write_records(folder: Path, adsl: pd.DataFrame, frames: dict[str, pd.DataFrame]) -> None:
    """Write ``adam/*.csv`` and ``images.csv``, rows in a fixed order."""
    (folder / "adam").mkdir()
    site = adsl[["USUBJID", "SITEID"]]
    _csv(folder / "adam/adsl.csv", adsl.sort_values("USUBJID"))
    for name in ("adlb", "adbx", "adim"):
        records = frames[name].merge(site, on="USUBJID", validate="m:1")
        records["ABLFL"] = np.where(records["AVISITN"] == 0, "Y", "")
        records["ADY"] = (records["AVISITN"] // 1 * 7 + 1).astype(int)
        columns = [
            "USUBJID", "SITEID", "PARAMCD", "PARAM", "AVISIT", "AVISITN", "ADY", "AVAL", "ABLFL",
        ]  # fmt: skip
        ordered = records[columns].sort_values(["USUBJID", "PARAMCD", "AVISITN"])
        _csv(folder / f"adam/{name}.csv", ordered)
    events = frames["adtte"].merge(site, on="USUBJID", validate="1:1")
    _csv(folder / "adam/adtte.csv", events.sort_values("USUBJID"))
    if len(frames["adice"]):
        _csv(folder / "adam/adice.csv", frames["adice"])
    if len(frames["images"]):
        _csv(folder / "images.csv", frames["images"])


def write_truth(
    folder: Path,
    frames: dict[str, pd.DataFrame],
    cohort: pd.DataFrame,
    members: Sequence[Member],
    planted: pd.DataFrame,
    labs: pd.DataFrame,
    settings: dict[str, Any],
) -> None:
    """Write the tables of ``truth/``; its maps and deformations are there already.

    ``labs`` has all subjects at all visits, attended or not.
    """
    truth = folder / "truth"
    arm = cohort[["USUBJID", "TRT01P"]]
    _csv(truth / "types.csv", tissue.types_frame())
    _csv(truth / "flows.csv", planted)
    for name in ("pathways", "composition"):
        _csv(truth / f"{name}.csv", arm.merge(frames[name], on="USUBJID", validate="1:m"))
    for name in ("maps", "deformations"):
        if len(frames[name]):
            _csv(truth / f"{name}.csv", frames[name])
    subjects = [
        {
            "USUBJID": m.subject, "DOSE": m.dose, "RESPONSE": m.severity.response,
            "SCANNER": m.scanner.name, "LEAVEWK": m.withdrawn_week,
            "STOPWK": m.stopped_week, **_factors(m),
        }
        for m in members
    ]  # fmt: skip
    _csv(truth / "subjects.csv", pd.DataFrame(subjects))
    columns = ["USUBJID", "TRT01P", "PARAMCD", "AVISIT", "AVISITN", "AVAL", "UNSTOPPED"]
    true = arm.merge(labs.drop(columns="AVAL").rename(columns={"TRUE": "AVAL"}), on="USUBJID")
    true = true[columns].round(6).sort_values(["USUBJID", "PARAMCD", "AVISITN"])
    _csv(truth / "labs.csv", true)
    write_json(truth / "settings.json", settings)


def write_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Validate a plan and write it as ``plan.yaml``."""
    Plan.model_validate(plan)
    text = yaml.safe_dump(plan, sort_keys=False, allow_unicode=True, width=100)
    write_text(folder / "plan.yaml", text)


def _csv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def _factors(member: Member) -> dict[str, float]:
    factors = dataclasses.asdict(member.severity.physiology)
    return {f"{name.upper()}FACTOR": value for name, value in factors.items()}
