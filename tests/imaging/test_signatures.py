"""Signature records: proportions of regions, whole files or none, nothing done twice."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from livertrack.errors import ImageError, UsageError
from livertrack.imaging import Vocabulary, fit_vocabulary, image_pairs, signatures
from livertrack.imaging.label_files import map_names, soft_name
from livertrack.imaging.regions import capsule_shells
from livertrack.imaging.scan import Source

from .test_reading import damage

LABELS = {"liver_label": 5, "reference_label": 1}


@pytest.fixture
def vocabulary(study):
    return fit_vocabulary(study, n_types=3, seed=5, steps=10, n_places=800, **LABELS)


def test_proportions_sum_to_one_and_agree_with_the_maps(study, vocabulary, tmp_path):
    result = signatures(study, vocabulary, out=tmp_path / "out", **LABELS)
    total = result.records.groupby(["USUBJID", "AVISIT", "REGION"])["AVAL"].sum()
    assert np.allclose(total, 1)
    assert len(total) == 4 * 4
    row = result.scans.iloc[0]
    image = nib.load(tmp_path / "out" / "maps" / row["MAP"])
    labels = np.asarray(image.dataobj)
    mask = nib.load(study["MASK"].iloc[0])
    assert np.allclose(image.affine, mask.affine)
    assert ((labels > 0) == (np.asarray(mask.dataobj) == 5)).all()
    whole = result.records.query("USUBJID == 'A-0' and AVISIT == 'Baseline' and REGION == ''")
    assert np.allclose(
        whole.set_index("PARAMCD")["AVAL"], [(labels == k).sum() / row["NVOX"] for k in (1, 2, 3)]
    )


def test_base_and_change_are_those_of_the_same_subject_region_and_type(study, vocabulary):
    records = signatures(study, vocabulary, **LABELS).records
    keys = ["USUBJID", "REGION", "PARAMCD"]
    first = records[records["ABLFL"] == "Y"].set_index(keys)["AVAL"]
    later = records[records["AVISIT"] == "Week 12"].set_index(keys)
    assert np.allclose(later["BASE"], first.loc[later.index])
    assert np.allclose(later["CHG"], later["AVAL"] - first.loc[later.index])
    assert records.loc[records["ABLFL"] == "Y", "CHG"].isna().all()


def test_a_scan_that_cannot_be_used_is_left_out_counted_and_the_others_kept(
    study, vocabulary, tmp_path
):
    complete = signatures(study, vocabulary, **LABELS).records
    damage("empty", Path(study["MASK"].iloc[0]))
    damage("truncated", Path(study["IMAGE"].iloc[2]))
    result = signatures(study, vocabulary, out=tmp_path / "out", **LABELS)
    assert list(result.scans["SCANFL"]) == ["N", "N", "Y", "Y"]
    assert "empty" in result.scans["REASON"].iloc[0]
    assert "A-0" not in result.text + " ".join(result.notes)
    assert len(list((tmp_path / "out" / "maps").iterdir())) == 4  # two maps, two files of counts
    kept = complete[complete["USUBJID"] == "A-1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(result.records, kept)


def test_stop_raises_with_the_count_and_the_reason(study, vocabulary):
    damage("empty", Path(study["MASK"].iloc[0]))
    with pytest.raises(ImageError, match=r"1 of 4 scans .*empty.*: 1"):
        signatures(study, vocabulary, on_error="stop", **LABELS)


def test_a_small_mask_is_left_out(study, vocabulary):
    result = signatures(study, vocabulary, min_voxels=10**6, **LABELS)
    assert (result.scans["SCANFL"] == "N").all()
    assert result.records.empty


def test_nothing_is_done_twice_and_a_changed_byte_is_done_again(study, vocabulary, tmp_path):
    first = signatures(study, vocabulary, out=tmp_path, **LABELS)
    maps = {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").iterdir()}
    second = signatures(study, vocabulary, out=tmp_path, **LABELS)
    assert (first.n_reused, second.n_reused) == (0, 4)
    assert maps == {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").iterdir()}
    pd.testing.assert_frame_equal(first.records, second.records)
    pd.testing.assert_frame_equal(first.scans, second.scans)
    with Path(study["IMAGE"].iloc[0]).open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    next((tmp_path / "maps").glob("*A1*Week12*.nii.gz")).write_bytes(b"spoiled")
    third = signatures(study, vocabulary, out=tmp_path, **LABELS)
    assert third.n_reused == 2
    pd.testing.assert_frame_equal(first.scans, third.scans)


def test_probabilities_are_written_with_the_labels_and_change_none(study, vocabulary, tmp_path):
    bare = signatures(study, vocabulary, out=tmp_path / "bare", **LABELS)
    given = {"out": tmp_path / "both", "probabilities": True, **LABELS}
    both = signatures(study, vocabulary, **given)
    pd.testing.assert_frame_equal(bare.scans, both.scans)
    for name in both.scans["MAP"]:
        one, two = (tmp_path / folder / "maps" / name for folder in ("bare", "both"))
        assert one.read_bytes() == two.read_bytes()
        assert two.with_name(soft_name(name)).is_file()
    assert not list((tmp_path / "bare" / "maps").glob("*_probseg*"))
    assert signatures(study, vocabulary, **given).n_reused == 4
    next((tmp_path / "both" / "maps").glob("*A1*Week12*_probseg*")).write_bytes(b"spoiled")
    assert signatures(study, vocabulary, **given).n_reused == 3
    assert signatures(study, vocabulary, out=tmp_path / "both", **LABELS).n_reused == 0
    assert not list((tmp_path / "both" / "maps").glob("*_probseg*"))


def test_row_order_column_order_and_workers_do_not_matter(study, vocabulary):
    one = signatures(study, vocabulary, **LABELS)
    shuffled = study.sample(frac=1, random_state=1)[study.columns[::-1]]
    two = signatures(shuffled, vocabulary, workers=2, **LABELS)
    pd.testing.assert_frame_equal(one.records, two.records)
    pd.testing.assert_frame_equal(one.scans, two.scans)


def test_pairs_of_image_and_mask_need_no_table(study):
    part = study[study["SEQUENCE"] == "IP"]
    frame = image_pairs(zip(part["IMAGE"], part["MASK"], strict=True))
    vocabulary = fit_vocabulary(frame, n_types=2, seed=1, steps=3, n_places=300, **LABELS)
    result = signatures(frame, vocabulary, **LABELS)
    assert list(result.scans["USUBJID"]) == ["001", "002", "003", "004"]


def test_file_names_hold_letters_and_digits_and_never_collide():
    subjects = ["A-1", "A1", "a.1", "B/2", "ä"]
    names = map_names([Source(subject, "Week 12", 12.0) for subject in subjects])
    assert len({name.lower() for name in names}) == len(names)
    assert names[3] == "sub-B2_ses-Week12_desc-vocab_dseg.nii.gz"


def test_shells_have_equal_volumes_and_the_first_is_the_capsule():
    grid = np.stack(np.meshgrid(*[np.arange(-20, 21)] * 3, indexing="ij"))
    ball = (grid**2).sum(0) <= 18**2
    shells = capsule_shells(ball, (1.0, 1.0, 1.0), 3)
    counts = np.bincount(shells[ball])[1:]
    assert counts.min() > 0.8 * counts.max()
    assert shells[20, 20, 20] == 3
    assert shells[20, 20, 2] == 1
    assert (capsule_shells(ball, (1.0, 1.0, 1.0), 0) == 0).all()


def test_unknown_tissue_is_counted_and_left_out_where_asked(study, vocabulary, tmp_path):
    image = nib.load(study["IMAGE"].iloc[0])
    values = np.asarray(image.dataobj).copy()
    values[6:14, 6:16, 3:9] *= 9
    nib.save(nib.Nifti1Image(values, image.affine), study["IMAGE"].iloc[0])
    kept = signatures(study, vocabulary, out=tmp_path / "kept", **LABELS)
    left = signatures(study, vocabulary, out=tmp_path / "left", unknown="exclude", **LABELS)
    share = kept.scans["UNKNOWN"]
    assert share.iloc[0] > 0.15
    assert share.iloc[1:].max() < 0.02
    pd.testing.assert_series_equal(share, left.scans["UNKNOWN"])
    for result, part in ((kept, 1.0), (left, 1 - share.iloc[0])):
        first = result.records.query("USUBJID == 'A-0' and AVISIT == 'Baseline' and REGION == ''")
        assert first["AVAL"].sum() == pytest.approx(1)
        assert (first["NVOX"] == round(part * kept.scans["NVOX"].iloc[0])).all()
    with pytest.raises(UsageError, match="unknown"):
        signatures(study, vocabulary, unknown="drop", **LABELS)


@pytest.mark.parametrize("after", [0, 2, 3])
def test_an_interrupted_run_is_resumed_with_the_same_result_and_nothing_done_twice(
    study, vocabulary, tmp_path, monkeypatch, after
):
    whole = signatures(study, vocabulary, out=tmp_path / "whole", **LABELS)
    original, calls = Vocabulary.labelled, []

    def stops(self, scan, **options):
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(1)
        return original(self, scan, **options)

    monkeypatch.setattr(Vocabulary, "labelled", stops)
    with pytest.raises(KeyboardInterrupt):
        signatures(study, vocabulary, out=tmp_path / "cut", **LABELS)
    monkeypatch.setattr(Vocabulary, "labelled", original)
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut" / "maps").glob("*")}
    again = signatures(study, vocabulary, out=tmp_path / "cut", **LABELS)
    assert again.n_reused == after
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    pd.testing.assert_frame_equal(whole.records, again.records)
    pd.testing.assert_frame_equal(whole.scans, again.scans)


@pytest.mark.slow
def test_a_killed_run_is_resumed_with_the_same_files(study, vocabulary, tmp_path):
    study.to_csv(tmp_path / "images.csv", index=False)
    vocabulary.save(tmp_path / "v.safetensors")
    code = (
        "import pandas as pd; from livertrack.imaging import Vocabulary, signatures;"
        f"signatures(pd.read_csv(r'{tmp_path / 'images.csv'}'), "
        f"Vocabulary.load(r'{tmp_path / 'v.safetensors'}'), out=r'{tmp_path / 'killed'}', "
        "liver_label=5, reference_label=1)"
    )
    maps = tmp_path / "killed" / "maps"
    with subprocess.Popen([sys.executable, "-c", code]) as running:
        while running.poll() is None and len(list(maps.glob("sub-*.json"))) < 2:
            time.sleep(0.001)
        running.send_signal(signal.SIGKILL)
    done = {path: path.stat().st_mtime_ns for path in maps.glob("sub-*.json")}
    again = signatures(study, vocabulary, out=tmp_path / "killed", **LABELS)
    signatures(study, vocabulary, out=tmp_path / "whole", **LABELS)
    assert again.n_reused >= 2
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    for path in (tmp_path / "whole" / "maps").iterdir():
        assert path.read_bytes() == (maps / path.name).read_bytes()
