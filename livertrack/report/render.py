"""Render a report source to pages: by the embedded renderer, or by Quarto."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from livertrack._files import whole_file
from livertrack.errors import UsageError
from livertrack.report._assemble import assemble
from livertrack.report._execute import run_cells
from livertrack.report._pandoc import to_docx, to_html, to_pdf
from livertrack.report._parameters import bind_parameters
from livertrack.report._quarto import find_quarto, quarto_pages
from livertrack.report._source import Source, read_source

FORMATS = ("html", "pdf", "docx")
#: folders that cells write beside the report, moved to ``out`` with the pages
PRODUCTS = ("tables", "figures", "listings")

Renderer = Literal["auto", "embedded", "quarto"]


def render(
    source: str | Path,
    *,
    out: str | Path,
    params: Mapping[str, Any] | None = None,
    formats: Sequence[str] = ("html", "pdf"),
    renderer: Renderer = "auto",
    name: str | None = None,
    products: str = "",
    header: Mapping[str, str] | None = None,
) -> list[Path]:
    """Render one .qmd; every file appears whole, and only when all of them could be made.

    The cells run in a private working copy of the source's folder, in a fresh kernel of this
    interpreter. Rendering twice from the same inputs gives the same bytes.

    Parameters
    ----------
    source : path
        A .qmd; the subset that the embedded renderer knows is in `livertrack.report._source`.
    out : path
        Folder of the pages. The ``tables`` and ``figures`` that cells wrote land in it too.
    params : mapping
        Values of parameters that the report declares in its cell tagged ``parameters``.
    formats : sequence of {"html", "pdf", "docx"}
    renderer : {"auto", "embedded", "quarto"}
        "auto" is the embedded renderer where its libraries are installed, else Quarto: the
        pages of a run do not depend on a program that happens to be installed.
    name : str, optional
        Stem of the pages; default: that of the source.
    products : str
        Folder in ``tables``, ``figures`` and ``listings`` for what the cells wrote; default:
        these themselves.
    header : mapping, optional
        Header keys that replace those of the source, e.g. ``title``.

    Returns
    -------
    list of Path
        Every file written: the pages first, then tables and figures.

    Raises
    ------
    ReportError
        A failed cell (named by its label), an unresolved reference, a missing or unknown
        parameter, a construct outside the subset.
    MissingToolError
        The chosen renderer is not installed.
    """
    _check_formats(formats)
    report = read_source(source)
    if header:
        report = replace(report, header={**report.header, **header})
    assignments = bind_parameters(report, params or {})
    with tempfile.TemporaryDirectory(prefix="livertrack-report-") as place:
        work = Path(place).resolve()
        _copy_sources(report, work)
        if _choose(renderer) == "quarto":
            pages = _by_quarto(report, assignments, formats, work, header or {})
        else:
            pages = _embedded(report, assignments, formats, work)
        return _publish(pages, work, Path(out), name or report.path.stem, products)


def _check_formats(formats: Sequence[str]) -> None:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        msg = f"report formats are {', '.join(FORMATS)}, not {', '.join(unknown) or 'none'}"
        raise UsageError(msg)


def _choose(renderer: str) -> str:
    if renderer not in ("auto", "embedded", "quarto"):
        msg = f"renderer is auto, embedded or quarto, not {renderer!r}"
        raise UsageError(msg)
    if renderer != "auto":
        return renderer
    complete = all(find_spec(name) for name in ("nbclient", "ipykernel", "pypandoc", "typst"))
    return "quarto" if not complete and find_quarto() else "embedded"


def _copy_sources(report: Source, work: Path) -> None:
    """Copy what lies beside the report, as far as it may need it."""
    folder = report.path.parent
    listed = report.header.get("bibliography") or []
    named = [listed] if isinstance(listed, str) else list(listed)
    named += [report.header["csl"]] if report.header.get("csl") else []
    files = {file.relative_to(folder) for file in report.files if file.is_relative_to(folder)}
    files |= {Path(name) for name in named if (folder / name).is_file()}
    for file in sorted(files):
        (work / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / file, work / file)
    extensions = folder / "_extensions"
    if extensions.is_dir():
        shutil.copytree(extensions, work / "_extensions")


def _embedded(
    report: Source, assignments: str, formats: Sequence[str], work: Path
) -> dict[str, bytes]:
    outputs = run_cells(report, assignments, folder=work)
    markdown = assemble(report, outputs, folder=work)
    convert = {"html": to_html, "pdf": to_pdf, "docx": to_docx}
    return {wanted: convert[wanted](markdown, report.header, folder=work) for wanted in formats}


def _by_quarto(
    report: Source,
    assignments: str,
    formats: Sequence[str],
    work: Path,
    header: Mapping[str, str],
) -> dict[str, bytes]:
    copy = work / report.path.name
    cell = next((cell for cell in report.cells if cell.is_parameters), None)
    if cell is not None and assignments:
        text = copy.read_text(encoding="utf-8")
        copy.write_text(
            text.replace(cell.code, f"{cell.code}\n{assignments}", 1), encoding="utf-8"
        )
    known = report.header.get("format") or {}
    return quarto_pages(copy, formats, python=sys.executable, header=header, known=known)


def _publish(
    pages: Mapping[str, bytes], work: Path, out: Path, name: str, folder: str
) -> list[Path]:
    written = []
    for suffix, content in pages.items():
        with whole_file(out / f"{name}.{suffix}") as temporary:
            temporary.write_bytes(content)
        written.append(out / f"{name}.{suffix}")
    for product in PRODUCTS:
        made = sorted(file for file in (work / product).rglob("*") if file.is_file())
        for file in made:
            target = out / product / folder / file.relative_to(work / product)
            with whole_file(target) as temporary:
                shutil.copyfile(file, temporary)
            written.append(target)
    return written
