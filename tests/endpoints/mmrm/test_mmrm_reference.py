"""MMRM against R mmrm 0.3.18 with emmeans, at the optimum of its own objective (mmrm_fev.R)."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.endpoints.mmrm import Mmrm

#: what two exact optima may differ by: rounding amplified by the condition of the problem
ESTIMATE, DF = 1e-6, 1e-4

FIXED = {
    "plain": "FEV1 ~ RACE + SEX + ARMCD * AVISIT",
    "base": "FEV1 ~ FEV1_BL * AVISIT + ARMCD * AVISIT",
    "grouped": "FEV1 ~ RACE + ARMCD * AVISIT",
    "weighted": "FEV1 ~ SEX + ARMCD * AVISIT",
    "residuals": "FEV1 ~ RACE + ARMCD * AVISIT",
    "deficient": "FEV1 ~ FEV1_BL + SEX + SEX2 + FEV1_BL2 + ARMCD * AVISIT",
}
STRUCTURES = ("us", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "ad", "adh", "sp_exp")
METHODS = {
    "Kenward-Roger-Linear": {"df": "kenward-roger-linear"},
    "Empirical": {"vcov": "CR0"},
    "Empirical-Jackknife": {"vcov": "CR3"},
    "Empirical-Bias-Reduced": {"vcov": "CR2"},
    "Satterthwaite": {"df": "satterthwaite"},
    "Between-Within": {"df": "between-within"},
    "Residual": {"df": "residual", "vcov": "CR0"},  # the default errors of R for it
}


@cache
def _numbers(folder: Path) -> pd.DataFrame:
    files = ("mmrm_fits.csv", "mmrm_inference.csv", "mmrm_rest.csv")
    return pd.concat([pd.read_csv(folder / name, dtype={"name": str}) for name in files])


@pytest.fixture(scope="module")
def numbers(reference: Path) -> pd.DataFrame:
    return _numbers(reference)


@pytest.fixture(scope="module")
def fev(shared_data: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared_data / "tab_mmrm_artificial/derived_csv/fev_data.csv")
    return frame.assign(SEX2=frame["SEX"], FEV1_BL2=2 * frame["FEV1_BL"])


def term(structure: str, *, grouped: bool = False) -> str:
    visit = "VISITN, VISITN2" if structure == "sp_exp" else "AVISIT"
    return f"{structure}({visit} | {'ARMCD / ' if grouped else ''}USUBJID)"


def check(fit: Mmrm, numbers: pd.DataFrame, case: str) -> None:
    wanted = numbers[numbers["case"] == case].set_index("kind")
    assert len(wanted), case
    assert wanted.loc["decrement", "estimate"] < 1e-9
    assert fit.loglik == pytest.approx(wanted.loc["loglik", "estimate"], rel=ESTIMATE)
    coefficients = wanted.loc["coefficient"].dropna(subset=["estimate"]).set_index("name")
    kept = fit.coefficients.dropna(subset=["estimate"]).set_index("term")
    assert set(kept.index) == set(coefficients.index)
    compare(kept, coefficients.loc[kept.index], case)
    for weights, name in (("equal", "equal"), ("observed", "proportional")):
        if f"lsmeans {name}" not in wanted.index:
            continue
        means = fit.lsmeans(["AVISIT", "ARMCD"], weights=weights)
        means.index = means["AVISIT"] + " " + means["ARMCD"]
        compare(means, wanted.loc[f"lsmeans {name}"].set_index("name").loc[means.index], case)
        pairs = fit.contrasts(arm="ARMCD", reference="PBO", by="AVISIT", weights=weights)
        pairs.index = pairs["AVISIT"] + " TRT - PBO"
        compare(pairs, wanted.loc[f"contrast {name}"].set_index("name").loc[pairs.index], case)


def compare(ours: pd.DataFrame, theirs: pd.DataFrame, case: str) -> None:
    scale = np.maximum(np.abs(theirs["estimate"]), theirs["se"])  # an estimate may be near zero
    assert (np.abs(ours["estimate"] - theirs["estimate"]) / scale).max() < ESTIMATE, case
    np.testing.assert_allclose(ours["std_error"], theirs["se"], rtol=ESTIMATE, err_msg=case)
    np.testing.assert_allclose(ours["df"], theirs["df"], rtol=DF, err_msg=case)


@pytest.mark.parametrize("variant", ["plain", "base", "grouped", "weighted"])
@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_agrees_with_r_mmrm(
    fev: pd.DataFrame, numbers: pd.DataFrame, structure: str, method: str, variant: str
) -> None:
    formula = f"{FIXED[variant]} + {term(structure, grouped=variant == 'grouped')}"
    weights = "WEIGHT" if variant == "weighted" else None
    fit = lt.mmrm(fev, formula, method=method, weights=weights)
    case = f"{structure}-{method}-{variant}"
    check(fit, numbers, case)
    wanted = numbers[(numbers["case"] == case) & (numbers["kind"] == "covariance")]
    if structure == "sp_exp":
        return
    frames = fit.covariance if isinstance(fit.covariance, dict) else {"": fit.covariance}
    ours = np.concatenate([frame.to_numpy().ravel() for frame in frames.values()])
    np.testing.assert_allclose(ours, wanted["estimate"], rtol=1e-5, atol=1e-5 * np.abs(ours).max())


@pytest.mark.parametrize(
    "method",
    ["Kenward-Roger-Linear", "Empirical", "Empirical-Jackknife", "Empirical-Bias-Reduced"],
)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_adjusted_and_empirical_errors_agree_with_r_mmrm(
    fev: pd.DataFrame, numbers: pd.DataFrame, structure: str, method: str
) -> None:
    fit = lt.mmrm(fev, f"FEV1 ~ RACE + ARMCD * AVISIT + {term(structure)}", **METHODS[method])
    case = f"{structure}-reml-{method}"
    check(fit, numbers, case)
    check_joint(fit, numbers, case, slice(6, 9))


@pytest.mark.parametrize("method", ["Satterthwaite", "Between-Within", "Residual"])
@pytest.mark.parametrize("structure", ["us", "ar1h"])
def test_degrees_of_freedom_and_anova_agree_with_r_mmrm(
    fev: pd.DataFrame, numbers: pd.DataFrame, structure: str, method: str
) -> None:
    formula = f"FEV1 ~ RACE + FEV1_BL + ARMCD * AVISIT + {term(structure)}"
    fit = lt.mmrm(fev, formula, **METHODS[method])
    case = f"{structure}-reml-{method}"
    check(fit, numbers, case)
    check_joint(fit, numbers, case, slice(7, 10))
    if method == "Satterthwaite":
        for kind, name in ((2, "anova II"), (3, "anova III")):
            wanted = numbers[(numbers["case"] == case) & (numbers["kind"] == name)]
            ours = fit.anova(kind=kind).set_index("term").loc[wanted["name"]]
            np.testing.assert_allclose(ours["statistic"], wanted["estimate"], rtol=1e-6)
            np.testing.assert_allclose(ours["df_num"], wanted["se"])
            # df of several rows depend on how they are chosen: R takes other rows for type III
            same = np.ones(len(ours), bool) if kind == 2 else ours["df_num"].to_numpy() == 1
            np.testing.assert_allclose(ours["df"][same], wanted["df"][same], rtol=DF)


def check_joint(fit: Mmrm, numbers: pd.DataFrame, case: str, rows: slice) -> None:
    L = np.eye(len(fit.coefficients))[rows]
    ours = fit.test(L).iloc[0]
    wanted = numbers[(numbers["case"] == case) & (numbers["kind"] == "joint")].iloc[0]
    assert ours["statistic"] == pytest.approx(wanted["estimate"], rel=1e-5)
    assert ours["df_num"] == wanted["se"]
    assert ours["df"] == pytest.approx(wanted["df"], rel=DF)


@pytest.mark.parametrize("structure", ["us", "ar1h", "sp_exp"])
def test_residuals_predictions_and_criteria_agree_with_r_mmrm(
    fev: pd.DataFrame, numbers: pd.DataFrame, structure: str
) -> None:
    fit = lt.mmrm(fev, f"{FIXED['residuals']} + {term(structure)}", weights="WEIGHT")
    wanted = numbers[numbers["case"] == f"{structure}-reml-residuals"]
    by_kind = {kind: part["estimate"].to_numpy() for kind, part in wanted.groupby("kind")}
    # R keeps the residuals by subject and visit, ours follow the rows of the data
    order = np.argsort(fev.dropna(subset=["FEV1"])["USUBJID"], kind="stable")
    for kind in ("response", "pearson", "normalized"):
        ours = fit.residuals(kind)[order][:40]
        np.testing.assert_allclose(ours, by_kind[kind], rtol=1e-5, atol=1e-6, err_msg=kind)
    np.testing.assert_allclose([fit.aic, fit.bic], by_kind["criteria"], rtol=1e-7)
    first = fev.iloc[:40]
    ours = fit.predict(first, conditional=True)["estimate"]
    np.testing.assert_allclose(ours, by_kind["conditional"], rtol=1e-5)


def test_rank_deficient_design_agrees_with_r_mmrm(
    fev: pd.DataFrame, numbers: pd.DataFrame
) -> None:
    fit = lt.mmrm(fev, f"{FIXED['deficient']} + toeph(AVISIT | USUBJID)")
    check(fit, numbers, "toeph-reml-deficient")
    assert "aliased, not estimated: SEX2Male, FEV1_BL2" in fit.notes


def test_ten_visits_agree_with_r_mmrm(shared_data: Path, numbers: pd.DataFrame) -> None:
    path = shared_data / "tab_mmrm_artificial/derived_csv/bcva_data.csv.gz"
    bcva = pd.read_csv(path).rename(columns={"ARMCD": "ARMCD"})
    fit = lt.mmrm(bcva, "BCVA_CHG ~ BCVA_BL + RACE + ARMCD * AVISIT + us(AVISIT | USUBJID)")
    wanted = numbers[numbers["case"] == "us-reml-bcva"].set_index("kind")
    assert fit.loglik == pytest.approx(wanted.loc["loglik", "estimate"], rel=1e-9)
    compare(
        fit.coefficients.set_index("term"), wanted.loc["coefficient"].set_index("name"), "bcva"
    )
