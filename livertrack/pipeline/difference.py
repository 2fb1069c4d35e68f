"""What changed between two runs, statistic by statistic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from livertrack.errors import UsageError
from livertrack.pipeline.manifest import read_manifest

#: columns that say which statistic a row of analysis results data is
_KEY = (
    "analysis", "context", "variable", "frame", "group1", "group1_level", "group2",
    "group2_level", "variable_level", "stat_name", "occurrence",
)  # fmt: skip


def differences(first: str | Path, second: str | Path, *, tolerance: float = 1e-9) -> pd.DataFrame:
    """Statistics that two runs do not share or that differ.

    Parameters
    ----------
    first, second : path
        Folders of finished runs, of one study or of two.
    tolerance : float
        Relative difference up to which statistics are equal.

    Returns
    -------
    DataFrame
        ``analysis, variable, frame, group1_level, group2_level, stat_name, change`` ("changed",
        "only in first", "only in second"), ``first, second`` (numbers), ``first_text,
        second_text``, ``relative`` (change relative to the larger of both).

    Notes
    -----
    Rows are matched by what they are about (analysis, parameter, frame, groups, name), not by
    their place, so that a new arm or endpoint shows as such and not as a change of all that
    follows it.
    """
    one, two = _statistics(Path(first)), _statistics(Path(second))
    both = one.merge(two, on=list(_KEY), how="outer", suffixes=("_1", "_2"), indicator=True)
    alone = both["_merge"].map(
        {"left_only": "only in first", "right_only": "only in second", "both": ""}
    ).astype(str)  # fmt: skip
    a, b = both["stat_1"].to_numpy(float), both["stat_2"].to_numpy(float)
    near = np.isclose(a, b, rtol=tolerance, atol=tolerance * 1e-3, equal_nan=True)
    text = both["stat_chr_1"].fillna("").eq(both["stat_chr_2"].fillna("")).to_numpy()
    # numbers are compared as numbers; their text is only another form of them
    number = both["stat_type_1"].ne("text").to_numpy() & ~(np.isnan(a) & np.isnan(b))
    same = np.where(number, near, text & near)
    both["change"] = np.where(alone.ne(""), alone, np.where(same, "", "changed"))
    changed = both[both["change"].ne("")].copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = changed[["stat_1", "stat_2"]].abs().max(axis=1)
        changed["relative"] = (changed["stat_2"] - changed["stat_1"]).abs() / largest
    changed = changed.rename(columns={
        "stat_1": "first", "stat_2": "second", "stat_chr_1": "first_text",
        "stat_chr_2": "second_text",
    })  # fmt: skip
    columns = [
        "analysis", "variable", "frame", "group1_level", "group2_level", "stat_name", "change",
        "first", "second", "first_text", "second_text", "relative",
    ]  # fmt: skip
    return changed[columns].reset_index(drop=True)


def facts_that_differ(first: str | Path, second: str | Path) -> list[str]:
    """What could explain it: plan, seed, inputs, versions of the two manifests."""
    one, two = read_manifest(first), read_manifest(second)
    lines = [
        f"{name.replace('_', ' ')}: {one.get(name)} against {two.get(name)}"
        for name in ("plan_hash", "seed", "study")
        if one.get(name) != two.get(name)
    ]
    for part, what in (("inputs", "input"), ("versions", "version of")):
        left: dict[str, Any] = one.get(part, {})
        right: dict[str, Any] = two.get(part, {})
        for name in sorted(set(left) | set(right)):
            if left.get(name) != right.get(name):
                detail = "changed" if part == "inputs" else (
                    f"{left.get(name, 'absent')} against {right.get(name, 'absent')}"
                )  # fmt: skip
                lines.append(f"{what} {name}: {detail}")
    return lines


def _statistics(out: Path) -> pd.DataFrame:
    files = sorted((out / "ard").glob("*.parquet"))
    if not files:
        msg = f"no results in {out / 'ard'}: {out} is not the folder of a finished run"
        raise UsageError(msg)
    frames = [pd.read_parquet(path) for path in files]
    every = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    names = [name for name in _KEY if name != "occurrence"]
    every[names] = every[names].astype("string").fillna("")
    every["occurrence"] = every.groupby(names, sort=False).cumcount()
    return every[[*_KEY, "stat", "stat_chr", "stat_type"]]
