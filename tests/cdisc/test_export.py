"""CDISC out: other readers get the source back, limits hold, define.xml is consistent."""

import datetime as dt
import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from livertrack import cdisc
from livertrack.datasets import read_dataset
from livertrack.errors import DataError, UsageError
from livertrack.pipeline.export import EPOCH, export_run, readers_guide
from livertrack.pipeline.lock import Locked

pyreadstat = pytest.importorskip("pyreadstat", reason="the extra io is not installed")

REFERENCE = Path(__file__).parent.parent / "reference" / "transport.csv"
ODM = "{http://www.cdisc.org/ns/odm/v1.3}"
DEF = "{http://www.cdisc.org/ns/def/v2.1}"
WHEN = dt.datetime(2026, 3, 4, 5, 6, 7)


def labs():
    """Records with what breaks writers: tiny, huge and missing numbers, blanks, dates."""
    return pd.DataFrame(
        {
            "AVAL": [1 / 3, -1e-70, 6.02e23, np.nan, 0.0, 41.7],
            "USUBJID": ["S2", "S1", "S1", "S3", "S4", "S2"],
            "PARAMCD": ["ALT", "ALT", "AST", "ALT", "AST", "AST"],
            "PARAM": ["Alanine aminotransferase (U/L)"] * 2 + ["AST (U/L)"] * 4,
            "AVISIT": ["Baseline", "Week 12", "Baseline", "Baseline", None, "Week 12"],
            "AVISITN": [0.0, 12.0, 0.0, 0.0, np.nan, 12.0],
            "ADT": pd.to_datetime(
                ["2024-02-29", "1959-12-31", "1960-01-01", None, "2030-12-31", "2000-01-01"]
            ),
        }
    )


def described(frame=None, name="adlb"):
    return cdisc.describe(labs() if frame is None else frame, name)


def test_records_come_in_the_order_of_the_key_and_columns_in_that_of_the_dictionary():
    made = described()
    assert list(made.frame["USUBJID"]) == ["S1", "S1", "S2", "S2", "S3", "S4"]
    assert next(v.name for v in made.variables) == "USUBJID"
    keys = {v.name: v.key for v in made.variables}
    assert keys["USUBJID"] == 1
    assert keys["PARAMCD"] == 2
    assert keys["AVAL"] == 0


def test_pyreadstat_and_pandas_get_the_source_back(tmp_path):
    made = described()
    path = cdisc.write_transport(made, tmp_path / "adlb.xpt", created=WHEN)
    seen, meta = pyreadstat.read_xport(str(path))
    other = pd.read_sas(path, format="xport", encoding="ascii")
    for column in ("AVAL", "AVISITN"):
        np.testing.assert_array_equal(seen[column], made.frame[column])
        expected = made.frame[column].to_numpy()
        np.testing.assert_allclose(other[column], expected, rtol=1e-15, atol=1e-75)
    for column in ("USUBJID", "PARAMCD", "PARAM", "AVISIT"):
        expected = made.frame[column].fillna("").tolist()
        assert seen[column].fillna("").tolist() == expected
        assert other[column].fillna("").tolist() == expected
    np.testing.assert_array_equal(
        pd.to_datetime(seen["ADT"]).to_numpy("datetime64[D]"),
        made.frame["ADT"].to_numpy("datetime64[D]"),
    )
    assert meta.table_name == "ADLB"
    assert meta.file_label == "Laboratory analysis dataset"
    assert meta.column_names_to_labels["AVAL"] == "Analysis value"


def test_our_own_reader_gets_the_source_back_from_both_formats(tmp_path):
    made = described()
    cdisc.write_transport(made, tmp_path / "adlb.xpt", created=WHEN)
    cdisc.write_dataset_json(made, tmp_path / "x" / "adlb.json", study="T1", created=WHEN)
    for path in (tmp_path / "adlb.xpt", tmp_path / "x" / "adlb.json"):
        seen = read_dataset(path)
        np.testing.assert_array_equal(seen["AVAL"].to_numpy(float), made.frame["AVAL"])
        assert seen["AVISIT"].isna().sum() == 1
        dates = pd.to_datetime(seen["ADT"]).to_numpy("datetime64[D]")
        np.testing.assert_array_equal(dates, made.frame["ADT"].to_numpy("datetime64[D]"))


