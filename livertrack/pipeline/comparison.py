"""Compare two run folders: statistics and datasets by value, pages by text, files by hash."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._files import hash_file
from livertrack.pipeline.lock import FOLDER
from livertrack.pipeline.manifest import OWN_FILES
from livertrack.report.tlf import run_id

#: relative difference up to which two numbers count as equal; absolute: a thousandth of it
TOLERANCE = 1e-9
#: largest differences that are kept
LARGEST = 20
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", flags=re.DOTALL | re.IGNORECASE)
_IMAGES = re.compile(r"<svg\b.*?</svg>|src=\"data:[^\"]*\"", flags=re.DOTALL)


@dataclass
class Comparison:
    """What a comparison of two runs found.

    Attributes
    ----------
    files : list of dict
        One entry per file: ``file, kind`` ("statistics", "dataset", "page", "file"), ``compared``
        (statistics, cells or 1), ``identical`` (to the last bit), ``different`` (beyond the
        tolerance), ``largest`` (relative difference, 0 where identical).
    differences : list of str
        One line per statistic, cell or file that differs.
    largest : list of dict
        Largest differences of numbers, equal or not: ``what, first, second, absolute, relative``.
    notes : list of str
        Pages whose text agrees but not their bytes, and files that differ in the name of the run.
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    largest: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many statistics, datasets and other files were compared."""
        kinds = pd.Series([entry["kind"] for entry in self.files], dtype=object)
        statistics = sum(e["compared"] for e in self.files if e["kind"] == "statistics")
        files = int(kinds.isin(["file", "page"]).sum())
        return {
            "statistics": statistics, "datasets": int(kinds.eq("dataset").sum()), "files": files,
        }  # fmt: skip


def compare(
    first: Path,
    second: Path,
    tolerance: float = TOLERANCE,
    *,
    recorded: Iterable[str] | None = None,
) -> Comparison:
    """Compare the outputs of two runs, file by file.

    Parameters
    ----------
    first, second : path
        Run folders.
    tolerance : float
        Relative difference up to which numbers are equal.
    recorded : iterable of str, optional
        Files of the first run that count: what was rendered into its folder later is no part of
        it. Default: all.
    """
    found, names = Comparison(), (_run_name(first), _run_name(second))
    mine = _files(first) if recorded is None else _files(first) & set(recorded)
    for name in sorted(mine | _files(second)):
        one, two = first / name, second / name
        if not (one.is_file() and two.is_file()):
            found.differences.append(
                f"{name}: only in the {'first' if one.is_file() else 'second'} run"
            )
        elif name.endswith(".parquet"):
            kind = "statistics" if name.startswith("ard/") else "dataset"
            _frames(found, name, kind, pd.read_parquet(one), pd.read_parquet(two), tolerance)
        else:
            _bytes(found, name, one, two, names)
    found.largest = sorted(found.largest, key=lambda entry: -entry["relative"])[:LARGEST]
    return found


def compare_runs(
    first: Path, second: Path, tolerance: float = TOLERANCE
) -> tuple[list[str], dict[str, int]]:
    """Differences between two runs, and what was compared."""
    found = compare(first, second, tolerance)
    return found.differences, found.counts


def _files(out: Path) -> set[str]:
    """Files that must agree: all but manifest, log, the facts of the machine and hidden files."""
    names = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    skipped = {*OWN_FILES, "provenance.json"}
    return {
        name for name in names
        if name not in skipped and not name.startswith(f"{FOLDER}/")
        and not any(part.startswith(".") for part in Path(name).parts)
    }  # fmt: skip


def _run_name(out: Path) -> str:
    """Digits that name a run on its tables and figures; blank where it keeps no facts."""
    facts = out / "provenance.json"
    return run_id(json.loads(facts.read_text(encoding="utf-8"))) if facts.is_file() else ""


def _bytes(
    found: Comparison, name: str, one: Path, two: Path, runs: tuple[str, str]
) -> None:  # fmt: skip
    page = name.endswith(".html") and "/" not in name
    same = hash_file(one) == hash_file(two)
    equal = same or (page and page_text(one) == page_text(two))
    if not equal and name.endswith((".html", ".rtf")) and "" not in runs:
        # versions of the environment are in the name of a run: it differs where they do
        first, second = (path.read_text(encoding="utf-8") for path in (one, two))
        equal = first.replace(runs[0], runs[1]) == second
        if equal:
            found.notes.append(f"{name}: agrees but for the name of the run")
    elif equal and not same:
        found.notes.append(f"{name}: the visible text agrees, the bytes do not")
    if not equal:
        found.differences.append(f"{name}: {'text differs' if page else 'contents differ'}")
    found.files.append({
        "file": name, "kind": "page" if page else "file", "compared": 1, "identical": int(same),
        "different": int(not equal), "largest": 0.0,
    })  # fmt: skip


def page_text(path: Path) -> str:
    """Visible text of an HTML page with its white space made even; pictures left out."""
    html = _IMAGES.sub("", path.read_text(encoding="utf-8"))
    return " ".join(unescape(_TAGS.sub(" ", html)).split())


def _frames(
    found: Comparison, name: str, kind: str, left: pd.DataFrame, right: pd.DataFrame,
    tolerance: float,
) -> None:  # fmt: skip
    size = len(left) if kind == "statistics" else int(left.size)
    if list(left.columns) != list(right.columns) or len(left) != len(right):
        found.differences.append(
            f"{name}: {len(left)} rows x {len(left.columns)} columns against "
            f"{len(right)} rows x {len(right.columns)} columns"
        )
        found.files.append({
            "file": name, "kind": kind, "compared": size, "identical": 0, "different": size,
            "largest": float("inf"),
        })  # fmt: skip
        return
    exact = np.ones((len(left), len(left.columns)), dtype=bool)
    equal = exact.copy()
    largest = 0.0
    for place, column in enumerate(left.columns):
        a, b = left[column], right[column]
        if pd.api.types.is_numeric_dtype(a) and pd.api.types.is_numeric_dtype(b):
            one, two = (cells.to_numpy(float, na_value=np.nan) for cells in (a, b))
            exact[:, place] = (one == two) | (np.isnan(one) & np.isnan(two))
            equal[:, place] = np.isclose(
                one, two, rtol=tolerance, atol=tolerance * 1e-3, equal_nan=True
            )
            largest = max(largest, _largest(found, name, left, str(column), one, two))
        else:
            same = a.astype("string").fillna("") == b.astype("string").fillna("")
            exact[:, place] = equal[:, place] = same.to_numpy(bool)
        found.differences += [
            _line(name, left, right, str(column), int(row))
            for row in np.flatnonzero(~equal[:, place])
        ]
    # a row of results is one statistic, whichever of its columns differ
    n_exact, n_equal = (
        int(cells.all(axis=1).sum() if kind == "statistics" else cells.sum())
        for cells in (exact, equal)
    )
    found.files.append({
        "file": name, "kind": kind, "compared": size, "identical": n_exact,
        "different": size - n_equal, "largest": largest,
    })  # fmt: skip


def _largest(
    found: Comparison, name: str, frame: pd.DataFrame, column: str,
    one: NDArray[np.float64], two: NDArray[np.float64],
) -> float:  # fmt: skip
    """Note the largest differences of a column; returns the largest relative one."""
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(one - two)
        relative = np.where(apart > 0, apart / np.maximum(np.abs(one), np.abs(two)), 0.0)
    relative = np.where(np.isnan(one) != np.isnan(two), np.inf, np.nan_to_num(relative))
    rows = [int(row) for row in np.argsort(-relative, kind="stable")[:LARGEST] if relative[row]]
    found.largest += [
        {
            "what": f"{name}: {_what(frame, row)}: {column}", "first": _number(one[row]),
            "second": _number(two[row]), "absolute": _number(apart[row]),
            "relative": float(relative[row]),
        }
        for row in rows
    ]  # fmt: skip
    return float(relative.max(initial=0.0))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _line(name: str, left: pd.DataFrame, right: pd.DataFrame, column: str, row: int) -> str:
    """One difference; texts of datasets are not quoted, since they may name a subject."""
    what = _what(left, row)
    one, two = left[column].iloc[row], right[column].iloc[row]
    if "stat_name" not in left and not pd.api.types.is_numeric_dtype(left[column]):
        return f"{name}: {what}: {column} differs"
    return f"{name}: {what}: {column} {one} against {two}"


def _what(frame: pd.DataFrame, row: int) -> str:
    """Name a row: a statistic by what it is about, others by their place (never by a subject)."""
    if "stat_name" not in frame:
        return f"row {row + 1}"
    record = frame.iloc[row]
    parts = ("analysis", "variable", "group1_level", "group2_level", "stat_name")
    return " / ".join(str(record[part]) for part in parts if str(record[part]))
