"""What a study gives: derived baseline and change, one row per subject, no order that matters."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from livertrack.errors import DataError, PlanError, UsageError
from livertrack.study import Study, read_study

from .conftest import ARMS, SUBJECTS, VISITS, Frames, good_plan

pytestmark = pytest.mark.filterwarnings("error::FutureWarning")

Write = Callable[..., Path]


@pytest.fixture
def study(frames: Frames, write: Write) -> Study:
    return read_study(write(frames))


# records --------------------------------------------------------------------------------------


def test_records_have_the_contract_columns_in_plan_order(study: Study) -> None:
    assert list(study.records.columns) == [
        "DATASET", "USUBJID", "SITEID", "TRT01P", "PARAMCD", "PARAM", "AVISIT", "AVISITN",
        "REGION", "AVAL", "BASE", "CHG", "ABLFL",
    ]  # fmt: skip
    assert study.records["TRT01P"].cat.categories.tolist() == ARMS
    assert study.records["AVISIT"].cat.categories.tolist() == VISITS
    assert study.records["AVISIT"].cat.ordered
    assert study.records["DATASET"].unique().tolist() == ["adbx", "adlb"]
    assert study.records["REGION"].eq("").all()


def test_change_is_the_planted_slope(study: Study) -> None:
    # ALT falls by 2 (Placebo), 4 (Low), 6 (High) U/L per visit
    for visit, steps in (("Week 12", 1), ("Week 48", 2)):
        change = study.values("ALT", visit).groupby("TRT01P", observed=True)["CHG"].unique()
        assert {arm: c.tolist() for arm, c in change.items()} == {
            "Placebo": [-2.0 * steps], "Low": [-4.0 * steps], "High": [-6.0 * steps],
        }  # fmt: skip


def test_baseline_record_has_base_but_no_change(study: Study) -> None:
    at_baseline = study.records[study.records["AVISIT"] == "Baseline"]
    assert at_baseline["BASE"].equals(at_baseline["AVAL"])
    assert at_baseline["CHG"].isna().all()
    assert at_baseline["ABLFL"].eq("Y").all()


def test_baseline_flag_wins_over_the_baseline_visit(frames: Frames, write: Write) -> None:
    labs = frames["adlb"]
    first = labs.iloc[[0]].assign(AVISIT="Screening", AVAL=70.0, ABLFL="Y")
    frames["adlb"] = pd.concat([labs.assign(ABLFL=""), first])
    row = read_study(write(frames)).values("ALT", "Week 12").iloc[0]
    assert (row["AVAL"], row["BASE"], row["CHG"]) == (78.0, 70.0, 8.0)


def test_given_and_derived_base_and_change_are_the_same(frames: Frames, write: Write) -> None:
    derived = read_study(write(frames)).records
    mine = derived[derived["DATASET"] == "adlb"]
    frames["adlb"] = mine[["USUBJID", "PARAMCD", "AVISIT", "AVAL", "BASE", "CHG"]]
    pd.testing.assert_frame_equal(read_study(write(frames)).records, derived)


def test_regions_have_baselines_of_their_own(frames: Frames, write: Write) -> None:
    rows = [
        {"USUBJID": s, "PARAMCD": "PDFF", "AVISIT": v, "REGION": r, "AVAL": a + 2 * k}
        for s in SUBJECTS for k, v in enumerate(VISITS) for r, a in (("", 10.0), ("left", 20.0))
    ]  # fmt: skip
    frames["adim"] = pd.DataFrame(rows)
    study = read_study(write(frames))
    assert study.values("PDFF", "Week 48")["BASE"].unique().tolist() == [10.0]
    left = study.values("PDFF", "Week 48", region="left")
    assert left[["AVAL", "BASE", "CHG"]].drop_duplicates().to_numpy().tolist() == [[24, 20, 4]]
    with pytest.raises(UsageError, match="region 'right'"):
        study.values("PDFF", "Week 48", region="right")


def test_titles_and_visit_numbers_come_from_dictionary_and_plan(study: Study) -> None:
    alt = study.records[study.records["PARAMCD"] == "ALT"]
    assert alt["PARAM"].unique().tolist() == ["Alanine aminotransferase (U/L)"]
    assert dict(zip(alt["AVISIT"], alt["AVISITN"], strict=True)) == {
        "Baseline": 0.0, "Week 12": 1.0, "Week 48": 2.0,
    }  # fmt: skip


def test_order_of_rows_and_columns_changes_nothing(frames: Frames, write: Write) -> None:
    first = read_study(write(frames))
    shuffled = {
        name: frame.sample(frac=1, random_state=3)[list(reversed(frame.columns))]
        for name, frame in frames.items()
    }
    second = read_study(write(shuffled))
    pd.testing.assert_frame_equal(second.records, first.records)
    pd.testing.assert_frame_equal(second.adsl, first.adsl, check_like=True)
    pd.testing.assert_frame_equal(second.events, first.events, check_like=True)


@pytest.mark.parametrize("suffix", ["parquet", "xpt"])
def test_other_formats_give_the_same_study(frames: Frames, write: Write, suffix: str) -> None:
    expected = read_study(write(frames))
    for name, frame in frames.items():
        (expected.path / "adam" / f"{name}.csv").unlink()
        path = expected.path / "adam" / f"{name}.{suffix}"
        if suffix == "parquet":
            frame.to_parquet(path)
        else:
            pyreadstat.write_xport(frame, str(path), file_format_version=5)
    other = read_study(expected.path)
    pd.testing.assert_frame_equal(other.records, expected.records)
    pd.testing.assert_frame_equal(other.adsl, expected.adsl)
    pd.testing.assert_frame_equal(other.events, expected.events)


# what analyses ask for ------------------------------------------------------------------------


def test_values_have_one_row_per_analysed_subject_even_without_a_record(
    frames: Frames, write: Write
) -> None:
    labs = frames["adlb"]
    gone = (labs["USUBJID"] == SUBJECTS[2]) & (labs["AVISIT"] == "Week 48")
    frames["adlb"] = labs[~gone]
    frames["adsl"].loc[5, "FASFL"] = "N"
    values = read_study(write(frames)).values("ALT", "Week 48")
    assert values["USUBJID"].tolist() == [s for i, s in enumerate(SUBJECTS) if i != 5]
    assert values.columns[:7].tolist() == [
        "USUBJID", "TRT01P", "SITEID", "DIABFL", "AVAL", "BASE", "CHG",
    ]  # fmt: skip
    missing = values.set_index("USUBJID").loc[SUBJECTS[2]]
    assert np.isnan(missing["AVAL"])
    assert missing["BASE"] == 82.0


@pytest.mark.parametrize("value", ["AVAL", "BASE", "CHG", "PCHG"])
def test_wide_agrees_with_values(study: Study, value: str) -> None:
    wide = study.wide(["AST", "ALT"], "Week 48", value=value)
    assert len(wide) == 12
    for code in ("ALT", "AST"):
        one = study.values(code, "Week 48")
        expected = 100 * one["CHG"] / one["BASE"] if value == "PCHG" else one[value]
        assert wide[code].tolist() == expected.tolist()


def test_percent_change_from_zero_is_missing(frames: Frames, write: Write) -> None:
    labs = frames["adlb"]
    labs.loc[0, "AVAL"] = 0.0
    wide = read_study(write(frames)).wide(["ALT"], "Week 12", value="PCHG")
    assert np.isnan(wide.loc[0, "ALT"])
    assert wide["ALT"].notna().sum() == 11


def test_longitudinal_has_the_visits_after_baseline_only(study: Study) -> None:
    data = study.longitudinal("ALT")
    assert len(data) == 24
    assert data["AVISIT"].cat.categories.tolist() == ["Week 12", "Week 48"]
    assert {"BASE", "CHG", "AGE", "DIABFL", "TRT01P"} <= set(data.columns)


def test_parameters_expand_patterns_once_in_order(study: Study) -> None:
    assert study.parameters(["FIB*", "A*", "ALT"]) == ["FIBROSIS", "ALT", "AST"]
    assert study.parameters("ALT") == ["ALT"]


def test_unknown_parameter_and_visit_are_plan_errors_with_a_suggestion(study: Study) -> None:
    with pytest.raises(PlanError, match="'FIBROSES'; did you mean 'FIBROSIS'"):
        study.parameters(["FIBROSES"])
    with pytest.raises(PlanError, match="no PARAMCD matches"):
        study.values("TV*", "Week 12")
    with pytest.raises(PlanError, match="'Week 13'; did you mean 'Week 12'"):
        study.values("ALT", "Week 13")


def test_wide_refuses_a_parameter_that_hides_a_covariate(frames: Frames, write: Write) -> None:
    extra = frames["adlb"].query("PARAMCD == 'ALT'").assign(PARAMCD="AGE")
    frames["adlb"] = pd.concat([frames["adlb"], extra])
    with pytest.raises(DataError, match="AGE is also a column of adsl"):
        read_study(write(frames)).wide(["AGE"], "Week 12")


def test_population_of_none_analyses_every_subject(frames: Frames, write: Write) -> None:
    frames["adsl"].loc[0, "FASFL"] = "N"
    assert len(read_study(write(frames)).analysed()) == 11
    plan = good_plan()
    plan["data"]["population"] = None  # type: ignore[index]
    assert len(read_study(write(frames, plan)).analysed()) == 12


def test_the_plans_arm_column_is_the_arm_everywhere(frames: Frames, write: Write) -> None:
    frames["adsl"]["TRT01A"] = list(reversed(frames["adsl"]["TRT01P"]))
    plan = good_plan()
    plan["data"]["arm"] = "TRT01A"  # type: ignore[index]
    study = read_study(write(frames, plan))
    actual = frames["adsl"].set_index("USUBJID")["TRT01A"]
    for frame in (study.values("ALT", "Week 12"), study.events, study.longitudinal("ALT")):
        assert frame["TRT01A"].astype(str).tolist() == actual[frame["USUBJID"]].tolist()
    assert "TRT01A" in study.records.columns


def test_events_carry_arm_and_covariates(study: Study) -> None:
    assert study.events.columns[:5].tolist() == ["USUBJID", "TRT01P", "PARAMCD", "AVAL", "CNSR"]
    assert study.events["STARTDT"].eq(pd.Timestamp("2021-03-01")).all()
    assert {"AGE", "DIABFL", "FASFL"} <= set(study.events.columns)
    assert (study.events["CNSR"] == 0).sum() == 6


def test_study_without_events_or_records_has_empty_frames(frames: Frames, write: Write) -> None:
    study = read_study(write({"adsl": frames["adsl"]}))
    assert study.events.empty
    assert {"USUBJID", "TRT01P", "PARAMCD", "AVAL", "CNSR"} <= set(study.events.columns)
    assert study.records.empty
    assert study.visit_counts()["analysed"].tolist() == [4, 4, 4]
    assert "no records" in study._repr_html_()


def test_new_records_replace_those_of_their_dataset_only(study: Study) -> None:
    signatures = pd.DataFrame(
        [
            {"USUBJID": s, "AVISIT": v, "PARAMCD": f"TV0{k}", "AVAL": a, "NVOX": 900}
            for s in SUBJECTS[:6] for v in VISITS for k, a in ((1, 0.4), (2, 0.6))
        ]
    )  # fmt: skip
    once = study.with_records(signatures, dataset="admri")
    twice = once.with_records(signatures, dataset="admri")
    pd.testing.assert_frame_equal(twice.records, once.records)
    assert len(once.records) == len(study.records) + 36
    assert once.parameters("TV*") == ["TV01", "TV02"]
    assert once.values("TV01", "Week 48")["CHG"].notna().sum() == 6
    with pytest.raises(DataError, match="outside 0 to 1"):
        study.with_records(signatures.assign(AVAL=40.0), dataset="admri")


def test_study_is_frozen_and_its_inputs_are_not_changed(study: Study) -> None:
    with pytest.raises(FrozenInstanceError):
        study.records = pd.DataFrame()  # type: ignore[misc]
    before = study.records.copy()
    study.values("ALT", "Week 12")["AVAL"] = 0.0
    study.wide(["ALT"], "Week 12")["ALT"] = 0.0
    pd.testing.assert_frame_equal(study.records, before)


def test_printing_a_study_names_no_subject(study: Study) -> None:
    assert repr(study) == "Study('SMALL': 12 subjects, 96 records, 12 events, no images)"


def test_html_shows_counts_per_arm_and_visit(frames: Frames, write: Write) -> None:
    labs = frames["adlb"]
    late = labs["AVISIT"].eq("Week 48") & labs["USUBJID"].isin(SUBJECTS[:2])
    frames["adlb"] = labs[~late]
    frames["adbx"] = frames["adbx"].query("AVISIT == 'Baseline'")
    plan = good_plan()
    plan["study"]["title"] = "A & B"  # type: ignore[index]
    study = read_study(write(frames, plan))
    counts = study.visit_counts()
    assert counts.to_numpy().tolist() == [[4, 4, 4, 3], [4, 4, 4, 3], [4, 4, 4, 4]]
    html = study._repr_html_()
    assert "A &amp; B" in html
    assert not any(subject in html for subject in SUBJECTS)


# a real ADaM submission -----------------------------------------------------------------------


def test_derived_baseline_and_change_equal_those_of_a_published_adlb(
    shared_data: Path, write: Write
) -> None:
    """CDISC pilot (R package pharmaverseadam): BASE and CHG made by admiral.

    The baseline record is flagged at Baseline or at an unscheduled visit before it; repeated
    records of a visit are told apart by ANL01FL.
    """
    folder = shared_data / "tab_pharmaverseadam" / "derived_csv"
    if not folder.is_dir():
        pytest.skip(f"real data absent: no {folder}")
    adsl = pd.read_csv(folder / "adsl.csv", dtype=str, keep_default_na=False)
    with gzip.open(folder / "adlb.csv.gz", "rt", encoding="utf-8") as stream:
        adlb = pd.read_csv(stream, dtype=str, keep_default_na=False)
    adlb = adlb[adlb["PARAMCD"].isin(["ALT", "PLAT"])]
    arms = ["Placebo", "Xanomeline Low Dose", "Xanomeline High Dose"]
    visits = ["Baseline", "Week 8", "Week 16", "Week 24"]
    plan = {
        "study": {"id": "PILOT", "title": "Pilot"}, "seed": 1,
        "data": {"population": "SAFFL", "arms": arms, "reference": "Placebo",
                 "visits": visits, "baseline": "Baseline"},
    }  # fmt: skip
    given = read_study(write({"adsl": adsl, "adlb": adlb}, plan))
    derived = read_study(write({"adsl": adsl, "adlb": adlb.drop(columns=["BASE", "CHG"])}, plan))
    # the given columns agree with the records (no finding), and derivation gives the same
    assert {f.severity for f in given.findings} == {"warning"}
    assert derived.records["CHG"].notna().sum() > 700
    pd.testing.assert_frame_equal(derived.records, given.records, rtol=1e-9)
