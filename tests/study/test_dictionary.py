"""The dictionary is well-formed, and validation counts what differs from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from livertrack._resources import resource_dir
from livertrack.dictionary import (
    conform,
    describe_parameter,
    load_schema,
    schema_names,
    validate,
)

pytestmark = pytest.mark.filterwarnings("error::FutureWarning")

NAMES = [
    "adatlas", "adbx", "adice", "adim", "adlb", "admap", "admri", "adnoise", "adpath", "adrec",
    "adreg", "adscan", "adseq", "adsl", "adtte", "bds", "images",
]  # fmt: skip
_TYPES = {"string", "number", "integer", "date"}
_CONSTRAINTS = {"required", "unique", "enum", "pattern", "minimum", "maximum"}


def raw(name: str) -> dict[str, object]:
    text = (resource_dir("data-dictionary") / f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, object] = json.loads(text)
    return loaded


def test_every_dataset_of_a_study_and_of_a_run_has_a_schema() -> None:
    assert list(schema_names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_a_complete_table_schema(name: str) -> None:
    schema = load_schema(name)
    assert schema.name == name
    assert schema.title
    assert schema.description
    names = [field.name for field in schema.fields]
    assert len(names) == len(set(names))
    assert set(schema.primary_key) <= set(names)
    for field in schema.fields:
        assert field.type in _TYPES, field.name
        assert field.title, field.name
        assert field.description, field.name
        assert set(field.constraints) <= _CONSTRAINTS, field.name
    keys = raw(name).get("foreignKeys")
    reference = {"resource": "adsl", "fields": ["USUBJID"]}
    assert keys == (None if name == "adsl" else [{"fields": ["USUBJID"], "reference": reference}])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_unit_and_a_range(name: str) -> None:
    for code, parameter in load_schema(name).parameters.items():
        assert parameter.units, code
        for unit in parameter.units:
            assert unit.unit, code
            assert unit.minimum < unit.maximum, code


def test_schemas_are_read_by_the_frictionless_standard_words_only() -> None:
    """Our own properties carry a prefix, so that other readers of the standard ignore them."""
    standard = {
        "$schema", "name", "title", "description", "missingValues", "fields", "primaryKey",
        "foreignKeys",
    }  # fmt: skip
    for name in NAMES:
        assert all(key in standard or key.startswith("livertrack:") for key in raw(name)), name


@pytest.mark.parametrize(
    ("code", "unit", "low", "high"),
    [
        ("ALT", "U/L", 0, 10000), ("PDFF", "%", 0, 100), ("STEATOSIS", "score", 0, 3),
        ("BALLOON", "score", 0, 2), ("FIBROSIS", "score", 0, 4), ("NAS", "score", 0, 8),
        ("TV07", "proportion", 0, 1), ("STIFF", "kPa", 0, 100),
    ],
)  # fmt: skip
def test_known_parameters(code: str, unit: str, low: float, high: float) -> None:
    parameter = describe_parameter(code)
    assert parameter is not None
    first = parameter.units[0]
    assert (first.unit, first.minimum, first.maximum) == (unit, low, high)


def test_unknown_parameter_is_not_described() -> None:
    assert describe_parameter("NOVEL") is None
    assert describe_parameter("ALT", dataset="adbx") is None


def test_dataset_without_schema_is_checked_as_bds() -> None:
    frame = pd.DataFrame({"USUBJID": ["a"], "PARAMCD": ["Q1"], "AVISIT": ["V"], "AVAL": ["x"]})
    assert [f.column for f in validate(frame, "adqs")] == ["AVAL"]
    assert validate(frame, "adqs")[0].dataset == "adqs"


def test_valid_pathways_and_scans_have_no_finding() -> None:
    paths = pd.DataFrame(
        [
            {"USUBJID": "a", "AVISIT": "Week 48", "REGION": r, "FROMTYPE": i, "TOTYPE": j,
             "AVAL": 0.25, "NVOX": 100}
            for r in ("", "left") for i in (1, 2) for j in (1, 2)
        ]
    )  # fmt: skip
    assert validate(paths, "adpath") == []
    scans = pd.DataFrame({"USUBJID": ["a", "b"], "AVISIT": "Baseline", "SCANFL": ["Y", "N"]})
    assert validate(scans, "adscan") == []


def test_pathways_must_sum_to_one_within_a_region() -> None:
    paths = pd.DataFrame(
        {"USUBJID": "a", "AVISIT": "W", "REGION": ["", "", "left"], "FROMTYPE": 1,
         "TOTYPE": [1, 2, 1], "AVAL": [0.5, 0.5, 0.9], "NVOX": 10}
    )  # fmt: skip
    findings = validate(paths, "adpath")
    assert [(f.column, f.count) for f in findings] == [("AVAL", 1)]


def test_pathways_of_types_below_one_are_errors() -> None:
    paths = pd.DataFrame(
        {"USUBJID": ["a", "a"], "AVISIT": "W", "FROMTYPE": [0, 1], "TOTYPE": [1, 1.5],
         "AVAL": [0.5, 0.5]}
    )  # fmt: skip
    places = {(f.column, f.problem.split(" ")[0]) for f in validate(paths, "adpath")}
    assert {("FROMTYPE", "value(s)"), ("TOTYPE", "cell(s)")} <= places


def test_rows_are_lines_of_the_file_at_most_five() -> None:
    frame = pd.DataFrame({"USUBJID": [f"s{i}" for i in range(9)], "TRT01P": "A", "AGE": 200.0})
    finding = validate(frame, "adsl")[0]
    assert (finding.count, finding.rows) == (9, (2, 3, 4, 5, 6))


def test_unknown_extra_columns_are_fine() -> None:
    frame = pd.DataFrame({"USUBJID": ["a"], "TRT01P": ["A"], "MYCOL": ["x"], "X2": [1.0]})
    assert validate(frame, "adsl") == []


def test_integers_stay_integers_only_when_none_is_missing() -> None:
    frame = pd.DataFrame({"USUBJID": ["a", "b"], "TRT01PN": ["1", "2"]})
    assert conform(frame, "adsl")[0]["TRT01PN"].dtype == np.int64
    frame.loc[1, "TRT01PN"] = ""
    assert conform(frame, "adsl")[0]["TRT01PN"].dtype == float


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e400"])
def test_infinite_numbers_are_not_numbers(cell: str) -> None:
    frame = pd.DataFrame({"USUBJID": ["a"], "AGE": [cell]})
    assert [(f.column, f.count) for f in validate(frame, "adsl")] == [("AGE", 1)]


@pytest.mark.parametrize("cell", ["2021-13-01", "2021-02", "04.03.2021", "soon"])
def test_dates_that_are_not_iso_are_counted(cell: str) -> None:
    frame = pd.DataFrame({"USUBJID": ["a", "b"], "RANDDT": ["2021-03-04", cell]})
    typed, findings = conform(frame, "adsl")
    assert [(f.column, f.count, f.rows) for f in findings] == [("RANDDT", 1, (3,))]
    assert typed["RANDDT"].notna().tolist() == [True, False]


def test_conform_does_not_change_its_input() -> None:
    frame = pd.DataFrame({"USUBJID": ["a", "b"], "AGE": ["50", "x"], "SEX": ["F", ""]})
    before = frame.copy()
    conform(frame, "adsl")
    pd.testing.assert_frame_equal(frame, before)


def test_dictionary_lies_in_the_checkout(repository: Path) -> None:
    assert resource_dir("data-dictionary") == repository / "data-dictionary"
