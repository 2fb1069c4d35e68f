"""Reference-based imputation: identities, hand-computed conditional means, pooling as in mice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints._imputation_strategies import assumed_covariance, assumed_mean
from livertrack.endpoints._rubin import pool

VISITS = ["Week 4", "Week 12", "Week 24"]
MODEL = "CHG ~ BASE * AVISIT + TRT01P * AVISIT + us(AVISIT | USUBJID)"


def trial(n: int = 60, *, seed: int = 11) -> pd.DataFrame:
    """Monotone dropout, and a few holes."""
    rng = np.random.default_rng(seed)
    lag = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    factor = np.linalg.cholesky(0.7**lag)
    base = rng.normal(0, 1, n)
    arm = np.arange(n) % 2
    y = rng.standard_normal((n, 3)) @ factor.T + 0.5 * base[:, None]
    y -= arm[:, None] * np.array([0.4, 0.8, 1.2])
    last = np.where(rng.random(n) < 0.3, rng.integers(1, 3, n), 3)
    y[np.arange(3) >= last[:, None]] = np.nan
    y[0, 1] = np.nan
    return pd.DataFrame(
        {
            "USUBJID": np.repeat([f"S{i:03d}" for i in range(n)], 3),
            "TRT01P": np.repeat(np.where(arm, "Active", "Placebo"), 3),
            "AVISIT": np.tile(VISITS, n),
            "BASE": np.repeat(base, 3),
            "CHG": y.ravel(),
        }
    ).astype({"AVISIT": pd.CategoricalDtype(VISITS)})


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return trial()


def test_conditional_means_under_mar_give_the_mmrm_estimate(data: pd.DataFrame) -> None:
    """Least squares of the conditional means solves the likelihood equations of the MMRM."""
    fit = lt.mmrm(data, MODEL).contrasts(arm="TRT01P", reference="Placebo", by="AVISIT")
    table = lt.impute(data, reference="Placebo", draws="conditional-mean").analyse().table
    np.testing.assert_allclose(table["estimate"], fit["estimate"], rtol=1e-9)
    assert (np.abs(np.log(table["std_error"] / fit["std_error"])) < 0.2).all()


@pytest.mark.parametrize("draws", ["bayes", "bootstrap"])
def test_draws_under_mar_agree_with_the_mmrm(data: pd.DataFrame, draws: str) -> None:
    fit = lt.mmrm(data, MODEL).contrasts(arm="TRT01P", reference="Placebo", by="AVISIT")
    table = (
        lt.impute(data, reference="Placebo", draws=draws, n_imputations=60, seed=2).analyse().table
    )
    distance = (table["estimate"] - fit["estimate"]) / fit["std_error"]
    assert (np.abs(distance) < 0.25).all()
    assert (np.abs(np.log(table["std_error"] / fit["std_error"])) < 0.15).all()


def by_hand(data: pd.DataFrame, strategy: str, person: str) -> np.ndarray:
    """Conditional mean of the missing tail of a subject of the active arm, written out."""
    fit = lt.mmrm(data, MODEL)
    rows = data[data["USUBJID"] == person]
    own = fit.predict(rows)["estimate"].to_numpy()
    reference = fit.predict(rows.assign(TRT01P="Placebo"))["estimate"].to_numpy()
    y = rows["CHG"].to_numpy()
    seen = ~np.isnan(y)
    event = int(np.flatnonzero(seen).max()) + 1
    mean = own.copy()
    if strategy == "JR":
        mean[event:] = reference[event:]
    elif strategy == "CR":
        mean = reference
    elif strategy == "CIR":
        mean[event:] = own[event - 1] + (reference[event:] - reference[event - 1])
    elif strategy == "LMCF":
        mean[event:] = own[event - 1]
    S = fit.covariance.to_numpy()
    weight = S[np.ix_(~seen, seen)] @ np.linalg.inv(S[np.ix_(seen, seen)])
    return np.asarray(mean[~seen] + weight @ (y[seen] - mean[seen]))


@pytest.mark.parametrize("strategy", ["MAR", "JR", "CR", "CIR", "LMCF"])
def test_conditional_means_are_those_computed_by_hand(data: pd.DataFrame, strategy: str) -> None:
    tails = data[data["CHG"].isna() & (data["TRT01P"] == "Active")]
    tails = tails[tails["AVISIT"] == "Week 24"]["USUBJID"].unique()[:3]
    completed = lt.impute(
        data, reference="Placebo", draws="conditional-mean", strategy=strategy
    ).completed()
    assert len(tails) == 3
    for person in tails:
        missing = data[(data["USUBJID"] == person) & data["CHG"].isna()]["AVISIT"]
        ours = completed[completed["USUBJID"] == person].set_index("AVISIT")["CHG"][list(missing)]
        np.testing.assert_allclose(ours, by_hand(data, strategy, person), rtol=1e-8)


def test_strategies_on_a_worked_example() -> None:
    own, reference = np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 0.7])
    expected = {
        "MAR": [1, 2, 3], "JR": [1, 2, 0.7], "CR": [0, 0.5, 0.7], "CIR": [1, 2, 2.2],
        "LMCF": [1, 2, 2],
    }  # fmt: skip
    for strategy, mean in expected.items():
        np.testing.assert_allclose(assumed_mean(strategy, own, reference, 2), mean)
    np.testing.assert_allclose(assumed_mean("CIR", own, reference, 0), reference)


@pytest.mark.parametrize("assumption", ["MAR", "JR", "CR", "CIR", "LMCF"])
def test_without_an_event_every_assumption_is_the_own_arm(assumption: str) -> None:
    """Copy reference too: a hole in the record of a subject who stays is missing at random."""
    own, reference = np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 0.7])
    np.testing.assert_array_equal(assumed_mean(assumption, own, reference, 3), own)
    assert assumed_covariance(assumption, np.eye(3), 2 * np.eye(3), 3)[0, 0] == 1


def test_joined_covariance_keeps_both_halves() -> None:
    """Own covariance before the event, the reference's regression and remainder after it."""
    rng = np.random.default_rng(1)
    own, reference = (np.cov(rng.normal(size=(3, 30))) for _ in range(2))
    joined = assumed_covariance("JR", own, reference, 2)
    np.testing.assert_allclose(joined[:2, :2], own[:2, :2])
    np.testing.assert_allclose(
        joined[2:, :2] @ np.linalg.inv(joined[:2, :2]),
        reference[2:, :2] @ np.linalg.inv(reference[:2, :2]),
    )

    def left(S: np.ndarray) -> np.ndarray:
        return S[2:, 2:] - S[2:, :2] @ np.linalg.inv(S[:2, :2]) @ S[:2, 2:]

    np.testing.assert_allclose(left(joined), left(reference))
    assert np.linalg.eigvalsh(joined)[0] > 0


