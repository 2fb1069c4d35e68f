"""Replication end to end: everything frozen, nothing of the first cohort admitted again."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import livertrack as lt
from livertrack._files import hash_file
from livertrack._results import ard_result
from livertrack.cli import main
from livertrack.errors import DataError, UsageError
from livertrack.pipeline.replicate import FirstCohort
from livertrack.pipeline.rerun import rerun
from tests.pipeline.conftest import edit_plan, quicken


def _pathways_only(plan):
    quicken(plan)
    plan["imaging"]["truth"] = None
    plan["analyses"] = [a for a in plan["analyses"] if a["endpoint"] == "change_pathways"]
    for analysis in plan["analyses"]:
        analysis["estimand"] = None
    plan["estimands"] = []
    plan.pop("multiplicity", None)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second cohort of other subjects."""
    study = tmp_path_factory.mktemp("second") / "study"
    lt.simulate_trial(
        study, n_per_arm=3, seed=12, prefix="NEW", shape=(48, 36, 16), spacing=(6.4, 6.4, 8.0),
        dropout=0.0, missed_scans=0.0,
    )  # fmt: skip
    edit_plan(study, _pathways_only)
    return study


@pytest.fixture(scope="module")
def replicated(finished: Path, second: Path) -> Path:
    """Run folder of the second cohort."""
    out = second.parent / "replication"
    lt.replicate(second, frozen=finished, out=out, choose="top", top=4, formats=())
    return out


def test_the_vocabulary_is_the_first_one_byte_for_byte(finished: Path, replicated: Path) -> None:
    name = "vocabulary.safetensors"
    assert (finished / name).read_bytes() == (replicated / name).read_bytes()
    facts = json.loads((replicated / "manifest.json").read_text())["frozen"]
    assert facts["files"][name] == hash_file(finished / name)
    assert (facts["choose"], facts["top"]) == ("top", 4)


def test_the_frozen_flows_are_tested_and_no_other(finished: Path, replicated: Path) -> None:
    frozen = FirstCohort.read(finished, choose="top", top=4).frozen
    ard = pd.read_parquet(replicated / "ard" / "replicate.parquet")
    for name, part in ard.groupby("variable"):
        stored = ard_result(part)
        assert len(stored.table) == len(frozen[name].chosen) == 4
        keys = ["arm", "region", "from_type", "to_type"]
        assert stored.table[keys].astype(str).to_numpy().tolist() == (
            frozen[name].chosen[keys].astype(str).to_numpy().tolist()
        )
        assert stored.settings["n_chosen"] == 4


@pytest.mark.slow
def test_a_rerun_of_the_replication_agrees(replicated: Path, second: Path) -> None:
    report = rerun(replicated, study=second)
    assert report["same"], report["differences"][:5]


def test_a_subject_of_the_first_cohort_is_refused(trial: Path, finished: Path) -> None:
    count = pd.read_csv(trial / "adam" / "adsl.csv", dtype=str)["USUBJID"].nunique()
    with pytest.raises(DataError, match=rf"{count} subject\(s\) of the second cohort") as caught:
        lt.replicate(trial, frozen=finished)
    assert "SIM-" not in str(caught.value)


def test_an_image_of_the_first_cohort_is_refused_whatever_its_name(
    trial: Path, finished: Path, second: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(second, study)
    images = pd.read_csv(study / "images.csv", dtype=str)
    taken = pd.read_csv(trial / "images.csv", dtype=str)
    shutil.copy(trial / taken["IMAGE"][0], study / images["IMAGE"][0])
    with pytest.raises(DataError, match=r"1 image file\(s\) and 0 table\(s\)"):
        lt.replicate(study, frozen=finished)


def test_a_first_run_that_was_altered_is_refused(
    finished: Path, second: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    (out / "ard" / "change_pathways.parquet").write_bytes(b"other")
    with pytest.raises(DataError, match=r"altered or lost since the run: ard/change_pathways"):
        lt.replicate(second, frozen=out)


def test_a_run_without_pathways_cannot_be_a_first_cohort(
    finished: Path, second: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    manifest = json.loads((finished / "manifest.json").read_text())
    manifest["outputs"] = {}
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="needs images and an analysis change_pathways"):
        lt.replicate(second, frozen=out)


def test_the_command_line_names_the_refusal(
    trial: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["replicate", str(trial), "--frozen", str(finished), "--out", str(tmp_path / "o")]
    assert main(words) == 1
    assert "same USUBJID" in capsys.readouterr().err
    assert main([*words, "--arm", "Drug"]) == 2
