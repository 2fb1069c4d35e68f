"""A study folder as one object: the plan, the subjects, the records, the events, the images.

Everything downstream works on *records* (ADaM BDS rows), so that one endpoint serves laboratory
values, biopsy scores, imaging measures and tissue types alike.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from html import escape
from pathlib import Path
from typing import Literal

import pandas as pd

from livertrack import _study_tables as tables
from livertrack._intercurrent import no_intercurrent_events
from livertrack._records import in_population
from livertrack.errors import DataError, PlanError, UsageError
from livertrack.findings import Finding
from livertrack.plan import Plan

Value = Literal["AVAL", "BASE", "CHG", "PCHG"]


@dataclass(frozen=True, repr=False)
class Study:
    """A study, read and checked.

    Attributes
    ----------
    path : Path
        The study folder.
    plan : Plan
        Its statistical analysis plan.
    adsl : DataFrame
        One row per subject, sorted by USUBJID; the plan's arm is categorical in the plan's order.
    records : DataFrame
        All BDS datasets stacked: ``DATASET`` (file stem), ``USUBJID, SITEID``, the arm, ``PARAMCD,
        PARAM, AVISIT`` (categorical in the plan's order, repeats last), ``AVISITN, REGION``
        (blank: the whole liver), ``AVAL, BASE, CHG, ABLFL``. BASE and CHG are in the unit of AVAL.
    events : DataFrame
        Records of adtte (``PARAMCD, AVAL, CNSR``; CNSR = 0 is an event) with the columns of adsl.
    images : DataFrame or None
        images.csv with absolute paths in ``IMAGE`` and ``MASK`` (blank: no mask is given); the
        index is the line in the file. None for a plan without imaging.
    findings : tuple of Finding
        What was found in the tables. `read_study` lets only warnings pass.
    intercurrent : DataFrame
        Intercurrent events (adice): ``USUBJID, ICETERM, AVISIT`` (first visit affected)
        ``, AVISITN, ASTDY``, sorted; no rows without adice.
    recurrences : DataFrame
        Records of adrec (``PARAMCD, AVAL, CNSR``; one per event and one that closes the
        follow-up) with the columns of adsl.
    """

    path: Path
    plan: Plan
    adsl: pd.DataFrame
    records: pd.DataFrame
    events: pd.DataFrame
    images: pd.DataFrame | None
    findings: tuple[Finding, ...] = ()
    intercurrent: pd.DataFrame = field(default_factory=no_intercurrent_events)
    recurrences: pd.DataFrame = field(default_factory=pd.DataFrame)

    def analysed(self) -> pd.DataFrame:
        """Rows of adsl in the plan's population whose arm the plan knows, sorted by USUBJID."""
        keep = in_population(self.adsl, self.plan.data) & self.adsl[self.plan.data.arm].notna()
        return self.adsl[keep].reset_index(drop=True)

    def parameters(self, patterns: str | Iterable[str]) -> list[str]:
        """PARAMCDs of the records that match names or patterns (``TV*``), each once.

        The order is that of the patterns, and of the alphabet within a pattern.

        Raises
        ------
        PlanError
            A name or pattern matches no PARAMCD; the message suggests the nearest.
        """
        patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        known = sorted(self.records["PARAMCD"].unique())
        chosen: dict[str, None] = {}
        for pattern in patterns:
            matches = [code for code in known if fnmatchcase(code, pattern)]
            if not matches:
                close = difflib.get_close_matches(pattern, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
                msg = f"parameters: no PARAMCD matches {pattern!r}; {hint}"
                raise PlanError(msg)
            chosen.update(dict.fromkeys(matches))
        return list(chosen)

    def values(self, paramcd: str, visit: str, *, region: str = "") -> pd.DataFrame:
        """One parameter at one visit.

        Returns
        -------
        DataFrame
            One row per analysed subject: ``USUBJID``, the arm, ``SITEID``, strata, ``AVAL, BASE,
            CHG`` and the other columns of adsl. AVAL and CHG are missing for subjects without a
            record at the visit; BASE is the subject's baseline even then.
        """
        self._known_visit(visit)
        records = self._of(paramcd, region)
        at_visit = records[records["AVISIT"].eq(visit)].set_index("USUBJID")
        base = records.groupby("USUBJID", sort=False)["BASE"].first()
        frame = self._subjects()
        frame["AVAL"] = frame["USUBJID"].map(at_visit["AVAL"]).astype(float)
        frame["BASE"] = frame["USUBJID"].map(base).astype(float)
        frame["CHG"] = frame["USUBJID"].map(at_visit["CHG"]).astype(float)
        return self._ordered(frame, ["AVAL", "BASE", "CHG"])

    def wide(
        self, parameters: Sequence[str], visit: str, *, value: Value = "CHG", region: str = ""
    ) -> pd.DataFrame:
        """Several parameters at one visit, a column each.

        Returns
        -------
        DataFrame
            One row per analysed subject: the columns of adsl and one column per PARAMCD
            (``value``; ``PCHG`` is 100 CHG / BASE), missing where there is no record.
        """
        codes = list(dict.fromkeys(parameters))
        frame = self._subjects()
        clash = sorted(set(codes) & set(frame.columns))
        if clash:
            msg = f"wide: PARAMCD {', '.join(clash)} is also a column of adsl; rename one of them"
            raise DataError(msg)
        columns = {}
        for code in codes:
            one = self.values(code, visit, region=region)
            if value == "PCHG":
                columns[code] = 100 * one["CHG"] / one["BASE"].where(one["BASE"] != 0)
            else:
                columns[code] = one[value]
        values = pd.DataFrame(columns, index=frame.index, dtype=float)
        return self._ordered(pd.concat([frame, values], axis=1), codes)

    def longitudinal(self, paramcd: str, *, region: str = "") -> pd.DataFrame:
        """One parameter at all visits after baseline, for models of repeated measures.

        Returns
        -------
        DataFrame
            One row per analysed subject and record after baseline with its adsl columns,
            ``AVISIT`` (categorical: only the visits after baseline), ``AVISITN, AVAL, BASE, CHG``.
        """
        data = self.plan.data
        after = data.visits[data.visits.index(data.baseline) + 1 :]
        records = self._of(paramcd, region)
        records = records[records["AVISIT"].isin(after)]
        columns = ["USUBJID", "AVISIT", "AVISITN", "AVAL", "BASE", "CHG"]
        frame = self._subjects().merge(records[columns], on="USUBJID", how="inner")
        frame["AVISIT"] = pd.Categorical(frame["AVISIT"].astype(object), after, ordered=True)
        frame = frame.sort_values(["USUBJID", "AVISIT"], kind="stable").reset_index(drop=True)
        return self._ordered(frame, columns[1:])

    def repeated(
        self, parameters: Sequence[str], visits: Sequence[str], *, arms: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Several parameters at visits or repeats, one record a row, of the whole liver.

        Returns
        -------
        DataFrame
            Records with a value of analysed subjects (of ``arms`` only, where given): ``USUBJID``,
            the arm, ``PARAMCD, AVISIT, AVAL``, sorted.
        """
        unknown = [visit for visit in visits if visit not in self.plan.data.occasions]
        if unknown:
            msg = f"unknown visit {unknown[0]!r}; known are {', '.join(self.plan.data.occasions)}"
            raise PlanError(msg)
        subjects = self.analysed()
        if arms:
            subjects = subjects[subjects[self.plan.data.arm].isin(arms)]
        records = self.records[
            self.records["PARAMCD"].isin(parameters) & self.records["AVISIT"].isin(visits)
            & self.records["REGION"].eq("") & self.records["AVAL"].notna()
            & self.records["USUBJID"].isin(subjects["USUBJID"])
        ]  # fmt: skip
        columns = ["USUBJID", self.plan.data.arm, "PARAMCD", "AVISIT", "AVAL"]
        return records[columns].sort_values(["PARAMCD", "USUBJID", "AVISIT"], ignore_index=True)

    def with_records(self, frame: pd.DataFrame, dataset: str) -> Study:
        """Study with the records of ``dataset`` replaced by ``frame`` (BDS rows, say admri).

        Raises
        ------
        DataError
            The records have errors; all of them are listed.
        """
        records, found = tables.add_records(self.records, frame, dataset, self.adsl, self.plan)
        _raise_errors(found, what=dataset)
        kept = [finding for finding in self.findings if finding.dataset != dataset]
        return replace(self, records=records, findings=(*kept, *found))

    def _of(self, paramcd: str, region: str) -> pd.DataFrame:
        records = self.records[self.records["PARAMCD"].eq(paramcd)]
        if records.empty:
            self.parameters([_literal(paramcd)])
        records = records[records["REGION"].eq(region)]
        if records.empty:
            names = sorted(
                self.records.loc[self.records["PARAMCD"].eq(paramcd), "REGION"].unique()
            )
            msg = f"{paramcd} has no records of region {region!r}; regions are {names}"
            raise UsageError(msg)
        return records

    def _known_visit(self, visit: str) -> None:
        if visit not in self.plan.data.visits:
            close = difflib.get_close_matches(visit, self.plan.data.visits, n=1)
            names = ", ".join(self.plan.data.visits)
            hint = f"did you mean {close[0]!r}?" if close else f"visits are {names}"
            msg = f"unknown visit {visit!r}; {hint}"
            raise PlanError(msg)

    def _subjects(self) -> pd.DataFrame:
        frame = self.analysed()
        own = {"AVAL", "BASE", "CHG", "AVISIT", "AVISITN"}
        return frame[[column for column in frame.columns if column not in own]]

    def _ordered(self, frame: pd.DataFrame, values: Sequence[str]) -> pd.DataFrame:
        data = self.plan.data
        first = ["USUBJID", data.arm, "SITEID", *data.strata, *values]
        first = [c for c in dict.fromkeys(first) if c in frame.columns]
        return frame[[*first, *[c for c in frame.columns if c not in first]]]

    def visit_counts(self) -> pd.DataFrame:
        """Subjects by arm: analysed, and with at least one record (or scan) at each visit."""
        data = self.plan.data
        subjects = self.analysed()[["USUBJID", data.arm]]
        counts = {"analysed": subjects.groupby(data.arm, observed=False).size()}
        seen = [self.records.loc[self.records["AVAL"].notna(), ["USUBJID", "AVISIT"]]]
        if self.images is not None:
            seen.append(self.images[["USUBJID", "AVISIT"]])
        pairs = pd.concat([part.astype(object) for part in seen]).drop_duplicates()
        for visit in data.visits:
            here = subjects["USUBJID"].isin(pairs.loc[pairs["AVISIT"].eq(visit), "USUBJID"])
            counts[visit] = subjects[here].groupby(data.arm, observed=False).size()
        return pd.DataFrame(counts).rename_axis(index=data.arm)

    def __repr__(self) -> str:
        images = "no images" if self.images is None else f"{len(self.images)} images"
        counts = (
            f"{len(self.adsl)} subjects, {len(self.records)} records, {len(self.events)} events"
        )
        return f"Study({self.plan.study.id!r}: {counts}, {images})"

    def _repr_html_(self) -> str:
        by_dataset = self.records.groupby("DATASET")["PARAMCD"].nunique()
        parts = [
            f"{escape(str(name))} ({number} parameters)" for name, number in by_dataset.items()
        ]
        parts += [f"adtte ({self.events['PARAMCD'].nunique()} events)"] if len(self.events) else []
        parts += [f"{len(self.images)} images"] if self.images is not None else []
        info = self.plan.study
        simulated = " (simulated data)" if info.simulated else ""
        warnings = len(self.findings)
        notes = f"<p>{warnings} finding(s): see <code>.findings</code></p>" if warnings else ""
        table = self.visit_counts().to_html(border=0)
        return (
            f"<div class='livertrack-study'><p><b>{escape(info.title)}</b>{simulated}: "
            f"{len(self.adsl)} subjects; {', '.join(parts) or 'no records'}</p>"
            f"{table}{notes}</div>"
        )


def read_study(path: str | Path) -> Study:
    """Read and check a study folder.

    Parameters
    ----------
    path : path
        Folder with ``plan.yaml``, ``adam/`` (csv, parquet, xpt, Dataset-JSON) and, for a plan with
        imaging, ``images.csv``.

    Returns
    -------
    Study
        Warnings are in ``.findings``.

    Raises
    ------
    DataError
        The tables have errors: every one of them, with dataset, column, count and cure.
    PlanError
        The plan is missing or malformed.
    """
    study, found = study_findings(path)
    _raise_errors(found, what="the study")
    if study is None:  # only errors leave no study
        msg = f"no study in {path}"
        raise DataError(msg)
    return study


def study_findings(path: str | Path) -> tuple[Study | None, list[Finding]]:
    """Read a study folder without raising on its data.

    Returns
    -------
    (Study or None, list of Finding)
        What could be read (records in error left out; None without a usable adsl), and all
        findings in the tables, errors first. Scans are not opened.

    Raises
    ------
    PlanError
        The plan is missing or malformed: nothing can be checked without it.
    """
    from livertrack.plan import read_plan

    path = Path(path)
    plan = read_plan(path)
    contents, found = tables.read_tables(path, plan)
    found = sorted(set(found), key=lambda finding: (finding.severity != "error", finding))
    if contents is None:
        return None, found
    return Study(path=path, plan=plan, findings=tuple(found), **contents), found


def _raise_errors(found: Sequence[Finding], *, what: str) -> None:
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        lines = "\n".join(f"  - {finding}" for finding in errors)
        msg = f"{what} has {len(errors)} error(s):\n{lines}"
        raise DataError(msg)


def _literal(code: str) -> str:
    """Pattern that matches a PARAMCD and nothing else."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in code)
