"""How the cells, keys, units and sums of a typed frame differ from its schema.

Findings count cells; they never quote one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from livertrack._conform import SHOWN, finding
from livertrack.dictionary import FieldSchema, Parameter, Schema, Unit
from livertrack.findings import Finding


def differences(
    frame: pd.DataFrame,
    dataset: str,
    schema: Schema,
    subjects: pd.Series[Any] | None,
    visits: Sequence[str] | None,
) -> list[Finding]:
    """Cells, keys, subjects and sums of a typed frame that differ from the schema."""
    findings: list[Finding] = []
    for field in schema.fields:
        if field.name in frame.columns:
            findings += _constraints(frame, dataset, field)
    if subjects is not None and schema.subjects_of_adsl and "USUBJID" in frame.columns:
        unknown = frame["USUBJID"].notna() & ~frame["USUBJID"].isin(subjects)
        cure = "add the subjects to adsl, or remove their records"
        findings += finding(
            frame,
            unknown,
            dataset,
            "USUBJID",
            "record(s) of subjects that adsl does not have",
            cure,
        )
    findings += _duplicates(frame, dataset, schema, visits)
    if {"PARAMCD", "AVAL"} <= set(frame.columns):
        findings += _parameters(frame, dataset, schema)
    for rule in schema.sums:
        findings += _sums(frame, dataset, rule)
    return findings


def _constraints(frame: pd.DataFrame, dataset: str, field: FieldSchema) -> list[Finding]:
    cells = frame[field.name]
    stated = cells.notna()
    rules = field.constraints
    found: list[Finding] = []

    def add(where: Any, problem: str, cure: str) -> None:
        found.extend(finding(frame, where, dataset, field.name, problem, cure))

    unit = f" {field.unit}" if field.unit else ""
    if rules.get("required"):
        add(~stated, "cell(s) are blank", f"fill in the {field.title.lower()}")
    if "enum" in rules:
        allowed = ", ".join(map(str, rules["enum"]))
        problem = "cell(s) are not in the code list"
        add(stated & ~cells.isin(rules["enum"]), problem, f"use one of {allowed}, or leave blank")
    if "pattern" in rules:
        matches = cells[stated].astype(str).str.fullmatch(rules["pattern"])
        odd = stated & ~matches.reindex(cells.index, fill_value=True)
        add(odd, "cell(s) have characters a code may not have", "use letters, digits, underscores")
    low, high = rules.get("minimum", -np.inf), rules.get("maximum", np.inf)
    if "minimum" in rules or "maximum" in rules:
        span = f"{low:g} to {high:g}{unit}" if np.isfinite(high) else f"{low:g}{unit} or more"
        outside = stated & ((cells < low) | (cells > high))
        add(outside, f"value(s) outside {span}", "correct the value or its unit")
    return found


def _duplicates(
    frame: pd.DataFrame, dataset: str, schema: Schema, visits: Sequence[str] | None
) -> list[Finding]:
    """Find records that repeat the primary key.

    Only records that could be analysed count: at the plan's visits, and where ANL01FL is present,
    those it flags. Where REGION is absent or blank it is one value.
    """
    keys = [key for key in schema.primary_key if key in frame.columns]
    if set(schema.primary_key) - set(keys) - {"REGION"}:
        return []  # without one of its keys every record would look repeated
    counted = pd.Series(data=True, index=frame.index)
    for key in keys:
        if key != "REGION":
            counted &= frame[key].notna()
    if visits is not None and "AVISIT" in keys:
        counted &= frame["AVISIT"].isin(visits)
    if "ANL01FL" in frame.columns:
        counted &= frame["ANL01FL"].eq("Y")
    repeated = np.zeros(len(frame), dtype=bool)
    where = counted.to_numpy(bool)
    repeated[where] = frame[where].fillna({"REGION": ""}).duplicated(keys)
    column = " x ".join(keys)
    if len(keys) == 1:
        cure = "keep one record per subject"
    else:
        cure = "keep one record, or flag the one to analyse with ANL01FL = Y"
        cure = cure if "PARAMCD" in keys and schema.kind == "bds" else "keep one record of each"
    return finding(frame, repeated, dataset, column, "duplicated record(s)", cure)


def _parameters(frame: pd.DataFrame, dataset: str, schema: Schema) -> list[Finding]:
    findings: list[Finding] = []
    for code, records in frame.groupby("PARAMCD", sort=True):
        parameter = schema.parameter(str(code))
        if parameter is None:
            continue
        is_code = frame["PARAMCD"].eq(code)
        shown = parameter.code if "*" not in parameter.code else f"pattern {parameter.code}"
        stated = _stated_units(records, parameter)
        if len(set(stated)) > 1:
            problem = f"{shown} is given in several units"
            odd = is_code & stated.ne(stated.mode().iloc[0]).reindex(frame.index, fill_value=False)
            findings += finding(frame, odd, dataset, "AVAL", problem, "convert it to one unit")
            continue
        known = [u for u in parameter.units if len(stated) and u.unit == stated.iloc[0]]
        if len(stated) and not known:
            cure = f"convert to {' or '.join(u.unit for u in parameter.units)}"
            problem = f"{shown} is in a unit the dictionary does not have"
            findings += finding(frame, is_code, dataset, "AVALU", problem, cure)
            continue
        unit = known[0] if known else parameter.units[0]
        for column in ("AVAL", "BASE"):
            if column in frame.columns:
                findings += _range(frame, is_code, dataset, column, shown, parameter.type, unit)
    return _merged(findings)


def _range(
    frame: pd.DataFrame, is_code: Any, dataset: str, column: str, shown: str, kind: str, unit: Unit
) -> list[Finding]:
    values = frame[column]
    outside = is_code & values.notna() & ((values < unit.minimum) | (values > unit.maximum))
    span = f"{unit.minimum:g} to {unit.maximum:g} {unit.unit}"
    found = finding(
        frame, outside, dataset, column, f"{shown} value(s) outside {span}",
        "correct the value or its unit",
    )  # fmt: skip
    if kind == "integer":
        fraction = is_code & values.notna() & ~outside & (values % 1 != 0)
        found += finding(
            frame, fraction, dataset, column, f"{shown} value(s) are not whole numbers",
            "enter the score as read",
        )  # fmt: skip
    return found


def _stated_units(records: pd.DataFrame, parameter: Parameter) -> pd.Series[Any]:
    """Return the unit of each record that states one: AVALU, else the end of PARAM.

    Synonyms become the dictionary's name. Parentheses that hold something else ("whole liver")
    state no unit; an AVALU that the dictionary does not have becomes "?".
    """
    names = {n.casefold(): u.unit for u in parameter.units for n in (u.unit, *u.synonyms)}
    stated: pd.Series[Any] = pd.Series(np.nan, index=records.index, dtype=object)
    if "AVALU" in records.columns:
        cells = records["AVALU"].astype(str).str.casefold()
        stated = cells.map(names).fillna("?").where(records["AVALU"].notna())
    if "PARAM" in records.columns:
        inside = records["PARAM"].astype(str).str.extract(r"\((.*)\)\s*$")[0]
        last = inside.astype(str).str.replace(r"^.*\) *\(", "", regex=True).str.casefold()
        stated = stated.where(stated.notna(), last.map(names).astype(object))
    return stated.dropna()


def _sums(frame: pd.DataFrame, dataset: str, rule: Any) -> list[Finding]:
    column = rule["field"]
    by = [key for key in rule["by"] if key in frame.columns]
    if column not in frame.columns or not by or frame.empty:
        return []
    part = frame
    if "parameters" in rule and "PARAMCD" in frame.columns:
        pattern = re.compile(re.escape(rule["parameters"]).replace(r"\*", ".*"))
        part = frame[frame["PARAMCD"].astype(str).map(lambda c: bool(pattern.fullmatch(c)))]
    sums = part.groupby(by, dropna=False)[column].agg(["sum", "count", "size"])
    whole = sums["count"].eq(sums["size"])
    off = int((whole & ((sums["sum"] - rule["total"]).abs() > rule["tolerance"])).sum())
    if not off:
        return []
    problem = f"groups of {' x '.join(by)} in which {column} does not add up to {rule['total']:g}"
    return [Finding(dataset, column, problem, off, "compute the proportions again")]


def _merged(findings: list[Finding]) -> list[Finding]:
    """Merge findings that differ only in count and lines (members of one pattern)."""
    merged: dict[tuple[str, ...], Finding] = {}
    for item in findings:
        key = (item.dataset, item.column, item.problem, item.cure, item.severity)
        if key in merged:
            before = merged[key]
            rows = tuple(sorted({*before.rows, *item.rows})[:SHOWN])
            item = Finding(*key[:3], before.count + item.count, item.cure, item.severity, rows)
        merged[key] = item
    return list(merged.values())
