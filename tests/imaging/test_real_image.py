"""A real abdominal MRI with a machine-made organ map: the labels must make anatomical sense."""

import nibabel as nib
import numpy as np
import pytest

from livertrack.imaging import fit_vocabulary, image_pairs, inspect_images, read_scan, signatures

LABELS = {"liver_label": 5, "reference_label": 1}


@pytest.fixture(scope="module")
def pair(shared_data):
    folder = shared_data / "img_totalseg_mr_liver"
    files = folder / "example_mr_sm.nii.gz", folder / "example_seg_mr.nii.gz"
    if not all(path.is_file() for path in files):
        pytest.skip(f"real image absent: {folder}")
    return files


def test_vessels_are_set_apart_from_parenchyma(pair, tmp_path):
    frame = image_pairs([pair])
    assert [f for f in inspect_images(frame, **LABELS) if f.severity == "error"] == []
    vocabulary = fit_vocabulary(
        frame, n_types=6, seed=1, steps=120, n_places=4000, standardise="tail", **LABELS
    )
    result = signatures(frame, vocabulary, out=tmp_path, **LABELS)
    image = nib.load(tmp_path / "maps" / result.scans["MAP"].iloc[0])
    labels = np.asarray(image.dataobj)
    scan = read_scan(*pair, **LABELS)
    assert labels.shape == scan.mask.shape
    assert np.allclose(image.affine, scan.affine)
    signal = scan.volume[0]
    share = np.array([(labels == k).sum() / scan.n_voxels for k in range(1, 7)])
    level = np.array(
        [np.median(signal[labels == k]) if share[k - 1] else np.nan for k in range(1, 7)]
    )
    parenchyma = level[share.argmax()]
    dark = np.flatnonzero(level < 0.65 * parenchyma) + 1
    inside = np.isin(labels, dark)
    assert 0.005 < inside.sum() / scan.n_voxels < 0.15
    darkest = scan.mask & (signal < 0.5 * parenchyma)
    assert (inside & darkest).sum() / darkest.sum() > 0.5
    assert result.records.query("REGION == ''")["AVAL"].sum() == pytest.approx(1)
