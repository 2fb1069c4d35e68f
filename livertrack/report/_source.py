"""Split a .qmd into prose and cells, and refuse what the embedded renderer does not know.

The subset (each line has a test in ``tests/report/test_subset.py``):

======================  ==========================================================================
construct               supported form
======================  ==========================================================================
header                  keys `HEADER_KEYS`, under ``format`` only ``html``, ``typst``, ``pdf`` and
                        the extension's ``livertrack-html``, ``livertrack-typst``
cells                   ``{python}`` with options `CELL_OPTIONS`; ``label`` is required
parameters              one cell tagged ``parameters``; plain assignments of literals
include                 ``{{< include _part.qmd >}}`` on a line of its own, nested
figures                 cell ``label: fig-x`` with ``fig-cap``; or ``![caption](file){#fig-x}``; or
                        a ``::: {#fig-x}`` block whose last paragraph is the caption
tables                  cell ``label: tbl-x`` with ``tbl-cap``; or a ``::: {#tbl-x}`` block; HTML
                        tables in raw blocks become tables of the page in every format
references              ``@fig-x``, ``@tbl-x``, ``@sec-x``, ``[-@fig-x]`` (number only)
callouts                ``::: {.callout-note}`` and ``-tip``, ``-warning``, ``-important``,
                        ``-caution``; a heading at their start is the title
conditional content     ``::: {.content-visible when-format="html"}``, ``.content-hidden``
citations               ``[@key]`` from ``bibliography``, an optional ``csl``
everything else         what pandoc's Markdown does, except `REFUSED` and other cell languages
======================  ==========================================================================
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from livertrack.report._errors import ReportError

HEADER_KEYS = frozenset({
    "title", "subtitle", "author", "date", "lang", "abstract", "bibliography", "csl", "format",
    "execute", "jupyter", "toc", "toc-depth", "toc-title", "number-sections", "link-citations",
    "project",
})  # fmt: skip
#: keys of a site's ``_quarto.yml`` that say nothing about a single page
SITE_KEYS = frozenset({"website", "quartodoc"})
FORMATS = frozenset({"html", "typst", "pdf", "docx", "livertrack-html", "livertrack-typst"})
EXECUTE_KEYS = frozenset({"echo", "warning", "enabled"})
CELL_OPTIONS = frozenset({
    "label", "echo", "eval", "include", "output", "warning", "tags", "fig-cap", "fig-alt",
    "tbl-cap",
})  # fmt: skip
#: constructs of Quarto that would silently look different here: each is an error
REFUSED = {
    r"\.panel-tabset": "tabsets (.panel-tabset)",
    r"\.column-(?!s?\b\s*width)[a-z-]+": "page columns (.column-...)",
    r"\blayout(-ncol|-nrow)?=": "figure panels (layout, layout-ncol, layout-nrow)",
    r"\.(fragment|incremental|notes-slide)\b": "slides",
    r"\bcode-fold=": "code folding",
    r"\{#(eq|lst|thm|lem|exm|def)-": "cross-references of equations, listings and theorems",
}
_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})\s*(?P<info>.*)$")
_ENGINE = re.compile(r"^\{\s*(?P<engine>[A-Za-z][\w-]*)[\s,}]")
_SHORTCODE = re.compile(r"\{\{<\s*(?P<name>[\w-]+)\s*(?P<rest>.*?)\s*>\}\}")
_INLINE_CODE = re.compile(r"`\{\w+\}\s[^`]*`")


@dataclass(frozen=True)
class Prose:
    """Markdown between two cells."""

    text: str


@dataclass(frozen=True)
class Cell:
    """A ``{python}`` cell: its code without the option lines, its options, its place."""

    code: str
    options: Mapping[str, Any]
    place: str

    @property
    def label(self) -> str:
        """Label of the cell; names it in every error."""
        return str(self.options["label"])

    @property
    def is_parameters(self) -> bool:
        """Whether the cell declares the parameters of the report."""
        tags = self.options.get("tags") or []
        return "parameters" in ([tags] if isinstance(tags, str) else tags)


@dataclass(frozen=True)
class Source:
    """A report source: header (merged over ``_quarto.yml``), parts in order, files read."""

    path: Path
    header: Mapping[str, Any]
    parts: tuple[Prose | Cell, ...]
    files: tuple[Path, ...] = field(default=())

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells, in order."""
        return tuple(part for part in self.parts if isinstance(part, Cell))


