"""Probabilities of tissue types: they agree with the labels, and doubt where the labels flip."""

from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from livertrack.imaging import Scan, fit_vocabulary, signatures
from livertrack.imaging._assignment import type_shares
from livertrack.imaging._coupling import count_pairs, couple
from livertrack.imaging.label_files import soft_name
from livertrack.imaging.pathways import pathway_records
from livertrack.imaging.soft_labels import _spread, soft_labels


def _words(centres, groups, distances):
    groups = np.array(groups, np.int16)
    return SimpleNamespace(
        centres=np.array(centres, np.float32), groups=groups, n_types=int(groups.max()),
        card={"distances": np.array(distances, float)},
        encoder=SimpleNamespace(fused=lambda: lambda columns: columns),
    )  # fmt: skip


def _shares(words, latents, variance):
    columns = torch.tensor(latents.T, dtype=torch.float32)
    return type_shares(words, torch.device("cpu"), variance)(columns).numpy()


def test_shares_of_a_hand_worked_place():
    # squared distances 1 and 9 to two centres; their halved difference over the variance is 2
    words = _words([[0.0], [4.0]], [1, 2], [[0, 2], [2, 0]])
    got = _shares(words, np.array([[1.0], [2.0]]), 2.0)
    odds = np.exp(-(9 - 1) / (2 * 2.0))
    np.testing.assert_allclose(got, [[1 / (1 + odds), odds / (1 + odds)], [0.5, 0.5]], rtol=1e-6)


def test_clusters_of_one_type_are_added():
    words = _words([[-1.0], [1.0], [0.0]], [1, 1, 2], [[0, 1], [1, 0]])
    one = _shares(words, np.array([[0.0]]), 1.0)[0]
    far = np.exp(-0.5)
    np.testing.assert_allclose(one, [2 * far / (2 * far + 1), 1 / (2 * far + 1)], rtol=1e-6)


def test_the_spread_is_the_unit_of_the_card():
    words = _words([[0.0], [4.0], [9.0]], [1, 2, 3], [[0, 2, 4.5], [2, 0, 2.5], [4.5, 2.5, 0]])
    assert _spread(words) == pytest.approx(2.0)


def test_where_types_overlap_probabilities_change_less_than_labels():
    rng = np.random.default_rng(0)
    words = _words([[0.0], [1.0], [2.0]], [1, 2, 3], np.abs(np.subtract.outer(range(3), range(3))))
    place = rng.choice([0.0, 1.0, 2.0], 5000) + rng.normal(0, 0.5, 5000)
    once, again = (place[:, None] + rng.normal(0, 0.5, (5000, 1)) for _ in range(2))
    hard = count_pairs(*(abs(z - [[0, 1, 2]]).argmin(axis=1) + 1 for z in (once, again)), 3)
    soft = couple(*(_shares(words, z, 0.35 * _spread(words) ** 2) for z in (once, again)))
    moved = [1 - np.trace(flow) / flow.sum() for flow in (hard, soft)]
    assert moved[0] > 0.25
    assert moved[1] < 0.8 * moved[0]


def test_the_most_probable_type_is_the_label(quick, scans):
    shares = soft_labels(quick, scans[0])
    mask = scans[0].mask
    labels = quick.label(scans[0].volume, mask, scans[0].spacing, reference=scans[0].reference)
    np.testing.assert_allclose(shares[mask].sum(axis=1), 1, atol=1e-5)
    assert not shares[~mask].any()
    assert (shares[mask].argmax(axis=1) + 1 == labels[mask]).mean() > 0.999
    assert 0.001 < (shares[mask].max(axis=1) < 0.9).mean() < 0.9


def test_without_softness_probabilities_are_labels(quick, scans):
    shares = soft_labels(quick, scans[0], softness=1e-6)[scans[0].mask]
    assert (shares.max(axis=1) > 0.999).mean() > 0.99
    softer = soft_labels(quick, scans[0], softness=1.0)[scans[0].mask]
    assert softer.max(axis=1).mean() < shares.max(axis=1).mean()


