"""A run on inputs that users have: a BIDS dataset, a fat map as a channel, vessels, gaps."""

import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

import livertrack as lt
from livertrack.errors import DataError
from livertrack.pipeline.inputs import hash_inputs

pytest.importorskip("ancpbids", reason="ancpbids is not installed (extra io)")

SHAPE, AFFINE = (28, 26, 12), np.diag([3.0, 3.0, 4.0, 1.0])
ARMS, VISITS = ["Placebo", "Active"], ["Baseline", "Week 12"]
SUBJECTS = [f"01-{number:03d}" for number in range(1, 9)]
SEQUENCES = {"IP": "acq-ip_T1w", "PDFF": "PDFFmap"}


def plan(**imaging):
    return {
        "study": {"id": "BIDS", "title": "A study of a BIDS dataset", "simulated": True},
        "seed": 3,
        "data": {
            "arms": ARMS, "reference": "Placebo", "visits": VISITS, "baseline": "Baseline",
        },
        "imaging": {
            "sequences": ["ip_T1w", "PDFFmap"], "bids": {"folder": "bids"}, "liver_label": 5,
            "reference_label": 1, "vessel_label": 7, "method": "kmeans", "n_types": 3,
            "quantitative": {"PDFFmap": 20}, "measures": ["LVOL"], "bias_field": "none",
            "regions": [{"shells": 2}, {"sectors": 2}, {"vessel_distance_mm": [9]}],
            "correspondence": "rigid", "spacing_mm": [3, 3, 4], "min_voxels": 50,
            "limits": {"volume_ml": [10, 3000]}, **imaging,
        },
        "analyses": [
            {"id": "volume", "endpoint": "ancova", "title": "Liver volume", "visit": "Week 12",
             "parameters": ["LVOL"]},
        ],
    }  # fmt: skip


def write_scan(root, subject, visit, rng, *, drop=()):
    liver = np.zeros(SHAPE, bool)
    liver[3:21, 3 : 21 + int(rng.integers(0, 3)), 2:10] = True
    labels = np.where(liver, 5, 0).astype(np.uint8)
    labels[23:27, 8:16, 3:9] = 1
    labels[9:11, 10:12, 2:10] = 7
    values = {
        "IP": np.where(liver, 100, 50) + 5 * rng.standard_normal(SHAPE),
        "PDFF": np.where(np.indices(SHAPE)[0] < 12, 5, 20) + rng.standard_normal(SHAPE),
    }
    sub, ses = (re.sub(r"\W", "", text) for text in (subject, visit))
    place, stem = Path(f"sub-{sub}") / f"ses-{ses}" / "anat", f"sub-{sub}_ses-{ses}"
    mask = Path("derivatives") / "segment" / place / f"{stem}_desc-liver_dseg.nii.gz"
    files = {mask: labels}
    for name, suffix in SEQUENCES.items():
        if name not in drop:
            files[place / f"{stem}_{suffix}.nii.gz"] = values[name].astype(np.float32)
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(data, AFFINE), root / path)


def write_study(folder, *, gap, **imaging):
    """Eight subjects in two arms; with a gap the last scan lacks its fat map."""
    (folder / "adam").mkdir(parents=True)
    arms = [ARMS[i % 2] for i in range(len(SUBJECTS))]
    adsl = pd.DataFrame({"USUBJID": SUBJECTS, "SITEID": "1", "TRT01P": arms, "FASFL": "Y"})
    adsl.to_csv(folder / "adam" / "adsl.csv", index=False)
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan(**imaging), sort_keys=False))
    for root in (folder / "bids", folder / "bids" / "derivatives" / "segment"):
        root.mkdir(parents=True)
        text = json.dumps({"Name": "small", "BIDSVersion": "1.9.0"})
        (root / "dataset_description.json").write_text(text)
    rng = np.random.default_rng(7)
    for subject in SUBJECTS:
        for visit in VISITS:
            last = gap and (subject, visit) == (SUBJECTS[-1], VISITS[-1])
            write_scan(folder / "bids", subject, visit, rng, drop=("PDFF",) if last else ())
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = write_study(tmp_path_factory.mktemp("bids") / "study", gap=True)
    out = folder.parent / "results"
    lt.run_study(folder, out=out)
    return folder, out


def read(out, name):
    return pd.read_parquet(out / "adam" / f"{name}.parquet")