def read_source(path: str | Path) -> Source:
    """Read a .qmd with its ``_quarto.yml`` and includes.

    Raises
    ------
    ReportError
        The file is missing, or holds something outside the subset (see the module docstring).
    """
    path = Path(path)
    files: list[Path] = []
    text = _read(path, files)
    header_text, body, first = _split_header(text)
    project = path.parent / "_quarto.yml"
    shared = _yaml(_read(project, files), project.name) if project.is_file() else {}
    shared = {key: value for key, value in shared.items() if key not in SITE_KEYS}
    header = {**shared, **_yaml(header_text, path.name)}
    for key in ("format", "execute"):
        if isinstance(shared.get(key), dict) and isinstance(header.get(key), dict):
            header[key] = {**shared[key], **header[key]}
    _check_header(header, path.name)
    parts = tuple(_parts(_lines(body, path, first, files)))
    source = Source(path=path, header=header, parts=parts, files=tuple(files))
    _check_cells(source)
    return source


def _read(path: Path, files: list[Path]) -> str:
    if not path.is_file():
        msg = f"report: no file {path.name} in {path.parent}"
        raise ReportError(msg)
    files.append(path)
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


def _split_header(text: str) -> tuple[str, str, int]:
    match = re.match(r"---\n(.*?)\n---[ \t]*(\n|$)", text, flags=re.DOTALL)
    if match is None:
        return "", text, 1
    return match[1], text[match.end() :], match[0].count("\n") + 1


