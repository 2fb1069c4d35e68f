"""Maps of tasks: they sum to what the network says, and lie on the grid of the files."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from livertrack import figures
from livertrack._results import ard_result
from livertrack.errors import UsageError
from livertrack.imaging.learning.explanation import explanation_maps
from livertrack.tasks import find_task, mre_quality, stiffness
from livertrack.tasks._volumes import LiverVolume, SlabRules, slabs, unslabbed
from livertrack.tasks.explain import case_maps, example_maps, write_maps
from livertrack.tasks.model import train_task

pytest.importorskip("captum")
MRE = find_task("mre-quality")
QUICK = replace(MRE, training=replace(MRE.training, epochs=1), schedules={})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return mre_quality.simulate(tmp_path_factory.mktemp("mre") / "data", 6, 3)


@pytest.fixture(scope="module")
def cases(folder):
    found = mre_quality.read_cases(folder)
    return found.subset((found.frame["SLICE"] <= 2).to_numpy())


@pytest.fixture(scope="module")
def model(cases):
    return train_task(QUICK, cases, seed=1, n_folds=2)


def test_channels_sum_to_the_map_and_the_map_to_the_difference_of_outputs(model, cases):
    network = model.members[0].network
    few = cases.subset(np.arange(len(cases.frame)) < 3)
    options = {"method": "integrated-gradients", "steps": 64}
    apart = explanation_maps(network, few.inputs, by_channel=True, **options)
    whole = explanation_maps(network, few.inputs, **options)
    assert apart.shape == (3, 3, 32, 32)
    np.testing.assert_allclose(apart.sum(1), whole, atol=1e-6)
    even = few.inputs["images"].mean(axis=(2, 3), keepdims=True) + 0 * few.inputs["images"]
    gain = [
        np.log(p / (1 - p)) for p in (network.predict({"images": x})
                                      for x in (few.inputs["images"], even.astype(np.float32)))
    ]  # fmt: skip
    np.testing.assert_allclose(whole.sum((1, 2)), gain[0] - gain[1], atol=0.02)


def test_grad_cam_has_no_channels(model, cases):
    with pytest.raises(UsageError, match="knows no channels"):
        explanation_maps(model.members[0].network, cases.inputs, by_channel=True)


def test_examples_are_explained_by_networks_that_never_saw_them_and_survive_storage(model, cases):
    found = example_maps(model, cases)
    held = model.out_of_fold
    for row in found.table.to_dict("records"):
        assert ((held["predicted"] - row["predicted"]).abs() < 1e-12).any()
        assert (row["kind"] == "wrong") == (abs(row["predicted"] - row["observed"]) > 0.5)
    assert set(found.pixels["picture"]) == {"magnitude", "confidence", "stiffness"}
    stored = ard_result(found.to_ard(analysis="maps"))
    axes = figures.task_map_examples(stored)
    assert axes.shape == (len(found.table), 6)
    assert "subject" not in stored.settings


def test_a_map_lies_on_the_grid_of_its_picture(model, cases, folder, tmp_path):
    # the file has ten slices, the model's cases two of them
    everything = mre_quality.read_cases(folder)
    files = write_maps(model, everything, folder, tmp_path / "maps")
    assert len(files) == 6
    exam = pd.read_csv(folder / "exams.csv", dtype=str).iloc[0]
    picture = nib.load(folder / exam["MAGNITUDE"])
    found = nib.load(tmp_path / "maps" / f"{exam['USUBJID']}_Baseline.nii.gz")
    assert found.shape == picture.shape
    np.testing.assert_array_equal(found.affine, picture.affine)
    mine = everything.frame["USUBJID"].eq(exam["USUBJID"]).to_numpy()
    maps = case_maps(model.task, model.members, everything.subset(mine)).sum(1)
    blocks = found.get_fdata().reshape(32, picture.shape[0] // 32, 32, -1, 10).mean((1, 3))
    for place in range(10):
        assert np.corrcoef(blocks[..., place].ravel(), maps[place].ravel())[0, 1] > 0.9


def test_networks_of_features_have_no_maps():
    cases = stiffness.simulate_cases(2, seed=1)
    with pytest.raises(UsageError, match="read features of slices"):
        case_maps(find_task("stiffness"), (), cases)


def test_slabs_go_back_to_where_they_were_cut():
    rng = np.random.default_rng(1)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (60, 50, 20)), indexing="ij")
    image = (100 + 20 * x + 10 * y + 5 * z + 0 * rng.normal(size=x.shape)).astype(np.float32)
    volume = LiverVolume(image, x**2 + y**2 + z**2 < 0.5, (3.0, 3.5, 5.0))
    rules = SlabRules(shape=(40, 40), slice_mm=5.0, left_mm=0.0)
    pictures, _ = slabs(volume, rules)
    back = unslabbed(pictures, volume, rules)
    level = np.median(image[volume.mask])
    seen = (back != 0) & volume.mask
    assert seen.mean() > 0.1
    np.testing.assert_allclose(back[seen], (image / level - 1)[seen], atol=0.03)
