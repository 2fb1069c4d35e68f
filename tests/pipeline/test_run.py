"""A run writes what the contract lists, resumes, survives bad scans and can be rerun."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.cli import main
from livertrack.pipeline import run as run_module
from livertrack.pipeline.rerun import compare_runs, rerun
from tests.pipeline.conftest import edit_plan


def test_a_run_leaves_what_the_contract_lists(finished: Path) -> None:
    for name in (
        "vocabulary.safetensors", "adam/admri.parquet", "adam/adpath.parquet", "report.html",
        "manifest.json",
    ):  # fmt: skip
        assert (finished / name).is_file(), name
    for folder in ("ard", "tables", "figures", "maps"):
        assert any((finished / folder).iterdir()), folder
    maps = [path.name for path in (finished / "maps").glob("*.nii.gz")]
    assert all(
        re.fullmatch(r"sub-\w+_ses-\w+_desc-vocab_(dseg|probseg)\.nii\.gz", name) for name in maps
    )


def test_signatures_sum_to_one_and_pathways_too(finished: Path) -> None:
    admri = pd.read_parquet(finished / "adam" / "admri.parquet")
    sums = admri.groupby(["USUBJID", "AVISIT", "REGION"])["AVAL"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-9)
    adpath = pd.read_parquet(finished / "adam" / "adpath.parquet")
    sums = adpath.groupby(["USUBJID", "AVISIT", "REGION"])["AVAL"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-9)


def test_pathways_are_counted_from_probabilities(finished: Path) -> None:
    scans = pd.read_parquet(finished / "adam" / "adscan.parquet")
    pairs = pd.read_parquet(finished / "adam" / "adreg.parquet")
    maps = sorted(name.replace("_dseg", "_probseg") for name in scans["MAP"] if name)
    found = sorted(path.name for path in (finished / "maps").glob("*_probseg.nii.gz"))
    assert found == maps
    aligned = pairs["METHOD"].eq("voxel")
    assert aligned.any()
    assert pairs.loc[aligned, "SOFTFL"].eq("Y").all()


def test_label_maps_cover_the_mask_on_its_grid(trial: Path, finished: Path) -> None:
    scans = pd.read_parquet(finished / "adam" / "adscan.parquet")
    images = pd.read_csv(trial / "images.csv", dtype=str)
    first = scans[scans["MAP"].ne("")].iloc[0]
    row = images[
        images["USUBJID"].eq(first["USUBJID"]) & images["AVISIT"].eq(first["AVISIT"])
    ].iloc[0]
    mask, labels = nib.load(trial / row["MASK"]), nib.load(finished / "maps" / first["MAP"])
    np.testing.assert_allclose(mask.affine, labels.affine)
    inside = np.asarray(mask.dataobj) == 5
    assert ((np.asarray(labels.dataobj) > 0) == inside).all()


def test_every_planned_analysis_has_results(trial: Path, finished: Path) -> None:
    plan = lt.read_plan(trial)
    ard = pd.concat([pd.read_parquet(path) for path in (finished / "ard").glob("*.parquet")])
    assert {a.id for a in plan.analyses} <= set(ard["analysis"])
    assert {"disposition", "baseline_table", "signature_summary", "scan_quality"} <= set(
        ard["analysis"]
    )


def test_no_subject_is_named_outside_the_datasets(trial: Path, finished: Path) -> None:
    subjects = pd.read_csv(trial / "adam" / "adsl.csv", dtype=str)["USUBJID"]
    report = (finished / "report.html").read_text(encoding="utf-8")
    ard = pd.concat([pd.read_parquet(path) for path in (finished / "ard").glob("*.parquet")])
    text = " ".join(ard.select_dtypes(object).astype(str).to_numpy().ravel())
    assert not [s for s in subjects if s in report or s in text]


def test_a_second_run_does_nothing_again(trial: Path, finished: Path) -> None:
    before = (finished / "manifest.json").read_bytes()
    summary = lt.run_study(trial, out=finished)
    assert summary.done == ()
    assert (finished / "manifest.json").read_bytes() == before


def test_an_interrupted_run_goes_on_and_ends_the_same(
    trial: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results"
    shutil.copytree(finished, out)
    for name in ("ard-separation", "pathways"):
        (out / ".state" / f"{name}.json").unlink()
    (out / "adam" / "adpath.parquet").unlink()
    (out / "manifest.json").unlink()
    summary = lt.run_study(trial, out=out)
    assert "vocabulary" in summary.kept
    assert {"pathways", "ard-separation"} <= set(summary.done)
    differences, counts = compare_runs(finished, out)
    assert differences == []
    assert counts["statistics"] > 100


def test_a_rerun_agrees_and_a_changed_byte_is_named(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    lt.run_study(copy, out=out, formats=())
    assert main(["rerun", str(out / "manifest.json")]) == 0
    assert "the rerun agrees" in capsys.readouterr().out
    image = sorted((copy / "images").glob("*.nii.gz"))[0]
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    image.write_bytes(bytes(data))
    assert main(["rerun", str(out / "manifest.json")]) == 1
    assert f"input: images/{image.name}: changed" in capsys.readouterr().out


def test_a_changed_number_is_named(finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "results"
    shutil.copytree(finished, other)
    path = other / "ard" / "ancova.parquet"
    ard = pd.read_parquet(path)
    row = ard.index[ard["stat_name"].eq("estimate")][0]
    ard.loc[row, "stat"] += 1e-6
    ard.to_parquet(path, index=False)
    differences, _ = compare_runs(finished, other)
    assert len(differences) == 1
    assert "ard/ancova.parquet" in differences[0]
    assert "estimate" in differences[0]


def test_an_altered_output_is_named(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    lt.run_study(copy, out=out, formats=())
    (out / "plan.json").write_text("{}")
    report = rerun(out)
    assert not report["same"]
    assert report["outputs"] == ["plan.json: altered since the run"]


@pytest.mark.parametrize(
    "what", ["no mask", "empty mask", "other grid", "NaN", "truncated", "huge"]
)
def test_a_bad_scan_is_listed_and_left_out_and_the_others_kept(
    copy: Path, tmp_path: Path, what: str
) -> None:
    spoil(copy, what)
    findings = lt.check_study(copy)
    assert len([f for f in findings if f.dataset == "images"]) >= 1
    out = tmp_path / "results"
    lt.run_study(copy, out=out, formats=())
    scans = pd.read_parquet(out / "adam" / "adscan.parquet")
    excluded = scans[scans["SCANFL"].eq("N")]
    assert len(excluded) == 1
    assert excluded["REASON"].iloc[0]
    assert (out / "manifest.json").is_file()


def test_a_bad_scan_stops_where_the_plan_says_so(copy: Path, tmp_path: Path) -> None:
    edit_plan(copy, lambda plan: plan["imaging"].update(on_error="stop"))
    spoil(copy, "empty mask")
    with pytest.raises(lt.DataError, match=r"images\.MASK"):
        lt.run_study(copy, out=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_an_analysis_that_cannot_be_computed_is_said_and_stops_no_other(
    copy: Path, tmp_path: Path
) -> None:
    def change(plan: dict[str, Any]) -> None:
        plan["imaging"] = None
        plan["analyses"] += [
            {"id": "none", "endpoint": "separation", "visit": "Week 48", "parameters": ["ALTX"]}
        ]

    edit_plan(copy, change)
    out = tmp_path / "results"
    assert main(["run", str(copy), "--out", str(out)]) == 1
    ard = pd.read_parquet(out / "ard" / "separation.parquet")
    assert "did you mean 'ALT'" in ard["stat_chr"].iloc[0]
    assert (out / "ard" / "ancova.parquet").is_file()
    assert "did you mean" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["check", "STUDY"], 3), (["run", "STUDY", "--out", "OUT"], 3), (["rerun", "OUT"], 2)],
)
def test_exit_codes_tell_the_kind_of_error(tmp_path: Path, argv: list[str], code: int) -> None:
    words = [str(tmp_path / word) if word.isupper() else word for word in argv]
    assert main(words) == code


def test_json_is_json(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(trial), "--json"])
    assert isinstance(json.loads(capsys.readouterr().out), list)


def test_the_run_folder_may_not_be_the_study(trial: Path) -> None:
    with pytest.raises(lt.UsageError, match="must not be the study"):
        run_module.run_study(trial, out=trial)


def spoil(study: Path, what: str) -> None:
    """Damage one scan of a study."""
    rows = pd.read_csv(study / "images.csv", dtype=str)
    image, mask = study / rows["IMAGE"].iloc[0], study / rows["MASK"].iloc[0]
    if what == "no mask":
        mask.unlink()
    elif what == "truncated":
        image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    elif what == "huge":
        header = nib.Nifti1Header()
        header.set_data_dtype(np.float64)
        header.set_data_shape((32000, 32000, 128))
        image.unlink()
        path = image.with_name("huge.nii")
        path.write_bytes(header.binaryblock + b"\0" * 4)
        rows.loc[0, "IMAGE"] = str(path.relative_to(study))
        rows.to_csv(study / "images.csv", index=False)
    else:
        source = nib.load(mask if what == "empty mask" else image)
        data, affine = np.asarray(source.dataobj).astype(np.float32), source.affine
        if what == "empty mask":
            data[:] = 0
            image = mask
        if what == "other grid":
            data, affine = data[: data.shape[0] // 2], np.diag([9.0, 5.0, 4.0, 1.0])
        if what == "NaN":
            data[:] = np.nan
        nib.save(nib.Nifti1Image(data, affine), image)
