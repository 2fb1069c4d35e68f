"""Details of the MMRM that a combination of options could get wrong, on a made-up trial."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.endpoints.mmrm import _fit, compare_covariances
from tests.endpoints.mmrm.test_mmrm import FORMULA, trial


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return trial()


def test_parentheses_of_an_expression_are_kept(data: pd.DataFrame) -> None:
    covariance = "csh(AVISIT | USUBJID)"
    ours = lt.mmrm(data, f"CHG ~ I((BASE - 20)^2) * TRT01P + AVISIT + {covariance}")
    made = data.assign(SQ=(data["BASE"] - 20) ** 2)
    other = lt.mmrm(made, f"CHG ~ SQ * TRT01P + AVISIT + {covariance}")
    assert ours.loglik == pytest.approx(other.loglik, rel=1e-12)
    assert ours.coefficients["term"].iloc[1] == "I((BASE - 20)^2)"


def test_variables_are_ordered_as_r_updates_the_formula(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, "CHG ~ TRT01P:AVISIT + AVISIT + cs(AVISIT | USUBJID)")
    assert fit.coefficients["term"].iloc[4] == "AVISITWeek 4:TRT01PLow dose"


def test_between_within_type_three_ignores_rounding(data: pd.DataFrame) -> None:
    """A term without interaction involves its own coefficients only: the between-subject df."""
    fit = lt.mmrm(data, FORMULA, df="between-within")
    table = fit.anova(kind=3).set_index("term")["df"]
    between = fit.coefficients.set_index("term").loc["BASE", "df"]
    within = fit.coefficients.set_index("term").loc["AVISITWeek 12", "df"]
    assert between != within
    assert table["BASE"] == between
    assert table["TRT01P:AVISIT"] == within


def test_p_value_only_of_nested_covariances(data: pd.DataFrame) -> None:
    fits = [lt.mmrm(data, FORMULA.replace("us(", f"{s}(")) for s in ("cs", "ad", "us")]
    table = compare_covariances(*fits).set_index("covariance")["p_value"]
    assert np.isnan(table["ad"])  # cs is no special case of ad
    assert np.isfinite(table["us"])


def test_maximum_likelihood_counts_coefficients_too(data: pd.DataFrame) -> None:
    small = lt.mmrm(data, "CHG ~ TRT01P + cs(AVISIT | USUBJID)", method="ml")
    large = lt.mmrm(data, "CHG ~ TRT01P * AVISIT + us(AVISIT | USUBJID)", method="ml")
    row = compare_covariances(small, large).iloc[1]
    assert row["df"] == (10 - 2) + (12 - 3)
    assert np.isfinite(row["p_value"])


def test_weights_of_a_series_follow_its_index(data: pd.DataFrame) -> None:
    w = pd.Series(np.linspace(0.5, 2, len(data)), index=data.index)
    straight = lt.mmrm(data, FORMULA, weights=w)
    turned = lt.mmrm(data, FORMULA, weights=w.iloc[::-1])
    pd.testing.assert_frame_equal(straight.coefficients, turned.coefficients)
    with pytest.raises(lt.UsageError, match="the index of the series"):
        lt.mmrm(data, FORMULA, weights=w.set_axis(w.index + 1000))


def test_lsmeans_at_several_values_of_a_covariate(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, FORMULA)
    both = fit.lsmeans(["TRT01P", "BASE"], at={"BASE": [15, 30]})
    for value in (15, 30):
        one = fit.lsmeans("TRT01P", at={"BASE": value})
        np.testing.assert_allclose(
            both.loc[both["BASE"] == value, "estimate"], one["estimate"], rtol=1e-12
        )
    mean = fit.lsmeans("TRT01P", at={"BASE": [15, 30]})["estimate"]
    by_arm = both.groupby("TRT01P", observed=True, sort=False)["estimate"].mean()
    np.testing.assert_allclose(mean, by_arm, rtol=1e-12)


def test_lost_arms_and_text_visits_are_noted(data: pd.DataFrame) -> None:
    gone = data.assign(CHG=data["CHG"].where(data["TRT01P"] != "High dose"))
    assert "no complete record with TRT01P High dose" in lt.mmrm(gone, FORMULA).notes
    text = lt.mmrm(data.assign(AVISIT=data["AVISIT"].astype(str)), FORMULA)
    assert any("sorted as Week 12, Week 24, Week 4, Week 48" in note for note in text.notes)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("log(CHG) ~ TRT01P + us(AVISIT | USUBJID)", "not a finite number in"),
        ("CHG ~ TRT01P + sp_exp(AVISIT | USUBJID)", "needs numeric coordinates"),
    ],
)
def test_data_errors_name_the_cause(data: pd.DataFrame, formula: str, words: str) -> None:
    with pytest.raises(lt.DataError, match=words):
        lt.mmrm(data, formula)


def test_the_better_of_two_optima_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A patterned covariance whose likelihood has two peaks: visits alternate in sign."""
    rng = np.random.default_rng(103)
    rows = []
    for arm in ("P", "A"):
        for number in range(6):
            base, level = rng.normal(50, 8), rng.normal(0, 4)
            for visit in range(4):
                if rng.random() >= 0.1:
                    rows.append(
                        (f"{arm}{number}", arm, f"V{visit}", base, level + rng.normal(0, 3))
                    )
    data = pd.DataFrame(rows, columns=["USUBJID", "TRT01P", "AVISIT", "BASE", "CHG"])
    noise = np.random.default_rng(103).normal(0, 2, len(data))
    data["CHG"] = data["CHG"] * np.where(data["AVISIT"].isin(["V1", "V3"]), -1, 1) + noise
    formula = "CHG ~ AVISIT + TRT01P + toep(AVISIT | USUBJID)"
    whole = lt.mmrm(data, formula, df="residual").loglik
    monkeypatch.setattr(_fit, "further_starts", lambda *_: [])
    assert whole > lt.mmrm(data, formula, df="residual").loglik + 0.5
