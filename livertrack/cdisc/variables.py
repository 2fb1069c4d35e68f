"""What a submission must know of each column, from the data dictionary and the cells."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from livertrack.dictionary import Schema, load_schema
from livertrack.errors import DataError

#: limits of SAS transport version 5 (and of the FDA's technical conformance guide)
MAX_NAME, MAX_LABEL, MAX_TEXT = 8, 40, 200
_NAME = re.compile(r"^[A-Z_][A-Z0-9_]*$")
#: days from the first day of SAS to that of Unix
SAS_EPOCH = pd.Timestamp("1960-01-01")


@dataclass(frozen=True)
class Variable:
    """One column as a submission states it.

    Attributes
    ----------
    kind : {"text", "integer", "float", "date"}
        Dates are numbers of days since 1960-01-01 in SAS transport, ISO 8601 text elsewhere.
    length : int
        Bytes of the longest cell (text), else 8.
    key : int
        Place in the primary key from 1; 0 for other columns.
    mandatory : bool
        No cell may be missing.
    codes : tuple of str
        Allowed values, where the dictionary has a code list.
    """

    name: str
    label: str
    kind: str
    length: int
    key: int
    mandatory: bool
    description: str
    unit: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Records in the order of their key, and what is known of the columns.

    ``derived``: the run computed it; else it came with the study.
    """

    name: str
    label: str
    description: str
    kind: str
    frame: pd.DataFrame
    variables: tuple[Variable, ...]
    derived: bool = False


def describe(frame: pd.DataFrame, name: str, *, derived: bool = False) -> Dataset:
    """Describe a dataset by its schema; columns the schema does not know by their cells.

    Records come sorted by the primary key, columns in the order of the schema, the others after
    them.
    """
    schema = load_schema(name)
    known = [f.name for f in schema.fields if f.name in frame.columns]
    columns = [*known, *(str(c) for c in frame.columns if c not in known)]
    key = [k for k in schema.primary_key if k in columns]
    frame = frame[columns]
    if key:
        frame = frame.sort_values(key, kind="stable")
    frame = frame.reset_index(drop=True)
    variables = tuple(_variable(frame[column], column, schema, key) for column in columns)
    about = (schema.title, schema.description, schema.kind)
    return Dataset(name, *about, frame, variables, derived)


def problems(dataset: Dataset, *, transport: bool) -> list[str]:
    """List what the limits of submission formats forbid: columns and counts, never cells.

    ``transport``: the limits of SAS transport version 5; else those of Dataset-JSON, which has
    none on length or characters.
    """
    found = []
    if not dataset.variables:
        found.append("no column")
    if transport:
        if len(dataset.name) > MAX_NAME or not _NAME.match(dataset.name.upper()):
            found.append(f"the dataset name has more than {MAX_NAME} letters, digits or _")
        if len(dataset.label) > MAX_LABEL or not dataset.label.isascii():
            found.append(f"the dataset label has more than {MAX_LABEL} characters or others")
    upper: dict[str, int] = {}
    for variable in dataset.variables:
        upper[variable.name.upper()] = upper.get(variable.name.upper(), 0) + 1
        if transport:
            found += _transport(dataset.frame[variable.name], variable)
    found += [
        f"column {name} occurs {n} times, ignoring case" for name, n in upper.items() if n > 1
    ]
    return found


def require_writable(datasets: Sequence[Dataset], *, transport: bool) -> None:
    """Raise `DataError` with everything that the format cannot hold, for all datasets at once."""
    lines = [
        f"{d.name}: {problem}" for d in datasets for problem in problems(d, transport=transport)
    ]
    if lines:
        form = "SAS transport (version 5)" if transport else "Dataset-JSON"
        listed = "\n".join(f"  - {line}" for line in lines)
        msg = (
            f"{form} cannot hold {len(lines)} thing(s), nothing was written:\n{listed}\n"
            "shorten or rename them at the source; a column can be left out with `drop`"
        )
        raise DataError(msg)


def text_cells(cells: pd.Series) -> pd.Series:
    """Cells as text, blanks for missing ones."""
    return cells.astype(object).where(cells.notna(), "").map(str)


def sas_days(cells: pd.Series) -> pd.Series:
    """Dates as days since 1960-01-01."""
    return (pd.to_datetime(cells) - SAS_EPOCH) / pd.Timedelta(days=1)


def _transport(cells: pd.Series, variable: Variable) -> list[str]:
    found = []
    if len(variable.name) > MAX_NAME or not _NAME.match(variable.name.upper()):
        found.append(
            f"column {variable.name}: names have up to {MAX_NAME} letters, digits or _, "
            "and begin with a letter"
        )
    if len(variable.label) > MAX_LABEL:
        found.append(f"column {variable.name}: its label has {len(variable.label)} characters, "
                     f"{MAX_LABEL} are allowed")  # fmt: skip
    if not variable.label.isascii():
        found.append(f"column {variable.name}: its label is not ASCII")
    if variable.kind == "text":
        text = text_cells(cells)
        long = int((text.str.encode("utf-8").str.len() > MAX_TEXT).sum())
        foreign = int((~text.map(str.isascii)).sum())
        if long:
            found.append(f"column {variable.name}: {long} cell(s) exceed {MAX_TEXT} bytes")
        if foreign:
            found.append(f"column {variable.name}: {foreign} cell(s) are not ASCII")
    elif variable.kind != "date":
        wide = int((pd.to_numeric(cells, errors="coerce").abs() > 7.2e75).sum())
        if wide:
            found.append(f"column {variable.name}: {wide} number(s) are beyond 7.2e75")
    return found


def _variable(cells: pd.Series, name: str, schema: Schema, key: Sequence[str]) -> Variable:
    field = schema.field(name)
    kind = _kind(cells)
    length = 8
    if kind == "text":
        sizes = text_cells(cells).str.encode("utf-8").str.len()
        length = max(1, int(sizes.max())) if len(sizes) else 1
    return Variable(
        name=name,
        label=field.title if field else name,
        kind=kind,
        length=length,
        key=key.index(name) + 1 if name in key else 0,
        mandatory=bool(field and field.constraints.get("required")),
        description=field.description if field else "",
        unit=(field.unit or "") if field else "",
        codes=tuple(str(c) for c in field.constraints.get("enum", ())) if field else (),
    )


def _kind(cells: pd.Series) -> str:
    if pd.api.types.is_datetime64_any_dtype(cells):
        return "date"
    if pd.api.types.is_bool_dtype(cells):
        return "text"
    if pd.api.types.is_numeric_dtype(cells):
        known = cells.dropna().to_numpy(float)
        whole = all(math.isfinite(v) and v == round(v) for v in known[:100_000])
        return "integer" if pd.api.types.is_integer_dtype(cells) and whole else "float"
    return "text"
