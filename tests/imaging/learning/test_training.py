"""The trainer learns each kind of outcome, and the same seed gives the same weights anywhere."""

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from torch import nn

from livertrack.errors import DataError, UsageError
from livertrack.imaging.learning.training import Jitter, Network, Training, fit_network

QUICK = Training(epochs=50, batch=16, rate=1e-2)


class Small(nn.Module):
    """One convolution, dropout, and the clinical numbers beside the pictures."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(8, outputs)

    def forward(self, images: torch.Tensor, clinical: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.norm(self.conv(images))).mean((2, 3))
        return self.head(torch.cat([self.drop(maps), clinical], dim=1))


def textures(n=90, seed=0):
    """Pictures of the same mean whose grain follows a latent number."""
    rng = np.random.default_rng(seed)
    grain = rng.uniform(0, 3, n)
    images = rng.normal(0, 0.2 + grain[:, None, None, None] / 3, (n, 1, 16, 16))
    clinical = rng.normal(size=(n, 2))
    arrays = {"images": images.astype(np.float32), "clinical": clinical.astype(np.float32)}
    return arrays, grain


def fitted(target, loss, outputs=1, seed=1, settings=QUICK):
    arrays, _ = textures()
    return fit_network(
        lambda: Small(outputs), arrays, target, loss=loss, settings=settings, seed=seed
    )


def test_each_kind_of_outcome_is_learned_in_its_own_unit():
    arrays, grain = textures(seed=5)
    _, known = textures()
    probability = fitted((known > 1.5).astype(float), "binary").predict(arrays)
    assert ((probability > 0.5) == (grain > 1.5)).mean() > 0.75
    assert probability.min() >= 0
    assert probability.max() <= 1
    stage = fitted(np.floor(known) + 1, "ordinal", outputs=2).predict(arrays)
    assert np.corrcoef(stage, grain)[0, 1] > 0.85
    assert stage.min() >= 1
    assert stage.max() <= 3
    value = fitted(100 * known + 7, "squared").predict(arrays)
    assert np.corrcoef(value, grain)[0, 1] > 0.85
    assert value.mean() == pytest.approx(157, abs=30)


def test_the_clinical_inputs_reach_the_network():
    arrays, _ = textures()
    target = (arrays["clinical"][:, 0] > 0).astype(float)
    network = fitted(target, "binary")
    assert ((network.predict(arrays) > 0.5) == target).mean() > 0.85


def test_any_threads_of_the_caller_and_fits_side_by_side_give_the_same_weights():
    _, known = textures()
    target = (known > 1.5).astype(float)
    settings = Training(epochs=2, batch=16, augment=Jitter(noise=0.1))

    def prediction():
        return fitted(target, "binary", settings=settings).predict(textures()[0])

    before, alone = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.rand(threads)  # the state of torch's own generator must not matter
        alone.append(prediction())
    torch.set_num_threads(before)
    threads = Parallel(n_jobs=2, backend="threading")(delayed(prediction)() for _ in range(2))
    for other in (alone[1], *threads):
        np.testing.assert_array_equal(alone[0], other)
    torch.set_num_threads(before)


def test_another_seed_gives_other_weights_and_leaves_torchs_generator_alone():
    _, known = textures()
    target = (known > 1.5).astype(float)
    state = torch.random.get_rng_state()
    one, two = (fitted(target, "binary", seed=k).predict(textures()[0]) for k in (1, 2))
    assert not np.array_equal(one, two)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_prediction_does_not_depend_on_the_other_cases():
    _, known = textures()
    network = fitted(known, "squared")
    arrays, _ = textures(seed=9)
    whole = network.predict(arrays)
    part = network.predict({name: a[10:20] for name, a in arrays.items()}, batch=3)
    np.testing.assert_allclose(part, whole[10:20], rtol=1e-5)


def test_a_stored_state_predicts_the_same_and_another_shape_is_refused():
    _, known = textures()
    network = fitted(np.floor(known), "ordinal", outputs=2)
    again = Network.restored(
        lambda: Small(2), network.tensors(), loss=network.loss, scale=network.scale
    )
    arrays, _ = textures(seed=3)
    np.testing.assert_array_equal(network.predict(arrays), again.predict(arrays))
    with pytest.raises(DataError, match="do not fit the architecture"):
        Network.restored(lambda: Small(3), network.tensors(), loss="ordinal", scale=(0, 1, 2))


def test_a_last_batch_of_one_joins_the_one_before():
    arrays, known = textures(33)
    fit_network(
        Small, arrays, known, loss="squared", settings=Training(epochs=1, batch=16), seed=1
    )


def test_what_cannot_be_learned_is_refused_with_the_reason():
    arrays, known = textures()
    with pytest.raises(DataError, match="one level"):
        fitted(np.ones(90), "binary")
    with pytest.raises(DataError, match="0 or 1"):
        fitted(known, "binary")
    with pytest.raises(DataError, match=r"value\(s\) for 90 case"):
        fitted(known[:5], "squared")
    with pytest.raises(UsageError, match="loss is binary"):
        fitted(known, "hinge")
    with pytest.raises(UsageError, match="has 3 output"):
        fitted(known, "squared", outputs=3)
    broken = {**arrays, "images": np.full_like(arrays["images"], np.nan)}
    with pytest.raises(DataError, match=r"images: 90 case\(s\) hold values that are not finite"):
        fit_network(Small, broken, known, loss="squared", settings=QUICK, seed=1)
    short = {**arrays, "clinical": arrays["clinical"][:3]}
    with pytest.raises(DataError, match="numbers of cases differ"):
        fit_network(Small, short, known, loss="squared", settings=QUICK, seed=1)


def test_jitter_moves_pictures_and_changes_nothing_else():
    arrays, _ = textures(8)
    tensors = {name: torch.from_numpy(a) for name, a in arrays.items()}
    kept = tensors["images"].clone()
    out = Jitter(gain=0.0, shift=2)(tensors, torch.Generator().manual_seed(1))
    assert torch.equal(tensors["images"], kept)
    assert torch.equal(out["clinical"], tensors["clinical"])
    assert not torch.equal(out["images"], kept)
    assert torch.equal(out["images"].flatten(1).sort(1)[0], kept.flatten(1).sort(1)[0])