def test_pooling_agrees_with_mice(reference: Path) -> None:
    cases = [
        ([1.2, 0.9, 1.5, 1.1, 1.3], [0.04, 0.05, 0.045, 0.05, 0.04], 58),
        ([-2.1, -2.0, -2.2, -2.15, -2.05, -2.1], [0.3, 0.28, 0.31, 0.3, 0.29, 0.3], 116),
    ]
    numbers = pd.read_csv(reference / "rubin.csv")
    for (Q, U, df), (_, row) in zip(cases, numbers.iterrows(), strict=True):
        ours = pool(np.array(Q)[:, None], np.array(U)[:, None], df)
        assert ours.estimate[0] == pytest.approx(row["estimate"], rel=1e-10)
        assert ours.std_error[0] == pytest.approx(row["se"], rel=1e-10)
        assert ours.df[0] == pytest.approx(row["df"], rel=1e-10)
        assert ours.fraction_missing[0] == pytest.approx(row["share"], rel=1e-10)


def test_identical_imputations_pool_to_the_complete_data_answer() -> None:
    pooled = pool(np.full((5, 1), 2.0), np.full((5, 1), 0.25), 40.0)
    assert pooled.std_error[0] == pytest.approx(0.5)
    assert pooled.df[0] == pytest.approx(41 / 43 * 40)
    assert np.isnan(pool(np.ones((1, 1)), np.ones((1, 1)), 10.0).std_error[0])


