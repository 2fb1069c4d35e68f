"""Diagnostics of an MMRM: frames made of its residuals, hand-computed."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import livertrack as lt
from livertrack._results import ard_result

VISITS = ["Week 4", "Week 12", "Week 24"]
SIGMA = np.array([[1.0, 0.5, 0.3], [0.5, 1.5, 0.8], [0.3, 0.8, 2.0]])


def trial(n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    y = rng.standard_normal((n, 3)) @ np.linalg.cholesky(SIGMA).T + np.arange(n)[:, None] % 2
    y[rng.random((n, 3)) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "USUBJID": np.repeat([f"S{i:02d}" for i in range(n)], 3),
            "TRT01P": np.repeat(np.where(np.arange(n) % 2, "Active", "Placebo"), 3),
            "AVISIT": pd.Categorical(np.tile(VISITS, n), VISITS),
            "CHG": y.ravel(),
        }
    )


MODEL = "CHG ~ TRT01P * AVISIT + us(AVISIT | USUBJID)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return trial()


def test_observed_covariance_is_the_mean_product_over_subjects_seen_twice(
    data: pd.DataFrame,
) -> None:
    fit = lt.mmrm(data, MODEL)
    table = lt.mmrm_diagnostics(fit).covariance.set_index(["visit_1", "visit_2"])
    seen = data[data["CHG"].notna()]
    wide = seen.assign(r=fit.residuals()).pivot_table(
        index="USUBJID", columns="AVISIT", values="r", observed=True
    )
    products = (wide["Week 4"] * wide["Week 24"]).dropna()
    row = table.loc[("Week 4", "Week 24")]
    assert row["observed"] == pytest.approx(products.mean())
    assert row["n_pairs"] == len(products) < 80
    assert row["fitted"] == pytest.approx(fit.covariance.loc["Week 4", "Week 24"])
    assert len(table) == 6


def test_residuals_come_in_the_order_of_the_data(data: pd.DataFrame) -> None:
    shuffled = data.sample(frac=1, random_state=3)
    found = lt.mmrm_diagnostics(lt.mmrm(shuffled, MODEL))
    kept = shuffled[shuffled["CHG"].notna()]
    assert found.residuals["visit"].tolist() == kept["AVISIT"].astype(str).tolist()
    np.testing.assert_allclose(
        found.residuals["fitted"] + found.residuals["response"], kept["CHG"], atol=1e-12
    )
    straight = lt.mmrm_diagnostics(lt.mmrm(data, MODEL))
    pd.testing.assert_frame_equal(found.table, straight.table)
    pd.testing.assert_frame_equal(found.covariance, straight.covariance)


def test_normal_scores_are_those_of_the_ranks(data: pd.DataFrame) -> None:
    rows = lt.mmrm_diagnostics(lt.mmrm(data, MODEL)).residuals.sort_values("normalized")
    n = len(rows)
    np.testing.assert_allclose(
        rows["quantile"], stats.norm.ppf((np.arange(1, n + 1) - 0.5) / n), atol=1e-12
    )
    inside = rows["normalized"].between(rows["quantile_low"], rows["quantile_high"])
    assert inside.mean() > 0.9  # the data are normal
    # the smallest of n uniforms: 1 - (1 - u)^n = 0.025
    assert rows["quantile_low"].iloc[0] == pytest.approx(
        stats.norm.ppf(1 - 0.975 ** (1 / n)), rel=1e-9
    )


def test_normalised_residuals_have_unit_variance_and_no_correlation(data: pd.DataFrame) -> None:
    found = lt.mmrm_diagnostics(lt.mmrm(data, MODEL))
    np.testing.assert_allclose(found.table["sd"], 1, atol=0.1)
    np.testing.assert_allclose(found.table["mean"], 0, atol=0.15)
    assert found.table["n"].sum() == data["CHG"].notna().sum()


def test_groups_have_their_own_covariance(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, MODEL.replace("| USUBJID", "| TRT01P / USUBJID"))
    table = lt.mmrm_diagnostics(fit).covariance
    assert table.groupby("group").size().to_dict() == {"Active": 6, "Placebo": 6}
    one = table[(table["group"] == "Active") & (table["visit_1"] == table["visit_2"])]
    np.testing.assert_allclose(one["fitted"], np.diag(fit.covariance["Active"]))


def test_a_spatial_covariance_has_no_table_of_visits(data: pd.DataFrame) -> None:
    day = data["AVISIT"].map(dict(zip(VISITS, [28.0, 84.0, 168.0], strict=True))).astype(float)
    fit = lt.mmrm(data.assign(DAY=day), "CHG ~ TRT01P + sp_exp(DAY | USUBJID)")
    found = lt.mmrm_diagnostics(fit)
    assert found.covariance.empty
    assert found.table["visit"].tolist() == [""]


def test_everything_comes_back_from_the_results_data(data: pd.DataFrame) -> None:
    found = lt.mmrm_diagnostics(lt.mmrm(data, MODEL))
    back = ard_result(found.to_ard(analysis="a"))
    assert back.text == found.text
    np.testing.assert_array_equal(back.frames["residuals"]["normalized"],
                                  found.residuals["normalized"])  # fmt: skip
    np.testing.assert_array_equal(back.frames["covariance"]["observed"],
                                  found.covariance["observed"])  # fmt: skip
