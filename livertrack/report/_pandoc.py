"""Markdown -> self-contained HTML, PDF through typst, and a Word document."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livertrack.errors import MissingToolError
from livertrack.report._errors import ReportError
from livertrack.report._word import reference_document

ASSETS = Path(__file__).resolve().parent / "assets"
_META = (
    "title", "subtitle", "author", "date", "lang", "abstract", "toc-title", "number-sections",
    "link-citations",
)  # fmt: skip


def to_html(markdown: str, header: Mapping[str, Any], *, folder: Path) -> bytes:
    """Convert to one HTML page with style, pictures and formulas inside; it loads nothing.

    ``folder`` is where relative paths of pictures start.
    """
    styles = (ASSETS / "page.css").read_text(encoding="utf-8")
    arguments = [
        "--to=html5", "--embed-resources", "--mathml", "--section-divs=false",
        f"--template={ASSETS / 'page.html'}",
    ]  # fmt: skip
    return _pandoc(markdown, header, arguments, folder=folder, variables={"styles": styles})


def to_pdf(markdown: str, header: Mapping[str, Any], *, folder: Path) -> bytes:
    """Typeset a PDF with the fonts that typst carries; no date inside."""
    try:
        import typst
    except ImportError as error:
        msg = "PDF needs typst: pip install 'livertrack[report]'"
        raise MissingToolError(msg) from error
    arguments = ["--to=typst-citations", f"--template={ASSETS / 'page.typ'}"]
    text = _pandoc(markdown, header, arguments, folder=folder, variables={})
    source = folder / "_page.typ"
    source.write_bytes(text)
    try:
        pages = typst.compile(str(source), root=str(folder), ignore_system_fonts=True)
    except typst.TypstError as error:
        msg = f"report: typst could not typeset the page: {error}"
        raise ReportError(msg) from error
    finally:
        source.unlink()
    return bytes(pages)


def to_docx(markdown: str, header: Mapping[str, Any], *, folder: Path) -> bytes:
    """Write a Word document with real headings, captions and tables; no date inside."""
    reference = folder / "_reference.docx"
    reference.write_bytes(reference_document(_program()))
    arguments = ["--to=docx", "--output=-", f"--reference-doc={reference}"]
    try:
        return _pandoc(markdown, header, arguments, folder=folder, variables={})
    finally:
        reference.unlink()


def _pandoc(
    markdown: str,
    header: Mapping[str, Any],
    arguments: list[str],
    *,
    folder: Path,
    variables: Mapping[str, str],
) -> bytes:
    program = _program()
    meta = {key: _plain(header[key]) for key in _META if header.get(key) is not None}
    defaults: dict[str, Any] = {
        "from": "markdown",
        "standalone": True,
        "wrap": "preserve",
        "metadata": meta,
        "variables": dict(variables),
        "fail-if-warnings": True,
        "table-of-contents": bool(header.get("toc")),
        "toc-depth": int(header.get("toc-depth", 2)) + ("html5" in arguments[0]),
        # the order counts: cross-references are gone before citations are looked up
        "filters": [{"type": "lua", "path": str(ASSETS / "report.lua")}],
    }
    if header.get("bibliography"):
        defaults["filters"].append({"type": "citeproc"})
        listed = header["bibliography"]
        files = [listed] if isinstance(listed, str) else list(listed)
        defaults["bibliography"] = [_file(folder / name) for name in files]
        if header.get("csl"):
            defaults["csl"] = _file(folder / str(header["csl"]))
    settings = folder / "_pandoc.json"
    settings.write_text(json.dumps(defaults), encoding="utf-8")
    try:
        done = subprocess.run(
            [program, f"--defaults={settings}", *arguments],
            input=markdown.encode(),
            capture_output=True,
            cwd=folder,
            env={**os.environ, "SOURCE_DATE_EPOCH": "315619200"},  # the first day zip files know
            check=False,
        )
    finally:
        settings.unlink()
    if done.returncode != 0:
        raise ReportError(_reason(done.stderr.decode(errors="replace")))
    return done.stdout


def _program() -> str:
    try:
        import pypandoc
    except ImportError as error:
        msg = "rendering needs pandoc: pip install 'livertrack[report]'"
        raise MissingToolError(msg) from error
    return str(pypandoc.get_pandoc_path())


def _file(path: Path) -> str:
    if not path.is_file():
        msg = f"report: no file {path.name} (bibliography or csl) beside the report"
        raise ReportError(msg)
    return str(path)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, str, list)) else str(value)


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    ours = [line for line in lines if "report: " in line]
    if ours:
        return "report: " + ours[0].split("report: ", 1)[1]
    warnings = [line.removeprefix("[WARNING] ") for line in lines if line.startswith("[WARNING]")]
    return "report: pandoc refused the page: " + "; ".join(
        warnings or lines or ["no reason given"]
    )
