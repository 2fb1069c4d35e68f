"""States turn along planted flows: in the right amount, place, direction."""

import numpy as np
import pytest

from livertrack._seeds import generator
from livertrack.simulate import tissue
from livertrack.simulate.anatomy import draw_anatomy
from livertrack.simulate.fields import ranks_within, smooth_field
from livertrack.simulate.states import (
    FLOWS,
    Flow,
    baseline_states,
    composition,
    evolve,
    flow_table,
    planted_flows,
    subject_rates,
)

SHAPE, SPACING = (24, 18, 12), (12.0, 12.0, 10.7)


@pytest.fixture(scope="module")
def anatomy():
    return draw_anatomy(generator(3, "anatomy"), shape=SHAPE, spacing=SPACING)


def test_ranks_hand_worked():
    field = np.array([[[3.0, 1.0, 2.0, 9.0]]])
    region = np.array([[[True, True, True, False]]])
    assert ranks_within(field, region) == pytest.approx([2.5 / 3, 0.5 / 3, 1.5 / 3])


def test_fields_are_standard_and_smoother_with_scale():
    fields = [
        smooth_field(generator(1, "f"), (40, 40, 20), (3, 3, 4), scale) for scale in (2, 8, 20)
    ]
    steps = [float(np.mean(np.diff(field, axis=0) ** 2)) for field in fields]
    assert steps[0] > steps[1] > steps[2]
    for field in fields:
        assert field.mean() == pytest.approx(0, abs=1e-5)
        assert field.std() == pytest.approx(1, abs=1e-5)


def test_baseline_has_the_shares_that_were_asked_for(anatomy):
    wanted = {tissue.SEVERE: 0.2, tissue.MILD: 0.1, tissue.COARSE: 0.05, tissue.INFLAMED: 0.15}
    states = baseline_states(generator(1, "b"), anatomy, wanted, region_mm=20.0)
    inside = states[anatomy.parenchyma]
    for code, share in wanted.items():
        assert np.mean(inside == code) == pytest.approx(share, abs=2 / inside.size)
    assert np.mean(inside == tissue.NORMAL) == pytest.approx(0.5, abs=8 / inside.size)
    assert (states[~anatomy.liver] == 0).all()


def test_evolve_moves_exactly_the_share_and_from_the_right_end():
    states = np.full((10, 1, 1), tissue.MILD, np.uint8)
    turning = np.arange(10.0).reshape(10, 1, 1)
    rates = {
        (tissue.MILD, tissue.NORMAL): 0.3,
        (tissue.MILD, tissue.SEVERE): 0.1,
        (tissue.MILD, tissue.INFLAMED): 0.2,
    }
    after = evolve(states, turning, rates).ravel().tolist()
    worst, worse, same, best = tissue.INFLAMED, tissue.SEVERE, tissue.MILD, tissue.NORMAL
    assert after == [worst] * 2 + [worse] + [same] * 4 + [best] * 3
    assert (states == tissue.MILD).all()  # the input is left alone


def test_change_is_nested_in_time(anatomy):
    states = baseline_states(
        generator(1, "b"), anatomy, {tissue.SEVERE: 0.3, tissue.FINE: 0.2}, region_mm=20.0
    )
    turning = smooth_field(generator(1, "t"), SHAPE, SPACING, 20.0)
    at = {
        time: evolve(
            states, turning, subject_rates(dose=1.0, effect=1.0, elapsed=time, response=1.0)
        )
        for time in (0.0, 0.25, 1.0)
    }
    assert np.array_equal(at[0.0], states)
    early, late = at[0.25] != states, at[1.0] != states
    assert early.any()
    assert (late | ~early).all()


def test_iron_and_vessels_never_turn():
    turned = {flow.source for flow in FLOWS} | {flow.target for flow in FLOWS}
    assert turned.isdisjoint({tissue.IRON, tissue.VESSEL})


@pytest.mark.parametrize("flow", FLOWS, ids=lambda f: f"{f.source}to{f.target}")
def test_the_drug_improves_and_slows_worsening(flow: Flow):
    placebo, low, high = (flow.rate(dose, 1.0, 1.0) for dose in (0.0, 2 / 3, 1.0))
    assert (placebo < low < high) if flow.better else (placebo > low > high)
    assert flow.rate(1.0, 0.0, 1.0) == flow.rate(0.0, 1.0, 1.0) == flow.placebo
    assert flow.rate(1.0, 1.0, 0.0) == 0.0
    assert flow.rate(1.0, 1.0, 0.25) == pytest.approx(flow.active * flow.early)


def test_rates_that_exceed_the_whole_are_scaled_down():
    states = np.full((1000, 1, 1), tissue.MILD, np.uint8)
    turning = np.arange(1000.0).reshape(1000, 1, 1)
    rates = {(tissue.MILD, tissue.NORMAL): 1.2, (tissue.MILD, tissue.SEVERE): 0.4}
    after = evolve(states, turning, rates)
    assert np.mean(after == tissue.MILD) == pytest.approx(0.05, abs=0.002)
    assert np.mean(after == tissue.NORMAL) == pytest.approx(0.95 * 0.75, abs=0.002)


def test_flow_table_hand_worked():
    before = np.array([0, 1, 1, 2, 2], np.uint8)
    after = np.array([0, 1, 2, 2, 3], np.uint8)
    table = flow_table(before, after).set_index(["FROMTYPE", "TOTYPE"])["AVAL"]
    assert table[1, 1] == table[1, 2] == table[2, 2] == table[2, 3] == 0.25
    assert table.sum() == pytest.approx(1.0)
    assert len(table) == 64
    assert composition(before).tolist() == [0.5, 0.5, 0, 0, 0, 0, 0, 0]


def test_planted_flows_of_all_arms_agree_without_effect():
    table = planted_flows(["P", "L", "H"], [0.0, 2 / 3, 1.0], {"Week 48": 1.0}, effect=0.0)
    wide = table.pivot_table(index=["FROMTYPE", "TOTYPE"], columns="TRT01P", values="RATE")
    assert (wide["P"] == wide["L"]).all()
    assert (wide["P"] == wide["H"]).all()
