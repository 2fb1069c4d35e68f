"""MMRM against published SAS PROC MIXED output (mmrm_sas.csv, collected by mmrm_sas.py)."""

from pathlib import Path

import pandas as pd
import pytest

import livertrack as lt

#: SAS stops when the likelihood changes by 1e-8 of itself: along flat directions its estimates
#: are off by up to 1e-4 of a standard error (its likelihood is below ours by that much)
SAS_ESTIMATE, SAS_ERROR, SAS_DF = 5e-5, 2e-4, 5e-4
#: structures in which SAS happened to stop closer
CLOSE = {"cs": 1e-6, "ar1": 2e-6, "toeph": 5e-6, "sp_exp": 1e-5}
STRUCTURES = ["us", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "adh", "sp_exp"]


@pytest.fixture(scope="module")
def fev(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "tab_mmrm_artificial/derived_csv/fev_data.csv")


@pytest.fixture(scope="module")
def sas(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "mmrm_sas.csv").set_index(["kind", "structure"]).sort_index()


def term(structure: str, group: str = "") -> str:
    visits = {"sp_exp": "VISITN", "sp_exp2": "VISITN, VISITN2"}.get(structure, "AVISIT")
    return f"{structure.removesuffix('2')}({visits} | {group}USUBJID)"


@pytest.mark.parametrize("df", ["kenward-roger", "kenward-roger-linear"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_kenward_roger_agrees_with_sas(
    fev: pd.DataFrame, sas: pd.DataFrame, structure: str, df: str
) -> None:
    covariance = term("sp_exp2" if structure == "sp_exp" else structure)
    fit = lt.mmrm(fev, f"FEV1 ~ ARMCD + {covariance}", df=df)
    ours = fit.contrasts(arm="ARMCD", reference="PBO").iloc[0]
    theirs = sas.loc[(df, structure)].iloc[0]
    close = CLOSE.get(structure)
    assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=close or SAS_ESTIMATE)
    assert ours["std_error"] == pytest.approx(theirs["se"], rel=close or SAS_ERROR)
    assert ours["df"] == pytest.approx(theirs["df"], rel=close or SAS_DF)


@pytest.mark.parametrize("structure", ["ar1", "ar1h", "csh", "toeph", "adh", "sp_exp"])
def test_second_derivatives_move_the_error_as_in_sas(
    fev: pd.DataFrame, sas: pd.DataFrame, structure: str
) -> None:
    """The ratio of both Kenward-Roger errors hardly depends on where the optimizer stopped."""
    covariance = term("sp_exp2" if structure == "sp_exp" else structure)
    ours = [
        lt.mmrm(fev, f"FEV1 ~ ARMCD + {covariance}", df=df).coefficients["std_error"].iloc[1]
        for df in ("kenward-roger", "kenward-roger-linear")
    ]
    theirs = [
        sas.loc[(df, structure), "se"].iloc[0] for df in ("kenward-roger", "kenward-roger-linear")
    ]
    assert ours[0] / ours[1] == pytest.approx(theirs[0] / theirs[1], rel=1e-6)
    assert abs(theirs[0] / theirs[1] - 1) > 1e-5  # there is something to agree on


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_empirical_errors_agree_with_sas(
    fev: pd.DataFrame, sas: pd.DataFrame, structure: str, weighted: bool
) -> None:
    covariance = term("sp_exp2" if structure == "sp_exp" else structure)
    fit = lt.mmrm(
        fev, f"FEV1 ~ ARMCD + {covariance}", vcov="CR0", weights="WEIGHT" if weighted else None
    )
    theirs = sas.loc[("empirical weighted" if weighted else "empirical", structure)].iloc[0]
    ours = fit.contrasts(arm="ARMCD", reference="PBO").iloc[0]
    assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=SAS_ESTIMATE)
    assert ours["std_error"] == pytest.approx(theirs["se"], rel=SAS_ERROR)


