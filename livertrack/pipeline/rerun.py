"""Rerun a study from its manifest, here or in a new environment, and say exactly what differs."""

from __future__ import annotations

import datetime as dt
import json
import math
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from livertrack._files import hash_file, write_json, write_text
from livertrack.errors import UsageError
from livertrack.pipeline import audit
from livertrack.pipeline.comparison import TOLERANCE, Comparison, compare, compare_runs
from livertrack.pipeline.environment import machine, versions
from livertrack.pipeline.inputs import changed_inputs
from livertrack.pipeline.manifest import read_manifest
from livertrack.pipeline.new_environment import build_environment
from livertrack.pipeline.new_environment import repeat as repeat_there
from livertrack.pipeline.repeat import repeat as repeat_here

__all__ = ["TOLERANCE", "compare_runs", "rerun", "write_rerun_report"]

SCHEMA = 1
#: differences that a report lists; it always says how many there are
_LISTED = 1000


def rerun(
    manifest: str | Path,
    *,
    study: str | Path | None = None,
    tolerance: float = TOLERANCE,
    new_environment: bool = False,
    environment: str | Path | None = None,
) -> dict[str, Any]:
    """Verify the inputs of a run, run it again in a temporary folder and compare.

    Parameters
    ----------
    manifest : path
        ``OUT/manifest.json`` or ``OUT``.
    study : path, optional
        Where the study folder is now, if it moved since the run.
    tolerance : float
        Relative difference up to which statistics are equal.
    new_environment : bool
        Run in a new virtual environment, built from the lock and the code that the run recorded.
    environment : path, optional
        Folder of that environment, kept; a temporary one by default.

    Returns
    -------
    dict
        ``same`` (bool) and ``verdict`` ("agrees", "differs", "not rerun"), ``inputs`` (changed or
        missing files), ``outputs`` (files of the run that were altered since), ``differences``
        (statistics, datasets and files that differ), ``versions`` (libraries of another version;
        they do not make a rerun differ), ``compared`` (how many statistics, datasets and files),
        ``files`` and ``largest`` (see `livertrack.pipeline.comparison.Comparison`),
        ``environment`` (of the new environment), ``tolerance``, ``run``, ``machine``, ``time``.
    """
    recorded = read_manifest(manifest)
    path = Path(manifest) / "manifest.json" if Path(manifest).is_dir() else Path(manifest)
    out = path.parent
    folder = Path(study) if study is not None else out / recorded["study_path"]
    if not folder.is_dir():
        msg = f"the study folder {folder} does not exist; say where it is with --study"
        raise UsageError(msg)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "run": {
            "study": recorded["study"], "plan_hash": recorded["plan_hash"],
            "seed": recorded["seed"], "manifest": hash_file(path),
            "python": recorded["versions"]["python"], "code": recorded["versions"]["livertrack"],
        },
        "tolerance": {
            "relative": tolerance, "absolute": tolerance * 1e-3, "files": "SHA-256",
            "pages": "visible text; figures by their own files",
        },
        "machine": {"then": recorded["machine"], "now": machine()},
        "inputs": changed_inputs(folder, recorded["inputs"]),
        "outputs": _altered(out, recorded["outputs"]),
        "environment": None,
    }  # fmt: skip
    found = Comparison()
    with ExitStack() as stack:
        if not report["inputs"]:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="livertrack-rerun-"))
            again = Path(place).resolve() / "run"
            if new_environment:
                where = Path(environment) if environment else Path(place) / "environment"
                made = build_environment(where.resolve(), out, recorded)
                report["environment"] = {**made.facts, "kept": str(environment or "")}
                start = time.monotonic()
                repeat_there(made, path.resolve(), folder.resolve(), again)
            else:
                start = time.monotonic()
                repeat_here(path, folder, again)
            report["seconds"] = round(time.monotonic() - start, 1)
            found = compare(out, again, tolerance, recorded=recorded["outputs"])
            now = read_manifest(again)["versions"]
        else:
            now = versions()
    report["versions"] = _other_versions(recorded["versions"], now)
    report |= {
        "differences": found.differences, "notes": found.notes, "files": found.files,
        "largest": found.largest, "compared": {} if report["inputs"] else found.counts,
    }  # fmt: skip
    report["same"] = not (report["inputs"] or report["outputs"] or report["differences"])
    report["verdict"] = (
        "agrees" if report["same"] else "not rerun" if report["inputs"] else "differs"
    )
    return report


def write_rerun_report(report: dict[str, Any], folder: str | Path) -> tuple[Path, Path]:
    """Write ``rerun-report.json`` and the page ``rerun-report.html`` of a rerun.

    Where ``folder`` is a run folder with a log, the log gets a line that vouches for the JSON.
    """
    from livertrack.report.rerun import rerun_page

    folder = Path(folder)
    kept = {**report, "differences": report["differences"][:_LISTED]}
    kept["n_differences"] = len(report["differences"])
    path, page = folder / "rerun-report.json", folder / "rerun-report.html"
    write_json(path, _finite(kept))
    write_text(page, rerun_page(json.loads(path.read_text(encoding="utf-8"))))
    if (folder / audit.LOG).is_file():
        audit.append(folder, "rerun", {
            "verdict": report["verdict"], "report": hash_file(path),
            "manifest": report["run"]["manifest"],
            "new_environment": report["environment"] is not None,
        })  # fmt: skip
    return path, page


def _finite(value: Any) -> Any:
    """JSON has no infinite number: null stands for one."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _altered(out: Path, recorded: dict[str, str]) -> list[str]:
    lines = []
    for name, digest in sorted(recorded.items()):
        path = out / name
        if not path.is_file():
            lines.append(f"{name}: missing")
        elif hash_file(path) != digest:
            lines.append(f"{name}: altered since the run")
    return lines


def _other_versions(recorded: dict[str, str], now: dict[str, str]) -> list[str]:
    names = sorted(set(recorded) | set(now))
    return [
        f"{name}: {recorded.get(name, 'absent')} then, {now.get(name, 'absent')} now"
        for name in names
        if recorded.get(name) != now.get(name)
    ]
