"""From the datasets of a study to its records: arms, visits, baseline, change.

Each function takes typed frames (see `livertrack.dictionary.conform`; the index is the line in the
file) and returns the derived frame and what it found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from livertrack._conform import finding
from livertrack.dictionary import describe_parameter
from livertrack.findings import Finding
from livertrack.plan import DataSettings

#: columns of the stacked records, besides the arm
_KEEP = ("PARAMCD", "PARAM", "AVISIT", "AVISITN", "REGION", "AVAL", "BASE", "CHG", "ABLFL")
_TOLERANCE = 1e-8


def prepare_subjects(adsl: pd.DataFrame, data: DataSettings) -> tuple[pd.DataFrame, list[Finding]]:
    """Bring adsl to one row per subject, the arm categorical in the order of the plan.

    Arms that the plan does not know are an error in the population and, outside it (screen
    failures), a missing arm.
    """
    found: list[Finding] = []
    wanted: dict[str | None, str] = {
        data.arm: "the plan's arm", data.population: "the plan's population flag",
        data.site: "the plan's site", **dict.fromkeys(data.strata, "one of the plan's strata"),
    }  # fmt: skip
    for column, what in wanted.items():
        if column is not None and column not in adsl.columns:
            cure = f"add {column}, or name another column in the plan (data)"
            found.append(Finding("adsl", column, f"column is missing ({what})", 1, cure))
    adsl = adsl[adsl["USUBJID"].notna() & ~adsl["USUBJID"].duplicated()].copy()
    population = in_population(adsl, data)
    if data.population in adsl.columns and not population.any():
        problem = "no subject is in the population"
        found.append(Finding("adsl", str(data.population), problem, len(adsl), "flag it with Y"))
    if data.arm in adsl.columns:
        arms = adsl[data.arm]
        unknown = population & ~arms.isin(data.arms)
        problem = "subject(s) of the population have no arm, or one the plan does not know"
        cure = f"the plan has {', '.join(data.arms)}: correct adsl, or the plan (data.arms)"
        found += finding(adsl, unknown, "adsl", data.arm, problem, cure)
        adsl[data.arm] = pd.Categorical(arms.where(arms.isin(data.arms)), data.arms, ordered=True)
        empty = [arm for arm in data.arms if not (population & adsl[data.arm].eq(arm)).any()]
        if empty:
            problem = f"arm(s) of the plan without subjects: {', '.join(empty)}"
            cure = "check the spelling of the arms in the plan"
            found.append(Finding("adsl", data.arm, problem, len(empty), cure, "warning"))
    else:
        adsl[data.arm] = pd.Categorical([None] * len(adsl), data.arms, ordered=True)
    for column in data.strata:
        if column in adsl.columns:
            blank = population & adsl[column].isna()
            problem = "stratum is blank for subject(s) of the population"
            found += finding(adsl, blank, "adsl", column, problem, "fill in the stratum")
    return adsl.sort_values("USUBJID").reset_index(drop=True), found


def in_population(adsl: pd.DataFrame, data: DataSettings) -> pd.Series[Any]:
    """Whether each row of adsl is in the plan's population (all are where the plan names none)."""
    if data.population is None or data.population not in adsl.columns:
        return pd.Series(True, index=adsl.index)
    return adsl[data.population].eq("Y")


def prepare_records(
    frame: pd.DataFrame, dataset: str, adsl: pd.DataFrame, data: DataSettings
) -> tuple[pd.DataFrame, list[Finding]]:
    """Derive the records of one BDS dataset: arm, visits of the plan, BASE and CHG.

    BASE is AVAL of the one baseline record of subject x PARAMCD x REGION: the record flagged
    ABLFL = Y where the dataset has flags, else the record of the plan's baseline visit. CHG is
    AVAL minus BASE at the visits after baseline, missing elsewhere. Where the dataset has BASE or
    CHG itself, these are kept if they agree (relative 1e-8) and an error if not.
    """
    lacking = {"USUBJID", "PARAMCD", "AVISIT", "AVAL"} - set(frame.columns)
    if lacking:  # already a finding of the dictionary
        return empty_records(data), []
    found = _arm_agrees(frame, dataset, adsl, data)
    usable = frame["USUBJID"].isin(adsl["USUBJID"]) & frame["PARAMCD"].notna()
    records = frame[usable].copy()
    for column in ("PARAM", "AVISITN", "REGION", "BASE", "CHG", "ABLFL"):
        if column not in records.columns:
            records[column] = pd.Series(np.nan, index=records.index, dtype=object)
    records["REGION"] = records["REGION"].fillna("")
    records["BASE"] = records["BASE"].astype(float)
    records["CHG"] = records["CHG"].astype(float)
    flagged = "ANL01FL" in records.columns
    chosen = pd.Series(data=True, index=records.index)
    if flagged:  # many studies flag only the records after baseline
        chosen = records["ANL01FL"].eq("Y") | records["ABLFL"].eq("Y")
    base, several = _baseline(records, chosen, dataset, data)
    found += several
    records, dropped = _planned_visits(records[chosen], dataset, adsl, data)
    found += dropped
    records, inconsistent = _change(records, base, dataset, data)
    found += inconsistent
    found += _without_baseline(records, dataset, adsl, data)
    places = records["AVISIT"].map(visit_numbers(data))
    records["AVISITN"] = records["AVISITN"].astype(float).fillna(places)
    titles = {code: _title(code) for code in records["PARAMCD"].unique()}
    records["PARAM"] = records["PARAM"].fillna(records["PARAMCD"].map(titles))
    subjects = adsl[["USUBJID", *[c for c in ("SITEID",) if c in adsl.columns], data.arm]]
    records = subjects.merge(records[["USUBJID", *_KEEP]], on="USUBJID", how="inner")
    records.insert(0, "DATASET", dataset)
    return records, found


