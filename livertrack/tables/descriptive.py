"""Tables of what was there: subjects by stage, baseline, scans, signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from livertrack._views import frame_of, order_of, reason_text, rows_of
from livertrack.dictionary import describe_parameter
from livertrack.tables._format import (
    confidence,
    count_percent,
    digits_for,
    integer,
    interval,
    number,
)
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import sentence

TOTAL = "Total"
_BASELINE = (
    "variable", "label", "kind", "level", "arm", "n", "missing", "mean", "sd", "median", "q1",
    "q3", "count", "percent",
)  # fmt: skip
_SUMMARY = (
    "parameter", "region", "variable", "visit", "arm", "n", "mean", "sd", "conf_low", "conf_high",
)  # fmt: skip
_STAGES = {
    "randomised": "Randomised", "not in population": "Not in the analysed population",
    "population": "Analysed population", "scanned": "Scanned", "analysed": "Scan analysed",
    "excluded": "Scan excluded", "no scan": "No scan", "with data": "With data",
    "discontinued": "Discontinued", "completed": "Completed",
}  # fmt: skip
#: adsl columns that a reader should not have to decode
_NAMES = {
    "AGE": "Age (years)", "SEX": "Sex", "RACE": "Race", "BMI": "Body mass index (kg/m²)",
    "BMIBL": "Body mass index (kg/m²)", "SITEID": "Site", "T2DM": "Type 2 diabetes",
    "DIABFL": "Type 2 diabetes", "WEIGHTBL": "Weight (kg)", "HEIGHTBL": "Height (cm)",
    "ETHNIC": "Ethnicity", "SCANNER": "Scanner",
}  # fmt: skip


_YES = {"Y": "Yes", "N": "No"}
_LEVELS = {("SEX", "F"): "Female", ("SEX", "M"): "Male"}


def _yes_no(variable: str) -> Mapping[str, str]:
    """Words of a variable that is yes or no, in letters or (by the dictionary) in digits."""
    known = describe_parameter(variable)
    if known is not None and any(unit.unit.startswith("yes (1)") for unit in known.units):
        return {"1": "Yes", "0": "No"}
    return _YES


def _columns(found: Iterable[Any], arms: Sequence[str]) -> list[str]:
    """Arms in order, the total last."""
    levels = order_of([*found], arms)
    return [*(arm for arm in levels if arm != TOTAL), *(arm for arm in levels if arm == TOTAL)]


def _spelled(row: Mapping[str, Any]) -> str:
    label = str(row["label"])
    return label.capitalize() if label == str(row["variable"]) else label


def disposition_table(result: Any, *, arms: Sequence[str] = ()) -> Table:
    """Subjects at each stage of the trial by arm, from a `disposition` result."""
    frame = frame_of(result, "table", ("step", "stage", "visit", "reason", "arm", "n", "percent"))
    levels = _columns(frame["arm"], arms)
    groups: dict[str, list[Row]] = {}
    steps = dict.fromkeys(
        (str(row["stage"]), str(row["visit"]), str(row["reason"])) for row in rows_of(frame)
    )
    cells = {
        (str(r["stage"]), str(r["visit"]), str(r["reason"]), str(r["arm"])): r
        for r in rows_of(frame)
    }
    for stage, visit, reason in steps:
        shown = tuple(
            count_percent(cell["n"], cell["denominator"]) if cell is not None else "–"
            for cell in (cells.get((stage, visit, reason, arm)) for arm in levels)
        )
        name = f"— {reason_text(reason)}" if reason else _STAGES.get(stage, stage)
        heading = visit or ("Whole trial" if stage not in ("discontinued", "completed") else "End")
        groups.setdefault(heading, []).append(Row(name, shown))
    return Table(
        title="Subjects by arm, stage and visit",
        stub="Stage",
        headers=tuple(levels),
        rows=grouped(list(groups.items())),
        footnotes=(
            "Subjects (%). Denominator: randomised subjects for the population, the analysed "
            "population for all that follows.",
            *map(sentence, result.notes),
        ),
        empty="No subject was randomised.",
    )


def baseline_summary(
    result: Any, *, arms: Sequence[str] = (), labels: Mapping[str, str] | None = None
) -> Table:
    """Baseline characteristics by arm, from a `baseline_table` result."""
    frame = frame_of(result, "table", _BASELINE)
    levels = _columns(frame["arm"], arms)
    sizes = result.settings.get("sizes", {})
    groups = []
    for variable in order_of([*frame["variable"]]):
        rows = [row for row in rows_of(frame) if str(row["variable"]) == variable]
        name = _NAMES.get(variable) or (labels or {}).get(variable) or _spelled(rows[0])
        if str(rows[0]["kind"]) == "continuous":
            groups.append((name, _continuous(rows, levels)))
        else:
            groups.append((name, _categorical(rows, levels)))
    return Table(
        title="Baseline characteristics",
        stub="Characteristic",
        headers=tuple(f"{a} (N = {sizes[a]})" if a in sizes else a for a in levels),
        rows=grouped(groups),
        footnotes=(
            "Median (quartiles) and mean (SD) of subjects with a value; counts with percent of "
            "subjects with a value. No tests: baseline differences of a randomised trial are "
            "chance.",
            *map(sentence, result.notes),
        ),
        empty="No subject has baseline data.",
    )


def _by_arm(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(row["arm"]): row for row in rows}


def _continuous(rows: Sequence[Mapping[str, Any]], levels: Sequence[str]) -> list[Row]:
    by_arm = _by_arm(rows)
    digits = min(digits_for([row["median"] for row in rows]), 3)
    parts = []
    middle = tuple(
        interval(r["median"], r["q1"], r["q3"], digits) if r else "–"
        for r in (by_arm.get(arm) for arm in levels)
    )
    parts.append(Row("Median (quartiles)", middle))
    mean = tuple(
        f"{number(r['mean'], digits)} ({number(r['sd'], digits)})" if r and r["n"] else "–"
        for r in (by_arm.get(arm) for arm in levels)
    )
    parts.append(Row("Mean (SD)", mean))
    return [*parts, *_missing(by_arm, levels)]


def _categorical(rows: Sequence[Mapping[str, Any]], levels: Sequence[str]) -> list[Row]:
    parts = []
    for level in order_of([row["level"] for row in rows]):
        by_arm = _by_arm([row for row in rows if str(row["level"]) == level])
        cells = tuple(
            count_percent(r["count"], r["n"]) if r else "–"
            for r in (by_arm.get(arm) for arm in levels)
        )
        parts.append(
            Row(
                _LEVELS.get(
                    (str(rows[0]["variable"]), level),
                    _yes_no(str(rows[0]["variable"])).get(level, level),
                ),
                cells,
            )
        )
    return [*parts, *_missing(_by_arm(rows), levels)]


def _missing(by_arm: Mapping[str, Mapping[str, Any]], levels: Sequence[str]) -> list[Row]:
    counts = [by_arm[arm]["missing"] if arm in by_arm else 0 for arm in levels]
    return [Row("Missing", tuple(integer(n) for n in counts))] if any(counts) else []


def scan_table(result: Any, *, arms: Sequence[str] = ()) -> Table:
    """Count scans acquired and analysed by arm and visit, from a `scan_quality` result."""
    columns = ("arm", "visit", "n_scans", "n_analysed", "n_excluded")
    frame = frame_of(result, "table", columns)
    levels = order_of([*frame["arm"]], arms)
    cells = {(str(r["arm"]), str(r["visit"])): r for r in rows_of(frame)}
    rows = []
    for visit in order_of([*frame["visit"]]):
        shown: list[str] = []
        for arm in levels:
            cell = cells.get((arm, visit))
            n, kept = (cell["n_scans"], cell["n_analysed"]) if cell else (0, 0)
            shown += [integer(n), count_percent(kept, n)]
        rows.append(Row(visit, tuple(shown)))
    reasons = rows_of(frame_of(result, "reasons", ("reason", "n")))
    listed = "; ".join(f"{r['reason']}: {integer(r['n'])}" for r in reasons) or "none"
    return Table(
        title="Scans acquired and analysed, by visit and arm",
        stub="Visit",
        headers=("Acquired", "Analysed") * len(levels),
        spanners=tuple((arm, 2) for arm in levels),
        rows=tuple(rows),
        footnotes=(
            "Scans (%). Denominator of the percentage: scans acquired in that arm at that visit.",
            f"Reasons of exclusion: {listed}.",
            *map(sentence, result.notes),
        ),
        empty="No scan was acquired.",
    )


def scan_measure_table(
    result: Any,
    *,
    labels: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
    title: str = "Quality of the analysed scans",
) -> Table:
    """Quality measures of the analysed scans by visit, from a `scan_quality` result."""
    columns = ("visit", "measure", "n", "mean", "sd", "minimum", "median", "maximum")
    frame = frame_of(result, "measures", columns)
    groups = []
    for measure in order_of([*frame["measure"]]):
        rows = [row for row in rows_of(frame) if str(row["measure"]) == measure]
        if measure in skip or not any(row["n"] for row in rows):
            continue
        digits = digits_for([row["maximum"] for row in rows])
        members = [
            Row(
                str(row["visit"]),
                (
                    integer(row["n"]), number(row["median"], digits),
                    f"{number(row['minimum'], digits)} to {number(row['maximum'], digits)}",
                ),
            )
            for row in rows
        ]  # fmt: skip
        groups.append(((labels or {}).get(measure, measure), members))
    return Table(
        title=title,
        stub="Measure and visit",
        headers=("Scans", "Median", "Range"),
        rows=grouped(groups),
        footnotes=("Analysed scans only.",),
        empty="No scan was analysed.",
    )


def signature_table(
    result: Any,
    *,
    arms: Sequence[str] = (),
    visits: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    region: str = "",
    variable: str = "AVAL",
    scale: float = 100.0,
    unit: str = "% of the liver",
) -> Table:
    """Mean with limits by parameter, arm and visit, from a `signature_summary` result."""
    frame = frame_of(result, "table", _SUMMARY)
    if len(frame):
        frame = frame[(frame["region"].astype(str) == region) & (frame["variable"] == variable)]
    levels, places = order_of([*frame["arm"]], arms), order_of([*frame["visit"]], visits)
    cells = {(str(r["parameter"]), str(r["arm"]), str(r["visit"])): r for r in rows_of(frame)}
    groups = []
    for parameter in order_of([*frame["parameter"]]):
        members = []
        for arm in levels:
            found = [cells.get((parameter, arm, visit)) for visit in places]
            shown = tuple(
                interval(scale * r["mean"], scale * r["conf_low"], scale * r["conf_high"], 1)
                + (f", n = {integer(r['n'])}" if r["n"] == r["n"] else "")
                if r and r["n"]
                else "–"
                for r in found
            )
            members.append(Row(arm, shown))
        groups.append(((labels or {}).get(parameter, parameter), members))
    level = confidence(result.settings.get("conf_level", 0.95))
    return Table(
        title=f"Signatures by arm and visit ({unit})",
        stub="Tissue type and arm",
        headers=tuple(places),
        rows=grouped(groups),
        footnotes=(
            f"Mean ({level} CI of the mean), {unit}; n: subjects with a value.",
            *map(sentence, result.notes),
        ),
        empty="No scan was analysed.",
    )
