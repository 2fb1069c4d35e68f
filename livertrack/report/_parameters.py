"""Parameters of a report: declared in one tagged cell, given by the caller."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livertrack.report._errors import ReportError
from livertrack.report._source import Cell, Source


def bind_parameters(source: Source, given: Mapping[str, Any]) -> str:
    """Code that assigns the parameters, to run right after the tagged cell.

    A parameter that the cell declares as None has no default: it must be given.

    Raises
    ------
    ReportError
        A given name that the report does not declare; a declared one without a value.
    """
    cell = next((cell for cell in source.cells if cell.is_parameters), None)
    declared = _declared(cell) if cell is not None else {}
    name = source.path.name
    unknown = [key for key in given if key not in declared]
    if unknown:
        close = difflib.get_close_matches(unknown[0], declared, n=1)
        hint = (
            f"did you mean {close[0]!r}?" if close else f"it declares {sorted(declared) or 'none'}"
        )
        msg = f"report {name} has no parameter {unknown[0]!r}; {hint}"
        raise ReportError(msg)
    missing = [key for key, value in declared.items() if value is None and given.get(key) is None]
    if missing:
        msg = (
            f"report {name}: parameter(s) {', '.join(missing)} of cell "
            f"{cell.label if cell else ''!r} have no value; pass them in params"
        )
        raise ReportError(msg)
    return "\n".join(f"{key} = {_literal(key, value)}" for key, value in sorted(given.items()))


def parameters_of(source: Source) -> set[str]:
    """Names of the parameters that a report declares."""
    cell = next((cell for cell in source.cells if cell.is_parameters), None)
    return set(_declared(cell)) if cell is not None else set()


def _declared(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        body = ast.parse(cell.code).body
    except SyntaxError as error:
        msg = f"report: cell {cell.label!r} at {cell.place} is not valid Python: {error}"
        raise ReportError(msg) from error
    for statement in body:
        target: ast.expr | None = None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target = statement.target
        try:
            if not isinstance(target, ast.Name):
                raise ValueError
            found[target.id] = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
        except ValueError as error:
            msg = (
                f"report: cell {cell.label!r} at {cell.place} is tagged parameters: it may hold "
                "plain assignments of literals only"
            )
            raise ReportError(msg) from error
    return found


def _literal(name: str, value: Any) -> str:
    plain = str(value) if isinstance(value, Path) else value
    text = repr(plain)
    try:
        if ast.literal_eval(text) != plain:
            raise ValueError
    except (ValueError, SyntaxError) as error:
        msg = f"report: parameter {name!r} must be a literal (text, number, ...), not {value!r}"
        raise ReportError(msg) from error
    return text