def test_jumping_to_reference_shrinks_the_difference(data: pd.DataFrame) -> None:
    last = {
        s: abs(lt.impute(data, reference="Placebo", draws="conditional-mean", strategy=s)
               .completed().query("AVISIT == 'Week 24'").groupby("TRT01P")["CHG"].mean()
               .diff().iloc[1])
        for s in ("MAR", "CIR", "JR")
    }  # fmt: skip
    assert last["MAR"] > last["CIR"] > last["JR"]


def test_placebo_subjects_do_not_depend_on_the_strategy(data: pd.DataFrame) -> None:
    mar, jump = (
        lt.impute(data, reference="Placebo", draws="conditional-mean", strategy=s).completed()
        for s in ("MAR", "JR")
    )
    placebo = mar["TRT01P"] == "Placebo"
    np.testing.assert_allclose(mar.loc[placebo, "CHG"], jump.loc[placebo, "CHG"])


def test_observed_values_are_kept_in_every_data_set(data: pd.DataFrame) -> None:
    imputation = lt.impute(data, reference="Placebo", n_imputations=3, seed=1, strategy="JR")
    seen = data["CHG"].notna().to_numpy()
    for number in range(3):
        completed = imputation.completed(number)
        assert completed["CHG"].notna().all()
        np.testing.assert_array_equal(completed["CHG"][seen], data["CHG"][seen])


def test_same_seed_same_numbers_whatever_the_order_of_rows(data: pd.DataFrame) -> None:
    shuffled = data.sample(frac=1, random_state=4)
    before = shuffled.copy()
    call = {"reference": "Placebo", "n_imputations": 3, "strategy": "CIR"}
    a = lt.impute(data, seed=8, **call).sets
    b = lt.impute(shuffled, seed=8, **call).sets
    c = lt.impute(data, seed=9, **call).sets
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    pd.testing.assert_frame_equal(shuffled, before)


def test_events_decide_who_jumps(data: pd.DataFrame) -> None:
    full = data.fillna({"CHG": 0.3})
    person = "S001"
    events = pd.DataFrame(
        {"USUBJID": [person], "AVISIT": ["Week 24"], "STRATEGY": ["hypothetical"]}
    )
    imputation = lt.impute(full, reference="Placebo", events=events, draws="conditional-mean")
    row = imputation.completed().query("USUBJID == @person").set_index("AVISIT")["CHG"]
    before = full.query("USUBJID == @person").set_index("AVISIT")["CHG"]
    assert row["Week 12"] == before["Week 12"]
    assert row["Week 24"] != before["Week 24"]  # removed and imputed
    assert imputation.settings["n_imputed"] == 1
    kept = lt.impute(
        full, reference="Placebo", events=events.assign(STRATEGY="JR"), draws="conditional-mean"
    )
    assert kept.settings["n_imputed"] == 0  # treatment policy: kept, but not in the model
    assert kept.settings["n_hidden"] == 1


def handled(data: pd.DataFrame, rows: list[tuple[object, ...]], **options: object) -> object:
    """Conditional-mean imputation with events (subject, visit, strategy, assumption, value)."""
    names = ["USUBJID", "AVISIT", "STRATEGY", "ASSUMPTION", "VALUE"]
    events = pd.DataFrame([(*row, *[None] * (5 - len(row))) for row in rows], columns=names)
    return lt.impute(
        data, reference="Placebo", events=events.astype({"VALUE": float}),
        draws="conditional-mean", **options,
    )  # fmt: skip