def test_r_haven_reads_the_same_numbers(tmp_path):
    # haven read the file written from `labs()`; its bytes are those that are written now
    expected = pd.read_csv(REFERENCE, keep_default_na=False, na_values=["NA"])
    path = cdisc.write_transport(described(), tmp_path / "adlb.xpt", created=EPOCH)
    seen, _ = pyreadstat.read_xport(str(path))
    np.testing.assert_allclose(seen["AVAL"], expected["AVAL"].astype(float), rtol=1e-15)
    assert seen["PARAM"].tolist() == expected["PARAM"].tolist()
    days = (pd.to_datetime(seen["ADT"]) - pd.Timestamp("1960-01-01")).dt.days
    np.testing.assert_array_equal(days, expected["ADT"].astype(float))


def test_two_writings_have_the_same_bytes_and_state_the_given_time(tmp_path):
    one = cdisc.write_transport(described(), tmp_path / "a" / "adlb.xpt", created=WHEN)
    shuffled = described(labs().sample(frac=1, random_state=1))
    two = cdisc.write_transport(shuffled, tmp_path / "b" / "adlb.xpt", created=WHEN)
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes().count(b"04MAR26:05:06:07") == 4
    assert len(one.read_bytes()) % 80 == 0


def test_every_limit_is_named_at_once_and_nothing_is_written(tmp_path):
    frame = labs()
    frame["PARAMETER_NAME"] = 1.0
    frame["NOTE"] = ["x" * 201, "é", "", "", "", ""]
    frame["aval"] = 2.0
    frame["BIG"] = [1e76, 0, 0, 0, 0, 0]
    with pytest.raises(DataError) as caught:
        cdisc.write_transport(described(frame), tmp_path / "adlb.xpt", created=WHEN)
    text = str(caught.value)
    for part in (
        "PARAMETER_NAME: names have up to 8", "NOTE: 1 cell(s) exceed 200 bytes",
        "NOTE: 1 cell(s) are not ASCII", "AVAL occurs 2 times", "BIG: 1 number(s) are beyond",
    ):  # fmt: skip
        assert part in text
    assert "x" * 20 not in text
    assert not list(tmp_path.iterdir())


def test_dataset_json_has_no_limit_on_text(tmp_path):
    frame = labs().assign(NOTE="é" * 300)
    path = cdisc.write_dataset_json(
        described(frame), tmp_path / "adlb.json", study="T1", created=WHEN
    )
    head = json.loads(path.read_text(encoding="utf-8"))
    assert head["datasetJSONVersion"] == "1.1.0"
    assert head["records"] == len(head["rows"]) == 6
    note = next(c for c in head["columns"] if c["name"] == "NOTE")
    assert note["dataType"] == "string"
    assert note["length"] == 600
    assert [c["name"] for c in head["columns"] if "keySequence" in c] == [
        "USUBJID", "PARAMCD", "AVISIT",
    ]  # fmt: skip


def test_an_empty_dataset_can_be_handed_over(tmp_path):
    made = described(labs().iloc[:0])
    path = cdisc.write_transport(made, tmp_path / "adlb.xpt", created=WHEN)
    seen, _ = pyreadstat.read_xport(str(path))
    assert len(seen) == 0
    assert "AVAL" in seen.columns


def finished_run(folder: Path) -> Path:
    """Write a study and a run with the files that an export reads."""
    study, run = folder / "study", folder / "out"
    (study / "adam").mkdir(parents=True)
    (run / "adam").mkdir(parents=True)
    adsl = pd.DataFrame({"USUBJID": ["S1", "S2"], "TRT01P": ["Placebo", "High"],
                         "FASFL": "Y", "AGE": [51, 60]})  # fmt: skip
    adsl.to_csv(study / "adam" / "adsl.csv", index=False)
    labs().to_csv(study / "adam" / "adlb.csv", index=False)
    pd.DataFrame({"USUBJID": ["S1", "S1"], "ICETERM": ["Death", "Rescue"], "TRT01P": "Placebo",
                  "AVISIT": ["Week 12", "Week 12"]}).to_csv(
        study / "adam" / "adice.csv", index=False)  # fmt: skip
    pd.DataFrame({"USUBJID": ["S1", "S2"], "PARAMCD": "DEATH", "PARAM": "Death", "AVAL": [9.5, 20],
                  "CNSR": [0, 1]}).to_csv(study / "adam" / "adtte.csv", index=False)  # fmt: skip
    pd.DataFrame({
        "USUBJID": "S1", "AVISIT": "Week 12", "AVISITN": 12.0, "REGION": ["", "SHELL1"],
        "PARAMCD": "TV01", "PARAM": "Tissue type 1", "AVAL": [1 / 3, 2 / 3], "NVOX": [900, 300],
        "BASE": [0.5, np.nan], "CHG": [1 / 3 - 0.5, np.nan], "ABLFL": "",
    }).to_parquet(run / "adam" / "admri.parquet")  # fmt: skip
    pd.DataFrame({
        "USUBJID": "S2", "AVISIT": "Rescan", "AVISITN": 1.0, "REGION": "", "FROMTYPE": [1, 2],
        "TOTYPE": [1, 2], "AVAL": [0.25, 0.75], "NVOX": 900, "METHOD": "voxel",
    }).to_parquet(run / "adam" / "adnoise.parquet")  # fmt: skip
    pd.DataFrame({"severity": ["warning"]}).to_parquet(run / "adam" / "findings.parquet")
    pd.DataFrame({
        "USUBJID": "S1", "AVISIT": "Week 12", "AVISITN": 12.0, "REGION": "", "TRT01P": "Placebo",
        "FROMTYPE": [1, 1], "TOTYPE": [1, 2], "AVAL": [0.25, 0.75], "NVOX": 900,
    }).to_parquet(run / "adam" / "adpath.parquet")  # fmt: skip
    facts = {"schema": 1, "study_path": "../study", "seed": 7, "plan_hash": "abc",
             "versions": {"python": "3.11.7", "numpy": "2.0.0"}}  # fmt: skip
    (run / "manifest.json").write_text(json.dumps(facts))
    (run / "plan.json").write_text(json.dumps({"study": {"id": "T1", "title": "A trial"}}))
    return run


