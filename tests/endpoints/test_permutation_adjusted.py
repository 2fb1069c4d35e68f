"""Covariate adjustment and dose order in the permutation engine: R, brute force, degenerate."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest

from livertrack.endpoints._adjust import Covariates, covariate_matrix, residuals
from livertrack.endpoints._permutation import max_t_test, welch
from livertrack.endpoints._permutation_groups import choose_group
from livertrack.endpoints._permutation_trend import enumerate_arms, trend_test
from livertrack.errors import DataError, UsageError

DOSES = {"dose": {"Placebo": 0.0, "Low": 1.0, "Active": 3.0}}


@pytest.fixture(scope="module")
def made_up(reference):
    return pd.read_csv(reference / "pathways_adjusted_data.csv")


@pytest.fixture(scope="module")
def from_r(reference):
    table = pd.read_csv(reference / "pathways_adjusted.csv")
    return table.pivot_table(index="what", columns="variable", values="value")


def _input(data):
    shared, notes = covariate_matrix(data, ["age", "sex"])
    assert not notes
    return data[["v1", "v2", "v3"]].to_numpy(), Covariates(
        shared, data[["b1", "b2", "b3"]].to_numpy()
    )


def test_adjusted_differences_and_their_permutation_equal_r(made_up, from_r):
    values, covariates = _input(made_up)
    got = max_t_test(
        values, made_up["arm"].to_numpy(), arms=["Active"], reference="Placebo", n_perm=None,
        seed=1, covariates=covariates,
    ).pairs[0]  # fmt: skip
    # R printed 17 digits; the difference is rounding of two least-squares algorithms
    np.testing.assert_allclose(got.observed.estimate, from_r.loc["lm_coef"], rtol=1e-10)
    np.testing.assert_allclose(got.observed.statistic, from_r.loc["t_residual"], rtol=1e-10)
    np.testing.assert_allclose(got.p_value, from_r.loc["p_residual"], rtol=1e-12)


def test_slopes_on_the_dose_equal_r(made_up, from_r):
    values, covariates = _input(made_up)
    arm = made_up["arm"].to_numpy()
    plain = trend_test(values, arm, doses=DOSES, n_perm=9, seed=1).slopes["dose"]
    np.testing.assert_allclose(plain.estimate, from_r.loc["slope"], rtol=1e-10)
    np.testing.assert_allclose(plain.std_error, from_r.loc["slope_hc2"], rtol=1e-10)
    given = trend_test(values, arm, doses=DOSES, n_perm=9, seed=1, covariates=covariates)
    np.testing.assert_allclose(
        given.slopes["dose"].estimate, from_r.loc["slope_adjusted"], rtol=1e-10
    )


def test_two_arms_at_doses_0_and_1_are_welch():
    rng = np.random.default_rng(2)
    values, arm = rng.gamma(1, 1, (13, 4)), np.repeat(["A", "P"], [5, 8])
    values[2, 1] = np.nan
    slopes = trend_test(
        values, arm, doses={"dose": {"P": 0, "A": 1}}, n_perm=None, seed=0
    )  # fmt: skip
    expected = max_t_test(values, arm, arms=["A"], reference="P", n_perm=None, seed=0)
    seen = expected.pairs[0]
    np.testing.assert_allclose(
        slopes.slopes["dose"].statistic, seen.observed.statistic, rtol=1e-10
    )
    np.testing.assert_allclose(slopes.p_value[0], seen.p_value, rtol=1e-12)
    np.testing.assert_allclose(slopes.p_adjusted, expected.p_adjusted, rtol=1e-12)
    assert slopes.critical == pytest.approx(expected.critical, rel=1e-9)
    assert slopes.p_sum == pytest.approx(seen.p_sum, rel=1e-12)


def _hc2(dose, values):
    d = dose - dose.mean()
    e = values - values.mean()
    b = d @ e / (d @ d)
    r = e - b * d
    leverage = 1 / len(d) + d**2 / (d @ d)
    return b / np.sqrt((d**2 * r**2 / (1 - leverage)).sum()) * (d @ d)


def test_the_dose_order_equals_brute_force():
    rng = np.random.default_rng(5)
    values, arm = rng.normal(size=(7, 3)), np.array(list("PPPLLHH"))
    doses = {"linear": {"P": 0, "L": 1, "H": 2}, "plateau": {"P": 0, "L": 1, "H": 1}}
    got = trend_test(values, arm, doses=doses, n_perm=None, seed=0)
    labels = sorted(set(permutations(arm)))
    assert len(labels) == 210

    def statistics(order):
        return np.abs(
            [
                [_hc2(np.array([scale[a] for a in order], float), column) for column in values.T]
                for scale in doses.values()
            ]
        )

    null, seen = np.array([statistics(order) for order in labels]), statistics(arm)
    np.testing.assert_allclose(got.p_value, (null >= seen - 1e-9).mean(0), rtol=1e-12)
    best = np.unravel_index(seen.argmax(), seen.shape)
    expected = (null.max(axis=(1, 2)) >= seen.max() - 1e-9).mean()
    assert got.p_adjusted[best] == pytest.approx(expected, rel=1e-12)
    assert got.p_max == pytest.approx(expected, rel=1e-12)


def test_relabellings_of_three_arms_keep_their_sizes_in_each_stratum():
    place, levels = np.array([0, 0, 1, 2, 1, 2, 2]), np.array([0, 0, 0, 0, 1, 1, 1])
    every = enumerate_arms(place, levels)
    assert len(every) == 12 * 3 == len(np.unique(every, axis=0))
    assert (np.sort(every[:, :4], axis=1) == [0, 0, 1, 2]).all()
    assert (np.sort(every[:, 4:], axis=1) == [1, 2, 2]).all()


def test_doses_on_another_scale_keep_the_test_and_stretch_the_slope():
    rng = np.random.default_rng(6)
    values, arm = rng.normal(size=(30, 4)), np.repeat(["P", "L", "H"], 10)
    one = trend_test(values, arm, doses={"d": {"P": 0, "L": 1, "H": 2}}, n_perm=99, seed=3)
    two = trend_test(values, arm, doses={"d": {"P": 5, "L": 15, "H": 25}}, n_perm=99, seed=3)
    np.testing.assert_allclose(one.slopes["d"].estimate, 10 * two.slopes["d"].estimate)
    np.testing.assert_array_equal(one.p_value, two.p_value)
    down = trend_test(
        values, arm, doses={"d": {"P": 2, "L": 1, "H": 0}}, n_perm=99, seed=3, alternative="less"
    )
    up = trend_test(
        values, arm, doses={"d": {"P": 0, "L": 1, "H": 2}}, n_perm=99, seed=3,
        alternative="greater",
    )  # fmt: skip
    np.testing.assert_allclose(down.p_value, up.p_value)


def test_residuals_do_not_depend_on_the_arm_nor_on_shifts_of_the_covariate():
    rng = np.random.default_rng(7)
    values, age = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    arm = np.arange(20) < 9
    first = residuals(values, arm.astype(float), Covariates(age))
    second = residuals(values + 4 + 2 * age, (~arm).astype(float), Covariates(3 * age + 8))
    np.testing.assert_allclose(first.values, second.values, atol=1e-12)
    np.testing.assert_allclose(first.scale, second.scale)


def test_a_covariate_without_variation_changes_nothing():
    rng = np.random.default_rng(8)
    values, arm = rng.normal(size=(16, 3)), np.repeat(["A", "P"], 8)
    arguments = {"arms": ["A"], "reference": "P", "n_perm": 200, "seed": 1}
    plain = max_t_test(values, arm, **arguments)
    flat = max_t_test(
        values, arm, covariates=Covariates(np.ones((16, 1)), np.full((16, 3), 0.3)), **arguments
    )
    np.testing.assert_allclose(plain.p_adjusted, flat.p_adjusted)
    np.testing.assert_allclose(
        plain.pairs[0].observed.std_error, flat.pairs[0].observed.std_error, rtol=1e-12
    )


def test_a_strong_covariate_makes_the_interval_shorter():
    rng = np.random.default_rng(9)
    age = rng.normal(size=(60, 1))
    values, arm = 3 * age + rng.normal(size=(60, 2)), np.tile(["A", "P"], 30)
    arguments = {"arms": ["A"], "reference": "P", "n_perm": 50, "seed": 1}
    plain = max_t_test(values, arm, **arguments).pairs[0].observed
    given = max_t_test(values, arm, covariates=Covariates(age), **arguments).pairs[0].observed
    assert (given.std_error < 0.6 * plain.std_error).all()


def test_a_covariate_that_tells_the_arms_apart_leaves_no_test():
    rng = np.random.default_rng(10)
    values, arm = rng.normal(size=(12, 2)), np.repeat(["A", "P"], 6)
    got = max_t_test(
        values, arm, arms=["A"], reference="P", n_perm=50, seed=1,
        covariates=Covariates((arm == "A").astype(float)[:, None]),
    )  # fmt: skip
    assert np.isnan(got.p_adjusted).all()


def test_too_few_subjects_for_the_covariates_leave_no_test():
    rng = np.random.default_rng(11)
    values, arm = rng.normal(size=(6, 2)), np.repeat(["A", "P"], 3)
    got = max_t_test(
        values, arm, arms=["A"], reference="P", n_perm=50, seed=1,
        covariates=Covariates(rng.normal(size=(6, 4))),
    )  # fmt: skip
    assert np.isnan(got.p_adjusted).all()


def test_missing_covariates_are_given_the_mean_and_counted():
    people = pd.DataFrame(
        {"AGE": [40.0, np.nan, 60.0], "SEX": ["F", None, "M"], "X": [np.nan] * 3}
    )
    cells, notes = covariate_matrix(people, ["AGE", "SEX"])
    assert cells[:, 0].tolist() == [40, 50, 60]
    assert cells[:, 1:].tolist() == [[0, 0], [0, 1], [1, 0]]
    assert notes == [
        "covariate AGE: missing for 1 subject(s), given the mean",
        "covariate SEX: missing for 1 subject(s), given their own level",
    ]
    with pytest.raises(DataError, match="X is missing for all 3"):
        covariate_matrix(people, ["X"])


def test_the_best_group_is_chosen_anew_in_every_relabelling():
    rng = np.random.default_rng(12)
    values, arm = rng.normal(size=(9, 4)), np.repeat(["A", "P"], [4, 5])
    groups = np.array([0, 0, 1, 1])
    got = max_t_test(
        values, arm, arms=["A"], reference="P", n_perm=None, seed=1, groups=groups
    ).pairs[0].groups  # fmt: skip

    def sums(chosen):
        t = welch(values, np.isin(np.arange(9), chosen)).statistic ** 2
        return np.array([t[groups == g].sum() for g in (0, 1)])

    null = np.array([sums(chosen) for chosen in combinations(range(9), 4)])
    seen = sums((0, 1, 2, 3))
    p = (null >= seen - 1e-9).mean(0)
    np.testing.assert_allclose(got.p_value, p, rtol=1e-12)
    every = np.array([(null >= row - 1e-9).mean(0).min() for row in null])
    expected = [(every <= value + 1e-12).mean() for value in p]
    np.testing.assert_allclose(got.p_chosen, expected, rtol=1e-12)
    assert (got.p_chosen >= got.p_value).all()


def test_one_group_costs_nothing_and_none_gives_nan():
    null = np.arange(19.0)[:, None]
    got = choose_group(np.array([17.5]), null, 1)
    assert got.p_value[0] == got.p_chosen[0] == pytest.approx(2 / 20)
    assert np.isnan(choose_group(np.full(2, np.nan), np.empty((0, 2)), 1).p_value).all()


def test_too_many_arrangements_are_refused():
    place = np.repeat([0, 1, 2], 10)
    with pytest.raises(UsageError, match="relabellings; at most"):
        enumerate_arms(place, np.zeros(30, int))
