"""Copy the report sources to a folder of the user, for plain ``quarto render``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from livertrack._files import write_text
from livertrack._resources import resource_dir
from livertrack.errors import UsageError
from livertrack.report._errors import ReportError

_PARAMETER = re.compile(r"^run = None$", flags=re.MULTILINE)


def init_report(folder: str | Path, *, run: str | Path | None = None) -> list[Path]:
    """Copy the sources of all reports, with the format extension, to ``folder``.

    Afterwards ``quarto render trial-meeting.qmd`` in that folder makes the pages, and the sources
    are the user's to change.

    Parameters
    ----------
    folder : path
        New or existing; files that are there already are never replaced.
    run : path, optional
        Run folder that the reports are about; written into their parameters cell.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UsageError
        A file of that name exists already; nothing is written.
    """
    source, folder = resource_dir("reports"), Path(folder)
    files = sorted(path for path in source.rglob("*") if path.is_file() and _wanted(path, source))
    if not files:
        msg = f"the report sources are missing from {source}; reinstall livertrack"
        raise ReportError(msg)
    present = [
        path.relative_to(source) for path in files if (folder / path.relative_to(source)).exists()
    ]
    if present:
        names = ", ".join(sorted(path.as_posix() for path in present))
        msg = f"{folder} has {names} already; choose another folder or remove them"
        raise UsageError(msg)
    written = []
    for path in files:
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".qmd" and run is not None:
            write_text(target, _with_run(path.read_text(encoding="utf-8"), Path(run).resolve()))
        else:
            shutil.copyfile(path, target)
        written.append(target)
    return written


def _with_run(text: str, run: Path) -> str:
    return _PARAMETER.sub(lambda _: f"run = {str(run)!r}", text)


def _wanted(path: Path, source: Path) -> bool:
    parts = path.relative_to(source).parts
    return not any(part.startswith(".") or part.endswith("_files") for part in parts)