def test_a_run_is_handed_over_whole_and_twice_the_same(tmp_path):
    run = finished_run(tmp_path)
    names = {"adsl", "adlb", "adice", "adtte", "admri", "adnoise", "adpath"}
    first = export_run(run, to=tmp_path / "one")
    export_run(run, to=tmp_path / "two")
    assert {p.name for p in first} == {f"{n}.{s}" for n in names for s in ("xpt", "json")} | {
        "define.xml", "adrg.md",
    }  # fmt: skip
    for path in first:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    guide = (tmp_path / "one" / "adrg.md").read_text()
    assert "| numpy | 2.0.0 | arrays and linear algebra |" in guide
    assert "| ADPATH | Tissue pathway analysis dataset | this run | 2 |" in guide
    assert "| ADICE | Intercurrent events dataset | the study | 2 | USUBJID, ICETERM" in guide
    assert "findings (what was noticed in the data)" in guide
    assert "S1" not in guide


def test_define_xml_refers_only_to_what_it_defines(tmp_path):
    export_run(finished_run(tmp_path), to=tmp_path / "one")
    root = ET.parse(tmp_path / "one" / "define.xml").getroot()  # noqa: S314 - our own file
    items = [node.get("OID") for node in root.iter(f"{ODM}ItemDef")]
    assert len(items) == len(set(items))
    for node in root.iter(f"{ODM}ItemRef"):
        assert node.get("ItemOID") in items
    lists = [node.get("OID") for node in root.iter(f"{ODM}CodeList")]
    assert len(lists) == len(set(lists))
    for node in root.iter(f"{ODM}CodeListRef"):
        assert node.get("CodeListOID") in lists
    wheres = {node.get("OID") for node in root.iter(f"{DEF}WhereClauseDef")}
    assert {n.get("WhereClauseOID") for n in root.iter(f"{DEF}WhereClauseRef")} == wheres
    values = {node.get("OID") for node in root.iter(f"{DEF}ValueListDef")}
    assert {n.get("ValueListOID") for n in root.iter(f"{DEF}ValueListRef")} == values
    for leaf in root.iter(f"{DEF}leaf"):
        assert (tmp_path / "one" / leaf.get("{http://www.w3.org/1999/xlink}href")).is_file()
    groups = {node.get("Name"): node for node in root.iter(f"{ODM}ItemGroupDef")}
    assert set(groups) == {"ADSL", "ADLB", "ADICE", "ADTTE", "ADMRI", "ADNOISE", "ADPATH"}
    classes = {name: group.find(f"{DEF}Class").get("Name") for name, group in groups.items()}
    assert classes == {
        "ADSL": "SUBJECT LEVEL ANALYSIS DATASET", "ADLB": "BASIC DATA STRUCTURE",
        "ADMRI": "BASIC DATA STRUCTURE", "ADTTE": "BASIC DATA STRUCTURE",
        "ADICE": "OCCURRENCE DATA STRUCTURE", "ADPATH": "ADAM OTHER", "ADNOISE": "ADAM OTHER",
    }  # fmt: skip
    assert groups["ADTTE"].find(f"{DEF}Class/{DEF}SubClass").get("Name") == "TIME-TO-EVENT"
    methods = [node.get("OID") for node in root.iter(f"{ODM}MethodDef")]
    used = {n.get("MethodOID") for n in root.iter(f"{ODM}ItemRef")} - {None}
    assert len(methods) == len(set(methods))
    assert set(methods) == used
    assert "MT.ADMRI.AVAL" in used
    order = [int(n.get("OrderNumber")) for n in groups["ADLB"].iter(f"{ODM}ItemRef")]
    assert order == list(range(1, len(order) + 1))


