"""The manifest of a run: what went in, what came out, with what and from which seed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from livertrack._files import hash_file, write_json
from livertrack.errors import UsageError
from livertrack.pipeline import audit
from livertrack.pipeline.environment import machine, purposes, versions
from livertrack.pipeline.lock import write_environment
from livertrack.study import Study

SCHEMA = 1
#: files that tell of the run itself and therefore are no output of it
OWN_FILES = ("manifest.json", audit.LOG, "rerun-report.json", "rerun-report.html")


def provenance(study: Study, inputs: dict[str, str]) -> dict[str, Any]:
    """Facts of a run that are known before its report is rendered."""
    return {
        "schema": SCHEMA,
        "study": study.plan.study.id,
        "plan_hash": study.plan.hash,
        "seed": study.plan.seed,
        "threads": 1,
        "inputs": inputs,
        "versions": versions(),
        "machine": machine(),
        "parameters": parameter_labels(study),
    }


def parameter_labels(study: Study) -> dict[str, str]:
    """What tables call each PARAMCD (tissue types go by number) and what the plan names."""
    found: dict[str, str] = {}
    own = study.records[~study.records["DATASET"].eq("admri")]
    for frame in (own, study.events, study.recurrences):
        if {"PARAMCD", "PARAM"} <= set(frame.columns):
            pairs = frame[["PARAMCD", "PARAM"]].dropna().drop_duplicates("PARAMCD")
            found |= dict(zip(pairs["PARAMCD"], pairs["PARAM"], strict=True))
    return {**found, **study.plan.data.labels}


def write_manifest(out: Path, study: Study, facts: dict[str, Any]) -> Path:
    """Write ``manifest.json``: the facts, the place of the study and every output's SHA-256.

    The lock and the code of the run are written before it, so that it vouches for them too.
    """
    environment = write_environment(out, tuple(purposes()))
    outputs = {
        path.relative_to(out).as_posix(): hash_file(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in OWN_FILES and not _hidden(path, out)
    }
    path = out / "manifest.json"
    place = Path(os.path.relpath(study.path.resolve(), out.resolve())).as_posix()
    made = {"study_path": place, "environment": environment, "outputs": outputs}
    write_json(path, {**facts, **made})
    return path


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read a manifest (or the one in a run folder)."""
    path = Path(path)
    path = path / "manifest.json" if path.is_dir() else path
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"no manifest {path}; `livertrack run` writes it when a run is complete"
        raise UsageError(msg) from None
    except ValueError as error:
        msg = f"{path} is not a manifest: {error}"
        raise UsageError(msg) from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        msg = f"{path} is not a manifest of schema {SCHEMA}"
        raise UsageError(msg)
    return manifest


def _hidden(path: Path, out: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(out).parts)
