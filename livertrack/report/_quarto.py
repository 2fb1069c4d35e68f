"""Rendering by the real Quarto, where the program is found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from livertrack.errors import MissingToolError
from livertrack.report._errors import ReportError

_TARGETS = {
    "html": ("livertrack-html", "html"), "pdf": ("livertrack-typst", "typst"), "docx": ("docx",),
}  # fmt: skip
_UNRESOLVED = re.compile(
    r"Unable to resolve crossref @?([\w-]+)|Citeproc: citation ([\w:-]+) not found"
)


def find_quarto() -> str | None:
    """Path of the Quarto program: the environment variable QUARTO_PATH, else the search path."""
    named = os.environ.get("QUARTO_PATH")
    if named:
        found = shutil.which(named) or shutil.which("quarto", path=named)
        if found is None:
            msg = f"QUARTO_PATH is {named!r}, neither a program nor a folder with one"
            raise MissingToolError(msg)
        return found
    return shutil.which("quarto")


def quarto_pages(
    source: Path,
    formats: Sequence[str],
    *,
    python: str,
    header: Mapping[str, str],
    known: Collection[str],
) -> dict[str, bytes]:
    """Render ``source`` (a working copy, parameters already inside) to each format.

    ``known`` are the formats of the source's header: those of the extension are preferred.
    Quarto exits with 0 on an unresolved reference; here that is an error, as in the embedded
    renderer.

    Raises
    ------
    MissingToolError
        There is no Quarto.
    ReportError
        Quarto failed, or left a reference unresolved.
    """
    program = find_quarto()
    if program is None:
        msg = "there is no quarto program: install it, set QUARTO_PATH, or use renderer='embedded'"
        raise MissingToolError(msg)
    pages = {}
    for wanted in formats:
        target = next((name for name in _TARGETS[wanted] if name in known), _TARGETS[wanted][-1])
        command = [program, "render", source.name, "--to", target]
        for key, value in sorted(header.items()):
            command += ["--metadata", f"{key}={value}"]
        try:
            done = subprocess.run(
                command,
                cwd=source.parent,
                env={**os.environ, "QUARTO_PYTHON": python, "PYTHONHASHSEED": "0"},
                capture_output=True,
                text=True,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            tail = "\n".join(str(error.stderr).strip().splitlines()[-12:])
            msg = f"report {source.name}: quarto exited with {error.returncode}:\n{tail}"
            raise ReportError(msg) from error
        lost = sorted({a or b for a, b in _UNRESOLVED.findall(done.stdout + done.stderr)})
        if lost:
            msg = "report: unresolved reference(s): " + ", ".join(f"@{name}" for name in lost)
            raise ReportError(msg)
        pages[wanted] = source.with_suffix(f".{wanted}").read_bytes()
    return pages
