"""Agreement: intraclass correlation, Bland-Altman, weighted kappa, repeatability."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import livertrack as lt
from livertrack.errors import DataError, UsageError

# Closed forms; R's noncentral t loses a few digits.
EXACT = 1e-9
NONCENTRAL = 1e-6

# Shrout and Fleiss (1979), table 2: six subjects, four raters; table 4: the six coefficients.
SHROUT = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
SHROUT_ICC = {
    "ICC1": 0.17,
    "ICC2": 0.29,
    "ICC3": 0.71,
    "ICC1k": 0.44,
    "ICC2k": 0.62,
    "ICC3k": 0.91,
}

# Bland and Altman (1986): peak flow (l/min) of 17 subjects, large and mini meter, first reading.
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def long(values: object) -> pd.DataFrame:
    y = np.asarray(values, dtype=float)
    n, k = y.shape
    return pd.DataFrame(
        {
            "USUBJID": np.repeat([f"S{i}" for i in range(n)], k),
            "RATER": np.tile([f"R{j}" for j in range(k)], n),
            "AVAL": y.ravel(),
        }
    )


@pytest.fixture(scope="module")
def visits(shared_data: Path) -> pd.DataFrame:
    """Visits of the pbc follow-up, numbered within subject."""
    frame = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbcseq.csv")
    return frame.assign(visit=frame.groupby("id")["day"].rank())


def check(ours: pd.DataFrame, r: pd.DataFrame, key: str, columns: list[str], rtol: float) -> None:
    mine = ours.set_index(key).loc[r[key]]
    for name in columns:
        np.testing.assert_allclose(
            mine[name].astype(float), r[name].astype(float), rtol=rtol, atol=1e-12, err_msg=name
        )


# intraclass correlation

ICC_COLUMNS = ["estimate", "conf_low", "conf_high", "statistic", "df1", "df2", "p_value"]


def test_six_forms_equal_psych(visits: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "agreement_icc.csv").query("data == 'albumin'")
    result = lt.icc(visits.query("visit <= 4"), subject="id", rater="visit", value="albumin")
    check(result.table, r, "form", ICC_COLUMNS, EXACT)
    assert "not seen by all 4 raters" in result.notes[0]


@pytest.mark.parametrize("name", ["shrout", "noise"])
def test_six_forms_of_small_tables_equal_psych(reference: Path, name: str) -> None:
    r = pd.read_csv(reference / "agreement_icc.csv").query(f"data == '{name}'")
    if name == "shrout":
        result = lt.icc(long(SHROUT), rater="RATER")
    else:
        noise = pd.read_csv(reference / "agreement_icc_noise.csv")
        result = lt.icc(noise, subject="subject", rater="rater", value="value")
    check(result.table, r, "form", ICC_COLUMNS, 1e-8)


def test_published_coefficients() -> None:
    estimates = lt.icc(long(SHROUT), rater="RATER").table.set_index("form")["estimate"]
    assert estimates.round(2).to_dict() == SHROUT_ICC


def test_a_constant_shift_of_one_rater_lowers_agreement_but_not_consistency() -> None:
    shifted = np.add(SHROUT, [0, 0, 0, 5])
    one, two = (
        lt.icc(long(y), rater="RATER").table.set_index("form")["estimate"]
        for y in (SHROUT, shifted)
    )
    assert two["ICC3"] == pytest.approx(one["ICC3"])
    assert two["ICC2"] < one["ICC2"]


@given(st.integers(0, 999), st.floats(0.1, 50), st.floats(-100, 100))
@settings(max_examples=20, deadline=None)
def test_order_and_unit_change_nothing(seed: int, scale: float, shift: float) -> None:
    data = long(SHROUT)
    other = data.sample(frac=1, random_state=seed)
    other["AVAL"] = other["AVAL"] * scale + shift
    one, two = (lt.icc(frame, rater="RATER").table for frame in (data, other))
    np.testing.assert_allclose(one["estimate"], two["estimate"], rtol=1e-6)
    np.testing.assert_allclose(one["conf_low"], two["conf_low"], rtol=1e-6)


def test_subjects_missed_by_a_rater_are_dropped_and_counted() -> None:
    data = long(SHROUT).drop(index=[3])
    result = lt.icc(data, rater="RATER")
    assert result.table["n"].unique().tolist() == [5]
    assert "dropped 1 of 6" in result.notes[0]


def test_reml_components_of_tables_with_gaps_equal_lme4(
    visits: pd.DataFrame, reference: Path
) -> None:
    r = pd.read_csv(reference / "agreement_icc_reml.csv")
    early = visits.rename(columns={"id": "USUBJID", "visit": "RATER"})
    holes = long(SHROUT).assign(cell=lambda d: d["RATER"].str[1:].astype(int) * 6)
    holes["cell"] += holes["USUBJID"].str[1:].astype(int)
    data = {
        "albumin": (early[early["RATER"] <= 4], "albumin"),
        "platelet": (early[(early["RATER"] <= 3) & (early["USUBJID"] % 4 == 0)], "platelet"),
        "shrout": (holes[~holes["cell"].isin([1, 8, 14, 21])], "AVAL"),
    }
    for name, (frame, value) in data.items():
        result = lt.icc(frame, rater="RATER", value=value, method="reml")
        table = result.table.set_index("form")
        components = result.components["model"] + " " + result.components["source"]
        variance = result.components.set_index(components)["variance"]
        for what, theirs in r[r["data"].eq(name)].groupby("what"):
            expected = theirs.set_index("key")["value"]
            ours = {
                "estimate": table["estimate"], "variance": variance, "F": table["statistic"],
                "df2": table["df2"], "p": table["p_value"],
            }[str(what)]  # fmt: skip
            np.testing.assert_allclose(ours[expected.index], expected, rtol=1e-6, err_msg=name)


def test_reml_of_a_complete_table_is_the_analysis_of_variance(visits: pd.DataFrame) -> None:
    early = visits[visits["visit"] <= 4].rename(columns={"id": "USUBJID", "visit": "RATER"})
    complete = early[early["albumin"].notna()].groupby("USUBJID").filter(lambda d: len(d) == 4)
    columns = ["estimate", "conf_low", "conf_high", "statistic", "df1", "df2", "p_value"]
    one, two = (
        lt.icc(complete, rater="RATER", value="albumin", method=method)
        for method in ("anova", "reml")
    )
    np.testing.assert_allclose(one.table[columns], two.table[columns], rtol=1e-6)
    np.testing.assert_allclose(one.components["variance"], two.components["variance"], rtol=1e-6)
    np.testing.assert_allclose(one.anova["mean_square"], two.anova["mean_square"])


def test_reml_keeps_subjects_with_gaps_and_counts_them() -> None:
    data = long(np.random.default_rng(2).normal(size=(12, 3)) + np.arange(12)[:, None])
    gaps = data.drop(index=[0, 4, 8])
    assert lt.icc(gaps, rater="RATER").table["n"].iloc[0] == 9
    result = lt.icc(gaps, rater="RATER", method="reml")
    assert result.table[["n", "n_ratings"]].iloc[0].tolist() == [12, 33]
    assert "3 of 36 ratings are missing" in result.notes[0]


def test_reml_estimates_are_not_negative() -> None:
    rows = [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 3, 2]]
    assert lt.icc(long(rows), rater="RATER").table["estimate"].iloc[0] < 0
    assert lt.icc(long(rows), rater="RATER", method="reml").table["estimate"].iloc[0] == 0


def test_unknown_methods_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="reml"):
        lt.icc(long(SHROUT), rater="RATER", method="ml")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("truth", [0.5, 0.8])
def test_reml_limits_of_tables_with_gaps_cover_95_percent(truth: float) -> None:
    rng, reps = np.random.default_rng(4), 300
    hits = dict.fromkeys(["ICC1", "ICC3"], 0)
    for _ in range(reps):
        y = rng.normal(size=(40, 1)) * np.sqrt(truth) + rng.normal(size=(40, 4)) * np.sqrt(
            1 - truth
        )
        data = long(y)
        data = data[rng.random(len(data)) > 0.25]
        table = lt.icc(data, rater="RATER", method="reml").table.set_index("form")
        for form in hits:
            hits[form] += table.loc[form, "conf_low"] <= truth <= table.loc[form, "conf_high"]
    for count in hits.values():
        assert abs(count / reps - 0.95) < 0.035


@pytest.mark.parametrize(
    ("values", "note"),
    [([[3, 3], [3, 3], [3, 3]], "no variation"), ([[1, 2]], "1 complete subject")],
)
def test_no_variation_or_one_subject_is_nan_with_a_note(values: object, note: str) -> None:
    result = lt.icc(long(values), rater="RATER")
    assert result.table["estimate"].isna().all()
    assert note in result.notes[-1]


def test_perfect_agreement_is_one() -> None:
    table = lt.icc(long([[1, 1], [2, 2], [5, 5]]), rater="RATER").table
    np.testing.assert_allclose(table["estimate"], 1)


def test_bad_ratings_are_errors() -> None:
    data = long(SHROUT)
    with pytest.raises(DataError, match="1 rater"):
        lt.icc(data.query("RATER == 'R0'"), rater="RATER")
    with pytest.raises(DataError, match="2 duplicated"):
        lt.icc(pd.concat([data, data.head(2)]), rater="RATER")
    with pytest.raises(DataError, match="0 rater"):
        lt.icc(data.assign(AVAL=np.nan), rater="RATER")


@pytest.mark.slow
def test_icc_limits_cover_95_percent() -> None:
    rng = np.random.default_rng(8)
    hits = np.zeros(3)
    for _ in range(800):
        y = rng.normal(size=(20, 1)) + rng.normal(size=(20, 3)) * 0.7
        table = lt.icc(long(y), rater="RATER").table.head(3)
        truth = 1 / 1.49
        hits += ((table["conf_low"] <= truth) & (truth <= table["conf_high"])).to_numpy()
    assert (np.abs(hits / 800 - 0.95) < 0.025).all()


# Bland-Altman


def test_bland_altman_equals_r(shared_data: Path, reference: Path) -> None:
    data = pd.read_csv(shared_data / "tab_liver_other_trials" / "texmex_liver.csv")
    r = pd.read_csv(reference / "agreement_bland_altman.csv")
    ours = lt.bland_altman(data, method_1="ALP.M", method_2="ALP.B").table
    check(ours, r, "quantity", ["estimate", "conf_low", "conf_high", "p_value"], NONCENTRAL)


def test_published_peak_flow_example() -> None:
    data = pd.DataFrame({"large": LARGE, "mini": MINI})
    table = lt.bland_altman(data, method_1="large", method_2="mini").table.set_index("quantity")
    assert table.loc["bias", "estimate"] == pytest.approx(-2.1, abs=0.05)
    assert table.loc["standard deviation", "estimate"] == pytest.approx(38.8, abs=0.05)
    assert table.loc["bias", "conf_low"] == pytest.approx(-22.0, abs=0.1)
    assert table.loc["bias", "conf_high"] == pytest.approx(17.8, abs=0.1)
    # the article has -79.7 and 75.5 from 2 SD; ours are 1.96 SD
    assert table.loc["lower limit", "estimate"] == pytest.approx(
        -2.1176 - 1.95996 * 38.7651, abs=0.01
    )


def test_exact_limits_hold_the_stated_quantile() -> None:
    rng = np.random.default_rng(2)
    hits, runs = 0, 800
    for _ in range(runs):
        d = rng.normal(1, 2, 12)
        data = pd.DataFrame({"a": d, "b": 0.0})
        row = lt.bland_altman(data, method_1="a", method_2="b").table.iloc[2]
        hits += row["conf_low"] <= 1 + 1.959964 * 2 <= row["conf_high"]
    assert abs(hits / runs - 0.95) < 0.025


def test_swapping_methods_negates_bias_and_limits() -> None:
    data = pd.DataFrame({"a": LARGE, "b": MINI})
    one = lt.bland_altman(data, method_1="a", method_2="b").table.set_index("quantity")
    two = lt.bland_altman(data, method_1="b", method_2="a").table.set_index("quantity")
    assert one.loc["bias", "estimate"] == pytest.approx(-two.loc["bias", "estimate"])
    assert one.loc["lower limit", "conf_low"] == pytest.approx(
        -two.loc["upper limit", "conf_high"]
    )


def test_percent_differences_ignore_the_unit() -> None:
    data = pd.DataFrame({"a": LARGE, "b": MINI})
    options = {"method_1": "a", "method_2": "b", "scale": "percent"}
    one, two = (lt.bland_altman(frame, **options).table for frame in (data, data * 60))
    np.testing.assert_allclose(one["estimate"].head(4), two["estimate"].head(4))


def test_one_pair_has_a_bias_only() -> None:
    result = lt.bland_altman(pd.DataFrame({"a": [3.0], "b": [1.0]}), method_1="a", method_2="b")
    assert result.table["estimate"].iloc[0] == 2
    assert result.table["estimate"].iloc[1:].isna().all()
    assert "one pair" in result.notes[-1]


def test_equal_methods_have_limits_of_zero_width() -> None:
    data = pd.DataFrame({"a": [3.0, 3, 3], "b": [3.0, 3, 3]})
    table = lt.bland_altman(data, method_1="a", method_2="b").table
    np.testing.assert_allclose(table["estimate"].head(4), 0)
    assert np.isnan(table["estimate"].iloc[4])


def test_pairs_with_a_gap_are_dropped_and_all_gaps_are_an_error() -> None:
    data = pd.DataFrame({"a": [*LARGE, np.nan], "b": [*MINI, 3]})
    assert "dropped 1 of 18" in lt.bland_altman(data, method_1="a", method_2="b").notes[0]
    with pytest.raises(DataError, match="no subject"):
        lt.bland_altman(data.assign(a=np.nan), method_1="a", method_2="b")


# kappa


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_kappa_equals_vcd(visits: pd.DataFrame, reference: Path, weights: str) -> None:
    r = pd.read_csv(reference / "agreement_kappa.csv").set_index("weights").loc[weights]
    wide = visits.query("visit <= 2").pivot_table(index="id", columns="visit", values="stage")
    wide.columns = ["first", "second"]
    ours = lt.weighted_kappa(wide, rater_1="first", rater_2="second", weights=weights).table
    assert ours["estimate"].item() == pytest.approx(r["estimate"], abs=1e-10)
    assert ours["std_error"].item() == pytest.approx(r["std_error"], abs=1e-10)


def test_hand_worked_kappa() -> None:
    a = [0] * 50 + [1] * 50
    b = [0] * 40 + [1] * 10 + [0] * 20 + [1] * 30
    ours = lt.weighted_kappa(
        pd.DataFrame({"a": a, "b": b}), rater_1="a", rater_2="b", weights="none"
    )
    # observed 0.7, by chance 0.5 x 0.6 + 0.5 x 0.4
    assert ours.table["estimate"].item() == pytest.approx(0.2 / 0.5)
    assert ours.table["observed"].item() == pytest.approx(0.7)


def test_an_unused_stage_keeps_its_place() -> None:
    data = pd.DataFrame({"a": [0, 1, 3, 3, 1, 0], "b": [0, 3, 3, 1, 1, 0]})
    implied = lt.weighted_kappa(data, rater_1="a", rater_2="b")
    given_scale = lt.weighted_kappa(data, rater_1="a", rater_2="b", levels=[0, 1, 2, 3, 4])
    squeezed = lt.weighted_kappa(data.replace(3, 2), rater_1="a", rater_2="b")
    assert implied.table["estimate"].item() == pytest.approx(given_scale.table["estimate"].item())
    assert implied.table["estimate"].item() != pytest.approx(squeezed.table["estimate"].item())


def test_swapping_raters_changes_nothing() -> None:
    data = pd.DataFrame({"a": [0, 1, 3, 3, 1, 0], "b": [0, 3, 3, 1, 2, 1]})
    one = lt.weighted_kappa(data, rater_1="a", rater_2="b").table
    two = lt.weighted_kappa(data.iloc[::-1], rater_1="b", rater_2="a").table
    np.testing.assert_allclose(one["estimate"], two["estimate"])
    np.testing.assert_allclose(one["std_error"], two["std_error"])


def test_jackknife_limits_leave_subjects_out_one_by_one_and_stay_below_one() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(0, 4, 24)
    data = pd.DataFrame({"a": first, "b": np.clip(first + (rng.random(24) < 0.15), 0, 3)})
    call = {"rater_1": "a", "rater_2": "b", "levels": [0, 1, 2, 3]}
    wald = lt.weighted_kappa(data, **call).table.iloc[0]
    found = lt.weighted_kappa(data, **call, limits="jackknife").table.iloc[0]
    each = [
        lt.weighted_kappa(data.drop(row), **call).table["estimate"].item() for row in data.index
    ]
    error = np.sqrt(23 / 24 * ((each - np.mean(each)) ** 2).sum())
    half = stats.t.ppf(0.975, 23) * error / (1 - wald["estimate"] ** 2)
    z = np.arctanh(wald["estimate"])
    assert found["conf_low"] == pytest.approx(np.tanh(z - half), rel=1e-10)
    assert found["conf_high"] == pytest.approx(np.tanh(z + half), rel=1e-10)
    assert found["conf_high"] < 1
    assert found["estimate"] == wald["estimate"]
    same = pd.DataFrame({"a": [0, 1, 2, 3], "b": [0, 1, 2, 3]})
    perfect = lt.weighted_kappa(same, **call, limits="jackknife").table.iloc[0]
    assert (perfect["conf_low"], perfect["conf_high"]) == (1, 1)
    with pytest.raises(lt.UsageError, match="wald or jackknife"):
        lt.weighted_kappa(data, **call, limits="exact")  # type: ignore[arg-type]


def test_perfect_kappa_is_one_and_one_score_is_nan() -> None:
    same = pd.DataFrame({"a": [0, 1, 2, 2], "b": [0, 1, 2, 2]})
    assert lt.weighted_kappa(same, rater_1="a", rater_2="b").table["estimate"].item() == 1
    flat = lt.weighted_kappa(same.assign(a=2, b=2), rater_1="a", rater_2="b")
    assert np.isnan(flat.table["estimate"].item())
    assert "no kappa" in flat.notes[-1]


def test_scores_off_the_scale_and_unknown_weights_are_errors() -> None:
    data = pd.DataFrame({"a": [0, 5], "b": [0, 1]})
    with pytest.raises(DataError, match="1 score"):
        lt.weighted_kappa(data, rater_1="a", rater_2="b", levels=[0, 1, 2])
    with pytest.raises(UsageError, match="quadratic"):
        lt.weighted_kappa(data, rater_1="a", rater_2="b", weights="cubic")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no subject"):
        lt.weighted_kappa(data.assign(a=np.nan), rater_1="a", rater_2="b")


# repeatability


def test_repeatability_equals_r(visits: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "agreement_repeatability.csv")
    ours = lt.repeatability(visits.query("day <= 365"), subject="id", value="albumin").table
    check(ours, r, "quantity", ["estimate", "conf_low", "conf_high", "df"], EXACT)


def test_hand_worked_repeatability() -> None:
    data = pd.DataFrame({"USUBJID": ["a", "a", "b", "b"], "AVAL": [9.0, 11, 20, 20]})
    table = lt.repeatability(data).table.set_index("quantity")
    # variances 2 and 0 with one df each; CVs sqrt(2)/10 and 0
    assert table.loc["within_sd", "estimate"] == pytest.approx(1)
    assert table.loc["repeatability_coefficient", "estimate"] == pytest.approx(2.7718, abs=1e-4)
    assert table.loc["within_cv", "estimate"] == pytest.approx(0.1)
    assert table.loc["mean", "estimate"] == pytest.approx(15)


def test_each_parameter_has_its_own_numbers() -> None:
    rng = np.random.default_rng(1)
    one = pd.DataFrame({"USUBJID": np.repeat(list("abcdef"), 2), "AVAL": rng.normal(9, 1, 12)})
    both = pd.concat(
        [one.assign(PARAMCD="TV01"), one.assign(PARAMCD="TV02", AVAL=one["AVAL"] * 3)]
    )
    table = lt.repeatability(both).table.pivot_table(
        index="quantity", columns="parameter", values="estimate"
    )
    assert table.loc["within_sd", "TV02"] == pytest.approx(3 * table.loc["within_sd", "TV01"])
    assert table.loc["within_cv", "TV02"] == pytest.approx(table.loc["within_cv", "TV01"])


def test_the_coefficient_holds_95_percent_of_noise_differences() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(50, 9, 4000)[:, None] + rng.normal(0, 2, (4000, 2))
    data = long(y)
    row = lt.repeatability(data).table.set_index("quantity").loc["repeatability_coefficient"]
    share = (np.abs(np.diff(y, axis=1)) < row["estimate"]).mean()
    assert share == pytest.approx(0.95, abs=0.01)


def test_subjects_measured_once_do_not_count_and_are_noted() -> None:
    data = pd.DataFrame({"USUBJID": ["a", "a", "b"], "AVAL": [1.0, 2, 3]})
    result = lt.repeatability(data)
    assert result.table["n"].unique().tolist() == [1]
    assert "1 subject(s) without two values" in result.notes[0]


def test_nobody_measured_twice_is_nan_with_a_note() -> None:
    result = lt.repeatability(pd.DataFrame({"USUBJID": ["a", "b"], "AVAL": [1.0, 2]}))
    assert result.table["estimate"].isna().all()
    assert "2 subject(s)" in result.notes[0]


def test_means_that_are_not_positive_have_no_coefficient_of_variation() -> None:
    data = pd.DataFrame({"USUBJID": ["a", "a", "b", "b"], "AVAL": [-1.0, 1, 3, 4]})
    result = lt.repeatability(data)
    table = result.table.set_index("quantity")["estimate"]
    assert np.isnan(table["within_cv"])
    assert not np.isnan(table["within_sd"])
    assert "no within_cv" in result.notes[-1]
