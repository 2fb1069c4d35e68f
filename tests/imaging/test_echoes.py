"""Complex echoes come out of .mat, BIDS and DICOM files alike, and their maps are channels."""

import json

import nibabel as nib
import numpy as np
import pytest
from scipy.io import savemat

from livertrack.errors import ImageError
from livertrack.imaging import read_scan
from livertrack.imaging.echoes import read_echoes
from livertrack.imaging.reading import files_behind, read_header, read_voxels

from ._dicom import write_series
from .test_fat_water import signal

TIMES = 0.0012 + 0.0016 * np.arange(6)
AFFINE = np.diag([-3.0, -3.0, 5.0, 1.0])
SHAPE = (20, 18, 3)


@pytest.fixture(scope="module")
def echoes():
    x = np.linspace(0, 1, SHAPE[0])[:, None, None] * np.ones(SHAPE)
    fat = np.where(x < 0.5, 0.1, 0.3)
    clean = [signal(1 - fat, fat, 0.3, 40 * x, 50.0, np.array(t), 1.5) for t in TIMES]
    found = 1000 * np.stack(clean)
    air = np.random.default_rng(1).uniform(-np.pi, np.pi, found.shape)
    found[:, :, :2] = np.exp(1j * air[:, :, :2])
    return found


@pytest.fixture
def mat(tmp_path, echoes):
    images = np.moveaxis(echoes, 0, -1)[:, :, :, None]
    path = tmp_path / "echoes.mat"
    savemat(path, {"imDataParams": struct(images.astype(np.complex64))})
    return path


def struct(images, **more):
    given = {"images": images, "TE": TIMES, "FieldStrength": 1.5, "PrecessionIsClockwise": 1}
    return {**given, **more}


def write_bids(folder, echoes, *, parts=("mag", "phase"), units="rad", scale=1.0):
    made = {"mag": np.abs, "phase": np.angle, "real": np.real, "imag": np.imag}
    for number, (time, echo) in enumerate(zip(TIMES, echoes, strict=True), start=1):
        for part in parts:
            stem = folder / f"sub-1_ses-0_echo-{number}_part-{part}_MEGRE"
            values = made[part](echo) * (scale if part == "phase" else 1)
            nib.save(nib.Nifti1Image(values.astype(np.float32), AFFINE), f"{stem}.nii.gz")
            facts = {"EchoTime": time, "MagneticFieldStrength": 1.5}
            facts |= {"Units": units} if part == "phase" else {}
            (folder / f"{stem.name}.json").write_text(json.dumps(facts))
    return folder / f"sub-1_ses-0_echo-1_part-{parts[0]}_MEGRE.nii.gz"


def test_a_mat_file_is_read_as_it_is(mat, echoes):
    found = read_echoes(mat)
    np.testing.assert_allclose(found.echoes, echoes, rtol=1e-5)
    np.testing.assert_allclose(found.times, TIMES)
    assert (found.tesla, found.precession, found.affine) == (1.5, "clockwise", None)


def test_coils_are_combined_without_a_change_of_phase_between_echoes(tmp_path, echoes):
    coils = np.array([1.0, 0.4j, 0.2 - 0.3j])
    images = np.moveaxis(echoes, 0, -1)[:, :, :, None] * coils[:, None]
    voxel = np.array([2.0, 2.0, 4.0])
    given = struct(images.astype(np.complex64), voxelSize=voxel, PrecessionIsClockwise=-1)
    savemat(tmp_path / "coils.mat", {"imDataParams": given})
    found = read_echoes(tmp_path / "coils.mat")
    assert found.precession == "anticlockwise"
    assert found.spacing == (2, 2, 4)
    between, body = found.echoes / found.echoes[0], np.s_[:, :, 2:]
    np.testing.assert_allclose(between[body], (echoes / echoes[0])[body], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("parts", "units", "scale"),
    [(("mag", "phase"), "rad", 1.0), (("real", "imag"), "", 1.0),
     (("mag", "phase"), "arbitrary", 4096 / (2 * np.pi))],
)  # fmt: skip
def test_a_bids_group_is_read_from_any_of_its_files(tmp_path, echoes, parts, units, scale):
    path = write_bids(tmp_path, echoes, parts=parts, units=units, scale=scale)
    (tmp_path / "sub-1_ses-0_T1w.nii.gz").touch()
    found = read_echoes(path)
    np.testing.assert_allclose(found.echoes, echoes, rtol=1e-3, atol=2)
    np.testing.assert_allclose(found.times, TIMES)
    np.testing.assert_allclose(found.affine, AFFINE)
    assert len(files_behind(f"{path}#pdff")) == 24


