"""Properties and degenerate cases of the MMRM, on simulated trials."""

import joblib
import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result

VISITS = ["Week 4", "Week 12", "Week 24", "Week 48"]
FORMULA = "CHG ~ BASE + TRT01P * AVISIT + us(AVISIT | USUBJID)"
STRUCTURES = ("us", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "ad", "adh")


def trial(n: int = 60, *, seed: int = 5, missing: float = 0.15) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    scale = np.array([1.0, 1.3, 1.6, 2.0])
    factor = np.linalg.cholesky(np.outer(scale, scale) * 0.6**lag)
    base = rng.normal(20, 5, n)
    arm = np.arange(n) % 3
    y = rng.standard_normal((n, 4)) @ factor.T - 0.1 * base[:, None]
    y -= arm[:, None] * np.linspace(0.2, 1, 4)
    y[rng.random((n, 4)) < missing] = np.nan
    arms = np.array(["Placebo", "Low dose", "High dose"])[arm]
    frame = pd.DataFrame(
        {
            "USUBJID": np.repeat([f"S{i:03d}" for i in range(n)], 4),
            "TRT01P": np.repeat(arms, 4),
            "SEX": np.repeat(rng.choice(["F", "M"], n), 4),
            "AVISIT": pd.Categorical(np.tile(VISITS, n), VISITS),
            "DAY": np.tile([28.0, 84, 168, 336], n),
            "BASE": np.repeat(base, 4),
            "CHG": y.ravel(),
        }
    )
    frame["TRT01P"] = pd.Categorical(frame["TRT01P"], ["Placebo", "Low dose", "High dose"])
    return frame


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return trial()


def test_balanced_compound_symmetry_is_the_split_plot_anova() -> None:
    """Complete data: the visit contrasts of cs have the exact F of the ANOVA table."""
    complete = trial(30, missing=0)
    fit = lt.mmrm(complete, "CHG ~ TRT01P * AVISIT + cs(AVISIT | USUBJID)", df="kenward-roger")
    y = complete["CHG"].to_numpy().reshape(30, 4)
    arms = complete["TRT01P"].cat.codes.to_numpy().reshape(30, 4)[:, 0]
    cell = np.array([y[arms == a].mean(axis=0) for a in range(3)])
    centred = y - y.mean(axis=1, keepdims=True)
    fitted = (cell - cell.mean(axis=1, keepdims=True))[arms]
    within = ((centred - fitted) ** 2).sum() / ((30 - 3) * 3)
    interaction = cell - cell.mean(axis=1, keepdims=True) - cell.mean(axis=0) + cell.mean()
    F = 10 * (interaction**2).sum() / 6 / within
    row = fit.anova().set_index("term").loc["TRT01P:AVISIT"]
    assert row["statistic"] == pytest.approx(F, rel=1e-9)
    assert row["df"] == pytest.approx(27 * 3, rel=1e-7)


