"""Power and sample size: published and closed-form cases, and agreement with simulation."""

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower

import livertrack as lt
from livertrack.endpoints.power import simulate_trials


def test_one_complete_visit_is_the_t_test() -> None:
    ours = lt.power(sd=2.0, effect=1.0, n_ref=64).table["power"].iloc[0]
    assert ours == pytest.approx(TTestIndPower().power(0.5, 64, 0.05), rel=1e-9)


def test_compound_symmetry_with_dropout_agrees_with_lu_luo_chen() -> None:
    # Lu, Luo & Chen (2008): correlation 0.25, retention 1, .9, .8, .7, delta 0.5 sd: N = 174
    table = lt.power(
        sd=1, effect=0.5, power=0.8, correlation=0.25, retention=[1, 0.9, 0.8, 0.7],
        distribution="normal",
    ).table  # fmt: skip
    assert table["n"].iloc[0] == 174


def test_two_visits_have_the_closed_form() -> None:
    # information of completers and of those with the first visit only, inverted by hand
    rho, kept = 0.6, 0.7
    variance = (1 - rho**2 * (1 - kept)) / kept
    table = lt.power(
        sd=1, effect=0.4, n_ref=50, correlation=rho, retention=[1, kept], distribution="normal"
    ).table
    error = np.sqrt(variance * 2 / 50)
    assert table["std_error"].iloc[0] == pytest.approx(error)
    z = stats.norm.ppf(0.975)
    expected = stats.norm.sf(z - 0.4 / error) + stats.norm.cdf(-z - 0.4 / error)
    assert table["power"].iloc[0] == pytest.approx(expected)


def test_size_power_and_effect_are_inverse_to_each_other() -> None:
    design = {"sd": [1, 1.5, 2],
              "correlation": 0.5, "structure": "ar1", "retention": [1, 0.9, 0.8],
              "allocation": 2.0, "baseline_correlation": 0.4}  # fmt: skip
    size = lt.power(effect=1.0, power=0.9, **design).table.iloc[0]
    assert size["power"] >= 0.9
    assert lt.power(effect=1.0, n_ref=size["n_ref"] - 1, **design).table["power"].iloc[0] < 0.9
    effect = lt.power(n_ref=size["n_ref"], power=0.9, **design).table["effect"].iloc[0]
    assert effect <= 1.0
    again = lt.power(n_ref=size["n_ref"], effect=effect, **design).table["power"].iloc[0]
    assert again == pytest.approx(0.9, abs=1e-9)
    assert size["n_arm"] == 2 * size["n_ref"]


def test_dropout_costs_power_and_correlation_gives_some_back() -> None:
    def of(**change: object) -> float:
        design = {"sd": 1, "effect": 0.5, "n_ref": 60, "correlation": 0.3, "retention": [1, 0.7]}
        return float(lt.power(**{**design, **change}).table["power"].iloc[0])

    assert of(retention=[1, 1]) > of(correlation=0.8) > of()
    assert of(baseline_correlation=0.5) > of()
    assert of(effect=-0.5) == of()


def test_simulation_agrees_with_the_formula() -> None:
    design = {"sd": 1, "effect": 0.8, "n_ref": 30, "correlation": 0.5, "retention": [1, 0.8]}
    formula = lt.power(**design).table["power"].iloc[0]
    row = lt.power(**design, method="simulation", n_simulations=120, seed=4).table.iloc[0]
    assert abs(row["power"] - formula) < 4 * np.sqrt(formula * (1 - formula) / 120)
    assert abs(row["bias"]) < 4 * row["std_error"] / np.sqrt(120)
    assert row["n_failed"] == 0


def test_simulation_does_not_depend_on_workers() -> None:
    call = {"effect": 0.5, "n_arm": 12, "n_ref": 12, "n": 55, "seed": 3}
    one = simulate_trials(np.eye(2), np.array([1.0, 0.9]), **call)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        two = simulate_trials(np.eye(2), np.array([1.0, 0.9]), **call)
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"effect": 1.0}, "give two"),
        ({"effect": 1.0, "n_ref": 5, "power": 0.8}, "give two"),
        ({"effect": 0.0, "power": 0.8}, "effect of 0"),
        ({"effect": 1.0, "power": 1.8}, "proportion"),
        ({"effect": 1.0, "n_ref": 5, "retention": [0.8, 0.9]}, "not increasing"),
        ({"effect": 1.0, "n_ref": 5, "sd": [1, 2]}, "visits"),
        ({"effect": 1.0, "n_ref": 5, "correlation": [[1, 2], [2, 1]], "retention": [1, 1]},
         "positive definite"),
        ({"effect": 1.0, "n_ref": 5, "method": "simulation"}, "seed"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call: dict[str, object], words: str) -> None:
    with pytest.raises(lt.UsageError, match=words):
        lt.power(**{"sd": 1.0, **call})


@pytest.mark.slow
@pytest.mark.parametrize("size", [20, 40, 100])
def test_type_one_error_and_coverage_are_nominal_under_dropout_at_random(size: int) -> None:
    """Kenward-Roger, unstructured; 30 % missing at the last visit, depending on responses."""
    sd = np.array([1.0, 1.2, 1.4, 1.6])
    lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    n = 2000
    found = simulate_trials(
        np.outer(sd, sd) * 0.7**lag, np.array([1.0, 0.9, 0.8, 0.7]), effect=0.0, n_arm=size,
        n_ref=size, dropout_at_random=0.8, n=n, seed=20250801,
    )  # fmt: skip
    assert found["p_value"].notna().mean() > 0.995
    limit = 3 * np.sqrt(0.05 * 0.95 / n)
    assert abs((found["p_value"] < 0.05).mean() - 0.05) < limit
    covered = (found["conf_low"] < 0) & (found["conf_high"] > 0)
    assert abs(covered.mean() - 0.95) < limit
