"""Replication: hand-worked cohorts, simulated pairs of cohorts, nothing chosen twice."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints.replication import freeze_pathways, replicate_pathways
from livertrack.errors import DataError, UsageError
from livertrack.simulate.flows import simulate_flows

ARMS = ("Placebo", "Active")


def _first(trial, **arguments):
    given = {"reference": "Placebo", "visit": "Week 48", "n_perm": 499, "seed": 1, **arguments}
    return lt.change_pathways(trial.adpath, subjects=trial.adsl, **given)


def _second(trial, frozen, **arguments):
    return replicate_pathways(
        trial.adpath, frozen, subjects=trial.adsl, **{"n_perm": 499, "seed": 2, **arguments}
    )


@pytest.fixture(scope="module")
def cohorts():
    return [simulate_flows(n_per_arm=30, seed=seed, arms=ARMS) for seed in (11, 12)]


@pytest.fixture(scope="module")
def frozen(cohorts):
    return freeze_pathways(_first(cohorts[0]))


def test_the_chosen_flows_are_the_significant_ones_with_their_signs(cohorts, frozen):
    table = _first(cohorts[0]).table
    significant = table[table["p_adjusted"] <= 0.05]
    assert len(frozen.chosen) == len(significant) > 3
    pairs = frozen.chosen.set_index(["from_type", "to_type"])
    assert pairs.loc[(3, 2), "direction"] == 1
    assert (pairs["direction"] == np.sign(pairs["estimate"])).all()
    assert len(frozen.tested) == table["p_adjusted"].notna().sum()


def test_planted_flows_replicate(cohorts, frozen):
    got = _second(cohorts[1], frozen)
    assert got.table["same_sign"].mean() > 0.9
    assert got.table["replicated"].any()
    facts = got.overall.set_index("quantity")
    assert facts.loc["chosen flows with the same sign", "p_value"] < 0.05
    assert facts.loc["slope of second on first effects, all tested flows", "estimate"] > 0.5
    assert "had the same sign in the second" in got.text


def test_estimates_are_those_of_the_second_cohort_alone(cohorts, frozen):
    got = _second(cohorts[1], frozen).table.set_index(["from_type", "to_type"])
    own = _first(cohorts[1]).table.set_index(["from_type", "to_type"])
    for pair, row in got.iterrows():
        assert row["estimate"] == pytest.approx(own.loc[pair, "estimate"])
        assert row["conf_low"] == pytest.approx(own.loc[pair, "conf_low"])
        assert row["conf_high"] == pytest.approx(own.loc[pair, "conf_high"])
        assert row["ratio"] == pytest.approx(row["estimate"] / row["first_estimate"])
        assert row["statistic"] == pytest.approx(own.loc[pair, "statistic"])


def test_a_cohort_without_effect_does_not_replicate(frozen):
    null = simulate_flows(n_per_arm=30, seed=13, arms=ARMS, effect=0.0)
    got = _second(null, frozen)
    assert not got.table["replicated"].any()
    assert got.overall.set_index("quantity")["p_value"].iloc[0] > 0.05


def test_the_opposite_direction_does_not_replicate(cohorts, frozen):
    swapped = cohorts[1].adpath.assign(
        TRT01P=cohorts[1].adpath["TRT01P"].map({"Placebo": "Active", "Active": "Placebo"})
    )
    got = replicate_pathways(swapped, frozen, n_perm=199, seed=1)
    assert not got.table["replicated"].any()
    assert got.table["p_value"].min() > 0.5


def test_one_sided_p_equals_brute_force_of_welch():
    rng = np.random.default_rng(0)
    rows = []
    for n in range(10):
        arm, a = ("Active" if n < 5 else "Placebo"), rng.uniform(0.05, 0.2) + 0.08 * (n < 5)
        rows += [
            {"USUBJID": str(n), "TRT01P": arm, "AVISIT": "W", "REGION": "", "FROMTYPE": 1 + i,
             "TOTYPE": 1 + j, "AVAL": v}
            for i, j, v in ((0, 0, 0.5 - a), (0, 1, a), (1, 1, 0.5))
        ]  # fmt: skip
    data = pd.DataFrame(rows)
    first = lt.change_pathways(data, reference="Placebo", n_perm=None, seed=1)
    frozen = freeze_pathways(first, choose="top", top=1)
    got = replicate_pathways(data, frozen, n_perm=None, seed=1).table.iloc[0]
    values = data.query("FROMTYPE == 1 and TOTYPE == 2").set_index("USUBJID")["AVAL"].to_numpy()

    def t(chosen):
        one = np.isin(np.arange(10), chosen)
        return stats.ttest_ind(values[one], values[~one], equal_var=False).statistic

    null = np.array([t(c) for c in combinations(range(10), 5)])
    assert got["p_value"] == pytest.approx((null >= t(range(5)) - 1e-9).mean(), rel=1e-12)
    assert got["p_adjusted"] == got["p_value"]


def test_merged_levels_and_covariates_are_frozen_too(cohorts):
    first = _first(
        cohorts[0], merge=[5], covariates=["AGE", "DIABFL"], adjust_baseline=True,
        min_prevalence=0.002,
    )  # fmt: skip
    frozen = freeze_pathways(first)
    assert set(frozen.chosen["level"]) == {0, 1}
    got = _second(cohorts[1], frozen).table
    groups = {int(t): int(g) for t, g in first.settings["merge"][0].items()}
    own = _first(
        cohorts[1], merge=[groups], covariates=["AGE", "DIABFL"], adjust_baseline=True
    ).table.set_index(["level", "from_type", "to_type"])
    for row in got.to_dict("records"):
        key = (row["level"], row["from_type"], row["to_type"])
        assert row["estimate"] == pytest.approx(own.loc[key, "estimate"])


def test_each_arm_is_held_to_its_own_flows():
    arms = ("Placebo", "Low dose", "High dose")
    one, two = (simulate_flows(n_per_arm=25, seed=seed, arms=arms) for seed in (21, 22))
    frozen = freeze_pathways(_first(one), choose="top", top=6)
    got = _second(two, frozen).table
    assert len(got) == 6
    own = _first(two).table.set_index(["arm", "from_type", "to_type"])
    for row in got.to_dict("records"):
        key = (row["arm"], row["from_type"], row["to_type"])
        assert row["estimate"] == pytest.approx(own.loc[key, "estimate"])
        assert row["n_arm"] == own.loc[key, "n_arm"]


def test_frozen_severities_are_tested_one_sided(cohorts):
    one, two = cohorts
    wide = one.composition.query("AVISIT == 'Week 48'").pivot_table(
        index="USUBJID", columns="PARAMCD", values="BASE"
    )
    wide["NAS"] = wide @ np.array([0, 2, 5, 4, 6, 5, 1, 0])
    severity = lt.type_severity(wide.reset_index(), outcome="NAS", n_boot=50, seed=1)
    frozen = freeze_pathways(_first(one), severity=severity)
    got = _second(two, frozen).severity.set_index("visit")
    assert (got["estimate"] > 0).all()
    assert got.loc["Week 48", "p_adjusted"] < 0.05


def test_arms_with_other_names_are_mapped(cohorts, frozen):
    other = cohorts[1].adpath.replace({"TRT01P": {"Active": "Drug", "Placebo": "Sham"}})
    got = replicate_pathways(
        other, frozen, arms={"Active": "Drug", "Placebo": "Sham"}, n_perm=99, seed=2
    )
    plain = replicate_pathways(cohorts[1].adpath, frozen, n_perm=99, seed=2)
    np.testing.assert_allclose(got.table["estimate"], plain.table["estimate"])
    with pytest.raises(DataError, match="say which arm is which"):
        replicate_pathways(other, frozen, reference="Sham", n_perm=99, seed=2)


def test_a_result_read_back_from_its_ard_freezes_the_same(cohorts, frozen):
    stored = ard_result(_first(cohorts[0]).to_ard(analysis="paths"))
    again = freeze_pathways(stored)
    pd.testing.assert_frame_equal(
        again.chosen, frozen.chosen, check_dtype=False, check_exact=False
    )
    one, two = (_second(cohorts[1], f, n_perm=99).table for f in (frozen, again))
    pd.testing.assert_frame_equal(one, two, check_dtype=False)


def test_nothing_chosen_gives_nothing_to_replicate():
    null = simulate_flows(n_per_arm=8, seed=3, arms=ARMS, effect=0.0)
    frozen = freeze_pathways(_first(null, n_perm=99))
    assert frozen.chosen.empty
    got = _second(null, frozen)
    assert "nothing to replicate" in got.text
    assert got.table.empty


def test_types_of_another_vocabulary_are_refused(cohorts, frozen):
    other = cohorts[1].adpath.replace({"FROMTYPE": {8: 9}, "TOTYPE": {8: 9}})
    with pytest.raises(DataError, match=r"type\(s\) \[9\] are not of the frozen vocabulary"):
        replicate_pathways(other, frozen, seed=1)


def test_a_type_that_is_absent_from_the_second_cohort_has_flows_of_zero(cohorts, frozen):
    data = cohorts[1].adpath
    data = data[(data["FROMTYPE"] != 7) & (data["TOTYPE"] != 7)].copy()
    data["AVAL"] /= data.groupby(["USUBJID", "AVISIT", "REGION"])["AVAL"].transform("sum")
    got = replicate_pathways(data, frozen, n_perm=99, seed=1)
    assert len(got.table) == len(frozen.chosen)


def test_wrong_input_is_named(cohorts, frozen):
    with pytest.raises(UsageError, match="significant or top"):
        freeze_pathways(_first(cohorts[0], n_perm=99), choose="best")
    early = cohorts[1].adpath.query("AVISIT == 'Week 12'")
    with pytest.raises(DataError, match="no record at Week 48"):
        replicate_pathways(early, frozen, seed=1)
    null = lt.null_transitions(cohorts[0].repeats, arm=None)
    beyond = freeze_pathways(_first(cohorts[0], null=null, n_perm=99))
    with pytest.raises(UsageError, match="beyond noise"):
        replicate_pathways(cohorts[1].adpath, beyond, seed=1)
