"""How frames and results show in a Quarto document: as tables of the page, never as foreign HTML.

Quarto loads scripts from elsewhere as soon as a cell shows ``text/html``. After `markdown_output`
a cell that ends in a frame or a result shows a plain table, and a page stays self-contained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd

from livertrack._results import Result
from livertrack.tables._format import MISSING

#: significant digits of numbers
_DIGITS = 4


def markdown_output() -> None:
    """Show frames, series and results of this notebook as Markdown; elsewhere do nothing.

    Results show their table and their sentence; numbers have four significant digits.
    """
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell = get_ipython()  # type: ignore[no-untyped-call]
    display = getattr(shell, "display_formatter", None)
    if display is None:
        return
    formatters = display.formatters
    formatters["text/html"].enabled = False
    shown: dict[type, Callable[[Any], str]] = {
        pd.DataFrame: frame_markdown,
        pd.Series: lambda series: frame_markdown(series.rename(series.name or "value").to_frame()),
    }
    for kind, form in shown.items():
        formatters["text/markdown"].for_type(kind, form)
    formatters["text/markdown"].for_type(Result, result_markdown)


def frame_markdown(frame: pd.DataFrame) -> str:
    """Write a frame as a table; an index with a name or with text is a first column."""
    index = frame.index
    if isinstance(index, pd.MultiIndex) or index.name is not None or index.dtype == object:
        frame = frame.reset_index()
    head = "".join(
        f'<th scope="col"{_align(frame[column])}>{escape(str(column))}</th>' for column in frame
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{_align(frame[column])}>{escape(_cell(frame[column].iloc[row]))}</td>"
            for column in frame
        )
        + "</tr>\n"
        for row in range(len(frame))
    )
    return (
        "```{=html}\n<table>\n<thead><tr>"
        + head
        + "</tr></thead>\n<tbody>\n"
        + rows
        + "</tbody>\n</table>\n```"
    )


def result_markdown(result: Result) -> str:
    """Write a result as its table, its sentence and its notes."""
    parts = [frame_markdown(result.table), *_quoted(result.text)]
    return "\n\n".join([*parts, *(f"- {_plain(note)}" for note in result.notes)])


def _quoted(text: str) -> list[str]:
    return [f"> {_plain(text)}"] if text else []


def _plain(text: str) -> str:
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|$~^@" else c for c in text)


def _align(column: pd.Series) -> str:
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return ' style="text-align:right"' if number else ""


def _cell(value: Any) -> str:
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if value is None or value is pd.NA or value is pd.NaT:
        return MISSING
    if isinstance(value, float):
        if math.isnan(value):
            return MISSING
        return f"{value:.{_DIGITS}g}".replace("-", "−")
    return str(value)
