"""Closed tests, gatekeeping, simultaneous intervals, Dunnett's comparisons."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints._multivariate_t import EqualBounds
from livertrack.errors import DataError, UsageError

# multxpert rounds adjusted p-values to four decimals
FOUR_DECIMALS = 5.1e-5
# nested Gauss-Legendre sums beside R's adaptive quadrature
QUADRATURE = 1e-8

proportions = st.lists(st.floats(0.0005, 1.0), min_size=1, max_size=6)


# closed tests


@pytest.mark.parametrize(("local", "method"), [("bonferroni", "holm"), ("simes", "hommel")])
def test_closed_bonferroni_is_holm_and_closed_simes_is_hommel(
    reference: Path, local: str, method: str
) -> None:
    r = pd.read_csv(reference / "multiplicity.csv")
    for _, part in r[r["method"].eq(method)].groupby("case"):
        if part["p"].notna().all():
            ours = lt.closed_test(part["p"].to_numpy(), local=local).table["p_adjusted"]
            np.testing.assert_allclose(ours, pd.to_numeric(part["adjusted"]), rtol=1e-12)


@given(proportions)
@settings(max_examples=30, deadline=None)
def test_closure_is_the_shortcut_for_any_p(p: list[float]) -> None:
    for local, method in (("bonferroni", "holm"), ("simes", "hommel")):
        np.testing.assert_allclose(
            lt.closed_test(p, local=local).table["p_adjusted"],
            np.asarray(lt.adjust_pvalues(p, method)),
            rtol=1e-12,
        )


def test_weighted_closure_is_weighted_holm(reference: Path) -> None:
    r = pd.read_csv(reference / "closed_tests_holm.csv")
    ours = lt.closed_test(r["p"].to_numpy(), local="bonferroni", weights=r["weight"].to_numpy())
    np.testing.assert_allclose(ours.table["p_adjusted"], r["holm"], atol=FOUR_DECIMALS)


def test_hand_worked_fisher_and_the_intersection_that_decides() -> None:
    result = lt.closed_test({"A": 0.01, "B": 0.2}, local="fisher")
    both = stats.chi2.sf(-2 * np.log(0.01 * 0.2), 4)
    table = result.table.set_index("hypothesis")
    assert table.loc["A", "p_adjusted"] == pytest.approx(max(0.01, both))
    assert table.loc["A", "decided_by"] == "A & B"
    assert table.loc["B", "decided_by"] == "B"


def test_given_intersections_take_the_place_of_local_tests() -> None:
    p = {"low": 0.04, "high": 0.001}
    result = lt.closed_test(p, intersections={("high", "low"): 0.002})
    assert result.table["p_adjusted"].tolist() == [0.04, 0.002]
    assert result.intersections["source"].tolist() == ["simes", "simes", "given"]


def test_a_missing_p_is_never_rejected_and_spares_nobody() -> None:
    result = lt.closed_test([0.01, np.nan], local="bonferroni")
    assert result.table["p_adjusted"].iloc[0] == 0.02
    assert np.isnan(result.table["p_adjusted"].iloc[1])
    assert "1 of 2 p-values are missing" in result.notes[0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"local": "stouffer"}, "bonferroni or simes"),
        ({"local": "fisher", "weights": [1, 1]}, "without weights"),
        ({"weights": [1, 0]}, "1 of 2 are not positive"),
        ({"intersections": {("C",): 0.1}}, "no p-value for C"),
        ({"alpha": 5}, "proportion"),
    ],
)
def test_closed_tests_that_make_no_sense_are_refused(
    options: dict[str, object], match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        lt.closed_test({"A": 0.1, "B": 0.2}, **options)


def test_too_many_hypotheses_are_refused() -> None:
    with pytest.raises(UsageError, match="32,767 intersections"):
        lt.closed_test(np.full(15, 0.1))


# gatekeeping

CASES = {
    "published": (["holm", "holm"], [0.5, 1]),
    "bonferroni": (["bonferroni", "holm"], [0, 1]),
    "hochberg": (["hochberg", "hochberg"], [0.8, 1]),
    "three_holm": (["holm", "holm", "holm"], [0.5, 0.9, 1]),
    "three_mixed": (["holm", "hochberg", "hochberg"], [0.25, 0.5, 1]),
    "three_bonferroni": (["bonferroni", "bonferroni", "holm"], [0, 0, 1]),
}


@pytest.mark.parametrize("case", CASES)
def test_adjusted_p_equals_multxpert(reference: Path, case: str) -> None:
    r = pd.read_csv(reference / "closed_tests_gate.csv").query(f"case == '{case}'")
    names = "H" + r["hypothesis"].astype(str)
    families = [part.tolist() for _, part in names.groupby(r["family"])]
    component, truncation = CASES[case]
    result = lt.gatekeeping(
        dict(zip(names, r["p"], strict=True)), families, component=component, truncation=truncation
    )
    np.testing.assert_allclose(result.table["p_adjusted"], r["adjusted"], atol=FOUR_DECIMALS)


@given(st.lists(st.floats(0.0001, 0.2), min_size=4, max_size=4), st.floats(0, 0.99))
@settings(max_examples=12, deadline=None)
def test_two_truncated_holm_hypotheses_and_a_family_behind_are_a_graph(
    p: list[float], share: float
) -> None:
    on = (1 - share) / 2
    graph = [[0, share, on, on], [share, 0, on, on], [0, 0, 0, 1], [0, 0, 1, 0]]
    theirs = lt.graphical_test(p, [0.5, 0.5, 0, 0], graph).table
    ours = lt.gatekeeping(p, [["H1", "H2"], ["H3", "H4"]], truncation=share).table
    np.testing.assert_allclose(ours["p_adjusted"], theirs["p_adjusted"], rtol=1e-9)


@given(st.lists(st.floats(0.0001, 1.0), min_size=5, max_size=5))
@settings(max_examples=12, deadline=None)
def test_serial_families_wait_for_the_whole_family_before(p: list[float]) -> None:
    ours = lt.gatekeeping(p, [["H1", "H2"], ["H3", "H4", "H5"]]).table["p_adjusted"]
    first, second = (np.asarray(lt.adjust_pvalues(part, "holm")) for part in (p[:2], p[2:]))
    expected = [*first, *np.maximum(second, first.max())]
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_decisions_follow_adjusted_p_at_every_level() -> None:
    p = {"a": 0.004, "b": 0.03, "c": 0.011, "d": 0.02}
    families = {"primary": ["a", "b"], "secondary": ["c", "d"]}
    for alpha in (0.01, 0.03, 0.05, 0.1):
        table = lt.gatekeeping(p, families, truncation=0.5, alpha=alpha).table
        assert (table["rejected"] == (table["p_adjusted"] <= alpha)).all()


def test_levels_and_counts_of_the_families() -> None:
    p = {"a": 0.004, "b": 0.3, "c": 0.011, "d": 0.5}
    families = lt.gatekeeping(p, [["a", "b"], ["c", "d"]], truncation=0.5).families
    # one of two accepted at truncation 1/2: a quarter of the level goes on
    np.testing.assert_allclose(families["level"], [0.05, 0.05 * 0.25])
    assert families["n_rejected"].tolist() == [1, 0]


def test_a_missing_p_closes_a_serial_gate() -> None:
    result = lt.gatekeeping([0.001, np.nan, 0.001], [["H1", "H2"], ["H3"]])
    assert result.table["rejected"].tolist() == [True, False, False]
    assert result.table["p_adjusted"].iloc[2] == 1
    assert "1 of 3" in result.notes[0]


@pytest.mark.parametrize(
    ("families", "options", "match"),
    [
        ([["H1"]], {}, "1 hypothesis"),
        ([["H1", "H2"], ["H2"]], {}, "1 listed twice"),
        ([["H1", "H2"], []], {}, "1 empty"),
        ([["H1"], ["H2"]], {"component": "simes"}, "bonferroni, holm"),
        ([["H1"], ["H2"]], {"truncation": [1, 1, 1]}, "2 families"),
        ([["H1"], ["H2"]], {"truncation": 2.0}, "between 0 and 1"),
    ],
)
def test_gates_that_make_no_sense_are_refused(
    families: list[list[str]], options: dict[str, object], match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        lt.gatekeeping([0.1, 0.2], families, **options)


@pytest.mark.slow
def test_gatekeeping_holds_the_familywise_error() -> None:
    # two primary effects, one of them real; correlated statistics
    rng, reps, wrong = np.random.default_rng(2), 4000, 0
    root = np.linalg.cholesky(np.full((4, 4), 0.4) + 0.6 * np.eye(4))
    z = rng.normal(size=(reps, 4)) @ root.T + np.array([3.5, 0, 0, 0])
    for p in stats.norm.sf(z):
        table = lt.gatekeeping(p, [["H1", "H2"], ["H3", "H4"]], truncation=0.6).table
        wrong += table["rejected"].iloc[1:].any()
    assert wrong / reps < 0.05 + 3 * np.sqrt(0.05 * 0.95 / reps)


# simultaneous intervals


@pytest.mark.parametrize("case", ["some", "all", "weighted"])
def test_one_sided_limits_equal_multxpert(reference: Path, case: str) -> None:
    r = pd.read_csv(reference / "closed_tests_limits.csv").query(f"case == '{case}'")
    columns = {"bonferroni": "bonferroni", "holm": "holm"}
    for method, column in columns.items():
        table = lt.simultaneous_intervals(
            r["est"].to_numpy(), r["se"].to_numpy(), method=method, conf_level=0.975,
            weights=r["weight"].to_numpy(), alternative="greater",
        ).table  # fmt: skip
        np.testing.assert_allclose(table["conf_low"], r[column], atol=1e-9)
        assert (table["conf_high"] == np.inf).all()


def test_limits_of_a_fixed_sequence_equal_multxpert(reference: Path) -> None:
    r = pd.read_csv(reference / "closed_tests_limits.csv").query("case == 'some'")
    chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    table = lt.simultaneous_intervals(
        r["est"].to_numpy(), r["se"].to_numpy(), method="graphical", weights=[1, 0, 0],
        transitions=chain, alternative="greater", conf_level=0.975,
    ).table  # fmt: skip
    np.testing.assert_allclose(table["conf_low"], r["fixed"], atol=1e-9)


@pytest.mark.parametrize("method", ["single-step", "bonferroni", "sidak"])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_limits_beyond_the_null_and_rejections_go_together(method: str, alternative: str) -> None:
    rng = np.random.default_rng(6)
    correlation = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    for df in (None, 12):
        table = lt.simultaneous_intervals(
            rng.normal(0, 3, 4), np.ones(4), df=df, correlation=correlation, method=method,
            alternative=alternative, null=0.3,
        ).table  # fmt: skip
        beyond = (table["conf_low"] > 0.3) | (table["conf_high"] < 0.3)
        assert (beyond == table["rejected"]).all()


def test_negating_estimates_mirrors_the_limits() -> None:
    est, se = np.array([2.6, 1.2, 2.9]), np.array([1, 0.9, 1.1])
    up = lt.simultaneous_intervals(est, se, method="holm", alternative="greater").table
    down = lt.simultaneous_intervals(-est, se, method="holm", alternative="less").table
    np.testing.assert_allclose(up["conf_low"], -down["conf_high"])
    np.testing.assert_allclose(up["p_adjusted"], down["p_adjusted"])


def test_independent_single_step_is_sidak_and_one_estimate_is_the_plain_interval() -> None:
    est, se = [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]
    one = lt.simultaneous_intervals(est, se, correlation=np.eye(3)).table
    two = lt.simultaneous_intervals(est, se, method="sidak").table
    np.testing.assert_allclose(one["conf_low"], two["conf_low"], rtol=QUADRATURE)
    np.testing.assert_allclose(one["p_adjusted"], two["p_adjusted"], rtol=1e-7)
    alone = lt.simultaneous_intervals([2.0], [1.0], df=7, correlation=[[1.0]]).table.iloc[0]
    assert alone["conf_high"] == pytest.approx(2 + stats.t.ppf(0.975, 7), rel=QUADRATURE)


def test_estimates_that_are_missing_or_without_error_do_not_count() -> None:
    result = lt.simultaneous_intervals(
        {"A": 2.0, "B": np.nan, "C": 1.0}, {"A": 1.0, "B": 1.0, "C": 0.0}, method="bonferroni"
    )
    table = result.table.set_index("hypothesis")
    assert table.loc["A", "p_adjusted"] == pytest.approx(2 * stats.norm.sf(2))
    assert table.loc[["B", "C"], ["p_adjusted", "conf_low", "conf_high"]].isna().all(axis=None)
    assert result.notes == ("2 of 3 not estimated",)
    none = lt.simultaneous_intervals([np.nan], [1.0], method="sidak")
    assert none.table["conf_low"].isna().all()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": "tukey"}, UsageError, "single-step"),
        ({}, UsageError, "needs the correlation"),
        ({"method": "holm"}, UsageError, "one-sided"),
        ({"method": "graphical", "alternative": "less"}, UsageError, "transitions"),
        ({"correlation": np.eye(3)}, UsageError, "2 estimates"),
        ({"correlation": [[1, 2], [2, 1]]}, DataError, "no correlation matrix"),
        ({"method": "sidak", "df": 0}, UsageError, "positive"),
        ({"method": "sidak", "alternative": "up"}, UsageError, "greater"),
    ],
)
def test_intervals_that_make_no_sense_are_refused(
    options: dict[str, object], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        lt.simultaneous_intervals([1.0, 2.0], [1.0, 1.0], **options)


# Dunnett


@pytest.fixture(scope="module")
def arms(shared_data: Path) -> dict[str, pd.DataFrame]:
    texmex = pd.read_csv(shared_data / "tab_liver_other_trials" / "texmex_liver.csv")
    pbc = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbc.csv").dropna(subset=["stage"])
    pbc = pbc.assign(Y=np.log(pbc["bili"]), TRT01P=pbc["stage"].astype(int).astype(str))
    doses = texmex.assign(
        Y=np.log(texmex["ALT.M"]), BASE=np.log(texmex["ALT.B"]), TRT01P=texmex["dose"]
    )
    return {"doses": doses, "pbc": pbc, "few": pbc[pbc["id"] % 12 == 0]}


@pytest.mark.parametrize(
    ("case", "data", "reference_arm", "covariates", "alternative"),
    [
        ("alt", "doses", "A", "BASE", "two-sided"),
        ("alt_greater", "doses", "A", "BASE", "greater"),
        ("alt_crude", "doses", "A", None, "less"),
        ("bili", "pbc", "1", "age", "two-sided"),
        ("few", "few", "1", "age", "two-sided"),
    ],
)
def test_comparisons_equal_multcomp(
    arms: dict[str, pd.DataFrame], reference: Path, case: str, data: str, reference_arm: str,
    covariates: str | None, alternative: str,
) -> None:  # fmt: skip
    r = pd.read_csv(reference / "closed_tests_dunnett.csv").query(f"case == '{case}'")
    result = lt.dunnett(
        arms[data], value="Y", reference=reference_arm, covariates=covariates,
        alternative=alternative,
    )  # fmt: skip
    for column in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(result.table[column], r[column], rtol=1e-9)
    for column in ("p_adjusted", "p_step_down"):
        np.testing.assert_allclose(result.table[column], r[column], atol=QUADRATURE)
    # multcomp's own quasi-random sum
    np.testing.assert_allclose(result.table["p_adjusted"], r["glht"], atol=1e-5)
    assert result.settings["critical"] == pytest.approx(r["critical"].iloc[0], abs=1e-8)


@pytest.mark.parametrize(
    ("arms_compared", "df", "two", "one"),
    [  # Dunnett (1955, 1964), equal groups, 5 %
        (2, 20, 2.38, 2.03), (3, 20, 2.54, 2.19), (4, 20, 2.65, 2.30), (5, 20, 2.73, 2.39),
        (2, np.inf, 2.21, 1.92), (3, np.inf, 2.35, 2.06), (5, np.inf, 2.51, 2.23),
    ],
)  # fmt: skip
def test_published_critical_values(arms_compared: int, df: float, two: float, one: float) -> None:
    correlation = np.full((arms_compared, arms_compared), 0.5) + 0.5 * np.eye(arms_compared)
    for bound, sides in ((two, True), (one, False)):
        found = EqualBounds(correlation, df, two_sided=sides).quantile(0.95)
        assert found == pytest.approx(bound, abs=0.0051)


def test_correlations_without_one_factor_take_the_quasi_random_sum() -> None:
    matrix = 0.7 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    spread = EqualBounds(matrix, np.inf, two_sided=False)
    assert not spread.exact
    exact = stats.multivariate_normal(np.zeros(4), matrix).cdf(np.full(4, 2.0))
    assert spread.inside(2.0) == pytest.approx(exact, abs=2e-4)
    assert EqualBounds(np.full((5, 5), 0.3) + 0.7 * np.eye(5), 9, two_sided=True).exact


def trial(seed: int = 1, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    arm = np.resize(["High", "Low", "Placebo"], n)
    base = rng.normal(size=n)
    return pd.DataFrame(
        {
            "USUBJID": np.arange(n).astype(str), "TRT01P": arm, "BASE": base,
            "CHG": base + rng.normal(size=n) + (arm == "High") * 0.8,
        }
    )  # fmt: skip


def test_step_down_p_is_never_above_single_step_and_single_step_agrees_with_the_limits() -> None:
    table = lt.dunnett(trial(), reference="Placebo", covariates="BASE").table
    assert (table["p_step_down"] <= table["p_adjusted"] + 1e-12).all()
    assert (table["p_value"] <= table["p_step_down"] + 1e-12).all()
    beyond = (table["conf_low"] > 0) | (table["conf_high"] < 0)
    assert (beyond == (table["p_adjusted"] < 0.05)).all()


def test_two_arms_are_the_t_test() -> None:
    data = trial().query("TRT01P != 'Low'")
    row = lt.dunnett(data, reference="Placebo").table.iloc[0]
    high, placebo = (data.loc[data["TRT01P"].eq(a), "CHG"] for a in ("High", "Placebo"))
    t = stats.ttest_ind(high, placebo)
    assert row["p_adjusted"] == pytest.approx(t.pvalue, rel=1e-7)
    limits = t.confidence_interval()
    assert [row["conf_low"], row["conf_high"]] == pytest.approx([limits.low, limits.high])


def test_row_order_and_unit_change_no_p() -> None:
    data = trial()
    moved = data.sample(frac=1, random_state=2).assign(CHG=lambda d: 1000 * d["CHG"] + 5)
    one, two = (lt.dunnett(d, reference="Placebo", covariates="BASE").table for d in (data, moved))
    np.testing.assert_allclose(one["p_adjusted"], two["p_adjusted"], rtol=1e-7)
    np.testing.assert_allclose(1000 * one["conf_low"], two["conf_low"], rtol=1e-7)


def test_empty_arms_are_nan_and_gaps_are_counted() -> None:
    data = trial().assign(
        TRT01P=lambda d: pd.Categorical(d["TRT01P"], ["Placebo", "Low", "High", "Higher"])
    )
    data.loc[:2, "CHG"] = np.nan
    result = lt.dunnett(data, reference="Placebo")
    assert result.table["arm"].tolist() == ["Low", "High", "Higher"]
    assert np.isnan(result.table["estimate"].iloc[2])
    assert "dropped 3 of 60" in result.notes[0]
    assert "no subject in Higher" in result.notes


def test_no_variation_is_nan_and_too_few_subjects_are_an_error() -> None:
    result = lt.dunnett(trial().assign(CHG=0.1), reference="Placebo")
    assert result.table["p_adjusted"].isna().all()
    assert "no variation around the model" in result.notes[0]
    assert "not estimated" not in result.text
    with pytest.raises(DataError, match="3 subjects and 3 coefficients"):
        lt.dunnett(trial().head(3), reference="Placebo")
    with pytest.raises(UsageError, match="two-sided"):
        lt.dunnett(trial(), reference="Placebo", alternative="up")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "result",
    [
        lt.closed_test([0.01, 0.2]),
        lt.gatekeeping([0.01, 0.2], [["H1"], ["H2"]]),
        lt.simultaneous_intervals([1.0, 2.0], [1.0, 1.0], method="sidak"),
        lt.dunnett(trial(), reference="Placebo"),
    ],
    ids=lambda result: result.context,
)
def test_ard_gives_the_frames_back(result: object) -> None:
    back = ard_result(result.to_ard(analysis="x"))
    assert set(back.frames) == set(result.frames())
    assert back.text == result.text


@pytest.mark.slow
def test_dunnett_limits_hold_together_in_95_percent() -> None:
    rng, reps, hits = np.random.default_rng(3), 1500, 0
    for _ in range(reps):
        data = pd.DataFrame(
            {"TRT01P": np.repeat(list("ABC"), [8, 10, 14]), "CHG": rng.normal(size=32)}
        )
        table = lt.dunnett(data, reference="C").table
        hits += ((table["conf_low"] < 0) & (table["conf_high"] > 0)).all()
    assert abs(hits / reps - 0.95) < 0.017
