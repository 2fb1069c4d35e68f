"""Tables and pictures as RTF pages: what word processors open, the same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence

from livertrack.tables._table import Row, Table

#: A4 landscape in twips: width, height, margin
PAGE = (16838, 11906, 1000)
_WIDE = PAGE[0] - 2 * PAGE[2]
_HIGH = PAGE[1] - 2 * PAGE[2]
_FONT = 18  # half points
_BOLD = {True: r"\b", False: r"\b0"}
_TOP, _BOTTOM = r"\clbrdrt\brdrs\brdrw12", r"\clbrdrb\brdrs\brdrw12"


def rtf_text(text: str) -> str:
    """Escape plain text; characters beyond ASCII as numbers of UTF-16 units."""
    out = []
    for char in text:
        if char in "\\{}":
            out.append("\\" + char)
        elif char == "\n":
            out.append(r"\line ")
        elif ord(char) < 128:
            out.append(char)
        else:
            units = char.encode("utf-16-le")
            out += [
                f"\\u{int.from_bytes(units[i : i + 2], 'little', signed=True)}?"
                for i in range(0, len(units), 2)
            ]
    return "".join(out)


def rtf_document(
    body: str, *, titles: Sequence[str], footnotes: Sequence[str] = (), foot: str = ""
) -> str:
    """Make a document: titles on top of every page, footnotes after the body.

    Parameters
    ----------
    body : str
        RTF of the table or picture.
    titles : sequence of str
        Lines centred on top of every page; the first is the bold number.
    footnotes : sequence of str
        Lines below the body.
    foot : str
        Left of the foot of every page; the number of the page stands on the right.
    """
    width, height, margin = PAGE
    head = "".join(
        rf"{{\pard\qc\f0{_BOLD[place < 2]}\fs{_FONT + 2} {rtf_text(line)}\par}}"
        for place, line in enumerate(titles)
    )
    notes = "".join(
        rf"{{\pard\ql\sb{60 if place else 120}\f0\fs{_FONT - 2} {rtf_text(note)}\par}}"
        for place, note in enumerate(footnotes)
    )
    page = (
        r"Page {\field{\*\fldinst PAGE}{\fldrslt 1}} of {\field{\*\fldinst NUMPAGES}{\fldrslt 1}}"
    )
    return "\n".join([
        r"{\rtf1\ansi\ansicpg1252\deff0\uc1{\fonttbl{\f0\fswiss\fcharset0 Arial;}}",
        rf"\paperw{width}\paperh{height}\landscape\margl{margin}\margr{margin}\margt{margin}"
        rf"\margb{margin}\f0\fs{_FONT}",
        rf"{{\header {head}{{\pard\fs8\par}}}}",
        rf"{{\footer {{\pard\ql\tqr\tx{_WIDE}\f0\fs{_FONT - 4} {rtf_text(foot)}\tab "
        rf"{page}\par}}}}",
        body, notes, "}\n",
    ])  # fmt: skip


def table_rtf(table: Table) -> str:
    """Rows of a table; header rows are repeated on every page."""
    ends = _ends(table)
    lines = []
    if table.spanners:
        cells, edges, place = [""], [ends[0]], 0
        for text, width in table.spanners:
            place += width
            cells.append(text)
            edges.append(ends[place])
        lines.append(_row(cells, edges, ["c"] * len(cells), r"\trhdr", _TOP, bold=True))
    aligned = ["l", *("l" if i in table.text_columns else "r" for i in range(len(ends) - 1))]
    borders = _BOTTOM if table.spanners else _TOP + _BOTTOM
    headers = [table.stub, *table.headers]
    lines.append(_row(headers, ends, aligned, r"\trhdr", borders, bold=True))
    rows: Sequence[Row] = table.rows
    if not rows:
        lines.append(_row([table.empty], ends[-1:], ["l"], "", _BOTTOM))
    for place, row in enumerate(rows):
        under = _BOTTOM if place == len(rows) - 1 else ""
        if not row.cells:
            lines.append(_row([row.stub], ends[-1:], ["l"], r"\trkeepfollow", under, bold=True))
            continue
        lines.append(_row([row.stub, *row.cells], ends, aligned, "", under, indent=row.indent))
    return "\n".join([*lines, r"\pard"])


def picture_rtf(png: bytes, size: tuple[float, float]) -> str:
    """Show a PNG of ``size`` inches, shrunk to the page where it is larger."""
    shrink = min(1.0, _WIDE / (1440 * size[0]), (_HIGH - 2600) / (1440 * size[1]))
    wide, high = (round(1440 * shrink * side) for side in size)
    digits = png.hex()
    lines = "\n".join(digits[i : i + 128] for i in range(0, len(digits), 128))
    return rf"{{\pard\qc{{\pict\pngblip\picwgoal{wide}\pichgoal{high}" + f"\n{lines}}}\\par}}"


def _ends(table: Table) -> list[int]:
    """Right edge of each column in twips: room by the longest cell, words unbroken."""
    columns = [(table.stub, [row.stub + "   " * row.indent for row in table.rows if row.cells])]
    columns += [
        (header, [row.cells[i] for row in table.rows if row.cells])
        for i, header in enumerate(table.headers)
    ]
    need = []
    for place, (header, texts) in enumerate(columns):
        longest = max((len(text) for text in texts), default=1)
        word = max(len(word) for text in (*texts, header, "-") for word in (text.split() or [""]))
        room = max(min(longest, 44 if place == 0 else 32), word, len(header) // 3)
        need.append(room + 2)
    twips = [105 * size for size in need]
    scale = min(1.25, _WIDE / sum(twips))
    ends, edge = [], 0.0
    for width in twips:
        edge += width * scale
        ends.append(round(edge))
    return ends


def _row(
    cells: Sequence[str], ends: Sequence[int], aligned: Sequence[str], kind: str, borders: str,
    *, bold: bool = False, indent: bool = False,
) -> str:  # fmt: skip
    defined = "".join(rf"{borders}\clvertalb\cellx{end}" for end in ends)
    shown = "".join(
        rf"\pard\intbl\sb20\sa20\q{way}\li{200 * (indent and not place)}{_BOLD[bold]} "
        rf"{rtf_text(cell)}\cell"
        for place, (cell, way) in enumerate(zip(cells, aligned, strict=True))
    )
    return rf"\trowd\trqc\trgaph60\trkeep{kind}{defined}{shown}\row"
