"""Quality of MR elastography: the folder, the pictures, the decision, the commands."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.cli import main
from livertrack.errors import DataError, UsageError
from livertrack.imaging.learning.settings import Training
from livertrack.simulate import simulate_elastograms
from livertrack.tasks import find_task
from livertrack.tasks._elastogram_files import read_examinations
from livertrack.tasks.model import TaskModel
from livertrack.tasks.mre_quality import (
    ARCHITECTURES,
    FIRST_ORDER,
    TASK,
    MajorityVote,
    read_cases,
    simulate_cases,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mre") / "data"
    assert main(["simulate-task", "mre-quality", str(path), "--n", "8", "--seed", "4"]) == 0
    return path


def auc(y, score):
    one, none = score[y == 1], score[y == 0]
    return float(((one[:, None] > none) + 0.5 * (one[:, None] == none)).mean())


# the simulated examinations between good and bad -------------------------------------------------


@pytest.fixture(scope="module")
def graded():
    return simulate_cases(50, seed=2, slices=3).frame


def test_mean_intensity_tells_nothing_and_confidence_little(graded):
    y = graded["DIAGNOSTIC"].to_numpy()
    assert 0.42 < auc(y, graded["MEAN"].to_numpy()) < 0.58
    assert 0.4 < auc(y, graded["CMEAN"].to_numpy()) < 0.75


def test_some_slices_of_good_examinations_are_spoiled(graded):
    good = graded[graded["EXAM"].eq(1)]
    assert 0.7 < good["DIAGNOSTIC"].mean() < 0.95
    assert graded.loc[graded["EXAM"].eq(0), "DIAGNOSTIC"].eq(0).all()
    assert (graded["DIAGNOSTIC"].eq(1) == graded["FAILURE"].eq("")).all()


def test_graded_examinations_do_not_depend_on_how_many_there_are():
    few, images = simulate_elastograms(2, seed=5, graded=True)
    many, others = simulate_elastograms(4, seed=5, graded=True)
    assert few.equals(many.head(8))
    np.testing.assert_array_equal(images[4].phase, others[4].phase)


# the folder --------------------------------------------------------------------------------------


def test_a_folder_gives_what_was_simulated(folder):
    found = read_cases(folder)
    made = simulate_cases(8, seed=4)
    assert found.simulated
    assert found.frame["DIAGNOSTIC"].tolist() == made.frame["DIAGNOSTIC"].tolist()
    np.testing.assert_allclose(found.inputs["images"], made.inputs["images"], atol=1e-5)
    np.testing.assert_allclose(
        found.frame[list(FIRST_ORDER)], made.frame[list(FIRST_ORDER)], rtol=1e-3, atol=1e-5
    )
    assert found.inputs["images"].shape[1:] == (3, 32, 32)
    assert 0 <= found.inputs["images"][:, 1:].min() <= found.inputs["images"][:, 1:].max() <= 1


def test_slices_that_nobody_judged_have_no_outcome(folder, tmp_path):
    (tmp_path / "volumes").symlink_to(folder / "volumes")
    (tmp_path / "exams.csv").write_bytes((folder / "exams.csv").read_bytes())
    assert "DIAGNOSTIC" not in read_examinations(tmp_path)[0]
    judged = pd.read_csv(folder / "slices.csv").head(5)
    judged.to_csv(tmp_path / "slices.csv", index=False)
    assert read_examinations(tmp_path)[0]["DIAGNOSTIC"].notna().sum() == 5
    judged.assign(SLICE=judged["SLICE"] + 99).to_csv(tmp_path / "slices.csv", index=False)
    with pytest.raises(DataError, match=r"5 slice\(s\)"):
        read_examinations(tmp_path)


def test_what_is_wrong_with_a_folder_is_said(folder, tmp_path):
    with pytest.raises(DataError, match=r"exams.csv: no such table"):
        read_cases(tmp_path)
    exams = pd.read_csv(folder / "exams.csv")
    (tmp_path / "volumes").symlink_to(folder / "volumes")
    exams.drop(columns="STIFFNESS").to_csv(tmp_path / "exams.csv", index=False)
    with pytest.raises(DataError, match="STIFFNESS"):
        read_cases(tmp_path)
    exams.assign(CONFIDENCE=exams["MAGNITUDE"]).to_csv(tmp_path / "exams.csv", index=False)
    with pytest.raises(DataError, match="divide it so that it lies between 0 and 1"):
        read_cases(tmp_path)
    pd.concat([exams, exams.head(1)]).to_csv(tmp_path / "exams.csv", index=False)
    with pytest.raises(DataError, match=r"exams.csv"):
        read_cases(tmp_path)


# the decision ------------------------------------------------------------------------------------


def test_the_majority_decides_and_the_band_leaves_to_a_reader():
    subjects = pd.DataFrame({"predicted": [0.9, 0.55, 0.1, 0.6], "votes": [1.0, 0.5, 0.0, 0.25]})
    out = MajorityVote().apply(subjects, {"low": 0.45, "high": 0.55})
    assert out["diagnostic"].tolist() == [1, 1, 0, 0]
    assert out["DECISION"].tolist() == [
        "diagnostic", "undecided", "not diagnostic", "undecided",
    ]  # fmt: skip
    # the last one has a mean above and a vote below one half
    assert out["MREQC"].fillna(-1).tolist() == [1, -1, 0, -1]


def test_a_target_that_is_reached_nowhere_leaves_everybody_undecided():
    held = pd.DataFrame({
        "model": "m", "repeat": 0, "fold": [0, 1] * 4, "USUBJID": list("ABCDEFGH"),
        "observed": [0, 0, 1, 1] * 2, "predicted": [0.9, 0.8, 0.1, 0.2] * 2,
    })  # fmt: skip
    facts = MajorityVote().learn(held)
    assert facts["low"] == 0
    assert facts["high"] == 1
    assert facts["accuracy"] is None
    subjects = pd.DataFrame({"predicted": [0.0, 1.0, 0.7], "votes": [0.0, 1.0, 1.0]})
    assert not MajorityVote().apply(subjects, facts)["decided"].any()


def test_the_task_is_the_published_one():
    task = find_task("mre-quality")
    assert tuple(task.networks) == ARCHITECTURES
    assert (task.n_folds, task.n_published) == (8, 90)
    assert task.published["published"].max() == 0.92
    assert task.preparation["size"] == [32, 32]


# the commands ------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """The task with one epoch instead of eight."""
    fast = replace(TASK, training=Training(epochs=1), schedules={})
    monkeypatch.setattr("livertrack.tasks.mre_quality.TASK", fast)


def test_train_and_predict_write_a_model_and_records_for_a_study(folder, tmp_path, capsys, quick):
    model, records = tmp_path / "m.safetensors", tmp_path / "admreqc.csv"
    words = ["train", "mre-quality", str(folder), "--out", str(model), "--folds", "2"]
    assert main([*words, "--seed", "3"]) == 0
    assert main(["predict", str(model), str(folder), "--out", str(records)]) == 0
    assert capsys.readouterr().out.split() == [str(model), str(records)]
    found = pd.read_csv(records)
    assert found["PARAMCD"].value_counts().to_dict() == {"MREQC": 8, "MREQCP": 8}
    assert set(found.loc[found["PARAMCD"].eq("MREQC"), "AVAL"].dropna()) <= {0.0, 1.0}
    assert found["AVISIT"].eq("Baseline").all()
    loaded = TaskModel.load(model)
    assert [m.architecture for m in loaded.members] == ["squeezenet", "squeezenet"]
    assert loaded.facts["simulated"] is True
    second = tmp_path / "again.safetensors"
    assert main([*words[:3], "--out", str(second), *words[5:], "--seed", "3"]) == 0
    assert model.read_bytes() == second.read_bytes()


def test_what_cannot_be_simulated_trained_or_applied_is_refused(folder, tmp_path, capsys):
    assert main(["simulate-task", "mre-quality", str(folder)]) == UsageError.exit_code
    assert main(["simulate-task", "heart", str(tmp_path / "x")]) == UsageError.exit_code
    missing = ["train", "mre-quality", str(tmp_path / "none"), "--out", str(tmp_path / "m")]
    assert main(missing) == DataError.exit_code
    assert main([*missing, "--weights", "squeezenet"]) == UsageError.exit_code
    said = capsys.readouterr().err
    for text in ("is not empty", "a task is one of", "no such folder", "NETWORK=FILE"):
        assert text in said


@pytest.mark.slow
def test_shuffled_labels_are_told_by_no_network():
    cases = simulate_cases(40, seed=3, slices=2)
    ids = cases.frame["USUBJID"].unique()
    place = dict(zip(ids, np.random.default_rng(1).permutation(ids), strict=True))
    series = cases.frame.set_index(["USUBJID", "SLICE"])["DIAGNOSTIC"]
    other = [series[place[s], k] for s, k in zip(*cases.frame[["USUBJID", "SLICE"]].T.to_numpy(),
                                                  strict=True)]  # fmt: skip
    shuffled = replace(cases, frame=cases.frame.assign(DIAGNOSTIC=other))
    table = lt.evaluate_task(
        TASK, shuffled, networks=["squeezenet"], n_folds=4, n_boot=500, seed=1
    ).table
    found = table[table["metric"].eq("auc") & table["model"].eq("squeezenet")]
    assert (found["conf_low"] < 0.5).all()
    assert (found["conf_high"] > 0.5).all()
