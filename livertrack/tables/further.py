"""Any result as a table: what has no section of its own is still shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from livertrack._views import rows_of, variable_of
from livertrack.tables._format import digits_for, integer, number, p_value
from livertrack.tables._table import Row, Table
from livertrack.tables.comparisons import _method

_P = ("p_value", "p_adjusted", "p_nominal")
#: columns of frames with a row per subject or case
_BY_ROW = {"fold", "observed", "predicted"}
_WORDS = {
    "estimate": "Estimate", "std_error": "Standard error", "conf_low": "Lower limit",
    "conf_high": "Upper limit", "statistic": "Statistic", "df": "df", "p_value": "p",
    "p_adjusted": "Adjusted p", "n": "N", "n_arm": "N arm", "n_ref": "N reference",
    "n_missing": "Missing", "auc": "AUC", "auc_low": "AUC, lower limit",
    "auc_high": "AUC, upper limit", "n_subjects": "Subjects",
}  # fmt: skip


def further_table(
    result: Any, *, title: str, labels: Mapping[str, str] | None = None, most: int = 60,
    frame: str | None = None,
) -> Table:  # fmt: skip
    """Show the main frame (or the first with rows) of any result, numbers rounded by column.

    Parameters
    ----------
    result : Result or StoredResult
    title : str
        Caption.
    labels : mapping, optional
        PARAMCD -> what the reader sees.
    most : int
        Rows shown; how many there are besides is said in a footnote.
    frame : str, optional
        Another frame of the result.
    """
    held = _frames(result).get(frame or _shown(result), pd.DataFrame())
    held = held.drop(columns=[c for c in ("method",) if c in held.columns])
    numbers = [c for c in held.columns if _is_number(held[c])]
    texts = [c for c in held.columns if c not in numbers]
    digits = {c: _digits(c, held[c]) for c in numbers}
    columns = [*texts[1:], *numbers]
    rows = []
    for record in rows_of(held.head(most)):
        cells = tuple(_cell(c, record[c], digits, labels or {}) for c in columns)
        stub = (
            _cell(texts[0], record[texts[0]], digits, labels or {}) if texts
            else (labels or {}).get(variable_of(result), variable_of(result) or "All subjects")
        )  # fmt: skip
        rows.append(Row(stub, cells))
    left = len(held) - most
    return Table(
        title=title,
        stub=_word(texts[0]) if texts else "Analysis",
        headers=tuple(_word(c) for c in columns),
        rows=tuple(rows),
        text_columns=tuple(range(len(texts[1:]))),
        footnotes=(
            *((f"{left} more rows are in the analysis results data.",) if left > 0 else ()),
            *_method([result]),
        ),
        empty="The analysis gave no row.",
    )


def frame_tables(result: Any, *, title: str, most: int = 60) -> list[tuple[str, Table]]:
    """Every frame of a result as a table, the main one first; rows of subjects are left out."""
    shown, frames = _shown(result), _frames(result)
    rows = [name for name in frames if set(frames[name].columns) >= _BY_ROW]
    names = [shown, *(name for name in frames_beside(result) if name not in rows)]
    return [
        (name, further_table(result, title=_titled(title, name, shown), most=most, frame=name))
        for name in names
    ]


def _titled(title: str, name: str, shown: str) -> str:
    return title if name == shown else f"{title}: {name.replace('_', ' ')}"


def frames_beside(result: Any) -> Sequence[str]:
    """Names of the other frames of a result, which the analysis results data hold."""
    return [name for name in _frames(result) if name != _shown(result)]


def _frames(result: Any) -> Mapping[str, pd.DataFrame]:
    found: Mapping[str, pd.DataFrame] = (
        result.frames() if callable(result.frames) else result.frames
    )
    return {name: frame for name, frame in found.items() if len(frame)}


def _shown(result: Any) -> str:
    """Name of the frame that is shown: the main one, unless it has no rows."""
    frames = _frames(result)
    return "table" if "table" in frames else next(iter(frames), "table")


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _digits(name: str, column: pd.Series[Any]) -> int:
    values = column.dropna().astype(float)
    whole = len(values) > 0 and bool((values == values.round()).all())
    return 0 if whole and name not in ("estimate", "statistic") else digits_for(values)


def _cell(name: str, value: Any, digits: Mapping[str, int], labels: Mapping[str, str]) -> str:
    if name in _P:
        return p_value(value)
    if name in digits:
        return integer(value) if digits[name] == 0 else number(value, digits[name])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return labels.get(str(value), str(value))


def _word(column: str) -> str:
    text = column.replace("_", " ")
    return _WORDS.get(column, text if text.isupper() else text[:1].upper() + text[1:])