#: children of MetaDataVersion in the order that Define-XML 2.1 demands
ORDER = [
    f"{DEF}Standards", f"{DEF}SupplementalDoc", f"{DEF}ValueListDef", f"{DEF}WhereClauseDef",
    f"{ODM}ItemGroupDef", f"{ODM}ItemDef", f"{ODM}CodeList", f"{ODM}MethodDef", f"{DEF}leaf",
]  # fmt: skip


def test_define_xml_has_the_elements_and_attributes_of_the_standard_in_its_order(tmp_path):
    export_run(finished_run(tmp_path), to=tmp_path / "one")
    root = ET.parse(tmp_path / "one" / "define.xml").getroot()  # noqa: S314 - our own file
    version = root.find(f"{ODM}Study/{ODM}MetaDataVersion")
    tags = [node.tag for node in version]
    assert [tag for i, tag in enumerate(tags) if i == 0 or tags[i - 1] != tag] == ORDER
    for node in root.iter(f"{ODM}ItemDef"):
        kind = node.get("DataType")
        assert kind in {"text", "integer", "float", "date"}
        assert (node.get("Length") is None) == (kind == "date")
        assert (node.get("SignificantDigits") is not None) == (kind == "float")
        assert [child.tag for child in node] == [
            tag for tag in (f"{ODM}Description", f"{ODM}CodeListRef", f"{DEF}Origin",
                            f"{DEF}ValueListRef") if node.find(tag) is not None
        ]  # fmt: skip
        assert node.find(f"{DEF}Origin") is not None
    for node in root.iter(f"{ODM}ItemGroupDef"):
        for name in ("OID", "Name", "Repeating", "Purpose", f"{DEF}Structure",
                     f"{DEF}ArchiveLocationID", f"{DEF}StandardOID"):  # fmt: skip
            assert node.get(name), name
        inner = [child.tag for child in node]
        assert inner[0] == f"{ODM}Description"
        assert inner[-2:] == [f"{DEF}Class", f"{DEF}leaf"]


def test_a_column_says_whether_the_run_computed_it(tmp_path):
    export_run(finished_run(tmp_path), to=tmp_path / "one")
    root = ET.parse(tmp_path / "one" / "define.xml").getroot()  # noqa: S314 - our own file
    origin = {
        node.get("OID"): node.find(f"{DEF}Origin").get("Type")
        for node in root.iter(f"{ODM}ItemDef")
    }
    assert origin["IT.ADMRI.AVAL"] == "Derived"
    assert origin["IT.ADMRI.USUBJID"] == "Predecessor"
    assert origin["IT.ADLB.AVAL"] == "Not Available"
    for node in root.iter(f"{ODM}ItemRef"):
        computed = origin[node.get("ItemOID")] == "Derived"
        assert (node.get("MethodOID") is not None) == computed


def test_define_xml_is_valid_by_the_schema_of_the_standard(tmp_path):
    odmlib = pytest.importorskip("odmlib", reason="odmlib, which has the schema, is absent")
    xmlschema = pytest.importorskip("xmlschema", reason="xmlschema is not installed")
    folder = Path(odmlib.__file__).parent / "schemas" / "define" / "2.1"
    export_run(finished_run(tmp_path), to=tmp_path / "one")
    schema = xmlschema.XMLSchema(str(folder / "define2-1-0.xsd"))
    assert [str(e) for e in schema.iter_errors(str(tmp_path / "one" / "define.xml"))] == []


def sources(folder: Path) -> dict[str, pd.DataFrame]:
    """The frames that the export read, by dataset."""
    read = {path.stem: pd.read_csv(path) for path in (folder / "study" / "adam").glob("*.csv")}
    for path in (folder / "out" / "adam").glob("ad*.parquet"):
        read[path.stem] = pd.read_parquet(path)
    return read


