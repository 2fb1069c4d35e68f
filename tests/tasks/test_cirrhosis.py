"""Cirrhosis stage: gaps, one sequence, two views; chance stays chance and leaks are refused."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config

import livertrack as lt
from livertrack.errors import DataError
from livertrack.imaging.learning.cirrhosis_network import CirrhosisNetwork
from livertrack.imaging.learning.sequence_dropout import SequenceDropout
from livertrack.imaging.learning.settings import Training
from livertrack.imaging.learning.training import fit_network
from livertrack.tasks import Cases, find_task
from livertrack.tasks._volumes import SlabRules
from livertrack.tasks.cirrmri import read_cirrmri

TASK = find_task("cirrhosis")
QUICK = replace(TASK, training=replace(TASK.training, epochs=1))


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = TASK.simulate(tmp_path_factory.mktemp("cirrhosis"), 14, 3)
    return read_cirrmri(folder, rules=SlabRules(shape=(48, 40), places=(0.4, 0.6)))


@pytest.fixture(scope="module")
def result(cases):
    return lt.evaluate_task(QUICK, cases, seed=1, n_folds=2, n_boot=50)


def exchanged(cases, seed=0):
    stages = cases.frame.groupby("USUBJID")["STAGE"].first()
    drawn = np.random.default_rng(seed).permutation(stages.to_numpy())
    frame = cases.frame.assign(
        STAGE=cases.frame["USUBJID"].map(dict(zip(stages.index, drawn, strict=True)))
    )
    return replace(cases, frame=frame)


def test_slices_and_subjects_are_both_reported_beside_the_published_figures(result, cases):
    found = result.table.set_index(["model", "level", "metric"])["n"]
    assert found["fused", "row", "accuracy"] == len(cases.frame)
    assert found["fused", "subject", "accuracy"] == cases.frame["USUBJID"].nunique()
    assert list(result.published["published"]) == [0.728, 0.638]
    assert list(result.published["model"]) == ["T1W", "T2W"]
    assert result.published["simulated"].all()
    assert "simulated" in result.text


def test_every_network_and_baseline_stands_on_the_same_folds(result):
    folds = result.predictions.groupby("model")[["row", "fold"]].apply(
        lambda part: tuple(part.sort_values("row")["fold"])
    )
    assert set(folds.index) == {*TASK.networks, *TASK.baselines}
    assert len(set(folds)) == 1
    pairs = set(zip(result.comparison["model_1"], result.comparison["model_2"], strict=True))
    assert {("fused", "T1W"), ("fused", "T2W"), ("fused", "mean intensity")} <= pairs


def test_predictions_lie_between_the_stages(result):
    assert result.predictions["predicted"].between(1, 3).all()


def test_two_workers_predict_what_one_predicts(result, cases):
    with parallel_config("threading", n_jobs=2):
        again = lt.evaluate_task(
            QUICK, cases, seed=1, n_folds=2, n_boot=0, networks=["fused"], baselines=[]
        )
    one = result.predictions[result.predictions["model"].eq("fused")].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.predictions, one)


def test_a_subject_under_two_names_is_refused(cases):
    frame = cases.frame.assign(
        USUBJID=lambda f: f["USUBJID"].where(f["SLAB"].eq(1), "copy of " + f["USUBJID"])
    )
    twice = Cases(
        pd.concat([cases.frame, frame.head(2).assign(USUBJID="new")], ignore_index=True),
        {name: np.concatenate([a, a[:2]]) for name, a in cases.inputs.items()},
    )
    with pytest.raises(DataError, match="belong to more than one USUBJID; nothing was fitted"):
        lt.evaluate_task(QUICK, twice, seed=1, n_folds=2, networks=["T1W"], n_boot=0)


def inputs(n=6, seed=0):
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn((n, 2, 3, 32, 32), generator=rng)
    masks = torch.zeros((n, 2, 3, 32, 32))
    masks[..., 8:24, 8:24] = 1
    return {"images": images, "masks": masks, "present": torch.ones(n, 2)}


@pytest.mark.parametrize("view", ["2.5d", "3d"])
def test_a_missing_sequence_is_not_looked_at(view):
    torch.manual_seed(0)
    network = CirrhosisNetwork(sequences=2, depth=3, outputs=2, view=view).eval()
    given = inputs()
    given["present"][:3, 1] = 0
    before = network(**given)
    given["images"][:3, 1] = 7.0
    after = network(**given)
    torch.testing.assert_close(after, before)
    given["images"][3:, 1] *= 0.2
    assert not torch.allclose(network(**given)[3:], before[3:])


def test_a_network_of_one_sequence_ignores_the_other_and_answers_without_it():
    torch.manual_seed(0)
    network = CirrhosisNetwork(sequences=2, depth=3, outputs=2, used=(0,)).eval()
    given = inputs()
    before = network(**given)
    given["images"][:, 1], given["present"][:, 1] = 9.0, 0
    torch.testing.assert_close(network(**given), before)
    given["present"][:] = 0
    alone = network(**given)
    assert torch.isfinite(alone).all()
    torch.testing.assert_close(alone, alone[:1].expand_as(alone))


def test_a_scanners_gain_does_not_reach_the_energies():
    torch.manual_seed(0)
    network = CirrhosisNetwork(sequences=2, depth=3, outputs=2).eval()
    energies = network.encoders[0].energies[0]
    picture, regions = torch.randn(2, 1, 3, 32, 32), torch.ones(2, 2, 3, 16, 16)
    change = energies(5 * picture, regions) - energies(picture, regions)
    torch.testing.assert_close(change, torch.full_like(change, np.log(5.0)), atol=0.02, rtol=0)
    regions[..., :2, :], regions[..., -2:, :] = 0, 0  # away from the padding
    regions[..., :2], regions[..., -2:] = 0, 0
    torch.testing.assert_close(
        energies(picture + 3, regions), energies(picture, regions), atol=1e-4, rtol=0
    )


def test_dropout_never_takes_the_last_sequence():
    given = inputs(n=400)
    given["present"][:200, 0] = 0
    found = SequenceDropout(share=0.5)(given, torch.Generator().manual_seed(1))["present"]
    assert (found.sum(1) >= 1).all()
    assert torch.equal(found[:200], given["present"][:200])
    assert 0.3 < (found[200:].sum(1) == 1).float().mean() < 0.7
    assert given["present"][200:].sum() == 400


def test_a_network_learns_a_grain():
    rng = np.random.default_rng(1)
    n = 72
    stage = np.repeat([1.0, 2.0, 3.0], n // 3)
    images = rng.normal(size=(n, 2, 3, 32, 32)).astype(np.float32)
    for place, grain in enumerate(stage):
        smooth = images[place]
        for _ in range(int(grain) - 1):
            smooth = (smooth + np.roll(smooth, 1, -1)) / 2
        images[place] = smooth * rng.uniform(0.7, 1.4) / smooth.std()
    masks = np.zeros_like(images)
    masks[..., 4:28, 4:28] = 1
    given = {"images": images, "masks": masks, "present": np.ones((n, 2), np.float32)}
    half = np.arange(n) % 2 == 0
    network = fit_network(
        partial(CirrhosisNetwork, sequences=2, depth=3, outputs=2),
        {name: a[half] for name, a in given.items()}, stage[half], loss="ordinal",
        settings=Training(epochs=25, batch=12, rate=1e-2), seed=1,
    )  # fmt: skip
    predicted = network.predict({name: a[~half] for name, a in given.items()})
    assert np.corrcoef(predicted, stage[~half])[0, 1] > 0.8


@pytest.mark.slow
def test_the_fused_network_beats_the_mean_and_shuffled_stages_are_chance(tmp_path):
    cases = TASK.read(TASK.simulate(tmp_path, 150, 5))
    options = {"seed": 1, "networks": ["fused"], "baselines": ["mean intensity"], "n_boot": 500}
    found = lt.evaluate_task(TASK, cases, **options).comparison
    pair = found[found["metric"].eq("concordance") & found["level"].eq("subject")].iloc[0]
    assert pair["conf_low"] > 0
    null = lt.evaluate_task(TASK, exchanged(cases), **options).table
    row = null[
        null["model"].eq("fused") & null["metric"].eq("concordance") & null["level"].eq("subject")
    ].iloc[0]
    assert row["conf_low"] < 0.5 < row["conf_high"]


@pytest.mark.slow
def test_two_processes_predict_what_one_predicts(result, cases):
    with parallel_config("loky", n_jobs=2):
        again = lt.evaluate_task(QUICK, cases, seed=1, n_folds=2, n_boot=100)
    pd.testing.assert_frame_equal(again.predictions, result.predictions)
