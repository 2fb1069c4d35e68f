"""ANCOVA: R lm, emmeans and sandwich; hand-worked, property and degenerate cases."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result

#: exact linear algebra in both programs: only rounding may differ
RELATIVE = 1e-9

VISIT4 = {
    "covariates": "FEV1 ~ FEV1_BL + RACE + SEX + ARMCD",
    "interaction": "FEV1 ~ FEV1_BL * ARMCD + RACE * ARMCD + SEX",
    "no intercept": "FEV1 ~ 0 + ARMCD + RACE + FEV1_BL",
    "nested coding": "FEV1 ~ SEX + RACE:SEX + ARMCD:SEX",
    "margins": "FEV1 ~ ARMCD + ARMCD:RACE + FEV1_BL:SEX",
    **{f"HC{n}": "FEV1 ~ FEV1_BL + RACE * ARMCD" for n in range(4)},
}
PBC = {
    "transformed": "log(bili) ~ log(albumin) + I(age^2) + stage + arm",
    "aliased": "log(bili) ~ age + twice + sex + arm",
}


@pytest.fixture(scope="module")
def fev(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "tab_mmrm_artificial/derived_csv/fev_data.csv")


@pytest.fixture(scope="module")
def pbc(shared_data: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared_data / "tab_r_survival_liver/derived_csv/pbc.csv")
    frame = frame[frame["trt"].notna()]
    return frame.assign(
        arm=np.where(frame["trt"] == 1, "D-penicillamine", "placebo"),
        stage=frame["stage"].astype("Int64").astype("category"),
        twice=2 * frame["age"] + 1,
    )


@pytest.fixture(scope="module")
def numbers(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "ancova.csv")


@pytest.fixture
def small() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 36
    return pd.DataFrame(
        {
            "USUBJID": [f"S{i:02d}" for i in range(n)],
            "TRT01P": np.tile(["Placebo", "Low dose", "High dose"], n // 3),
            "SITEID": np.repeat(["01", "02"], n // 2),
            "BASE": rng.normal(20, 4, n),
            "CHG": rng.normal(-1, 2, n),
        }
    )


def check(result: lt.ancova, numbers: pd.DataFrame, case: str, weights: str | None) -> None:
    wanted = numbers[numbers["case"] == case]
    frames = {"coefficient": result.coefficients}
    if weights:
        frames[f"lsmeans {weights}"] = result.lsmeans
        frames[f"contrast {weights}"] = result.contrasts
    for kind, frame in frames.items():
        expected = wanted[wanted["kind"] == kind]
        assert len(expected), (case, kind)
        if kind == "coefficient":
            assert frame["term"].tolist() == expected["name"].tolist()
        elif kind.startswith("lsmeans"):
            assert frame.iloc[:, 0].tolist() == expected["name"].tolist()
        for ours, theirs in (("estimate", "estimate"), ("std_error", "se")):
            np.testing.assert_allclose(
                frame[ours].astype(float), expected[theirs], rtol=RELATIVE, atol=1e-10
            )
        known = frame["estimate"].notna().to_numpy()
        np.testing.assert_allclose(frame["df"][known], expected["df"][known])


@pytest.mark.parametrize("case", VISIT4)
def test_agrees_with_r_at_one_visit(fev: pd.DataFrame, numbers: pd.DataFrame, case: str) -> None:
    visit = fev[fev["AVISIT"] == "VIS4"]
    vcov = case if case.startswith("HC") else "model"
    if case in ("nested coding", "margins"):
        result = lt.ancova(visit, VISIT4[case], arm="ARMCD", reference="PBO")
        check(result, numbers, case, None)
        return
    for weights, name in (("equal", "equal"), ("observed", "proportional"), ("cells", "cells")):
        result = lt.ancova(
            visit, VISIT4[case], arm="ARMCD", reference="PBO", vcov=vcov, weights=weights
        )
        check(result, numbers, case, name)


@pytest.mark.parametrize("case", PBC)
def test_agrees_with_r_on_pbc(pbc: pd.DataFrame, numbers: pd.DataFrame, case: str) -> None:
    result = lt.ancova(pbc, PBC[case], arm="arm", reference="D-penicillamine")
    check(result, numbers, case, "equal")


def test_agrees_with_r_by_visit(fev: pd.DataFrame, numbers: pd.DataFrame) -> None:
    result = lt.ancova(
        fev, "FEV1 ~ FEV1_BL + RACE + ARMCD", arm="ARMCD", reference="PBO", by="AVISIT"
    )
    for visit, row in result.table.set_index("AVISIT").iterrows():
        wanted = numbers[
            (numbers["case"] == f"by {visit}") & (numbers["kind"] == "contrast equal")
        ]
        assert row["estimate"] == pytest.approx(wanted["estimate"].iloc[0], rel=RELATIVE)
        assert row["std_error"] == pytest.approx(wanted["se"].iloc[0], rel=RELATIVE)


def test_aliased_term_is_named_and_nan(pbc: pd.DataFrame) -> None:
    result = lt.ancova(pbc, PBC["aliased"], arm="arm", reference="placebo")
    assert any("aliased" in note and "twice" in note for note in result.notes)
    assert np.isnan(result.coefficients.set_index("term")["estimate"]["twice"])
    assert np.isfinite(result.table["estimate"]).all()


def test_without_covariates_is_the_pooled_t_test() -> None:
    # arm means 2 and 5; residuals -1, 0, 1 in both arms: s2 = 4 / 4, se = sqrt(1/3 + 1/3)
    data = pd.DataFrame({"ARM": list("AAABBB"), "Y": [1.0, 2, 3, 4, 5, 6]})
    row = lt.ancova(data, "Y ~ ARM", arm="ARM", reference="A").table.iloc[0]
    assert row["estimate"] == pytest.approx(3.0)
    assert row["std_error"] == pytest.approx(np.sqrt(2 / 3))
    assert row["df"] == 4
    assert row["statistic"] == pytest.approx(3 / np.sqrt(2 / 3))
    assert (row["n_arm"], row["n_ref"], row["n"]) == (3, 3, 6)


def test_swapping_the_reference_negates_the_difference(small: pd.DataFrame) -> None:
    two = small[small["TRT01P"] != "Low dose"]
    a = lt.ancova(two, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo").table.iloc[0]
    b = lt.ancova(two, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="High dose").table.iloc[0]
    assert a["estimate"] == pytest.approx(-b["estimate"])
    assert a["p_value"] == pytest.approx(b["p_value"])
    assert a["conf_low"] == pytest.approx(-b["conf_high"])


def test_reference_need_not_be_the_first_level(small: pd.DataFrame) -> None:
    table = lt.ancova(small, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo").table
    assert table["TRT01P"].tolist() == ["High dose", "Low dose"]
    assert set(table["reference"]) == {"Placebo"}


def test_category_order_decides_the_order_of_arms(small: pd.DataFrame) -> None:
    arms = ["Placebo", "Low dose", "High dose"]
    data = small.assign(TRT01P=pd.Categorical(small["TRT01P"], [*arms, "Never given"]))
    result = lt.ancova(data, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo")
    assert result.lsmeans["TRT01P"].tolist() == arms
    assert result.coefficients["term"].tolist()[2:] == ["TRT01PLow dose", "TRT01PHigh dose"]


def test_order_of_rows_and_columns_changes_nothing(small: pd.DataFrame) -> None:
    shuffled = small.sample(frac=1, random_state=3)[small.columns[::-1]]
    before = small.copy()
    call = {"arm": "TRT01P", "reference": "Placebo", "vcov": "HC3"}
    a = lt.ancova(small, "CHG ~ BASE + SITEID + TRT01P", **call)
    b = lt.ancova(shuffled, "CHG ~ BASE + SITEID + TRT01P", **call)
    pd.testing.assert_frame_equal(a.table, b.table, rtol=1e-12)
    pd.testing.assert_frame_equal(small, before)


def test_a_row_that_alone_informs_a_coefficient_has_no_jackknife_error(
    small: pd.DataFrame,
) -> None:
    alone = small.assign(SITEID=np.where(np.arange(len(small)) == 0, "09", small["SITEID"]))
    call = {"arm": "TRT01P", "reference": "Placebo"}
    for vcov in ("HC2", "HC3"):
        result = lt.ancova(alone, "CHG ~ BASE + SITEID + TRT01P", **call, vcov=vcov)
        assert result.table["std_error"].isna().all()
        assert result.table["estimate"].notna().all()
        assert any(
            note.startswith("1 row(s) fitted exactly (leverage 1)") for note in result.notes
        )
    model = lt.ancova(alone, "CHG ~ BASE + SITEID + TRT01P", **call)
    assert model.table["std_error"].notna().all()


def test_shifting_a_covariate_leaves_differences(small: pd.DataFrame) -> None:
    moved = small.assign(BASE=small["BASE"] * 1e4 + 1e6)
    a = lt.ancova(small, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo")
    b = lt.ancova(moved, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo")
    np.testing.assert_allclose(a.table["estimate"], b.table["estimate"], rtol=1e-6)
    np.testing.assert_allclose(a.lsmeans["estimate"], b.lsmeans["estimate"], rtol=1e-6)


def test_lsmeans_at_a_given_covariate_value(small: pd.DataFrame) -> None:
    result = lt.ancova(
        small, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo", at={"BASE": 0.0}
    )
    intercept = result.coefficients.set_index("term")["estimate"]["(Intercept)"]
    assert result.lsmeans.set_index("TRT01P")["estimate"]["High dose"] == pytest.approx(intercept)


def test_missing_values_are_left_out_and_counted(small: pd.DataFrame) -> None:
    holes = small.assign(CHG=small["CHG"].where(small.index % 6 != 0))
    result = lt.ancova(holes, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo")
    assert result.fit["n_missing"].iloc[0] == 6
    assert any("left out 6 of 36" in note for note in result.notes)


def test_arm_absent_at_a_visit_gives_nan_rows_and_a_note(small: pd.DataFrame) -> None:
    data = pd.concat([small.assign(AVISIT="Week 12"), small.assign(AVISIT="Week 48")])
    gone = (data["AVISIT"] == "Week 48") & (data["TRT01P"] == "High dose")
    result = lt.ancova(
        data[~gone], "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo", by="AVISIT"
    )
    table = result.table.set_index(["AVISIT", "TRT01P"])
    assert len(table) == 4
    assert np.isnan(table.loc[("Week 48", "High dose"), "estimate"])
    assert np.isfinite(table.loc[("Week 48", "Low dose"), "estimate"])
    assert any("High dose" in note and "Week 48" in note for note in result.notes)


def test_visit_with_one_arm_only_is_nan_not_an_error(small: pd.DataFrame) -> None:
    data = pd.concat([small.assign(AVISIT="Week 12"), small.assign(AVISIT="Week 48")])
    gone = (data["AVISIT"] == "Week 48") & (data["TRT01P"] != "Placebo")
    result = lt.ancova(
        data[~gone], "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo", by=["AVISIT"]
    )
    assert result.table.query("AVISIT == 'Week 48'")["estimate"].isna().all()
    assert any(note.startswith("not fitted (Week 48)") for note in result.notes)


def test_no_residual_degrees_of_freedom_gives_nan_errors() -> None:
    data = pd.DataFrame({"ARM": ["A", "B"], "Y": [1.0, 2.0]})
    result = lt.ancova(data, "Y ~ ARM", arm="ARM", reference="A")
    assert result.table["estimate"].iloc[0] == pytest.approx(1.0)
    assert np.isnan(result.table["std_error"].iloc[0])
    assert any("no residual degrees of freedom" in note for note in result.notes)


@pytest.mark.parametrize(
    ("change", "call", "error", "words"),
    [
        ({}, {"reference": "Sham"}, lt.DataError, "does not occur"),
        ({}, {"formula": "CHG ~ BASE"}, lt.UsageError, "no factor TRT01P"),
        ({}, {"formula": "CHG ~ WEIGHT + TRT01P"}, lt.DataError, "WEIGHT"),
        ({}, {"formula": "CHG ~~ BASE +"}, lt.UsageError, "cannot be read"),
        ({}, {"formula": "CHG ~ __import__('os') + TRT01P"}, lt.UsageError, "not understood"),
        ({}, {"vcov": "HC9"}, lt.UsageError, "HC9"),
        ({}, {"weights": "some"}, lt.UsageError, "some"),
        ({}, {"conf_level": 95}, lt.UsageError, "proportion"),
        ({"CHG": np.nan}, {}, lt.DataError, "no row of 36"),
        ({"CHG": "high"}, {}, lt.DataError, "finite numbers"),
        ({"TRT01P": "Placebo"}, {}, lt.DataError, "one level only"),
    ],
)
def test_errors_say_what_is_wrong(
    small: pd.DataFrame,
    change: dict[str, object],
    call: dict[str, object],
    error: type[Exception],
    words: str,
) -> None:
    arguments = {"formula": "CHG ~ BASE + TRT01P", "reference": "Placebo", **call}
    formula = str(arguments.pop("formula"))
    with pytest.raises(error, match=words):
        lt.ancova(small.assign(**change), formula, arm="TRT01P", **arguments)


def test_ard_gives_every_frame_back(small: pd.DataFrame) -> None:
    data = pd.concat([small.assign(AVISIT="Week 12"), small.assign(AVISIT="Week 48")])
    result = lt.ancova(data, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="Placebo", by="AVISIT")
    again = ard_result(result.to_ard(analysis="primary"))
    for name, frame in result.frames().items():
        pd.testing.assert_frame_equal(
            again.frames[name][frame.columns], frame, check_dtype=False, check_exact=True
        )
    assert again.text == result.text
