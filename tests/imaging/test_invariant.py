"""The closed-form encoder: right directions, gains followed exactly, no steps."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from livertrack.imaging import Scan, fit_vocabulary
from livertrack.imaging.augment import Scanner
from livertrack.imaging.invariant import InvariantEncoder, gain_views, learn_invariant
from livertrack.imaging.texture import TextureEncoder

from .conftest import SPACING, small_liver


def views_of(rng, places, views, width, signal, noise):
    """Rows whose first columns are alike in all views of a place, the rest noise."""
    own = rng.standard_normal((places, 1, width)) * signal
    return torch.from_numpy(own + rng.standard_normal((places, views, width)) * noise).float()


def test_the_feature_that_views_share_is_found_and_its_ratio_is_the_variance_ratio():
    encoder = InvariantEncoder(1, hidden=1, latent=1)
    rng = np.random.default_rng(1)
    signal, noise = np.zeros(encoder.width), np.ones(encoder.width)
    signal[5], noise[5] = 3.0, 1.0
    with torch.no_grad():
        encoder.weights.zero_()
        encoder.offsets.fill_(-1.0)  # the random feature is off
    ratios = learn_invariant(encoder, views_of(rng, 20_000, 3, encoder.width, signal, noise))
    assert ratios[0] == pytest.approx(1 + 9, rel=0.05)  # (between + within) / within
    weights = encoder.readout[0, : encoder.width].abs()
    assert int(weights.argmax()) == 5
    assert float(weights[5]) > 20 * float(weights[torch.arange(len(weights)) != 5].max())


def test_directions_equal_those_of_discriminant_analysis_with_places_as_classes(monkeypatch):
    monkeypatch.setattr("livertrack.imaging.invariant.RIDGE", 1e-12)
    encoder = InvariantEncoder(1, hidden=4, latent=3)
    rng = np.random.default_rng(2)
    signal = np.linspace(2.0, 0.2, encoder.width)
    rows = views_of(rng, 120, 8, encoder.width, signal, np.ones(encoder.width))
    learn_invariant(encoder, rows)
    with torch.no_grad():
        wide = encoder.wide(rows.flatten(0, 1)).double().numpy()
        ours = encoder.code(rows.flatten(0, 1)).double().numpy()
    places = np.repeat(np.arange(120), 8)
    peer = LinearDiscriminantAnalysis(solver="svd").fit(wide, places).transform(wide)[:, :3]
    for axis in range(3):
        assert abs(np.corrcoef(ours[:, axis], peer[:, axis])[0, 1]) > 1 - 1e-4


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_gains_added_to_features_are_those_of_a_scan_with_gains(channels):
    encoder = InvariantEncoder(channels)
    patch = torch.rand(channels, *encoder.field) + 0.5
    gains = torch.linspace(-0.3, 0.4, channels)
    rows = encoder.columns(patch).flatten(1).T
    seen = encoder.columns(patch * gains.exp().view(-1, 1, 1, 1)).flatten(1).T
    assert torch.allclose(encoder.with_gains(rows, gains[None]), seen, atol=1e-4)


@torch.no_grad()
def test_only_other_scanners_views_get_gains_and_one_channel_a_small_one():
    rows = torch.zeros(4000, 3, InvariantEncoder(1).width)
    seen = gain_views(InvariantEncoder(1), rows, Scanner(), torch.Generator().manual_seed(1))
    assert (seen[:, 0] == 0).all()
    assert float(seen[:, 1, -1].std()) == pytest.approx(np.hypot(0.075, 0.04), rel=0.05)
    two = InvariantEncoder(2)
    rows = torch.zeros(4000, 2, two.width)
    seen = gain_views(two, rows, Scanner(), torch.Generator().manual_seed(1))
    assert float(seen[:, 1, two.width - 3].std()) == pytest.approx(0.6, rel=0.05)  # a channel
    assert float(seen[:, 1, -1].std()) == pytest.approx(0.04 * 2**0.5, rel=0.05)  # their ratio


def test_places_without_any_change_between_views_give_finite_codes():
    encoder = InvariantEncoder(1, latent=2)
    rows = torch.rand(50, 1, encoder.width).expand(-1, 3, -1).contiguous()
    ratios = learn_invariant(encoder, rows)
    assert np.isfinite(ratios).all()
    assert torch.isfinite(encoder.code(rows[:, 0])).all()


def test_steps_change_nothing_and_the_network_remains_to_be_had():
    scans = [Scan(*small_liver(number)[:2], SPACING, small_liver(number)[2]) for number in (0, 1)]
    options = {"n_types": 3, "seed": 3, "n_places": 600}
    short, long = (fit_vocabulary(scans, steps=steps, **options) for steps in (1, 90))
    assert np.array_equal(short.centres, long.centres)
    assert "steps" not in short.text
    network = fit_vocabulary(scans, method="joint", steps=2, **options)
    assert isinstance(network.encoder, TextureEncoder)
    assert "2 steps" in network.text