def test_likelihood_is_that_of_sas_and_never_worse(fev: pd.DataFrame, sas: pd.DataFrame) -> None:
    deviances = sas[sas.index.get_level_values(0).str.startswith("deviance")]
    assert len(deviances) == 28
    for (kind, structure), row in deviances.iterrows():
        method = "reml" if "reml" in kind else "ml"
        group = "ARMCD / " if "grouped" in kind else ""
        fit = lt.mmrm(fev, f"FEV1 ~ 1 + {term(structure, group)}", method=method)
        assert -2 * fit.loglik == pytest.approx(row["estimate"], rel=1e-8), (kind, structure)
        assert -2 * fit.loglik < row["estimate"] + 1e-7


@pytest.mark.parametrize("kind", [2, 3])
@pytest.mark.parametrize("number", [1, 2])
def test_anova_agrees_with_sas(
    fev: pd.DataFrame, sas: pd.DataFrame, number: int, kind: int
) -> None:
    fixed = {1: "ARMCD * FEV1_BL", 2: "ARMCD * SEX + ARMCD:FEV1_BL"}[number]
    table = lt.mmrm(fev, f"FEV1 ~ {fixed} + ar1(AVISIT | USUBJID)").anova(kind=kind)
    ours = {frozenset(row["term"].split(":")): row for _, row in table.iterrows()}
    for _, row in sas.loc[(f"anova {kind} {number}", "ar1")].iterrows():
        found = ours[frozenset(row["name"].split("*"))]
        assert found["statistic"] == pytest.approx(row["estimate"], rel=1e-4)
        assert found["df_num"] == row["se"]
        assert found["df"] == pytest.approx(row["df"], rel=1e-4)


def test_type_three_tests_agree_with_the_printed_ones_of_sas(fev: pd.DataFrame) -> None:
    # PROC MIXED, un, ddfm=satterthwaite: "Type 3 Tests of Fixed Effects" as printed
    fit = lt.mmrm(fev, "FEV1 ~ RACE + SEX + ARMCD * AVISIT + us(AVISIT | USUBJID)")
    table = fit.anova().set_index("term")
    printed = {
        "ARMCD": (31.67, 1, 169), "AVISIT": (142.11, 3, 148), "ARMCD:AVISIT": (0.26, 3, 148),
        "RACE": (36.92, 2, 166), "SEX": (0.38, 1, 166),
    }  # fmt: skip
    for term_name, (statistic, df_num, df) in printed.items():
        row = table.loc[term_name]
        assert row["statistic"] == pytest.approx(statistic, abs=0.011)
        assert row["df_num"] == df_num
        assert row["df"] == pytest.approx(df, abs=0.6)


def test_lsmeans_agree_with_the_printed_ones_of_sas(fev: pd.DataFrame) -> None:
    # PROC MIXED, un, ddfm=satterthwaite: LSMEANS ARMCD*AVISIT as printed
    fit = lt.mmrm(fev, "FEV1 ~ RACE + SEX + ARMCD * AVISIT + us(AVISIT | USUBJID)")
    means = fit.lsmeans(["AVISIT", "ARMCD"])
    printed = {
        ("VIS1", "PBO"): (33.3318, 0.7554, 148), ("VIS1", "TRT"): (37.1063, 0.7626, 143),
        ("VIS2", "PBO"): (38.1715, 0.6117, 147), ("VIS2", "TRT"): (41.9037, 0.6023, 144),
        ("VIS3", "PBO"): (43.6740, 0.4617, 130), ("VIS3", "TRT"): (46.7546, 0.5086, 130),
        ("VIS4", "PBO"): (48.3855, 1.1886, 134), ("VIS4", "TRT"): (52.7841, 1.1877, 133),
    }  # fmt: skip
    for _, row in means.iterrows():
        estimate, error, df = printed[(row["AVISIT"], row["ARMCD"])]
        assert row["estimate"] == pytest.approx(estimate, abs=2e-4)
        assert row["std_error"] == pytest.approx(error, abs=2e-4)
        assert row["df"] == pytest.approx(df, abs=0.6)
