"""Ordered endpoints: proportional odds, shift tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.miscmodels.ordinal_model import OrderedModel

import livertrack as lt
from livertrack.errors import DataError, UsageError

# Both maximise the same likelihood to the last digits.
FITTED = 1e-7


@pytest.fixture(scope="module")
def pbc(shared_data: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbc.csv")
    return frame.dropna(subset=["trt"])


def trial(seed: int = 1, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    arm = np.resize(["A", "B"], n)
    latent = rng.logistic(0, 1, n) + (arm == "B") * 0.8
    return pd.DataFrame(
        {
            "USUBJID": [f"S{i}" for i in range(n)],
            "TRT01P": arm,
            "AVAL": np.digitize(latent, [-1, 0.5, 2]),
            "BASE": rng.integers(0, 4, n),
            "AGE": rng.normal(50, 9, n),
        }
    )


def test_model_equals_clm(pbc: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "ordinal_clm.csv")
    result = lt.proportional_odds(pbc, "trt + age + sex + log(bili)", outcome="stage")
    for name in ("estimate", "std_error"):
        np.testing.assert_allclose(result.cut_points[name], r[name].head(3), rtol=FITTED)
        np.testing.assert_allclose(result.table[name], r[name].tail(4), rtol=FITTED)
    np.testing.assert_allclose(result.table["p_value"], r["p_value"].tail(4), rtol=1e-6)
    assert result.fit["loglik"].item() == pytest.approx(r["loglik"].iloc[0], abs=1e-8)
    assert result.fit["loglik_null"].item() == pytest.approx(r["null"].iloc[0], abs=1e-8)


def test_model_equals_statsmodels() -> None:
    data = trial()
    ours = lt.proportional_odds(data, "TRT01P + BASE").table
    X = np.column_stack([data["TRT01P"] == "B", data["BASE"]]).astype(float)
    theirs = OrderedModel(data["AVAL"], X, distr="logit").fit(method="bfgs", disp=False, gtol=1e-8)
    np.testing.assert_allclose(ours["estimate"], theirs.params.iloc[:2], rtol=1e-4)


def test_brant_equals_separate_logits_of_r(pbc: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "ordinal_brant.csv")
    ours = lt.proportional_odds(pbc, "trt + age + sex + log(bili)", outcome="stage")
    for name in ("statistic", "df", "p_value"):
        np.testing.assert_allclose(ours.proportionality[name], r[name], rtol=1e-6)


def test_two_levels_are_logistic_regression() -> None:
    data = trial().assign(AVAL=lambda d: (d["AVAL"] > 1).astype(int))
    ours = lt.proportional_odds(data, "TRT01P + AGE")
    X = sm.add_constant(np.column_stack([data["TRT01P"] == "B", data["AGE"]]).astype(float))
    theirs = sm.Logit(data["AVAL"], X).fit(disp=False, tol=1e-12)
    np.testing.assert_allclose(ours.table["estimate"], theirs.params.iloc[1:], rtol=1e-6)
    np.testing.assert_allclose(ours.table["std_error"], theirs.bse.iloc[1:], rtol=1e-6)
    assert ours.proportionality.empty


def test_reversing_the_scale_inverts_the_odds_ratio() -> None:
    one = lt.proportional_odds(trial(), "TRT01P").table
    two = lt.proportional_odds(trial().assign(AVAL=lambda d: -d["AVAL"]), "TRT01P").table
    assert one["odds_ratio"].item() == pytest.approx(1 / two["odds_ratio"].item())
    assert one["odds_ratio"].item() > 1  # arm B was simulated with higher stages


def test_row_order_labels_and_shift_of_covariates_change_nothing() -> None:
    data = trial()
    other = data.sample(frac=1, random_state=3).assign(
        AVAL=lambda d: d["AVAL"] * 10, AGE=lambda d: d["AGE"] + 1000
    )
    one = lt.proportional_odds(data, "TRT01P + AGE")
    two = lt.proportional_odds(other, "TRT01P + AGE")
    np.testing.assert_allclose(one.table["estimate"], two.table["estimate"], rtol=1e-6)
    np.testing.assert_allclose(
        one.proportionality["p_value"], two.proportionality["p_value"], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (trial().assign(AVAL=2), "1 level"),
        (trial().assign(TRT01P="A"), "do not vary"),
        (trial().assign(AVAL=lambda d: (d["TRT01P"] == "B") * 1), "separates the levels"),
        (trial().assign(AVAL=np.nan), "0 level"),
        (trial().head(1), "1 level"),
    ],
    ids=["all tied", "one arm", "separation", "all missing", "one subject"],
)
def test_odds_that_do_not_exist_are_errors(data: pd.DataFrame, match: str) -> None:
    with pytest.raises(DataError, match=match):
        lt.proportional_odds(data, "TRT01P")


def test_incomplete_subjects_are_dropped_and_counted() -> None:
    data = trial()
    data.loc[[1, 2], "AGE"] = np.nan
    result = lt.proportional_odds(data, "TRT01P + AGE")
    assert result.table["n"].iloc[0] == 118
    assert "dropped 2 of 120" in result.notes[0]


@pytest.mark.slow
def test_type_one_error_of_the_arm_and_of_brant_is_five_percent() -> None:
    arm, brant, runs = 0, 0, 250
    for seed in range(runs):
        data = trial(seed, 200)
        data["TRT01P"] = np.random.default_rng(seed).permutation(data["TRT01P"])
        result = lt.proportional_odds(data, "TRT01P")
        arm += result.table["p_value"].item() < 0.05
        brant += result.proportionality["p_value"].iloc[-1] < 0.05
    assert abs(arm / runs - 0.05) < 0.04
    assert abs(brant / runs - 0.05) < 0.04


# shift tables


def test_tests_of_shift_equal_r(shared_data: Path, reference: Path) -> None:
    seq = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbcseq.csv")
    seq["visit"] = seq.groupby("id")["day"].rank()
    wide = seq.query("visit == 1")[["id", "trt", "stage"]].merge(
        seq.query("visit == 4")[["id", "stage"]], on="id", suffixes=("_1", "_4")
    )
    ours = lt.shift_table(wide, baseline="stage_1", value="stage_4", arm="trt").tests
    r = pd.read_csv(reference / "ordinal_shift.csv")
    assert ours["test"].tolist() == r["test"].tolist()
    for name in ("statistic", "df", "p_value"):
        np.testing.assert_allclose(ours[name], r[name], rtol=1e-9)


def test_hand_worked_shifts() -> None:
    data = pd.DataFrame(
        {"TRT01P": "A", "BASE": [2, 2, 3, 1, 2, 0], "AVAL": [1, 1, 3, 2, np.nan, 0]}
    )
    result = lt.shift_table(data)
    row = result.summary.iloc[0]
    assert row[["n", "improved", "unchanged", "worsened", "missing"]].tolist() == [5, 2, 2, 1, 1]
    cell = result.table.query("baseline == 2 and value == 1").iloc[0]
    assert (cell["n"], cell["percent"]) == (2, 40)
    bowker = result.tests.set_index("test").loc["Bowker"]
    assert (bowker["statistic"], bowker["df"]) == (pytest.approx((2 - 1) ** 2 / 3), 1)


def test_better_higher_turns_the_summary_round() -> None:
    low = lt.shift_table(trial()).summary
    high = lt.shift_table(trial(), better="higher").summary
    assert low["improved"].tolist() == high["worsened"].tolist()


def test_an_arm_without_shift_has_no_test_and_an_arm_without_scores_is_zeros() -> None:
    data = trial()
    data.loc[data["TRT01P"] == "A", "AVAL"] = data["BASE"]
    data.loc[data["TRT01P"] == "B", "AVAL"] = np.nan
    result = lt.shift_table(data)
    assert result.tests["p_value"].isna().all()
    assert "A: nobody shifted" in result.notes[0]
    assert result.table.query("arm == 'B'")["n"].sum() == 0


def test_bad_shifts_are_errors() -> None:
    with pytest.raises(DataError, match="no subject"):
        lt.shift_table(trial().assign(AVAL=np.nan))
    with pytest.raises(DataError, match="not among levels"):
        lt.shift_table(trial(), levels=[0, 1])
    with pytest.raises(UsageError, match="lower"):
        lt.shift_table(trial(), better="up")  # type: ignore[arg-type]
