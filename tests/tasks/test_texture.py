"""Texture of a baseline: a picture worked by hand, and what must not change it."""

import numpy as np
import pytest

from livertrack.tasks._texture import cooccurrence, feature_names, mean_intensity, shape, texture


def test_cooccurrence_of_a_hand_worked_picture():
    # pairs (0,0) twice, (0,1) once, (1,1) once; joined with their reverse: 8 in all
    found = cooccurrence(np.array([[2.0, 1.0], [0.0, 1.0]]))
    p = np.array([[4, 1], [1, 2]]) / 8
    mean = 3 / 8
    variance = mean * (1 - mean)
    assert found["CONTRAST"] == pytest.approx(2 / 8)
    assert found["ENERGY"] == pytest.approx((p**2).sum())
    assert found["HOMOGENEITY"] == pytest.approx(6 / 8 + 2 / 8 / 2)
    assert found["CORRELATION"] == pytest.approx((p[1, 1] - mean**2) / variance)


@pytest.fixture(scope="module")
def liver():
    rng = np.random.default_rng(0)
    mask = np.zeros((24, 20, 4), bool)
    mask[4:20, 3:17, 1:3] = True
    return rng.normal(100, 10, mask.shape).astype(np.float32), mask


def test_gain_changes_the_mean_and_no_texture(liver):
    image, mask = liver
    first, second = texture(image, mask), texture(4 * image, mask)
    assert mean_intensity(4 * image, mask) == pytest.approx(4 * mean_intensity(image, mask))
    for name in feature_names():
        assert second[name] == pytest.approx(first[name], rel=1e-4, abs=1e-6)


def test_what_is_outside_the_liver_does_not_count(liver):
    image, mask = liver
    other = np.where(mask, image, 1e4).astype(np.float32)
    assert texture(other, mask) == texture(image, mask)


def test_a_coarser_grain_correlates_further(liver):
    image, mask = liver
    coarse = np.repeat(np.repeat(image[::2, ::2], 2, axis=0), 2, axis=1)
    assert texture(coarse, mask)["CORRELATION1"] > texture(image, mask)["CORRELATION1"] + 0.3


def test_a_liver_of_one_intensity_has_no_texture(liver):
    _, mask = liver
    found = texture(np.ones(mask.shape, np.float32), mask)
    assert all(np.isnan(value) for value in found.values())


def test_outline_and_volume_of_a_box():
    mask = np.zeros((10, 10, 3), bool)
    mask[2:6, 3:7, 1] = True
    found = shape(mask, (2.0, 2.0, 5.0))
    assert found["VOLML"] == pytest.approx(16 * 20 / 1000)
    assert found["ROUGHNESS"] == pytest.approx(4.0)  # a square: 4 sides over the root of its area
