"""Power and sample size: R longpower and base R, closed forms, and agreement with simulation."""

from pathlib import Path

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


MMRM_CASES = {
    "cs": {"correlation": 0.25, "retention": [1, 0.9, 0.8, 0.7], "effect": 0.5, "sd": 1,
           "power": 0.8},
    "ar1": {"correlation": 0.6, "structure": "ar1", "retention": [1, 0.76, 0.63, 0.52],
            "retention_arm": [1, 0.87, 0.81, 0.78], "effect": 0.9, "sd": 1, "power": 0.9},
    "ar1 2:1": {"correlation": 0.6, "structure": "ar1", "retention": [1, 0.76, 0.63, 0.52],
                "retention_arm": [1, 0.87, 0.81, 0.78], "effect": 0.9, "sd": 1, "power": 0.9,
                "allocation": 0.5},
    "general": {"correlation": [[1, 0.8, 0.6, 0.5], [0.8, 1, 0.7, 0.55], [0.6, 0.7, 1, 0.75],
                                [0.5, 0.55, 0.75, 1]],
                "retention": [0.97, 0.9, 0.85, 0.75], "retention_arm": [0.95, 0.9, 0.8, 0.7],
                "effect": 1.2, "sd": 3.5, "power": 0.85, "allocation": 2.0},
    "one visit": {"retention": [0.8], "effect": 0.4, "sd": 1.3, "power": 0.9},
}  # fmt: skip


@pytest.mark.parametrize("case", list(MMRM_CASES))
def test_sample_size_is_that_of_longpower_rounded_up(case: str, reference: Path) -> None:
    theirs = pd.read_csv(reference / "power_mmrm.csv").set_index("case").loc[case]
    ours = lt.power(**MMRM_CASES[case], distribution="normal").table.iloc[0]
    # rounding the other arm up too can save a subject of the reference arm
    assert np.ceil(theirs["n_ref"]) - 1 <= ours["n_ref"] <= np.ceil(theirs["n_ref"])
    assert ours["power"] >= MMRM_CASES[case]["power"]


@pytest.mark.parametrize("case", list(MMRM_CASES))
def test_standard_error_is_that_of_lu_luo_and_chen(case: str, reference: Path) -> None:
    theirs = pd.read_csv(reference / "power_mmrm.csv").set_index("case").loc[case]
    call = {key: value for key, value in MMRM_CASES[case].items() if key != "power"}
    ours = lt.power(**call, n_ref=120, distribution="normal").table.iloc[0]
    variance = theirs["phi_ref"] / 120 + theirs["phi_arm"] / ours["n_arm"]
    assert ours["std_error"] == pytest.approx(call["sd"] * np.sqrt(variance), rel=1e-12)


def test_variance_inflation_is_table_2_of_lu_luo_and_chen(reference: Path) -> None:
    """Correlation p^(1 / (J - 1)) of neighbours, J visits, dropout a at the last, linear."""
    printed = {
        (2, 0.1, 0.5): 1.083,
        (2, 0.4, 0.9): 1.127,
        (4, 0.3, 0.1): 1.383,
        (4, 0.4, 0): 1.667,
    }
    table = pd.read_csv(reference / "power_table2.csv")
    assert len(table) == 48
    for row in table.itertuples():
        kept = np.linspace(1, 1 - row.a, row.J)
        found = lt.power(
            sd=1, effect=1, n_ref=100, structure="ar1", retention=kept,
            correlation=row.p ** (1 / (row.J - 1)),
        ).table["std_error"].iloc[0]  # fmt: skip
        assert found**2 * 50 == pytest.approx(row.phi, rel=1e-12)
        published = printed.get((row.J, round(row.a, 1), round(row.p, 1)))
        assert published is None or found**2 * 50 == pytest.approx(published, abs=6e-4)


