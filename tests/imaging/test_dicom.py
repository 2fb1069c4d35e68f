"""DICOM series, multi-frame files and segmentations come out where and as they went in."""

import tarfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from livertrack.errors import ImageError
from livertrack.imaging import inspect_images, read_scan
from livertrack.imaging.reading import files_behind, read_header, read_voxels

from ._dicom import SEGMENTATION, write_frames, write_series

ROTATION = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1.0]])
#: voxels of 1.5 x 2 x 4 mm, turned about the long axis of the body; towards left and posterior
AFFINE = np.eye(4)
AFFINE[:3, :3] = np.diag([-1, -1, 1]) @ ROTATION @ np.diag([1.5, 2.0, 4.0])
AFFINE[:3, 3] = [40, 30, -100]


def stored(seed=1, shape=(7, 6, 5)):
    return np.random.default_rng(seed).integers(0, 4000, shape)


def test_a_series_is_sorted_scaled_and_placed(tmp_path):
    write_series(tmp_path / "in", stored(), AFFINE, slope=0.5, intercept=-20)
    header = read_header(tmp_path / "in")
    assert header.shape == (7, 6, 5)
    np.testing.assert_allclose(header.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(header.spacing, (1.5, 2.0, 4.0), atol=1e-6)
    np.testing.assert_allclose(read_voxels(header), stored() * 0.5 - 20)


def test_a_series_agrees_with_simpleitk(tmp_path):
    files = write_series(tmp_path / "in", stored(), AFFINE, slope=2, intercept=7)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "in")))
    image = reader.Execute()
    header = read_header(tmp_path / "in")
    np.testing.assert_allclose(read_voxels(header), sitk.GetArrayFromImage(image).T)
    np.testing.assert_allclose(header.spacing, image.GetSpacing(), atol=1e-5)
    np.testing.assert_allclose(header.affine[:2, 3], -np.array(image.GetOrigin()[:2]), atol=1e-4)
    assert sorted(files) == files_behind(tmp_path / "in")


def test_a_missing_slice_is_refused(tmp_path):
    write_series(tmp_path / "in", stored(), AFFINE, skip=(2,))
    with pytest.raises(ImageError, match=r"slices of the series are missing \(1\)"):
        read_header(tmp_path / "in")


def test_uneven_slices_are_refused(tmp_path):
    write_series(tmp_path / "in", stored(), AFFINE)
    moved = AFFINE.copy()
    moved[:3, 3] += AFFINE[:3, 2] * 4.4
    write_series(tmp_path / "in", stored()[:, :, :1], moved)
    with pytest.raises(ImageError, match="not evenly spaced"):
        read_header(tmp_path / "in")


def test_a_repeated_slice_is_refused(tmp_path):
    write_series(tmp_path / "in", stored(), AFFINE)
    write_series(tmp_path / "in", stored()[:, :, :1], AFFINE)
    with pytest.raises(ImageError, match="several slices lie at the same place"):
        read_header(tmp_path / "in")


def test_two_series_in_a_folder_are_refused_unless_a_file_says_which(tmp_path):
    write_series(tmp_path / "in", stored(1), AFFINE, series="one")
    files = write_series(tmp_path / "in", stored(2), AFFINE, series="two")
    with pytest.raises(ImageError, match=r"several series or contrasts.*name one file"):
        read_header(tmp_path / "in")
    np.testing.assert_allclose(read_voxels(read_header(files[3])), stored(2))
    assert len(files_behind(files[3])) == 10


def test_echoes_of_one_series_are_told_apart_by_a_file(tmp_path):
    files = {}
    for echo in (2.3, 4.6):
        values = stored(int(10 * echo))
        files[echo] = write_series(tmp_path / "in", values, AFFINE, EchoTime=echo)[0]
    with pytest.raises(ImageError, match=r"TE 2\.3 ms; TE 4\.6 ms"):
        read_header(tmp_path / "in")
    for echo, file in files.items():
        np.testing.assert_allclose(read_voxels(read_header(file)), stored(int(10 * echo)))


def test_a_sheared_series_is_refused(tmp_path):
    sheared = AFFINE.copy()
    sheared[:3, 2] += sheared[:3, 1] * 0.3
    write_series(tmp_path / "in", stored(), sheared)
    with pytest.raises(ImageError, match=r"right angles|sheared"):
        read_header(tmp_path / "in")


def test_other_files_in_the_folder_do_no_harm(tmp_path):
    write_series(tmp_path / "in", stored(), AFFINE)
    (tmp_path / "in" / "readme.txt").write_text("no image")
    (tmp_path / "in" / "DICOMDIR").write_text("no image")
    assert read_header(tmp_path / "in").shape == (7, 6, 5)


@pytest.mark.parametrize("kind", ["empty folder", "text", "truncated"])
def test_damage_is_refused_with_a_reason(tmp_path, kind):
    folder = tmp_path / "in"
    folder.mkdir()
    expected = "holds no DICOM image"
    if kind != "empty folder":
        files = write_series(folder, stored(), AFFINE)
        content = files[0].read_bytes()
        text = kind == "text"
        files[0].write_bytes(b"not an image" if text else content[:-20])
        expected = "not a readable image" if text else "truncated or damaged"
    with pytest.raises(ImageError, match=expected):
        read_voxels(read_header(folder))


