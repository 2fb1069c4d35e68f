"""Types of the columns of a frame by its schema, and findings about those that do not conform.

Findings count cells; they never quote one.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import pandas as pd

from livertrack.dictionary import FieldSchema, Schema
from livertrack.findings import Finding

_SAS_EPOCH = pd.Timestamp("1960-01-01")
_IDENTIFIERS = ("USUBJID", "SITEID", "SUBJID")
_MISSING_NUMBERS = ("", "NA", "NaN", ".")
#: line numbers a finding shows
SHOWN = 5


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
    shown = tuple(int(line) for line in np.sort(lines)[:SHOWN])
    return [Finding(dataset, column, problem, len(lines), cure, severity, shown)]


def _lines(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    return frame.index.to_numpy() if frame.index.name == "line" else np.arange(2, len(frame) + 2)


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
