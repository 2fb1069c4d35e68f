"""Shift of an ordered score from baseline, with tests of symmetry and marginal homogeneity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.contingency_tables import SquareTable

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_columns, require_unique
from livertrack.endpoints.weighted_kappa import _scale
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class ShiftTable(Result):
    """Counts per arm (``table``), direction of shifts (``summary``) and ``tests`` within arms."""

    summary: pd.DataFrame
    tests: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "baseline", "value", "test")
    context: ClassVar[str] = "shift_table"


def shift_table(
    data: pd.DataFrame,
    *,
    baseline: str = "BASE",
    value: str = "AVAL",
    arm: str = "TRT01P",
    better: Literal["lower", "higher"] = "lower",
    levels: Sequence[Any] | None = None,
) -> ShiftTable:
    """Cross-tabulate the score at a visit against baseline, per arm.

    Parameters
    ----------
    data : DataFrame, one row per subject
    baseline, value, arm : str
        Columns.
    better : {"lower", "higher"}
        Direction of an improvement.
    levels : sequence, optional
        The whole scale in order; by default as in `weighted_kappa`.

    Returns
    -------
    ShiftTable
        ``.table``: ``arm, baseline, value, n, percent`` (of the subjects of the arm), every pair
        of levels. ``.summary``: ``arm, n, improved, unchanged, worsened, missing``.
        ``.tests``: ``arm, test`` (Stuart-Maxwell: same distribution at both times; Bowker:
        shifts are symmetric), ``statistic, df, p_value``.

    Notes
    -----
    Denominator: subjects of the arm with both scores; ``missing`` counts the others.
    Both tests look at change within an arm; compare arms with `proportional_odds` or `cmh_test`.
    An arm without any shift has NaN tests and a note; levels without subjects are left out of
    the tests. An arm without both scores of anyone is a row of zeros.
    Source: Stuart (1955); Maxwell (1970); Bowker (1948).
    Checked against: R 4.2 ``mcnemar.test``, coin ``mh_test`` (tests/reference/ordinal.R).
    """
    if better not in ("lower", "higher"):
        msg = f"better is 'lower' or 'higher', got {better!r}"
        raise UsageError(msg)
    require_columns(data, [baseline, value, arm])
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    placed = data.dropna(subset=[arm])
    kept = placed.dropna(subset=[baseline, value])
    if kept.empty:
        msg = f"no subject has {baseline}, {value} and {arm}; {len(data)} row(s) were given"
        raise DataError(msg)
    scale = list(levels) if levels is not None else _scale(kept[baseline], kept[value])
    before = pd.Categorical(kept[baseline], categories=scale).codes
    after = pd.Categorical(kept[value], categories=scale).codes
    outside = int((before < 0).sum() + (after < 0).sum())
    if outside:
        msg = f"{baseline}, {value}: {outside} score(s) are not among levels {scale}"
        raise DataError(msg)
    rows, summary, tests, notes = [], [], [], []
    if len(placed) < len(data):
        notes.append(f"dropped {len(data) - len(placed)} of {len(data)} subjects: no {arm}")
    for level in ordered_levels(placed[arm]):
        mine = (kept[arm] == level).to_numpy(dtype=bool)
        cells = np.zeros((len(scale), len(scale)))
        np.add.at(cells, (before[mine], after[mine]), 1)
        n = int(mine.sum())
        rows += [
            {
                "arm": level, "baseline": a, "value": b, "n": int(cells[i, j]),
                "percent": 100 * cells[i, j] / n if n else float("nan"),
            }
            for i, a in enumerate(scale)
            for j, b in enumerate(scale)
        ]  # fmt: skip
        down, up = int(np.tril(cells, -1).sum()), int(np.triu(cells, 1).sum())
        gain, loss = (down, up) if better == "lower" else (up, down)
        total = int((placed[arm] == level).sum())
        summary.append(
            {
                "arm": level, "n": n, "improved": gain, "unchanged": n - down - up,
                "worsened": loss, "missing": total - n,
            }
        )  # fmt: skip
        found = _tests(cells)
        if all(np.isnan(t["statistic"]) for t in found):
            notes.append(f"{level}: nobody shifted, no test")
        tests += [{"arm": level, **t} for t in found]
    text = "; ".join(
        f"{r['arm']}: {r['improved']} of {r['n']} improved, {r['worsened']} worsened"
        for r in summary
    )
    return ShiftTable(
        table=pd.DataFrame(rows),
        summary=pd.DataFrame(summary),
        tests=pd.DataFrame(tests),
        text=f"From {baseline} to {value}: {text}.",
        settings={
            "method": "shift table", "better": better, "levels": [str(v) for v in scale],
            "baseline": baseline, "value": value, "arm": arm,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _tests(cells: np.ndarray) -> list[dict[str, Any]]:
    """Stuart-Maxwell and Bowker on the levels that occur."""
    used = (cells.sum(axis=0) + cells.sum(axis=1)) > 0
    square = cells[np.ix_(used, used)]
    none = {"statistic": float("nan"), "df": 0, "p_value": float("nan")}
    if square.sum() == np.trace(square):
        return [{"test": "Stuart-Maxwell", **none}, {"test": "Bowker", **none}]
    upper = np.triu_indices(len(square), 1)
    a, b = square[upper], square.T[upper]
    seen = a + b > 0
    bowker = float(((a - b)[seen] ** 2 / (a + b)[seen]).sum())
    df = int(seen.sum())
    moved = (square + square.T).sum(axis=1) - 2 * np.diag(square) > 0
    result = dict(none)
    if moved.sum() > 1:
        part = SquareTable(square[np.ix_(moved, moved)], shift_zeros=False)
        try:
            fitted = part.homogeneity(method="stuart_maxwell")
            result = {
                "statistic": float(fitted.statistic), "df": int(fitted.df),
                "p_value": float(fitted.pvalue),
            }  # fmt: skip
        except np.linalg.LinAlgError:
            result = none
    return [
        {"test": "Stuart-Maxwell", **result},
        {
            "test": "Bowker",
            "statistic": bowker,
            "df": df,
            "p_value": float(stats.chi2.sf(bowker, df)),
        },
    ]
