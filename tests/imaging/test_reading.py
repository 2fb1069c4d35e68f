"""Files that cannot be used are refused with a reason, before their voxels are loaded."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from livertrack.errors import ImageError
from livertrack.imaging import Scan, inspect_images, read_scan
from livertrack.imaging.reading import read_header, read_voxels

from .conftest import SHAPE, SPACING, small_liver

LABELS = {"liver_label": 5, "reference_label": 1}


def damage(kind: str, path: Path) -> None:
    """Spoil a file in a named way."""
    if kind == "absent":
        path.unlink()
        return
    image = nib.load(path)
    data, affine = np.asarray(image.dataobj).copy(), image.affine
    if kind == "empty":
        nib.save(nib.Nifti1Image(np.zeros_like(data), affine), path)
    elif kind == "other grid":
        nib.save(nib.Nifti1Image(data[:-3], affine), path)
    elif kind == "elsewhere":
        moved = affine.copy()
        moved[0, 3] += 30
        nib.save(nib.Nifti1Image(data, moved), path)
    elif kind == "not finite":
        data = data.astype(np.float32)
        data[10, 10, 5] = np.nan
        nib.save(nib.Nifti1Image(data, affine), path)
    elif kind == "truncated":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "terabyte":
        content = bytearray(path.read_bytes())
        content[40:56] = struct.pack("<8h", 3, 8000, 8000, 8000, 1, 1, 1, 1)
        path.write_bytes(bytes(content))
    elif kind == "text":
        path.write_text("not an image")


BAD_IMAGES = {
    "absent": "no such file",
    "not finite": "voxels in the mask are not finite",
    "truncated": "truncated or damaged",
    "terabyte": "claims more than the limit",
    "text": "not a readable image",
}
BAD_MASKS = {
    "absent": "no such file",
    "empty": "the mask is empty",
    "other grid": "another grid",
    "elsewhere": "another grid",
    "truncated": "truncated or damaged",
}


def read_first(study):
    part = study[study["MASK"] == study["MASK"].iloc[0]]
    return read_scan(list(part["IMAGE"]), part["MASK"].iloc[0], **LABELS)


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_a_damaged_image_is_refused_with_its_reason(study, kind):
    damage(kind, Path(study["IMAGE"].iloc[0]))
    with pytest.raises(ImageError, match=BAD_IMAGES[kind]):
        read_first(study)


@pytest.mark.parametrize("kind", BAD_MASKS)
def test_a_damaged_mask_is_refused_with_its_reason(study, kind):
    damage(kind, Path(study["MASK"].iloc[0]))
    with pytest.raises(ImageError, match=BAD_MASKS[kind]):
        read_first(study)


def test_all_problems_are_found_at_once_with_counts_and_lines_and_no_subject(study):
    damage("absent", Path(study["IMAGE"].iloc[0]))
    damage("terabyte", Path(study["IMAGE"].iloc[3]))
    damage("empty", Path(study["MASK"].iloc[4]))
    damage("not finite", Path(study["IMAGE"].iloc[7]))
    found = inspect_images(study, **LABELS)
    by_problem = {finding.problem: finding for finding in found}
    assert any("no such file" in p and by_problem[p].rows == (2,) for p in by_problem)
    assert any("claims more than" in p and by_problem[p].rows == (5,) for p in by_problem)
    assert any("the mask is empty" in p for p in by_problem)
    assert any("not finite" in p and by_problem[p].rows == (9,) for p in by_problem)
    text = " ".join(map(str, found))
    assert "A-0" not in text
    assert "scan0" not in text


def test_a_clean_study_has_no_findings(study):
    assert inspect_images(study, **LABELS) == []


def test_a_terabyte_header_is_refused_without_reading_voxels(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_shape((10000, 10000, 10000))
    header.set_data_dtype(np.uint8)
    path = tmp_path / "huge.nii.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(header.binaryblock + bytes(4))
    with pytest.raises(ImageError, match=r"1,000,000,000,000"):
        read_header(path)


def test_the_limit_is_an_argument(study):
    with pytest.raises(ImageError, match="limit of 100 voxels"):
        read_header(study["IMAGE"].iloc[0], max_voxels=100)


def test_a_second_channel_of_other_sampling_is_brought_to_the_grid_of_the_mask(study):
    path = Path(study["IMAGE"].iloc[1])
    image = nib.load(path)
    fine = np.repeat(np.asarray(image.dataobj), 2, axis=2)
    affine = image.affine.copy()
    affine[:3, 2] /= 2
    affine[:3, 3] -= affine[:3, 2] / 2
    before = read_first(study).volume[1]
    nib.save(nib.Nifti1Image(fine, affine), path)
    after = read_first(study).volume[1]
    assert after.shape == before.shape
    inside = small_liver(0)[1]
    assert np.median(np.abs(after - before)[inside]) < 0.05 * np.median(before[inside])


def test_voxels_come_scaled_as_the_header_says(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    nib.save(image, tmp_path / "scaled.nii")
    stored = nib.load(tmp_path / "scaled.nii").get_fdata()
    assert np.allclose(read_voxels(read_header(tmp_path / "scaled.nii")), stored)


def test_arrays_are_checked_like_files():
    volume, liver, _, _ = small_liver(0)
    with pytest.raises(ImageError, match="empty"):
        Scan(volume, np.zeros(SHAPE, bool), SPACING)
    with pytest.raises(ImageError, match="another grid"):
        Scan(volume, liver[:-1], SPACING)
    with pytest.raises(ImageError, match="not finite"):
        Scan(np.where(liver, np.inf, volume), liver, SPACING)
    with pytest.raises(ImageError, match="voxel size"):
        Scan(volume, liver, (3.0, 0.0, 4.0))


def test_not_finite_voxels_outside_the_mask_do_no_harm():
    volume, liver, _, _ = small_liver(0)
    scan = Scan(np.where(liver, volume, np.nan), liver, SPACING)
    assert np.isfinite(scan.volume).all()