def assert_same(seen: pd.DataFrame, source: pd.DataFrame, name: str) -> None:
    """Same records, whatever their order: numbers to the last bits, text to the letter."""
    assert set(seen.columns) == set(source.columns), name
    columns = sorted(source.columns)
    plain = []
    for frame in (seen, source):
        made = pd.DataFrame(index=range(len(frame)))
        for column in columns:
            cells = frame[column].reset_index(drop=True)
            if column.endswith("DT"):
                days = pd.api.types.is_numeric_dtype(cells)
                cells = pd.Timestamp("1960-01-01") + pd.to_timedelta(cells, "D") if days else cells
                made[column] = pd.to_datetime(cells).astype("datetime64[s]")
            elif pd.api.types.is_numeric_dtype(source[column]):
                made[column] = cells.astype(float)
            else:
                made[column] = cells.astype(object).where(cells.notna(), "").astype(str)
        plain.append(made.sort_values(columns).reset_index(drop=True))
    pd.testing.assert_frame_equal(plain[0], plain[1], rtol=1e-15, atol=1e-75, check_dtype=False)


def test_every_dataset_of_a_run_is_read_back_by_pyreadstat_and_pandas(tmp_path):
    export_run(finished_run(tmp_path), to=tmp_path / "one")
    expected = sources(tmp_path)
    assert {p.stem for p in (tmp_path / "one").glob("*.xpt")} == set(expected)
    for name, source in expected.items():
        path = tmp_path / "one" / f"{name}.xpt"
        assert_same(pyreadstat.read_xport(str(path))[0], source, name)
        assert_same(pd.read_sas(path, format="xport", encoding="ascii"), source, name)


_R = """
suppressMessages({library(haven); library(foreign)})
folder <- commandArgs(trailingOnly = TRUE)[1]
plain <- function(x) if (is.numeric(x)) ifelse(is.na(x), "", sprintf("%.17g", x)) else
  ifelse(is.na(x), "", as.character(x))
for (file in list.files(folder, pattern = "[.]xpt$", full.names = TRUE)) {
  for (way in c("haven", "foreign")) {
    seen <- if (way == "haven") zap_formats(read_xpt(file)) else read.xport(file)
    seen <- as.data.frame(lapply(seen, function(x) plain(if (inherits(x, "Date"))
      as.numeric(x) + 3653 else x)))
    write.csv(seen, sub("xpt$", paste0(way, ".csv"), file), row.names = FALSE)
  }
}
"""


def test_every_dataset_of_a_run_is_read_back_by_r(tmp_path):
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed")
    ask = [program, "-e", "library(haven); library(foreign)"]
    if subprocess.run(ask, capture_output=True, check=False).returncode:
        pytest.skip("R has no haven or no foreign")
    export_run(finished_run(tmp_path), to=tmp_path / "one", formats=["xpt"])
    (tmp_path / "read.R").write_text(_R)
    subprocess.run([program, str(tmp_path / "read.R"), str(tmp_path / "one")], check=True)
    for name, source in sources(tmp_path).items():
        for way in ("haven", "foreign"):
            seen = pd.read_csv(tmp_path / "one" / f"{name}.{way}.csv")
            assert_same(seen, source, f"{name} by {way}")


def test_the_guide_names_every_package_and_who_needs_it():
    packages = [Locked("numpy", "2.0.0", ("pandas",)), Locked("six", "1.17.0", ("a", "b"))]
    text = readers_guide([], "A trial", {"versions": {"numpy": "2.0.0"}}, packages=packages)
    assert text.count("| numpy |") == 1
    assert "| six | 1.17.0 | needed by a, b |" in text


def test_nothing_is_written_when_one_dataset_breaks_a_limit(tmp_path):
    run = finished_run(tmp_path)
    adlb = labs().assign(COMMENTARY="fine")
    adlb.to_csv(tmp_path / "study" / "adam" / "adlb.csv", index=False)
    with pytest.raises(DataError, match="adlb: column COMMENTARY"):
        export_run(run, to=tmp_path / "one")
    assert not (tmp_path / "one").exists()
    done = export_run(run, to=tmp_path / "one", drop=["COMMENTARY"], formats=["xpt"])
    assert {p.suffix for p in done} == {".xpt", ".xml", ".md"}


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(UsageError, match="formats are among xpt, json"):
        export_run(finished_run(tmp_path), to=tmp_path / "one", formats=["sas7bdat"])


def test_the_guide_lists_every_dataset_with_its_key():
    text = readers_guide([described()], "A trial", {"versions": {}})
    row = "| ADLB | Laboratory analysis dataset | the study | 6 | USUBJID, PARAMCD, AVISIT |"
    assert row in text
