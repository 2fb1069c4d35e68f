"""CDISC out: other readers get the source back, limits hold, define.xml is consistent."""

import datetime as dt
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from livertrack import cdisc
from livertrack.datasets import read_dataset
from livertrack.errors import DataError, UsageError
from livertrack.pipeline.export import EPOCH, export_run, readers_guide

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
    names = {"adsl", "adlb", "adpath"}
    first = export_run(run, to=tmp_path / "one")
    export_run(run, to=tmp_path / "two")
    assert {p.name for p in first} == {f"{n}.{s}" for n in names for s in ("xpt", "json")} | {
        "define.xml", "adrg.md",
    }  # fmt: skip
    for path in first:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    guide = (tmp_path / "one" / "adrg.md").read_text()
    assert "| numpy | 2.0.0 | arrays and linear algebra |" in guide
    assert "| ADPATH | Tissue pathway analysis dataset | 2 |" in guide
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
    assert set(groups) == {"ADSL", "ADLB", "ADPATH"}
    assert groups["ADSL"].find(f"{DEF}Class").get("Name") == "SUBJECT LEVEL ANALYSIS DATASET"
    order = [int(n.get("OrderNumber")) for n in groups["ADLB"].iter(f"{ODM}ItemRef")]
    assert order == list(range(1, len(order) + 1))


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
    assert "| ADLB | Laboratory analysis dataset | 6 | USUBJID, PARAMCD, AVISIT |" in text
