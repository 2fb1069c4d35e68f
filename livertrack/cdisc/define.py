"""define.xml 2.1, written from the data dictionary: what each dataset and column is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import livertrack
from livertrack._files import write_text
from livertrack.cdisc.dataset_json import item, item_group
from livertrack.cdisc.variables import Dataset, Variable
from livertrack.dictionary import load_schema

_ODM = "http://www.cdisc.org/ns/odm/v1.3"
_DEF = "http://www.cdisc.org/ns/def/v2.1"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"
_CLASS = {
    "adsl": "SUBJECT LEVEL ANALYSIS DATASET", "bds": "BASIC DATA STRUCTURE",
    "adtte": "BASIC DATA STRUCTURE", "recurrences": "BASIC DATA STRUCTURE",
    "occurrences": "OCCURRENCE DATA STRUCTURE",
}  # fmt: skip
_SUBCLASS = {"adtte": "TIME-TO-EVENT", "recurrences": "TIME-TO-EVENT"}
#: columns that datasets of a run copy from adsl
_COPIED = frozenset({"USUBJID", "SITEID", "TRT01P"})
_TYPES = {"text": "text", "integer": "integer", "float": "float", "date": "date"}
#: significant digits of a double, and of its decimals
_DIGITS = 17


def write_define(
    datasets: Sequence[Dataset], path: str | Path, *, study: str, title: str,
    created: dt.datetime, suffix: str = ".xpt", guide: str = "",
) -> Path:  # fmt: skip
    """Write define.xml 2.1 of datasets that lie beside it.

    Every dataset has its structure, class, keys and file; every column its type, length, code
    list, origin and what the dictionary says of it; PARAMCD its parameters, AVAL its meaning by
    parameter. Columns that a run computed have a method; where those of the study come from is
    not known here and stated as such. ``guide`` is the reader's guide beside the file.

    Checked against: the schema of Define-XML 2.1.0 and the conformance rules of odmlib 0.2.
    """
    for prefix, uri in (("", _ODM), ("def", _DEF), ("xlink", _XLINK)):
        ET.register_namespace(prefix, uri)
    stamp = created.strftime("%Y-%m-%dT%H:%M:%S")
    root = ET.Element(_odm("ODM"), {
        "ODMVersion": "1.3.2", "FileType": "Snapshot", "FileOID": f"livertrack.{study}.define",
        "CreationDateTime": stamp, "Originator": "livertrack", "SourceSystem": "livertrack",
        "SourceSystemVersion": livertrack.__version__, _def("Context"): "Other",
    })  # fmt: skip
    head = _add(root, "Study", OID=f"STUDY.{study}")
    names = _add(head, "GlobalVariables")
    for tag, text in (("StudyName", study), ("StudyDescription", title), ("ProtocolName", study)):
        _add(names, tag).text = text
    version = _add(head, "MetaDataVersion", OID=f"MDV.{study}.ADaM", Name=f"{study} ADaM")
    version.set(_def("DefineVersion"), "2.1.0")
    standards = ET.SubElement(version, _def("Standards"))
    ET.SubElement(standards, _def("Standard"), {
        "OID": "STD.ADAMIG", "Name": "ADaMIG", "Type": "IG", "Version": "1.3", "Status": "Final",
    })  # fmt: skip
    if guide:
        document = ET.SubElement(version, _def("SupplementalDoc"))
        ET.SubElement(document, _def("DocumentRef"), leafID="LF.ADRG")
    _value_lists(version, datasets)
    for dataset in datasets:
        _item_group(version, dataset, suffix)
    for dataset in datasets:
        for variable in dataset.variables:
            _item(version, dataset, variable)
        _parameter_items(version, dataset)
    for dataset in datasets:
        for variable in dataset.variables:
            _code_list(version, dataset, variable)
    for dataset in datasets:
        for variable in dataset.variables:
            _method(version, dataset, variable)
    if guide:
        _leaf(version, "LF.ADRG", guide, "Analysis data reader's guide")
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode", short_empty_elements=True)
    write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')
    return Path(path)


def _value_lists(version: ET.Element, datasets: Sequence[Dataset]) -> None:
    """AVAL means another thing for every PARAMCD: a list of its meanings and when they hold."""
    for dataset in datasets:
        codes = _parameters(dataset)
        if not codes:
            continue
        listed = ET.SubElement(version, _def("ValueListDef"), OID=_value_list(dataset))
        for place, code in enumerate(codes, start=1):
            reference = _add(
                listed, "ItemRef", ItemOID=_aval(dataset, code), OrderNumber=str(place),
                Mandatory="No",
            )  # fmt: skip
            if dataset.derived:
                reference.set("MethodOID", f"MT.{dataset.name.upper()}.AVAL")
            ET.SubElement(reference, _def("WhereClauseRef"), WhereClauseOID=_where(dataset, code))
    for dataset in datasets:
        for code in _parameters(dataset):
            clause = ET.SubElement(version, _def("WhereClauseDef"), OID=_where(dataset, code))
            check = _add(clause, "RangeCheck", SoftHard="Soft", Comparator="EQ")
            check.set(_def("ItemOID"), f"IT.{dataset.name.upper()}.PARAMCD")
            _add(check, "CheckValue").text = code


def _item_group(version: ET.Element, dataset: Dataset, suffix: str) -> None:
    name = dataset.name.upper()
    group = _add(
        version, "ItemGroupDef", OID=item_group(dataset), Name=name, SASDatasetName=name,
        Repeating="No" if dataset.kind == "adsl" else "Yes", IsReferenceData="No",
        Purpose="Analysis",
    )  # fmt: skip
    keys = [v.name for v in sorted(dataset.variables, key=lambda v: v.key) if v.key]
    group.set(_def("Structure"), f"One record per {', '.join(keys)}" if keys else "Records")
    group.set(_def("StandardOID"), "STD.ADAMIG")
    group.set(_def("ArchiveLocationID"), f"LF.{name}")
    _describe(group, dataset.label)
    for place, variable in enumerate(dataset.variables, start=1):
        reference = _add(
            group, "ItemRef", ItemOID=item(dataset, variable), OrderNumber=str(place),
            Mandatory="Yes" if variable.mandatory else "No",
        )  # fmt: skip
        if variable.key:
            reference.set("KeySequence", str(variable.key))
        if _computed(dataset, variable):
            reference.set("MethodOID", _method_oid(dataset, variable))
    kind = ET.SubElement(group, _def("Class"), Name=_CLASS.get(dataset.kind, "ADAM OTHER"))
    if dataset.kind in _SUBCLASS:
        ET.SubElement(kind, _def("SubClass"), Name=_SUBCLASS[dataset.kind])
    _leaf(group, f"LF.{name}", f"{dataset.name}{suffix}", f"{dataset.name}{suffix}")


def _item(version: ET.Element, dataset: Dataset, variable: Variable) -> None:
    definition = _definition(version, item(dataset, variable), variable.name, variable)
    label = variable.label if not variable.unit else f"{variable.label} ({variable.unit})"
    _describe(definition, label)
    if variable.codes or variable.name == "PARAMCD":
        _add(definition, "CodeListRef", CodeListOID=_list_oid(dataset, variable))
    _origin(definition, dataset, variable.name, variable.description)
    if variable.name == "AVAL" and _parameters(dataset):
        ET.SubElement(definition, _def("ValueListRef"), ValueListOID=_value_list(dataset))


def _parameter_items(version: ET.Element, dataset: Dataset) -> None:
    value = next((v for v in dataset.variables if v.name == "AVAL"), None)
    schema = load_schema(dataset.name)
    for code in _parameters(dataset) if value else ():
        parameter = schema.parameter(code)
        definition = _definition(version, _aval(dataset, code), "AVAL", value)
        _describe(definition, parameter.label if parameter else _title(dataset, code))
        _origin(definition, dataset, "AVAL", parameter.description if parameter else "")


def _definition(version: ET.Element, oid: str, name: str, variable: Variable | None) -> ET.Element:
    kind = variable.kind if variable else "float"
    made = _add(version, "ItemDef", OID=oid, Name=name, SASFieldName=name[:8],
                DataType=_TYPES[kind])  # fmt: skip
    if kind == "text" and variable:
        made.set("Length", str(variable.length))
    elif kind == "integer":
        made.set("Length", "8")
    elif kind == "float":
        made.set("Length", str(_DIGITS))
        made.set("SignificantDigits", str(_DIGITS - 1))
    return made


def _code_list(version: ET.Element, dataset: Dataset, variable: Variable) -> None:
    if variable.name == "PARAMCD":
        codes = _parameters(dataset)
    elif variable.codes:
        codes = list(variable.codes)
    else:
        return
    kind = "text" if variable.kind == "text" else _TYPES[variable.kind]
    listed = _add(version, "CodeList", OID=_list_oid(dataset, variable),
                  Name=f"{variable.label} ({dataset.name.upper()})", DataType=kind)  # fmt: skip
    for code in codes:
        if variable.name == "PARAMCD":
            entry = _add(listed, "CodeListItem", CodedValue=code)
            decode = _add(entry, "Decode")
            _text(decode, _title(dataset, code))
        else:
            _add(listed, "EnumeratedItem", CodedValue=code)


def _parameters(dataset: Dataset) -> list[str]:
    if "PARAMCD" not in dataset.frame:
        return []
    return sorted(str(code) for code in dataset.frame["PARAMCD"].dropna().unique())


def _title(dataset: Dataset, code: str) -> str:
    if "PARAM" in dataset.frame:
        named = dataset.frame.loc[dataset.frame["PARAMCD"] == code, "PARAM"].dropna()
        if len(named):
            return str(named.iloc[0])
    return code


def _origin(definition: ET.Element, dataset: Dataset, name: str, text: str) -> None:
    """Where a column comes from: the run computed it, copied it from adsl, or it was there."""
    kind = "Not Available"
    if dataset.derived:
        kind = "Predecessor" if name in _COPIED else "Derived"
    origin = ET.SubElement(definition, _def("Origin"), Type=kind)
    if kind == "Derived":
        origin.set("Source", "Sponsor")
    text = f"ADSL.{name}" if kind == "Predecessor" else text
    if text:
        _describe(origin, text)


def _computed(dataset: Dataset, variable: Variable) -> bool:
    return dataset.derived and variable.name not in _COPIED


def _method(version: ET.Element, dataset: Dataset, variable: Variable) -> None:
    """How the run computed a column, in the words of the dictionary."""
    if not _computed(dataset, variable):
        return
    name = f"{dataset.name.upper()}.{variable.name}"
    made = _add(version, "MethodDef", OID=_method_oid(dataset, variable),
                Name=f"Algorithm to derive {name}", Type="Computation")  # fmt: skip
    _describe(made, variable.description or variable.label)


def _method_oid(dataset: Dataset, variable: Variable) -> str:
    return f"MT.{dataset.name.upper()}.{variable.name.upper()}"


def _leaf(parent: ET.Element, oid: str, file: str, title: str) -> None:
    leaf = ET.SubElement(parent, _def("leaf"), ID=oid)
    leaf.set(f"{{{_XLINK}}}href", file)
    ET.SubElement(leaf, _def("title")).text = title


def _describe(parent: ET.Element, text: str) -> None:
    _text(_add(parent, "Description"), text)


def _text(parent: ET.Element, text: str) -> None:
    made = _add(parent, "TranslatedText")
    made.set(f"{{{_XML}}}lang", "en")
    made.text = text


def _value_list(dataset: Dataset) -> str:
    return f"VL.{dataset.name.upper()}.AVAL"


def _where(dataset: Dataset, code: str) -> str:
    return f"WC.{dataset.name.upper()}.PARAMCD.{code}"


def _aval(dataset: Dataset, code: str) -> str:
    return f"IT.{dataset.name.upper()}.AVAL.{code}"


def _list_oid(dataset: Dataset, variable: Variable) -> str:
    return f"CL.{dataset.name.upper()}.{variable.name.upper()}"


def _add(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, _odm(tag), attributes)


def _odm(tag: str) -> str:
    return f"{{{_ODM}}}{tag}"


def _def(tag: str) -> str:
    return f"{{{_DEF}}}{tag}"
