"""Regions divide the liver as they say, in any orientation of the image."""

import nibabel as nib
import numpy as np
import pytest

from livertrack._region_names import region_name
from livertrack.errors import ImageError
from livertrack.imaging import Scan, read_scan
from livertrack.imaging.regions import (
    SECTOR_NAMES,
    Regions,
    region_counts,
    region_voxels,
    sectors,
    vessel_bands,
)

SHAPE, AFFINE = (40, 30, 20), np.diag([2.0, 2.0, 3.0, 1.0])


def liver(turn=0.0):
    """An ellipsoid, long from right to left, turned about the long axis of the body."""
    x, y, z = (np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2).T * np.array([2, 2, 3])[
        :, None, None, None
    ]
    along, across = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    return (along / 34) ** 2 + (across / 18) ** 2 + (z / 22) ** 2 < 1


def scan_of(mask, vessels=None, affine=AFFINE):
    volume = np.zeros((1, *mask.shape), np.float32)
    spacing = tuple(np.linalg.norm(affine[:3, :3], axis=0))
    return Scan(volume, mask, spacing, affine=affine, vessels=vessels)


@pytest.mark.parametrize("number", [2, 4, 8])
def test_sectors_divide_an_even_liver_evenly(number):
    mask = liver()
    counts = np.bincount(sectors(mask, AFFINE, number)[mask], minlength=number + 1)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:] / mask.sum(), 1 / number, atol=0.03)


def test_sectors_lie_where_their_names_say():
    mask = liver()
    place = np.argwhere(mask) - (np.array(SHAPE) - 1) / 2
    for number, names in SECTOR_NAMES.items():
        code = sectors(mask, AFFINE, number)[mask]
        for index, name in enumerate(names, start=1):
            x, y, z = place[code == index].mean(axis=0)
            assert (x > 0) == name.startswith("R")
            assert ("UP" not in name) or z > 0
            assert ("LOW" not in name) or z < 0
            assert ("POST" not in name) or y < 0
            assert ("ANT" not in name) or y > 0
    eight = sectors(mask, AFFINE, 8)[mask]
    medial, lateral = (np.isin(eight, codes) for codes in ((5, 6), (7, 8)))
    assert place[lateral][:, 0].max() < place[medial][:, 0].min()


def test_sectors_do_not_depend_on_the_orientation_of_the_image():
    mask = liver(turn=0.3)
    image = nib.Nifti1Image(mask.astype(np.uint8), AFFINE)
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("PIL", ("LR", "PA", "IS")))
    other = sectors(np.asarray(turned.dataobj).astype(bool), turned.affine, 8)
    back = nib.Nifti1Image(other, turned.affine).as_reoriented(
        nib.orientations.io_orientation(turned.affine)
    )
    np.testing.assert_array_equal(np.asarray(back.dataobj), sectors(mask, AFFINE, 8))


def test_sectors_turn_with_the_liver():
    turn = 0.4
    mask = liver(turn)
    place = (np.argwhere(mask) - (np.array(SHAPE) - 1) / 2) * [2, 2, 3]
    along = place[:, 0] * np.cos(turn) + place[:, 1] * np.sin(turn)
    right = sectors(mask, AFFINE, 2)[mask] == 1
    assert (right == (along > 0)).mean() > 0.97


def test_a_liver_that_lies_across_is_cut_by_the_axes_of_the_body():
    mask = np.zeros((20, 40, 10), bool)
    mask[6:14, 4:36, 2:8] = True
    right = sectors(mask, np.diag([2.0, 2, 2, 1]), 2) == 1
    assert right[10:14].sum() == right.sum() > 0


def test_vessel_bands_are_distances_in_mm():
    mask = np.zeros((21, 9, 9), bool)
    mask[1:20] = True
    vessels = np.zeros_like(mask)
    vessels[10] = True
    mask &= ~vessels
    bands = vessel_bands(mask, vessels, (2.0, 1.0, 1.0), [4, 10])
    assert set(bands[[8, 9, 11, 12]].ravel()) == {1}  # 2 and 4 mm
    assert set(bands[[5, 6, 7, 13]].ravel()) == {2}  # 6 to 10 mm
    assert set(bands[[1, 4, 19]].ravel()) == {3}
    assert (bands[~mask] == 0).all()
    assert (vessel_bands(mask, np.zeros_like(mask), (2, 1, 1), [4]) == 0).all()