def test_one_visit_is_ancova(data: pd.DataFrame) -> None:
    last = data[data["AVISIT"] == "Week 48"]
    fit = lt.mmrm(last, "CHG ~ BASE + TRT01P + us(AVISIT | USUBJID)")
    ours = fit.contrasts(arm="TRT01P", reference="Placebo")
    ancova = lt.ancova(last, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo").table
    for column in ("estimate", "std_error", "df", "p_value", "conf_low"):
        np.testing.assert_allclose(ours[column], ancova[column], rtol=1e-8)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_order_of_rows_and_columns_changes_nothing(data: pd.DataFrame, structure: str) -> None:
    formula = FORMULA.replace("us(", f"{structure}(")
    shuffled = data.sample(frac=1, random_state=1)[data.columns[::-1]]
    before = shuffled.copy()
    a, b = lt.mmrm(data, formula), lt.mmrm(shuffled, formula)
    pd.testing.assert_frame_equal(a.coefficients, b.coefficients, check_exact=True)
    pd.testing.assert_frame_equal(shuffled, before)


def test_residuals_and_fitted_follow_the_rows_of_the_caller(data: pd.DataFrame) -> None:
    shuffled = data.sample(frac=1, random_state=2)
    fit = lt.mmrm(shuffled, FORMULA)
    observed = shuffled["CHG"].dropna().to_numpy()
    np.testing.assert_allclose(fit.fitted() + fit.residuals(), observed, atol=1e-12)
    assert fit.simulate(3, seed=1).shape == (len(observed), 3)
    assert np.array_equal(fit.simulate(2, seed=1), fit.simulate(2, seed=1))


def test_normalized_residuals_are_uncorrelated_with_variance_one() -> None:
    fit = lt.mmrm(trial(400, missing=0), FORMULA)
    white = fit.residuals("normalized").reshape(-1, 4)
    np.testing.assert_allclose(np.cov(white.T), np.eye(4), atol=0.03)


def test_change_of_unit_scales_everything(data: pd.DataFrame) -> None:
    a = lt.mmrm(data, FORMULA, df="kenward-roger")
    b = lt.mmrm(data.assign(CHG=1000 * data["CHG"] + 5), FORMULA, df="kenward-roger")
    np.testing.assert_allclose(
        b.coefficients["std_error"], 1000 * a.coefficients["std_error"], rtol=1e-7
    )
    np.testing.assert_allclose(b.coefficients["df"], a.coefficients["df"], rtol=1e-6)
    np.testing.assert_allclose(b.covariance, 1e6 * a.covariance, rtol=1e-6)
    p = len(a.coefficients)
    assert a.loglik - b.loglik == pytest.approx((a.n_obs - p) * np.log(1000), rel=1e-9)


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_other_coding_of_the_same_model_gives_the_same_inference(
    data: pd.DataFrame, df: str
) -> None:
    turned = data.assign(TRT01P=data["TRT01P"].cat.reorder_categories(
        ["High dose", "Placebo", "Low dose"]), BASE=data["BASE"] * 1e-3 - 7)  # fmt: skip
    call = {"arm": "TRT01P", "reference": "Placebo", "by": "AVISIT"}
    a = lt.mmrm(data, FORMULA, df=df).contrasts(**call).set_index(["AVISIT", "TRT01P"])
    b = lt.mmrm(turned, FORMULA, df=df).contrasts(**call).set_index(["AVISIT", "TRT01P"])
    for column in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(a[column], b[column].reindex(a.index), rtol=1e-6)


def test_swapping_the_reference_negates_the_difference(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, FORMULA)
    there = fit.contrasts(arm="TRT01P", reference="Placebo", by="AVISIT")
    back = fit.contrasts(arm="TRT01P", reference="High dose", by="AVISIT")
    a = there[there["TRT01P"] == "High dose"]["estimate"].to_numpy()
    b = back[back["TRT01P"] == "Placebo"]["estimate"].to_numpy()
    np.testing.assert_allclose(a, -b)


def test_both_kenward_rogers_agree_where_sigma_is_linear(
    data: pd.DataFrame,
) -> None:
    for structure in ("us", "cs", "toep"):
        formula = FORMULA.replace("us(", f"{structure}(")
        a = lt.mmrm(data, formula, df="kenward-roger")
        b = lt.mmrm(data, formula, df="kenward-roger-linear")
        np.testing.assert_allclose(
            a.coefficients["std_error"], b.coefficients["std_error"], rtol=1e-10
        )


def test_weights_of_one_and_a_constant_weight_give_the_same_errors(data: pd.DataFrame) -> None:
    a = lt.mmrm(data, FORMULA)
    b = lt.mmrm(data, FORMULA, weights=np.full(len(data), 4.0))
    np.testing.assert_allclose(a.coefficients["std_error"], b.coefficients["std_error"], rtol=1e-7)
    np.testing.assert_allclose(b.covariance, 4 * a.covariance, rtol=1e-6)
    assert a.loglik == pytest.approx(b.loglik, rel=1e-10)


def test_two_groups_with_separate_means_are_two_separate_fits(data: pd.DataFrame) -> None:
    two = data[data["TRT01P"] != "Low dose"]
    two = two.assign(TRT01P=two["TRT01P"].astype(str))
    both = lt.mmrm(two, "CHG ~ TRT01P * AVISIT + us(AVISIT | TRT01P / USUBJID)")
    apart = {
        arm: lt.mmrm(two[two["TRT01P"] == arm], "CHG ~ AVISIT + us(AVISIT | USUBJID)")
        for arm in ("High dose", "Placebo")
    }
    assert both.loglik == pytest.approx(sum(fit.loglik for fit in apart.values()), rel=1e-9)
    for arm, fit in apart.items():
        np.testing.assert_allclose(both.covariance[arm], fit.covariance, rtol=1e-6)
    means = both.lsmeans(["TRT01P", "AVISIT"]).set_index(["TRT01P", "AVISIT"])
    alone = apart["Placebo"].lsmeans("AVISIT").set_index("AVISIT")
    np.testing.assert_allclose(means.loc["Placebo", "df"], alone["df"], rtol=1e-6)


def test_ar1_and_spatial_exponential_agree_on_equally_spaced_visits(data: pd.DataFrame) -> None:
    spaced = data.assign(N=data["AVISIT"].cat.codes.astype(float))
    a = lt.mmrm(spaced, FORMULA.replace("us(", "ar1("), df="kenward-roger-linear")
    b = lt.mmrm(spaced, FORMULA.replace("us(AVISIT", "sp_exp(N"), df="kenward-roger-linear")
    assert a.loglik == pytest.approx(b.loglik, rel=1e-10)
    np.testing.assert_allclose(a.coefficients["std_error"], b.coefficients["std_error"], rtol=1e-6)
    np.testing.assert_allclose(a.covariance.to_numpy(), b.covariance.to_numpy(), rtol=1e-5)


def test_nested_structures_have_ordered_likelihoods(data: pd.DataFrame) -> None:
    value = {s: lt.mmrm(data, FORMULA.replace("us(", f"{s}(")).loglik for s in STRUCTURES}
    pairs = (
        ("ar1", "toep"), ("cs", "toep"), ("toep", "toeph"), ("toeph", "us"),
        ("ar1", "ad"), ("ad", "adh"), ("adh", "us"), ("csh", "toeph"),
    )  # fmt: skip
    for small, large in pairs:
        assert value[small] <= value[large] + 1e-8


def test_likelihood_ratio_comparison_of_covariances(data: pd.DataFrame) -> None:
    small, large = (lt.mmrm(data, FORMULA.replace("us(", f"{s}(")) for s in ("ar1h", "us"))
    table = lt.compare_covariances(small, large)
    assert table["statistic"].iloc[1] == pytest.approx(2 * (large.loglik - small.loglik))
    assert table["df"].iloc[1] == 10 - 5
    with pytest.raises(lt.UsageError, match="same records"):
        lt.compare_covariances(small, lt.mmrm(data.iloc[4:], FORMULA))


@pytest.mark.parametrize("optimizer", ["trust-exact", "bfgs", "nelder-mead"])
def test_every_optimizer_ends_at_the_same_place(data: pd.DataFrame, optimizer: str) -> None:
    formula = FORMULA.replace("us(", "ar1h(")
    a, b = lt.mmrm(data, formula), lt.mmrm(data, formula, optimizers=[optimizer])
    assert b.settings["optimizer"] == optimizer
    assert a.settings["optimizer"] == "newton"
    np.testing.assert_allclose(
        a.coefficients["estimate"], b.coefficients["estimate"], rtol=1e-7, atol=1e-9
    )


def test_conditional_prediction_of_complete_subjects_is_the_data(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, FORMULA)
    ours = fit.predict(data, conditional=True)
    seen = data["CHG"].notna()
    np.testing.assert_allclose(ours.loc[seen, "estimate"], data.loc[seen, "CHG"])
    assert (ours.loc[seen, "std_error"] == 0).all()
    assert (ours.loc[~seen, "std_error"] > 0.5).all()


def test_prediction_without_response_is_the_fitted_mean(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, FORMULA)
    new = data.drop(columns="CHG").head(8)
    a, b = fit.predict(new), fit.predict(new, conditional=True)
    np.testing.assert_allclose(a["estimate"], b["estimate"])
    assert (b["std_error"] > a["std_error"]).all()


def test_bootstrap_does_not_depend_on_workers_and_agrees_with_the_model() -> None:
    fit = lt.mmrm(trial(60, missing=0.05), "CHG ~ TRT01P + ar1(AVISIT | USUBJID)")
    one = fit.bootstrap(120, seed=3, strata="TRT01P")
    with joblib.parallel_config(backend="threading", n_jobs=2):
        two = fit.bootstrap(120, seed=3, strata="TRT01P")
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    ratio = one.std().to_numpy() / fit.coefficients["std_error"].to_numpy()
    assert (np.abs(np.log(ratio)) < 0.35).all()
    assert not one.isna().to_numpy().any()


def test_joint_test_of_one_row_is_the_squared_t(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, FORMULA, df="kenward-roger")
    row = np.zeros(len(fit.coefficients))
    row[1] = 1.0
    single, twice = fit.test(row).iloc[0], fit.test(np.vstack([row, 2 * row])).iloc[0]
    assert twice["df_num"] == 1
    assert twice["statistic"] == pytest.approx(single["statistic"] ** 2)
    assert twice["df"] == pytest.approx(single["df"])
    named = fit.test({"BASE": 1.0}).iloc[0]
    assert named["estimate"] == single["estimate"]


def test_average_over_visits_equals_the_overall_mean(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, FORMULA)
    by_visit = (
        fit.lsmeans(["TRT01P", "AVISIT"]).groupby("TRT01P", observed=True)["estimate"].mean()
    )
    overall = fit.lsmeans("TRT01P").set_index("TRT01P")["estimate"]
    np.testing.assert_allclose(by_visit.loc[overall.index], overall)


def test_arm_absent_at_a_visit_is_not_estimable_there(data: pd.DataFrame) -> None:
    gone = (data["TRT01P"] == "High dose") & (data["AVISIT"] == "Week 48")
    fit = lt.mmrm(data[~gone], FORMULA)
    assert any("aliased" in note and "Week 48" in note for note in fit.notes)
    table = fit.contrasts(arm="TRT01P", reference="Placebo", by="AVISIT")
    table = table.set_index(["AVISIT", "TRT01P"])["estimate"]
    assert np.isnan(table.loc[("Week 48", "High dose")])
    assert np.isfinite(table.drop(("Week 48", "High dose"))).all()


def test_visit_without_records_is_no_part_of_the_covariance(data: pd.DataFrame) -> None:
    blank = data.assign(CHG=data["CHG"].where(data["AVISIT"] != "Week 12"))
    fit = lt.mmrm(blank, FORMULA)
    assert list(fit.covariance.columns) == ["Week 4", "Week 24", "Week 48"]


def test_fallback_order_is_followed_and_recorded(data: pd.DataFrame) -> None:
    apart = data[~((data["AVISIT"] == "Week 4") & (data.index % 8 < 4))]
    apart = apart[~((apart["AVISIT"] == "Week 48") & (apart.index % 8 >= 4))]
    with pytest.raises(lt.DataError, match="Week 48 and Week 4"):
        lt.mmrm(apart, FORMULA)
    fit = lt.mmrm(apart, FORMULA, fallback=["toeph", "csh"])
    assert fit.settings["covariance"] == "csh"
    assert fit.settings["covariance_asked"] == "us"
    assert any(note.startswith("fell back from us") for note in fit.notes)


@pytest.mark.parametrize(
    ("change", "formula", "error", "words"),
    [
        ({"CHG": 1.0}, FORMULA, lt.DataError, "zero residual variance"),
        ({"CHG": np.nan}, FORMULA, lt.DataError, "no row of 240"),
        ({"USUBJID": "S001"}, FORMULA, lt.DataError, "duplicated record"),
        ({}, "CHG ~ BASE + TRT01P", lt.UsageError, "0 covariance terms"),
        ({}, "CHG ~ BASE + usx(AVISIT | USUBJID)", lt.UsageError, "usx"),
        ({}, "CHG ~ BASE + us(AVISIT, DAY | USUBJID)", lt.UsageError, "one visit column"),
        ({}, "CHG ~ BASE + us(AVISIT | SEX / TRT01P / USUBJID)", lt.UsageError, "group / subject"),
        ({}, "CHG ~ BASE + us(AVISIT | PATIENT)", lt.DataError, "PATIENT"),
        ({}, "CHG ~ 0 + us(AVISIT | USUBJID)", lt.UsageError, "no fixed effect"),
    ],
)
def test_errors_say_what_is_wrong(
    data: pd.DataFrame,
    change: dict[str, object],
    formula: str,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        lt.mmrm(data.assign(**change), formula)


def test_errors_name_no_subject(data: pd.DataFrame) -> None:
    with pytest.raises(lt.DataError) as caught:
        lt.mmrm(pd.concat([data, data.head(3)]), FORMULA)
    assert "S0" not in str(caught.value)


def test_one_record_per_subject_needs_another_method(data: pd.DataFrame) -> None:
    single = data.dropna().groupby("USUBJID").sample(1, random_state=1)
    for structure in ("ar1", "csh", "toep"):
        with pytest.raises(lt.DataError, match="no subject has more than one record"):
            lt.mmrm(single, FORMULA.replace("us(", f"{structure}("))


def test_changing_group_within_a_subject_is_an_error(data: pd.DataFrame) -> None:
    mixed = data.assign(G=np.where(data.index % 4 == 0, "a", "b"))
    with pytest.raises(lt.DataError, match="not constant"):
        lt.mmrm(mixed, "CHG ~ AVISIT + us(AVISIT | G / USUBJID)")


@pytest.mark.parametrize("weights", [-1.0, 0.0])
def test_weights_must_be_above_zero(data: pd.DataFrame, weights: float) -> None:
    with pytest.raises(lt.DataError, match="above zero"):
        lt.mmrm(data.assign(W=weights), FORMULA, weights="W")


@pytest.mark.parametrize(
    "call", [{"df": "kenward-roger", "method": "ml"}, {"df": "kenward-roger", "vcov": "CR2"},
             {"df": "normal"}, {"vcov": "CR9"}, {"method": "mle"}, {"optimizers": ["adam"]}],
)  # fmt: skip
def test_options_that_make_no_sense_are_errors(
    data: pd.DataFrame, call: dict[str, object]
) -> None:
    with pytest.raises(lt.UsageError):
        lt.mmrm(data, FORMULA, **call)


def test_ard_gives_every_frame_of_a_comparison_back(data: pd.DataFrame) -> None:
    result = lt.mmrm(data, FORMULA).compare(arm="TRT01P", reference="Placebo", by="AVISIT")
    again = ard_result(result.to_ard(analysis="primary"))
    for name, frame in result.frames().items():
        stored = again.frames[name][frame.columns]
        for column in frame:
            if pd.api.types.is_numeric_dtype(frame[column]):
                np.testing.assert_array_equal(stored[column].astype(float), frame[column])
            else:
                assert stored[column].astype(str).tolist() == frame[column].astype(str).tolist()
    assert "High dose minus Placebo (Week 48)" in result.text


def test_coefficients_are_named_and_ordered_as_in_r(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, "CHG ~ SEX * AVISIT + BASE + ar1(AVISIT | USUBJID)")
    assert fit.coefficients["term"].tolist() == [
        "(Intercept)", "SEXM", "AVISITWeek 12", "AVISITWeek 24", "AVISITWeek 48", "BASE",
        "SEXM:AVISITWeek 12", "SEXM:AVISITWeek 24", "SEXM:AVISITWeek 48",
    ]  # fmt: skip


def test_visits_on_very_different_scales_give_the_same_tests(data: pd.DataFrame) -> None:
    """An unstructured covariance has no common scale: each visit may have its own unit."""
    unit = data["AVISIT"].map({"Week 4": 1.0, "Week 12": 1e-2, "Week 24": 10, "Week 48": 100})
    formula = "CHG ~ TRT01P * AVISIT + us(AVISIT | USUBJID)"
    call = {"arm": "TRT01P", "reference": "Placebo", "by": "AVISIT"}
    a = lt.mmrm(data, formula).contrasts(**call)
    b = lt.mmrm(data.assign(CHG=data["CHG"] * unit.astype(float)), formula).contrasts(**call)
    np.testing.assert_allclose(a["statistic"], b["statistic"], rtol=1e-6)
    np.testing.assert_allclose(a["df"], b["df"], rtol=1e-5)
