"""Pathway records by hand: tiny label maps whose flows can be counted on paper."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from livertrack.errors import DataError, UsageError
from livertrack.imaging.pathways import count_pairs, least_transport, pathway_records

AFFINE = np.diag([3.0, 3.0, 4.0, 1.0])
SHAPE = (24, 20, 16)


def _mask():
    x, y, z = np.indices(SHAPE)
    body = ((x - 11.5) / 9) ** 2 + ((y - 9) / 7) ** 2 + ((z - 7.5) / 6) ** 2 < 1
    return body | (((x - 4) / 4) ** 2 + ((y - 6) / 5) ** 2 + ((z - 9) / 4) ** 2 < 1)


def _write(folder, name, values, kind=np.int16):
    path = folder / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(values.astype(kind), AFFINE), path)
    return str(path)


class _Folder:
    """Scans of a made-up trial, written as they come."""

    def __init__(self, folder):
        self.folder, self.rows = folder, []

    def add(self, subject, visit, labels, mask=None, image=None):
        mask = labels > 0 if mask is None else mask
        name = f"{subject}-{visit}"
        image = 100.0 * mask if image is None else image
        self.rows.append(
            {
                "USUBJID": subject, "AVISIT": visit, "AVISITN": float(visit.removeprefix("W")),
                "MAP": _write(self.folder, f"{name}-map", labels),
                "MASK": _write(self.folder, f"{name}-mask", mask, np.uint8),
                "IMAGES": {"T1": _write(self.folder, f"{name}-t1", image, np.float32)},
            }
        )  # fmt: skip
        return self

    @property
    def scans(self):
        return pd.DataFrame(self.rows)


@pytest.fixture
def folder(tmp_path):
    return _Folder(tmp_path)


def _matrix(records, k=3, region="", visit="W12"):
    part = records[(records["REGION"] == region) & (records["AVISIT"] == visit)]
    out = np.full((k, k), np.nan)
    out[part["FROMTYPE"] - 1, part["TOTYPE"] - 1] = part["AVAL"]
    return out


def _labels():
    x = np.indices(SHAPE)[0]
    return np.where(_mask(), np.where(x < 9, 1, np.where(x < 15, 2, 3)), 0)


def test_hand_worked_transitions():
    before = np.array([1, 1, 1, 2, 2, 3, 3, 0, 1], np.int16)
    after = np.array([1, 2, 2, 2, 1, 3, 0, 2, 1], np.int16)
    assert count_pairs(before, after, 3).tolist() == [[2, 2, 0], [1, 1, 0], [0, 0, 1]]


def test_the_same_scan_twice_keeps_every_type(folder):
    labels = _labels()
    folder.add("a", "W0", labels).add("a", "W12", labels)
    got = pathway_records(folder.scans, n_types=3, baseline="W0", shells=2)
    flow = _matrix(got.records)
    shares = [(labels == kind).sum() / (labels > 0).sum() for kind in (1, 2, 3)]
    np.testing.assert_allclose(flow, np.diag(shares), atol=1e-12)
    assert (got.records["METHOD"] == "voxel").all()
    assert got.quality["DICE"].iloc[0] == pytest.approx(1.0)
    assert got.quality["OUTVIEW"].iloc[0] == 0
    assert set(got.records["REGION"]) == {"", "SHELL1", "SHELL2"}


@pytest.mark.parametrize("method", ["rigid", "none"])
def test_a_planted_flow_is_counted_where_it_is(folder, method):
    labels = _labels()
    later = np.where(labels == 3, 2, labels)
    folder.add("a", "W0", labels).add("a", "W12", later)
    got = pathway_records(folder.scans, n_types=3, baseline="W0", shells=2, method=method)
    total = (labels > 0).sum()
    expected = np.zeros((3, 3))
    expected[0, 0], expected[1, 1] = (labels == 1).sum() / total, (labels == 2).sum() / total
    expected[2, 1] = (labels == 3).sum() / total
    np.testing.assert_allclose(_matrix(got.records), expected, atol=1e-9)
    assert got.records["NVOX"].iloc[0] == total
    assert set(got.quality["METHOD"]) == {"voxel" if method == "rigid" else "transport"}


def test_a_moved_scan_has_the_flows_of_the_still_one(folder):
    labels = _labels()
    moved = np.roll(labels, (2, -1, 1), axis=(0, 1, 2))
    folder.add("a", "W0", labels).add("a", "W12", moved)
    got = pathway_records(folder.scans, n_types=3, baseline="W0", shells=0)
    flow = _matrix(got.records)
    assert np.trace(flow) > 0.97
    unmoved = pathway_records(folder.scans, n_types=3, baseline="W0", shells=0, min_dice=1.01)
    assert set(unmoved.quality["METHOD"]) == {"transport"}
    assert np.trace(_matrix(unmoved.records)) == pytest.approx(1.0)


def test_flows_sum_to_one_in_every_region(folder):
    rng = np.random.default_rng(0)
    for visit in ("W0", "W12", "W48"):
        folder.add("a", visit, np.where(_mask(), rng.integers(1, 4, SHAPE), 0))
    for method in ("rigid", "none"):
        got = pathway_records(folder.scans, n_types=4, baseline="W0", shells=3, method=method)
        sums = got.records.groupby(["AVISIT", "REGION"])["AVAL"].sum()
        assert len(sums) == 2 * 4
        np.testing.assert_allclose(sums, 1, atol=1e-9)
        assert len(got.records) == 2 * 4 * 16


def test_shells_add_up_to_the_liver(folder):
    rng = np.random.default_rng(1)
    for visit in ("W0", "W12"):
        folder.add("a", visit, np.where(_mask(), rng.integers(1, 4, SHAPE), 0))
    got = pathway_records(folder.scans, n_types=3, baseline="W0", shells=3).records
    voxels = got.assign(N=got["AVAL"] * got["NVOX"])
    whole = voxels[voxels["REGION"] == ""].groupby(["FROMTYPE", "TOTYPE"])["N"].sum()
    shells = voxels[voxels["REGION"] != ""].groupby(["FROMTYPE", "TOTYPE"])["N"].sum()
    np.testing.assert_allclose(whole, shells, atol=1e-6)


def test_liver_out_of_view_is_counted_and_left_out(folder):
    labels, rows = _labels(), np.indices(SHAPE)[2]
    cut = np.where(rows < 11, labels, 0)
    folder.add("a", "W0", labels).add("a", "W12", cut)
    got = pathway_records(folder.scans, n_types=3, baseline="W0", shells=0, min_dice=0.5)
    lost = got.quality["OUTVIEW"].iloc[0]
    assert 0.05 < lost < 0.35
    assert got.records["NVOX"].iloc[0] == round((1 - lost) * (labels > 0).sum())
    assert got.records["AVAL"].sum() == pytest.approx(1)


def test_bad_overlap_falls_back_to_transport_and_says_so(folder):
    labels = _labels()
    stick = np.zeros(SHAPE, int)
    stick[2:22, 9:11, 7:9] = 2
    folder.add("a", "W0", labels).add("a", "W12", stick)
    got = pathway_records(folder.scans, n_types=3, baseline="W0", shells=1)
    assert set(got.records["METHOD"]) == {"transport"}
    assert "1 of 1 pairs by transport (Dice below 0.8: 1)" in got.notes
    np.testing.assert_allclose(_matrix(got.records).sum(axis=0), [0, 1, 0], atol=1e-9)


def test_follow_ups_without_baseline_and_damaged_files_are_counted(folder, tmp_path):
    labels = _labels()
    folder.add("a", "W0", labels).add("a", "W12", labels).add("b", "W12", labels)
    folder.add("c", "W0", labels).add("c", "W12", labels)
    (tmp_path / "c-W12-t1.nii.gz").write_bytes(b"not an image")
    got = pathway_records(folder.scans, n_types=3, baseline="W0")
    assert set(got.records["USUBJID"]) == {"a"}
    assert any("1 follow-up scan(s) without a labelled baseline" in note for note in got.notes)
    assert any("1 of 2 pairs with an unreadable scan" in note for note in got.notes)


def test_order_of_rows_and_workers_change_nothing(folder):
    rng = np.random.default_rng(2)
    for subject in "ab":
        for visit in ("W0", "W12", "W48"):
            labels = np.where(_mask(), rng.integers(1, 4, SHAPE), 0)
            folder.add(subject, visit, labels, image=rng.normal(100, 10, SHAPE))
    shuffled = folder.scans.sample(frac=1, random_state=1)[folder.scans.columns[::-1]]
    once = pathway_records(folder.scans, n_types=3, baseline="W0", workers=1)
    other = pathway_records(shuffled, n_types=3, baseline="W0", workers=2)
    pd.testing.assert_frame_equal(once.records, other.records)
    pd.testing.assert_frame_equal(once.quality, other.quality)


def test_one_path_or_a_list_of_paths_will_do(folder):
    labels = _labels()
    folder.add("a", "W0", labels).add("a", "W12", labels)
    scans = folder.scans
    plain = scans.assign(IMAGE=[paths["T1"] for paths in scans["IMAGES"]]).drop(columns="IMAGES")
    listed = plain.assign(IMAGE=[[path] for path in plain["IMAGE"]])
    results = [
        pathway_records(s, n_types=3, baseline="W0").records for s in (scans, plain, listed)
    ]
    pd.testing.assert_frame_equal(results[0], results[1])
    pd.testing.assert_frame_equal(results[0], results[2])


def test_no_pair_gives_an_empty_table_with_its_columns(folder):
    folder.add("a", "W0", _labels())
    got = pathway_records(folder.scans, n_types=3, baseline="W0")
    assert got.records.empty
    assert {"FROMTYPE", "TOTYPE", "AVAL", "METHOD"} <= set(got.records.columns)
    assert got.quality.empty


def test_wrong_input_is_refused(folder, tmp_path):
    labels = _labels()
    folder.add("a", "W0", labels).add("a", "W12", labels)
    scans = folder.scans
    with pytest.raises(DataError, match="1 duplicated subject x visit"):
        pathway_records(pd.concat([scans, scans[:1]]), n_types=3, baseline="W0")
    with pytest.raises(DataError, match="with a label outside 0"):
        pathway_records(scans, n_types=2, baseline="W0")
    with pytest.raises(DataError, match="2 column\\(s\\) missing: MASK, IMAGES"):
        pathway_records(scans.drop(columns=["MASK", "IMAGES"]), n_types=3, baseline="W0")
    with pytest.raises(UsageError, match="elastic"):
        pathway_records(scans, n_types=3, baseline="W0", method="elastic")
    with pytest.raises(UsageError, match="3 x 3 finite"):
        pathway_records(scans, n_types=3, baseline="W0", distances=np.full((3, 3), np.nan))
    _write(tmp_path, "a-W12-map", np.ones((5, 5, 5)))
    with pytest.raises(DataError, match="another grid than its mask"):
        pathway_records(scans, n_types=3, baseline="W0")


def test_transport_by_hand():
    before, after = np.array([0.6, 0.4, 0.0]), np.array([0.3, 0.4, 0.3])
    equal = least_transport(before, after, 1 - np.eye(3))
    assert equal == pytest.approx(np.array([[0.3, 0, 0.3], [0, 0.4, 0], [0, 0, 0]]), abs=1e-9)
    # types on a line: two short steps are preferred to a long one of the same length
    line = np.abs(np.subtract.outer(np.arange(3.0), np.arange(3.0)))
    steps = least_transport(before, after, line)
    assert steps == pytest.approx(np.array([[0.3, 0.3, 0], [0, 0.1, 0.3], [0, 0, 0]]), abs=1e-6)


def test_transport_costs_the_wasserstein_distance_of_types_on_a_line():
    rng = np.random.default_rng(5)
    line = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    for _ in range(20):
        before, after = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6) / 3)
        flow = least_transport(before, after, line)
        np.testing.assert_allclose(flow.sum(axis=1), before, atol=1e-7)
        np.testing.assert_allclose(flow.sum(axis=0), after, atol=1e-7)
        expected = wasserstein_distance(np.arange(6), np.arange(6), before, after)
        assert (flow * line).sum() == pytest.approx(expected, rel=1e-4)


def test_a_composition_that_does_not_sum_to_one_is_refused():
    with pytest.raises(DataError, match="sum to one"):
        least_transport(np.array([0.5, 0.4]), np.array([0.5, 0.5]), 1 - np.eye(2))
