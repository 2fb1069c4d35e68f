"""Events: Kaplan-Meier, log-rank, Cox, restricted means, competing risks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter

import livertrack as lt
from livertrack.endpoints._events import is_event
from livertrack.errors import DataError, UsageError

# Deterministic formulas on the same data: agreement to rounding.
EXACT = 1e-10
# Iterated fits, both at their tightest stopping rule.
FITTED = 1e-7


@pytest.fixture(scope="module")
def pbc(shared_data: Path) -> pd.DataFrame:
    """The 312 randomised subjects; the event is death."""
    frame = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbc.csv").dropna(subset=["trt"])
    return frame.assign(
        TRT01P=frame["trt"].astype(int).astype(str),
        AVAL=frame["time"],
        CNSR=(frame["status"] != 2).astype(int),
        QUARTERS=np.ceil(frame["time"] / 91.3125),
        EDEMA=frame["edema"].astype(str),
        CAUSE=frame["status"].map({1: "transplant", 2: "death"}),
    )


@pytest.fixture(scope="module")
def waiting(shared_data: Path) -> pd.DataFrame:
    """Subjects on the transplant waiting list; death, transplant and withdrawal compete."""
    frame = pd.read_csv(shared_data / "tab_r_survival_liver" / "transplant.csv")
    return frame.assign(
        TRT01P=frame["abo"],
        AVAL=frame["futime"],
        CNSR=(frame["event"] == "censored").astype(int),
        CAUSE=frame["event"].map({"death": "1", "ltx": "2", "withdraw": "3"}),
    )


def trial(seed: int = 1, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "USUBJID": [f"S{i}" for i in range(n)],
            "TRT01P": np.repeat(["Active", "Placebo"], n // 2),
            "AVAL": np.ceil(rng.exponential(20, n)),
            "CNSR": rng.integers(0, 2, n),
            "AGE": rng.normal(50, 9, n),
            "CAUSE": rng.choice(["liver", "other"], n),
        }
    )


def column(frame: pd.DataFrame, name: str) -> np.ndarray:
    return pd.to_numeric(frame[name]).to_numpy(float)


# the event flag


def test_cnsr_zero_is_the_event() -> None:
    assert is_event(np.array([0.0, 1.0, 2.0, 0.0])).tolist() == [True, False, False, True]


def test_events_of_every_function_count_cnsr_zero() -> None:
    data = trial().assign(CNSR=lambda d: [0] * 10 + [1] * (len(d) - 10))
    assert lt.kaplan_meier(data).table["events"].sum() == 10
    assert lt.log_rank(data).table["events"].item() == 10
    mixed = trial().assign(CNSR=lambda d: [0, 1, 1, 1, 1, 1] * (len(d) // 6))
    assert lt.cox(mixed, "TRT01P").table["events"].iloc[0] == 10


@pytest.mark.parametrize("value", [-1, 0.5])
def test_a_flag_that_is_no_whole_number_is_an_error(value: float) -> None:
    data = trial().astype({"CNSR": float})
    data.loc[3, "CNSR"] = value
    with pytest.raises(DataError, match="CNSR: 1 cell"):
        lt.kaplan_meier(data)


def test_negative_times_are_an_error_with_their_count() -> None:
    data = trial()
    data.loc[[1, 2], "AVAL"] = -3
    with pytest.raises(DataError, match="2 negative"):
        lt.rmst(data, reference="Placebo", tau=10)


def test_two_rows_of_a_subject_are_an_error() -> None:
    data = pd.concat([trial(), trial().head(2)])
    with pytest.raises(DataError, match="2 duplicated"):
        lt.log_rank(data)


def test_missing_times_are_dropped_and_counted() -> None:
    data = trial()
    data.loc[[0, 5, 9], "AVAL"] = np.nan
    result = lt.kaplan_meier(data)
    assert result.table["n"].sum() == 57
    assert "dropped 3 of 60" in result.notes[0]


# Kaplan-Meier


def test_curve_equals_r(pbc: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "survival_km_curve.csv", dtype={"arm": str})
    ours = lt.kaplan_meier(pbc).curve
    assert ours["arm"].tolist() == r["arm"].tolist()
    for name in ("time", "n_risk", "n_event", "n_censor", "estimate", "std_error"):
        np.testing.assert_allclose(ours[name], r[name], atol=EXACT)
    inside = r["conf_low"].notna()
    for name in ("conf_low", "conf_high"):
        np.testing.assert_allclose(ours[name][inside], r[name][inside], atol=EXACT)


def test_medians_and_their_limits_equal_r(pbc: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "survival_km_median.csv")
    ours = pd.concat(
        [lt.kaplan_meier(pbc).table, lt.kaplan_meier(pbc, arm="stage").table], ignore_index=True
    )
    for name in ("n", "events", "median", "conf_low", "conf_high"):
        np.testing.assert_allclose(column(ours, name), column(r, name), atol=EXACT)


def test_numbers_at_risk_equal_r(pbc: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "survival_km_at.csv", dtype={"arm": str})
    ours = lt.kaplan_meier(pbc, times=[0, 500, 1000, 2000, 4000]).at_risk
    np.testing.assert_array_equal(ours["n_risk"], r["n_risk"])
    np.testing.assert_allclose(ours["estimate"], r["estimate"], atol=EXACT)


def test_curve_equals_lifelines() -> None:
    data = trial(4)
    ours = lt.kaplan_meier(data).curve
    for arm, part in data.groupby("TRT01P"):
        fitter = KaplanMeierFitter().fit(part["AVAL"], part["CNSR"] == 0)
        mine = ours[ours["arm"] == arm]
        theirs = fitter.survival_function_["KM_estimate"].reindex(mine["time"])
        np.testing.assert_allclose(mine["estimate"], theirs, atol=EXACT)


def test_hand_worked_curve() -> None:
    data = pd.DataFrame({"TRT01P": "A", "AVAL": [1, 2, 2, 3, 4], "CNSR": [0, 0, 1, 0, 1]})
    result = lt.kaplan_meier(data, times=[0, 2, 2.5, 9])
    # at risk 5, 4, 2, 1: 4/5, 4/5 x 3/4, 4/5 x 3/4 x 1/2
    np.testing.assert_allclose(result.curve["estimate"], [0.8, 0.6, 0.3, 0.3])
    assert result.table["median"].item() == 3
    assert result.at_risk["n_risk"].tolist() == [5, 4, 2, 0]
    assert result.at_risk["events"].tolist() == [0, 2, 2, 3]
    assert result.at_risk["estimate"].isna().tolist() == [False, False, False, True]


def test_median_of_a_flat_half_is_its_middle() -> None:
    data = pd.DataFrame({"TRT01P": "A", "AVAL": [1, 2, 6, 9], "CNSR": 0})
    assert lt.kaplan_meier(data).table["median"].item() == 4


def test_no_event_gives_no_median_and_a_note() -> None:
    result = lt.kaplan_meier(trial().assign(CNSR=1))
    assert result.table["median"].isna().all()
    assert (result.curve["estimate"] == 1).all()
    assert "no event in Active, Placebo" in result.notes


def test_all_events_bring_the_curve_to_zero() -> None:
    result = lt.kaplan_meier(trial().assign(CNSR=0))
    last = result.curve.groupby("arm")["estimate"].last()
    np.testing.assert_allclose(last, 0, atol=1e-15)


def test_one_subject_per_arm_is_a_curve() -> None:
    data = pd.DataFrame({"TRT01P": ["A", "B"], "AVAL": [3, 5], "CNSR": [0, 1]})
    table = lt.kaplan_meier(data).table
    assert table["median"].iloc[0] == 3
    assert np.isnan(table["median"].iloc[1])


def test_no_subject_is_an_error() -> None:
    with pytest.raises(DataError, match="no subject"):
        lt.kaplan_meier(trial().assign(AVAL=np.nan))


def test_missing_columns_are_named_together() -> None:
    with pytest.raises(DataError, match="AVAL, CNSR"):
        lt.kaplan_meier(trial().drop(columns=["AVAL", "CNSR"]))


@given(st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_row_and_column_order_change_nothing(seed: int) -> None:
    data = trial(3)
    shuffled = data.sample(frac=1, random_state=seed)[data.columns[::-1]]
    for function, options in (
        (lt.kaplan_meier, {}),
        (lt.log_rank, {}),
        (lt.rmst, {"reference": "Placebo", "tau": 20.0}),
        (lt.cumulative_incidence, {}),
    ):
        first, second = function(data, **options), function(shuffled, **options)
        for name, frame in first.frames().items():
            pd.testing.assert_frame_equal(frame, second.frames()[name])


# log-rank


@pytest.mark.parametrize(
    ("test", "arm", "strata"),
    [
        ("arm", "TRT01P", None),
        ("arm_by_stage", "TRT01P", "stage"),
        ("stage", "stage", None),
        ("stage_by_sex", "stage", ["sex"]),
    ],
)
def test_log_rank_equals_r(
    pbc: pd.DataFrame, reference: Path, test: str, arm: str, strata: str | None
) -> None:
    r = pd.read_csv(reference / "survival_logrank.csv").set_index("test").loc[test]
    result = lt.log_rank(pbc, arm=arm, strata=strata)
    assert result.table["statistic"].item() == pytest.approx(r["statistic"], abs=1e-9)
    assert result.table["df"].item() == r["df"]
    assert result.observed["observed"].iloc[0] == r["observed1"]
    assert result.observed["expected"].iloc[0] == pytest.approx(r["expected1"], abs=1e-9)


def test_hand_worked_log_rank() -> None:
    data = pd.DataFrame(
        {"TRT01P": ["A", "B", "A", "B"], "AVAL": [1, 2, 3, 4], "CNSR": [0, 0, 0, 0]}
    )
    # expected in A: 2/4 + 1/3 + 1/2 + 0; variance 1/4 + 2/9 + 1/4 + 0
    result = lt.log_rank(data)
    expected = 0.5 + 1 / 3 + 0.5
    assert result.observed["expected"].iloc[0] == pytest.approx(expected)
    assert result.table["statistic"].item() == pytest.approx((2 - expected) ** 2 / (0.5 + 2 / 9))


def test_constant_stratum_changes_nothing() -> None:
    data = trial().assign(S="x")
    plain, stratified = lt.log_rank(data), lt.log_rank(data, strata="S")
    assert plain.table["statistic"].item() == pytest.approx(stratified.table["statistic"].item())


@pytest.mark.parametrize(
    "data",
    [trial().assign(CNSR=1), trial().query("TRT01P == 'Active'")],
    ids=["no event", "empty arm"],
)
def test_a_test_that_cannot_be_made_is_nan_with_a_note(data: pd.DataFrame) -> None:
    result = lt.log_rank(data)
    assert result.table["df"].item() == 0
    assert np.isnan(result.table["p_value"].item())
    assert "no test" in result.notes[-1]


# Cox


@pytest.mark.parametrize(
    ("model", "ties", "time", "formula", "strata"),
    [
        ("days", "efron", "AVAL", "TRT01P + age + EDEMA + log(bili)", None),
        ("quarters", "efron", "QUARTERS", "TRT01P + age + EDEMA + log(bili)", None),
        ("quarters", "breslow", "QUARTERS", "TRT01P + age + EDEMA + log(bili)", None),
        ("strata", "efron", "QUARTERS", "age + log(bili)", "EDEMA"),
    ],
)
def test_cox_equals_r(
    pbc: pd.DataFrame, reference: Path, model: str, ties: str, time: str, formula: str, strata: str
) -> None:
    query = f"model == '{model}' and ties == '{ties}'"
    r = pd.read_csv(reference / "survival_cox.csv").query(query)
    zph = pd.read_csv(reference / "survival_cox_zph.csv").query(query)
    result = lt.cox(pbc, formula, time=time, ties=ties, strata=strata)
    for name in ("estimate", "std_error", "p_value"):
        np.testing.assert_allclose(result.table[name], r[name], rtol=FITTED, atol=1e-9)
    assert result.fit["loglik"].iloc[0] == pytest.approx(r["loglik"].iloc[0], abs=1e-7)
    np.testing.assert_allclose(
        result.fit["statistic"], r[["lr", "wald", "score"]].iloc[0], rtol=1e-7
    )
    for name in ("statistic", "df", "p_value"):
        np.testing.assert_allclose(result.proportional_hazards[name], zph[name], rtol=1e-6)


def test_swapping_the_reference_inverts_the_hazard_ratio() -> None:
    data = trial(7)
    other = data.assign(TRT01P=pd.Categorical(data["TRT01P"], categories=["Placebo", "Active"]))
    one, two = lt.cox(data, "TRT01P").table, lt.cox(other, "TRT01P").table
    assert one["hazard_ratio"].item() == pytest.approx(1 / two["hazard_ratio"].item())
    assert one["hazard_ratio_low"].item() == pytest.approx(1 / two["hazard_ratio_high"].item())


def test_score_test_of_one_binary_term_is_the_log_rank_test_without_ties() -> None:
    data = trial(9).assign(AVAL=lambda d: d["AVAL"] + np.arange(len(d)) * 1e-4)
    score = lt.cox(data, "TRT01P").fit.set_index("term").loc["score", "statistic"]
    assert score == pytest.approx(lt.log_rank(data).table["statistic"].item(), rel=1e-8)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (trial().assign(CNSR=1), "no event"),
        (trial().assign(CNSR=lambda d: (d["TRT01P"] == "Active").astype(int)), "did not converge"),
        (trial().assign(TRT01P="Active"), "do not vary"),
        (trial().assign(AGE=np.nan), "no event among 0"),
    ],
    ids=["no event", "no event in one arm", "one arm", "all missing"],
)
def test_a_hazard_ratio_that_does_not_exist_is_an_error(data: pd.DataFrame, match: str) -> None:
    with pytest.raises(DataError, match=match):
        lt.cox(data, "TRT01P + AGE" if data["AGE"].isna().any() else "TRT01P")


def test_unknown_ties_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="efron"):
        lt.cox(trial(), "TRT01P", ties="exact")  # type: ignore[arg-type]


# restricted mean


@pytest.mark.parametrize("tau", [1000, 2000, 4000])
def test_restricted_mean_equals_r(pbc: pd.DataFrame, reference: Path, tau: float) -> None:
    r = pd.read_csv(reference / "survival_rmst.csv").query(f"tau == {tau}")
    result = lt.rmst(pbc, reference="1", tau=tau)
    for name in ("estimate", "std_error"):
        np.testing.assert_allclose(result.table[name], r[name], rtol=EXACT)
    contrast = result.contrasts.iloc[0]
    assert contrast["estimate"] == pytest.approx(np.diff(r["estimate"]).item())
    assert contrast["std_error"] == pytest.approx(np.hypot(*r["std_error"]))


def test_restricted_mean_without_censoring_is_the_mean_of_the_shorter_time() -> None:
    data = trial(2).assign(CNSR=0)
    result = lt.rmst(data, reference="Placebo", tau=25).table.set_index("arm")
    for arm, part in data.groupby("TRT01P"):
        shorter = part["AVAL"].clip(upper=25)
        assert result.loc[arm, "estimate"] == pytest.approx(shorter.mean())
        naive = shorter.std(ddof=0) / np.sqrt(len(shorter))
        assert result.loc[arm, "std_error"] == pytest.approx(naive)


def test_swapping_arms_negates_the_difference_and_inverts_the_ratio() -> None:
    one = lt.rmst(trial(), reference="Placebo", tau=15).contrasts.set_index("measure")
    two = lt.rmst(trial(), reference="Active", tau=15).contrasts.set_index("measure")
    assert one.loc["difference", "estimate"] == pytest.approx(-two.loc["difference", "estimate"])
    assert one.loc["ratio", "conf_low"] == pytest.approx(1 / two.loc["ratio", "conf_high"])


def test_follow_up_shorter_than_tau_is_nan_with_a_note() -> None:
    data = pd.DataFrame({"TRT01P": ["A"] * 3 + ["B"] * 3, "AVAL": [1, 2, 3, 4, 8, 9]})
    result = lt.rmst(data.assign(CNSR=[0, 1, 1, 0, 0, 1]), reference="B", tau=8)
    assert result.table.set_index("arm")["estimate"].isna().to_dict() == {"A": True, "B": False}
    assert result.contrasts["p_value"].isna().all()
    assert "A: follow-up ends at 3" in result.notes[0]


def test_absent_reference_is_an_error() -> None:
    with pytest.raises(DataError, match="does not occur"):
        lt.rmst(trial(), reference="Sham", tau=5)


def test_reference_alone_has_no_contrast() -> None:
    result = lt.rmst(trial().query("TRT01P == 'Placebo'"), reference="Placebo", tau=5)
    assert result.contrasts.empty
    assert "no arm besides" in result.notes[-1]


@pytest.mark.slow
def test_restricted_mean_limits_cover_95_percent() -> None:
    rng = np.random.default_rng(11)
    truth = 10 * (1 - np.exp(-15 / 10))
    hits = 0
    for _ in range(2000):
        t, c = rng.exponential(10, 100), rng.uniform(5, 40, 100)
        data = pd.DataFrame({"AVAL": np.minimum(t, c), "CNSR": (t > c).astype(int), "TRT01P": "A"})
        row = lt.rmst(data, reference="A", tau=15).table.iloc[0]
        hits += row["conf_low"] <= truth <= row["conf_high"]
    assert abs(hits / 2000 - 0.95) < 0.015


# competing risks


def test_incidence_and_its_standard_error_equal_cmprsk(
    pbc: pd.DataFrame, waiting: pd.DataFrame, reference: Path
) -> None:
    r = pd.read_csv(reference / "survival_cuminc.csv")
    names = {"pbc": {"1": "transplant", "2": "death"}, "transplant": {c: c for c in "123"}}
    for (data, group), part in r.groupby(["data", "group"]):
        arm, cause = group.split()
        curve = lt.cumulative_incidence(
            (pbc if data == "pbc" else waiting).assign(
                CNSR=lambda d: d["CAUSE"].isna().astype(int)
            )
        ).curve
        mine = curve[(curve["arm"] == arm) & (curve["cause"] == names[data][cause])]
        at = mine.set_index("time").sort_index()
        for row in part.dropna().to_dict("records"):
            last = at.loc[: row["time"]].iloc[-1]
            assert last["estimate"] == pytest.approx(row["estimate"], abs=EXACT)
            assert last["std_error"] == pytest.approx(row["std_error"], abs=1e-8)


@pytest.mark.parametrize("name", ["transplant", "transplant_by_sex", "pbc"])
def test_gray_equals_cmprsk(
    pbc: pd.DataFrame, waiting: pd.DataFrame, reference: Path, name: str
) -> None:
    r = pd.read_csv(reference / "survival_gray.csv").query(f"data == '{name}'")
    data = (pbc if name == "pbc" else waiting).assign(CNSR=lambda d: d["CAUSE"].isna().astype(int))
    ours = lt.cumulative_incidence(data, strata="sex" if "sex" in name else None).tests
    if name == "pbc":
        ours = ours.iloc[::-1]
    np.testing.assert_allclose(ours["statistic"], r["stat"], rtol=1e-8)
    np.testing.assert_allclose(ours["df"], r["df"])


def test_incidences_and_survival_sum_to_one() -> None:
    data = trial(5)
    curve = lt.cumulative_incidence(data).curve.groupby(["arm", "time"])["estimate"].sum()
    free = lt.kaplan_meier(data).curve.set_index(["arm", "time"])["estimate"]
    np.testing.assert_allclose(curve, 1 - free.reindex(curve.index), atol=1e-12)


def test_a_single_cause_is_one_minus_kaplan_meier_and_its_test_is_defined() -> None:
    data = trial(5).assign(CAUSE="any")
    result = lt.cumulative_incidence(data)
    last = lt.kaplan_meier(data).curve.groupby("arm")["estimate"].last()
    np.testing.assert_allclose(result.table.set_index("arm")["estimate"], 1 - last)
    assert result.tests["df"].item() == 1


def test_an_event_without_cause_is_dropped_and_counted() -> None:
    data = trial(5)
    first = data.index[data["CNSR"] == 0][:2]
    data.loc[first, "CAUSE"] = None
    result = lt.cumulative_incidence(data)
    assert "dropped 2 of 60" in result.notes[0]
    assert result.table.drop_duplicates("arm")["n"].sum() == 58


def test_one_arm_has_incidences_but_no_test() -> None:
    result = lt.cumulative_incidence(trial().query("TRT01P == 'Active'"))
    assert result.tests.empty
    assert "no test" in result.notes[-1]


def test_an_incidence_without_events_is_an_error() -> None:
    with pytest.raises(DataError, match="no event"):
        lt.cumulative_incidence(trial().assign(CNSR=1))


def test_results_go_to_ard_and_back() -> None:
    from livertrack._results import ard_result

    result = lt.cumulative_incidence(trial())
    back = ard_result(result.to_ard(analysis="x"))
    np.testing.assert_allclose(back.frames["curve"]["estimate"], result.curve["estimate"])
    assert back.text == result.text


def test_numbers_at_risk_of_an_incidence_are_those_of_kaplan_meier() -> None:
    rng = np.random.default_rng(6)
    data = pd.DataFrame({
        "USUBJID": [f"s{i}" for i in range(40)], "TRT01P": ["A", "B"] * 20,
        "AVAL": rng.integers(1, 300, 40).astype(float), "CNSR": rng.integers(0, 2, 40),
        "CAUSE": rng.choice(["x", "y"], 40),
    })  # fmt: skip
    incidence = lt.cumulative_incidence(data).at_risk
    curve = lt.kaplan_meier(data, times=sorted(incidence["time"].unique())).at_risk
    pd.testing.assert_frame_equal(incidence, curve[["arm", "time", "n_risk"]], check_dtype=False)
