"""Sequences that were moved against each other are brought back."""

import numpy as np
import pytest
from scipy import ndimage

from livertrack.imaging import Scan, fit_vocabulary, signatures
from livertrack.imaging.channels import GAIN, align_channels
from livertrack.simulate import ScanSettings, simulate_subject


@pytest.fixture(scope="module")
def simulated():
    """In phase, opposed phase and hepatobiliary phase of one breath-hold."""
    subject = simulate_subject(
        4, shape=(80, 64, 28), spacing=(3.6, 3.6, 4.5), visits={"Baseline": 0},
        settings=ScanSettings(sequence_shift_mm=0.0),
    )  # fmt: skip
    (scan,) = subject.scans.values()
    return Scan(scan.volume, scan.mask == 5, scan.spacing, scan.mask == 1, affine=scan.affine)


def turned(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def moved(scan, channel, shift, degrees=0.0):
    """Scan whose channel shows at p what it showed at R (p - centre) + centre + shift."""
    affine = np.asarray(scan.affine)
    centre = (np.argwhere(scan.mask) @ affine[:3, :3].T + affine[:3, 3]).mean(axis=0)
    world = np.eye(4)
    world[:3, :3] = turned(degrees)
    world[:3, 3] = centre + shift - world[:3, :3] @ centre
    index = np.linalg.inv(affine) @ world @ affine
    volume = scan.volume.copy()
    volume[channel] = ndimage.affine_transform(
        volume[channel], index[:3, :3], index[:3, 3], order=1, mode="nearest"
    )
    return Scan(volume, scan.mask, scan.spacing, scan.reference, affine=affine), world, affine


def size_of(world, scan, affine):
    places = np.argwhere(scan.mask) @ affine[:3, :3].T + affine[:3, 3]
    return np.linalg.norm(places @ world[:3, :3].T + world[:3, 3] - places, axis=1).mean()


@pytest.mark.parametrize("channel", [1, 2])
@pytest.mark.parametrize(("shift", "degrees"), [((4, -3, 5), 0), ((-6, 5, 9), 3)])
def test_a_known_movement_is_found_and_undone(simulated, channel, shift, degrees):
    bad, world, affine = moved(simulated, channel, np.array(shift, float), degrees)
    good, facts = align_channels(bad)
    assert facts["ALIGNFL"] == "Y"
    assert facts["ALIGNMM"] == pytest.approx(size_of(world, simulated, affine), abs=1.5)
    inside = ndimage.binary_erosion(simulated.mask, iterations=2)
    truth = ndimage.gaussian_filter(simulated.volume[channel], 1)[inside]

    def off(scan):
        return np.abs(ndimage.gaussian_filter(scan.volume[channel], 1)[inside] - truth).mean()

    assert off(good) < 0.6 * off(bad)
    np.testing.assert_array_equal(good.volume[0], bad.volume[0])
    np.testing.assert_array_equal(good.mask, bad.mask)


def test_channels_that_agree_are_not_resampled(simulated):
    good, facts = align_channels(simulated)
    assert facts == {"ALIGNMM": 0.0, "ALIGNFL": "Y"}
    np.testing.assert_array_equal(good.volume, simulated.volume)
    assert 0 < GAIN < 1


def test_a_channel_without_structure_is_left_and_said(simulated):
    volume = simulated.volume[:2].copy()
    volume[1] = np.random.default_rng(1).normal(100, 10, volume[1].shape)
    scan = Scan(volume, simulated.mask, simulated.spacing, affine=simulated.affine)
    good, facts = align_channels(scan)
    if facts["ALIGNFL"] == "N":
        np.testing.assert_array_equal(good.volume, scan.volume)
    assert facts["ALIGNMM"] < 40


def test_alignment_is_an_option_of_the_vocabulary_and_recorded(scans):
    words = fit_vocabulary(
        scans, n_types=3, seed=1, method="kmeans", n_places=800, align_channels="rigid"
    )
    assert words.preparation.align_channels == "rigid"
    found = signatures(scans, words, shells=0).scans
    assert set(found["ALIGNFL"]) <= {"Y", "N"}
    assert found["ALIGNMM"].notna().all()
    plain = fit_vocabulary(scans, n_types=3, seed=1, method="kmeans", n_places=800)
    assert signatures(scans, plain, shells=0).scans["ALIGNMM"].isna().all()
