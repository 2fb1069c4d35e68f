"""Disposition: how many subjects were randomised, scanned, analysed, excluded, discontinued."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._checks import require_columns, require_unique
from livertrack.errors import DataError, UsageError

TOTAL = "Total"


@dataclass(frozen=True, kw_only=True)
class Disposition(Result):
    """Flow of subjects; see `disposition` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("stage", "arm", "visit", "reason")
    context: ClassVar[str] = "disposition"


def disposition(
    adsl: pd.DataFrame,
    *,
    arm: str = "TRT01P",
    subject: str = "USUBJID",
    population: str | None = None,
    scans: pd.DataFrame | None = None,
    records: pd.DataFrame | None = None,
    images: pd.DataFrame | None = None,
    visits: Sequence[str] | None = None,
    status: str = "EOSSTT",
    reason: str = "DCSREAS",
) -> Disposition:
    """Count subjects along the trial by arm, as a CONSORT diagram shows them.

    Parameters
    ----------
    adsl : DataFrame, one row per subject
        Subjects with an arm are the randomised ones.
    arm, subject : str
        Columns of arm and subject.
    population : str, optional
        Flag column of ``adsl``; "Y" is in the analysed population. None: all randomised.
    scans : DataFrame, optional, one row per subject and visit
        ``subject, AVISIT, SCANFL`` ("Y" analysed, "N" excluded) and ``REASON``.
    records : DataFrame, optional
        BDS records (``subject, AVISIT, AVAL``); a subject has data at a visit with one value.
    images : DataFrame, optional
        ``subject, AVISIT``; used for the stage *scanned* where ``scans`` is absent.
    visits : sequence of str, optional
        Visits in order; otherwise of the categories, of AVISITN, or of the names.
    status, reason : str
        Columns of ``adsl``, used if present: end of study status, where DISCONTINUED counts, and
        the reason.

    Returns
    -------
    Disposition
        ``.table``: one row per stage, visit, reason and arm, the arm "Total" last - ``step, stage,
        visit, reason, arm, n, denominator, percent``. Stages: ``randomised``, ``not in
        population``, ``population``; per visit ``scanned``, ``analysed`` (scan), ``excluded``
        (scan, one row per reason and one with a blank reason for all), ``no scan``, ``with
        data``; ``discontinued`` (likewise by reason), ``completed``.

    Notes
    -----
    ``n`` counts subjects, never scans. Denominator: randomised for *population* and *not in
    population*; the population for all later stages; ``percent`` = 100 n / denominator, NaN for
    an empty arm. Subjects without an arm are not randomised and counted in the notes, as are
    subjects of the other frames that adsl does not have.

    Source: CONSORT 2010, item 13.
    Checked against: hand-worked cases (tests/endpoints/test_disposition.py).
    """
    wanted = [subject, arm, *([population] if population else [])]
    require_columns(adsl, wanted, name="adsl")
    require_unique(adsl, [subject], name="adsl")
    column = adsl[arm]
    if TOTAL in set(map(str, column.dropna().unique())):
        msg = f"{arm} has an arm named {TOTAL!r}, the name of the column over all arms; rename it"
        raise UsageError(msg)
    counter = _Counter(adsl, arm, subject, population)
    notes = []
    if column.isna().any():
        notes.append(f"{int(column.isna().sum())} subject(s) have no {arm}: not randomised")
    counter.add("randomised", counter.randomised, counter.randomised)
    if population:
        outside = counter.randomised - counter.population
        counter.add("not in population", outside, counter.randomised)
    counter.add("population", counter.population, counter.randomised)
    known = set(adsl[subject])
    for name, frame in (("scans", scans), ("images", images), ("records", records)):
        if frame is None:
            continue
        require_columns(frame, [subject, "AVISIT"], name=name)
        strangers = len(set(frame[subject].dropna()) - known)
        if strangers:
            notes.append(f"{name}: {strangers} subject(s) are not in adsl and are left out")
    for visit in _visit_order(visits, (scans, images, records)):
        _count_visit(counter, visit, subject, scans, images, records)
    if status in adsl.columns:
        _count_status(counter, adsl, subject, status, reason)
    table = counter.table()
    return Disposition(
        table=table,
        text=_text(table),
        settings={"method": "counts of subjects", "arm": arm, "population": population or ""},
        notes=tuple(notes),
    )


