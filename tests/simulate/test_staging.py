"""Staging cohorts: severity shows in grain, surface and spleen, not in a mean."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from livertrack.errors import UsageError
from livertrack.simulate._staging_anatomy import draw_body
from livertrack.simulate.staging import (
    simulate_cirrhosis,
    simulate_stiffness,
    stiffness_examinations,
)
from livertrack.simulate.staging_files import MARKER, write_cirrmri, write_stiffness
from livertrack.tasks._texture import mean_intensity, texture


@pytest.fixture(scope="module")
def cohort():
    return simulate_cirrhosis(44, seed=4, missing=0.0, sequences=["T1W"])


@pytest.fixture(scope="module")
def measures(cohort):
    rows = []
    for scan in cohort.scans:
        image, mask = scan["T1W"].image.astype(np.float32), scan["T1W"].mask
        spread = {"SD": float(image[mask].std()), "MEAN": mean_intensity(image, mask)}
        rows.append(spread | texture(image, mask))
    return pd.concat([cohort.frame, pd.DataFrame(rows)], axis=1)


@pytest.mark.parametrize("column", ["MEAN", "SD", "COV"])
def test_neither_mean_nor_spread_tells_the_severity(measures, column):
    assert abs(spearmanr(measures[column], measures["SEVERITY"])[0]) < 0.3


def test_the_grain_of_the_texture_tells_it(measures):
    assert spearmanr(measures["CORRELATION1"], measures["SEVERITY"])[0] > 0.45


def test_stages_are_read_with_error_from_severity(measures):
    assert set(measures["STAGE"]) == {1, 2, 3}
    true = 1 + (measures["SEVERITY"] > 0.36) + (measures["SEVERITY"] > 0.68)
    assert 0.7 < (true == measures["STAGE"]).mean() < 1.0


def test_surface_and_spleen_grow_with_severity():
    mild, severe = (
        [draw_body(np.random.default_rng(k), severity=s, bmi=28) for k in range(6)]
        for s in (0.0, 1.0)
    )
    assert all(a.spleen.sum() < b.spleen.sum() for a, b in zip(mild, severe, strict=True))

    def outline(body):
        edges = sum(np.abs(np.diff(body.liver.astype(int), axis=axis)).sum() for axis in (0, 1))
        return edges / np.sqrt(body.liver.sum())

    assert np.mean([outline(b) for b in severe]) > 1.02 * np.mean([outline(b) for b in mild])


def test_a_subject_does_not_depend_on_how_many_there_are(cohort):
    few = simulate_cirrhosis(2, seed=4, missing=0.0, sequences=["T1W"])
    pd.testing.assert_frame_equal(few.frame, cohort.frame.head(2))
    np.testing.assert_array_equal(few.scans[1]["T1W"].image, cohort.scans[1]["T1W"].image)


def test_sequences_and_clinical_values_go_missing_but_never_all_sequences():
    made = simulate_stiffness(16, seed=2, missing=0.5)
    held = [len(scan) for scan in made.scans]
    assert min(held) >= 1
    assert max(held) == 3
    assert set(held) > {1}
    lost = made.frame[["AGE", "BMI", "ALT", "AST", "PLAT"]].isna().mean()
    assert lost.between(0.1, 0.9).all()
    assert made.frame["KPA"].between(1.2, 12).all()


def test_another_institution_has_other_subjects_and_a_site_of_its_own():
    here, there = (simulate_stiffness(3, seed=2, external=e) for e in (False, True))
    assert set(there.frame["SITEID"]) == {"S9"}
    assert not set(here.frame["USUBJID"]) & set(there.frame["USUBJID"])
    assert not np.allclose(here.frame["KPA"], there.frame["KPA"])


def test_a_second_examination_is_later_of_the_same_body_and_another_scan():
    made = simulate_stiffness(2, seed=2, missing=0.0, repeated=1)
    first, second, other = made.frame.to_dict("records")
    assert first["USUBJID"] == second["USUBJID"] != other["USUBJID"]
    assert first["SCANDT"] < second["SCANDT"]
    assert abs(np.log(first["KPA"] / second["KPA"])) < 0.8
    one, two, stranger = (scan["T1W"] for scan in made.scans)

    def overlap(a, b):
        return 2 * (a.mask & b.mask).sum() / (a.mask.sum() + b.mask.sum())

    assert overlap(one, two) > 0.9 > overlap(one, stranger)
    assert not np.array_equal(one.image, two.image)
    alone = simulate_stiffness(2, seed=2, missing=0.0)
    np.testing.assert_array_equal(alone.scans[1]["T1W"].image, stranger.image)


def test_files_lie_where_the_published_ones_lie(tmp_path):
    made = simulate_cirrhosis(6, seed=1, missing=0.5)
    write_cirrmri(made, tmp_path, seed=1)
    assert (tmp_path / MARKER).read_text(encoding="utf-8").startswith("Simulated")
    for short, sequence in (("T1", "T1W"), ("T2", "T2W")):
        path = tmp_path / "Metadata" / f"{short}_age_gender_evaluation.csv"
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        table = pd.read_csv(path, encoding="utf-8-sig")
        assert list(table) == ["Patient ID", "Age", "Gender", "Radiological Evaluation"]
        images = list(tmp_path.glob(f"Cirrhosis_{short}_3D/*_images/*.nii.gz"))
        masks = list(tmp_path.glob(f"Cirrhosis_{short}_3D/*_masks/*.nii.gz"))
        held = sum(sequence in scan for scan in made.scans)
        assert len(images) == len(masks) == len(table) == held


def test_an_index_names_every_volume_of_stiffness(tmp_path):
    write_stiffness(stiffness_examinations(2, seed=1, repeated=1), tmp_path, seed=1)
    index = pd.read_csv(tmp_path / "images.csv")
    assert len(index.drop_duplicates(["USUBJID", "AVISIT"])) == 3
    assert index["IMAGE"].is_unique
    assert all((tmp_path / name).is_file() for name in [*index["IMAGE"], *index["MASK"]])


@pytest.mark.parametrize("bad", [{"n": 0}, {"n": 2, "missing": 1.0}])
def test_what_cannot_be_simulated_is_refused(bad):
    with pytest.raises(UsageError, match="at least 1"):
        simulate_stiffness(seed=1, **bad)
