"""Baseline cohorts: proportions, scores that follow the truth, textures without a mean."""

import numpy as np
import pandas as pd
import pytest

from livertrack.errors import UsageError
from livertrack.simulate import simulate_baseline, simulate_textures

TYPES = [f"TV{k:02d}" for k in range(1, 8)]


@pytest.fixture(scope="module")
def cohort():
    return simulate_baseline(120, seed=4)


def test_signatures_are_proportions_and_identifiers_unique(cohort):
    np.testing.assert_allclose(cohort[TYPES].sum(axis=1), 1)
    assert cohort["USUBJID"].is_unique
    assert set(cohort["CNSR"]) == {0, 1}
    assert cohort.notna().all(axis=None)


def test_scarred_livers_are_staged_higher_and_have_events_earlier(cohort):
    scar = cohort["TV04"] + 2.5 * cohort["TV05"]
    assert scar.corr(cohort["FIBROSIS"], method="spearman") > 0.5
    early = cohort["CNSR"].eq(0) & (cohort["AVAL"] < 730)
    assert scar[early].median() > scar[~early].median()


def test_error_blurs_the_signature_and_nothing_else(cohort):
    exact = simulate_baseline(120, seed=4, signature_error=0.0)
    pd.testing.assert_frame_equal(exact.drop(columns=TYPES), cohort.drop(columns=TYPES))
    assert exact["PDFF"].corr(exact["TV03"]) > cohort["PDFF"].corr(cohort["TV03"]) > 0.5


def test_the_same_seed_gives_the_same_cohort(cohort):
    pd.testing.assert_frame_equal(cohort, simulate_baseline(120, seed=4))
    assert not cohort["TV01"].equals(simulate_baseline(120, seed=5)["TV01"])


def test_texture_changes_grain_and_not_the_mean():
    images = simulate_textures([2.0] * 12 + [6.0] * 12, seed=1)
    inside = [image.volume[0][image.mask] for image in images]
    means = np.array([values.mean() for values in inside])
    assert abs(means[:12].mean() / means[12:].mean() - 1) < 0.08
    steps = np.array([
        np.abs(np.diff(image.volume[0], axis=0))[image.mask[1:] & image.mask[:-1]].mean()
        for image in images
    ])  # fmt: skip
    assert (steps[:12] / means[:12]).min() > (steps[12:] / means[12:]).max()


def test_impossible_cohorts_are_refused():
    with pytest.raises(UsageError, match="n is at least 1"):
        simulate_baseline(0, seed=1)