def record(imputation: object, person: str) -> np.ndarray:
    completed = imputation.completed()  # type: ignore[attr-defined]
    return completed.loc[completed["USUBJID"] == person, "CHG"].to_numpy(float)


def test_treatment_policy_keeps_what_was_observed(data: pd.DataFrame) -> None:
    full = data.fillna({"CHG": 0.3})
    observed = full.loc[full["USUBJID"] == "S001", "CHG"].to_numpy()
    for assumption in ("MAR", "JR", "CIR"):
        found = handled(full, [("S001", "Week 12", "treatment-policy", assumption)])
        np.testing.assert_array_equal(record(found, "S001"), observed)
        assert found.settings["n_hidden"] == (0 if assumption == "MAR" else 2)
        assert found.settings["n_imputed"] == 0


def test_hypothetical_removes_and_imputes_under_the_assumption(data: pd.DataFrame) -> None:
    full = data.fillna({"CHG": 0.3})
    observed = full.loc[full["USUBJID"] == "S001", "CHG"].to_numpy()
    found = {
        a: handled(full, [("S001", "Week 12", "hypothetical", a)]) for a in ("MAR", "JR")
    }  # fmt: skip
    for one in found.values():
        assert one.settings["n_imputed"] == one.settings["n_removed"] == 2
        assert record(one, "S001")[0] == observed[0]
        assert (record(one, "S001")[1:] != observed[1:]).all()
    # as if the records had never been made
    gone = full.assign(
        CHG=full["CHG"].where((full["USUBJID"] != "S001") | (full["AVISIT"] == "Week 4"))
    )
    for assumption, one in found.items():
        same = lt.impute(gone, reference="Placebo", strategy=assumption, draws="conditional-mean")
        np.testing.assert_allclose(record(one, "S001"), record(same, "S001"), rtol=1e-9)


def test_composite_gives_the_value_stated_and_keeps_it_from_the_model(
    data: pd.DataFrame,
) -> None:
    found = handled(data, [("S001", "Week 12", "composite", None, 9.5)])
    np.testing.assert_array_equal(record(found, "S001")[1:], [9.5, 9.5])
    assert found.settings["n_replaced"] == 2
    without = data.assign(
        CHG=data["CHG"].where((data["USUBJID"] != "S001") | (data["AVISIT"] == "Week 4"))
    )
    fit = lt.mmrm(without, MODEL)
    np.testing.assert_allclose(found.model.fit.loglik, fit.loglik, rtol=1e-10)
    assert not found.grid.query("USUBJID == 'S001'")["IMPUTED"].any()


def test_while_on_treatment_carries_the_last_record_before_the_event(data: pd.DataFrame) -> None:
    full = data.fillna({"CHG": 0.3})
    observed = full.loc[full["USUBJID"] == "S001", "CHG"].to_numpy()
    found = handled(full, [("S001", "Week 24", "while-on-treatment")])
    np.testing.assert_array_equal(record(found, "S001"), [observed[0], observed[1], observed[1]])
    early = handled(full, [("S001", "Week 4", "while-on-treatment")])
    assert early.settings["n_imputed"] == 3
    assert "1 subject(s) without a record before the event" in early.notes[-1]


def test_several_events_of_a_subject_are_handled_together(data: pd.DataFrame) -> None:
    """Jump to reference from week 12 on; from week 24 on the record is removed."""
    full = data.fillna({"CHG": 0.3})
    both = handled(
        full,
        [("S001", "Week 24", "hypothetical"), ("S001", "Week 12", "treatment-policy", "JR")],
    )
    gone = full.assign(
        CHG=full["CHG"].where((full["USUBJID"] != "S001") | (full["AVISIT"] != "Week 24"))
    )
    jump = handled(gone, [("S001", "Week 12", "JR")])
    np.testing.assert_allclose(record(both, "S001"), record(jump, "S001"), rtol=1e-9)
    final = handled(
        full, [("S001", "Week 12", "hypothetical"), ("S001", "Week 24", "composite", None, 4.0)]
    )
    assert record(final, "S001")[2] == 4.0
    assert final.settings["n_imputed"] == 1


