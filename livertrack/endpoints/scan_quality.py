"""Scan quality: which scans were analysed, which were excluded and why, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_columns, require_unique

_DESCRIBED = ("USUBJID", "SITEID", "TRT01P", "AVISIT", "AVISITN", "SCANFL", "REASON")


@dataclass(frozen=True, kw_only=True)
class ScanQuality(Result):
    """Result of `scan_quality`.

    Attributes
    ----------
    table : DataFrame
        One row per arm and visit: ``n_scans`` (acquired), ``n_analysed``, ``n_excluded``,
        ``percent_excluded`` (of those acquired).
    reasons : DataFrame
        One row per reason of exclusion: ``n`` scans.
    measures : DataFrame
        One row per visit and quality measure: ``n, mean, sd, minimum, median, maximum`` over the
        analysed scans.
    """

    reasons: pd.DataFrame
    measures: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "visit", "measure", "reason")
    context: ClassVar[str] = "scan_quality"


def scan_quality(
    scans: pd.DataFrame, *, arm: str = "TRT01P", measures: Sequence[str] | None = None
) -> ScanQuality:
    """Count analysed and excluded scans, list the reasons, summarise the quality measures.

    Parameters
    ----------
    scans : DataFrame, one row per scan
        ``USUBJID, AVISIT, SCANFL`` ("Y" analysed, "N" excluded), ``REASON``, ``arm`` and numeric
        quality measures (units in the data dictionary, ``adscan``).
    arm : str
        Column of the arm.
    measures : sequence of str, optional
        Quality measures to summarise; all numeric columns otherwise.

    Returns
    -------
    ScanQuality

    Notes
    -----
    Denominator of ``percent_excluded``: scans acquired at that visit in that arm, not subjects;
    a visit without a scan is not a row here (`disposition` counts those). No scans at all give
    empty frames.
    Checked against: hand-worked cases (tests/endpoints/test_scan_quality.py).
    """
    require_columns(scans, ["USUBJID", "AVISIT", "SCANFL", "REASON", arm], name="adscan")
    require_unique(scans, ["USUBJID", "AVISIT"], name="adscan")
    numbers = scans.select_dtypes("number").columns
    chosen = (
        list(measures) if measures is not None else [c for c in numbers if c not in _DESCRIBED]
    )
    require_columns(scans, chosen, name="adscan")
    analysed = scans["SCANFL"].eq("Y")
    visits, arms = ordered_levels(scans["AVISIT"]), ordered_levels(scans[arm])
    rows = []
    for level in arms:
        for visit in visits:
            here = scans[arm].eq(level) & scans["AVISIT"].eq(visit)
            n, kept = int(here.sum()), int((here & analysed).sum())
            rows.append(
                {
                    "arm": level, "visit": visit, "n_scans": n, "n_analysed": kept,
                    "n_excluded": n - kept,
                    "percent_excluded": 100 * (n - kept) / n if n else float("nan"),
                }
            )  # fmt: skip
    table = pd.DataFrame(
        rows, columns=["arm", "visit", "n_scans", "n_analysed", "n_excluded", "percent_excluded"]
    )
    out = scans.loc[~analysed, "REASON"].fillna("").replace("", "no reason given")
    reasons = out.value_counts().rename_axis("reason").reset_index(name="n")
    reasons = reasons.sort_values(["n", "reason"], ascending=[False, True], ignore_index=True)
    good = scans[analysed]
    summaries = [
        _summary(good.loc[good["AVISIT"].eq(visit), name], visit, name)
        for name in chosen
        for visit in visits
    ]
    columns = ["visit", "measure", "n", "mean", "sd", "minimum", "median", "maximum"]
    total, excluded = len(scans), int((~analysed).sum())
    text = f"{total - excluded} of {total} scans were analysed, {excluded} excluded"
    if excluded:
        text += " (" + "; ".join(f"{r.reason}: {r.n}" for r in reasons.itertuples()) + ")"
    return ScanQuality(
        table=table,
        reasons=reasons,
        measures=pd.DataFrame(summaries, columns=columns),
        text=text + ".",
        settings={"method": "counts of scans", "arm": arm, "measures": chosen},
    )


def _summary(values: pd.Series, visit: str, name: str) -> dict[str, object]:
    values = values.dropna()
    return {
        "visit": visit, "measure": name, "n": len(values), "mean": values.mean(),
        "sd": values.std(ddof=1), "minimum": values.min(), "median": values.median(),
        "maximum": values.max(),
    }  # fmt: skip
