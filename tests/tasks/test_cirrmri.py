"""Reader of CirrMRI600+: what simulation writes comes back, and what is wrong is said."""

import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from livertrack.errors import DataError, UsageError
from livertrack.simulate.staging import simulate_cirrhosis
from livertrack.simulate.staging_files import MARKER, write_cirrmri
from livertrack.tasks._volumes import SlabRules
from livertrack.tasks.cirrmri import read_cirrmri

RULES = SlabRules(places=(0.5,))
COHORT = simulate_cirrhosis(5, seed=7, missing=0.4)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_cirrmri(COHORT, tmp_path_factory.mktemp("cirr"), seed=7)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "copy")


@pytest.fixture(scope="module")
def cases(original):
    return read_cirrmri(original, rules=RULES)


def some(folder, kind, short="T1"):
    return sorted(folder.glob(f"Cirrhosis_{short}_3D/*_{kind}/*.nii.gz"))[0]


def test_subjects_stages_and_gaps_come_back(cases):
    assert list(cases.frame["USUBJID"]) == list(COHORT.frame["USUBJID"])
    assert list(cases.frame["STAGE"]) == list(COHORT.frame["STAGE"])
    held = [[s in scan for s in ("T1W", "T2W")] for scan in COHORT.scans]
    np.testing.assert_array_equal(cases.inputs["present"], np.array(held, np.float32))
    assert cases.inputs["present"].sum(axis=1).min() == 1
    blank = cases.frame["SPLIT_T1W"].eq("")
    assert (blank == cases.frame["T1W_MEAN"].isna()).all()
    assert cases.simulated


def test_signal_is_relative_to_the_liver_whatever_the_gain(cases):
    images, masks = cases.inputs["images"], cases.inputs["masks"]
    for place in range(len(images)):
        for sequence in np.flatnonzero(cases.inputs["present"][place]):
            liver = masks[place, sequence] > 0.99
            assert abs(np.median(images[place, sequence][liver])) < 0.25
    assert images.min() >= -1
    assert images.max() <= 3


def test_an_image_stored_along_other_axes_is_the_same_case(folder, cases):
    for kind in ("images", "masks"):
        for path in folder.glob(f"*/*_{kind}/*.nii.gz"):
            turned = nib.as_closest_canonical(nib.load(path))
            nib.save(turned, path)
    again = read_cirrmri(folder, rules=RULES)
    np.testing.assert_allclose(again.inputs["images"], cases.inputs["images"], atol=1e-5)
    assert list(again.frame["HASH"]) == list(cases.frame["HASH"])


def test_an_unpacked_archive_may_repeat_its_name(folder, cases):
    place = folder / "Cirrhosis_T1_3D"
    place.rename(folder / "moved")
    place.mkdir()
    (folder / "moved").rename(place / "Cirrhosis_T1_3D")
    assert list(read_cirrmri(folder, rules=RULES).frame["HASH"]) == list(cases.frame["HASH"])


def test_one_sequence_is_enough_and_real_data_are_not_called_simulated(folder):
    shutil.rmtree(folder / "Cirrhosis_T2_3D")
    (folder / MARKER).unlink()
    found = read_cirrmri(folder, rules=RULES)
    assert found.inputs["present"][:, 1].sum() == 0
    assert not found.simulated


def test_stages_may_be_unknown(folder):
    for path in folder.glob("Metadata/*.csv"):
        pd.read_csv(path, encoding="utf-8-sig").drop(columns="Radiological Evaluation").to_csv(
            path, index=False
        )
    assert "STAGE" not in read_cirrmri(folder, rules=RULES).frame


def test_masks_and_images_that_do_not_match_are_counted(folder):
    some(folder, "masks").unlink()
    last = sorted(folder.glob("Cirrhosis_T1_3D/*_images/*.nii.gz"))[-1]
    last.unlink()
    with pytest.raises(DataError, match=r"image\(s\) without a mask.*mask\(s\) without an image"):
        read_cirrmri(folder, rules=RULES)


def test_a_missing_table_is_named(folder):
    shutil.rmtree(folder / "Metadata")
    with pytest.raises(DataError, match=r"age_gender_evaluation\.csv"):
        read_cirrmri(folder, rules=RULES)


def test_a_subject_in_two_splits_is_refused(folder):
    for kind in ("images", "masks"):
        source = some(folder, kind)
        split = "valid" if "train" in source.parent.name else "train"
        target = source.parent.with_name(f"{split}_{kind}") / source.name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source, target)
    with pytest.raises(DataError, match=r"1 subject\(s\) in more than one of train, valid, test"):
        read_cirrmri(folder, rules=RULES)


def test_the_same_image_under_two_subjects_is_refused(folder):
    for kind in ("images", "masks"):
        first, second = sorted(folder.glob(f"Cirrhosis_T1_3D/*_{kind}/*.nii.gz"))[:2]
        shutil.copy(first, second)
    with pytest.raises(DataError, match=r"1 image\(s\) belong to more than one subject"):
        read_cirrmri(folder, rules=RULES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: mask[:-1], "another grid"),
        (lambda mask: np.zeros_like(mask), "mask is empty"),
    ],
)
def test_masks_that_cannot_be_used_are_refused(folder, change, message):
    path = some(folder, "masks")
    image = nib.load(path)
    nib.save(nib.Nifti1Image(change(np.asarray(image.dataobj)), image.affine), path)
    with pytest.raises(DataError, match=message):
        read_cirrmri(folder, rules=RULES)


def test_stages_outside_three_and_two_of_one_subject_are_refused(folder):
    path = folder / "Metadata" / "T1_age_gender_evaluation.csv"
    table = pd.read_csv(path, encoding="utf-8-sig")
    table.loc[0, "Radiological Evaluation"] = 4
    table.to_csv(path, index=False)
    with pytest.raises(DataError, match=r"1 row\(s\) are not 1, 2 or 3"):
        read_cirrmri(folder, rules=RULES)


def test_an_empty_folder_says_what_is_expected(tmp_path):
    with pytest.raises(DataError, match="Cirrhosis_T1_3D or Cirrhosis_T2_3D"):
        read_cirrmri(tmp_path)


@pytest.mark.parametrize("bad", [{"depth": 2}, {"places": (0.0,)}, {"shape": (42, 40)}])
def test_slabs_that_cannot_be_cut_are_refused(bad):
    with pytest.raises(UsageError, match="depth is odd"):
        SlabRules(**bad)