def test_ancova_power_is_that_of_base_r(reference: Path) -> None:
    """power.t.test(strict = TRUE); with baseline the noncentral t of variance 1 - rho^2."""
    table = pd.read_csv(reference / "power_ancova.csv")
    ours = [
        lt.power(sd=1, effect=row.effect, n_ref=row.n, baseline_correlation=row.rho)
        .table["power"].iloc[0]
        for row in table.itertuples()
    ]  # fmt: skip
    assert len(ours) == 45
    # R's power.t.test and pt stop their series at 1e-12 absolute
    np.testing.assert_allclose(ours, table["power"], rtol=1e-9)


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
        ({"effect": 1.0, "n_ref": 5, "retention": [1.0, 0.0]}, "above 0"),
        ({"effect": 1.0, "n_ref": 5, "retention": []}, "at least one"),
        ({"effect": 1.0, "n_ref": 5, "retention_arm": [1.0, 0.8]}, "same for arms"),
        ({"effect": 1.0, "n_ref": 5, "correlation": 1.0, "retention": [1, 1]},
         "positive definite"),
        ({"effect": 1.0, "n_ref": 5, "correlation": [[2, 0], [0, 1]], "retention": [1, 1]},
         "ones on the diagonal"),
        ({"effect": 1.0, "n_ref": 5, "sd": 0.0}, "above 0"),
        ({"effect": 1.0, "n_ref": 5, "sd": float("nan")}, "above 0"),
        ({"effect": 1.0, "n_ref": 5, "allocation": 0.0}, "above 0"),
        ({"effect": 1.0, "n_ref": 5, "baseline_correlation": 1.0}, "proportions"),
        ({"effect": 1.0, "n_ref": 0}, "number of subjects"),
        ({"effect": 1.0, "n_ref": 2.5}, "number of subjects"),
        ({"effect": float("nan"), "n_ref": 5}, "effect is a number"),
        ({"effect": 1e-6, "power": 0.9}, "more than 1000000"),
        ({"power": 0.8, "n_ref": 1}, "no effect is detectable"),
        ({"effect": 1.0, "n_ref": 5, "distribution": "z"}, "'z'"),
        ({"effect": 1.0, "n_ref": 5, "structure": "un"}, "'un'"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call: dict[str, object], words: str) -> None:
    with pytest.raises(lt.UsageError, match=words):
        lt.power(**{"sd": 1.0, **call})


def test_without_degrees_of_freedom_the_power_is_unknown_and_said_to_be() -> None:
    result = lt.power(sd=1.0, effect=1.0, n_ref=1)
    assert np.isnan(result.table["power"].iloc[0])
    assert "no degrees of freedom" in result.notes[0]
    assert lt.power(sd=1.0, effect=1.0, n_ref=2).table["power"].iloc[0] > 0.05


def test_no_effect_has_the_power_of_the_level() -> None:
    for distribution in ("t", "normal"):
        found = lt.power(sd=1.0, effect=0.0, n_ref=9, alpha=0.1, distribution=distribution)
        assert found.table["power"].iloc[0] == pytest.approx(0.1, abs=1e-12)


def test_huge_effects_have_power_one_except_with_one_degree_of_freedom() -> None:
    assert lt.power(sd=1.0, effect=1e6, n_ref=50).table["power"].iloc[0] == 1.0
    # T > 12.7 with one df and noncentrality 31: 0.985 (R: pt(qt(.975, 1), 1, 31))
    one = lt.power(sd=1.0, effect=31 * np.sqrt(1.5), n_ref=2, allocation=0.5)
    assert one.table["power"].iloc[0] == pytest.approx(0.9849939, abs=1e-6)


def test_losing_more_subjects_of_one_arm_costs_power() -> None:
    design = {"sd": 1, "effect": 0.5, "n_ref": 60, "correlation": 0.5, "retention": [1, 0.8]}
    even = lt.power(**design).table["power"].iloc[0]
    assert lt.power(**design, retention_arm=[1, 0.6]).table["power"].iloc[0] < even
    assert lt.power(**design, retention_arm=[1, 0.8]).table["power"].iloc[0] == even


def test_simulated_trials_that_cannot_be_fitted_are_counted() -> None:
    found = lt.power(
        sd=1, effect=1, n_ref=2, correlation=0.5, retention=[1, 0.5], method="simulation",
        n_simulations=6, seed=1,
    )  # fmt: skip
    assert found.table["n_failed"].iloc[0] > 0
    assert "could not be fitted" in found.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "design",
    [
        {"effect": 1.1, "n_ref": 15},
        {"effect": 0.8, "n_ref": 18, "baseline_correlation": 0.6},
        {"effect": 0.7, "n_ref": 30, "correlation": 0.6, "structure": "ar1",
         "retention": [1, 0.9, 0.8]},
        {"effect": 0.6, "n_ref": 40, "correlation": 0.5, "retention": [1, 0.8],
         "retention_arm": [1, 0.7], "allocation": 2.0, "baseline_correlation": 0.5},
    ],
)  # fmt: skip
def test_simulated_power_is_that_of_the_formula(design: dict[str, object]) -> None:
    """ANCOVA and MMRM with dropout: 2000 trials each, Monte Carlo error 0.011 or less."""
    formula = lt.power(sd=1, **design).table.iloc[0]
    n = 2000
    found = lt.power(sd=1, **design, method="simulation", n_simulations=n, seed=77).table.iloc[0]
    error = np.sqrt(formula["power"] * (1 - formula["power"]) / n)
    # the formula takes the covariance and who drops out as known: up to 0.015 too hopeful here
    assert -0.015 - 3 * error < found["power"] - formula["power"] < 3 * error
    assert found["std_error"] == pytest.approx(formula["std_error"], rel=0.05)
    assert abs(found["bias"]) < 4 * found["std_error"] / np.sqrt(n)


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
