"""A formatted table: text cells with headers, groups and footnotes, and the forms it takes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from livertrack.errors import UsageError


@dataclass(frozen=True)
class Row:
    """One row: the stub (its row header) and the cells; a group heading has no cells."""

    stub: str
    cells: tuple[str, ...] = ()
    indent: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table ready to be read.

    Attributes
    ----------
    title : str
        Caption, one sentence; plain text.
    stub : str
        Header of the first column.
    headers : tuple of str
        Headers of the other columns.
    rows : tuple of Row
        None at all is a designed form: ``empty`` stands in the body.
    footnotes : tuple of str
        Denominators, method, source.
    spanners : tuple of (str, int)
        A second header line above ``headers``: text and number of columns, over all of them.
    text_columns : tuple of int
        Columns (0 = first after the stub) of words; the others are numbers, right-aligned.
    empty : str
        What stands in a table without rows.
    """

    title: str
    stub: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    footnotes: tuple[str, ...] = ()
    spanners: tuple[tuple[str, int], ...] = ()
    text_columns: tuple[int, ...] = ()
    empty: str = "No records."
    _width: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_width", len(self.headers))
        for row in self.rows:
            if row.cells and len(row.cells) != self._width:
                msg = f"table {self.title!r}: {len(row.cells)} cells under {self._width} headers"
                raise UsageError(msg)
        if self.spanners and sum(width for _, width in self.spanners) != self._width:
            msg = f"table {self.title!r}: the spanners do not cover the {self._width} columns"
            raise UsageError(msg)

    def html(self, *, caption: bool = False) -> str:
        """HTML ``<table>`` with ``scope`` on every header cell; no style, no script."""
        parts = ["<table>"]
        if caption:
            parts.append(f"<caption>{escape(self.title)}</caption>")
        parts += ["<thead>", *self._head(), "</thead>", *self._body()]
        return "\n".join([*parts, "</table>"])

    def _head(self) -> list[str]:
        """One header line, or two where there are spanners.

        The stub and the columns under a blank spanner stand beside both: no header is empty.
        """
        stub = escape(self.stub)
        if not self.spanners:
            cells = "".join(self._header(place) for place in range(self._width))
            return [f'<tr><th scope="col">{stub}</th>{cells}</tr>']
        above, below, place = "", "", 0
        for text, width in self.spanners:
            places = range(place, place + width)
            place += width
            if text:
                above += (
                    f'<th scope="colgroup" colspan="{width}" style="text-align:center">'
                    f"{escape(text)}</th>"
                )
                below += "".join(self._header(number) for number in places)
            else:
                above += "".join(self._header(number, ' rowspan="2"') for number in places)
        return [f'<tr><th scope="col" rowspan="2">{stub}</th>{above}</tr>', f"<tr>{below}</tr>"]

    def _header(self, place: int, span: str = "") -> str:
        return f'<th scope="col"{span}{self._align(place)}>{escape(self.headers[place])}</th>'

    def _body(self) -> list[str]:
        """One ``<tbody>`` per group: its heading is the header row of the group."""
        width = self._width + 1
        if not self.rows:
            cell = f'<td colspan="{width}" style="text-align:left">{escape(self.empty)}</td>'
            return ["<tbody>", f"<tr>{cell}</tr>", "</tbody>"]
        lines = ["<tbody>"]
        for place, row in enumerate(self.rows):
            stub = escape(row.stub)
            if not row.cells:
                if place:
                    lines += ["</tbody>", "<tbody>"]
                lines.append(
                    f'<tr><th scope="rowgroup" class="group" colspan="{width}" '
                    f'style="text-align:left"><strong>{stub}</strong></th></tr>'
                )
                continue
            kind, space = (' class="indent"', "&#160;&#160;&#160;") if row.indent else ("", "")
            cells = "".join(
                f"<td{self._align(number)}>{escape(_together(cell))}</td>"
                for number, cell in enumerate(row.cells)
            )
            if len(row.stub) > _LONG:
                kind = f' class="{"indent " if row.indent else ""}long"'
            lines.append(f'<tr><th scope="row"{kind}>{space}{stub}</th>{cells}</tr>')
        return [*lines, "</tbody>"]

    def _align(self, place: int) -> str:
        return "" if place in self.text_columns else ' style="text-align:right"'

    def page(self) -> str:
        """Make a page of its own: the table with its caption and footnotes."""
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.footnotes)
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(self.title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
            f'<main>\n{self.html(caption=True)}\n<div class="notes">{notes}</div>\n</main>\n'
            "</body></html>\n"
        )

    def csv(self) -> str:
        """Comma-separated text of what the table shows, headers first, footnotes left out."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        if self.spanners:
            above = [text for text, width in self.spanners for _ in range(width)]
            headers = [f"{a}: {b}" if a else b for a, b in zip(above, self.headers, strict=True)]
        else:
            headers = list(self.headers)
        grouped = any(not row.cells for row in self.rows)
        writer.writerow([*(["Group"] if grouped else []), self.stub, *headers])
        group = ""
        for row in self.rows:
            if row.cells:
                lead = [group] if grouped else []
                writer.writerow([*lead, row.stub, *row.cells])
            else:
                group = row.stub
        return stream.getvalue()

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.footnotes)
        return f"{self.html(caption=True)}<div>{notes}</div>"


#: letters of a row header from which it may break
_LONG = 44


def _together(cell: str) -> str:
    """Keep a word and its number (``Week 12``) on one line."""
    return cell.replace(" ", "\N{NO-BREAK SPACE}") if re.fullmatch(r"\w{1,8} \d+", cell) else cell


_STYLE = (
    "body{font-family:Arial,sans-serif;margin:1.5rem}table{border-collapse:collapse;"
    "border-top:2px solid;border-bottom:2px solid}caption{text-align:left;padding-bottom:.5rem}"
    "th,td{padding:.25rem .7rem;text-align:left;vertical-align:top}"
    "thead th{border-bottom:1px solid}tbody th{font-weight:400}tbody th.group{font-weight:600}"
    ".notes{font-size:.85rem}"
)


def grouped(groups: Sequence[tuple[str, Sequence[Row]]]) -> tuple[Row, ...]:
    """Rows under group headings; members are indented."""
    rows: list[Row] = []
    for heading, members in groups:
        rows.append(Row(heading))
        rows += [Row(member.stub, member.cells, indent=True) for member in members]
    return tuple(rows)