def test_every_division_adds_up_to_the_liver():
    mask = liver()
    vessels = np.zeros_like(mask)
    vessels[18:22, 14:16, :] = True
    scan = scan_of(mask & ~vessels, vessels)
    rules = Regions(shells=3, sectors=8, vessel_distance_mm=(5, 15))
    found = region_voxels(scan, rules)
    for start, number in (("SHELL", 3), ("VESSEL", 3), (("R", "L"), 8)):
        parts = [voxels for name, voxels in found.items() if name.startswith(start)]
        assert len(parts) == number
        assert (np.sum(parts, axis=0) == 1).all()
    labels = np.random.default_rng(1).integers(1, 4, mask.shape).astype(np.int16)
    counts = region_counts(labels, scan, 3, rules)
    assert sum(counts[""]) == scan.n_voxels
    assert np.sum([counts[f"SHELL{n}"] for n in (1, 2, 3)], axis=0).tolist() == counts[""]


def test_a_scan_without_vessels_has_no_bands_but_its_other_regions():
    found = region_voxels(scan_of(liver()), Regions(shells=2, vessel_distance_mm=(5,)))
    assert list(found) == ["", "SHELL1", "SHELL2"]


def test_vessels_of_a_label_map_are_not_liver(tmp_path):
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[1:7, 1:7, 1:7] = 5
    labels[3, 3, 1:7] = 9
    nib.save(nib.Nifti1Image(labels, AFFINE), tmp_path / "mask.nii")
    nib.save(nib.Nifti1Image(labels.astype(np.float32), AFFINE), tmp_path / "image.nii")
    paths = tmp_path / "image.nii", tmp_path / "mask.nii"
    for liver_label in (5, None):
        scan = read_scan(*paths, liver_label=liver_label, vessel_label=9)
        np.testing.assert_array_equal(scan.mask, labels == 5)
        np.testing.assert_array_equal(scan.vessels, labels == 9)
    assert read_scan(*paths, liver_label=5, vessel_label=4).vessels is None
    with pytest.raises(ImageError, match="another grid"):
        Scan(np.zeros((4, 4, 4)), np.ones((4, 4, 4), bool), (1, 1, 1), vessels=np.ones((3, 3, 3)))


def test_every_region_has_a_name_for_readers():
    assert region_name("") == "whole liver"
    assert region_name("SHELL2") == "shell 2"
    assert region_name("VESSEL1") == "vessel band 1"
    for names in SECTOR_NAMES.values():
        assert all(region_name(name) != name for name in names)


def test_signatures_and_pathways_are_counted_by_region(study, tmp_path):
    from livertrack.imaging import fit_vocabulary, signatures
    from livertrack.imaging.pathways import pathway_records

    labels = {"liver_label": 5, "reference_label": 1, "vessel_label": 7}
    for path in study["MASK"].unique():
        image = nib.load(path)
        values = np.asarray(image.dataobj).copy()
        values[8:10, 12:14, 2:10] = 7
        nib.save(nib.Nifti1Image(values, image.affine), path)
    rules = Regions(shells=0, sectors=2, vessel_distance_mm=(9.0,))
    words = fit_vocabulary(
        study, n_types=3, seed=1, method="kmeans", n_places=800, liver_label=5, reference_label=1
    )
    result = signatures(study, words, out=tmp_path / "out", regions=rules, **labels)
    table = result.records.drop_duplicates(["USUBJID", "AVISIT", "REGION"])
    wide = table.pivot(index=["USUBJID", "AVISIT"], columns="REGION", values="NVOX")
    assert list(wide.columns) == ["", "LEFT", "RIGHT", "VESSEL1", "VESSEL2"]
    np.testing.assert_array_equal(wide["LEFT"] + wide["RIGHT"], wide[""])
    np.testing.assert_array_equal(wide["VESSEL1"] + wide["VESSEL2"], wide[""])
    again = signatures(study, words, out=tmp_path / "out", regions=rules, **labels)
    assert again.n_reused == 4
    other = signatures(study, words, out=tmp_path / "out", shells=1, **labels)
    assert other.n_reused == 0
    scans = result.scans.merge(
        study.groupby(["USUBJID", "AVISIT"]).agg(
            IMAGES=("IMAGE", list), MASK=("MASK", "first")
        ).reset_index(),
        on=["USUBJID", "AVISIT"],
    )  # fmt: skip
    scans["MAP"] = [str(tmp_path / "out" / "maps" / name) for name in scans["MAP"]]
    flows = pathway_records(scans, n_types=3, baseline="Baseline", regions=rules, **labels)
    assert set(flows.records["REGION"]) == set(wide.columns)
    total = flows.records.groupby(["USUBJID", "AVISIT", "REGION"])["AVAL"].sum()
    np.testing.assert_allclose(total, 1)
