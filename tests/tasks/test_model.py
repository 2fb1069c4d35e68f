"""Trained tasks: the folds' networks vote, files hold no code, other preparations are refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

from livertrack.errors import DataError
from livertrack.imaging.learning.model_file import load_model
from livertrack.tasks.model import TaskModel, train_task

from .toy import toy_cases, toy_task


@pytest.fixture(scope="module")
def model():
    return train_task(toy_task(), toy_cases(), networks=["one"], seed=1)


def test_every_fold_has_a_network_that_never_saw_its_subjects(model):
    assert [(m.architecture, m.fold) for m in model.members] == [("one", k) for k in range(3)]
    held = model.out_of_fold
    assert held.groupby("USUBJID")["fold"].nunique().max() == 1
    assert held["fold"].nunique() == 3
    whole = held.groupby("USUBJID")[["observed", "predicted"]].mean()
    assert ((whole["predicted"] > 0.5) == whole["observed"]).mean() > 0.8


def test_the_vote_is_the_share_of_networks_that_say_one(model):
    fresh = toy_cases(8, seed=3)
    alone = np.stack([m.network.predict(fresh.inputs) for m in model.members])
    rows = model.rows(fresh)
    np.testing.assert_allclose(rows["votes"], (alone > 0.5).mean(axis=0))
    np.testing.assert_allclose(rows["predicted"], alone.mean(axis=0))
    whole = model.subjects(fresh)
    assert len(whole) == 8
    assert whole["n"].eq(2).all()
    mean = rows.groupby("USUBJID")["predicted"].mean().to_numpy()
    np.testing.assert_allclose(whole["predicted"], mean)


def test_visits_of_a_subject_are_predicted_apart(model):
    fresh = toy_cases(4, seed=3)
    frame = fresh.frame.assign(AVISIT=np.where(fresh.frame["SLICE"].eq(0), "Baseline", "Week 12"))
    records = model.records(replace(fresh, frame=frame))
    assert len(records) == 8
    assert list(records.columns) == ["USUBJID", "AVISIT", "PARAMCD", "PARAM", "AVAL"]
    assert records["AVAL"].between(0, 1).all()


def test_a_file_gives_the_same_model_and_the_same_bytes(model, tmp_path):
    path = tmp_path / "toy.safetensors"
    model.save(path)
    again = TaskModel.load(path, task=toy_task())
    fresh = toy_cases(6, seed=4)
    pd.testing.assert_frame_equal(again.subjects(fresh), model.subjects(fresh))
    again.save(tmp_path / "again.safetensors")
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    facts = load_model(path)[1]
    assert facts["simulated"] is True
    assert facts["n_subjects"] == 24


def test_a_model_of_another_task_or_preparation_is_refused_with_the_reason(model, tmp_path):
    path = tmp_path / "toy.safetensors"
    model.save(path)
    with pytest.raises(DataError, match='its task is "toy", expected "other"'):
        TaskModel.load(path, task=toy_task(name="other"))
    with pytest.raises(DataError, match=r"its preprocessing.size is \[8,8\], expected \[16,16\]"):
        TaskModel.load(path, task=toy_task(preparation={"size": [16, 16]}))
    with pytest.raises(DataError, match="its architecture is one, toy has two"):
        TaskModel.load(path, task=toy_task(networks={"two": toy_task().networks["two"]}))


def test_other_inputs_are_refused(model):
    fresh = toy_cases(4, seed=3)
    with pytest.raises(DataError, match="the model reads"):
        model.rows(replace(fresh, inputs={"images": fresh.inputs["images"][..., :7]}))


def test_order_and_workers_do_not_change_the_model(model):
    cases = toy_cases()
    order = np.random.default_rng(1).permutation(len(cases.frame))
    with parallel_config(backend="threading", n_jobs=2):
        again = train_task(toy_task(), cases.ordered(order), networks=["one"], seed=1)
    pd.testing.assert_frame_equal(again.out_of_fold, model.out_of_fold)


def test_planted_leaks_and_too_few_subjects_are_refused():
    cases = toy_cases()
    frame = pd.concat([cases.frame, cases.frame.head(1).assign(USUBJID="T999")])
    images = np.concatenate([cases.inputs["images"], cases.inputs["images"][:1]])
    twice = replace(cases, frame=frame.reset_index(drop=True), inputs={"images": images})
    with pytest.raises(DataError, match="belong to more than one USUBJID"):
        train_task(toy_task(), twice, seed=1)
    with pytest.raises(DataError, match="4 subjects are too few for 3 folds"):
        train_task(toy_task(), toy_cases(4), seed=1)
    with pytest.raises(DataError, match="no outcome"):
        train_task(toy_task(outcome="NONE"), cases, seed=1)


def test_cases_without_an_outcome_are_left_out():
    cases = toy_cases()
    some = cases.frame["COARSE"].where(cases.frame["USUBJID"].ne(cases.frame["USUBJID"].iloc[0]))
    trained = train_task(
        toy_task(), replace(cases, frame=cases.frame.assign(COARSE=some)), networks=["one"], seed=1
    )
    assert trained.facts["n_subjects"] == 23
