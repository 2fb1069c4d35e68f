"""Responders: differences, ratios and odds ratios of proportions; criteria; CMH tests."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import confint_proportions_2indep

import livertrack as lt
from livertrack.endpoints._score_intervals import constrained_difference
from livertrack.endpoints._two_by_two import Counts
from livertrack.endpoints.responders import (
    Criterion,
    cmh_test,
    derive_responders,
    nas_improvement,
    nash_resolution,
    odds_ratio,
    pdff_response,
    risk_ratio,
)
from livertrack.errors import DataError, UsageError

FUNCTIONS = {
    "risk_difference": lt.risk_difference,
    "risk_ratio": risk_ratio,
    "odds_ratio": odds_ratio,
}
# Closed forms and roots, both to the last digits.
TOLERANCE = 1e-7


def subjects(rows: list[tuple[int, int, int, int]]) -> pd.DataFrame:
    """One row per subject from (x1, n1, x0, n0) per stratum; B is the reference."""
    parts = []
    for stratum, (x1, n1, x0, n0) in enumerate(rows):
        for arm, x, n in (("A", x1, n1), ("B", x0, n0)):
            values = [1.0] * x + [0.0] * (n - x)
            parts.append(pd.DataFrame({"TRT01P": arm, "RESP": values, "S": stratum}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(USUBJID=[f"S{i}" for i in range(len(frame))])


def tables(reference: Path) -> dict[str, pd.DataFrame]:
    frame = pd.read_csv(reference / "responders_tables.csv")
    return {
        name: subjects([tuple(row) for row in part[["x1", "n1", "x0", "n0"]].to_numpy()])
        for name, part in frame.groupby("name")
    }


def compare(data: pd.DataFrame, name: str = "risk_difference", **options: object) -> pd.Series:
    return FUNCTIONS[name](data, response="RESP", reference="B", **options).table.iloc[0]


@pytest.mark.parametrize("measure", list(FUNCTIONS))
def test_every_method_equals_r(reference: Path, measure: str) -> None:
    data = tables(reference)
    r = pd.read_csv(reference / "responders.csv").query(f"measure == '{measure}'")
    assert len(r) > 8
    for row in r.to_dict("records"):
        strata = "S" if data[row["name"]]["S"].max() > 0 else None
        ours = compare(data[row["name"]], measure, strata=strata, method=row["method"])
        assert ours["estimate"] == pytest.approx(
            row["estimate"], rel=TOLERANCE, abs=1e-12, nan_ok=True
        )
        if row["method"] == "mantel-haenszel" and row["conf_low"] == row["conf_high"]:
            assert np.isnan(ours["conf_low"])  # no variation: see the next test
            continue
        for name in ("conf_low", "conf_high", "p_value"):
            expected = pytest.approx(row[name], rel=TOLERANCE, abs=1e-9, nan_ok=True)
            assert ours[name] == expected, row


def test_wald_limits_without_variation_are_nan_but_score_limits_exist() -> None:
    data = subjects([(0, 10, 0, 12)])
    assert np.isnan(compare(data, method="mantel-haenszel")["conf_low"])
    row = compare(data)
    assert -0.3 < row["conf_low"] < 0 < row["conf_high"] < 0.3
    assert row["p_value"] == 1


def test_published_miettinen_nurminen_limits() -> None:
    row = compare(subjects([(56, 70, 48, 80)]))
    assert row["estimate"] == pytest.approx(0.2)
    assert (row["conf_low"], row["conf_high"]) == (
        pytest.approx(0.05283, abs=5e-6),
        pytest.approx(0.33817, abs=5e-6),
    )


def test_newcombe_equals_statsmodels() -> None:
    low, high = confint_proportions_2indep(56, 70, 48, 80, method="newcomb", compare="diff")
    row = compare(subjects([(56, 70, 48, 80)]), method="newcombe")
    np.testing.assert_allclose([row["conf_low"], row["conf_high"]], [low, high], atol=1e-12)


def test_mantel_haenszel_odds_and_cmh_equal_statsmodels(reference: Path) -> None:
    data = tables(reference)["pbc"]
    answers = pd.Categorical(data["RESP"], categories=[1, 0])
    cells = [
        pd.crosstab(part["TRT01P"], answers[part.index], dropna=False).to_numpy()
        for _, part in data.groupby("S")
    ]
    theirs = StratifiedTable(cells)
    row = compare(data, "odds_ratio", strata="S")
    assert row["estimate"] == pytest.approx(theirs.oddsratio_pooled)
    assert row["std_error"] == pytest.approx(theirs.logodds_pooled_se)
    cmh = cmh_test(data, response="RESP", strata="S").table
    np.testing.assert_allclose(cmh["statistic"], theirs.test_null_odds().statistic)


@given(
    x1=st.integers(0, 15), n1=st.integers(15, 16), x0=st.integers(0, 20), n0=st.integers(20, 25),
    delta=st.floats(-0.98, 0.98),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_constrained_proportions_maximise_the_likelihood(
    x1: int, n1: int, x0: int, n0: int, delta: float
) -> None:
    t = Counts(*(np.array([float(v)]) for v in (x1, n1, x0, n0)))
    p1, p0 = constrained_difference(t, delta)

    def loglik(p0: np.ndarray) -> np.ndarray:
        p1 = p0 + delta
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = [
                np.where(k > 0, k * np.log(np.clip(p, 0, 1)), 0.0)
                for k, p in ((x1, p1), (n1 - x1, 1 - p1), (x0, p0), (n0 - x0, 1 - p0))
            ]
        return np.sum(terms, axis=0)

    grid = np.linspace(max(0, -delta), min(1, 1 - delta), 2001)
    assert p1 - p0 == pytest.approx(delta)
    assert loglik(p0)[0] >= np.nanmax(loglik(grid)) - 1e-7


@pytest.mark.parametrize("method", ["miettinen-nurminen", "newcombe", "mantel-haenszel"])
def test_swapping_arms_negates_the_difference(method: str) -> None:
    data = subjects([(9, 20, 4, 22), (5, 9, 6, 8)])
    one = lt.risk_difference(data, response="RESP", reference="B", strata="S", method=method)
    two = lt.risk_difference(data, response="RESP", reference="A", strata="S", method=method)
    a, b = one.table.iloc[0], two.table.iloc[0]
    assert a["estimate"] == pytest.approx(-b["estimate"])
    assert a["conf_low"] == pytest.approx(-b["conf_high"])
    assert a["p_value"] == pytest.approx(b["p_value"])


@pytest.mark.parametrize(
    ("measure", "method"),
    [(m, k) for m in ("risk_ratio", "odds_ratio") for k in ("mantel-haenszel", "other")],
)
def test_swapping_arms_inverts_ratios(measure: str, method: str) -> None:
    data = subjects([(9, 20, 4, 22)])
    other = "exact" if measure == "odds_ratio" else "miettinen-nurminen"
    chosen = other if method == "other" else method
    function = FUNCTIONS[measure]
    a = function(data, response="RESP", reference="B", method=chosen).table.iloc[0]
    b = function(data, response="RESP", reference="A", method=chosen).table.iloc[0]
    assert a["estimate"] == pytest.approx(1 / b["estimate"])
    assert a["conf_low"] == pytest.approx(1 / b["conf_high"])


def test_row_and_column_order_change_nothing() -> None:
    data = subjects([(9, 20, 4, 22), (5, 9, 6, 8)])
    mixed = data.sample(frac=1, random_state=1)[data.columns[::-1]]
    pd.testing.assert_series_equal(compare(data, strata="S"), compare(mixed, strata="S"))


def test_p_value_and_limits_agree_at_a_margin() -> None:
    data = subjects([(56, 70, 48, 80)])
    row = compare(data)
    at_limit = compare(data, null=row["conf_low"])
    assert at_limit["p_value"] == pytest.approx(0.05, abs=1e-6)


# missing responses


def test_missing_responses_are_dropped_or_imputed_and_counted() -> None:
    data = subjects([(6, 10, 3, 10)])
    data.loc[[0, 1, 19], "RESP"] = np.nan  # two responders of A, one non-responder of B
    dropped = lt.risk_difference(data, response="RESP", reference="B")
    row = dropped.table.iloc[0]
    assert (row["n_arm"], row["n_ref"], row["responders_arm"]) == (8, 9, 4)
    assert (row["missing_arm"], row["missing_ref"]) == (2, 1)
    assert "dropped 3 of 20 subjects without RESP (A 2, B 1)" in dropped.notes
    imputed = lt.risk_difference(data, response="RESP", reference="B", missing="non-responder")
    row = imputed.table.iloc[0]
    assert (row["n_arm"], row["n_ref"], row["responders_arm"]) == (10, 10, 4)
    assert "counted 3 of 20 subjects without RESP as non-responders (A 2, B 1)" in imputed.notes


def test_booleans_with_missing_cells_are_responses() -> None:
    data = subjects([(6, 10, 3, 10)])
    flags = data.assign(RESP=data["RESP"].astype(bool).astype("boolean"))
    assert compare(flags)["estimate"] == pytest.approx(compare(data)["estimate"])


# number needed to treat


def test_number_needed_to_treat_inverts_the_limits() -> None:
    result = lt.risk_difference(subjects([(56, 70, 48, 80)]), response="RESP", reference="B")
    row, nnt = result.table.iloc[0], result.nnt.iloc[0]
    assert nnt["nnt"] == pytest.approx(5)
    assert nnt["direction"] == "benefit"
    assert nnt["benefit_low"] == pytest.approx(1 / row["conf_high"])
    assert nnt["benefit_high"] == pytest.approx(1 / row["conf_low"])
    assert np.isnan(nnt["harm_low"])


def test_number_needed_to_treat_passes_through_infinity_when_the_limits_include_zero() -> None:
    result = lt.risk_difference(subjects([(8, 20, 6, 20)]), response="RESP", reference="B")
    nnt = result.nnt.iloc[0]
    assert np.isinf(nnt["benefit_high"])
    assert np.isinf(nnt["harm_high"])
    assert nnt["harm_low"] == pytest.approx(-1 / result.table["conf_low"].item())


# degenerate data


def test_a_planned_arm_without_subjects_is_nan_with_a_note() -> None:
    data = subjects([(6, 10, 3, 10)])
    data["TRT01P"] = pd.Categorical(data["TRT01P"], categories=["B", "A", "C"])
    result = lt.risk_difference(data, response="RESP", reference="B")
    row = result.table.set_index("arm").loc["C"]
    assert np.isnan(row["estimate"])
    assert row["n_arm"] == 0
    assert "C: 0 subjects against 10" in result.notes[-1]


def test_one_subject_per_arm_has_limits() -> None:
    row = compare(subjects([(1, 1, 0, 1)]))
    assert row["estimate"] == 1
    assert -1 <= row["conf_low"] < row["conf_high"] == 1


def test_an_arm_without_known_responses_is_nan_and_an_absent_reference_an_error() -> None:
    data = subjects([(6, 10, 3, 10)])
    silent = data.assign(RESP=data["RESP"].where(data["TRT01P"] == "B"))
    result = lt.risk_difference(silent, response="RESP", reference="B")
    assert np.isnan(result.table["estimate"].item())
    assert "A: 0 subjects against 10" in result.notes[-1]
    with pytest.raises(DataError, match="does not occur"):
        lt.risk_difference(data.query("TRT01P == 'A'"), response="RESP", reference="B")


def test_all_missing_responses_are_nan_with_notes() -> None:
    data = subjects([(6, 10, 3, 10)]).assign(RESP=np.nan)
    result = lt.risk_difference(data, response="RESP", reference="B")
    assert np.isnan(result.table["estimate"].item())
    assert "dropped 20 of 20" in result.notes[0]


def test_a_stratum_with_one_arm_does_not_count_and_is_noted() -> None:
    data = subjects([(6, 10, 3, 10), (2, 4, 0, 0)])
    result = lt.risk_difference(data, response="RESP", reference="B", strata="S")
    alone = compare(subjects([(6, 10, 3, 10)]))
    assert result.table["estimate"].item() == pytest.approx(alone["estimate"])
    assert "1 stratum or strata with 4 subjects" in result.notes[-1]


def test_a_response_that_is_no_yes_or_no_is_an_error() -> None:
    data = subjects([(6, 10, 3, 10)])
    data.loc[0, "RESP"] = 2
    with pytest.raises(DataError, match="RESP: 1 cell"):
        lt.risk_difference(data, response="RESP", reference="B")


@pytest.mark.parametrize(
    "options", [{"method": "agresti"}, {"missing": "guess"}, {"null": 2}, {"conf_level": 95}]
)
def test_unknown_options_are_usage_errors(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        lt.risk_difference(subjects([(6, 10, 3, 10)]), response="RESP", reference="B", **options)


# generalised CMH


def test_generalised_tests_equal_r(shared_data: Path, reference: Path) -> None:
    r = pd.read_csv(reference / "responders_cmh.csv").set_index("alternative")
    pbc = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbc.csv").dropna(subset=["trt"])
    pbc["TRT01P"] = pd.cut(pbc["age"], [0, 45, 55, 100], labels=["a", "b", "c"])
    ours = cmh_test(pbc, response="stage", strata="edema").table.set_index("alternative")
    for name in ("correlation", "row means", "general"):
        np.testing.assert_allclose(
            ours.loc[name, ["statistic", "df", "p_value"]].astype(float), r.loc[name], rtol=1e-8
        )
    ranks = cmh_test(pbc, response="stage", scores="modridit").table.set_index("alternative")
    assert ranks.loc["row means", "statistic"] == pytest.approx(r.loc["kruskal", "statistic"])


def test_cmh_of_one_arm_or_one_response_is_nan_with_a_note() -> None:
    data = subjects([(6, 10, 3, 10)])
    for part in (data.query("TRT01P == 'A'"), data.assign(RESP=1)):
        result = cmh_test(part, response="RESP")
        assert result.table["p_value"].isna().all()
        assert "no test" in result.notes[-1]


# criteria

_START = {"PDFF": 20.0, "NAS": 5.0, "FIBROSIS": 2.0, "NASH": 1.0}


def biopsies(changes: dict[str, dict[str, float]]) -> pd.DataFrame:
    rows = [
        (subject, parameter, "WEEK 48", _START[parameter], value)
        for subject, values in changes.items()
        for parameter, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["USUBJID", "PARAMCD", "AVISIT", "BASE", "AVAL"])


def answers(frame: pd.DataFrame) -> dict[str, float]:
    return frame.set_index("USUBJID")["RESPONSE"].to_dict()


def test_fat_fraction_down_by_exactly_30_percent_is_a_response() -> None:
    records = biopsies({"a": {"PDFF": 14.0}, "b": {"PDFF": 14.1}, "c": {"PDFF": 5.0}})
    records.loc[3] = ["d", "PDFF", "WEEK 48", 0.3, 0.3 * 0.7]
    assert answers(pdff_response(records, visit="WEEK 48")) == {"a": 1, "b": 0, "c": 1, "d": 1}


def test_nas_improvement_with_worse_fibrosis_is_no_response() -> None:
    records = biopsies(
        {
            "a": {"NAS": 3, "FIBROSIS": 2},
            "b": {"NAS": 3, "FIBROSIS": 3},
            "c": {"NAS": 4, "FIBROSIS": 1},
            "d": {"NAS": 2},
            "e": {"NAS": 4},
        }
    )
    found = nas_improvement(records, visit="WEEK 48")
    expected = {"a": 1.0, "b": 0.0, "c": 0.0, "d": np.nan, "e": 0.0}
    assert pd.Series(answers(found)).equals(pd.Series(expected))
    assert found.set_index("USUBJID")["REASON"]["d"] == "no record at visit"


def test_nash_resolution_counts_only_subjects_with_nash_at_baseline() -> None:
    records = biopsies({s: {"NASH": v, "FIBROSIS": 2} for s, v in (("a", 0), ("b", 1), ("c", 0))})
    records.loc[(records["USUBJID"] == "c") & (records["PARAMCD"] == "NASH"), "BASE"] = 0
    found = nash_resolution(records, visit="WEEK 48")
    assert answers(found) == {"a": 1, "b": 0}
    assert found.attrs["not_eligible"] == 1


def test_subjects_without_a_scan_stay_in_the_denominator() -> None:
    records = biopsies({"a": {"PDFF": 10.0}})
    population = pd.DataFrame({"USUBJID": ["a", "z"], "TRT01P": ["A", "B"]})
    found = pdff_response(records, visit="WEEK 48", subjects=population)
    assert found["RESPONSE"].isna().tolist() == [False, True]
    table = lt.risk_difference(found, response="RESPONSE", reference="B", missing="non-responder")
    assert table.table["n_ref"].item() == 1


def test_relative_change_from_zero_is_unknown() -> None:
    records = biopsies({"a": {"PDFF": 1.0}}).assign(BASE=0.0)
    found = pdff_response(records, visit="WEEK 48")
    assert found["RESPONSE"].isna().all()


def test_absent_parameter_and_empty_criteria_are_errors() -> None:
    records = biopsies({"a": {"PDFF": 10.0}})
    with pytest.raises(DataError, match="no PARAMCD FIBROSIS, NAS"):
        nas_improvement(records, visit="WEEK 48")
    with pytest.raises(UsageError, match="at least one"):
        derive_responders(records, criteria=[], visit="WEEK 48")
    with pytest.raises(UsageError, match="below or above"):
        Criterion("ALT")


def test_two_records_at_the_visit_are_an_error() -> None:
    records = biopsies({"a": {"PDFF": 10.0}})
    with pytest.raises(DataError, match="1 duplicated"):
        pdff_response(pd.concat([records, records]), visit="WEEK 48")


# coverage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "least"),
    [("miettinen-nurminen", 0.945), ("newcombe", 0.945), ("mantel-haenszel", 0.92)],
)
def test_limits_cover_95_percent(method: str, least: float) -> None:
    """Coverage is exact here: every table of 25 against 25 subjects, with its probability."""
    p1, p0, n = 0.5, 0.25, 25
    covered = 0.0
    for x1 in range(n + 1):
        for x0 in range(n + 1):
            chance = stats.binom.pmf(x1, n, p1) * stats.binom.pmf(x0, n, p0)
            if chance > 1e-7:
                row = compare(subjects([(x1, n, x0, n)]), method=method)
                covered += chance * (row["conf_low"] <= p1 - p0 <= row["conf_high"])
    assert least < covered < 0.97
