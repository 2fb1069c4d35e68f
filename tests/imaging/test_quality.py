"""Indices of quality say what they should on images made to be bad."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from livertrack.imaging import Scan, inspect_images
from livertrack.imaging.quality import (
    FLAGS,
    Limits,
    flags_of,
    image_numbers,
    mask_numbers,
    quality_numbers,
)

SHAPE, SPACING = (64, 56, 10), (4.0, 4.0, 6.0)
LABELS = {"liver_label": 5, "reference_label": 1}


def body(level=100.0, noise=2.0, ghost=0.0, seed=1):
    """An ellipse in air with a liver, and a ghost of it half a field of view off along y."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    inside = (x / 0.7) ** 2 + (y / 0.45) ** 2 < 1
    image = np.where(inside, level, 0.0)
    image = image + ghost * np.roll(image, SHAPE[1] // 2, axis=1)
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((2, *SHAPE)) * noise
    image = np.hypot(image + parts[0], parts[1])
    liver = np.zeros(SHAPE, bool)
    liver[16:30, 20:36, 2:8] = True
    return image.astype(np.float32), liver & inside


def numbers(image, liver, **more):
    return image_numbers(image[None], liver, SPACING, **more)


@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_signal_to_noise_is_that_of_an_even_liver(noise):
    image, liver = body(noise=noise)
    assert numbers(image, liver)["SNR"] == pytest.approx(100 / noise, rel=0.15)


@pytest.mark.parametrize("ghost", [0.0, 0.05, 0.2])
def test_ghosting_is_found_along_its_axis(ghost):
    image, liver = body(noise=1.0, ghost=ghost)
    found = numbers(image, liver)["GHOST"]
    # part of the ghost lies on the body itself and part of the shadow is free of it
    assert 0.3 * ghost - 0.005 < found < ghost + 0.005


def test_ghosting_is_unknown_without_air():
    image, liver = body()
    assert np.isnan(numbers(image[12:34, 16:40], liver[12:34, 16:40])["GHOST"])
    blank = np.where(image > 30, image, 0).astype(np.float32)
    assert np.isnan(numbers(blank, liver)["GHOST"])


def test_clipping_is_the_share_of_voxels_at_the_end_of_the_scale():
    image, liver = body(noise=5.0)
    assert numbers(image, liver)["CLIPPED"] < 0.001
    top = float(np.quantile(image[liver], 0.9))
    assert numbers(np.minimum(image, top), liver)["CLIPPED"] == pytest.approx(0.1, abs=0.01)
    low = float(np.quantile(image[liver], 0.05))
    raised = numbers(np.maximum(image, low), liver)["CLIPPED"]
    assert raised == pytest.approx(0.05, abs=0.01)


def test_the_worst_channel_counts_and_maps_in_physical_units_do_not():
    good, liver = body(noise=1.0)
    bad, _ = body(noise=8.0, ghost=0.3)
    both = np.stack([good, bad])
    found = image_numbers(both, liver, SPACING)
    alone = numbers(bad, liver)
    assert found == alone
    kept = image_numbers(both, liver, SPACING, quantitative=[False, True])
    assert kept == numbers(good, liver)
    none = image_numbers(both, liver, SPACING, quantitative=[True, True])
    assert all(np.isnan(value) for value in none.values())


def test_mask_numbers_are_counted_by_hand():
    mask = np.zeros((20, 20, 20), bool)
    mask[2:12, 2:12, 2:12] = True
    mask[15:17, 15:17, 15:17] = True
    found = mask_numbers(mask, (2.0, 2.0, 5.0))
    assert found == {
        "NVOX": 1008, "VOLML": pytest.approx(1008 * 20 / 1000), "NCOMP": 2,
        "LARGEST": pytest.approx(1000 / 1008), "BORDERFL": "N",
    }  # fmt: skip
    mask[0, 5, 5] = True
    assert mask_numbers(mask, (2.0, 2.0, 5.0))["BORDERFL"] == "Y"


def test_every_flag_can_be_raised_and_a_missing_number_raises_none():
    good = {
        "VOLML": 1500, "LARGEST": 1.0, "BORDERFL": "N", "SNR": 20, "GHOST": 0.02, "CLIPPED": 0.0,
        "ALIGNMM": 1.0, "SCALED": "body",
    }  # fmt: skip
    assert flags_of(good, Limits()) == []
    assert flags_of({}, Limits()) == []
    bad = {
        "volume": ("VOLML", 100), "parts": ("LARGEST", 0.5), "edge": ("BORDERFL", "Y"),
        "noise": ("SNR", 2), "ghosting": ("GHOST", 0.5), "clipping": ("CLIPPED", 0.2),
        "shift": ("ALIGNMM", 30), "scale": ("SCALED", "liver"),
    }  # fmt: skip
    assert list(bad) == list(FLAGS)
    for flag, (name, value) in bad.items():
        assert flags_of({**good, name: value}, Limits()) == [flag]
    assert flags_of({**good, "VOLML": 6000}, Limits()) == ["volume"]
    loose = replace(Limits(), ghost=1.0)
    assert flags_of({**good, "GHOST": 0.5}, loose) == []


def write(tmp_path, image, labels):
    for name, values in (("image", image), ("mask", labels)):
        nib.save(nib.Nifti1Image(values, np.diag([*SPACING, 1])), tmp_path / f"{name}.nii")
    row = ["A", "Baseline", 0, "IP", str(tmp_path / "image.nii"), str(tmp_path / "mask.nii")]
    return pd.DataFrame(
        [row], columns=["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    )


@pytest.mark.parametrize(
    ("noise", "ghost", "flag"), [(24.0, 0.0, "noise"), (2.0, 0.3, "ghosting")]
)
def test_inspection_warns_of_limits_passed_and_names_the_line(tmp_path, noise, ghost, flag):
    image, liver = body(noise=noise, ghost=ghost)
    labels = (5 * liver).astype(np.uint8)
    labels[0, 30, 5] = labels[1, 30, 5] = 5
    labels[40, 28, 5] = 1
    limits = Limits(volume_ml=(1000, 3000), largest_part=0.9999)
    found = inspect_images(write(tmp_path, image, labels), **LABELS, limits=limits)
    problems = {(f.column, f.problem) for f in found}
    for name in ("volume", "parts", "edge"):
        assert ("MASK", FLAGS[name][0]) in problems
    assert {problem for column, problem in problems if column == "IMAGE"} == {FLAGS[flag][0]}
    assert {f.severity for f in found} == {"warning"}
    assert {f.rows for f in found} == {(2,)}
    as_map = inspect_images(
        write(tmp_path, image, labels), **LABELS, limits=limits, quantitative=["IP"]
    )
    assert {f.column for f in as_map} == {"MASK"}


def test_a_good_scan_raises_nothing(tmp_path):
    image, liver = body()
    labels = (5 * liver).astype(np.uint8)
    labels[40, 28, 5] = 1
    limits = Limits(volume_ml=(50, 3000))
    assert inspect_images(write(tmp_path, image, labels), **LABELS, limits=limits) == []


def test_a_sequence_that_the_plan_names_must_be_there(tmp_path):
    image, liver = body()
    frame = write(tmp_path, image, (5 * liver).astype(np.uint8))
    missing = inspect_images(frame, liver_label=5, sequences=["IP", "OP"])
    lacking = [f for f in missing if f.problem == "scan without every sequence"]
    assert [f.severity for f in lacking] == ["error"]
    assert not [f for f in inspect_images(frame, liver_label=5) if f.severity == "error"]


def test_a_real_scan_is_judged(shared_data):
    from livertrack.imaging import read_scan

    folder = shared_data / "img_totalseg_mr_liver"
    scan = read_scan(folder / "example_mr_sm.nii.gz", folder / "example_seg_mr.nii.gz", **LABELS)
    found = quality_numbers(scan)
    assert found["NVOX"] == 18_480
    assert found["VOLML"] == pytest.approx(18_480 * 0.027, rel=1e-3)
    assert found["BORDERFL"] == "Y"  # cropped from below and above
    assert found["LARGEST"] == pytest.approx(0.954, abs=0.002)
    assert 5 < found["SNR"] < 100
    assert flags_of(found, Limits()) == ["edge"]
    assert isinstance(scan, Scan)
