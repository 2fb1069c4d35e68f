"""Change pathways with covariates, dose order, merging by similarity and noise taken off."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints._pathways_rows import false_discovery, holm
from livertrack.errors import DataError, UsageError
from livertrack.simulate.flows import simulate_flows, split_vocabulary

ARMS = ("Placebo", "Low dose", "High dose")
DOSES = {"Placebo": 0.0, "Low dose": 2.0, "High dose": 3.0}
KEYS = ["arm", "visit", "region", "from_type", "to_type"]


@pytest.fixture(scope="module")
def trial():
    return simulate_flows(n_per_arm=25, seed=31, arms=ARMS)


def _run(trial, **arguments):
    given = {"reference": "Placebo", "n_perm": 199, "seed": 1, "visit": "Week 48",
             "subjects": trial.adsl, **arguments}  # fmt: skip
    return lt.change_pathways(trial.adpath, **given)


def test_adjustment_keeps_the_sign_and_shortens_the_intervals_of_planted_flows(trial):
    plain, given = _run(trial), _run(trial, adjust_baseline=True, covariates=["AGE", "DIABFL"])
    both = plain.table.merge(given.table, on=KEYS)
    strong = both[(both["arm"] == "High dose") & (both["p_adjusted_x"] < 0.05)]
    assert (strong["estimate_x"] * strong["estimate_y"] > 0).all()
    assert (strong["std_error_y"] < strong["std_error_x"]).mean() > 0.5
    pd.testing.assert_series_equal(both["mean_arm_x"], both["mean_arm_y"], check_names=False)
    assert given.settings["method"].startswith("covariate-adjusted")


def test_the_adjusted_estimate_is_the_least_squares_coefficient(trial):
    got = _run(trial, adjust_baseline=True, covariates=["AGE"]).table
    row = got.query("arm == 'High dose' and from_type == 3 and to_type == 2").iloc[0]
    data = trial.adpath.query("AVISIT == 'Week 48' and TRT01P != 'Low dose'")
    flow = data.query("FROMTYPE == 3 and TOTYPE == 2").set_index("USUBJID")["AVAL"]
    start = data.query("FROMTYPE == 3").groupby("USUBJID")["AVAL"].sum()
    people = trial.adsl.set_index("USUBJID")
    ids = data["USUBJID"].unique()
    design = np.column_stack([
        np.ones(len(ids)), (people.loc[ids, "TRT01P"] == "High dose").astype(float),
        people.loc[ids, "AGE"], start.reindex(ids, fill_value=0),
    ])  # fmt: skip
    beta = np.linalg.lstsq(design, flow.reindex(ids, fill_value=0), rcond=None)[0]
    assert row["estimate"] == pytest.approx(beta[1], rel=1e-9)


def test_missing_covariates_are_noted(trial):
    people = trial.adsl.copy()
    people["AGE"] = people["AGE"].astype(float)
    people.loc[:2, "AGE"] = np.nan
    got = _run(trial, subjects=people, covariates=["AGE"])
    assert "covariate AGE: missing for 3 subject(s), given the mean" in got.notes
    with pytest.raises(DataError, match="WEIGHT"):
        _run(trial, covariates=["WEIGHT"])


def test_planted_flows_follow_the_dose(trial):
    got = _run(trial, trend=DOSES)
    slope = got.trend.set_index(["from_type", "to_type"])
    assert slope.loc[(3, 2), "p_adjusted"] < 0.05
    assert slope.loc[(3, 2), "estimate"] > 0
    assert slope.loc[(1, 2), "estimate"] < 0
    assert (got.trend_global["p_value"] <= 0.05).all()
    assert "followed the dose" in got.text
    assert _run(trial).trend.empty


def test_several_dose_scales_form_one_family(trial):
    one = _run(trial, trend=DOSES).trend
    scales = {"linear": DOSES, "plateau": {"Placebo": 0, "Low dose": 1, "High dose": 1}}
    two = _run(trial, trend=scales).trend
    assert set(two["scale"]) == {"linear", "plateau"}
    linear = two[two["scale"] == "linear"].reset_index(drop=True)
    np.testing.assert_allclose(linear["p_value"], one["p_value"])
    assert (linear["p_adjusted"] >= one["p_adjusted"] - 1e-12).all()


@pytest.mark.parametrize(
    "trend", [{"Placebo": 0, "Low dose": 1}, dict.fromkeys(ARMS, 1.0), {**DOSES, "x": DOSES}]
)
def test_doses_that_make_no_order_are_refused(trial, trend):
    with pytest.raises(UsageError, match="trend"):
        _run(trial, trend=trend)


def test_types_that_the_vocabulary_splits_are_merged_first():
    trial = simulate_flows(n_per_arm=25, seed=32, arms=ARMS[:2], vocabulary=split_vocabulary(10))
    got = _run(trial, merge=[8])
    groups = got.settings["merge"][0]
    # types 9 and 10 are halves of types 1 and 3: a scanner exchanges them freely
    assert groups[1] == groups[9]
    assert groups[3] == groups[10]
    assert got.levels["n_types"].tolist() == [10, 8]
    assert (got.levels["p_chosen"] >= got.levels["p_value"]).all()


def test_merging_does_not_look_at_the_arms(trial):
    swap = dict(zip(ARMS, (ARMS[2], ARMS[0], ARMS[1]), strict=True))
    people = trial.adsl.assign(TRT01P=trial.adsl["TRT01P"].map(swap))
    one, two = _run(trial, merge=[5, 3]), _run(trial, merge=[5, 3], subjects=people)
    assert one.settings["merge"] == two.settings["merge"]


def test_distances_decide_the_merging_where_they_are_given(trial):
    places = np.array([0, 1, 10, 11, 20, 21, 30, 31.0])
    apart = np.abs(places[:, None] - places[None])
    groups = _run(trial, merge=[4], distances=apart).settings["merge"][0]
    assert groups == {1: 1, 2: 1, 3: 3, 4: 3, 5: 5, 6: 5, 7: 7, 8: 7}


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"merge": [1]}, "at least 2"),
        ({"merge": [8]}, "below the 8 types"),
        ({"merge": [4], "distances": np.ones((3, 3))}, "square array of at least 8"),
    ],
)
def test_wrong_merging_is_named(trial, arguments, match):
    with pytest.raises(UsageError, match=match):
        _run(trial, **arguments)


def test_noise_taken_off_changes_means_by_what_repeat_scans_show(trial):
    null = lt.null_transitions(trial.repeats, arm=None)
    plain, beyond = _run(trial), _run(trial, null=null)
    both = plain.table.merge(beyond.table, on=KEYS)
    row = both.query("arm == 'High dose' and from_type == 1 and to_type == 2").iloc[0]
    start = trial.adpath.query("AVISIT == 'Week 48' and TRT01P == 'Placebo' and FROMTYPE == 1")
    share = start.groupby("USUBJID")["AVAL"].sum().mean()
    p = null.query("from_type == 1 and to_type == 2")["probability"].iloc[0]
    assert row["mean_ref_x"] - row["mean_ref_y"] == pytest.approx(share * p, rel=1e-9)
    assert beyond.settings["noise"]


def test_a_null_that_does_not_fit_is_named(trial):
    null = lt.null_transitions(trial.repeats, arm=None)
    with pytest.raises(DataError, match="do not sum to one"):
        _run(trial, null=null[null["to_type"] != 2])
    two = pd.concat([null.assign(visit="A"), null.assign(visit="B")])
    with pytest.raises(DataError, match=r"no transitions for visit\(s\)"):
        _run(trial, null=two)
    lost = _run(trial, null=null[null["from_type"] != 7])
    assert any("no noise known for from-type(s) 7" in note for note in lost.notes)


def test_the_ard_gives_the_new_frames_back(trial):
    got = _run(trial, trend=DOSES, merge=[5])
    stored = ard_result(got.to_ard(analysis="p"))
    np.testing.assert_array_equal(stored.frames["trend"]["p_adjusted"], got.trend["p_adjusted"])
    np.testing.assert_array_equal(stored.frames["levels"]["p_chosen"], got.levels["p_chosen"])


def test_adjusted_p_values_equal_those_of_the_public_function():
    p = np.random.default_rng(0).random(40) ** 2
    p[3] = p[4]
    np.testing.assert_allclose(holm(p), np.asarray(lt.adjust_pvalues(p, "holm")))
    p[7] = np.nan
    np.testing.assert_allclose(false_discovery(p), np.asarray(lt.adjust_pvalues(p, "BH")))
    assert np.isnan(false_discovery(np.array([np.nan]))).all()
