"""Maps point where the truth was planted, sum to what they explain, and can be found wanting."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("captum", reason="captum is not installed (extra explain)")

from livertrack.errors import UsageError
from livertrack.imaging.learning.explanation import (
    curve_areas,
    deletion_curves,
    explanation_maps,
    pointing_game,
)
from livertrack.imaging.learning.training import Network, Training, fit_network
from livertrack.simulate.lesions import PlantedLesions, simulate_lesions


class Small(nn.Module):
    """Three convolutions and the mean and maximum over places."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(16, outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).amax((2, 3)))


@pytest.fixture(scope="module")
def planted() -> PlantedLesions:
    return simulate_lesions(180, seed=2, shape=(32, 32))


@pytest.fixture(scope="module")
def fitted(planted: PlantedLesions) -> Network:
    return fit_network(
        Small, {"images": planted.images[:120]}, planted.outcome[:120], loss="binary",
        settings=Training(epochs=12, batch=16, rate=1e-2), seed=5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def held(planted: PlantedLesions) -> dict[str, Any]:
    """Slices with a lesion that the network never saw."""
    ill = np.flatnonzero(planted.outcome[120:] == 1) + 120
    return {
        "inputs": {"images": planted.images[ill]},
        "lesions": planted.lesions[ill],
        "cysts": planted.cysts[ill],
    }


def test_mean_and_maximum_do_not_tell_the_lesions(planted: PlantedLesions) -> None:
    ill = planted.outcome == 1
    for measure in (planted.images.mean((1, 2, 3)), planted.images.max((1, 2, 3))):
        higher = (measure[ill][:, None] > measure[~ill][None, :]).mean()
        assert 0.35 < higher < 0.65


def test_the_network_tells_them(fitted: Network, planted: PlantedLesions) -> None:
    called = fitted.predict({"images": planted.images[120:]}) > 0.5
    assert (called == planted.outcome[120:]).mean() > 0.9


@pytest.mark.parametrize("method", ["grad-cam", "integrated-gradients"])
def test_maps_point_at_the_planted_lesion(
    fitted: Network, held: dict[str, Any], method: Any
) -> None:
    maps = explanation_maps(fitted, held["inputs"], method=method)
    hits = pointing_game(maps, held["lesions"])
    area = held["lesions"].mean()
    assert hits.mean() > 0.9
    assert pointing_game(maps, held["cysts"]).mean() < 0.1, "which stand out as much"
    assert area < 0.06, "by chance a map points there this often"


def test_maps_of_a_network_that_learned_nothing_do_not_point_there(held: dict[str, Any]) -> None:
    torch.manual_seed(8)
    maps = explanation_maps(Small(), held["inputs"])
    assert pointing_game(maps, held["lesions"]).mean() < 0.5


@pytest.mark.parametrize("method", ["grad-cam", "integrated-gradients"])
def test_taking_out_what_a_map_marks_hurts_more_than_random_places(
    fitted: Network, held: dict[str, Any], method: Any
) -> None:
    maps = explanation_maps(fitted, held["inputs"], method=method)
    marked = deletion_curves(fitted, held["inputs"], maps, steps=8, share=0.25)
    drawn = deletion_curves(fitted, held["inputs"], maps, steps=8, share=0.25, order="random")
    np.testing.assert_allclose(marked[:, 0], fitted.predict(held["inputs"]), rtol=1e-6)
    lost = curve_areas(drawn) - curve_areas(marked)
    assert lost.mean() > 0.5
    assert (lost > 0).mean() > 0.9


def test_integrated_gradients_sum_to_the_output_less_that_of_the_baseline(
    fitted: Network, held: dict[str, Any]
) -> None:
    images = held["inputs"]["images"][:6]
    maps = explanation_maps(
        fitted, {"images": images}, method="integrated-gradients", baseline="zero", steps=200
    )
    with torch.no_grad():
        out = fitted.module(torch.from_numpy(images))[:, 0].numpy()
        start = fitted.module(torch.zeros((1, 1, 32, 32)))[:, 0].numpy()
    np.testing.assert_allclose(maps.sum((1, 2)), out - start, atol=0.05)


def test_gradients_of_a_linear_model_are_its_weights_times_the_picture() -> None:
    class Line(nn.Module):
        def forward(self, images: Tensor, clinical: Tensor) -> Tensor:
            return (images * 2.0).sum((1, 2, 3))[:, None] + clinical

    images = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)
    clinical = np.ones((2, 1), np.float32)
    maps = explanation_maps(
        Line(), {"images": images, "clinical": clinical}, method="integrated-gradients",
        baseline="zero",
    )  # fmt: skip
    np.testing.assert_allclose(maps, 2 * images[:, 0], rtol=1e-5)


def test_batches_do_not_change_a_map(fitted: Network, held: dict[str, Any]) -> None:
    for method in ("grad-cam", "integrated-gradients"):
        draw = partial(explanation_maps, fitted, held["inputs"], method=method, steps=8)
        np.testing.assert_allclose(draw(batch=3), draw(batch=40), atol=1e-5)


def test_slices_of_a_volume_have_a_map_each() -> None:
    class Slices(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Small()

        def forward(self, volumes: Tensor) -> Tensor:
            flat = volumes.reshape(-1, 1, *volumes.shape[-2:])
            return self.part(flat).reshape(len(volumes), -1).mean(1, keepdim=True)

    torch.manual_seed(1)
    volumes = np.random.default_rng(0).normal(size=(2, 5, 32, 32)).astype(np.float32)
    maps = explanation_maps(Slices(), {"volumes": volumes}, name="volumes")
    assert maps.shape == (2, 5, 32, 32)


def test_pointing_at_nothing_and_at_no_target() -> None:
    maps = np.zeros((3, 2, 2), np.float32)
    maps[1, 0, 1] = 1.0
    targets = np.zeros((3, 2, 2), bool)
    targets[:2, 0, 1] = True
    np.testing.assert_array_equal(pointing_game(maps, targets), [0.0, 1.0, np.nan])


def test_arguments_that_do_not_fit_are_said(fitted: Network, held: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="grad-cam or integrated-gradients"):
        explanation_maps(fitted, held["inputs"], method="saliency")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"no picture 'scan' .* among images"):
        explanation_maps(fitted, held["inputs"], name="scan")
    with pytest.raises(UsageError, match="no convolution"):
        explanation_maps(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), {"input": np.zeros(
            (1, 1, 2, 2), np.float32)}, name="input")  # fmt: skip
    with pytest.raises(UsageError, match="differ in shape"):
        pointing_game(np.zeros((1, 2, 2), np.float32), np.zeros((1, 3, 3), bool))
