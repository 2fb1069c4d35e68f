"""Signals agree with the equations they claim."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livertrack._seeds import generator
from livertrack.simulate import Protocol, ScanSettings, simulate_scan, tissue
from livertrack.simulate.anatomy import draw_anatomy
from livertrack.simulate.physics import (
    enhanced_t1,
    fat_phasor,
    rician,
    sequence_signals,
    spoiled_gradient_echo,
    water_fat_signal,
)
from livertrack.simulate.scan import Physiology, draw_textures, tissue_signals
from livertrack.simulate.scanner import STORED_LEVEL, draw_scanner

QUIET = ScanSettings(
    noise=0.0, gain=0.0, blur_mm=0.0, bias=0.0, breathing_mm=0.0, deformation_mm=0.0,
    sequence_shift_mm=0.0, t1_cv=0.0, texture=0.0,
)  # fmt: skip


def test_spoiled_gradient_echo_hand_worked():
    # TR = T1 and a right angle: density x (1 - 1/e).
    signal = spoiled_gradient_echo(2.0, 500.0, tr_ms=500.0, flip_deg=90.0)
    assert signal == pytest.approx(2.0 * (1 - np.exp(-1)))


def test_signal_is_largest_at_the_ernst_angle():
    angles = np.linspace(1, 60, 591)
    signals = [spoiled_gradient_echo(1.0, 600.0, tr_ms=7.0, flip_deg=a) for a in angles]
    ernst = np.rad2deg(np.arccos(np.exp(-7.0 / 600.0)))
    assert angles[int(np.argmax(signals))] == pytest.approx(ernst, abs=0.1)


def test_equal_water_and_fat_cancel_in_opposed_phase():
    protocol = Protocol()
    opposed = fat_phasor(protocol.te_opposed_ms, protocol)
    in_phase = fat_phasor(protocol.te_in_ms, protocol)
    assert water_fat_signal(0.5, 0.5, r2star=0.0, te_ms=2.3, phasor=opposed) == pytest.approx(0.0)
    assert water_fat_signal(0.5, 0.5, r2star=0.0, te_ms=4.6, phasor=in_phase) == pytest.approx(1.0)


@given(fat=st.floats(0.0, 0.5))
def test_two_points_give_back_the_fat_fraction(fat: float):
    ip = water_fat_signal(1 - fat, fat, r2star=0.0, te_ms=4.6, phasor=1.0)
    op = water_fat_signal(1 - fat, fat, r2star=0.0, te_ms=2.3, phasor=-1.0)
    assert (ip - op) / (2 * ip) == pytest.approx(fat, abs=1e-12)


def test_six_peaks_do_not_cancel_completely():
    six = Protocol(fat_model="multipeak")
    assert abs(fat_phasor(0.0, six) - 1.0) < 1e-12
    opposed = fat_phasor(six.te_opposed_ms, six)
    assert -1.0 < opposed.real < -0.5
    assert water_fat_signal(0.5, 0.5, r2star=0.0, te_ms=2.3, phasor=opposed) > 0.02


def test_single_peak_precesses_between_its_two_echoes():
    protocol = Protocol()
    assert abs(fat_phasor(2.3, protocol) + 1.0) < 1e-12
    assert abs(abs(fat_phasor(1.2, protocol)) - 1.0) < 1e-12
    assert abs(fat_phasor(1.15, protocol).real) < 0.05  # a quarter turn


def test_iron_loses_more_signal_in_the_longer_echo():
    ratio = water_fat_signal(1.0, 0.0, r2star=105.0, te_ms=4.6, phasor=1.0) / water_fat_signal(
        1.0, 0.0, r2star=105.0, te_ms=2.3, phasor=-1.0
    )
    assert ratio == pytest.approx(np.exp(-105.0 * 2.3e-3))


def test_contrast_agent_shortens_t1():
    assert enhanced_t1(1000.0, 1.0) == pytest.approx(500.0)
    assert enhanced_t1(586.0, 0.0) == pytest.approx(586.0)


def test_sequences_show_what_a_radiologist_expects():
    codes = np.arange(1, 9).reshape(-1, 1, 1)
    signal = tissue_signals(codes, np.zeros(8), physiology=Physiology(), settings=ScanSettings())
    ip, op, hbp = (signal[name].ravel() for name in ("IP", "OP", "HBP"))
    drop = (ip - op) / ip
    normal, mild, severe = drop[[tissue.NORMAL - 1, tissue.MILD - 1, tissue.SEVERE - 1]]
    assert severe > 0.4 > mild > 0.1 > normal > -0.1
    assert drop[tissue.IRON - 1] < 0  # iron: brighter in opposed phase, the echo is shorter
    assert hbp[tissue.VESSEL - 1] < hbp[tissue.COARSE - 1] < hbp[tissue.NORMAL - 1]
    assert hbp[tissue.FINE - 1] == pytest.approx(hbp[tissue.COARSE - 1])
    assert ip[tissue.FINE - 1] == pytest.approx(ip[tissue.COARSE - 1])


def test_noise_of_nothing_is_rayleigh():
    noise = rician(np.random.default_rng(1), np.zeros((40, 40, 40), np.float32), 2.0)
    assert noise.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)
    assert noise.min() >= 0


def test_without_noise_a_scan_is_its_signal_equation():
    rng = generator(1, "quiet")
    anatomy = draw_anatomy(rng, shape=(24, 18, 12), spacing=(12.0, 12.0, 10.7))
    textures = draw_textures(rng, anatomy)
    states = np.where(anatomy.liver, tissue.SEVERE, 0).astype(np.uint8)
    scanner = draw_scanner(rng, "quiet", ("IP", "OP", "HBP"), QUIET)
    scan = simulate_scan(rng, anatomy, states, textures, scanner=scanner, settings=QUIET)
    severe = tissue.LIVER_STATES[tissue.SEVERE - 1]
    normal = tissue.LIVER_STATES[tissue.NORMAL - 1]

    def signals(state: tissue.Tissue) -> dict[str, np.ndarray]:
        return sequence_signals(
            density=np.array(state.density), fat=np.array(state.fat), t1_ms=np.array(state.t1),
            r2star=np.array(state.r2star), uptake=np.array(state.uptake), protocol=Protocol(),
        )  # fmt: skip

    level = signals(normal)["IP"]
    inside = scan.mask == 5
    assert np.array_equal(inside, anatomy.liver)
    assert np.array_equal(scan.truth, states)
    for name, expected in signals(severe).items():
        assert np.unique(scan.images[name][inside]).tolist() == [
            round(float(STORED_LEVEL * expected / level))
        ]
