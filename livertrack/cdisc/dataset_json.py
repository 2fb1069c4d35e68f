"""CDISC Dataset-JSON 1.1: one object per file, columns described, rows as arrays."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pandas as pd

import livertrack
from livertrack._files import write_text
from livertrack.cdisc.variables import Dataset, Variable, require_writable, text_cells

_TYPES = {"text": "string", "integer": "integer", "float": "double", "date": "date"}


def write_dataset_json(
    dataset: Dataset, path: str | Path, *, study: str, created: dt.datetime
) -> Path:
    """Write one dataset as Dataset-JSON 1.1 (``.json``), numbers in full precision.

    Missing numbers and dates are null, missing text is empty text.
    """
    require_writable([dataset], transport=False)
    head: dict[str, Any] = {
        "datasetJSONCreationDateTime": created.strftime("%Y-%m-%dT%H:%M:%S"),
        "datasetJSONVersion": "1.1.0",
        "fileOID": f"livertrack.{study}.{dataset.name.upper()}",
        "originator": "livertrack",
        "sourceSystem": {"name": "livertrack", "version": livertrack.__version__},
        "studyOID": f"STUDY.{study}",
        "metaDataVersionOID": f"MDV.{study}.ADaM",
        "metaDataRef": "define.xml",
        "itemGroupOID": item_group(dataset),
        "isReferenceData": False,
        "records": len(dataset.frame),
        "name": dataset.name.upper(),
        "label": dataset.label,
        "columns": [_column(dataset, variable) for variable in dataset.variables],
    }
    columns = [_cells(dataset.frame[v.name], v.kind) for v in dataset.variables]
    rows = [list(row) for row in zip(*columns, strict=True)]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    text = json.dumps(head, indent=1, ensure_ascii=False)[:-2]
    write_text(path, f'{text},\n "rows": [\n{lines}\n]}}\n')
    return Path(path)


def item_group(dataset: Dataset) -> str:
    """OID of a dataset, the same in define.xml."""
    return f"IG.{dataset.name.upper()}"


def item(dataset: Dataset, variable: Variable) -> str:
    """OID of a column, the same in define.xml."""
    return f"IT.{dataset.name.upper()}.{variable.name.upper()}"


def _column(dataset: Dataset, variable: Variable) -> dict[str, Any]:
    column: dict[str, Any] = {
        "itemOID": item(dataset, variable), "name": variable.name.upper(),
        "label": variable.label, "dataType": _TYPES[variable.kind],
    }  # fmt: skip
    if variable.kind == "text":
        column["length"] = variable.length
    if variable.key:
        column["keySequence"] = variable.key
    return column


def _cells(cells: pd.Series, kind: str) -> list[Any]:
    if kind == "text":
        return text_cells(cells).tolist()
    if kind == "date":
        return [None if pd.isna(c) else pd.Timestamp(c).date().isoformat() for c in cells]
    make = int if kind == "integer" else float
    return [None if pd.isna(c) else make(c) for c in cells]
