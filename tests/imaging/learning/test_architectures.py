"""Architectures are the published ones, on any number of channels."""

import pytest
import torch

from livertrack.errors import DataError, UsageError
from livertrack.imaging.learning.architectures import (
    ARCHITECTURES,
    PUBLISHED_PARAMETERS,
    build,
    load_weights,
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_number_of_parameters_is_the_published_one(name):
    with torch.device("meta"):
        network = build(name, channels=3, outputs=1000)
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_channels_and_outputs_and_small_pictures(name):
    with torch.device("meta"), torch.no_grad():
        network = build(name, channels=2, outputs=4).eval()
        assert network(images=torch.randn(3, 2, 32, 48)).shape == (3, 4)


@pytest.mark.parametrize("name", ["squeezenet", "mobilenet_v2", "resnet18"])
def test_an_untrained_network_is_unsure(name):
    torch.manual_seed(1)
    network = build(name, channels=3, outputs=1)
    with torch.no_grad():
        assert network(images=torch.rand(16, 3, 32, 32)).abs().max() < 2


def test_resnet50_has_the_maps_of_the_paper():
    with torch.device("meta"), torch.no_grad():
        network = build("resnet50", channels=3, outputs=1).eval()
        assert network.features(torch.randn(1, 3, 224, 224)).shape == (1, 2048, 7, 7)


@pytest.mark.parametrize("name", ["squeezenet", "mobilenet_v2"])
def test_given_weights_replace_all_but_the_head_and_keep_the_sum_over_channels(name):
    torch.manual_seed(1)
    given = build(name, channels=3, outputs=1000)
    network = build(name, channels=1, outputs=1)
    left = load_weights(network, given.state_dict())
    head = {"squeezenet": "classifier.1", "mobilenet_v2": "classifier.1"}.get(name, "fc")
    assert left == [f"{head}.bias", f"{head}.weight"]
    own, other = (next(p for p in n.parameters() if p.ndim == 4) for n in (network, given))
    torch.testing.assert_close(own.sum(1), other.sum(1))


def test_weights_of_another_architecture_are_refused():
    with pytest.raises(DataError, match="do not fit; give the same network"):
        load_weights(
            build("mobilenet_v2", channels=3, outputs=1),
            build("squeezenet", channels=3, outputs=1).state_dict(),
        )


def test_what_is_no_architecture_is_refused():
    with pytest.raises(UsageError, match="architecture is one of resnet18"):
        build("resnet99", channels=1, outputs=1)
    with pytest.raises(UsageError, match="at least 1"):
        build("resnet18", channels=0, outputs=1)