def test_the_events_are_counted_by_arm(data: pd.DataFrame) -> None:
    full = data.fillna({"CHG": 0.3})
    events = pd.DataFrame(
        {
            "USUBJID": ["S001", "S003", "S002", "nobody"],
            "AVISIT": ["Week 12", "Week 24", "Week 24", "Week 4"],
            "STRATEGY": ["treatment-policy", "treatment-policy", "hypothetical", "hypothetical"],
            "ASSUMPTION": ["CIR", "CIR", "MAR", "MAR"],
            "EVENT": ["Stopped drug", "Stopped drug", "Rescue", "Rescue"],
        }
    )
    result = lt.impute(full, reference="Placebo", events=events, draws="conditional-mean")
    table = result.analyse().intercurrent.set_index(["event", "TRT01P"])
    assert table.loc[("Stopped drug", "Active"), "n_subjects"] == 2
    assert table.loc[("Stopped drug", "Active"), "n_observed"] == 3
    assert table.loc[("Stopped drug", "Placebo"), "n_subjects"] == 0
    assert table.loc[("Rescue", "Placebo"), "n_subjects"] == 1
    shuffled = lt.impute(
        full, reference="Placebo", events=events.sample(frac=1, random_state=2),
        draws="conditional-mean",
    )  # fmt: skip
    pd.testing.assert_frame_equal(shuffled.analyse().table, result.analyse().table)
    pd.testing.assert_frame_equal(
        shuffled.handling.summary, result.handling.summary, check_exact=True
    )


