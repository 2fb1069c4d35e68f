"""A run folder in which every endpoint of a plan has results, made from the plan alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import yaml

import livertrack as lt
from livertrack._files import write_json, write_parquet
from livertrack._results import Result
from livertrack.pipeline.analyses import answer
from livertrack.pipeline.multiplicity import family_adjustment
from livertrack.plan import Plan
from livertrack.study import Study
from tests.pipeline.test_every_endpoint import (
    ANALYSES,
    ESTIMAND,
    admissions,
    flows,
    signatures,
)

GRAPH = {
    "method": "graphical",
    "hypotheses": {
        "ALT": {"analysis": "ancova-0", "arm": "High dose"},
        "Wins": {"analysis": "win_ratio-0", "arm": "High dose", "where": {"measure": "win_odds"}},
    },
    "weights": {"ALT": 1.0},
    "transitions": {"ALT": {"Wins": 1.0}},
}


def study(folder: Path) -> Study:
    """Simulated trial without images whose plan names every endpoint; shares are invented."""
    lt.simulate_trial(
        folder, n_per_arm=12, seed=5, shape=(32, 24, 12), spacing=(9.0, 9.0, 10.0), images=False,
        rescans=8,
    )  # fmt: skip
    adsl = lt.read_study(folder).adsl
    admissions(adsl).to_csv(folder / "adam" / "adrec.csv", index=False)
    raw = yaml.safe_load((folder / "plan.yaml").read_text())
    raw["imaging"] = {"sequences": ["IP"], "n_types": 4}
    raw["estimands"] = [ESTIMAND]
    raw["analyses"] = [
        {"id": f"{endpoint}-{place}", "endpoint": endpoint,
         "title": f"Analysis {place} of {endpoint}", **entry}
        for endpoint, entries in ANALYSES.items() for place, entry in enumerate(entries)
    ]  # fmt: skip
    raw["multiplicity"] = GRAPH
    Plan.model_validate(raw)
    data = raw["data"]
    shares = signatures(adsl, data["visits"], list(data["repeats"]))
    shares.to_csv(folder / "adam" / "admri.csv", index=False)
    (folder / "plan.yaml").write_text(yaml.safe_dump(raw))
    return lt.read_study(folder)


def write(out: Path) -> Path:
    """Write the run folder and return it."""
    trial = study(out.parent / "study")
    plan = trial.plan
    noise = flows(trial, "Rescan", kept=0.95).drop(columns="TRT01P")
    some = noise["USUBJID"].isin(trial.adsl["USUBJID"][:10])
    made: dict[str, Any] = {
        "adpath": flows(trial, plan.data.visits[-1], kept=0.3), "adnoise": noise[some],
    }  # fmt: skip
    ards: dict[str, pd.DataFrame] = {}
    for analysis in plan.analyses:
        parts = [
            result.to_ard(analysis=analysis.id, variable=variable)
            for variable, result in answer(trial, analysis, **made)
        ]
        ards[analysis.id] = pd.concat(parts, ignore_index=True)
    files: dict[str, list[pd.DataFrame]] = {}
    for analysis in plan.analyses:
        files.setdefault(analysis.endpoint, []).append(ards[analysis.id])
    files["multiplicity"] = [family_adjustment(plan, ards).to_ard(analysis="multiplicity")]
    mri = trial.records[
        trial.records["DATASET"].eq("admri") & trial.records["AVISIT"].isin(plan.data.visits)
    ]
    files["novel_method"] = [novel("novel")]
    files["signature_summary"] = [lt.signature_summary(mri).to_ard(analysis="signature_summary")]
    for name, parts in files.items():
        write_parquet(out / "ard" / f"{name}.parquet", pd.concat(parts, ignore_index=True))
    write_parquet(out / "adam" / "admri.parquet", mri.astype({"AVISIT": str, "TRT01P": str}))
    write_json(out / "plan.json", plan.model_dump(mode="json"))
    write_json(out / "provenance.json", {
        "plan_hash": plan.hash, "seed": plan.seed, "threads": 1, "study": "SIM",
        "versions": {"livertrack": lt.__version__}, "inputs": {},
        "parameters": dict(zip(trial.records["PARAMCD"], trial.records["PARAM"], strict=True)),
    })  # fmt: skip
    return out


@dataclass(frozen=True, kw_only=True)
class Novel(Result):
    """Result of an endpoint that no section of the report knows."""

    keys: ClassVar[tuple[str, ...]] = ("arm",)
    context: ClassVar[str] = "novel_method"


def novel(analysis: str) -> pd.DataFrame:
    """Analysis results data of such an endpoint."""
    table = pd.DataFrame({
        "arm": ["Low dose", "High dose"], "estimate": [1.23456, np.nan], "p_value": [0.0004, 0.5],
        "n": [12, 11], "clear": [True, False],
    })  # fmt: skip
    result = Novel(table=table, text="Something new was found.")
    return result.to_ard(analysis=analysis, variable="ALT")