def test_a_scan_that_lacks_a_sequence_is_left_out_with_its_reason(run):
    scans = read(run[1], "adscan")
    assert len(scans) == 16
    lost = scans[scans["SCANFL"].eq("N")]
    assert lost["REASON"].tolist() == ["no PDFFmap sequence"]
    assert (lost["USUBJID"].iloc[0], lost["AVISIT"].iloc[0]) == (SUBJECTS[-1], VISITS[-1])
    assert scans.loc[scans["SCANFL"].eq("Y"), "FLAGS"].eq("").all()


def test_signatures_and_pathways_have_every_region_of_the_plan(run):
    wanted = {"", "SHELL1", "SHELL2", "RIGHT", "LEFT", "VESSEL1", "VESSEL2"}
    for name in ("admri", "adpath"):
        assert set(read(run[1], name)["REGION"]) == wanted
    signature = read(run[1], "admri")
    total = signature.groupby(["USUBJID", "AVISIT", "REGION"])["AVAL"].sum()
    np.testing.assert_allclose(total, 1)


def test_measures_are_records_that_an_analysis_can_use(run):
    volumes = read(run[1], "admap")
    assert set(volumes["PARAMCD"]) == {"LVOL"}
    assert (run[1] / "ard" / "ancova.parquet").is_file()
    ard = pd.read_parquet(run[1] / "ard" / "ancova.parquet")
    assert set(ard["variable"]) == {"LVOL"}


def test_check_finds_the_gap_and_stop_makes_it_an_error(run, tmp_path):
    def gap(folder):
        found = [f for f in lt.check_study(folder) if "every sequence" in f.problem]
        return {f.severity for f in found}

    assert gap(run[0]) == {"warning"}
    stop = write_study(tmp_path / "stop", gap=True, on_error="stop")
    assert "error" in gap(stop)


def test_a_plan_that_asks_to_stop_stops(tmp_path):
    folder = write_study(tmp_path / "stop", gap=True, on_error="stop")
    with pytest.raises(DataError, match="lack one of the sequences ip_T1w, PDFFmap: 1"):
        lt.read_study(folder)


def test_a_measure_that_the_study_has_records_of_is_a_finding(tmp_path):
    folder = write_study(tmp_path / "study", gap=False)
    rows = [[s, "LVOL", v, 1500.0] for s in SUBJECTS for v in VISITS]
    frame = pd.DataFrame(rows, columns=["USUBJID", "PARAMCD", "AVISIT", "AVAL"])
    frame.to_csv(folder / "adam" / "adim.csv", index=False)
    problems = [f.problem for f in lt.check_study(folder) if f.severity == "error"]
    assert problems == ["the study has records of LVOL, which the plan asks to measure"]


def test_every_image_of_the_dataset_is_hashed_as_an_input(run):
    study = lt.read_study(run[0])
    hashes = hash_inputs(run[0], study.images)
    assert sum(name.endswith("_ip_T1w.nii.gz") or "acq-ip" in name for name in hashes) == 16
    assert sum(name.endswith("dseg.nii.gz") for name in hashes) == 16


def test_a_dicom_scan_is_labelled_and_drawn(tmp_path):
    from livertrack.imaging import fit_vocabulary, image_pairs
    from livertrack.pipeline.vocabulary import label_scan

    from ..imaging._dicom import write_series

    rng = np.random.default_rng(2)
    liver = np.zeros(SHAPE, np.uint8)
    liver[3:24, 3:22, 2:10] = 1
    values = np.where(np.indices(SHAPE)[0] < 12, 400, 900) + rng.integers(0, 60, SHAPE)
    affine = np.diag([-3.0, -3.0, 4.0, 1.0])
    write_series(tmp_path / "series", values, affine)
    nib.save(nib.Nifti1Image(liver, affine), tmp_path / "mask.nii.gz")
    images, mask = [tmp_path / "series"], tmp_path / "mask.nii.gz"
    frame = image_pairs([(images[0], mask)]).assign(SEQUENCE="CHANNEL1")
    words = fit_vocabulary(frame, n_types=2, seed=1, method="kmeans", n_places=800)
    words.save(tmp_path / "words.safetensors")
    written = label_scan(
        images, mask, out=tmp_path / "out", vocabulary=tmp_path / "words.safetensors"
    )
    assert all(path.is_file() for path in written)
    assert any(path.suffix == ".png" for path in written)
    labels = np.asarray(
        nib.load(next(p for p in written if p.name.endswith("dseg.nii.gz"))).dataobj
    )
    assert ((labels > 0) == (liver > 0)).all()