class _Counter:
    """Collects counts by arm of sets of subjects."""

    def __init__(self, adsl: pd.DataFrame, arm: str, subject: str, population: str | None) -> None:
        column = adsl[arm]
        levels = (
            list(column.cat.categories)
            if isinstance(column.dtype, pd.CategoricalDtype)
            else sorted(column.dropna().unique().tolist())
        )
        self.members = {str(level): set(adsl.loc[column == level, subject]) for level in levels}
        self.randomised: set[Any] = set(adsl.loc[column.notna(), subject])
        self.members[TOTAL] = self.randomised
        inside = adsl[population].eq("Y") if population else column.notna()
        self.population: set[Any] = set(adsl.loc[inside, subject]) & self.randomised
        self.rows: list[dict[str, Any]] = []
        self.step = 0

    def add(
        self, stage: str, who: set[Any], base: set[Any], *, visit: str = "", reason: str = ""
    ) -> None:
        """Add one row per arm."""
        self.step += 1
        for level, members in self.members.items():
            n, denominator = len(who & base & members), len(base & members)
            self.rows.append({
                "step": self.step, "stage": stage, "visit": visit, "reason": reason, "arm": level,
                "n": n, "denominator": denominator,
                "percent": 100 * n / denominator if denominator else math.nan,
            })  # fmt: skip

    def table(self) -> pd.DataFrame:
        """All rows."""
        return pd.DataFrame(self.rows)


def _count_visit(
    counter: _Counter, visit: str, subject: str, scans: pd.DataFrame | None,
    images: pd.DataFrame | None, records: pd.DataFrame | None,
) -> None:  # fmt: skip
    base, name = counter.population, str(visit)
    if scans is not None:
        require_columns(scans, ["SCANFL"], name="scans")
        require_unique(scans, [subject, "AVISIT"], name="scans")
        here = scans[scans["AVISIT"] == visit]
        wrong = int((~here["SCANFL"].isin(["Y", "N"])).sum())
        if wrong:
            msg = f"scans: SCANFL is neither Y nor N in {wrong} row(s); correct it at the source"
            raise DataError(msg)
        out = here[here["SCANFL"] == "N"]
        counter.add("scanned", set(here[subject]), base, visit=name)
        counter.add("analysed", set(here.loc[here["SCANFL"] == "Y", subject]), base, visit=name)
        counter.add("excluded", set(out[subject]), base, visit=name)
        for why, part in _by_reason(out[out[subject].isin(base)], "REASON"):
            counter.add("excluded", set(part[subject]), base, visit=name, reason=why)
        counter.add("no scan", base - set(here[subject]), base, visit=name)
    elif images is not None:
        seen = set(images.loc[images["AVISIT"] == visit, subject])
        counter.add("scanned", seen, base, visit=name)
        counter.add("no scan", base - seen, base, visit=name)
    if records is not None:
        require_columns(records, ["AVAL"], name="records")
        held = records[(records["AVISIT"] == visit) & records["AVAL"].notna()]
        counter.add("with data", set(held[subject]), base, visit=name)


def _count_status(
    counter: _Counter, adsl: pd.DataFrame, subject: str, status: str, reason: str
) -> None:
    upper = adsl[status].astype(object).where(adsl[status].notna(), "").astype(str).str.upper()
    gone = adsl[upper == "DISCONTINUED"]
    counter.add("discontinued", set(gone[subject]), counter.population)
    if reason in adsl.columns:
        inside = gone[gone[subject].isin(counter.population)]
        for why, part in _by_reason(inside, reason):
            counter.add("discontinued", set(part[subject]), counter.population, reason=why)
    completed = set(adsl.loc[upper == "COMPLETED", subject])
    counter.add("completed", completed, counter.population)


def _by_reason(frame: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    if column not in frame.columns or frame.empty:
        return []
    why = frame[column].astype(object).where(frame[column].notna(), "").astype(str)
    why = why.where(why.str.strip() != "", "reason not given")
    return [(str(name), part) for name, part in frame.groupby(why, sort=True)]


def _visit_order(visits: Sequence[str] | None, frames: Iterable[pd.DataFrame | None]) -> list[Any]:
    if visits is not None:
        return list(visits)
    present = [frame for frame in frames if frame is not None]
    for frame in present:
        if isinstance(frame["AVISIT"].dtype, pd.CategoricalDtype):
            return list(frame["AVISIT"].cat.categories)
    if present and all("AVISITN" in frame for frame in present):
        both = pd.concat([frame[["AVISIT", "AVISITN"]] for frame in present])
        first = both.groupby("AVISIT")["AVISITN"].min()
        return sorted(first.index, key=lambda name: (first[name], str(name)))
    names = {name for frame in present for name in frame["AVISIT"].dropna().unique()}
    return sorted(names)


def _text(table: pd.DataFrame) -> str:
    total = table[(table["arm"] == TOTAL) & (table["reason"] == "")]
    first = total.groupby("stage", sort=False)["n"].first()
    parts = [f"{first['randomised']} subjects were randomised, {first['population']} are analysed"]
    for stage in ("analysed", "with data"):
        rows = total[total["stage"] == stage]
        if len(rows):
            label = "with an analysed scan" if stage == "analysed" else stage
            listed = ", ".join(
                f"{n} at {visit}" for n, visit in zip(rows["n"], rows["visit"], strict=True)
            )
            parts.append(f"{label}: {listed}")
            break
    if "discontinued" in first.index:
        parts.append(f"discontinued: {first['discontinued']}")
    return "; ".join(parts) + "."
