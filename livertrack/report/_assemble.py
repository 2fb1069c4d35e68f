"""Prose and cell outputs -> one Markdown text for pandoc."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from livertrack.report._errors import ReportError
from livertrack.report._source import Cell, Prose, Source

Output = Mapping[str, Any]


def assemble(source: Source, outputs: Mapping[str, Sequence[Output]], *, folder: Path) -> str:
    """Markdown of the executed report; pictures of cells are written under ``folder``."""
    execute = source.header.get("execute") or {}
    pieces = [
        part.text
        if isinstance(part, Prose)
        else _cell_text(part, outputs.get(part.label, ()), execute, folder)
        for part in source.parts
    ]
    return "\n\n".join(piece for piece in pieces if piece.strip()) + "\n"


def _cell_text(
    cell: Cell, outputs: Sequence[Output], execute: Mapping[str, Any], folder: Path
) -> str:
    def option(name: str, default: Any) -> Any:
        return cell.options.get(name, execute.get(name, default))

    if not option("include", True):
        return ""
    pieces = [f"```python\n{cell.code}\n```"] if option("echo", True) else []
    show = option("output", True)
    if show is not False:
        shown = list(_outputs(cell, outputs, show == "asis", option("warning", True), folder))
        if cell.label.startswith(("fig-", "tbl-")):
            shown = [_captioned(cell, shown)]
        pieces += shown
    return "\n\n".join(pieces)


def _captioned(cell: Cell, shown: list[str]) -> str:
    kind = cell.label[:3]
    if not shown:
        msg = f"report: cell {cell.label!r} at {cell.place} shows nothing, but has a caption"
        raise ReportError(msg)
    body = "\n\n".join(shown)
    return f"::::: {{#{cell.label}}}\n{body}\n\n{cell.options[f'{kind}-cap']}\n:::::"


def _outputs(
    cell: Cell, outputs: Sequence[Output], asis: bool, warnings: bool, folder: Path
) -> Iterator[str]:
    printed: list[str] = []
    for number, output in enumerate(outputs):
        if output["output_type"] == "stream" and output["name"] == "stdout":
            printed.append(output["text"])
            continue
        if printed:
            yield _printed(printed, asis)
            printed = []
        if output["output_type"] == "stream":
            if warnings:
                yield _verbatim(output["text"])
        else:
            yield _displayed(cell, number, output["data"], folder)
    if printed:
        yield _printed(printed, asis)


def _printed(pieces: list[str], asis: bool) -> str:
    text = "".join(pieces)
    return text if asis else _verbatim(text)


def _verbatim(text: str) -> str:
    longest = max((len(run) for run in text.split("\n") if run.strip("`") == ""), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _displayed(cell: Cell, number: int, data: Mapping[str, Any], folder: Path) -> str:
    if "text/markdown" in data:
        return str(data["text/markdown"])
    if "text/html" in data:
        msg = (
            f"report: cell {cell.label!r} at {cell.place} shows text/html, for which Quarto loads "
            "scripts from elsewhere; show Markdown or print a raw HTML block"
        )
        raise ReportError(msg)
    for mime, suffix in (("image/svg+xml", "svg"), ("image/png", "png")):
        if mime in data:
            content = data[mime]
            raw = content.encode() if suffix == "svg" else base64.b64decode(content)
            name = f"{cell.label}-{number}.{suffix}"
            (folder / name).write_bytes(raw)
            alt = str(cell.options.get("fig-alt") or cell.options.get("fig-cap") or "")
            quoted = alt.replace("\\", "\\\\").replace('"', '\\"')
            return f'![]({name}){{fig-alt="{quoted}"}}'
    return _verbatim(str(data.get("text/plain", "")))