def test_turning_the_image_turns_the_probabilities(quick, scans):
    scan = scans[0]
    flipped = Scan(
        scan.volume[:, ::-1], scan.mask[::-1], scan.spacing, scan.reference[::-1],
        affine=np.diag([-3.0, 3.0, 4.0, 1.0]),
    )  # fmt: skip
    np.testing.assert_allclose(
        soft_labels(quick, flipped)[::-1], soft_labels(quick, scan), atol=1e-5
    )


def test_names_follow_those_of_the_label_maps():
    name = "sub-A_ses-B_desc-vocab_dseg.nii.gz"
    assert soft_name(f"/there/{name}") == "sub-A_ses-B_desc-vocab_probseg.nii.gz"


@pytest.fixture
def written(study, tmp_path):
    """Label maps of two subjects at two visits: the same livers, with much noise of each scan."""
    rng = np.random.default_rng(3)
    for path in study["IMAGE"]:
        image = nib.load(path)
        values = np.asarray(image.dataobj)
        values = values * np.exp(0.5 * rng.standard_normal(values.shape))
        nib.save(nib.Nifti1Image(values.astype(np.float32), image.affine), path)
    words = fit_vocabulary(
        study, n_types=3, seed=5, steps=30, n_places=1200, liver_label=5, reference_label=1
    )
    labelled = signatures(
        study, words, out=tmp_path, probabilities=True, liver_label=5, reference_label=1, shells=0
    )
    rows = labelled.scans[["USUBJID", "AVISIT", "AVISITN", "MAP"]].merge(_as_rows(study))
    rows["MAP"] = [str(tmp_path / "maps" / name) for name in rows["MAP"]]
    return rows


def _as_rows(study):
    keys = ["USUBJID", "AVISIT"]
    return pd.DataFrame(
        [
            {**dict(zip(keys, key, strict=True)), "MASK": part["MASK"].iloc[0],
             "IMAGES": dict(zip(part["SEQUENCE"], part["IMAGE"], strict=True))}
            for key, part in study.groupby(keys)
        ]
    )  # fmt: skip


def _flows(rows, **more):
    return pathway_records(
        rows, n_types=3, baseline="Baseline", shells=0, liver_label=5, reference_label=1, **more
    )


def test_soft_labels_reach_the_pathways(written, tmp_path):
    scans = written
    paths = [tmp_path / "maps" / soft_name(name) for name in scans["MAP"]]
    image = nib.load(paths[0])
    shares = np.asarray(image.dataobj, np.float32)
    assert image.get_data_dtype() == np.uint8
    assert shares.shape[3] == 3
    labels = np.asarray(nib.load(scans["MAP"][0]).dataobj)
    np.testing.assert_allclose(shares.sum(axis=3)[labels > 0], 1, atol=0.01)
    soft, hard = _flows(scans.assign(PROBS=list(map(str, paths)))), _flows(scans)
    assert set(soft.quality["SOFTFL"]) == {"Y"}
    assert set(hard.quality["SOFTFL"]) == {"N"}
    moved = [r.records.query("FROMTYPE != TOTYPE")["AVAL"].sum() for r in (soft, hard)]
    assert abs(moved[0] - moved[1]) > 1e-3
    sums = soft.records.groupby("USUBJID")["AVAL"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-9)


@pytest.mark.slow
def test_workers_change_no_byte(study, quick, tmp_path):
    given = {"liver_label": 5, "reference_label": 1, "probabilities": True}
    for workers in (1, 2):
        signatures(study, quick, out=tmp_path / str(workers), workers=workers, **given)
    one, two = (sorted((tmp_path / n / "maps").iterdir()) for n in ("1", "2"))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    assert sum(p.name.endswith("_probseg.nii.gz") for p in one) == 4
