"""Cochran-Mantel-Haenszel tests of arm against a nominal or ordered response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_columns, require_unique
from livertrack.endpoints._sentences import chi_square_text
from livertrack.endpoints._strata import stratum_numbers
from livertrack.errors import DataError, UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CMH(Result):
    """Three tests (``table``) and the counts behind them (``counts``)."""

    counts: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("alternative", "arm", "response")
    context: ClassVar[str] = "cmh_test"


def cmh_test(
    data: pd.DataFrame,
    *,
    response: str,
    arm: str = "TRT01P",
    strata: str | list[str] | None = None,
    scores: Literal["table", "modridit"] = "table",
) -> CMH:
    """Association of arm and response within strata.

    Parameters
    ----------
    data : DataFrame, one row per subject
    response : str
        Column: numbers (stage 0-4, 0/1) or an ordered categorical.
    arm : str
        Column, two or more arms; their order matters to "correlation" only.
    strata : str or list of str, optional
        Columns whose combinations are the strata.
    scores : {"table", "modridit"}
        Scores of the response: its numbers (1, 2, ... for categories), or ranks within each
        stratum divided by n + 1, which makes "row means" the van Elteren test.

    Returns
    -------
    CMH
        ``.table``: ``alternative`` (correlation: a trend over arms and response; row means: mean
        scores differ between arms; general: any association), ``statistic, df, p_value, n,
        n_strata, method``. ``.counts``: ``arm, response, n``.

    Notes
    -----
    Denominator: subjects with arm, response and strata; dropped ones are counted in ``notes``.
    No continuity correction. Strata with one subject add nothing. A single arm or a single
    response gives NaN and a note.
    Source: Landis, Heyman and Koch (1978); van Elteren (1960).
    Checked against: R 4.2 ``mantelhaen.test``, coin 1.4 ``cmh_test``, ``lbl_test``
    (tests/reference/responders.R).
    """
    if scores not in ("table", "modridit"):
        msg = f"scores is 'table' or 'modridit', got {scores!r}"
        raise UsageError(msg)
    by = [strata] if isinstance(strata, str) else list(strata or [])
    require_columns(data, [response, arm, *by])
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    kept = data.dropna(subset=[response, arm, *by])
    dropped = len(data) - len(kept)
    notes = [f"dropped {dropped} of {len(data)} subjects: incomplete"] if dropped else []
    if kept.empty:
        msg = f"no subject has {', '.join([response, arm, *by])}; {len(data)} row(s) were given"
        raise DataError(msg)
    arms, levels = ordered_levels(kept[arm]), ordered_levels(kept[response])
    row = pd.Categorical(kept[arm], categories=arms).codes
    column = pd.Categorical(kept[response], categories=levels).codes
    place = stratum_numbers(kept, by)
    tables = np.zeros((int(place.max()) + 1, len(arms), len(levels)))
    np.add.at(tables, (place, row, column), 1)
    rows = []
    for alternative in ("correlation", "row means", "general"):
        statistic, df = _statistic(tables, alternative, _numbers(levels), scores)
        p_value = float(stats.chi2.sf(statistic, df)) if df else float("nan")
        rows.append(
            {
                "alternative": alternative, "statistic": statistic, "df": df, "p_value": p_value,
                "n": len(kept), "n_strata": len(tables),
                "method": f"Cochran-Mantel-Haenszel, {scores} scores",
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    if not table["df"].any():
        notes.append(f"no test: {len(arms)} arm(s), {len(levels)} level(s) of {response}")
    cells = tables.sum(axis=0).astype(int)
    counts = pd.DataFrame(
        [
            {"arm": name, "response": level, "n": cells[i, j]}
            for i, name in enumerate(arms)
            for j, level in enumerate(levels)
        ]
    )
    text = "; ".join(
        f"{r['alternative']}: {chi_square_text(r['statistic'], r['df'], r['p_value'])}"
        for r in rows
    )
    return CMH(
        table=table,
        counts=counts,
        text=f"Cochran-Mantel-Haenszel tests of {response} over {len(tables)} strata: {text}.",
        settings={"method": rows[0]["method"], "strata": by, "scores": scores, "arm": arm},
        notes=tuple(notes),
    )


def _numbers(levels: list[str]) -> Floats:
    values = pd.to_numeric(pd.Series(levels), errors="coerce").to_numpy(float)
    return np.arange(1.0, len(levels) + 1) if np.isnan(values).any() else values


def _statistic(
    tables: Floats, alternative: str, numbers: Floats, scores: str
) -> tuple[float, int]:
    """Chi-square and df of B' (B V B')^- B over strata; tables is strata x arms x levels."""
    arms = tables.shape[1]
    size = {"correlation": 1, "row means": arms - 1, "general": (arms - 1) * (len(numbers) - 1)}
    k = size[alternative]
    total, variance = np.zeros(k), np.zeros((k, k))
    for cells in tables:
        n, r, c = cells.sum(), cells.sum(axis=1), cells.sum(axis=0)
        if n < 2:
            continue
        score = numbers if scores == "table" else (np.cumsum(c) - (c - 1) / 2) / (n + 1)
        left = (
            np.arange(1.0, arms + 1)[None] if alternative == "correlation" else np.eye(arms)[:-1]
        )
        right = np.eye(len(c))[:-1] if alternative == "general" else score[None]
        deviation = left @ (cells - np.outer(r, c) / n) @ right.T
        v_left = left @ (np.diag(r) - np.outer(r, r) / n) @ left.T
        v_right = right @ (np.diag(c) - np.outer(c, c) / n) @ right.T
        total += deviation.ravel()
        variance += np.kron(v_left, v_right) / (n - 1)
    df = int(np.linalg.matrix_rank(variance, tol=1e-9 * max(variance.max(initial=0.0), 1e-300)))
    if not k or df == 0 or variance.max() < 1e-12:
        return float("nan"), 0
    return float(total @ np.linalg.pinv(variance, hermitian=True, rcond=1e-10) @ total), df
