"""Scan quality: which scans were analysed, which were excluded and why, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_columns, require_unique

TOTAL = "Total"
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
    flags : DataFrame
        One row per flag, visit and arm (``Total``: all arms): ``n`` scans with it of ``n_scans``.
    totals : DataFrame
        ``table`` over all arms, one row per visit.
    """

    reasons: pd.DataFrame
    measures: pd.DataFrame
    flags: pd.DataFrame
    totals: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "visit", "measure", "reason", "flag")
    context: ClassVar[str] = "scan_quality"


@dataclass(frozen=True, kw_only=True)
class RegistrationQuality(ScanQuality):
    """Result of `registration_quality`: frames as those of `ScanQuality`."""

    context: ClassVar[str] = "registration_quality"


def scan_quality(
    scans: pd.DataFrame, *, arm: str = "TRT01P", measures: Sequence[str] | None = None
) -> ScanQuality:
    """Count analysed and excluded scans, list the reasons, summarise the quality measures.

    Parameters
    ----------
    scans : DataFrame, one row per scan
        ``USUBJID, AVISIT, SCANFL`` ("Y" analysed, "N" excluded), ``REASON``, ``arm`` and numeric
        quality measures (units in the data dictionary, ``adscan``); optionally ``FLAGS``, the
        limits that a scan passes beyond, separated by semicolons.
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
    totals = table.groupby("visit", sort=False)[["n_scans", "n_analysed", "n_excluded"]].sum()
    totals = totals.reset_index()
    totals["percent_excluded"] = 100 * totals["n_excluded"] / totals["n_scans"].where(
        totals["n_scans"] > 0
    )  # fmt: skip
    total, excluded = len(scans), int((~analysed).sum())
    text = f"{total - excluded} of {total} scans were analysed, {excluded} excluded"
    if excluded:
        text += " (" + "; ".join(f"{r.reason}: {r.n}" for r in reasons.itertuples()) + ")"
    return ScanQuality(
        table=table,
        reasons=reasons,
        measures=pd.DataFrame(summaries, columns=columns),
        flags=_flags(scans, arm, arms, visits),
        totals=totals,
        text=text + ".",
        settings={"method": "counts of scans", "arm": arm, "measures": chosen},
    )


def registration_quality(
    records: pd.DataFrame, *, arm: str = "TRT01P", measures: Sequence[str] | None = None
) -> RegistrationQuality:
    """Count follow-up scans that were brought onto their baseline, and say how well.

    Parameters
    ----------
    records : DataFrame, one row per follow-up scan
        ``adreg`` with the arm: ``USUBJID, AVISIT, REASON`` (blank: carried; else why not) and
        numeric measures (units in the data dictionary, ``adreg``).
    arm, measures
        As in `scan_quality`.

    Returns
    -------
    RegistrationQuality
        ``n_analysed`` are the scans that were carried back.

    Notes
    -----
    Denominator: follow-up scans of subjects with a baseline scan.
    Checked against: hand-worked cases (tests/endpoints/test_scan_quality.py).
    """
    require_columns(records, ["USUBJID", "AVISIT", "REASON", arm], name="adreg")
    carried = records["REASON"].fillna("").eq("")
    found = scan_quality(
        records.assign(SCANFL=carried.map({True: "Y", False: "N"})), arm=arm, measures=measures
    )
    text = f"{int(carried.sum())} of {len(records)} follow-up scans were carried to their baseline"
    return RegistrationQuality(
        table=found.table, reasons=found.reasons, measures=found.measures, flags=found.flags,
        totals=found.totals, text=f"{text}.", settings=found.settings,
    )  # fmt: skip


def _flags(
    scans: pd.DataFrame, arm: str, arms: Sequence[str], visits: Sequence[str]
) -> pd.DataFrame:
    """Scans with each flag by visit and arm, all arms last."""
    columns = ["flag", "visit", "arm", "n", "n_scans"]
    if "FLAGS" not in scans:
        return pd.DataFrame(columns=columns)
    raised = [
        {flag.strip() for flag in str(text).split(";")} - {""}
        for text in scans["FLAGS"].astype(object).fillna("")
    ]
    every = pd.Series(True, index=scans.index)
    groups = [*((level, scans[arm].eq(level)) for level in arms), (TOTAL, every)]
    rows = []
    for flag in sorted(set().union(*raised)):
        has = pd.Series([flag in one for one in raised], index=scans.index)
        for visit in visits:
            at = scans["AVISIT"].eq(visit)
            rows += [
                (flag, visit, level, int((has & at & mine).sum()), int((at & mine).sum()))
                for level, mine in groups
            ]
    return pd.DataFrame(rows, columns=columns)


def _summary(values: pd.Series, visit: str, name: str) -> dict[str, object]:
    values = values.dropna()
    return {
        "visit": visit, "measure": name, "n": len(values), "mean": values.mean(),
        "sd": values.std(ddof=1), "minimum": values.min(), "median": values.median(),
        "maximum": values.max(),
    }  # fmt: skip
