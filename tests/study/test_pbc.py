"""The Mayo PBC trial from raw csv files to endpoints, against R (tests/reference/pbc.R).

R derives visit windows, baseline and change from the raw files itself. Tolerances: 1e-10 for
closed forms; 1e-6 for models that iterate (coxph, gls stop at a gradient, not at a digit).
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.study import Study, read_study

ARM, REFERENCE = "D-penicillamine", "Placebo"


@pytest.fixture(scope="module")
def study(pbc: Path) -> Study:
    return read_study(pbc)


@pytest.fixture(scope="module")
def txfree(study: Study) -> pd.DataFrame:
    return study.events[study.events["PARAMCD"] == "TXFREE"]


def test_study_has_the_312_randomised_subjects_and_only_expected_warnings(study: Study) -> None:
    arms = study.analysed()["TRT01P"].value_counts()
    assert arms.to_dict() == {"D-penicillamine": 158, "Placebo": 154}
    assert [(f.severity, f.dataset, f.column) for f in study.findings] == [
        ("warning", "adlb", "BASE")
    ]


def test_counts_and_derived_values_agree_with_r(study: Study, reference: Path) -> None:
    expected = pd.read_csv(reference / "pbc_counts.csv")
    keys = ["PARAMCD", "AVISIT", "TRT01P"]
    records = study.records.astype({"AVISIT": str, "TRT01P": str})
    found = records.groupby(keys).agg(
        n=("AVAL", "count"), n_base=("BASE", "count"), sum_aval=("AVAL", "sum"),
        sum_base=("BASE", "sum"), sum_chg=("CHG", "sum"),
    )  # fmt: skip
    expected.index = pd.MultiIndex.from_frame(expected[["paramcd", "visit", "arm"]], names=keys)
    assert sorted(found.index) == sorted(expected.index)
    for column in found:
        np.testing.assert_allclose(
            found[column], expected.loc[found.index, column], rtol=1e-10, atol=1e-9
        )


@pytest.mark.parametrize("code", ["LOGBILI", "ALB", "PT"])
def test_ancova_agrees_with_lm_and_emmeans(study: Study, reference: Path, code: str) -> None:
    expected = pd.read_csv(reference / "pbc_ancova.csv").query("paramcd == @code")
    result = lt.ancova(
        study.values(code, "Year 1"), "CHG ~ BASE + TRT01P", arm="TRT01P", reference=REFERENCE
    )
    columns = ["estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"]
    means = result.lsmeans.set_index("TRT01P")
    for arm in (ARM, REFERENCE):
        want = expected[expected["row"] == arm].iloc[0]
        np.testing.assert_allclose(
            means.loc[arm, columns].astype(float), want[columns].astype(float), rtol=1e-10
        )
    want = expected[expected["row"] == "difference"].iloc[0]
    got = result.contrasts.iloc[0]
    np.testing.assert_allclose(got[columns].astype(float), want[columns].astype(float), rtol=1e-10)


def test_mmrm_agrees_with_gls(study: Study, reference: Path) -> None:
    expected = pd.read_csv(reference / "pbc_mmrm.csv").set_index("visit")
    data = study.longitudinal("LOGBILI")
    fit = lt.mmrm(data, "CHG ~ BASE * AVISIT + TRT01P * AVISIT + us(AVISIT | USUBJID)")
    contrasts = fit.contrasts(arm="TRT01P", reference=REFERENCE, by=["AVISIT"])
    contrasts = contrasts.astype({"AVISIT": str}).set_index("AVISIT").loc[expected.index]
    assert fit.n_obs == expected["n"].iloc[0]
    assert fit.loglik == pytest.approx(expected["loglik"].iloc[0], abs=1e-6)
    np.testing.assert_allclose(contrasts["estimate"], expected["estimate"], rtol=2e-5)
    np.testing.assert_allclose(contrasts["std_error"], expected["std_error"], rtol=2e-5)


def test_kaplan_meier_agrees_with_survfit(txfree: pd.DataFrame, reference: Path) -> None:
    medians = pd.read_csv(reference / "pbc_km_median.csv").set_index("arm")
    at = pd.read_csv(reference / "pbc_km_at.csv")
    times = sorted(at["time"].unique())
    result = lt.kaplan_meier(txfree, arm="TRT01P", times=times)
    table = result.table.set_index("arm").loc[medians.index]
    assert table["median"].tolist() == medians["median"].tolist()
    assert table["events"].tolist() == medians["events"].tolist()
    got = result.at_risk.set_index(["arm", "time"])
    for row in at.itertuples():
        mine = got.loc[(row.arm, row.time)]
        assert mine["n_risk"] == row.n_risk
        np.testing.assert_allclose(
            [mine["estimate"], mine["conf_low"], mine["conf_high"]],
            [row.estimate, row.conf_low, row.conf_high], rtol=1e-10,
        )  # fmt: skip


def test_log_rank_agrees_with_survdiff(txfree: pd.DataFrame, reference: Path) -> None:
    want = pd.read_csv(reference / "pbc_logrank.csv").iloc[0]
    result = lt.log_rank(txfree, arm="TRT01P")
    row = result.table.iloc[0]
    np.testing.assert_allclose(
        [row["statistic"], row["p_value"]], [want["statistic"], want["p_value"]], rtol=1e-10
    )
    placebo = result.observed.set_index("arm").loc[REFERENCE]
    assert placebo["observed"] == want["observed_placebo"]
    assert placebo["expected"] == pytest.approx(want["expected_placebo"], rel=1e-10)


@pytest.mark.parametrize(
    ("model", "formula"),
    [("arm", "TRT01P"), ("adjusted", "TRT01P + AGE + LOGBILBL + ALBBL + PTBL + EDEMA")],
)
def test_cox_agrees_with_coxph(
    txfree: pd.DataFrame, reference: Path, model: str, formula: str
) -> None:
    want = pd.read_csv(reference / "pbc_cox.csv").query("model == @model").set_index("term")
    table = lt.cox(txfree, formula, time="AVAL", censor="CNSR").table
    terms = ["arm" if term.startswith("TRT01P") else term for term in table["term"]]
    got = table.set_index(pd.Index(terms)).loc[want.index]
    for column in ("estimate", "std_error", "p_value"):
        np.testing.assert_allclose(got[column], want[column], rtol=1e-6)


def test_rmst_agrees_with_survfit_rmean(txfree: pd.DataFrame, reference: Path) -> None:
    want = pd.read_csv(reference / "pbc_km_median.csv").set_index("arm")
    result = lt.rmst(txfree, arm="TRT01P", reference=REFERENCE, tau=3650)
    got = result.table.set_index("arm").loc[want.index]
    np.testing.assert_allclose(got["estimate"], want["rmst"], rtol=1e-10)
    np.testing.assert_allclose(got["std_error"], want["rmst_se"], rtol=1e-10)


def test_every_parameter_of_the_plan_exists_in_the_data(study: Study) -> None:
    for analysis in study.plan.analyses:
        events = analysis.parameters == ["TXFREE"]
        assert events or study.parameters(analysis.parameters) == analysis.parameters


def test_competing_events_are_named_once(txfree: pd.DataFrame) -> None:
    happened = txfree["CNSR"] == 0
    assert txfree.loc[happened, "CAUSE"].value_counts().to_dict() == {
        "death": 125,
        "transplant": 19,
    }
    assert txfree.loc[~happened, "CAUSE"].isna().all()


def test_building_twice_writes_the_same_bytes(
    pbc: Path, pbc_builder: ModuleType, shared_data: Path, tmp_path: Path
) -> None:
    again = pbc_builder.build_study(shared_data / "tab_r_survival_liver", tmp_path)
    for file in sorted((pbc / "adam").iterdir()):
        assert (again / "adam" / file.name).read_bytes() == file.read_bytes()


def test_derived_csv_folder_gives_the_same_study_but_for_rounding(
    study: Study, pbc_builder: ModuleType, shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "tab_r_survival_liver" / "derived_csv"
    other = read_study(pbc_builder.build_study(folder, tmp_path))
    assert len(other.records) == len(study.records)
    np.testing.assert_allclose(other.records["AVAL"], study.records["AVAL"], rtol=1e-3)


def test_missing_file_is_named(
    pbc_builder: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pbc_builder.main([str(tmp_path), str(tmp_path / "study")]) == 1
    assert "no pbc.csv" in capsys.readouterr().err


def test_window_rule_takes_the_nearest_then_the_earlier(pbc_builder: ModuleType) -> None:
    days = pd.DataFrame(
        {"id": 1, "day": [0, 170, 194, 300, 360], "bili": [1.0, 2.0, 3.0, 4.0, 5.0]}
    )
    made = pbc_builder.make_bds(days, {"BILI": ("bili", "Total bilirubin (mg/dL)", "mg/dL")})
    picked = made.set_index("AVISIT")["AVAL"].to_dict()
    # 170 and 194 are both 12 days from 182: the earlier; 360 is nearer to 365 than 300
    assert picked == {"Baseline": 1.0, "Month 6": 2.0, "Year 1": 5.0}
