"""What holds for every task alike: planted leaks are refused, workers change nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

import livertrack as lt
from livertrack.errors import DataError
from livertrack.tasks import Cases, find_task, mre_quality, stiffness
from livertrack.tasks._volumes import SlabRules
from livertrack.tasks.cirrmri import read_cirrmri
from livertrack.tasks.model import train_task

TASKS = ["mre-quality", "cirrhosis", "stiffness"]
#: the smallest network of each
NETWORKS = {"mre-quality": "squeezenet", "cirrhosis": "T1W", "stiffness": "transformer"}


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    folder = find_task("cirrhosis").simulate(tmp_path_factory.mktemp("cirrhosis"), 12, 3)
    return {
        "mre-quality": mre_quality.simulate_cases(8, seed=3, slices=2),
        "cirrhosis": read_cirrmri(folder, rules=SlabRules(shape=(48, 40), places=(0.4, 0.6))),
        "stiffness": stiffness.simulate_cases(8, seed=3),
    }


@pytest.fixture(params=TASKS)
def named(request, cohorts):
    """A task that trains in a second, and its cases."""
    task = find_task(request.param)
    quick = replace(task, training=replace(task.training, epochs=1), schedules={})
    return quick, cohorts[request.param]


def again(cases, **changes):
    """Cases with the first one once more, its pictures untouched."""
    row = cases.frame.head(1).drop(columns="HASH").assign(**changes)
    frame = pd.concat([cases.frame.drop(columns="HASH"), row], ignore_index=True)
    inputs = {name: np.concatenate([a, a[:1]]) for name, a in cases.inputs.items()}
    hashed = [name for name in ("images", "tokens") if name in inputs]
    return Cases.of(frame, inputs, hashed=hashed, simulated=cases.simulated)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"USUBJID": "another"}, r"1 image\(s\) \(HASH\) belong to more than one USUBJID"),
        ({"SLICE": 99, "SLAB": 99}, r"1 image\(s\) \(HASH\) are entered twice"),
    ],
)
def test_a_picture_under_two_subjects_or_twice_is_refused(named, changes, said):
    task, cases = named
    planted = again(cases, **changes)
    options = {"seed": 1, "n_folds": 2, "networks": [NETWORKS[task.name]]}
    with pytest.raises(DataError, match=said):
        lt.evaluate_task(task, planted, n_boot=0, **options)
    with pytest.raises(DataError, match=said):
        train_task(task, planted, **options)


def test_one_and_two_workers_give_the_same_out_of_fold_predictions(named):
    task, cases = named
    options = {"seed": 1, "n_folds": 2, "n_boot": 0, "networks": [NETWORKS[task.name]]}
    one = lt.evaluate_task(task, cases, **options).predictions
    with parallel_config("threading", n_jobs=2):
        two = lt.evaluate_task(task, cases, **options).predictions
    pd.testing.assert_frame_equal(one, two)
