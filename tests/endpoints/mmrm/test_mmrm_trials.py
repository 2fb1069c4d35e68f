"""The MMRM of real trials agrees with R mmrm, emmeans and nlme::gls (mmrm_trials.R)."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt

ESTIMATE, DF = 1e-6, 1e-4
LABELS = ["Baseline", "Month 06", "Month 12", "Month 24", "Month 36", "Month 48"]
FORMULA = "LOGBILI ~ LOGBASE * AVISIT + ARM * AVISIT"


@pytest.fixture(scope="module")
def numbers(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "mmrm_trials.csv").set_index(["case", "kind"]).sort_index()


@pytest.fixture(scope="module")
def pbcseq(shared_data: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared_data / "tab_r_survival_liver/derived_csv/pbcseq.csv")
    edges = [-1, 0, 274, 547, 912, 1278, 1643]
    frame["AVISIT"] = pd.cut(frame["day"], edges, labels=LABELS)
    frame = frame[frame["AVISIT"].notna()].sort_values(["id", "day"], kind="stable")
    frame = frame.drop_duplicates(["id", "AVISIT"])
    base = frame[frame["AVISIT"] == "Baseline"].set_index("id")["bili"]
    frame = frame[frame["AVISIT"] != "Baseline"]
    return frame.assign(
        LOGBASE=np.log(frame["id"].map(base)),
        LOGBILI=np.log(frame["bili"]),
        ARM=np.where(frame["trt"] == 1, "D-penicillamine", "placebo"),
    )


def agree(ours: pd.DataFrame, theirs: pd.DataFrame, *, with_df: bool = True) -> None:
    theirs = theirs.set_index("name").loc[ours.index]
    scale = np.maximum(np.abs(theirs["estimate"]), theirs["se"])
    assert (np.abs(ours["estimate"] - theirs["estimate"]) / scale).max() < ESTIMATE
    np.testing.assert_allclose(ours["std_error"], theirs["se"], rtol=ESTIMATE)
    if with_df:
        np.testing.assert_allclose(ours["df"], theirs["df"], rtol=DF)


@pytest.mark.parametrize(
    ("df", "name"),
    [("satterthwaite", "Satterthwaite"), ("kenward-roger-linear", "Kenward-Roger-Linear")],
)
@pytest.mark.parametrize("structure", ["us", "toeph", "ar1h", "csh"])
def test_log_bilirubin_of_pbcseq(
    pbcseq: pd.DataFrame, numbers: pd.DataFrame, structure: str, df: str, name: str
) -> None:
    case = f"pbcseq {structure} {name}"
    fit = lt.mmrm(pbcseq, f"{FORMULA} + {structure}(AVISIT | id)", df=df)
    assert fit.loglik == pytest.approx(numbers.loc[(case, "loglik"), "estimate"].iloc[0], rel=1e-8)
    agree(fit.coefficients.set_index("term"), numbers.loc[(case, "coefficient")])
    pairs = fit.contrasts(arm="ARM", reference="D-penicillamine", by="AVISIT")
    agree(pairs.set_index("AVISIT"), numbers.loc[(case, "contrast")])


def test_generalised_least_squares_of_nlme(pbcseq: pd.DataFrame, numbers: pd.DataFrame) -> None:
    fit = lt.mmrm(pbcseq, f"{FORMULA} + csh(AVISIT | id)")
    case = "pbcseq gls csh"
    assert fit.loglik == pytest.approx(numbers.loc[(case, "loglik"), "estimate"].iloc[0], rel=1e-7)
    ours, theirs = fit.coefficients, numbers.loc[(case, "coefficient")]
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours["std_error"], theirs["se"], rtol=1e-4)


@pytest.mark.parametrize("parameter", ["khe", "kbh"])
@pytest.mark.parametrize("structure", ["us", "cs"])
def test_gadoxetate_transport_of_tristan(
    shared_data: Path, numbers: pd.DataFrame, parameter: str, structure: str
) -> None:
    with zipfile.ZipFile(shared_data / "tab_tristan_firstinhuman/all_data.dmr.zip") as archive:
        pars = pd.read_csv(io.BytesIO(archive.read("pars.csv")))
    one = pars[(pars["parameter"] == parameter) & pars["study"].isin(["control", "drug"])]
    one = one.assign(LOGK=np.log(one["value"].astype(float)), STUDY=one["study"])
    fit = lt.mmrm(one, f"LOGK ~ STUDY + {structure}(STUDY | subject)", df="kenward-roger-linear")
    case = f"tristan {parameter} {structure}"
    assert fit.loglik == pytest.approx(numbers.loc[(case, "loglik"), "estimate"].iloc[0], rel=1e-7)
    agree(fit.coefficients.set_index("term"), numbers.loc[(case, "coefficient")])
    difference = fit.contrasts(arm="STUDY", reference="control")
    assert difference["n_arm"].iloc[0] == (one["study"] == "drug").sum()