def empty_records(data: DataSettings) -> pd.DataFrame:
    """Return a records frame without rows."""
    columns = ["DATASET", "USUBJID", "SITEID", data.arm, *_KEEP]
    frame = pd.DataFrame({column: pd.Series(dtype=object) for column in columns})
    frame[data.arm] = pd.Categorical([], data.arms, ordered=True)
    frame["AVISIT"] = pd.Categorical([], data.occasions, ordered=True)
    return frame.astype(dict.fromkeys(("AVISITN", "AVAL", "BASE", "CHG"), float))


def stack_records(parts: Iterable[pd.DataFrame], data: DataSettings) -> pd.DataFrame:
    """All BDS datasets as one frame in an order that does not depend on their files."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return empty_records(data)
    records = pd.concat(filled, ignore_index=True)
    records[data.arm] = pd.Categorical(records[data.arm], data.arms, ordered=True)
    records["AVISIT"] = pd.Categorical(records["AVISIT"], data.occasions, ordered=True)
    order = ["DATASET", "PARAMCD", "REGION", "USUBJID", "AVISIT"]
    return records.sort_values(order, kind="stable").reset_index(drop=True)


def nameable(
    values: Iterable[Any],
    frame: pd.DataFrame,
    column: str,
    adsl: pd.DataFrame,
    *,
    at_most: int = 5,
) -> str:
    """Names for a message: the distinct values that cannot be the identifier of a subject.

    A value is named if it occurs in ``frame[column]`` with at least two subjects and neither is
    nor contains an identifier of adsl.
    """
    known = set(adsl["USUBJID"].astype(str))
    distinct = sorted({str(value) for value in values})
    shared = frame.groupby(column, observed=True)["USUBJID"].nunique()
    shared_names = {str(name) for name in shared.index[shared >= 2]}
    safe = [
        v for v in distinct
        if v in shared_names and v not in known and not any(s in v for s in known if len(s) > 3)
    ]  # fmt: skip
    shown = ", ".join(safe[:at_most])
    return shown + (", ..." if shown and len(safe[:at_most]) < len(distinct) else "")


def _title(code: str) -> str:
    parameter = describe_parameter(code)
    if parameter is None:
        return code
    return f"{code}: {parameter.label}" if "*" in parameter.code else parameter.label


def _arm_agrees(
    frame: pd.DataFrame, dataset: str, adsl: pd.DataFrame, data: DataSettings
) -> list[Finding]:
    if data.arm not in frame.columns:
        return []
    arm = frame["USUBJID"].map(adsl.set_index("USUBJID")[data.arm].astype(object))
    differs = frame[data.arm].notna() & arm.notna() & frame[data.arm].ne(arm)
    cure = f"correct it, or delete the column: adsl decides the {data.arm}"
    return finding(frame, differs, dataset, data.arm, "arm differs from adsl", cure)


def visit_numbers(data: DataSettings) -> dict[str, float]:
    """Number of each visit in the order of the plan; a repeat comes just after its visit."""
    places = {visit: float(place) for place, visit in enumerate(data.visits)}
    for number, (repeat, visit) in enumerate(data.repeats.items(), start=1):
        places[repeat] = places[visit] + number / 100
    return places


def _positions(records: pd.DataFrame, data: DataSettings) -> pd.Series[Any]:
    """Place of each record among the visits; a repeat is at none and has no change."""
    return records["AVISIT"].map({visit: float(i) for i, visit in enumerate(data.visits)})


def _baseline(
    records: pd.DataFrame, chosen: pd.Series[Any], dataset: str, data: DataSettings
) -> tuple[pd.Series[Any], list[Finding]]:
    """Baseline value by (USUBJID, PARAMCD, REGION); flags the baseline records in ABLFL."""
    keys = ["USUBJID", "PARAMCD", "REGION"]
    by_flag = records["ABLFL"].eq("Y")
    is_base = by_flag if by_flag.any() else chosen & records["AVISIT"].eq(data.baseline)
    records["ABLFL"] = np.where(is_base, "Y", "")
    base = records[is_base]
    repeated = base.duplicated(keys)
    found: list[Finding] = []
    if by_flag.any():
        problem = "several records of a subject, PARAMCD and region are flagged as baseline"
        cure = "flag one record with ABLFL = Y"
        found = finding(base, repeated, dataset, "ABLFL", problem, cure)
    return base[~repeated].set_index(keys)["AVAL"], found


def _planned_visits(
    records: pd.DataFrame, dataset: str, adsl: pd.DataFrame, data: DataSettings
) -> tuple[pd.DataFrame, list[Finding]]:
    planned = records["AVISIT"].isin(data.occasions)
    names = nameable(records.loc[~planned, "AVISIT"].dropna(), records, "AVISIT", adsl)
    problem = "record(s) at visits the plan does not list are left out"
    problem += f" ({names})" if names else ""
    cure = "list the visits in the plan (data.visits) if they are to be analysed"
    found = finding(records, ~planned, dataset, "AVISIT", problem, cure, severity="warning")
    # where the baseline visit has other records as well, the baseline record speaks for it
    records = records[planned].sort_values("ABLFL", ascending=False, kind="stable")
    keys = ["USUBJID", "PARAMCD", "REGION", "AVISIT"]
    return records[~records.duplicated(keys)].copy(), found


def _change(
    records: pd.DataFrame, base: pd.Series[Any], dataset: str, data: DataSettings
) -> tuple[pd.DataFrame, list[Finding]]:
    after = _positions(records, data) > data.visits.index(data.baseline)
    keys = pd.MultiIndex.from_frame(records[["USUBJID", "PARAMCD", "REGION"]])
    derived = pd.Series(base.reindex(keys).to_numpy(float), index=records.index)
    given = records["BASE"]
    scale = np.maximum(given.abs(), derived.abs())
    wrong_base = given.notna() & derived.notna() & ((given - derived).abs() > _TOLERANCE * scale)
    cure = "correct it, or delete the column: it is then derived"
    problem = "BASE differs from the baseline record"
    found = finding(records, wrong_base, dataset, "BASE", problem, cure)
    records["BASE"] = given.fillna(derived)
    change = (records["AVAL"] - records["BASE"]).where(after)
    given = records["CHG"].where(after)
    scale = np.maximum(records["AVAL"].abs(), records["BASE"].abs())
    wrong = given.notna() & change.notna() & ((given - change).abs() > _TOLERANCE * scale)
    found += finding(records, wrong, dataset, "CHG", "CHG differs from AVAL - BASE", cure)
    records["CHG"] = given.fillna(change)
    return records, found


def _without_baseline(
    records: pd.DataFrame, dataset: str, adsl: pd.DataFrame, data: DataSettings
) -> list[Finding]:
    """One warning per dataset: subjects measured after baseline whose baseline is missing."""
    after = _positions(records, data) > data.visits.index(data.baseline)
    population = adsl.loc[in_population(adsl, data), "USUBJID"]
    lost = records[
        after & records["AVAL"].notna() & records["BASE"].isna()
        & records["USUBJID"].isin(population)
    ]  # fmt: skip
    if lost.empty:
        return []
    codes = nameable(lost["PARAMCD"], records, "PARAMCD", adsl)
    problem = "subject(s) have records after baseline but no baseline record"
    problem += f" ({codes})" if codes else ""
    cure = "they have no change from baseline; add the baseline record if it exists"
    lines = tuple(int(line) for line in sorted(lost.index)[:5])
    return [
        Finding(dataset, "BASE", problem, lost["USUBJID"].nunique(), cure, "warning", lines)
    ]  # fmt: skip


def visits_without_data(seen: Sequence[Any], data: DataSettings) -> list[Finding]:
    """One warning when visits of the plan occur in no dataset."""
    empty = [visit for visit in data.visits if visit not in set(seen)]
    if not empty:
        return []
    problem = f"visit(s) of the plan without any record: {', '.join(empty)}"
    cure = "check the spelling of the visits in the plan"
    return [Finding("study", "AVISIT", problem, len(empty), cure, "warning")]
