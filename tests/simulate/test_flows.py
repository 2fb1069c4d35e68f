"""Simulated pathway records: sums, planted differences, sites and drift, seeds."""

import numpy as np
import pandas as pd
import pytest

from livertrack.errors import UsageError
from livertrack.simulate import tissue
from livertrack.simulate.flows import (
    FlowSettings,
    signatures_of,
    simulate_flows,
    split_vocabulary,
)

ARMS = ("Placebo", "Active")
CLEAN = FlowSettings(confusion=0.0, misregistered=1e-6, concentration=1e7, dropout=0.0)


@pytest.fixture(scope="module")
def trial():
    return simulate_flows(n_per_arm=12, seed=3, arms=ARMS, n_shells=2)


def test_flows_of_every_region_sum_to_one(trial):
    sums = trial.adpath.groupby(["USUBJID", "AVISIT", "REGION"])["AVAL"].sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-9)
    assert set(trial.adpath["REGION"]) == {"", "SHELL1", "SHELL2"}
    assert (trial.adpath["AVAL"] > 0).all()


def test_the_whole_liver_is_the_mean_of_its_parts(trial):
    keys = ["USUBJID", "AVISIT", "FROMTYPE", "TOTYPE"]
    whole = trial.adpath.query("REGION == ''").set_index(keys)["AVAL"]
    parts = trial.adpath.query("REGION != ''").groupby(keys)["AVAL"].sum() / 2
    # flows below 1e-9 are dropped in each region, which moves the others by as little
    np.testing.assert_allclose(whole, parts.reindex(whole.index), atol=1e-8)


def test_without_effect_nothing_is_planted():
    null = simulate_flows(n_per_arm=5, seed=3, arms=ARMS, effect=0.0)
    np.testing.assert_allclose(null.truth["DIFFERENCE"], 0, atol=1e-15)


def test_planted_differences_are_those_of_large_trials():
    big = simulate_flows(n_per_arm=400, seed=5, arms=ARMS, visits={"Week 48": 1.0})
    table = big.adpath.pivot_table(
        index="USUBJID", columns=["FROMTYPE", "TOTYPE"], values="AVAL", fill_value=0
    )
    arm = big.adsl.set_index("USUBJID")["TRT01P"].reindex(table.index)
    gap = table[arm == "Active"].mean() - table[arm == "Placebo"].mean()
    truth = big.truth.set_index(["FROMTYPE", "TOTYPE"])["DIFFERENCE"].reindex(gap.index)
    error = np.sqrt(table.var() / 200)
    assert (np.abs(gap - truth) < 5 * error + 1e-9).all()


def test_a_clean_labelling_shows_planted_flows_alone():
    clean = simulate_flows(n_per_arm=4, seed=1, arms=ARMS, settings=CLEAN)
    data = clean.adpath[clean.adpath["AVAL"] > 1e-4]
    moved = data[data["FROMTYPE"] != data["TOTYPE"]]
    assert not set(moved["FROMTYPE"]) & {tissue.IRON, tissue.VESSEL, tissue.COARSE}


def test_drift_moves_all_arms_alike_and_not_the_baseline():
    calm, adrift = (
        simulate_flows(
            n_per_arm=60, seed=2, arms=ARMS, effect=0.0, settings=FlowSettings(drift=drift)
        )
        for drift in (0.0, 0.2)
    )

    def flow(trial, arm):
        rows = trial.adpath.query("AVISIT == 'Week 12' and TRT01P == @arm")
        cells = rows.query("FROMTYPE == 2 and TOTYPE == 1")["AVAL"].sum()
        return cells / rows["USUBJID"].nunique()

    rise = [flow(adrift, arm) - flow(calm, arm) for arm in ARMS]
    assert min(rise) > 0.01
    assert rise[0] == pytest.approx(rise[1], rel=0.3)
    before = [t.composition.query("PARAMCD == 'TV02'")["BASE"].mean() for t in (calm, adrift)]
    assert before[0] == pytest.approx(before[1], rel=0.05)


def test_types_of_a_split_vocabulary_share_their_state():
    words = split_vocabulary(10)
    assert words.shape == (8, 10)
    np.testing.assert_allclose(words.sum(axis=1), 1)
    assert words[tissue.NORMAL - 1, 8] == words[tissue.NORMAL - 1, tissue.NORMAL - 1] == 0.5
    with pytest.raises(UsageError, match="8 to 13"):
        split_vocabulary(20)


def test_signatures_are_sums_of_flows(trial):
    made = signatures_of(trial.adpath)
    pd.testing.assert_frame_equal(made, trial.composition)
    sums = made.groupby(["USUBJID", "AVISIT"])[["AVAL", "BASE"]].sum()
    np.testing.assert_allclose(sums, 1)
    np.testing.assert_allclose(made["CHG"], made["AVAL"] - made["BASE"])
    base = made.groupby(["USUBJID", "PARAMCD"])["BASE"]
    np.testing.assert_allclose(base.max(), base.min())


def test_the_seed_decides_everything():
    one, two = (simulate_flows(n_per_arm=4, seed=9, arms=ARMS) for _ in range(2))
    pd.testing.assert_frame_equal(one.adpath, two.adpath)
    other = simulate_flows(n_per_arm=4, seed=10, arms=ARMS)
    assert not np.allclose(one.adpath["AVAL"].head(20), other.adpath["AVAL"].head(20))


def test_another_prefix_makes_other_subjects():
    new = simulate_flows(n_per_arm=3, seed=9, arms=ARMS, prefix="NEW")
    assert new.adsl["USUBJID"].str.startswith("NEW-").all()


def test_a_vocabulary_that_is_no_probability_is_refused():
    with pytest.raises(UsageError, match="rows that sum to one"):
        simulate_flows(n_per_arm=3, seed=1, vocabulary=np.ones((8, 4)))
