"""The same dataset reads the same from every format; broken files say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from livertrack.datasets import UnreadableFileError, find_datasets, read_dataset
from livertrack.dictionary import conform
from livertrack.errors import DataError

pytestmark = pytest.mark.filterwarnings("error::FutureWarning")


def sample() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "USUBJID": ["001", "0020", "03"],
            "SITEID": ["007", "008", "007"],
            "TRT01P": ["Placebo", "Low", "Low"],
            "SEX": ["F", "", "M"],
            "AGE": [51.25, np.nan, 38.0],
            "RANDDT": pd.to_datetime(["2021-03-04", None, "1955-01-02"]),
        }
    )


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False)


def write_xpt(frame: pd.DataFrame, path: Path) -> None:
    dates = frame.assign(RANDDT=[None if pd.isna(d) else d.date() for d in frame["RANDDT"]])
    pyreadstat.write_xport(dates, str(path), table_name="ADSL", file_format_version=5)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path)


def dataset_json(frame: pd.DataFrame) -> tuple[dict[str, object], list[list[object]]]:
    kinds = {"AGE": "float", "RANDDT": "date"}
    columns = [
        {"itemOID": f"IT.{c}", "name": c, "label": c, "dataType": kinds.get(c, "string")}
        for c in frame.columns
    ]
    rows = [
        [None if pd.isna(v) else str(v.date()) if isinstance(v, pd.Timestamp) else v for v in row]
        for row in frame.itertuples(index=False)
    ]
    head = {
        "datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.ADSL", "name": "ADSL",
        "label": "Subjects", "records": len(rows), "columns": columns,
    }  # fmt: skip
    return head, rows


def write_json(frame: pd.DataFrame, path: Path) -> None:
    head, rows = dataset_json(frame)
    path.write_text(json.dumps({**head, "rows": rows}), encoding="utf-8")


def write_ndjson(frame: pd.DataFrame, path: Path) -> None:
    head, rows = dataset_json(frame)
    path.write_text("\n".join(json.dumps(x) for x in [head, *rows]) + "\n", encoding="utf-8")


FORMATS = {
    "csv": write_csv, "xpt": write_xpt, "parquet": write_parquet,
    "json": write_json, "ndjson": write_ndjson,
}  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_typed_dataset(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ADSL.{suffix}"
    FORMATS[suffix](sample(), path)
    typed, findings = conform(read_dataset(path), "adsl")
    assert findings == []
    expected = sample()
    expected["SEX"] = ["F", np.nan, "M"]
    pd.testing.assert_frame_equal(typed.reset_index(drop=True), expected)
    assert typed.index.tolist() == [2, 3, 4]


@pytest.mark.parametrize("suffix", FORMATS)
def test_leading_zeros_of_identifiers_survive(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"adsl.{suffix}"
    FORMATS[suffix](sample(), path)
    frame = conform(read_dataset(path), "adsl")[0]
    assert frame["USUBJID"].tolist() == ["001", "0020", "03"]
    assert frame["SITEID"].tolist() == ["007", "008", "007"]


def test_identifiers_stored_as_numbers_become_text_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "adsl.parquet"
    sample().assign(USUBJID=[1, 2, 3]).to_parquet(path)
    frame, findings = conform(read_dataset(path), "adsl")
    assert frame["USUBJID"].tolist() == ["1", "2", "3"]
    assert [(f.severity, f.column) for f in findings] == [("warning", "USUBJID")]


def test_sas_dates_without_a_format_are_days_since_1960(tmp_path: Path) -> None:
    path = tmp_path / "adsl.xpt"
    days = [(d - pd.Timestamp("1960-01-01")).days for d in pd.to_datetime(["2021-03-04"] * 3)]
    raw = sample().assign(RANDDT=[float(d) for d in days])
    pyreadstat.write_xport(raw, str(path), table_name="ADSL", file_format_version=5)
    frame = conform(read_dataset(path), "adsl")[0]
    assert frame["RANDDT"].eq(pd.Timestamp("2021-03-04")).all()


def test_windows_1252_text_in_sas_transport_is_read(tmp_path: Path) -> None:
    path = tmp_path / "adsl.xpt"
    write_xpt(sample().assign(COUNTRY="Österreich"), path)
    raw = path.read_bytes().replace("Österreich".encode(), "Österreich".encode("cp1252") + b" ")
    path.write_bytes(raw)
    assert read_dataset(path)["COUNTRY"].tolist() == ["Österreich"] * 3


def test_unknown_columns_are_numbers_only_if_every_cell_is(tmp_path: Path) -> None:
    path = tmp_path / "adsl.csv"
    path.write_text(
        "USUBJID,TRT01P,BMI2,CENTRE,KIT,SUBJID\n1,A,21.5,01,5,7\n2,B,NA,02,5a,8\n",
        encoding="utf-8",
    )
    frame = conform(read_dataset(path), "adsl")[0]
    assert frame["BMI2"].dtype == float
    assert np.isnan(frame["BMI2"].iloc[1])
    assert frame["CENTRE"].tolist() == ["01", "02"]
    assert frame["KIT"].tolist() == ["5", "5a"]
    assert frame["SUBJID"].tolist() == ["7", "8"]


def test_text_columns_keep_na_and_numbers_do_not(tmp_path: Path) -> None:
    path = tmp_path / "adsl.csv"
    path.write_text("USUBJID,TRT01P,COUNTRY,AGE\nNA,NA,NA,NA\n", encoding="utf-8")
    frame, findings = conform(read_dataset(path), "adsl")
    assert frame.loc[2, ["USUBJID", "COUNTRY"]].tolist() == ["NA", "NA"]
    assert np.isnan(frame.loc[2, "AGE"])
    assert findings == []


def test_line_numbers_count_quoted_line_breaks_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "adsl.csv"
    path.write_text('USUBJID,TRT01P\na,"two\nlines"\n\nb,B\n', encoding="utf-8")
    assert read_dataset(path).index.tolist() == [2, 5]


def test_byte_order_mark_and_spaces_in_the_header_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "adsl.csv"
    path.write_bytes(b"\xef\xbb\xbfUSUBJID , TRT01P\na, B\n")
    frame = read_dataset(path)
    assert list(frame.columns) == ["USUBJID", "TRT01P"]
    assert frame["TRT01P"].tolist() == ["B"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("adlb.csv", b"", "is empty"),
        (
            "adlb.csv",
            b"USUBJID,AVAL\na,1\nb\n",
            r"1 record\(s\) with more or fewer cells.*lines 3",
        ),
        ("adlb.csv", b"USUBJID,AVAL\na,1,5\n", r"1 record\(s\) with more or fewer cells"),
        ("adlb.csv", b'USUBJID,AVAL\na,"1\n', "breaks off or has a stray quote in the record of"),
        ("adlb.csv", b"USUBJID;AVAL\na;1,5\n", "more or fewer cells|not separated by commas"),
        ("adlb.csv", b"USUBJID;AVAL\na;1\n", "not separated by commas"),
        ("adlb.csv", b"USUBJID,AVAL\n\xe4,1\n", "is not UTF-8 text"),
        ("adlb.csv", b"USUBJID,AVAL,AVAL\na,1,1\n", r"1 column name\(s\) twice \(column 3\)"),
        ("adlb.parquet", b"PAR1 and no more", "truncated or not a parquet file"),
        ("adlb.xpt", b"not sas at all", "not a SAS transport file of version 5"),
        ("adlb.json", b'{"datasetJSONVersion": "1.1.0", "rows": [[1', "truncated or not JSON"),
        ("adlb.json", b'{"a": 1}', "is not Dataset-JSON 1.1"),
        ("adlb.json", b"[1, 2]", "is not Dataset-JSON 1.1"),
        ("adlb.ndjson", b"\n", "truncated or not JSON"),
        ("adlb.sas7bdat", b"x", "unknown format"),
    ],
)
def test_broken_file_says_what_is_wrong(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=problem) as caught:
        read_dataset(path)
    assert isinstance(caught.value, DataError)
    assert str(caught.value).startswith("adlb: ")
    assert caught.value.cure


@pytest.mark.parametrize("suffix", ["parquet", "xpt", "json", "ndjson"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_truncated_file_is_an_error_never_fewer_records(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = tmp_path / f"adsl.{suffix}"
    FORMATS[suffix](pd.concat([sample()] * 20, ignore_index=True), path)
    whole = path.read_bytes()
    cut = int(len(whole) * share)
    path.write_bytes(whole[: cut + (cut % 80 == 0)])
    with pytest.raises(UnreadableFileError):
        read_dataset(path)


def test_dataset_json_that_states_more_records_than_it_holds_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "adsl.ndjson"
    write_ndjson(sample(), path)
    path.write_text("\n".join(path.read_text().splitlines()[:-1]), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match="states 3 records and holds 2"):
        read_dataset(path)


def test_folder_is_listed_by_dataset_whatever_the_case_and_format(tmp_path: Path) -> None:
    for name in ("ADSL.csv", "adlb.csv", "adlb.PARQUET", "notes.txt", ".adlb.csv"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    found = find_datasets(tmp_path)
    assert {name: len(paths) for name, paths in found.items()} == {"adlb": 2, "adsl": 1}
