"""How much of a measure is the site's or the scanner's: variance between and within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import (
    numeric,
    require_columns,
    require_conf_level,
    require_unique,
)
from livertrack.endpoints.multiplicity import adjust_pvalues
from livertrack.errors import UsageError

Floats = NDArray[np.float64]
_TABLE = [
    "factor", "measure", "n", "n_levels", "estimate", "conf_low", "conf_high", "statistic",
    "df1", "df2", "p_value", "p_adjusted", "method",
]  # fmt: skip
_LEVELS = ["factor", "level", "measure", "n", "mean", "sd", "minimum", "median", "maximum"]
_METHOD = "one-way analysis of variance, intraclass correlation with F limits, Holm"


@dataclass(frozen=True, kw_only=True)
class SiteEffects(Result):
    """Share of the variance between sites (``table``), and each site's values (``levels``)."""

    levels: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("factor", "measure", "level")
    context: ClassVar[str] = "site_effects"


def site_effects(
    data: pd.DataFrame,
    *,
    by: Sequence[str] = ("SITEID",),
    measures: Sequence[str],
    subject: str = "USUBJID",
    conf_level: float = 0.95,
) -> SiteEffects:
    """Say how much of the variance of measures lies between sites (or scanners).

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``subject``, the factors ``by`` and numeric ``measures`` of one visit before treatment.
    by : sequence of str
        Columns that name the site, the scanner, ...
    measures : sequence of str
        Numeric columns.
    conf_level : float
        Coverage of the intervals.

    Returns
    -------
    SiteEffects
        ``.table``: one row per factor and measure - ``n, n_levels, estimate`` (intraclass
        correlation: share of the variance between levels; negative where they differ less than
        chance would make them), ``conf_low, conf_high, statistic`` (F), ``df1, df2, p_value,
        p_adjusted`` (Holm, over the measures of a factor), ``method``. ``.levels``: ``factor,
        level, measure, n, mean, sd, minimum, median, maximum``.

    Notes
    -----
    Denominator: subjects with the measure and the factor. With sites of unequal size the mean
    size is replaced by n0 = (N - sum n_i^2 / N) / (k - 1), and the limits are approximate. A
    factor with one level, or no subject more than levels, has missing estimates.
    Source: Donner (1986), doi:10.2307/1403259; Searle (1971).
    Checked against: R 4.2.2 ``aov`` (tests/reference/type_correlation.R).
    """
    require_columns(data, [subject, *by, *measures], name="data")
    require_unique(data, [subject], name="data")
    require_conf_level(conf_level)
    if not measures or not by:
        msg = "site_effects needs at least one measure and one factor"
        raise UsageError(msg)
    data = data.sort_values(subject, kind="stable")
    rows: list[dict[str, Any]] = []
    levels: list[dict[str, Any]] = []
    for factor in by:
        part: list[dict[str, Any]] = []
        for measure in measures:
            values = numeric(data, measure, name="data")
            keep = data[factor].notna().to_numpy() & ~np.isnan(values)
            groups = {
                str(level): values[keep & data[factor].eq(level).to_numpy()]
                for level in sorted(data.loc[keep, factor].unique(), key=str)
            }
            part.append({
                "factor": factor, "measure": measure, **_variance(groups, conf_level),
                "method": _METHOD,
            })  # fmt: skip
            levels += [
                {"factor": factor, "level": name, "measure": measure, **_summary(seen)}
                for name, seen in groups.items()
            ]
        adjusted = adjust_pvalues({row["measure"]: row["p_value"] for row in part}, "holm")
        found = adjusted.table["p_adjusted"].to_numpy(float)
        rows += [{**row, "p_adjusted": p} for row, p in zip(part, found, strict=True)]
    table = pd.DataFrame(rows, columns=_TABLE)
    return SiteEffects(
        table=table, levels=pd.DataFrame(levels, columns=_LEVELS),
        text=_sentence(table, 1 - conf_level),
        settings={"method": _METHOD, "by": list(by), "measures": list(measures),
                  "conf_level": conf_level, "n_subjects": int(data[subject].nunique())},
    )  # fmt: skip


def _variance(groups: dict[str, Floats], conf_level: float) -> dict[str, float]:
    sizes = np.array([len(seen) for seen in groups.values()], dtype=float)
    n, k = float(sizes.sum()), len(sizes)
    missing = dict.fromkeys(
        ("estimate", "conf_low", "conf_high", "statistic", "p_value"), math.nan
    )
    counts = {"n": int(n), "n_levels": k, "df1": max(k - 1, 0), "df2": max(int(n) - k, 0)}
    if k < 2 or n <= k:
        return {**counts, **missing}
    grand = sum(float(seen.sum()) for seen in groups.values()) / n
    between = sum(len(s) * (float(s.mean()) - grand) ** 2 for s in groups.values()) / (k - 1)
    within = sum(float(((s - s.mean()) ** 2).sum()) for s in groups.values()) / (n - k)
    if within <= 1e-12 * grand**2 or within == 0:
        return {**counts, **missing}
    f = between / within
    size = (n - float((sizes**2).sum()) / n) / (k - 1)
    tail = (1 + conf_level) / 2
    low = f / float(stats.f.ppf(tail, k - 1, n - k))
    high = f * float(stats.f.ppf(tail, n - k, k - 1))
    return {
        **counts, "estimate": (f - 1) / (f + size - 1), "conf_low": (low - 1) / (low + size - 1),
        "conf_high": (high - 1) / (high + size - 1), "statistic": f,
        "p_value": float(stats.f.sf(f, k - 1, n - k)),
    }  # fmt: skip


def _summary(seen: Floats) -> dict[str, float]:
    return {
        "n": len(seen), "mean": float(seen.mean()),
        "sd": float(seen.std(ddof=1)) if len(seen) > 1 else math.nan,
        "minimum": float(seen.min()), "median": float(np.median(seen)),
        "maximum": float(seen.max()),
    }  # fmt: skip


def _sentence(table: pd.DataFrame, alpha: float) -> str:
    parts = []
    for factor, rows in table.groupby("factor", sort=False):
        known = rows[rows["estimate"].notna()]
        if known.empty:
            parts.append(f"{factor}: no measure could be compared.")
            continue
        found = known[known["p_adjusted"] <= alpha]
        named = ", ".join(
            f"{measure} ({100 * share:.0f} % of the variance)"
            for measure, share in zip(found["measure"], found["estimate"], strict=True)
        )
        parts.append(
            f"{factor}: {len(found)} of {len(known)} measures differ after adjustment"
            + (f": {named}." if named else ".")
        )
    return " ".join(parts)
