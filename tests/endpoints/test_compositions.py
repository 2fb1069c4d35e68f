"""Compositions: log-ratios, zeros, Aitchison distance, PERMANOVA, regression."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skbio.stats.composition import ilr as skbio_ilr

import livertrack as lt
from livertrack.endpoints.compositions import (
    aitchison_distance,
    composition_regression,
    ilr_inverse,
)
from livertrack.endpoints.permanova import _blocks, gower, pseudo_f
from livertrack.errors import DataError, UsageError

# Closed formulas on shares rounded to four digits.
EXACT = 1e-9
PARTS = [f"TV0{i}" for i in range(1, 6)]


@pytest.fixture
def data(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "compositions_data.csv")


def simulated(seed: int = 1, n: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([6, 3, 2, 1], n)
    return pd.DataFrame(shares, columns=["TV01", "TV02", "TV03", "TV04"]).assign(
        USUBJID=[f"S{i}" for i in range(n)], TRT01P=np.resize(["A", "B"], n)
    )


# log-ratios


def test_clr_and_distance_equal_vegan(data: pd.DataFrame, reference: Path) -> None:
    ours = lt.clr(data).table[PARTS]
    np.testing.assert_allclose(ours, pd.read_csv(reference / "compositions_clr.csv"), atol=EXACT)
    square = pd.read_csv(reference / "compositions_distance.csv")
    np.testing.assert_allclose(aitchison_distance(data), square, atol=EXACT)


def test_ilr_equals_scikit_bio_up_to_the_basis(data: pd.DataFrame) -> None:
    ours = lt.ilr(data).table[list(lt.ilr(data).coordinates)].to_numpy()
    theirs = skbio_ilr(data[PARTS].to_numpy())
    # same geometry: inner products of the rows agree whatever the basis
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=EXACT)


def test_hand_worked_coordinates() -> None:
    row = pd.DataFrame({"TV01": [4.0], "TV02": [1.0], "TV03": [1.0]})
    third = np.log(4) / 3
    np.testing.assert_allclose(lt.clr(row).table, [[2 * third, -third, -third]])
    pivot = lt.ilr(row).table.to_numpy()
    np.testing.assert_allclose(pivot, [[np.sqrt(2 / 3) * np.log(4), 0]], atol=1e-15)


@given(st.integers(0, 500))
@settings(max_examples=25, deadline=None)
def test_inverse_gives_the_shares_back(seed: int) -> None:
    data = simulated(seed, 5)
    for basis in (
        "pivot",
        {
            "ends": {"TV01": 1, "TV04": 1, "TV02": -1, "TV03": -1},
            "outer": {"TV01": 1, "TV04": -1},
            "inner": {"TV02": 1, "TV03": -1},
        },
    ):
        result = lt.ilr(data, basis=basis)
        back = ilr_inverse(result.table, basis=result.basis)
        np.testing.assert_allclose(back, data[["TV01", "TV02", "TV03", "TV04"]], atol=1e-12)


def test_unit_of_the_parts_changes_nothing() -> None:
    data = simulated()
    parts = ["TV01", "TV02", "TV03", "TV04"]
    counts = data.assign(**{p: data[p] * 5000 for p in parts})
    np.testing.assert_allclose(lt.clr(data).table[parts], lt.clr(counts).table[parts], atol=1e-12)


def test_zeros_are_replaced_by_the_stated_share_and_other_ratios_stay() -> None:
    data = pd.DataFrame({"TV01": [0.0, 0.5], "TV02": [0.6, 0.3], "TV03": [0.4, 0.2]})
    result = lt.clr(data, delta=0.01)
    shares = np.exp(result.table.iloc[0])
    shares /= shares.sum()
    np.testing.assert_allclose(shares, [0.01, 0.99 * 0.6, 0.99 * 0.4])
    assert result.settings["zeros"] == {"TV01": 1, "TV02": 0, "TV03": 0}
    assert "replaced 1 zero(s) of 6" in result.notes[0]
    by_size = lt.clr(data.assign(NVOX=[1000, 500]), parts=PARTS[:3], size="NVOX")
    first = np.exp(by_size.table.iloc[0][PARTS[:3]].astype(float))
    assert (first / first.sum()).iloc[0] == pytest.approx(0.65 / 1000)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"TV01": -0.1}, DataError, "24 negative"),
        ({"TV01": 0.0, "TV02": 0.0, "TV03": 0.0, "TV04": 0.0}, DataError, "24 row"),
        ({"TV01": np.nan}, DataError, "no row"),
    ],
)
def test_data_that_are_no_composition_are_errors(
    change: dict[str, float], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        lt.clr(simulated().assign(**change))


def test_bad_bases_and_single_parts_are_usage_errors() -> None:
    data = simulated()
    with pytest.raises(UsageError, match="need 3 balances"):
        lt.ilr(data, basis={"one": {"TV01": 1, "TV02": -1}})
    with pytest.raises(UsageError, match="both sides"):
        lt.ilr(data, basis={"one": {"TV01": 1, "TV02": 1}})
    with pytest.raises(UsageError, match="unknown part"):
        lt.ilr(data, basis={"one": {"TV01": 1, "TV99": -1}})
    with pytest.raises(UsageError, match="two or more parts"):
        lt.clr(data, parts=["TV01"])


# PERMANOVA


@pytest.mark.parametrize(
    ("test", "formula", "metric"),
    [
        ("arm", None, "aitchison"),
        ("covariates", "AGE + SITEID + TRT01P", "aitchison"),
        ("bray", None, "braycurtis"),
    ],
)
def test_sums_of_squares_and_f_equal_adonis2(
    data: pd.DataFrame, reference: Path, test: str, formula: str | None, metric: str
) -> None:
    r = pd.read_csv(reference / "compositions_adonis.csv").query(f"test == '{test}'")
    ours = lt.permanova(data, formula=formula, metric=metric, n_perm=9, seed=1).table
    for name in ("df", "sum_of_squares", "r_squared", "statistic"):
        np.testing.assert_allclose(ours[name], r[name], rtol=1e-8)


def test_p_values_equal_adonis2_with_the_same_permutations(
    data: pd.DataFrame, reference: Path
) -> None:
    r = pd.read_csv(reference / "compositions_adonis.csv")
    permutations = pd.read_csv(reference / "compositions_permutations.csv").to_numpy()
    G = gower(aitchison_distance(data).to_numpy())
    for test, formula in (("arm", "TRT01P"), ("covariates", "AGE + SITEID + TRT01P")):
        _, blocks = _blocks(formula, data)
        _, F = pseudo_f(G, blocks, np.arange(len(G))[None])
        _, permuted = pseudo_f(G, blocks, permutations)
        p = (1 + (permuted >= F - 1e-9).sum(axis=0)) / (1 + len(permutations))
        expected = r.query(f"test == '{test}'")["p_value"].dropna()
        np.testing.assert_allclose(p, expected, atol=1e-9)


def test_dispersion_equals_betadisper(data: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "compositions_dispersion.csv")
    ours = lt.permanova(data, n_perm=9, seed=1).dispersion
    np.testing.assert_allclose(ours["mean_distance"], r["mean_distance"], atol=EXACT)
    np.testing.assert_allclose(ours["statistic"], r["statistic"], rtol=1e-8)


def test_permutations_stay_within_strata() -> None:
    # arm and stratum coincide: no permutation can change F, so p is 1
    data = simulated().assign(S=lambda d: d["TRT01P"])
    assert lt.permanova(data, strata="S", n_perm=99, seed=3).table["p_value"].iloc[0] == 1


def test_same_seed_same_bytes_whatever_the_order() -> None:
    data = simulated(4)
    one = lt.permanova(data, n_perm=199, seed=7)
    two = lt.permanova(data.sample(frac=1, random_state=2), n_perm=199, seed=7)
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.dispersion, two.dispersion)
    other = lt.permanova(data, n_perm=199, seed=8)
    assert one.table["p_value"].iloc[0] != other.table["p_value"].iloc[0]


def test_a_clear_difference_is_found() -> None:
    data = simulated(5, 60)
    data.loc[data["TRT01P"] == "B", "TV03"] *= 20
    table = lt.permanova(data, n_perm=499, seed=1).table
    assert table["p_value"].iloc[0] == pytest.approx(1 / 500)
    assert table["r_squared"].iloc[0] > 0.2


@pytest.mark.slow
def test_type_one_error_of_permanova_is_five_percent() -> None:
    p = [lt.permanova(simulated(s, 20), n_perm=99, seed=s).table["p_value"][0] for s in range(600)]
    assert abs(np.mean(np.array(p) <= 0.05) - 0.05) < 0.025


def test_one_arm_or_identical_compositions_are_nan_with_a_note() -> None:
    for frame in (
        simulated().assign(TRT01P="A"),
        simulated().assign(TV01=0.4, TV02=0.3, TV03=0.2, TV04=0.1),
        simulated().head(2),
    ):
        result = lt.permanova(frame, n_perm=9, seed=1)
        assert np.isnan(result.table["p_value"].iloc[0])
        assert "no test" in result.notes[-1]


def test_unknown_metric_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="aitchison"):
        lt.permanova(simulated(), metric="cosine", n_perm=9, seed=1)  # type: ignore[arg-type]


# regression


def test_regression_equals_r(data: pd.DataFrame, reference: Path) -> None:
    result = composition_regression(data, reference="A", covariates="AGE")
    r = pd.read_csv(reference / "compositions_lm.csv").sort_values(["arm", "part"])
    for name in ("estimate", "std_error", "p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(result.table[name], r[name], atol=EXACT)
    joint = pd.read_csv(reference / "compositions_joint.csv")
    for name in ("statistic", "f_statistic", "df1", "df2", "p_value"):
        np.testing.assert_allclose(result.tests[name], joint[name], rtol=1e-8)
    means = pd.read_csv(reference / "compositions_means.csv").set_index("arm")
    ours = result.means.pivot_table(index="arm", columns="part", values="share")
    np.testing.assert_allclose(ours, means, atol=EXACT)


def test_effects_sum_to_zero_and_shares_to_one() -> None:
    result = composition_regression(simulated(), reference="A")
    np.testing.assert_allclose(result.table.groupby("arm")["estimate"].sum(), 0, atol=1e-12)
    np.testing.assert_allclose(result.means.groupby("arm")["share"].sum(), 1)


def test_swapping_the_reference_negates_the_effects() -> None:
    one = composition_regression(simulated(), reference="A").table
    two = composition_regression(simulated(), reference="B").table
    np.testing.assert_allclose(one["estimate"], -two["estimate"])
    np.testing.assert_allclose(one["p_value"], two["p_value"])


def test_order_of_parts_changes_nothing_but_order() -> None:
    parts = ["TV03", "TV01", "TV04", "TV02"]
    one = composition_regression(simulated(), reference="A")
    two = composition_regression(simulated(), reference="A", parts=parts)
    np.testing.assert_allclose(
        one.table.set_index("part")["p_value"].loc[parts], two.table["p_value"]
    )
    np.testing.assert_allclose(one.tests["p_value"], two.tests["p_value"])


def test_baseline_composition_is_a_covariate() -> None:
    data = simulated(2, 40)
    base = simulated(3, 40)
    for i in range(1, 5):
        data[f"B{i}"] = base[f"TV0{i}"]
        data[f"TV0{i}"] = data[f"TV0{i}"] ** 0.2 * base[f"TV0{i}"]
    names = ["B1", "B2", "B3", "B4"]
    plain = composition_regression(data, reference="A")
    adjusted = composition_regression(data, reference="A", baseline=names)
    assert adjusted.table["std_error"].max() < plain.table["std_error"].max()
    assert adjusted.table["df"].iloc[0] == plain.table["df"].iloc[0] - 3


def test_too_few_subjects_are_noted_or_an_error() -> None:
    result = composition_regression(simulated().head(4), reference="A")
    assert np.isnan(result.tests["p_value"].item())
    assert "too few" in result.notes[-1]
    with pytest.raises(DataError, match="2 subjects"):
        composition_regression(simulated().head(2), reference="A")
