"""One subject: anatomy, response to the dose, textures, breathing."""

import numpy as np
import pytest

from livertrack._seeds import generator
from livertrack.simulate import ScanSettings, simulate_subject, tissue
from livertrack.simulate.motion import draw_motion, pull_labels
from livertrack.simulate.scan import scan_affine
from livertrack.simulate.severity import Severity, draw_severity
from livertrack.simulate.states import composition

TINY = {"shape": (24, 18, 12), "spacing": (12.0, 12.0, 10.7)}


def test_liver_and_spleen_are_where_they_belong():
    subject = simulate_subject(1, 1, scan_visits=["Baseline"])
    scan = subject.scans["Baseline"]
    volume = 36e-3 * np.sum(scan.mask == 5)
    assert 600 < volume < 2500  # mL
    assert 40 < 36e-3 * np.sum(scan.mask == 1) < 600
    liver, spleen = (np.argwhere(scan.mask == label).mean(axis=0) for label in (5, 1))
    world = [(scan.affine @ [*place, 1.0])[:3] for place in (liver, spleen)]
    assert world[0][0] > 0 > world[1][0]  # RAS: the liver lies on the right
    share = np.mean(scan.truth[scan.mask == 5] == tissue.VESSEL)
    assert 0.02 < share < 0.10


def test_affine_is_centred_and_left_posterior_superior():
    affine = scan_affine((10, 8, 6), (3.0, 3.0, 4.0))
    assert np.allclose(affine @ [4.5, 3.5, 2.5, 1.0], [0, 0, 0, 1])
    assert np.allclose(np.diag(affine), [-3, -3, 4, 1])


def test_without_effect_the_dose_changes_nothing():
    a, b = (simulate_subject(5, 2, dose=dose, effect=0.0, **TINY) for dose in (0.0, 1.0))
    for visit in a.scans:
        assert np.array_equal(a.states[visit], b.states[visit])
        assert np.array_equal(a.scans[visit].volume, b.scans[visit].volume)


def test_dose_and_effect_reduce_fat():
    def severe(dose: float, effect: float) -> float:
        subject = simulate_subject(5, 2, dose=dose, effect=effect, scan_visits=(), **TINY)
        return float(composition(subject.states["Week 48"])[tissue.SEVERE - 1])

    assert severe(0.0, 1.0) > severe(2 / 3, 1.0) > severe(1.0, 1.0) > severe(1.0, 1.5)


def test_a_subject_has_a_stream_of_its_own():
    first = simulate_subject(5, 1, scan_visits=(), **TINY)
    again = simulate_subject(5, 1, scan_visits=(), **TINY)
    other = simulate_subject(5, 2, scan_visits=(), **TINY)
    assert np.array_equal(first.anatomy.tissues, again.anatomy.tissues)
    assert not np.array_equal(first.anatomy.tissues, other.anatomy.tissues)


def test_fine_and_coarse_fibrosis_share_the_mean_and_differ_in_grain():
    settings = ScanSettings(noise=0.0, bias=0.0, breathing_mm=0.0, deformation_mm=0.0, t1_cv=0.0)
    base = draw_severity(generator(1, "s"))
    means, grains = {}, {}
    for code in (tissue.FINE, tissue.COARSE):
        severity = Severity({code: 0.9}, 1.0, base.physiology)
        subject = simulate_subject(
            8, 1, severity=severity, settings=settings, scan_visits=["Baseline"]
        )
        scan = subject.scans["Baseline"]
        image, inside = scan.images["HBP"].astype(float), scan.truth == code
        means[code] = image[inside].mean()
        pairs = inside[:-3] & inside[3:]
        a, b = image[:-3][pairs], image[3:][pairs]
        grains[code] = np.corrcoef(a, b)[0, 1]  # correlation over 9 mm
    assert means[tissue.FINE] == pytest.approx(means[tissue.COARSE], rel=0.03)
    assert grains[tissue.COARSE] > grains[tissue.FINE] + 0.1


def test_breathing_has_the_stated_spread():
    moves = [
        draw_motion(
            generator(2, i), shape=(24, 18, 12), spacing=(12, 12, 10.7), breathing_mm=4.4,
            deformation_mm=3.0,
        )
        for i in range(400)
    ]  # fmt: skip
    head = np.array([move.translation[2] for move in moves])
    assert np.std(head[::2] - head[1::2]) == pytest.approx(4.4, rel=0.15)
    between = [a.control - b.control for a, b in zip(moves[::2], moves[1::2], strict=True)]
    rms = np.sqrt(np.mean([np.sum(d.astype(float) ** 2, axis=0).mean() for d in between]))
    assert rms == pytest.approx(3.0, rel=0.05)


def test_labels_follow_a_known_shift():
    labels = np.zeros((6, 4, 4), np.uint8)
    labels[3] = 7
    shift = np.zeros((3, 6, 4, 4), np.float32)
    shift[0] = 6.0  # what is seen at i lies at i + 2
    assert np.unique(np.argwhere(pull_labels(labels, shift, (3.0, 3.0, 3.0)) == 7)[:, 0]) == [1]


def test_severity_grows_with_its_causes():
    def mean(code: int, **causes: float) -> float:
        draws = [draw_severity(generator(3, i), **causes) for i in range(200)]
        return float(np.mean([draw.proportions[code] for draw in draws]))

    assert mean(tissue.SEVERE, bmi=42.0) > mean(tissue.SEVERE, bmi=28.0)
    assert mean(tissue.COARSE, age=70.0) > mean(tissue.COARSE, age=35.0)
    assert mean(tissue.COARSE, diabetes=True) > mean(tissue.COARSE, diabetes=False)
