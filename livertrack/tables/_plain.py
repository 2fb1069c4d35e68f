"""The table of a result as it is, with readable headers: for results without one of their own."""

from __future__ import annotations

from typing import Any

from livertrack._views import frame_of, rows_of
from livertrack.tables._format import digits_for, integer, number
from livertrack.tables._table import Row, Table


def plain_table(result: Any, *, title: str, frame: str = "table") -> Table:
    """Every column of a frame, rounded to three significant digits of its largest value.

    Parameters
    ----------
    result : Result or StoredResult
    title : str
        Caption.
    frame : str
        Which frame.
    """
    data = frame_of(result, frame)
    data = data.drop(columns=[c for c in ("method",) if c in data.columns])
    columns = [str(column) for column in data.columns]
    texts = [place for place, column in enumerate(columns[1:]) if data[column].dtype == object]
    digits = {
        column: digits_for(data[column])
        for place, column in enumerate(columns[1:])
        if place not in texts
    }
    rows = []
    for row in rows_of(data):
        cells = [
            str(row[column]) if column not in digits
            else integer(row[column]) if data[column].dtype.kind in "iub"
            else number(row[column], digits[column])
            for column in columns[1:]
        ]  # fmt: skip
        rows.append(Row(str(row[columns[0]]), tuple(cells)))
    return Table(
        title=title,
        stub=_header(columns[0]) if columns else "",
        headers=tuple(_header(column) for column in columns[1:]),
        rows=tuple(rows),
        text_columns=tuple(texts),
        footnotes=tuple(result.notes),
        empty="No result.",
    )


def _header(column: str) -> str:
    text = column.replace("_", " ")
    return text[:1].upper() + text[1:]