def test_the_limit_of_voxels_holds_for_a_series(tmp_path):
    write_series(tmp_path / "in", stored(), AFFINE)
    with pytest.raises(ImageError, match="limit of 100 voxels"):
        read_header(tmp_path / "in", max_voxels=100)


def test_frames_of_one_file_are_sorted_and_scaled_one_by_one(tmp_path):
    values = stored()
    places = [3, 0, 4, 1, 2]
    frames = np.stack([values[:, :, z] for z in places])
    slopes = [1.0, 2.0, 0.5, 4.0, 3.0]
    path = write_frames(tmp_path / "many.dcm", frames, AFFINE, places, slopes=slopes)
    header = read_header(path)
    np.testing.assert_allclose(header.affine, AFFINE, atol=1e-5)
    want = np.empty(values.shape)
    for slope, z in zip(slopes, places, strict=True):
        want[:, :, z] = values[:, :, z] * slope
    np.testing.assert_allclose(read_voxels(header), want)


def test_a_segmentation_is_a_label_map_and_its_box_is_brought_to_the_image(tmp_path):
    labels = np.zeros((7, 6, 5), int)
    labels[2:5, 2:5, 1:4] = 1
    labels[0, 0, 2] = 2
    pairs = [(z, s) for s in (1, 2) for z in range(5) if (labels[:, :, z] == s).any()]
    frames = np.stack([labels[:, :, z] == s for z, s in pairs])
    path = write_frames(
        tmp_path / "seg.dcm", frames, AFFINE, [z for z, _ in pairs], kind=SEGMENTATION,
        segments=[s for _, s in pairs],
    )  # fmt: skip
    assert read_header(path).shape == (7, 6, 3)
    np.testing.assert_array_equal(read_voxels(read_header(path)), labels[:, :, 1:4])
    write_series(tmp_path / "in", stored(), AFFINE)
    scan = read_scan(tmp_path / "in", path, liver_label=1, reference_label=2)
    np.testing.assert_array_equal(scan.mask, labels == 1)
    np.testing.assert_array_equal(scan.reference, labels == 2)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-5)


def test_a_mask_with_turned_axes_is_matched_voxel_by_voxel(tmp_path):
    write_series(tmp_path / "in", stored(), AFFINE)
    mask = np.zeros((7, 6, 5), np.uint8)
    mask[1:4, 2, 3] = 1
    turned = nib.as_closest_canonical(nib.Nifti1Image(mask, AFFINE))
    swapped = nib.Nifti1Image(np.swapaxes(turned.get_fdata(), 0, 2), None)
    affine = turned.affine[:, [2, 1, 0, 3]]
    nib.save(nib.Nifti1Image(swapped.get_fdata().astype(np.uint8), affine), tmp_path / "m.nii")
    scan = read_scan(tmp_path / "in", tmp_path / "m.nii")
    assert scan.mask.shape == (5, 6, 7)
    assert set(scan.volume[0][scan.mask]) == set(stored()[1:4, 2, 3])


def test_a_study_of_dicom_images_is_inspected(tmp_path):
    import pandas as pd

    write_series(tmp_path / "in", stored(), AFFINE, skip=(2,))
    labels = np.ones((7, 6, 5), np.uint8)
    nib.save(nib.Nifti1Image(labels, AFFINE), tmp_path / "m.nii")
    row = ["A", "Baseline", 0, "IP", str(tmp_path / "in"), str(tmp_path / "m.nii")]
    columns = ["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    found = inspect_images(pd.DataFrame([row], columns=columns))
    assert [f.problem for f in found if f.severity == "error"] == [
        "slices of the series are missing"
    ]


def test_a_real_compressed_series_fits_its_mask(shared_data, tmp_path):
    source = shared_data / "img_totalseg_ct_liver"
    with tarfile.open(source / "example_ct_dicom.tar.gz") as archive:
        # the safe filter exists from Python 3.11.4 on
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path, **safe)  # noqa: S202 - the study's own archive
    scan = read_scan(
        tmp_path / "example_ct_dicom", source / "example_seg_dicom.nii.gz", liver_label=5
    )
    assert scan.n_voxels == 366_708
    assert 60 < np.median(scan.volume[0][scan.mask]) < 130  # HU of a liver after contrast


def test_real_segmentations_in_dicom_and_nrrd_are_the_same(shared_data):
    folder = shared_data / "img_dcmqi_ct_liver_seg"
    by_dicom = read_scan(folder, folder / "liver.dcm")
    by_nrrd = read_scan(folder / "02.dcm", folder / "liver_spine_seg.nrrd", liver_label=1)
    assert by_dicom.n_voxels == by_nrrd.n_voxels == 107_098
    np.testing.assert_array_equal(by_dicom.volume, by_nrrd.volume)
    assert by_dicom.volume.min() < -900
