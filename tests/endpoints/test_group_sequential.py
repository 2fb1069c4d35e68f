"""Boundaries of interim looks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import livertrack as lt
from livertrack.errors import UsageError

FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]
# Reboussin et al. (2000), five equal looks, two-sided 0.05; gsDesign manual, gsDesign().
PUBLISHED = [
    (FIVE, 0.05, 2, "obrien-fleming", [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
    (FIVE, 0.05, 2, "pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ([1 / 3, 2 / 3, 1], 0.025, 1, "hwang-shih-decani", [3.0107, 2.5465, 1.9992]),
    ([0.5, 1], 0.025, 1, "obrien-fleming", [2.963, 1.969]),
]


@pytest.mark.parametrize(("t", "alpha", "sides", "spending", "expected"), PUBLISHED)
def test_published_boundaries(
    t: list[float], alpha: float, sides: int, spending: str, expected: list[float]
) -> None:
    table = lt.group_sequential(t, alpha=alpha, sides=sides, spending=spending).table
    np.testing.assert_allclose(table["boundary"], expected, atol=6e-4)


def test_boundaries_equal_multivariate_normal_probabilities_of_r(reference: Path) -> None:
    r = pd.read_csv(reference / "group_sequential.csv")
    for (spending, sides, alpha, _), part in r.groupby(["spending", "sides", "alpha", "looks"]):
        ours = lt.group_sequential(
            part["information"].tolist(), alpha=alpha, sides=sides, spending=spending
        ).table
        np.testing.assert_allclose(ours["alpha_spent"], part["alpha_spent"], rtol=1e-10)
        np.testing.assert_allclose(ours["boundary"], part["boundary"], atol=1e-6)


def test_boundaries_at_unequal_looks_equal_gsdesign_for_any_gamma(reference: Path) -> None:
    r = pd.read_csv(reference / "group_sequential_gsdesign.csv")
    for (gamma, _), part in r.groupby(["gamma", "looks"]):
        ours = lt.group_sequential(
            part["information"].tolist(), spending="hwang-shih-decani", gamma=gamma
        ).table
        np.testing.assert_allclose(ours["boundary"], part["boundary"], atol=1e-6)


def test_one_look_is_the_ordinary_test() -> None:
    table = lt.group_sequential([1.0], alpha=0.025).table
    assert table["boundary"].item() == pytest.approx(stats.norm.isf(0.025), abs=1e-9)
    power = lt.group_sequential([1.0], drift=3.0).table["power"].item()
    assert power == pytest.approx(stats.norm.sf(stats.norm.isf(0.025) - 3), abs=1e-9)


def test_power_without_drift_is_the_alpha_spent() -> None:
    for sides in (1, 2):
        table = lt.group_sequential(FIVE, sides=sides, drift=0.0).table
        np.testing.assert_allclose(table["power"], table["alpha_spent"], atol=1e-8)


def test_simulated_walks_cross_as_often_as_stated() -> None:
    table = lt.group_sequential([0.4, 0.7, 1.0], spending="pocock", drift=2.5).table
    rng = np.random.default_rng(1)
    t = table["information"].to_numpy()
    steps = np.diff(np.concatenate([[0], t]))
    walk = np.cumsum(rng.normal(2.5 * steps, np.sqrt(steps), (200_000, 3)), axis=1)
    crossed = np.maximum.accumulate(walk / np.sqrt(t) >= table["boundary"].to_numpy(), axis=1)
    np.testing.assert_allclose(crossed.mean(axis=0), table["power"], atol=0.004)


def test_linear_spending_is_the_limit_of_hwang_shih_decani() -> None:
    one = lt.group_sequential(FIVE, spending="hwang-shih-decani", gamma=0).table
    two = lt.group_sequential(FIVE, spending="hwang-shih-decani", gamma=1e-7).table
    np.testing.assert_allclose(one["boundary"], two["boundary"], atol=1e-5)


def test_alpha_left_at_the_last_look_is_noted() -> None:
    assert "unspent at 0.8" in lt.group_sequential([0.4, 0.8]).notes[0]
    assert not lt.group_sequential([0.4, 1.0]).notes


@pytest.mark.parametrize("information", [[], [0.5, 0.5], [0.0, 1.0], [0.5, 1.2], [1.0, 0.5]])
def test_fractions_that_do_not_increase_to_one_are_usage_errors(information: list[float]) -> None:
    with pytest.raises(UsageError, match="increasing"):
        lt.group_sequential(information)


@pytest.mark.parametrize("options", [{"alpha": 0.6}, {"sides": 3}, {"spending": "haybittle"}])
def test_unknown_options_are_usage_errors(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        lt.group_sequential([0.5, 1.0], **options)  # type: ignore[arg-type]
