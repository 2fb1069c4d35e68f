"""Change pathways: by hand, by brute force, by symmetry, under the null, without data."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints._pathways_noise import excess_flow
from livertrack.endpoints.change_pathways import null_transitions
from livertrack.errors import DataError, UsageError


def _records(cubes, *, arms, visit="Week 48", regions=("",), sites=None):
    """Frame of flows (subjects, regions, K, K)."""
    rows = []
    for number, (cube, arm) in enumerate(zip(cubes, arms, strict=True)):
        for region, flow in zip(regions, cube, strict=True):
            for i, j in np.ndindex(flow.shape):
                rows.append(
                    {
                        "USUBJID": f"{number:03d}", "TRT01P": arm, "AVISIT": visit, "AVISITN": 48,
                        "REGION": region, "FROMTYPE": i + 1, "TOTYPE": j + 1, "AVAL": flow[i, j],
                        "NVOX": 1000, "METHOD": "voxel",
                        "SITEID": sites[number] if sites is not None else "01",
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def _random(seed, *, n=20, k=3, regions=("",), arms=("Active", "Placebo"), effect=0.0, **extra):
    rng = np.random.default_rng(seed)
    groups = [arms[i % len(arms)] for i in range(n)]
    cubes = rng.gamma(0.5, 1, (n, len(regions), k, k)) + 5 * np.eye(k)
    cubes[[g == arms[0] for g in groups], :, 0, 1] += effect
    cubes /= cubes.sum(axis=(2, 3), keepdims=True)
    return _records(cubes, arms=groups, regions=regions, **extra)


def _run(data, **arguments):
    return lt.change_pathways(
        data, **{"reference": "Placebo", "n_perm": 199, "seed": 1, **arguments}
    )


def _row(result, a, b, **where):
    table = result.table
    for column, value in {"from_type": a, "to_type": b, **where}.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_a_hand_worked_difference_of_flows():
    cubes = np.array(
        [[[[0.6, 0.2], [0.0, 0.2]]], [[[0.5, 0.4], [0.0, 0.1]]],
         [[[0.7, 0.1], [0.0, 0.2]]], [[[0.7, 0.1], [0.1, 0.1]]], [[[0.8, 0.1], [0.0, 0.1]]]]
    )  # fmt: skip
    data = _records(cubes, arms=["Active"] * 2 + ["Placebo"] * 3)
    got = _run(data, n_perm=None)
    row = _row(got, 1, 2)
    # means 0.3 and 0.1; variances 0.02 and 0
    assert row["estimate"] == pytest.approx(0.2)
    assert row["std_error"] == pytest.approx(0.1)
    assert row["statistic"] == pytest.approx(2.0)
    assert (row["mean_arm"], row["mean_ref"]) == pytest.approx((0.3, 0.1))
    assert (row["n_arm"], row["n_ref"], row["n_missing"]) == (2, 3, 0)
    net = got.net.query("type == 2 and arm == 'Active'").iloc[0]
    assert net["gain"] == pytest.approx(0.3)
    assert net["loss"] == pytest.approx(0)
    assert net["estimate"] == pytest.approx(0.3 - (0.1 - 1 / 30))
    means = got.matrices.query("arm == 'Active'").set_index(["from_type", "to_type"])["mean"]
    assert means[1, 1] == pytest.approx(0.55)


def test_permutation_p_equals_brute_force():
    data = _random(3, n=9, k=3)
    got = _run(data, n_perm=None)
    flows = data.pivot_table(index="USUBJID", columns=["FROMTYPE", "TOTYPE"], values="AVAL")
    arm = data.groupby("USUBJID")["TRT01P"].first().loc[flows.index]
    pairs = [(a, b) for a, b in product((1, 2, 3), repeat=2) if a != b]
    values, n_active = flows[pairs].to_numpy(), int((arm == "Active").sum())

    def statistics(chosen):
        is_arm = np.isin(np.arange(9), chosen)
        return np.abs(stats.ttest_ind(values[is_arm], values[~is_arm], equal_var=False).statistic)

    observed = statistics(np.flatnonzero(arm == "Active"))
    null = np.array([statistics(chosen) for chosen in combinations(range(9), n_active)])
    for column, (a, b) in enumerate(pairs):
        expected = (null[:, column] >= observed[column] - 1e-9).mean()
        assert _row(got, a, b)["p_value"] == pytest.approx(expected, rel=1e-12)
    strongest = observed.argmax()
    expected = (null.max(axis=1) >= observed[strongest] - 1e-9).mean()
    assert _row(got, *pairs[strongest])["p_adjusted"] == pytest.approx(expected, rel=1e-12)
    overall = got.global_test.set_index("statistic_name")["p_value"]
    assert overall["maximum of the statistics"] == pytest.approx(expected, rel=1e-12)
    joint = ((null**2).sum(axis=1) >= (observed**2).sum() - 1e-9).mean()
    assert overall["sum of squared statistics"] == pytest.approx(joint, rel=1e-12)


def test_step_down_is_never_above_single_step_nor_below_the_raw_p():
    got = _run(_random(5, n=30, k=4, effect=1.0), n_perm=499).table.dropna(subset=["p_value"])
    assert (got["p_adjusted"] >= got["p_value"] - 1e-12).all()
    ordered = got.reindex(got["statistic"].abs().sort_values(ascending=False).index)
    assert ordered["p_adjusted"].is_monotonic_increasing
    assert (got["q_value"] >= got["p_value"] - 1e-12).all()
    assert ((got["simultaneous_low"] <= got["conf_low"]) | (got["df"] < 3)).all()


def test_swapping_arms_negates_the_estimates():
    data = _random(6, effect=0.5)
    there = _run(data, n_perm=99).table
    swap = data.assign(TRT01P=data["TRT01P"].map({"Active": "Placebo", "Placebo": "Active"}))
    back = _run(swap, n_perm=99).table
    for column in ("estimate", "statistic"):
        np.testing.assert_allclose(there[column], -back[column], rtol=1e-12)
    np.testing.assert_allclose(there["conf_low"], -back["conf_high"], rtol=1e-12)


def test_swapping_arms_keeps_enumerated_p_values():
    data = _random(6, n=10, effect=0.5)
    swap = data.assign(TRT01P=data["TRT01P"].map({"Active": "Placebo", "Placebo": "Active"}))
    np.testing.assert_allclose(
        _run(data, n_perm=None).table["p_adjusted"], _run(swap, n_perm=None).table["p_adjusted"]
    )


def test_rows_and_columns_in_another_order_change_nothing():
    data = _random(7, regions=("", "SHELL1"), sites=list("abcde") * 4)
    other = data.sample(frac=1, random_state=3)[data.columns[::-1]]
    before = data.copy()
    for a, b in zip(
        _run(data, strata="SITEID").frames().values(),
        _run(other, strata="SITEID").frames().values(),
        strict=True,
    ):
        pd.testing.assert_frame_equal(a, b)
    pd.testing.assert_frame_equal(data, before)


def test_the_same_seed_gives_the_same_numbers_and_another_does_not():
    data = _random(8, n=24)
    a, b, c = (_run(data, seed=seed).table["p_value"] for seed in (4, 4, 5))
    assert a.equals(b)
    assert not a.equals(c)


def test_mean_flows_of_an_arm_sum_to_one():
    got = _run(_random(9, regions=("", "SHELL1", "SHELL2"), arms=("High", "Low", "Placebo"), n=21))
    sums = got.matrices.groupby(["region", "arm"])["mean"].sum()
    assert len(sums) == 9
    np.testing.assert_allclose(sums, 1)
    net = got.net.groupby(["region", "arm"])["net"].sum()
    np.testing.assert_allclose(net, 0, atol=1e-12)


def test_zero_flows_may_be_left_out_of_the_records():
    data = _random(10)
    data.loc[(data["FROMTYPE"] == 3) & (data["TOTYPE"] == 1), "AVAL"] = 0
    data["AVAL"] /= data.groupby("USUBJID")["AVAL"].transform("sum")
    pd.testing.assert_frame_equal(_run(data).table, _run(data[data["AVAL"] > 0]).table)


def test_a_planted_flow_comes_first():
    data = _random(11, n=60, k=5, effect=1.5, regions=("", "SHELL1"))
    best = _run(data, n_perm=999).table.sort_values("p_adjusted").iloc[:2]
    assert set(zip(best["from_type"], best["to_type"], strict=True)) == {(1, 2)}
    assert (best["p_adjusted"] < 0.05).all()
    assert (best["estimate"] > 0).all()


def test_one_sided_tests_look_one_way():
    data = _random(12, n=40, effect=1.0)
    up, down = (_run(data, alternative=side) for side in ("greater", "less"))
    assert _row(up, 1, 2)["p_value"] < 0.05
    assert _row(down, 1, 2)["p_value"] > 0.9
    assert up.table["simultaneous_low"].isna().all()


def test_a_missing_follow_up_is_missing_and_not_stable():
    data = _random(13, n=12)
    people = data[["USUBJID", "TRT01P"]].drop_duplicates()
    kept = data[~data["USUBJID"].isin(["000", "001", "002"])]
    alone, known = _run(kept), _run(kept, subjects=people)
    assert alone.table["n_missing"].eq(0).all()
    assert known.table["n_missing"].eq(3).all()
    assert known.table["n_arm"].eq(4).all()
    np.testing.assert_allclose(alone.table["estimate"], known.table["estimate"])
    assert any("2 of 6 Active" in note and "1 of 6 Placebo" in note for note in known.notes)
    assert any("not known here" in note for note in alone.notes)


def test_subjects_outside_the_population_are_left_out():
    data = _random(13, n=12)
    people = data[["USUBJID", "TRT01P"]].drop_duplicates()[:10]
    inside = data[data["USUBJID"].isin(people["USUBJID"])]
    pd.testing.assert_frame_equal(
        _run(data, subjects=people).table, _run(inside, subjects=people).table
    )


def test_visits_form_one_family_unless_one_is_asked_for():
    early, late = _random(14, visit="Week 12"), _random(15, effect=0.8)
    both = pd.concat([early, late])
    family, single = _run(both), _run(both, visit="Week 48")
    assert set(family.table["visit"]) == {"Week 12", "Week 48"}
    assert set(single.table["visit"]) == {"Week 48"}
    a, b = _row(family, 1, 2, visit="Week 48"), _row(single, 1, 2)
    assert a["statistic"] == pytest.approx(b["statistic"])
    assert a["p_adjusted"] >= b["p_adjusted"]


def test_a_region_may_be_missing_for_a_subject():
    data = _random(16, regions=("", "SHELL1"), n=12)
    data = data[~((data["USUBJID"] == "000") & (data["REGION"] == "SHELL1"))]
    got = _run(data)
    assert _row(got, 1, 2, region="SHELL1")["n_missing"] == 1
    assert _row(got, 1, 2, region="")["n_missing"] == 0


def test_adding_an_arm_leaves_estimates_and_raw_p_alone():
    three = _random(17, n=30, arms=("High", "Low", "Placebo"))
    two = three[three["TRT01P"] != "Low"]
    a = _run(three, min_prevalence=0).table.query("arm == 'High'").reset_index(drop=True)
    b = _run(two, min_prevalence=0).table
    for column in ("estimate", "conf_low", "p_value"):
        pd.testing.assert_series_equal(a[column], b[column])
    assert (a["p_adjusted"] >= b["p_adjusted"] - 1e-12).all()


def test_arms_come_in_the_order_of_their_categories():
    data = _random(18, n=30, arms=("High", "Low", "Placebo"))
    data["TRT01P"] = pd.Categorical(data["TRT01P"], ["Placebo", "Low", "High"])
    assert list(_run(data).table["arm"].unique()) == ["Low", "High"]


def test_strata_undo_a_site_effect():
    rng = np.random.default_rng(19)
    sites = np.repeat(["a", "b"], 30)
    arms = np.where(rng.random(60) < np.where(sites == "a", 0.8, 0.2), "Active", "Placebo")
    cubes = rng.gamma(0.5, 0.2, (60, 1, 2, 2)) + 5 * np.eye(2)
    cubes[sites == "a", :, 0, 1] += 2.0
    cubes /= cubes.sum(axis=(2, 3), keepdims=True)
    data = _records(cubes, arms=arms, sites=sites)
    assert _row(_run(data, n_perm=999), 1, 2)["p_value"] < 0.01
    assert _row(_run(data, n_perm=999, strata="SITEID"), 1, 2)["p_value"] > 0.05


def test_the_prevalence_filter_does_not_look_at_the_arm():
    data = _random(20, n=16, k=4)
    rare = data[(data["AVAL"] > 0.002)].copy()
    rare["AVAL"] /= rare.groupby("USUBJID")["AVAL"].transform("sum")
    swap = rare.assign(TRT01P=rare["TRT01P"].map({"Active": "Placebo", "Placebo": "Active"}))
    a, b = (_run(d, min_prevalence=0.02).table for d in (rare, swap))
    assert 0 < a["tested"].sum() < len(a)
    assert a["tested"].equals(b["tested"])
    untested = a[~a["tested"]]
    assert untested[["p_value", "p_adjusted", "q_value", "simultaneous_low"]].isna().all(axis=None)
    assert untested["estimate"].notna().all()


def test_shares_of_the_from_type_take_out_the_baseline_composition():
    rng = np.random.default_rng(21)
    start = rng.uniform(0.2, 0.8, 20)
    cubes = np.zeros((20, 1, 2, 2))
    cubes[:, 0, 0] = start[:, None] * np.array([0.75, 0.25])
    cubes[:, 0, 1, 1] = 1 - start
    data = _records(cubes, arms=["Active", "Placebo"] * 10)
    of_type = _run(data, share="from-type")
    assert _row(of_type, 1, 2)["mean_arm"] == pytest.approx(0.25)
    assert _row(of_type, 1, 2)["estimate"] == pytest.approx(0, abs=1e-12)
    assert _row(_run(data), 1, 2)["estimate"] != pytest.approx(0, abs=1e-4)


def test_merged_types_join_the_family_under_their_own_level():
    data = _random(22, n=40, k=4, effect=0.6)
    plain = _run(data)
    merged = _run(data, merge=[{3: 3, 4: 3}])
    assert set(merged.table["level"]) == {0, 1}
    row = _row(merged, 1, 3, level=1)
    assert row["to_group"] == "3+4"
    singles = [_row(plain, 1, b)["estimate"] for b in (3, 4)]
    assert row["estimate"] == pytest.approx(sum(singles))
    a, b = _row(plain, 1, 2), _row(merged, 1, 2, level=0)
    assert a["p_value"] == b["p_value"]
    assert a["p_adjusted"] <= b["p_adjusted"]


def test_null_transitions_are_shares_of_the_from_type():
    cubes = np.array([[[[0.5, 0.1], [0.1, 0.3]]], [[[0.3, 0.1], [0.0, 0.6]]]])
    data = _records(cubes, arms=["Placebo", "Placebo"])
    null = null_transitions(data, reference="Placebo").set_index(["from_type", "to_type"])
    assert null.loc[(1, 2), "probability"] == pytest.approx(0.1 / 0.5)
    assert null.loc[(2, 1), "probability"] == pytest.approx(0.05 / 0.5)
    assert (null["n"] == 2).all()
    everyone = null_transitions(data, arm=None).set_index(["from_type", "to_type"])
    pd.testing.assert_frame_equal(null, everyone)


def test_excess_flow_of_the_reference_itself_is_zero():
    data = _random(23, n=40, effect=1.0)
    got = _run(data)
    null = null_transitions(data, reference="Placebo")
    excess = excess_flow(got.matrices, null)
    reference = excess[excess["arm"] == "Placebo"]
    np.testing.assert_allclose(reference["excess"], 0, atol=1e-12)
    sums = excess.groupby(["arm", "from_type"])["excess"].sum()
    np.testing.assert_allclose(sums, 0, atol=1e-12)
    flow = excess.query("arm == 'Active' and from_type == 1 and to_type == 2")["excess"]
    assert flow.item() > 0.03


def test_registration_free_records_are_counted():
    data = _random(24, n=12)
    data.loc[data["USUBJID"].isin(["000", "001", "004"]), "METHOD"] = "transport"
    got = _run(data)
    assert got.table["n_transport"].eq(3).all()
    assert any("3 of 12 subjects have registration-free" in note for note in got.notes)


def test_the_ard_gives_everything_back():
    got = _run(_random(25, arms=("High", "Low", "Placebo"), n=18))
    stored = ard_result(got.to_ard(analysis="pathways"))
    assert list(stored.frames) == ["table", "matrices", "net", "global_test", "levels"]
    np.testing.assert_array_equal(stored.table["p_adjusted"], got.table["p_adjusted"])
    assert stored.text == got.text
    assert stored.settings["n_tested"] == got.settings["n_tested"]


def test_the_sentence_carries_the_numbers_of_the_table():
    got = _run(_random(26, n=60, effect=2.0), n_perm=999)
    best = got.table.sort_values("p_adjusted").iloc[0]
    assert f"{100 * best['estimate']:+.2f} percentage points" in got.text
    assert "type 1 to 2 in the whole liver at Week 48 in Active" in got.text


# what is not there ------------------------------------------------------------------------------


def test_an_arm_without_subjects_gives_nan_and_a_note():
    data = _random(27)
    data["TRT01P"] = pd.Categorical(data["TRT01P"], ["Placebo", "Empty", "Active"])
    got = _run(data)
    empty = got.table[got.table["arm"] == "Empty"]
    assert empty[["estimate", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert empty["n_arm"].eq(0).all()
    assert got.table.loc[got.table["arm"] == "Active", "p_value"].notna().any()
    assert any(note.startswith("Empty: fewer than two subjects") for note in got.notes)


def test_a_single_subject_in_an_arm_gives_an_estimate_without_p():
    data = _random(28, n=11)
    lone = data[(data["TRT01P"] == "Placebo") | (data["USUBJID"] == "000")]
    got = _run(lone)
    assert got.table["estimate"].notna().all()
    assert got.table[["std_error", "p_value"]].isna().all(axis=None)
    assert got.text == "No flow between tissue types could be tested."


def test_no_change_at_all_gives_nan_p_values():
    cubes = np.tile(np.diag([0.3, 0.7]), (8, 1, 1, 1))
    got = _run(_records(cubes, arms=["Active", "Placebo"] * 4))
    assert got.table["estimate"].eq(0).all()
    assert got.table["p_value"].isna().all()
    assert got.global_test["p_value"].isna().all()
    assert any("2 of 2 flows not tested" in note for note in got.notes)


@pytest.mark.parametrize(
    ("change", "arguments", "error", "match"),
    [
        (lambda d: d, {"visit": "Week 96"}, DataError, "Week 96"),
        (lambda d: d, {"regions": ["LEFT"]}, DataError, "LEFT"),
        (lambda d: d, {"regions": []}, UsageError, "no level of REGION"),
        (lambda d: d, {"reference": "Sham"}, DataError, "'Sham' has no subject"),
        (lambda d: d[d["TRT01P"] == "Placebo"], {}, DataError, "no arm beside the reference"),
        (lambda d: pd.concat([d, d[:2]]), {}, DataError, "2 duplicated record"),
        (lambda d: d.assign(AVAL=d["AVAL"] * 0.9), {}, DataError, "does not sum to 1 in 20 of 20"),
        (lambda d: d.assign(AVAL=-d["AVAL"]), {}, DataError, "negative in"),
        (lambda d: d.drop(columns=["TOTYPE", "AVAL"]), {}, DataError, "TOTYPE, AVAL"),
        (lambda d: d[:0], {}, DataError, "no record"),
        (lambda d: d, {"n_perm": 0}, UsageError, "positive number"),
        (lambda d: d, {"conf_level": 95}, UsageError, "proportion"),
        (lambda d: d, {"alternative": "up"}, UsageError, "two-sided, greater or less"),
        (lambda d: d, {"share": "liver"}, UsageError, "region or from-type"),
        (lambda d: d, {"min_prevalence": 5}, UsageError, "proportion"),
        (lambda d: d, {"merge": [{9: 1}]}, UsageError, r"type\(s\) \[9\]"),
    ],
)
def test_wrong_input_is_named(change, arguments, error, match):
    with pytest.raises(error, match=match):
        _run(change(_random(29)), **arguments)


def test_a_subject_in_two_arms_is_an_error_that_names_nobody():
    data = _random(30)
    data.loc[data.index[0], "TRT01P"] = "Placebo"
    with pytest.raises(DataError, match="1 subject") as caught:
        _run(data)
    assert "000" not in str(caught.value)


# under the null ---------------------------------------------------------------------------------


def _null_trial(rng, n=36, k=4):
    arms = np.resize(["High", "Low", "Placebo"], n)
    sites = rng.integers(0, 3, n).astype(str)
    quiet = rng.gamma(0.3, 1, (n, 2, k, k)) * rng.gamma(1, 1, (n, 1, 1, 1))
    cubes = quiet + 6 * rng.dirichlet(np.ones(k), n)[:, None, :, None] * np.eye(k)
    cubes[sites == "0", :, 0, 1] += 1.0
    cubes /= cubes.sum(axis=(2, 3), keepdims=True)
    return _records(cubes, arms=arms, sites=sites, regions=("", "SHELL1"))


def _rates(trials, n_perm):
    adjusted, overall, covered = [], [], []
    for trial in range(trials):
        got = _run(_null_trial(np.random.default_rng(trial)), n_perm=n_perm, seed=trial,
                   strata="SITEID", merge=[{3: 3, 4: 3}])  # fmt: skip
        adjusted.append(got.table["p_adjusted"].min())
        joint = got.global_test.query("statistic_name == 'sum of squared statistics'")
        overall.append(joint["p_value"].iloc[0])
        inside = got.table[["simultaneous_low", "simultaneous_high"]].dropna()
        covered.append(
            bool(((inside["simultaneous_low"] <= 0) & (inside["simultaneous_high"] >= 0)).all())
        )
    return np.array(adjusted), np.array(overall), np.array(covered)


def test_family_wise_error_in_a_few_null_trials():
    adjusted, overall, _ = _rates(20, 99)
    # P(more than 5 of 20 | 5 %) is 0.03 %
    assert (adjusted <= 0.05).sum() <= 5
    assert (overall <= 0.05).sum() <= 5
    assert 0.25 < overall.mean() < 0.75


@pytest.mark.slow
def test_family_wise_error_is_five_percent_with_sites_and_merging():
    trials = 500
    adjusted, overall, covered = _rates(trials, 199)
    error = (0.05 * 0.95 / trials) ** 0.5
    # at most 1 % conservative: two arms share a reference and are combined as independent
    assert 0.04 - 3 * error <= (adjusted <= 0.05).mean() <= 0.05 + 3 * error
    assert abs((overall <= 0.05).mean() - 0.05) <= 3 * error
    assert covered.mean() >= 0.95 - 3 * error
