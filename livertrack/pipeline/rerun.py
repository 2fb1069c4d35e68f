"""Rerun a study from its manifest and say exactly what differs, statistic by statistic."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from livertrack._files import hash_file
from livertrack.errors import UsageError
from livertrack.pipeline.environment import versions
from livertrack.pipeline.inputs import changed_inputs
from livertrack.pipeline.manifest import OWN_FILES, read_manifest

#: relative difference up to which two statistics count as equal
TOLERANCE = 1e-9


def rerun(
    manifest: str | Path, *, study: str | Path | None = None, tolerance: float = TOLERANCE
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

    Returns
    -------
    dict
        ``same`` (bool), ``inputs`` (changed or missing files), ``outputs`` (files of the run that
        were altered since), ``differences`` (statistics, datasets and label maps that differ),
        ``versions`` (libraries of another version; they do not make a rerun differ), ``compared``
        (how many statistics and files were compared).
    """
    from livertrack.pipeline.replicate import FirstCohort
    from livertrack.pipeline.run import run_study

    recorded = read_manifest(manifest)
    out = Path(manifest) if Path(manifest).is_dir() else Path(manifest).parent
    folder = Path(study) if study is not None else out / recorded["study_path"]
    if not folder.is_dir():
        msg = f"the study folder {folder} does not exist; say where it is with --study"
        raise UsageError(msg)
    report: dict[str, Any] = {
        "inputs": changed_inputs(folder, recorded["inputs"]),
        "outputs": _altered(out, recorded["outputs"]),
        "versions": _other_versions(recorded["versions"]),
        "differences": [],
        "compared": {},
    }
    if not report["inputs"]:
        with tempfile.TemporaryDirectory(prefix="livertrack-rerun-") as temporary:
            again = Path(temporary) / "run"
            first = recorded.get("frozen")
            run_study(
                folder, out=again, formats=_formats(recorded["outputs"]),
                frozen=first and FirstCohort.of_manifest(out, first),
            )  # fmt: skip
            report["differences"], report["compared"] = compare_runs(out, again, tolerance)
    report["same"] = not (report["inputs"] or report["outputs"] or report["differences"])
    return report


def compare_runs(
    first: Path, second: Path, tolerance: float = TOLERANCE
) -> tuple[list[str], dict[str, int]]:
    """Differences between two runs: statistics and datasets by value, other files by hash."""
    differences: list[str] = []
    counts = {"statistics": 0, "datasets": 0, "files": 0}
    for name in sorted(_files(first) | _files(second)):
        one, two = first / name, second / name
        if not (one.is_file() and two.is_file()):
            differences.append(f"{name}: only in the {'first' if one.is_file() else 'second'} run")
            continue
        if name.startswith("ard/"):
            left, right = pd.read_parquet(one), pd.read_parquet(two)
            counts["statistics"] += len(left)
            differences += _frame_differences(name, left, right, tolerance)
        elif name.endswith(".parquet"):
            counts["datasets"] += 1
            differences += _frame_differences(
                name, pd.read_parquet(one), pd.read_parquet(two), tolerance
            )
        else:
            counts["files"] += 1
            if hash_file(one) != hash_file(two):
                differences.append(f"{name}: contents differ")
    return differences, counts


def _files(out: Path) -> set[str]:
    """Files that must agree: all but manifest, log, the facts of the machine and hidden files."""
    names = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    skipped = {*OWN_FILES, "provenance.json"}
    return {
        name for name in names
        if name not in skipped and not any(part.startswith(".") for part in Path(name).parts)
    }  # fmt: skip


def _frame_differences(
    name: str, left: pd.DataFrame, right: pd.DataFrame, tolerance: float
) -> list[str]:
    if list(left.columns) != list(right.columns) or len(left) != len(right):
        return [
            f"{name}: {len(left)} rows x {len(left.columns)} columns against "
            f"{len(right)} rows x {len(right.columns)} columns"
        ]
    lines = []
    for column in left.columns:
        a, b = left[column], right[column]
        if pd.api.types.is_numeric_dtype(a) and pd.api.types.is_numeric_dtype(b):
            equal = np.isclose(
                a.to_numpy(float, na_value=np.nan), b.to_numpy(float, na_value=np.nan),
                rtol=tolerance, atol=tolerance * 1e-3, equal_nan=True,
            )  # fmt: skip
        else:
            equal = (a.astype("string").fillna("") == b.astype("string").fillna("")).to_numpy(bool)
        lines += [_line(name, left, right, column, int(row)) for row in np.flatnonzero(~equal)]
    return lines


def _line(name: str, left: pd.DataFrame, right: pd.DataFrame, column: str, row: int) -> str:
    what = f"row {row + 1}"
    if "stat_name" in left:
        record = left.iloc[row]
        parts = ("analysis", "variable", "group1_level", "group2_level", "stat_name")
        what = " / ".join(str(record[part]) for part in parts if str(record[part]))
    return f"{name}: {what}: {column} {left[column].iloc[row]} against {right[column].iloc[row]}"


def _altered(out: Path, recorded: dict[str, str]) -> list[str]:
    lines = []
    for name, digest in sorted(recorded.items()):
        path = out / name
        if not path.is_file():
            lines.append(f"{name}: missing")
        elif hash_file(path) != digest:
            lines.append(f"{name}: altered since the run")
    return lines


def _other_versions(recorded: dict[str, str]) -> list[str]:
    now = versions()
    names = sorted(set(recorded) | set(now))
    return [
        f"{name}: {recorded.get(name, 'absent')} then, {now.get(name, 'absent')} now"
        for name in names
        if recorded.get(name) != now.get(name)
    ]


def _formats(outputs: dict[str, str]) -> tuple[str, ...]:
    return tuple(suffix for suffix in ("html", "pdf", "docx") if f"report.{suffix}" in outputs)