def _yaml(text: str, name: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        msg = f"report {name}: the header is not valid YAML: {error}"
        raise ReportError(msg) from error
    if not isinstance(value, dict):
        msg = f"report {name}: the header must be a mapping"
        raise ReportError(msg)
    return value


def _check_header(header: Mapping[str, Any], name: str) -> None:
    if "params" in header:
        msg = (
            f"report {name}: 'params' in the header is ignored by Quarto's Jupyter engine; "
            "declare parameters in a cell with '#| tags: [parameters]'"
        )
        raise ReportError(msg)
    _known(header, HEADER_KEYS, f"report {name}: header key")
    formats = header.get("format") or {}
    _known([formats] if isinstance(formats, str) else formats, FORMATS, f"report {name}: format")
    _known(header.get("execute") or {}, EXECUTE_KEYS, f"report {name}: execute option")
    if str(header.get("date", "")).lower() in {"today", "now", "last-modified"}:
        msg = (
            f"report {name}: date: {header['date']} changes with every render; write the date out"
        )
        raise ReportError(msg)


def _known(keys: Any, allowed: frozenset[str], what: str) -> None:
    for key in keys:
        if key not in allowed:
            close = difflib.get_close_matches(str(key), allowed, n=1)
            hint = (
                f"did you mean {close[0]!r}?"
                if close
                else f"known are {', '.join(sorted(allowed))}"
            )
            msg = f"{what} {key!r} is outside what the embedded renderer supports; {hint}"
            raise ReportError(msg)


def _lines(
    text: str, path: Path, first: int, files: list[Path], stack: tuple[Path, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Lines with their place (``file:line``); includes are opened here."""
    if path.resolve() in stack:
        msg = f"report: {path.name} includes itself"
        raise ReportError(msg)
    for number, line in enumerate(text.split("\n"), start=first):
        match = _SHORTCODE.fullmatch(line.strip())
        if match and match["name"] == "include":
            inner = path.parent / match["rest"].strip("\"'")
            body = _read(inner, files)
            if body.startswith("---\n"):
                msg = f"report: included file {inner.name} has a header; only the main file may"
                raise ReportError(msg)
            yield from _lines(body, inner, 1, files, (*stack, path.resolve()))
        else:
            yield line, f"{path.name}:{number}"


def _parts(lines: Iterator[tuple[str, str]]) -> Iterator[Prose | Cell]:
    prose: list[str] = []
    fence, code, start = "", [], ""  # type: str, list[str], str
    is_cell = False
    for line, place in lines:
        if not fence:
            opening = _FENCE.match(line)
            if opening is None:
                _check_prose(line, place)
                prose.append(line)
                continue
            fence, start = opening["fence"], place
            is_cell = _is_cell(opening["info"], place)
            if is_cell:
                yield Prose("\n".join(prose))
                prose, code = [], []
            else:
                prose.append(line)
        elif re.fullmatch(re.escape(fence[0]) + f"{{{len(fence)},}}", line.strip()):
            fence = ""
            if is_cell:
                yield _cell(code, start)
            else:
                prose.append(line)
        else:
            (code if is_cell else prose).append(line)
    if fence:
        msg = f"report: the block opened at {start} is never closed"
        raise ReportError(msg)
    yield Prose("\n".join(prose))


def _is_cell(info: str, place: str) -> bool:
    engine = _ENGINE.match(info)
    if engine is None:
        return False
    if engine["engine"] != "python":
        msg = (
            f"report: {place} has a {{{engine['engine']}}} cell; the embedded renderer runs "
            "{python} cells only"
        )
        raise ReportError(msg)
    if info.replace(" ", "") != "{python}":
        msg = f"report: {place}: cell options go on '#|' lines, not into {info}"
        raise ReportError(msg)
    return True


def _check_prose(line: str, place: str) -> None:
    shortcode = _SHORTCODE.search(line)
    if shortcode:
        msg = (
            f"report: {place}: shortcode {shortcode[0]} is not supported; only include is, on a "
            "line of its own"
        )
        raise ReportError(msg)
    if _INLINE_CODE.search(line):
        msg = f"report: {place}: inline code cells are not supported; print the sentence in a cell"
        raise ReportError(msg)
    for pattern, what in REFUSED.items():
        if re.search(r"\{[^}]*" + pattern if not pattern.startswith(r"\{") else pattern, line):
            msg = f"report: {place}: {what} are not supported by the embedded renderer"
            raise ReportError(msg)


def _cell(code: list[str], place: str) -> Cell:
    count = next((i for i, line in enumerate(code) if not line.startswith("#|")), len(code))
    options = _yaml("\n".join(line[2:].removeprefix(" ") for line in code[:count]), place)
    _known(options, CELL_OPTIONS, f"report: {place}: cell option")
    return Cell(code="\n".join(code[count:]).strip("\n"), options=options, place=place)


def _check_cells(source: Source) -> None:
    seen: dict[str, str] = {}
    for cell in source.cells:
        if not cell.options.get("label"):
            msg = f"report: the cell at {cell.place} has no '#| label:'; every cell needs one"
            raise ReportError(msg)
        if cell.label in seen:
            msg = f"report: label {cell.label!r} is used at {seen[cell.label]} and {cell.place}"
            raise ReportError(msg)
        seen[cell.label] = cell.place
        if cell.label.startswith("fig-") and not cell.options.get("fig-cap"):
            msg = f"report: cell {cell.label!r} at {cell.place} needs '#| fig-cap:'"
            raise ReportError(msg)
        if cell.label.startswith("tbl-") and not cell.options.get("tbl-cap"):
            msg = f"report: cell {cell.label!r} at {cell.place} needs '#| tbl-cap:'"
            raise ReportError(msg)
    tagged = [cell.label for cell in source.cells if cell.is_parameters]
    if len(tagged) > 1:
        msg = f"report {source.path.name}: more than one cell is tagged parameters: {tagged}"
        raise ReportError(msg)
