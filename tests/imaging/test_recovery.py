"""Agreement with the truth, by hand."""

import numpy as np
import pytest

from livertrack.errors import UsageError
from livertrack.imaging import recovery
from livertrack.imaging.recovery import match_types

TRUTH = np.repeat([1, 1, 2, 2], 4).reshape(4, 4, 1)
MASK = np.ones((4, 4, 1), bool)


def test_renamed_types_are_a_perfect_recovery():
    table = recovery([3 - TRUTH], [TRUTH], [MASK])
    assert table.loc[0, ["ari", "nmi", "ari_scan"]].tolist() == pytest.approx([1, 1, 1])
    assert table.loc[0, "signature_error"] == 0


def test_one_type_for_all_recovers_nothing():
    table = recovery({"flat": [np.ones_like(TRUTH)]}, [TRUTH], [MASK])
    assert table.loc[0, "ari"] == 0
    assert table.loc[0, "signature_error"] == pytest.approx(
        0.5
    )  # found 1 for 1/2, nothing for 1/2


def test_voxels_outside_mask_or_truth_do_not_count():
    noisy = TRUTH.copy()
    noisy[0] = 7
    mask = MASK.copy()
    mask[0] = False
    assert recovery([noisy], [TRUTH], [mask]).loc[0, "ari"] == 1
    unknown = TRUTH.copy()
    unknown[0] = 0
    assert recovery([noisy], [unknown], [MASK]).loc[0, "n_voxels"] == 12


def test_matching_maximises_the_overlap():
    found = np.array([1, 1, 1, 2, 2, 3])
    true = np.array([5, 5, 6, 6, 6, 5])
    assert match_types(found, true) == {1: 5, 2: 6}


def test_one_map_per_truth():
    with pytest.raises(UsageError, match="give one each"):
        recovery([TRUTH, TRUTH], [TRUTH], [MASK])
