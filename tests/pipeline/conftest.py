"""A small simulated trial and its run, made once for all pipeline tests."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import livertrack as lt

#: settings that make the run quick; the mechanics are those of the demo
QUICK = {"steps": 12, "n_types": 4, "min_voxels": 50, "bias_field": "none"}


def edit_plan(study: Path, change: Any) -> None:
    """Change the plan of a study in place."""
    path = study / "plan.yaml"
    plan = yaml.safe_load(path.read_text())
    change(plan)
    path.write_text(yaml.safe_dump(plan, sort_keys=False))


def quicken(plan: dict[str, Any]) -> None:
    """Fewer steps, permutations and resamples."""
    plan["imaging"].update(QUICK)
    for analysis in plan["analyses"]:
        options = analysis.setdefault("options", {})
        if analysis["endpoint"] == "change_pathways":
            options["n_perm"] = 99
        if analysis["endpoint"] in ("separation", "compare_separation"):
            options["n_boot"] = 99
        if analysis["endpoint"] == "biopsy_prediction":
            options.update(n_perm=9, n_boot=99, n_folds=3)


def shorten(plan: dict[str, Any]) -> None:
    """Keep the ANCOVAs alone, and k-means in place of the network."""
    plan["imaging"].update(method="kmeans", truth=None, correspondence="none")
    plan["analyses"] = [a for a in plan["analyses"] if a["endpoint"] == "ancova"]
    used = {a.get("estimand") for a in plan["analyses"]}
    plan["estimands"] = [e for e in plan["estimands"] if e["id"] in used]
    plan.pop("multiplicity", None)


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study folder of a trial of five subjects per arm on a coarse grid."""
    study = tmp_path_factory.mktemp("trial") / "study"
    lt.simulate_trial(study, n_per_arm=5, seed=11, shape=(48, 36, 16), spacing=(6.4, 6.4, 8.0))
    edit_plan(study, quicken)
    return study


@pytest.fixture(scope="session")
def finished(trial: Path) -> Path:
    """Run folder of `trial`."""
    out = trial.parent / "results"
    lt.run_study(trial, out=out)
    return out


@pytest.fixture
def copy(trial: Path, tmp_path: Path) -> Path:
    """Return a copy of `trial` that a test may spoil: three subjects with scans, one analysis."""
    study = Path(shutil.copytree(trial, tmp_path / "study"))
    images = pd.read_csv(study / "images.csv", dtype=str)
    kept = images["USUBJID"].isin(sorted(images["USUBJID"].unique())[:3])
    images[kept].to_csv(study / "images.csv", index=False)
    edit_plan(study, shorten)
    return study
