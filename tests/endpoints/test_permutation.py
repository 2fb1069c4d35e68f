"""The permutation engine against R's full enumeration, brute force, and simulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from livertrack.endpoints._permutation import (
    draw_labels,
    enumerate_labels,
    max_t_test,
    welch,
    welch_limits,
)
from livertrack.errors import UsageError


@pytest.fixture(scope="module")
def small(reference):
    return pd.read_csv(reference / "max_t_data.csv")


def _values(small):
    return small.filter(regex=r"^v\d").to_numpy()


@pytest.mark.parametrize("analysis", ["unstratified", "stratified"])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_full_enumeration_equals_r(small, reference, analysis, alternative):
    expected = pd.read_csv(reference / "max_t.csv").query(
        "analysis == @analysis and alternative == @alternative"
    )
    got = max_t_test(
        _values(small), small["arm"].to_numpy(), arms=["Active"], reference="Placebo", n_perm=None,
        seed=1, strata=small["stratum"].to_numpy() if analysis == "stratified" else None,
        alternative=alternative,
    )  # fmt: skip
    pair = got.pairs[0]
    # p-values are the same counts of relabellings; R printed about 15 digits
    np.testing.assert_allclose(pair.observed.statistic, expected["statistic"], rtol=1e-12)
    np.testing.assert_allclose(pair.p_value, expected["p_value"], rtol=1e-12)
    np.testing.assert_allclose(got.p_adjusted[0], expected["p_adjusted"], rtol=1e-12)
    assert pair.n_permutations == expected["n_relabellings"].iloc[0]
    assert pair.p_sum == pytest.approx(expected["p_sum"].iloc[0], rel=1e-12)
    assert got.critical == pytest.approx(expected["critical"].iloc[0], rel=1e-9)


def test_welch_equals_scipy_and_its_interval():
    rng = np.random.default_rng(3)
    values, is_arm = rng.gamma(2, 1, (17, 4)), np.arange(17) < 7
    values[2, 1] = values[16, 1] = np.nan
    got = welch(values, is_arm)
    for column in range(4):
        a, b = (v[~np.isnan(v)] for v in (values[is_arm, column], values[~is_arm, column]))
        expected = stats.ttest_ind(a, b, equal_var=False)
        assert got.statistic[column] == pytest.approx(expected.statistic, rel=1e-12)
        assert got.df[column] == pytest.approx(expected.df, rel=1e-12)
        limits = expected.confidence_interval(0.9)
        assert welch_limits(got, 0.9)[0][column] == pytest.approx(limits.low, rel=1e-12)
        assert welch_limits(got, 0.9)[1][column] == pytest.approx(limits.high, rel=1e-12)
    assert got.n_arm.tolist() == [7, 6, 7, 7]


def test_missing_values_move_with_their_subject_in_brute_force():
    rng = np.random.default_rng(8)
    values = rng.normal(size=(9, 3))
    values[1, 0] = values[5, 2] = np.nan
    arm = np.array(["A"] * 4 + ["P"] * 5)
    got = max_t_test(values, arm, arms=["A"], reference="P", n_perm=None, seed=0)

    def statistics(chosen):
        is_arm = np.isin(np.arange(9), chosen)
        return np.abs(welch(values, is_arm).statistic)

    null = np.array([statistics(chosen) for chosen in combinations(range(9), 4)])
    expected = (null >= statistics((0, 1, 2, 3)) - 1e-9).mean(0)
    np.testing.assert_allclose(got.pairs[0].p_value, expected, rtol=1e-14)


def test_random_relabellings_approach_the_enumeration(small):
    arguments = {"arms": ["Active"], "reference": "Placebo", "seed": 5}
    exact = max_t_test(_values(small), small["arm"].to_numpy(), n_perm=None, **arguments)
    drawn = max_t_test(_values(small), small["arm"].to_numpy(), n_perm=20_000, **arguments)
    # 4.5 Monte Carlo standard errors at p = 1/2
    np.testing.assert_allclose(drawn.p_adjusted, exact.p_adjusted, atol=4.5 * 0.5 / 20_000**0.5)
    np.testing.assert_allclose(
        drawn.pairs[0].p_value, exact.pairs[0].p_value, atol=4.5 * 0.5 / 20_000**0.5
    )


def test_blocks_do_not_change_the_result(monkeypatch, small):
    arguments = {"arms": ["Active"], "reference": "Placebo", "n_perm": 500, "seed": 5}
    whole = max_t_test(_values(small), small["arm"].to_numpy(), **arguments)
    monkeypatch.setattr("livertrack.endpoints._permutation._BLOCK_CELLS", 50)
    parts = max_t_test(_values(small), small["arm"].to_numpy(), **arguments)
    np.testing.assert_array_equal(whole.p_adjusted, parts.p_adjusted)
    assert whole.critical == pytest.approx(parts.critical, rel=1e-12)


def test_a_third_arm_does_not_enter_a_comparison():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 5))
    arm = np.repeat(["A", "B", "P"], 10)
    arguments = {"reference": "P", "n_perm": 400, "seed": 2}
    calm = max_t_test(values, arm, arms=["A", "B"], **arguments)
    values[10:20] += 50
    wild = max_t_test(values, arm, arms=["A", "B"], **arguments)
    np.testing.assert_array_equal(calm.pairs[0].p_value, wild.pairs[0].p_value)
    np.testing.assert_array_equal(calm.pairs[0].maxima, wild.pairs[0].maxima)


def test_two_arms_cost_more_than_one_and_less_than_bonferroni():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(60, 8))
    values[:20, 0] += 0.9
    arm = np.repeat(["A", "B", "P"], 20)
    arguments = {"reference": "P", "n_perm": 4000, "seed": 2}
    one = max_t_test(values, arm, arms=["A"], **arguments)
    two = max_t_test(values, arm, arms=["A", "B"], **arguments)
    assert one.p_adjusted[0, 0] < two.p_adjusted[0, 0] <= 2 * one.p_adjusted[0, 0] + 1e-12
    assert two.critical > one.critical


def test_flat_columns_are_left_out_and_constant_arms_are_infinite():
    values = np.array(
        [[1.0, 2, 0.1], [1, 2, 0.3], [1, 2, 0.2], [1, 3, 0.5], [1, 3, 0.1], [1, 3, 0]]
    )
    arm = np.array(["A"] * 3 + ["P"] * 3)
    got = max_t_test(values, arm, arms=["A"], reference="P", n_perm=None, seed=0)
    assert np.isnan(got.pairs[0].observed.statistic[0])
    assert np.isnan(got.p_adjusted[0, 0])
    assert got.pairs[0].observed.statistic[1] == -np.inf
    assert got.pairs[0].p_value[1] == pytest.approx(2 / 20)


def test_an_arm_of_one_gives_nan_and_no_error():
    values = np.random.default_rng(0).normal(size=(6, 2))
    arm = np.array(["A"] + ["P"] * 5)
    got = max_t_test(values, arm, arms=["A"], reference="P", n_perm=50, seed=0)
    assert np.isnan(got.pairs[0].observed.statistic).all()
    assert np.isnan(got.p_adjusted).all()
    assert np.isnan(got.critical)
    assert np.isnan(got.pairs[0].p_max)


def test_relabellings_keep_arm_sizes_in_each_stratum():
    is_arm = np.array([True, False, False, True, True, False, False])
    levels = np.array([0, 0, 0, 1, 1, 1, 1])
    every = enumerate_labels(is_arm, levels)
    assert len(every) == 3 * 6
    assert len(np.unique(every, axis=0)) == 18
    drawn = draw_labels(is_arm, levels, 300, np.random.default_rng(0))
    for labels in (every, drawn):
        assert (labels[:, :3].sum(1) == 1).all()
        assert (labels[:, 3:].sum(1) == 2).all()
    assert len(np.unique(drawn, axis=0)) == 18


def test_too_many_relabellings_are_refused_with_their_number():
    is_arm = np.arange(40) < 20
    with pytest.raises(UsageError, match="137,846,528,820"):
        enumerate_labels(is_arm, np.zeros(40, int))


def test_no_permutation_is_an_error():
    with pytest.raises(UsageError, match="positive number"):
        max_t_test(np.ones((4, 1)), np.array(["A", "A", "P", "P"]), arms=["A"], reference="P",
                   n_perm=0, seed=0)  # fmt: skip


def _family_wise_errors(trials, seed, *, n_perm, strata=False):
    rng = np.random.default_rng(seed)
    arm = np.repeat(["A", "B", "P"], [14, 16, 15])
    site = np.tile(["x", "y", "z"], 15)
    adjusted, raw, covered = [], [], []
    for trial in range(trials):
        base = rng.gamma(0.7, 1, (45, 3))
        # skewed, correlated, sparse: the shape of flows
        values = np.maximum(
            base[:, rng.integers(0, 3, 12)] + rng.normal(0, 0.4, (45, 12)) - 0.6, 0
        )
        values += 0.8 * (site == "x")[:, None] if strata else 0
        got = max_t_test(values, arm, arms=["A", "B"], reference="P", n_perm=n_perm, seed=trial,
                         strata=site if strata else None)  # fmt: skip
        adjusted.append(np.nanmin(got.p_adjusted))
        raw.append(got.pairs[0].p_value[0])
        widest = max(np.nanmax(np.abs(pair.observed.statistic)) for pair in got.pairs)
        covered.append(widest <= got.critical)
    return np.array(adjusted), np.array(raw), np.array(covered)


def test_p_values_are_uniform_under_the_null():
    adjusted, raw, _ = _family_wise_errors(200, 1, n_perm=99)
    assert (
        stats.kstest(raw + np.random.default_rng(0).uniform(-0.01, 0, 200), "uniform").pvalue
        > 0.001
    )
    # 3.3 standard errors above 5 %
    assert (adjusted <= 0.05).mean() <= 0.05 + 3.3 * (0.05 * 0.95 / 200) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("strata", [False, True])
def test_family_wise_error_is_five_percent(strata):
    trials = 2000
    adjusted, raw, covered = _family_wise_errors(trials, 7, n_perm=199, strata=strata)
    error = (0.05 * 0.95 / trials) ** 0.5
    rate = (adjusted <= 0.05).mean()
    # two arms share a reference: combining them as independent is conservative by at most 1 %
    assert 0.04 - 3 * error <= rate <= 0.05 + 3 * error
    assert abs((raw <= 0.05).mean() - 0.05) <= 3 * error
    assert 0.95 - 3 * error <= covered.mean() <= 0.96 + 3 * error
