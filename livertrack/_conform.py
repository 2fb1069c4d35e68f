"""Types of a frame by its schema, and how its cells, keys and sums differ from it.

Findings count cells; they never quote one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from livertrack.dictionary import FieldSchema, Parameter, Schema, Unit
from livertrack.findings import Finding

_SAS_EPOCH = pd.Timestamp("1960-01-01")
_IDENTIFIERS = ("USUBJID", "SITEID", "SUBJID")
_MISSING_NUMBERS = ("", "NA", "NaN", ".")
#: line numbers a finding shows
_SHOWN = 5


def finding(
    frame: pd.DataFrame,
    where: Any,
    dataset: str,
    column: str,
    problem: str,
    cure: str,
    *,
    severity: Literal["error", "warning"] = "error",
) -> list[Finding]:
    """Return one finding about the records ``where`` is True (none: no finding)."""  # fmt: skip
    lines = _lines(frame)[np.asarray(where, dtype=bool)]
    if not len(lines):
        return []
    shown = tuple(int(line) for line in np.sort(lines)[:_SHOWN])
    return [Finding(dataset, column, problem, len(lines), cure, severity, shown)]


def _lines(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    return frame.index.to_numpy() if frame.index.name == "line" else np.arange(2, len(frame) + 2)


# types ----------------------------------------------------------------------------------------


def typed_frame(
    frame: pd.DataFrame, dataset: str, schema: Schema
) -> tuple[pd.DataFrame, list[Finding]]:
    """Type a frame by its schema; findings are columns that lack and cells that do not conform."""
    findings: list[Finding] = []
    typed: dict[str, Any] = {}
    for name in map(str, frame.columns):
        field = schema.field(name)
        cells = frame[name]
        if field is None:
            typed[name] = _guess(name, cells)
            continue
        typed[name], bad = _cast(cells, field)
        cure = {
            "number": "write numbers with a decimal point and no unit",
            "integer": "write whole numbers",
            "date": "write dates as YYYY-MM-DD",
        }.get(field.type, "write text")
        problem = f"cell(s) are not of type {field.type}"
        findings += finding(frame, bad, dataset, name, problem, cure)
        if name in _IDENTIFIERS and pd.api.types.is_numeric_dtype(cells.dtype):
            problem = "identifiers are stored as numbers, leading zeros may be lost"
            cure = "store the column as text"
            every = np.ones(len(frame), dtype=bool)
            findings += finding(frame, every, dataset, name, problem, cure, severity="warning")
    return pd.DataFrame(typed, index=frame.index), findings + _columns(frame, dataset, schema)


def _columns(frame: pd.DataFrame, dataset: str, schema: Schema) -> list[Finding]:
    findings = []
    for field in schema.fields:
        if field.present and field.name not in frame.columns:
            alike = [c for c in frame.columns if str(c).upper() == field.name]
            cure = f"rename {alike[0]!r}" if alike else f"add it: {field.title.lower()}"
            findings.append(Finding(dataset, field.name, "column is missing", 1, cure))
    return findings


def _cast(cells: pd.Series[Any], field: FieldSchema) -> tuple[pd.Series[Any], Any]:
    """Cells in the type of the field, and which of them could not be."""
    if field.type in ("number", "integer"):
        numbers = _numbers(cells, field.missing_values)
        stated = ~_blank(cells, field.missing_values)
        bad = stated & ~np.isfinite(numbers.to_numpy())
        numbers = numbers.where(np.isfinite(numbers))
        if field.type == "integer":
            fraction = numbers.notna() & (numbers % 1 != 0)
            bad |= fraction.to_numpy()
            numbers = numbers.mask(fraction)
            if numbers.notna().all():
                numbers = numbers.astype("int64")
        return numbers, bad
    if field.type == "date":
        return _dates(cells, field.missing_values)
    blank = _blank(cells, field.missing_values)
    text = pd.Series([_as_text(cell) for cell in cells], index=cells.index, dtype=object)
    return text.mask(blank), np.zeros(len(cells), dtype=bool)


def _as_text(cell: Any) -> Any:
    """Text of a cell; a whole number has no decimal point."""
    if isinstance(cell, (float, np.floating)):
        if np.isnan(cell):
            return np.nan
        return str(int(cell)) if float(cell).is_integer() else repr(float(cell))
    return cell if isinstance(cell, str) else str(cell)


def _blank(cells: pd.Series[Any], missing_values: tuple[str, ...]) -> np.ndarray[Any, Any]:
    blank: np.ndarray[Any, Any] = cells.isna().to_numpy()
    if cells.dtype == object:
        blank = blank | cells.isin(list(missing_values)).to_numpy()
    return blank


def _numbers(cells: pd.Series[Any], missing_values: tuple[str, ...]) -> pd.Series[Any]:
    if pd.api.types.is_bool_dtype(cells.dtype) or pd.api.types.is_datetime64_any_dtype(
        cells.dtype
    ):
        return pd.Series(np.nan, index=cells.index, dtype=float)
    stated = cells.mask(_blank(cells, missing_values))
    return pd.to_numeric(stated, errors="coerce").astype(float)


def _dates(
    cells: pd.Series[Any], missing_values: tuple[str, ...]
) -> tuple[pd.Series[Any], np.ndarray[Any, Any]]:
    stated = ~_blank(cells, missing_values)
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        dates = cells.dt.tz_localize(None) if cells.dt.tz is not None else cells
    elif pd.api.types.is_numeric_dtype(cells.dtype):
        # SAS dates without a format: days since 1960-01-01
        days = pd.to_timedelta(cells.where(cells.abs() < 100_000), unit="D")
        dates = _SAS_EPOCH + days
    else:
        text = cells.mask(~stated).astype(str).str.slice(0, 10)
        dates = pd.to_datetime(text, format="%Y-%m-%d", errors="coerce")
    dates = dates.astype("datetime64[ns]")
    return dates, stated & dates.isna().to_numpy()


def _guess(name: str, cells: pd.Series[Any]) -> pd.Series[Any]:
    """Type of a column that the schema does not know."""
    if cells.dtype != object or name.upper().endswith("ID"):
        return cells
    numbers = _numbers(cells, _MISSING_NUMBERS)
    stated = ~_blank(cells, _MISSING_NUMBERS)
    text = cells[stated]
    leading_zero = text.map(lambda c: isinstance(c, str) and bool(re.match(r"[+-]?0\d", c)))
    if not len(text) or leading_zero.any() or numbers[stated].isna().any():
        return cells
    return numbers


# differences ----------------------------------------------------------------------------------


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
        stated = stated.fillna(last.map(names))
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
            rows = tuple(sorted({*before.rows, *item.rows})[:_SHOWN])
            item = Finding(*key[:3], before.count + item.count, item.cure, item.severity, rows)
        merged[key] = item
    return list(merged.values())
