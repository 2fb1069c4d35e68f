"""Adjusted p-values against R's p.adjust; max-T against full enumeration in R."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import livertrack as lt
from livertrack._results import ard_result

FAMILYWISE = ["bonferroni", "holm", "hochberg", "hommel"]


def adjusted(p, method: str) -> np.ndarray:
    return np.asarray(lt.adjust_pvalues(p, method))


def test_adjusted_p_values_agree_with_r(reference: Path) -> None:
    expected = pd.read_csv(reference / "multiplicity.csv", skipinitialspace=True)
    for (case, method), part in expected.groupby(["case", "method"]):
        got = adjusted(part["p"].to_numpy(float), method)
        np.testing.assert_allclose(got, part["adjusted"], rtol=1e-13, err_msg=case)


def test_missing_p_values_stay_missing_and_do_not_count() -> None:
    result = lt.adjust_pvalues([0.01, np.nan, 0.02], "bonferroni")
    np.testing.assert_allclose(result.table["p_adjusted"], [0.02, np.nan, 0.04])
    assert result.notes == ("1 of 3 p-values are missing and do not count",)
    assert result.table["rejected"].tolist() == [True, False, True]
    assert "2 of 2 hypotheses" in result.text


def test_a_fixed_sequence_stops_at_the_first_hypothesis_not_rejected() -> None:
    np.testing.assert_allclose(
        adjusted([0.01, 0.04, 0.2, 0.001], "fixed-sequence"), [0.01, 0.04, 0.2, 0.2]
    )
    got = adjusted([0.01, np.nan, 0.001], "fixed-sequence")
    np.testing.assert_allclose(got, [0.01, np.nan, 1.0])


def test_names_come_from_the_index_or_the_keys() -> None:
    series = pd.Series([0.2, 0.01], index=["ALT", "PDFF"])
    assert lt.adjust_pvalues(series, "holm").table["hypothesis"].tolist() == ["ALT", "PDFF"]
    named = lt.adjust_pvalues({"ALT": 0.2, "PDFF": 0.01}, "holm").table
    assert named["hypothesis"].tolist() == ["ALT", "PDFF"]
    assert lt.adjust_pvalues([0.2], "holm").table["hypothesis"].tolist() == ["1"]
    assert lt.adjust_pvalues([0.2], "fdr").table["method"].tolist() == ["BH"]


def test_nothing_or_nothing_but_missing_is_no_error() -> None:
    assert adjusted([], "holm").tolist() == []
    assert np.isnan(adjusted([np.nan, np.nan], "hommel")).all()
    assert np.isnan(adjusted([np.nan, np.nan], "fixed-sequence")).all()


def test_wrong_p_values_and_methods_are_refused() -> None:
    with pytest.raises(lt.DataError, match="1 of 2 values lie outside"):
        lt.adjust_pvalues([0.1, 1.2], "holm")
    with pytest.raises(lt.UsageError, match="'tukey' is unknown"):
        lt.adjust_pvalues([0.1], "tukey")
    with pytest.raises(lt.UsageError, match="shape"):
        lt.adjust_pvalues([[0.1, 0.2]], "holm")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_hommel_is_never_above_hochberg_holm_and_bonferroni(p: list[float]) -> None:
    found = [adjusted(p, method) for method in reversed(FAMILYWISE)]
    for smaller, larger in pairwise(found):
        assert (smaller <= larger + 1e-12).all()
    assert (found[0] >= np.array(p) - 1e-12).all()


# max-T


@pytest.fixture(scope="module")
def small(reference: Path) -> pd.DataFrame:
    data = pd.read_csv(reference / "max_t_data.csv")
    return data.rename(columns={"subject": "USUBJID", "arm": "TRT01P"})


VALUES = [f"v{k}" for k in range(1, 8)]


def test_max_t_agrees_with_full_enumeration_in_r(small, reference: Path) -> None:
    expected = pd.read_csv(reference / "max_t.csv")
    for (analysis, alternative), part in expected.groupby(["analysis", "alternative"]):
        result = lt.max_t(
            small, values=VALUES, reference="Placebo", n_perm=None, seed=1,
            strata="stratum" if analysis == "stratified" else None, alternative=alternative,
        )  # fmt: skip
        got = result.table.set_index("value").loc[part["variable"]]
        for name in ("statistic", "p_value", "p_adjusted"):
            np.testing.assert_allclose(got[name], part[name], rtol=1e-9, err_msg=analysis)


def test_random_relabellings_approach_the_enumeration(small) -> None:
    exact = lt.max_t(small, values=VALUES, reference="Placebo", n_perm=None, seed=1).table
    drawn = lt.max_t(small, values=VALUES, reference="Placebo", n_perm=20_000, seed=1).table
    np.testing.assert_allclose(drawn["p_adjusted"], exact["p_adjusted"], atol=0.015)


def test_simultaneous_interval_excludes_zero_where_the_first_step_rejects(small) -> None:
    table = lt.max_t(small, values=VALUES, reference="Placebo", n_perm=None, seed=1).table
    outside = (table["conf_low"] > 0) | (table["conf_high"] < 0)
    assert table.loc[outside, "p_adjusted"].max() <= 0.05
    best = table["statistic"].abs().idxmax()
    assert outside[best] == (table.loc[best, "p_adjusted"] <= 0.05)


def test_row_order_changes_nothing_and_scale_no_p_value(small) -> None:
    options = {"values": VALUES, "reference": "Placebo", "n_perm": 300, "seed": 4}
    want = lt.max_t(small, **options).table
    shuffled = small.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(lt.max_t(shuffled, **options).table, want)
    scaled = small.assign(**{name: 7 * small[name] - 3 for name in VALUES})
    got = lt.max_t(scaled, **options).table
    np.testing.assert_allclose(got["p_adjusted"], want["p_adjusted"], rtol=1e-12)
    np.testing.assert_allclose(got["estimate"], 7 * want["estimate"], rtol=1e-9)


def test_missing_values_and_subjects_without_stratum_are_counted(small) -> None:
    data = small.copy()
    data.loc[0, "v1"] = np.nan
    data.loc[1, "stratum"] = None
    result = lt.max_t(
        data, values=["v1", "v2"], reference="Placebo", n_perm=99, seed=1, strata="stratum"
    )
    assert result.table["n_missing"].tolist() == [1, 0]
    assert (result.table["n_arm"] + result.table["n_ref"]).tolist() == [10, 11]
    assert "1 of 12 subjects" in result.notes[0]


def test_a_constant_measure_has_no_p_and_spares_the_others(small) -> None:
    options = {"reference": "Placebo", "n_perm": 199, "seed": 1}
    with_flat = lt.max_t(small.assign(flat=1.0), values=["v1", "v2", "flat"], **options)
    without = lt.max_t(small, values=["v1", "v2"], **options).table
    flat = with_flat.table.set_index("value").loc["flat"]
    assert np.isnan(flat["p_adjusted"])
    np.testing.assert_allclose(with_flat.table["p_adjusted"][:2], without["p_adjusted"])
    assert "1 of 3 comparisons" in with_flat.notes[0]


def test_wrong_arguments_of_max_t_are_refused(small) -> None:
    with pytest.raises(lt.DataError, match="2 duplicated"):
        lt.max_t(pd.concat([small, small.head(2)]), values=["v1"], reference="Placebo", seed=1)
    with pytest.raises(lt.UsageError, match="once"):
        lt.max_t(small, values=["v1", "v1"], reference="Placebo", seed=1)
    with pytest.raises(lt.DataError, match="'Q' does not occur"):
        lt.max_t(small, values=["v1"], reference="Q", seed=1)
    rows = small.drop(columns="USUBJID")
    assert len(
        lt.max_t(rows, values=["v1"], reference="Placebo", seed=1, n_perm=9, subject=None).table
    )


def test_ard_gives_the_tables_back(small) -> None:
    result = lt.max_t(small, values=VALUES, reference="Placebo", n_perm=99, seed=1)
    back = ard_result(result.to_ard())
    pd.testing.assert_frame_equal(
        back.table[result.table.columns], result.table, check_dtype=False
    )


@pytest.mark.slow
def test_max_t_holds_the_familywise_error_of_correlated_measures() -> None:
    # 600 trials: 0.05 +- 0.027 (three standard errors)
    rng = np.random.default_rng(8)
    wrong = 0
    for trial in range(600):
        common = rng.normal(size=(30, 1))
        data = pd.DataFrame(0.7 * common + rng.exponential(size=(30, 10)))
        data.columns = [f"v{k}" for k in range(10)]
        data = data.assign(USUBJID=range(30), TRT01P=["A"] * 12 + ["P"] * 18)
        table = lt.max_t(
            data, values=[f"v{k}" for k in range(10)], reference="P", n_perm=199, seed=trial
        ).table
        wrong += table["p_adjusted"].min() <= 0.05
    assert 0.023 < wrong / 600 < 0.077
