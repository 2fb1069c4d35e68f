"""A BIDS dataset is a list of images: labels become subjects, visits and sequences."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from livertrack.bids import bids_images
from livertrack.errors import DataError
from livertrack.study import read_study, study_findings

from .conftest import SUBJECTS, VISITS, good_frames, good_plan

pytest.importorskip("ancpbids", reason="ancpbids is not installed (extra io)")


def label(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def describe(folder: Path, **more: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"Name": "small", "BIDSVersion": "1.9.0", **more}
    (folder / "dataset_description.json").write_text(json.dumps(facts))


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ones((4, 4, 3), np.uint8), np.eye(4)), path)
    return path


def dataset(root: Path, subjects, visits, *, masks=("desc-liver_dseg",)) -> Path:
    """In phase and opposed phase of every scan, with masks in a derivative."""
    describe(root)
    describe(root / "derivatives" / "segment", DatasetType="derivative")
    for subject in subjects:
        for visit in visits:
            place = Path(f"sub-{label(subject)}") / f"ses-{label(visit)}" / "anat"
            stem = f"sub-{label(subject)}_ses-{label(visit)}"
            for part in ("acq-ip_T1w", "acq-op_T1w"):
                image(root / place / f"{stem}_{part}.nii.gz")
            for name in masks:
                image(root / "derivatives" / "segment" / place / f"{stem}_{name}.nii.gz")
    return root


def test_labels_become_subjects_visits_and_sequences(tmp_path):
    subjects, visits = ["01-001", "01-002"], ["Baseline", "Week 12"]
    folder = dataset(tmp_path / "bids", subjects, ["baseline", "week12"])
    found = bids_images(folder, sequences=["IP", "OP"], subjects=subjects, visits=visits)
    assert list(found.columns) == ["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    assert len(found) == 8
    assert set(found["USUBJID"]) == set(subjects)
    assert found["AVISIT"].drop_duplicates().tolist() == visits
    assert found["AVISITN"].drop_duplicates().tolist() == [0, 1]
    row = found.iloc[0]
    assert Path(row["IMAGE"]).name == "sub-01001_ses-baseline_acq-ip_T1w.nii.gz"
    assert Path(row["MASK"]).name == "sub-01001_ses-baseline_desc-liver_dseg.nii.gz"
    assert "derivatives" in row["MASK"]


def test_without_wishes_every_image_has_its_whole_name(tmp_path):
    folder = dataset(tmp_path / "bids", ["A"], ["x"], masks=())
    found = bids_images(folder)
    assert found["SEQUENCE"].tolist() == ["ip_T1w", "op_T1w"]
    assert found["MASK"].isna().all()
    assert found["AVISIT"].tolist() == ["x", "x"]


def test_sessions_are_named_by_the_caller_where_labels_differ(tmp_path):
    folder = dataset(tmp_path / "bids", ["A"], ["v1", "v2"])
    found = bids_images(
        folder, sequences=["IP"], visits=["Baseline", "Week 12"],
        sessions={"v1": "Baseline", "v2": "Week 12"},
    )  # fmt: skip
    assert found["AVISIT"].tolist() == ["Baseline", "Week 12"]


def test_a_dataset_without_sessions_is_of_the_first_visit(tmp_path):
    describe(tmp_path)
    image(tmp_path / "sub-A" / "anat" / "sub-A_PDFFmap.nii.gz")
    found = bids_images(tmp_path, sequences=["PDFFmap"], visits=["Baseline", "Week 12"])
    assert found[["USUBJID", "AVISIT", "SEQUENCE"]].to_numpy().tolist() == [
        ["A", "Baseline", "PDFFmap"]
    ]


def test_two_masks_of_a_scan_are_refused_unless_one_is_the_liver(tmp_path):
    several = dataset(tmp_path / "one", ["A"], ["x"], masks=("desc-a_dseg", "desc-b_mask"))
    with pytest.raises(DataError, match=r"1 scan\(s\) have several masks"):
        bids_images(several)
    both = dataset(tmp_path / "two", ["A"], ["x"], masks=("desc-spleen_mask", "label-liver_mask"))
    assert bids_images(both)["MASK"].str.contains("label-liver").all()


def test_the_derivative_can_be_named(tmp_path):
    folder = dataset(tmp_path / "bids", ["A"], ["x"])
    other = folder / "derivatives" / "expert"
    describe(other, DatasetType="derivative")
    image(other / "sub-A" / "ses-x" / "anat" / "sub-A_ses-x_desc-liver_dseg.nii.gz")
    with pytest.raises(DataError, match="several masks"):
        bids_images(folder)
    assert bids_images(folder, masks="expert")["MASK"].str.contains("expert").all()


def test_an_ambiguous_sequence_is_refused(tmp_path):
    folder = dataset(tmp_path / "bids", ["A"], ["x"])
    with pytest.raises(DataError, match="name sequences in full"):
        bids_images(folder, sequences=["T1w"])


def test_echoes_of_a_group_are_the_maps_made_of_them(tmp_path):
    describe(tmp_path)
    for echo in (1, 2, 3):
        for part in ("mag", "phase"):
            image(tmp_path / "sub-A" / "anat" / f"sub-A_echo-{echo}_part-{part}_MEGRE.nii.gz")
    found = bids_images(tmp_path, sequences=["PDFF", "R2STAR"])
    assert found["SEQUENCE"].tolist() == ["PDFF", "R2STAR"]
    assert [Path(p).name.split("#")[1] for p in found["IMAGE"]] == ["pdff", "r2star"]
    assert bids_images(tmp_path, sequences=["PDFF"])["SEQUENCE"].tolist() == ["PDFF"]


def test_a_folder_that_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(DataError, match="dataset_description"):
        bids_images(tmp_path)


def plan(**more: object) -> dict[str, object]:
    given = {"sequences": ["IP", "OP"], "bids": {"folder": "bids"}, **more}
    return {**good_plan(), "imaging": given}


def test_a_study_reads_its_images_from_the_dataset_of_its_plan(write):
    folder = write(good_frames(), plan())
    dataset(folder / "bids", SUBJECTS, VISITS)
    study = read_study(folder)
    assert study.images is not None
    assert len(study.images) == len(SUBJECTS) * len(VISITS) * 2
    assert set(study.images["USUBJID"]) == set(SUBJECTS)
    assert set(study.images["AVISIT"]) == set(VISITS)
    assert all(Path(path).is_file() for path in study.images["IMAGE"])


def test_a_dataset_that_cannot_be_read_is_a_finding(write):
    folder = write(good_frames(), plan())
    _, found = study_findings(folder)
    assert any("no BIDS dataset" in item.problem for item in found)
    dataset(folder / "bids", SUBJECTS[:1], VISITS[:1])
    (folder / "images.csv").write_text("USUBJID\n")
    _, found = study_findings(folder)
    assert any("beside a BIDS dataset" in item.problem for item in found)
