"""Evaluation of a task: pictures follow their rows, leaks are refused, workers do not matter."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

import livertrack as lt
from livertrack._results import ard_result
from livertrack.errors import DataError, UsageError
from livertrack.tasks import Cases, find_task

from .toy import toy_cases, toy_task

QUICK = {"seed": 1, "n_boot": 200}


@pytest.fixture(scope="module")
def cases():
    return toy_cases()


@pytest.fixture(scope="module")
def result(cases):
    return lt.evaluate_task(toy_task(), cases, **QUICK)


def of(frame, **wanted):
    for column, value in wanted.items():
        frame = frame[frame[column].eq(value)]
    return frame.iloc[0]


def test_networks_learn_from_the_pictures_what_the_mean_does_not_tell(result):
    for model in ("one", "two", "ensemble"):
        assert of(result.table, model=model, metric="auc", level="subject")["estimate"] > 0.9
    base = of(result.table, model="mean intensity", metric="auc", level="subject")
    assert base["conf_low"] < 0.5 < base["conf_high"]
    pairs = result.comparison
    both = pairs["model_1"].eq("mean intensity") & pairs["model_2"].eq("ensemble")
    assert (pairs.loc[both & pairs["metric"].eq("auc"), "conf_high"] < 0).all()


def test_the_ensemble_is_the_mean_of_its_networks(result):
    by_model = result.predictions.set_index("row").groupby("model")["predicted"]
    one, two, mean = (by_model.get_group(name) for name in ("one", "two", "ensemble"))
    np.testing.assert_allclose(mean, (one + two) / 2, rtol=1e-12)


def test_published_figures_stand_beside_ours_and_ours_are_called_simulated(result):
    first, second = result.published.to_dict("records")
    assert first["model"] == "ensemble"
    here = of(result.table, model="ensemble", metric="accuracy", level="subject")
    assert first["ours"] == here["estimate"]
    assert first["n_subjects"] == 24
    row = of(result.table, model="one", metric="accuracy", level="row")
    assert second["ours"] == row["estimate"]
    assert result.published["simulated"].all()
    assert "These subjects are simulated." in result.text
    assert result.settings["simulated"] is True


def test_order_of_the_cases_does_not_matter(cases, result):
    order = np.random.default_rng(0).permutation(len(cases.frame))
    mixed = Cases.of(
        cases.frame.iloc[order], {n: a[order] for n, a in cases.inputs.items()}, simulated=True
    )
    again = lt.evaluate_task(toy_task(), mixed, **QUICK)
    pd.testing.assert_frame_equal(again.predictions, result.predictions)


def test_one_and_two_workers_give_the_same_predictions(cases, result):
    with parallel_config(backend="threading", n_jobs=2):
        again = lt.evaluate_task(toy_task(), cases, **QUICK)
    pd.testing.assert_frame_equal(again.predictions, result.predictions)


@pytest.mark.slow
def test_one_and_two_worker_processes_give_the_same_predictions(cases, result):
    with parallel_config(n_jobs=2):
        again = lt.evaluate_task(toy_task(), cases, **QUICK)
    pd.testing.assert_frame_equal(again.predictions, result.predictions)


def test_shuffled_outcomes_are_told_by_nothing():
    cases = toy_cases(48)
    ids = cases.frame["USUBJID"].unique()
    mixed = dict(zip(ids, np.random.default_rng(2).permutation(np.arange(48) % 2), strict=True))
    shuffled = replace(cases, frame=cases.frame.assign(COARSE=cases.frame["USUBJID"].map(mixed)))
    table = lt.evaluate_task(toy_task(), shuffled, **QUICK).table
    auc = table[table["metric"].eq("auc") & table["level"].eq("subject")]
    auc = auc[auc["model"].ne("mean intensity")]
    assert (auc["conf_low"] < 0.5).all()
    assert (auc["conf_high"] > 0.5).all()


def planted(cases, subject):
    """The pictures of the first case again, under ``subject``."""
    frame = pd.concat([cases.frame, cases.frame.head(1).assign(USUBJID=subject, SLICE=9)])
    images = np.concatenate([cases.inputs["images"], cases.inputs["images"][:1]])
    return Cases.of(frame, {"images": images})


def test_the_same_subject_under_two_ids_is_refused(cases):
    with pytest.raises(DataError, match=r"1 image\(s\) \(HASH\) belong to more than one USUBJID"):
        lt.evaluate_task(toy_task(), planted(cases, "T999"), **QUICK)


def test_the_same_picture_twice_is_refused(cases):
    first = cases.frame["USUBJID"].iloc[0]
    with pytest.raises(DataError, match=r"1 image\(s\) \(HASH\) are entered twice"):
        lt.evaluate_task(toy_task(), planted(cases, first), **QUICK)


def test_a_second_cohort_is_predicted_and_a_shared_subject_refused(cases):
    other = toy_cases(10, seed=7)
    found = lt.evaluate_task(toy_task(), cases, split="external", external=other, **QUICK)
    assert found.settings["n_subjects"] == 10
    with pytest.raises(DataError, match="in both cohorts"):
        lt.evaluate_task(toy_task(), cases, split="external", external=cases, **QUICK)


def test_the_result_survives_its_ard(result):
    stored = ard_result(result.to_ard(analysis="toy"))
    np.testing.assert_allclose(stored.frames["published"]["ours"], result.published["ours"])
    assert stored.settings["training"]["one"]["epochs"] == 30


def test_a_row_without_pictures_and_pictures_without_a_row_are_refused(cases):
    with pytest.raises(DataError, match=r"1 row\(s\) have no pictures"):
        cases.take(pd.Series(["0"]))
    with pytest.raises(DataError, match=r"48 case\(s\) for 3 row\(s\)"):
        Cases.of(cases.frame.head(3), cases.inputs)
    with pytest.raises(DataError, match="not finite"):
        Cases.of(cases.frame, {"images": np.full((48, 1, 4, 4), np.nan)})


def test_what_is_no_task_network_or_outcome_is_refused(cases):
    with pytest.raises(UsageError, match="a task is one of mre-quality"):
        find_task("heart")
    with pytest.raises(UsageError, match="networks of toy are one, two; got three"):
        lt.evaluate_task(toy_task(), cases, networks=["three"], **QUICK)
    with pytest.raises(DataError, match="no outcome STAGE"):
        lt.evaluate_task(toy_task(outcome="STAGE"), cases, **QUICK)
