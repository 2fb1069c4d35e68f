"""The data dictionary: what each dataset must look like, and whether a frame does.

Schemas are Frictionless Table Schemas (``data-dictionary/<dataset>.json``) and the only place
where types, units, code lists, keys and ranges are stated. Properties of our own:

``livertrack:class``
    Kind of dataset: ``adsl``, ``bds``, ``adtte``, ``recurrences``, ``occurrences``
    (intercurrent events),
    ``pathways``, ``scans``, ``images``.
``livertrack:column`` (of a field)
    ``required``: the column must exist; its cells may be blank unless ``constraints.required``.
``livertrack:parameters``
    PARAMCD (or pattern, ``TV*``) -> title, type and the ``units`` it may be given in, each with
    its range. The unit of a record is AVALU, else what stands in parentheses at the end of PARAM,
    else the first unit listed. Other PARAMCDs are welcome and have no range.
``livertrack:sums``
    Values that add up to a total within groups of records.

The frictionless library is not used to validate: its error objects carry the cells and rows they
complain about, which may identify a subject, and it walks the cells one by one in Python.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType
from typing import Any

import pandas as pd

from livertrack._resources import resource_dir
from livertrack.errors import DataError
from livertrack.findings import Finding


@dataclass(frozen=True)
class FieldSchema:
    """One column of a dataset."""

    name: str
    type: str
    title: str
    description: str
    unit: str | None
    present: bool
    missing_values: tuple[str, ...]
    constraints: Mapping[str, Any]


@dataclass(frozen=True)
class Unit:
    """A unit a parameter may be given in, and the range of values in it (both ends allowed)."""

    unit: str
    minimum: float
    maximum: float
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """A known PARAMCD: its title, whether it is a whole number, its units with their ranges."""

    code: str
    title: str
    type: str
    description: str
    units: tuple[Unit, ...]

    @property
    def label(self) -> str:
        """Title with the first unit, as PARAM states it."""
        unit = self.units[0].unit if self.units else ""
        return f"{self.title} ({unit})" if unit else self.title


@dataclass(frozen=True)
class Schema:
    """One dataset of the dictionary."""

    name: str
    title: str
    description: str
    kind: str
    fields: tuple[FieldSchema, ...]
    primary_key: tuple[str, ...]
    subjects_of_adsl: bool
    parameters: Mapping[str, Parameter]
    sums: tuple[Mapping[str, Any], ...]

    def field(self, name: str) -> FieldSchema | None:
        """Field by its name; None where the schema does not know it."""
        return next((field for field in self.fields if field.name == name), None)

    def parameter(self, code: str) -> Parameter | None:
        """Parameter by its PARAMCD: an exact name wins over a pattern."""
        if code in self.parameters:
            return self.parameters[code]
        return next((p for name, p in self.parameters.items() if fnmatchcase(code, name)), None)


@cache
def schema_names() -> tuple[str, ...]:
    """Datasets that have a schema of their own (``bds`` stands for every other BDS dataset)."""
    return tuple(sorted(path.stem for path in resource_dir("data-dictionary").glob("*.json")))


@cache
def load_schema(dataset: str) -> Schema:
    """Load the schema of a dataset; those without one of their own have the schema ``bds``.

    Raises
    ------
    DataError
        The dictionary itself is absent or malformed.
    """
    folder = resource_dir("data-dictionary")
    path = folder / f"{dataset}.json"
    path = path if path.is_file() else folder / "bds.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return _schema(raw)
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = (
            f"data-dictionary/{path.name} is absent or malformed ({error!r}); reinstall livertrack"
        )
        raise DataError(msg) from error


_EVENTS = ("adtte", "adrec")


def describe_parameter(code: str, *, dataset: str | None = None) -> Parameter | None:
    """Look a PARAMCD up in one dataset of the dictionary, else in all."""
    # datasets of events know every code: their wildcard is not the name of a measure
    names = (dataset,) if dataset else [n for n in schema_names() if n not in _EVENTS]
    found = (load_schema(name).parameter(code) for name in names)
    return next((parameter for parameter in found if parameter is not None), None)


def validate(
    frame: pd.DataFrame,
    dataset: str,
    *,
    subjects: pd.Series[Any] | None = None,
    visits: Sequence[str] | None = None,
) -> list[Finding]:
    """Everything about a frame that differs from its schema.

    Parameters
    ----------
    frame : DataFrame
        Records of one dataset, as read (text) or typed; its index gives the line numbers when it
        is named ``line`` (see `livertrack.datasets.read_dataset`).
    dataset : str
        Name of the dataset, which selects the schema.
    subjects : Series of str, optional
        USUBJID of adsl; subjects it lacks are a finding.
    visits : sequence of str, optional
        Visits of the plan: records at other visits may repeat. None: no record may.

    Returns
    -------
    list of Finding
        All findings, counts of cells or records; no cell is ever quoted.
    """
    return conform(frame, dataset, subjects=subjects, visits=visits)[1]


def conform(
    frame: pd.DataFrame,
    dataset: str,
    *,
    subjects: pd.Series[Any] | None = None,
    visits: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, list[Finding]]:
    """Type the columns of a frame by its schema, and find what differs (see `validate`).

    Returns
    -------
    (DataFrame, list of Finding)
        The frame in the types of the schema: text as ``str`` with blanks missing, numbers as
        float64 (int64 where the schema says integer and none is missing), dates as datetime64.
        Cells that do not conform to their type are missing. Columns that the schema does not
        know keep their type, and those read as text become numbers when every cell is one (a
        leading zero, as in ``007``, keeps a column text).
    """
    from livertrack._conform import typed_frame
    from livertrack._differences import differences

    schema = load_schema(dataset)
    typed, findings = typed_frame(frame, dataset, schema)
    return typed, [*findings, *differences(typed, dataset, schema, subjects, visits)]


def _schema(raw: Mapping[str, Any]) -> Schema:
    parameters = {
        code: Parameter(
            code=code,
            title=entry["title"],
            type=entry["type"],
            description=entry.get("description", ""),
            units=tuple(
                Unit(u["unit"], u["minimum"], u["maximum"], tuple(u.get("synonyms", ())))
                for u in entry["units"]
            ),
        )
        for code, entry in raw.get("livertrack:parameters", {}).items()
    }
    return Schema(
        name=raw["name"],
        title=raw["title"],
        description=raw["description"],
        kind=raw["livertrack:class"],
        fields=tuple(_field(entry, raw["missingValues"]) for entry in raw["fields"]),
        primary_key=tuple(raw["primaryKey"]),
        subjects_of_adsl=bool(raw.get("foreignKeys")),
        parameters=MappingProxyType(parameters),
        sums=tuple(raw.get("livertrack:sums", ())),
    )


def _field(raw: Mapping[str, Any], missing_values: list[str]) -> FieldSchema:
    constraints = raw.get("constraints", {})
    return FieldSchema(
        name=raw["name"],
        type=raw["type"],
        title=raw["title"],
        description=raw["description"],
        unit=raw.get("unit"),
        present=raw.get("livertrack:column") == "required",
        missing_values=tuple(raw.get("missingValues", missing_values)),
        constraints=MappingProxyType(dict(constraints)),
    )