def test_later_records_inform_the_missing_one_before_them(data: pd.DataFrame) -> None:
    """Seen again after an event: the visit missed in between leans towards what was seen."""
    full = data.fillna({"CHG": 0.3})
    at = full["USUBJID"].eq("S001")
    low, high = (
        handled(
            full.assign(CHG=full["CHG"].mask(at & full["AVISIT"].eq("Week 12"))
                        .mask(at & full["AVISIT"].eq("Week 24"), last)),
            [("S001", "Week 12", "treatment-policy", "JR")],
        )
        for last in (-3.0, 3.0)
    )  # fmt: skip
    assert record(high, "S001")[1] > record(low, "S001")[1] + 1
    # the model itself has not seen it
    np.testing.assert_allclose(high.model.fit.beta, low.model.fit.beta, rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([("S001", "Week 12", "principal-stratum")], lt.UsageError, "model of the stratum"),
        ([("S001", "Week 12", "composite")], lt.DataError, "without a VALUE"),
        ([("S001", "Week 12", "JR", "CIR")], lt.UsageError, "'JR' with assumption 'CIR'"),
        ([("S001", "Week 12", "hypothetical", "J2R")], lt.UsageError, "'J2R'"),
        ([("S001", "Week 12", "JR"), ("S001", "Week 12", "CIR")], lt.DataError, "contradict"),
        ([("S001", "Week 12", "composite", None, 1.0),
          ("S001", "Week 12", "while-on-treatment")], lt.DataError, "contradict"),
        ([("S001", "Week 99", "JR")], lt.DataError, "1 row"),
    ],
)  # fmt: skip
def test_events_that_cannot_be_handled_are_errors(
    data: pd.DataFrame, rows: list[tuple[object, ...]], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        handled(data, rows)
    assert "S001" not in str(caught.value)


def test_no_subject_with_an_event_is_dropout_at_random(data: pd.DataFrame) -> None:
    empty = pd.DataFrame({"USUBJID": [], "AVISIT": [], "STRATEGY": []})
    found = lt.impute(data, reference="Placebo", events=empty, draws="conditional-mean")
    mar = lt.impute(data, reference="Placebo", draws="conditional-mean")
    np.testing.assert_array_equal(found.sets, mar.sets)
    assert found.analyse().intercurrent.empty


def test_subject_without_any_record_is_imputed(data: pd.DataFrame) -> None:
    gone = data.assign(CHG=data["CHG"].where(data["USUBJID"] != "S001"))
    imputation = lt.impute(gone, reference="Placebo", draws="conditional-mean", strategy="JR")
    fit = lt.mmrm(gone, MODEL)
    rows = gone[gone["USUBJID"] == "S001"].assign(TRT01P="Placebo")
    ours = imputation.completed().query("USUBJID == 'S001'")["CHG"]
    np.testing.assert_allclose(ours, fit.predict(rows)["estimate"], rtol=1e-8)
    assert imputation.analyse().table["n"].eq(60).all()


def test_delta_moves_the_estimate_by_the_share_imputed(data: pd.DataFrame) -> None:
    imputation = lt.impute(data, reference="Placebo", n_imputations=5, seed=1, covariates=())
    plain, moved = imputation.analyse().table, imputation.analyse(delta=2.0).table
    share = (
        imputation.grid[imputation.grid["TRT01P"] == "Active"]
        .groupby("AVISIT", observed=True)["IMPUTED"]
        .mean()
    )
    np.testing.assert_allclose(
        (moved["estimate"] - plain["estimate"]).to_numpy(), 2 * share.to_numpy(), atol=1e-12
    )
    named = imputation.analyse(delta={"Placebo": 1.0}).table
    assert (named["estimate"] <= plain["estimate"] + 1e-12).all()


def test_tipping_point_is_the_first_delta_without_significance(data: pd.DataFrame) -> None:
    imputation = lt.impute(data, reference="Placebo", n_imputations=10, seed=1)
    result = imputation.tipping_point([0, 1, 2, 3, 4, 5, 6, 8])
    table, tip = result.table, result.tipping.iloc[0]
    assert bool(tip["significant_at_zero"])
    at = table.set_index("delta")["p_value"]
    assert at[tip["tipping_delta"]] >= 0.05
    assert (at[at.index < tip["tipping_delta"]] < 0.05).all()
    again = ard_result(result.to_ard())
    np.testing.assert_array_equal(again.table["p_value"], table["p_value"])


def test_one_visit_is_imputed_from_the_covariates(data: pd.DataFrame) -> None:
    """Without another visit to learn from, MAR adds nothing to the observed ANCOVA."""
    last = data[data["AVISIT"] == "Week 24"].astype({"AVISIT": str})
    result = lt.impute(last, reference="Placebo", draws="conditional-mean").analyse()
    ancova = lt.ancova(
        last.dropna(), "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo"
    ).contrasts
    assert result.table["estimate"].iloc[0] == pytest.approx(ancova["estimate"].iloc[0])
    drawn = lt.impute(last, reference="Placebo", n_imputations=5, seed=1, strategy="JR")
    assert drawn.analyse().table["std_error"].iloc[0] > 0


def test_nothing_missing_is_the_complete_data_analysis(data: pd.DataFrame) -> None:
    full = data.fillna({"CHG": 0.2})
    result = lt.impute(full, reference="Placebo", n_imputations=4, seed=1)
    table = result.analyse().table
    direct = lt.ancova(
        full[full["AVISIT"] == "Week 24"], "CHG ~ BASE + TRT01P", arm="TRT01P",
        reference="Placebo",
    ).contrasts  # fmt: skip
    for column in ("estimate", "std_error"):
        assert table[column].iloc[-1] == pytest.approx(direct[column].iloc[0])
    assert table["fraction_missing"].eq(0).all()
    tip = result.tipping_point([1.0, 50.0])
    assert tip.tipping["tipping_delta"].isna().all()
    assert "significant at every delta tried" in tip.text


def test_an_arm_without_records_at_a_visit_is_an_error_that_says_so(data: pd.DataFrame) -> None:
    gone = data.assign(
        CHG=data["CHG"].where(data["TRT01P"].ne("Active") | data["AVISIT"].ne("Week 24"))
    )
    with pytest.raises(lt.DataError, match="every visit for every arm"):
        lt.impute(gone, reference="Placebo", n_imputations=3, seed=1)


def test_a_level_only_one_subject_has_cannot_be_left_out(data: pd.DataFrame) -> None:
    rare = data.assign(SITE=np.where(data["USUBJID"] == "S001", "X", "Y"))
    imputation = lt.impute(
        rare, reference="Placebo", covariates=["SITE"], draws="conditional-mean"
    )
    with pytest.raises(lt.DataError, match="without one of the subjects"):
        imputation.analyse()


def test_the_exact_tipping_point_has_p_at_the_level(data: pd.DataFrame) -> None:
    for options in ({"n_imputations": 10, "seed": 1}, {"draws": "conditional-mean"}):
        imputation = lt.impute(data, reference="Placebo", strategy="CIR", **options)
        tip = imputation.tipping_point([0, 2, 4, 6, 8]).tipping.iloc[0]
        assert tip["tipping_delta"] - 2 < tip["tipping_exact"] < tip["tipping_delta"]
        table = imputation.analyse(delta=tip["tipping_exact"]).table
        assert table["p_value"].iloc[-1] == pytest.approx(0.05, abs=1e-7)


def test_deltas_of_both_arms_are_those_of_analyse(data: pd.DataFrame) -> None:
    for options in ({"n_imputations": 6, "seed": 1}, {"draws": "conditional-mean"}):
        imputation = lt.impute(data, reference="Placebo", strategy="JR", **options)
        found = imputation.tipping_point([0, 1.5], reference_deltas=[-1.0, 0.5])
        assert len(found.table) == 2 * 3
        row = found.table.query("delta == 1.5 and delta_reference == -1")
        direct = imputation.analyse(delta={"Active": 1.5, "Placebo": -1.0}).table
        for column in ("estimate", "std_error", "p_value"):
            assert row[column].iloc[0] == pytest.approx(direct[column].iloc[-1], rel=1e-9)


def test_adjusted_means_differ_by_the_contrast(data: pd.DataFrame) -> None:
    for options in ({"n_imputations": 6, "seed": 1}, {"draws": "conditional-mean"}):
        result = lt.impute(data, reference="Placebo", strategy="JR", **options).analyse()
        wide = result.lsmeans.pivot_table(
            index="AVISIT", columns="TRT01P", values="estimate", observed=True
        )
        np.testing.assert_allclose(
            (wide["Active"] - wide["Placebo"])[VISITS], result.table["estimate"], atol=1e-12
        )
        assert result.lsmeans["n"].eq(30).all()
        assert (result.lsmeans["std_error"] > 0).all()


@pytest.mark.parametrize(
    ("deltas", "words"),
    [([], "empty"), ([float("nan")], "numbers"), ([0.0, float("inf")], "numbers")],
)
def test_deltas_must_be_numbers(data: pd.DataFrame, deltas: list[float], words: str) -> None:
    imputation = lt.impute(data, reference="Placebo", draws="conditional-mean")
    with pytest.raises(lt.UsageError, match=words):
        imputation.tipping_point(deltas)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ({"strategy": "J2X"}, lt.UsageError, "J2X"),
        ({"draws": "mcmc"}, lt.UsageError, "mcmc"),
        ({"draws": "bayes", "seed": None}, lt.UsageError, "seed"),
        ({"reference": "Sham"}, lt.DataError, "Sham"),
        ({"covariates": ["CHG"]}, lt.DataError, "not constant within subjects"),
        ({"formula": MODEL.replace("us(", "ar1("), "draws": "bayes"}, lt.UsageError, "us|unstr"),
        ({"events": pd.DataFrame({"USUBJID": ["S001"], "AVISIT": ["Week 99"]})}, lt.DataError,
         "events"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(
    data: pd.DataFrame, call: dict[str, object], error: type[Exception], words: str
) -> None:
    arguments = {"reference": "Placebo", "seed": 1, "n_imputations": 3, **call}
    with pytest.raises(error, match=words):
        lt.impute(data, **arguments)
