"""Elastograms: stiffness comes back, failures show where readers look and not in the mean."""

import numpy as np
import pytest

from livertrack.errors import UsageError
from livertrack.simulate import simulate_elastogram, simulate_elastograms


@pytest.fixture(scope="module")
def exams():
    frame, images = simulate_elastograms(70, seed=2, slices=2)
    return frame.assign(
        MEAN=[i.magnitude.mean() for i in images],
        LIVER=[i.magnitude[i.liver].mean() for i in images],
        READ=[i.confident.sum() / i.liver.sum() for i in images],
        EDGES=[np.abs(np.diff(i.phase, axis=1)).max() for i in images],
        EST=[np.nanmedian(np.where(i.confident, i.stiffness, np.nan)) if i.confident.any()
             else np.nan for i in images],
    )  # fmt: skip


def test_the_stiffness_of_a_good_slice_comes_back(exams):
    good = exams[exams["DIAGNOSTIC"].eq(1)]
    assert good["EST"].corr(good["KPA"]) > 0.98
    assert (good["EST"] / good["KPA"]).median() == pytest.approx(1.08, abs=0.05)


def test_every_failure_occurs_and_spoils_whole_examinations(exams):
    assert set(exams["FAILURE"]) == {"", "motion", "contact", "ascites", "wrap"}
    assert exams.groupby("USUBJID")["FAILURE"].nunique().max() == 1
    assert (exams["DIAGNOSTIC"].eq(1) == exams["FAILURE"].eq("")).all()


def test_weak_waves_and_motion_leave_little_to_read(exams):
    read = exams.groupby("FAILURE")["READ"].mean()
    assert read[["motion", "contact", "ascites"]].max() < 0.5 * read[""]


def test_wrapped_phase_jumps_by_a_turn(exams):
    edges = exams.groupby("FAILURE")["EDGES"].min()
    assert edges["wrap"] > 6.0
    image = simulate_elastogram(np.random.default_rng(1), kpa=3.0, failure="wrap")
    assert np.abs(image.phase).max() <= np.pi + 1e-6


def test_the_mean_magnitude_tells_no_failure(exams):
    for column in ("MEAN", "LIVER"):
        good, bad = (exams.loc[exams["DIAGNOSTIC"].eq(v), column] for v in (1, 0))
        wins = (np.sign(good.to_numpy()[:, None] - bad.to_numpy()) + 1) / 2
        assert 0.3 < wins.mean() < 0.7


def test_an_examination_does_not_depend_on_how_many_there_are():
    few, images = simulate_elastograms(3, seed=5)
    many, others = simulate_elastograms(5, seed=5)
    assert few.equals(many.head(12))
    np.testing.assert_array_equal(images[4].phase, others[4].phase)


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(UsageError, match="failure is one of"):
        simulate_elastogram(np.random.default_rng(0), kpa=3.0, failure="metal")
    with pytest.raises(UsageError, match="at least 1"):
        simulate_elastograms(0, seed=1)