def test_dicom_magnitude_and_phase_are_joined(tmp_path, echoes):
    for time, echo in zip(TIMES, echoes, strict=True):
        facts = {"EchoTime": float(1000 * time), "MagneticFieldStrength": 1.5}
        for part, values, slope, intercept in (
            ("M", np.abs(echo), 1.0, 0.0),
            ("P", (np.angle(echo) + np.pi) * 4096 / (2 * np.pi), 2.0, -4096.0),
        ):
            write_series(
                tmp_path / "in", np.clip(np.rint(values), 0, 4095), AFFINE, slope=slope,
                intercept=intercept, ImageType=["ORIGINAL", "PRIMARY", part], **facts,
            )  # fmt: skip
    found = read_echoes(tmp_path / "in")
    np.testing.assert_allclose(found.times, TIMES, atol=1e-7)
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-6)
    assert found.tesla == 1.5
    assert np.abs(found.echoes - echoes).max() < 5  # of 1000: whole numbers are stored


def test_maps_are_channels_of_a_scan_on_the_grid_of_its_mask(tmp_path, mat, echoes):
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:9, 4:14, 1] = 5
    mask[12:17, 4:14, 1] = 1
    nib.save(nib.Nifti1Image(mask, AFFINE), tmp_path / "mask.nii.gz")
    paths = [f"{mat}#pdff", f"{mat}#R2STAR"]
    scan = read_scan(paths, tmp_path / "mask.nii.gz", liver_label=5, reference_label=1)
    np.testing.assert_allclose(scan.volume[0][scan.mask], 10, atol=0.1)
    np.testing.assert_allclose(scan.volume[0][scan.reference], 30, atol=0.1)
    np.testing.assert_allclose(scan.volume[1][scan.mask], 50, atol=0.5)
    np.testing.assert_allclose(scan.affine, AFFINE)
    assert files_behind(paths[0]) == [mat]


def test_a_map_of_a_placed_group_is_placed(tmp_path, echoes):
    header = read_header(f"{write_bids(tmp_path, echoes)}#pdff")
    assert header.placed
    np.testing.assert_allclose(header.affine, AFFINE)
    assert read_voxels(header).shape == SHAPE


def test_a_changed_file_is_fitted_again(tmp_path, mat, echoes):
    before = read_voxels(read_header(f"{mat}#water"))
    images = np.moveaxis(2 * echoes, 0, -1)[:, :, :, None]
    savemat(mat, {"imDataParams": struct(images.astype(np.complex64), note="changed")})
    after = read_voxels(read_header(f"{mat}#water"))
    np.testing.assert_allclose(after, 2 * before, rtol=1e-3)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("unknown map", "unknown map"),
        ("absent", "no such file"),
        ("text", "not a readable image"),
        ("no struct", "no multi-echo image"),
        ("real", "not complex"),
        ("no sidecar", "no sidecar"),
        ("no phase", "lacks its phase"),
        ("odd phase", "unit of the phase is not known"),
        ("volume", "not a multi-echo image"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(tmp_path, mat, echoes, what, message):
    path, name = mat, "pdff"
    if what == "unknown map":
        name = "t1"
    elif what == "absent":
        path = tmp_path / "nothing.mat"
    elif what == "text":
        mat.write_text("not an image")
    elif what == "no struct":
        savemat(mat, {"x": np.ones(3)})
    elif what == "real":
        savemat(mat, {"imDataParams": struct(np.ones((3, 3, 2, 1, 6)))})
    elif what == "volume":
        path = tmp_path / "image.nii.gz"
        nib.save(nib.Nifti1Image(np.ones(SHAPE), AFFINE), path)
    else:
        parts = ("mag",) if what == "no phase" else ("mag", "phase")
        path = write_bids(tmp_path, echoes, parts=parts, units="", scale=77.0)
        if what == "no sidecar":
            (tmp_path / "sub-1_ses-0_echo-3_part-mag_MEGRE.json").unlink()
    with pytest.raises(ImageError, match=message):
        read_header(f"{path}#{name}")


def test_a_real_liver_is_a_pair_of_channels(shared_data, tmp_path):
    path = shared_data / "img_ismrm_fatwater_liver" / "case12.mat"
    found = read_echoes(path)
    assert found.echoes.shape == (4, 157, 256, 3)
    header = read_header(f"{path}#pdff")
    assert header.shape == (157, 256, 3)
    assert not header.placed
