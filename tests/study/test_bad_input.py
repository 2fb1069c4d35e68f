"""Each way a study can be wrong is a listed finding, and no message betrays a subject."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livertrack.errors import DataError, PlanError
from livertrack.findings import Finding
from livertrack.study import read_study, study_findings

from .conftest import SUBJECTS, VISITS, Frames, good_frames, good_plan

pytestmark = pytest.mark.filterwarnings("error::FutureWarning")

Write = Callable[..., Path]


def found(findings: list[Finding], dataset: str, column: str, *words: str) -> Finding:
    """The one finding at a place whose problem has these words."""
    here = [
        f for f in findings
        if (f.dataset, f.column) == (dataset, column) and all(w in f.problem for w in words)
    ]  # fmt: skip
    assert len(here) == 1, [str(f) for f in findings]
    return here[0]


def findings_of(folder: Path) -> list[Finding]:
    return study_findings(folder)[1]


def test_a_good_study_has_no_finding(frames: Frames, write: Write) -> None:
    assert findings_of(write(frames)) == []


def test_subject_without_baseline_is_a_warning_and_has_no_change(
    frames: Frames, write: Write
) -> None:
    labs = frames["adlb"]
    gone = (labs["USUBJID"] == SUBJECTS[0]) & (labs["AVISIT"] == "Baseline")
    frames["adlb"] = labs[~gone]
    study = read_study(write(frames))
    item = found(list(study.findings), "adlb", "BASE", "no baseline record", "ALT, AST")
    assert (item.severity, item.count, item.rows) == ("warning", 1, (2, 3, 4, 5))
    week = study.values("ALT", "Week 12").set_index("USUBJID")
    assert np.isnan(week.loc[SUBJECTS[0], "CHG"])
    assert week["CHG"].notna().sum() == 11


def test_subject_outside_the_population_needs_no_baseline(frames: Frames, write: Write) -> None:
    frames["adsl"].loc[0, "FASFL"] = "N"
    labs = frames["adlb"]
    gone = (labs["USUBJID"] == SUBJECTS[0]) & (labs["AVISIT"] == "Baseline")
    frames["adlb"] = labs[~gone]
    assert findings_of(write(frames)) == []


def test_arm_that_the_plan_does_not_know_is_an_error(frames: Frames, write: Write) -> None:
    frames["adsl"].loc[[1, 4], "TRT01P"] = "Medium"
    folder = write(frames)
    item = found(findings_of(folder), "adsl", "TRT01P", "does not know")
    assert (item.severity, item.count, item.rows) == ("error", 2, (3, 6))
    assert "Placebo, Low, High" in item.cure
    with pytest.raises(DataError, match=r"adsl\.TRT01P"):
        read_study(folder)


def test_screen_failure_without_arm_is_left_out_silently(frames: Frames, write: Write) -> None:
    frames["adsl"].loc[1, ["TRT01P", "FASFL"]] = ["Screen failure", "N"]
    study = read_study(write(frames))
    assert study.findings == ()
    assert len(study.adsl) == 12
    assert SUBJECTS[1] not in set(study.analysed()["USUBJID"])


def test_arm_in_a_dataset_that_contradicts_adsl_is_an_error(frames: Frames, write: Write) -> None:
    frames["adlb"]["TRT01P"] = "Placebo"
    item = found(findings_of(write(frames)), "adlb", "TRT01P", "differs from adsl")
    assert item.count == 48  # 8 of 12 subjects are not on placebo, 6 records each


def test_duplicated_record_is_an_error(frames: Frames, write: Write) -> None:
    frames["adlb"] = pd.concat([frames["adlb"], frames["adlb"].iloc[[3]]])
    item = found(findings_of(write(frames)), "adlb", "USUBJID x PARAMCD x AVISIT", "duplicated")
    assert (item.severity, item.count, item.rows) == ("error", 1, (74,))


def test_duplicates_outside_the_plans_visits_are_no_error(frames: Frames, write: Write) -> None:
    extra = frames["adlb"].iloc[[3, 3, 9]].assign(AVISIT="Unscheduled")
    frames["adlb"] = pd.concat([frames["adlb"], extra])
    findings = findings_of(write(frames))
    assert [(f.severity, f.count) for f in findings] == [("warning", 3)]
    assert "Unscheduled" in findings[0].problem


def test_analysis_flag_chooses_between_repeated_records(frames: Frames, write: Write) -> None:
    labs = frames["adlb"].assign(ANL01FL="Y")
    second = labs.iloc[[1]].assign(AVAL=5.0, ANL01FL="")
    frames["adlb"] = pd.concat([second, labs])
    study = read_study(write(frames))
    assert study.findings == ()
    assert study.values("ALT", "Week 12").loc[0, "AVAL"] == 78.0


def test_subject_listed_twice_in_adsl_is_an_error(frames: Frames, write: Write) -> None:
    frames["adsl"] = pd.concat([frames["adsl"], frames["adsl"].iloc[[0]]])
    item = found(findings_of(write(frames)), "adsl", "USUBJID", "duplicated")
    assert (item.count, item.rows) == (1, (14,))


def test_record_of_an_unknown_subject_is_an_error(frames: Frames, write: Write) -> None:
    frames["adbx"].loc[0, "USUBJID"] = "0999-QX999"
    item = found(findings_of(write(frames)), "adbx", "USUBJID", "adsl does not have")
    assert (item.severity, item.count, item.rows) == ("error", 1, (2,))


def test_wrong_code_is_an_error_that_lists_the_allowed_ones(frames: Frames, write: Write) -> None:
    frames["adsl"].loc[[0, 2], "SEX"] = ["female", "1"]
    item = found(findings_of(write(frames)), "adsl", "SEX", "code list")
    assert (item.count, item.rows) == (2, (2, 4))
    assert "F, M" in item.cure
    assert "female" not in str(item)


@pytest.mark.parametrize(
    ("dataset", "code", "value", "words"),
    [
        ("adlb", "ALT", 10001.0, "ALT value(s) outside 0 to 10000 U/L"),
        ("adlb", "ALT", -1.0, "ALT value(s) outside 0 to 10000 U/L"),
        ("adbx", "FIBROSIS", 5.0, "FIBROSIS value(s) outside 0 to 4"),
        ("adbx", "FIBROSIS", 2.5, "FIBROSIS value(s) are not whole numbers"),
    ],
)
def test_value_out_of_range_is_an_error(
    frames: Frames, write: Write, dataset: str, code: str, value: float, words: str
) -> None:
    frame = frames[dataset].astype({"AVAL": float})
    frame.loc[frame.index[frame["PARAMCD"] == code][-1], "AVAL"] = value
    frames[dataset] = frame
    item = found(findings_of(write(frames)), dataset, "AVAL", words)
    assert (item.severity, item.count) == ("error", 1)


def test_range_follows_the_stated_unit(frames: Frames, write: Write) -> None:
    frames["adlb"]["PARAM"] = frames["adlb"]["PARAMCD"] + " (ukat/L)"
    items = findings_of(write(frames))
    assert {f.problem for f in items} == set()
    frames["adlb"]["AVAL"] = 171.0
    problem = found(findings_of(write(frames)), "adlb", "AVAL", "ALT").problem
    assert problem == "ALT value(s) outside 0 to 170 ukat/L"


def test_mixed_and_unknown_units_are_errors(frames: Frames, write: Write) -> None:
    labs = frames["adlb"].assign(AVALU="U/L")
    labs.loc[labs["PARAMCD"] == "AST", "AVALU"] = "furlong"
    labs.loc[0, "AVALU"] = "ukat/L"
    frames["adlb"] = labs
    items = findings_of(write(frames))
    assert found(items, "adlb", "AVAL", "ALT is given in several units").rows == (2,)
    assert found(items, "adlb", "AVALU", "AST is in a unit").count == 36


def test_parameters_the_dictionary_does_not_know_have_no_range(
    frames: Frames, write: Write
) -> None:
    extra = frames["adlb"].iloc[:3].assign(PARAMCD="NOVEL", AVAL=1e9)
    frames["adlb"] = pd.concat([frames["adlb"], extra])
    assert findings_of(write(frames)) == []


def test_text_in_a_number_is_counted_not_quoted(frames: Frames, write: Write) -> None:
    labs = frames["adlb"].astype({"AVAL": object})
    labs.loc[[4, 7], "AVAL"] = ["<10", "12,5"]
    frames["adlb"] = labs
    item = found(findings_of(write(frames)), "adlb", "AVAL", "not of type number")
    assert (item.count, item.rows) == (2, (6, 9))
    assert "12,5" not in str(item)


def test_missing_columns_are_all_reported_at_once(frames: Frames, write: Write) -> None:
    frames["adlb"] = frames["adlb"].drop(columns=["AVISIT", "AVAL"])
    frames["adtte"] = frames["adtte"].rename(columns={"CNSR": "cnsr"})
    frames["adsl"] = frames["adsl"].drop(columns=["FASFL", "DIABFL", "SITEID"])
    folder = write(frames)
    items = findings_of(folder)
    places = {(f.dataset, f.column) for f in items if "missing" in f.problem}
    assert places == {
        ("adlb", "AVISIT"), ("adlb", "AVAL"), ("adtte", "CNSR"),
        ("adsl", "FASFL"), ("adsl", "DIABFL"), ("adsl", "SITEID"),
    }  # fmt: skip
    assert "rename 'cnsr'" in found(items, "adtte", "CNSR").cure
    with pytest.raises(DataError, match="6 error"):
        read_study(folder)


def test_blank_stratum_in_the_population_is_an_error(frames: Frames, write: Write) -> None:
    frames["adsl"].loc[5, "DIABFL"] = ""
    assert found(findings_of(write(frames)), "adsl", "DIABFL", "blank").rows == (7,)


def test_two_files_for_one_dataset_are_an_error(frames: Frames, write: Write) -> None:
    folder = write(frames)
    frames["adlb"].to_parquet(folder / "adam" / "adlb.parquet")
    item = found(findings_of(folder), "adlb", "", "several files")
    assert "adlb.csv, adlb.parquet" in item.problem
    assert item.cure == "keep one of them"


def test_truncated_parquet_is_one_finding_among_all(frames: Frames, write: Write) -> None:
    frames["adsl"].loc[0, "SEX"] = "X"
    folder = write(frames)
    (folder / "adam" / "adlb.csv").unlink()
    path = folder / "adam" / "adlb.parquet"
    frames["adlb"].to_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])
    items = findings_of(folder)
    assert "truncated" in found(items, "adlb", "").problem
    assert found(items, "adsl", "SEX").count == 1


def test_visits_the_plan_does_not_list_are_left_out_with_their_count(
    frames: Frames, write: Write
) -> None:
    labs = frames["adlb"]
    labs.loc[labs["AVISIT"] == "Week 48", "AVISIT"] = "Week 24"
    study = read_study(write(frames))
    item = found(list(study.findings), "adlb", "AVISIT", "left out (Week 24)")
    assert (item.severity, item.count) == ("warning", 24)
    assert "Week 24" not in set(study.records["AVISIT"])


def test_visit_of_the_plan_without_records_is_a_warning(frames: Frames, write: Write) -> None:
    plan = good_plan()
    plan["data"]["visits"] = [*VISITS, "Week 96"]  # type: ignore[index]
    item = found(findings_of(write(frames, plan)), "study", "AVISIT", "Week 96")
    assert item.severity == "warning"


@pytest.mark.parametrize("column", ["BASE", "CHG"])
def test_derived_columns_that_contradict_the_records_are_errors(
    frames: Frames, write: Write, column: str
) -> None:
    good = read_study(write(frames)).records.query("DATASET == 'adlb'")
    labs = good[["USUBJID", "PARAMCD", "AVISIT", "AVAL", "BASE", "CHG"]].copy()
    frames["adlb"] = labs
    assert findings_of(write(frames)) == []
    labs.loc[labs.index[1], column] += 1e-3
    item = found(findings_of(write(frames)), "adlb", column, "differs")
    assert (item.severity, item.count, item.rows) == ("error", 1, (3,))


def test_rounding_of_a_given_change_to_the_last_bit_is_accepted(
    frames: Frames, write: Write
) -> None:
    good = read_study(write(frames)).records.query("DATASET == 'adlb'")
    labs = good[["USUBJID", "PARAMCD", "AVISIT", "AVAL", "BASE", "CHG"]].copy()
    labs["CHG"] *= 1 + 1e-15
    frames["adlb"] = labs
    assert findings_of(write(frames)) == []


def test_two_flagged_baselines_are_an_error(frames: Frames, write: Write) -> None:
    labs = frames["adlb"]
    labs["ABLFL"] = np.where(labs["AVISIT"] == "Baseline", "Y", "")
    labs.loc[1, "ABLFL"] = "Y"
    item = found(findings_of(write(frames)), "adlb", "ABLFL", "flagged as baseline")
    assert (item.count, item.rows) == (1, (3,))


def test_one_measure_in_two_datasets_is_an_error(frames: Frames, write: Write) -> None:
    frames["adim"] = frames["adlb"].query("PARAMCD == 'ALT'")
    item = found(findings_of(write(frames)), "adim", "PARAMCD", "also in adlb (ALT)")
    assert item.severity == "error"


def test_dataset_that_is_not_bds_is_left_out_with_a_warning(frames: Frames, write: Write) -> None:
    frames["adae"] = pd.DataFrame({"USUBJID": SUBJECTS[:2], "AEDECOD": ["Nausea", "Rash"]})
    item = found(findings_of(write(frames)), "adae", "", "not a BDS dataset")
    assert item.severity == "warning"


def test_negative_time_and_fractional_censoring_are_errors(frames: Frames, write: Write) -> None:
    events = frames["adtte"].astype({"CNSR": float})
    events.loc[0, "AVAL"] = -1
    events.loc[1, "CNSR"] = 0.5
    frames["adtte"] = events
    items = findings_of(write(frames))
    assert found(items, "adtte", "AVAL", "outside 0 or more").rows == (2,)
    assert found(items, "adtte", "CNSR", "not of type integer").rows == (3,)


def test_without_adsl_there_is_no_study(frames: Frames, write: Write) -> None:
    del frames["adsl"]
    folder = write(frames)
    study, items = study_findings(folder)
    assert study is None
    assert found(items, "adsl", "", "missing").severity == "error"
    with pytest.raises(DataError, match=r"adam/adsl\.csv"):
        read_study(folder)


def test_folder_without_adam_is_a_data_error_and_without_plan_a_plan_error(
    tmp_path: Path,
) -> None:
    with pytest.raises(PlanError, match=r"plan\.yaml"):
        read_study(tmp_path)
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(good_plan()), encoding="utf-8")
    with pytest.raises(DataError, match="folder adam is missing"):
        read_study(tmp_path)


def test_all_errors_of_all_datasets_are_in_one_message(frames: Frames, write: Write) -> None:
    frames["adsl"].loc[0, "SEX"] = "X"
    frames["adsl"].loc[1, "TRT01P"] = "Medium"
    frames["adlb"].loc[0, "AVAL"] = 1e6
    frames["adtte"].loc[0, "CNSR"] = -1
    with pytest.raises(DataError) as caught:
        read_study(write(frames))
    for place in ("adsl.SEX", "adsl.TRT01P", "adlb.AVAL", "adtte.CNSR"):
        assert place in str(caught.value)


# images ---------------------------------------------------------------------------------------


def image_study(frames: Frames, write: Write, **imaging: object) -> Path:
    plan = {**good_plan(), "imaging": {"sequences": ["IP", "OP"], **imaging}}
    folder = write(frames, plan)
    rows = [
        {"USUBJID": s, "AVISIT": v, "SEQUENCE": q, "IMAGE": f"i/{s}{v}{q}.nii.gz", "MASK": "m.nii"}
        for s in SUBJECTS[:3]
        for v in VISITS[:2]
        for q in ("IP", "OP")
    ]
    pd.DataFrame(rows).to_csv(folder / "images.csv", index=False)
    return folder


def test_images_have_absolute_paths_and_file_lines(frames: Frames, write: Write) -> None:
    folder = image_study(frames, write)
    images = read_study(folder).images
    assert images is not None
    assert list(images.columns) == ["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    assert images["IMAGE"].map(lambda p: Path(p).is_absolute()).all()
    assert images.index.tolist() == list(range(2, 14))
    assert images["AVISITN"].unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("on_error", "severity"), [("exclude", "warning"), ("stop", "error")])
def test_scan_without_a_sequence_is_found(
    frames: Frames, write: Write, on_error: str, severity: str
) -> None:
    folder = image_study(frames, write, on_error=on_error)
    images = pd.read_csv(folder / "images.csv", dtype=str)
    images.drop(index=1).to_csv(folder / "images.csv", index=False)
    item = found(findings_of(folder), "images", "SEQUENCE", "lack")
    assert (item.severity, item.count, item.rows) == (severity, 1, (2,))


@pytest.mark.parametrize(("on_error", "severity"), [("exclude", "warning"), ("stop", "error")])
def test_blank_image_is_a_missing_sequence_and_blank_mask_is_left_to_the_scan_check(
    frames: Frames, write: Write, on_error: str, severity: str
) -> None:
    folder = image_study(frames, write, on_error=on_error)
    images = pd.read_csv(folder / "images.csv", dtype=str)
    images.loc[0, "IMAGE"] = ""
    images.loc[2:3, "MASK"] = ""
    images.to_csv(folder / "images.csv", index=False)
    study, items = study_findings(folder)
    item = found(items, "images", "SEQUENCE", "lack")
    assert (item.severity, item.count) == (severity, 1)
    assert study is not None
    assert study.images is not None
    assert study.images["MASK"].eq("").sum() == 2
    assert len(study.images) == 11


def test_subject_scanned_only_after_baseline_is_a_warning(frames: Frames, write: Write) -> None:
    folder = image_study(frames, write)
    images = pd.read_csv(folder / "images.csv", dtype=str)
    images.drop(index=[0, 1]).to_csv(folder / "images.csv", index=False)
    item = found(findings_of(folder), "images", "AVISIT", "none at baseline")
    assert (item.severity, item.count) == ("warning", 1)


def test_repeated_and_unknown_images_are_errors(frames: Frames, write: Write) -> None:
    folder = image_study(frames, write)
    images = pd.read_csv(folder / "images.csv", dtype=str)
    stranger = images.iloc[[0]].assign(USUBJID="0999-QX999")
    pd.concat([images, images.iloc[[0]], stranger]).to_csv(folder / "images.csv", index=False)
    items = findings_of(folder)
    assert found(items, "images", "USUBJID x AVISIT x SEQUENCE", "duplicated").rows == (14,)
    assert found(items, "images", "USUBJID", "adsl does not have").rows == (15,)


def test_plan_with_imaging_needs_images_or_signatures(frames: Frames, write: Write) -> None:
    folder = image_study(frames, write)
    (folder / "images.csv").unlink()
    assert found(findings_of(folder), "images", "", "missing").severity == "error"
    signatures = [
        {"USUBJID": s, "AVISIT": v, "PARAMCD": f"TV0{k}", "AVAL": share}
        for s in SUBJECTS for v in VISITS for k, share in ((1, 0.25), (2, 0.75))
    ]  # fmt: skip
    pd.DataFrame(signatures).to_csv(folder / "adam" / "admri.csv", index=False)
    assert findings_of(folder) == []


def test_signature_that_does_not_sum_to_one_is_an_error(frames: Frames, write: Write) -> None:
    frames["admri"] = pd.DataFrame(
        [
            {"USUBJID": s, "AVISIT": "Baseline", "PARAMCD": f"TV0{k}", "AVAL": share}
            for s in SUBJECTS[:4]
            for k, share in ((1, 0.25), (2, 0.75 if s != SUBJECTS[1] else 0.7))
        ]
    )
    assert found(findings_of(write(frames)), "admri", "AVAL", "does not add up to 1").count == 1


# no subject in any message --------------------------------------------------------------------

STRANGER = "09-QX9"  # with the row behind it: a subject that adsl does not have
_JUNK = st.sampled_from(["", "x", "-1", "1e9", "NA", "Y", *SUBJECTS[:3], STRANGER, "Week 7"])


@settings(
    max_examples=30, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    spoilt=st.lists(
        st.tuples(
            st.sampled_from(["adsl", "adlb", "adbx", "adtte"]),
            st.integers(0, 11), st.integers(0, 7), _JUNK,
        ),
        min_size=1, max_size=12,
    ),
    swap=st.booleans(),
)  # fmt: skip
def test_no_message_contains_a_subject_whatever_is_spoilt(
    write: Write, spoilt: list[tuple[str, int, int, str]], swap: bool
) -> None:
    frames = {name: frame.astype(object) for name, frame in good_frames().items()}
    for name, row, column, junk in spoilt:
        frame = frames[name]
        cell = f"{junk}{row}" if junk == STRANGER else junk
        frame.iloc[row, column % frame.shape[1]] = cell
    if swap:  # identifiers in the columns of codes, as a shifted export has them
        frames["adlb"]["PARAMCD"] = frames["adlb"]["USUBJID"]
        frames["adbx"]["AVISIT"] = frames["adbx"]["USUBJID"]
    folder = write(frames)
    study, items = study_findings(folder)
    text = "\n".join(map(str, items))  # what read_study's message is made of
    for identifier in [*SUBJECTS, STRANGER]:
        assert identifier not in text
        assert identifier.split("-")[1] not in text
    assert study is None or study.records["USUBJID"].isin(study.adsl["USUBJID"]).all()
