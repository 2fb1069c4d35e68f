"""Soft labels, sequences and the atlas of pathway records: by hand on tiny livers."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from livertrack.errors import DataError
from livertrack.imaging._coupling import count_pairs, couple
from livertrack.imaging.atlas import Template
from livertrack.imaging.pathways import pathway_records
from livertrack.imaging.scan import Scan

AFFINE = np.diag([3.0, 3.0, 4.0, 1.0])
SHAPE = (24, 20, 16)


def _mask(shift=0):
    x, y, z = np.indices(SHAPE)
    x = x - shift
    body = ((x - 11.5) / 9) ** 2 + ((y - 9) / 7) ** 2 + ((z - 7.5) / 6) ** 2 < 1
    return body | (((x - 4) / 4) ** 2 + ((y - 6) / 5) ** 2 + ((z - 9) / 4) ** 2 < 1)


def _labels(shift=0):
    x = np.indices(SHAPE)[0] - shift
    return np.where(_mask(shift), np.where(x < 9, 1, np.where(x < 15, 2, 3)), 0)


def _save(path, values, kind):
    nib.save(nib.Nifti1Image(values.astype(kind), AFFINE), path)
    return str(path)


def _scan(folder, subject, visit, labels, probabilities=None):
    name = f"{subject}-{visit}"
    row = {
        "USUBJID": subject, "AVISIT": visit, "AVISITN": float(visit.removeprefix("W")),
        "MAP": _save(folder / f"{name}-map.nii.gz", labels, np.int16),
        "MASK": _save(folder / f"{name}-mask.nii.gz", labels > 0, np.uint8),
        "IMAGE": _save(folder / f"{name}-t1.nii.gz", 100.0 * (labels > 0), np.float32),
    }  # fmt: skip
    if probabilities is not None:
        row["PROBS"] = _save(folder / f"{name}-probs.nii.gz", probabilities, np.float32)
    return row


def _one_hot(labels, k=3):
    return (labels[..., None] == np.arange(1, k + 1)).astype(float)


def test_the_least_change_of_hand_worked_voxels():
    p = np.array([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    q = np.array([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    # voxel 1 stays; voxel 2 moves 0.2 from 1 to 2; voxel 3 splits; voxel 4 is not known
    expected = np.diag([0.6 + 0.4, 0.4 + 0.4, 0.0])
    expected[0, 1], expected[0, 2] = 0.2 + 0.5, 0.5
    np.testing.assert_allclose(couple(p, q), expected, atol=1e-12)


def test_certain_probabilities_count_as_labels():
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 4, (2, 500))
    got = couple(_one_hot(before), _one_hot(after))
    np.testing.assert_allclose(got, count_pairs(before, after, 3))


def test_margins_are_the_expected_compositions_and_the_change_is_the_least():
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(5), (2, 300))
    flow = couple(p, q)
    np.testing.assert_allclose(flow.sum(axis=1), p.sum(axis=0))
    np.testing.assert_allclose(flow.sum(axis=0), q.sum(axis=0))
    assert np.trace(flow) == pytest.approx(300 - np.abs(p - q).sum() / 2)
    np.testing.assert_allclose(couple(q, p), flow.T)


def test_an_uncertain_voxel_does_not_count_as_change(tmp_path):
    labels = _labels()
    doubt = _one_hot(labels)
    edge = labels == 2
    doubt[edge] = [0.0, 0.52, 0.48]
    later, later_doubt = np.where(edge, 3, labels), doubt.copy()
    later_doubt[edge] = [0.0, 0.48, 0.52]
    rows = [_scan(tmp_path, "a", "W0", labels, doubt), _scan(tmp_path, "a", "W12", later)]
    hard = pathway_records(pd.DataFrame(rows).drop(columns="PROBS"), n_types=3, baseline="W0")
    rows[1]["PROBS"] = _save(tmp_path / "later.nii.gz", later_doubt, np.float32)
    soft = pathway_records(pd.DataFrame(rows), n_types=3, baseline="W0")
    share = edge.sum() / (labels > 0).sum()

    def moved(result):
        table = result.records.query("REGION == '' and FROMTYPE != TOTYPE")
        return table["AVAL"].sum()

    assert moved(hard) == pytest.approx(share)
    assert moved(soft) == pytest.approx(0.04 * share, rel=1e-4)
    assert (soft.quality["SOFTFL"] == "Y").all()
    assert (hard.quality["SOFTFL"] == "N").all()
    assert soft.settings["n_soft"] == 1
    np.testing.assert_allclose(soft.records.groupby("REGION")["AVAL"].sum(), 1)


@pytest.mark.parametrize(
    ("probabilities", "match"),
    [
        (np.ones((*SHAPE, 2)), "one volume per type"),
        (np.full((*SHAPE, 3), -1.0), "negative or not finite"),
    ],
)
def test_wrong_probabilities_are_named(tmp_path, probabilities, match):
    rows = [_scan(tmp_path, "a", v, _labels(), probabilities) for v in ("W0", "W12")]
    with pytest.raises(DataError, match=match):
        pathway_records(pd.DataFrame(rows), n_types=3, baseline="W0")


def test_sequences_follow_each_place_over_all_visits(tmp_path):
    first = _labels()
    second = np.where(first == 3, 2, first)
    third = np.where(first == 2, 1, second)
    rows = [
        _scan(tmp_path, "a", visit, labels)
        for visit, labels in (("W0", first), ("W12", second), ("W48", third))
    ]
    rows.append(_scan(tmp_path, "b", "W0", first))
    rows.append(_scan(tmp_path, "b", "W12", second))
    got = pathway_records(pd.DataFrame(rows), n_types=3, baseline="W0", shells=1).sequences
    assert set(got["USUBJID"]) == {"a"}
    assert set(got["VISITS"]) == {"W0 > W12 > W48"}
    whole = got[got["REGION"] == ""].set_index("PATH")["AVAL"]
    total = (first > 0).sum()
    expected = {"1-1-1": 1, "2-2-1": 2, "3-2-2": 3}
    assert set(whole.index) == set(expected)
    for path, kind in expected.items():
        assert whole[path] == pytest.approx((first == kind).sum() / total)
    np.testing.assert_allclose(got.groupby("REGION")["AVAL"].sum(), 1)


def test_carried_maps_lie_on_the_baseline_grid(tmp_path):
    first, moved = _labels(), np.roll(_labels(), 2, axis=0)
    rows = [_scan(tmp_path, "a", "W0", first), _scan(tmp_path, "a", "W12", moved)]
    got = pathway_records(pd.DataFrame(rows), n_types=3, baseline="W0", maps=tmp_path / "maps")
    name = got.quality["CARRIED"].iloc[0]
    carried = np.asarray(nib.load(tmp_path / "maps" / name).dataobj)
    assert carried.shape == SHAPE
    assert (carried[first == 0] == 0).all()
    assert (carried[first > 0] == first[first > 0]).mean() > 0.97


def test_cells_of_the_template_cover_the_liver_without_gaps():
    scan = Scan(np.zeros((1, *SHAPE), np.float32), _mask(), (3.0, 3.0, 4.0), affine=AFFINE)
    template = Template.of(scan, cell_mm=12)
    assert ((template.cells > 0) == _mask()).all()
    numbers = np.unique(template.cells[_mask()])
    assert numbers.tolist() == list(range(1, numbers.max() + 1))
    largest = np.bincount(template.cells[_mask()]).max()
    assert largest == 4 * 4 * 3


def test_the_atlas_puts_a_change_in_its_place(tmp_path):
    rows = []
    for subject, shift in (("a", 0), ("b", 2), ("c", 1)):
        labels = _labels(shift)
        x = np.indices(SHAPE)[0] - shift
        later = np.where((labels > 0) & (x < 6), 3, labels)
        rows += [_scan(tmp_path, subject, v, m) for v, m in (("W0", labels), ("W12", later))]
    got = pathway_records(pd.DataFrame(rows), n_types=3, baseline="W0", atlas=True)
    assert set(got.atlas["USUBJID"]) == {"a", "b", "c"}
    cells = got.template.cells
    place = np.indices(SHAPE)[0] - 1  # the template is the liver in the middle or one beside it
    changed = got.atlas[got.atlas["FROMTYPE"] != got.atlas["TOTYPE"]]
    shares = changed.groupby("CELL")["NVOX"].sum() / got.atlas.groupby("CELL")["NVOX"].sum()
    centre = pd.Series(place[cells > 0]).groupby(cells[cells > 0]).mean()
    shares = shares.reindex(centre.index).fillna(0)
    assert (shares[centre < 3] > 0.9).all()
    assert (shares[centre > 9] == 0).all()
    plain = pathway_records(pd.DataFrame(rows), n_types=3, baseline="W0")
    pd.testing.assert_frame_equal(plain.records, got.records)
    assert plain.atlas.empty
    assert plain.template is None


def test_results_do_not_depend_on_the_number_of_workers(tmp_path):
    rows = []
    for subject, shift in (("a", 0), ("b", 2)):
        rows += [
            _scan(tmp_path, subject, v, np.roll(_labels(shift), n, axis=1))
            for n, v in enumerate(("W0", "W12", "W48"))
        ]
    one, two = (
        pathway_records(pd.DataFrame(rows), n_types=3, baseline="W0", atlas=True, workers=workers)
        for workers in (1, 2)
    )
    for name, frame in one.frames().items():
        pd.testing.assert_frame_equal(frame, two.frames()[name])
