"""Tables of responders: differences, ratios, number needed to treat, association tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack._views import frame_of, rows_of, variable_of
from livertrack.tables._format import integer, number, p_value, percent, row_interval
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method, _ordered

_CONTRAST = (
    "arm", "reference", "estimate", "conf_low", "conf_high", "p_value", "n_arm", "n_ref",
)  # fmt: skip
#: measure of a `responders` result -> header of its column and what the title says
_MEASURES = {
    "risk difference": ("Difference, percentage points", "difference in proportions from"),
    "risk ratio": ("Risk ratio", "ratio of proportions to"),
    "odds ratio": ("Odds ratio", "odds ratio against"),
}


def responder_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Responders compared, from `risk_difference`, `risk_ratio` or `odds_ratio` results."""
    measure = str(results[0].settings.get("measure", "")) if results else ""
    header, what = _MEASURES.get(measure, _MEASURES["risk difference"])
    share = measure not in ("risk ratio", "odds ratio")
    treat = any(len(frame_of(result, "nnt")) for result in results)
    groups = []
    for result in results:
        name = variable_of(result)
        needed = {str(r["arm"]): r for r in rows_of(frame_of(result, "nnt", ("arm", "nnt")))}
        rows = []
        for row in _ordered(frame_of(result, "table", _CONTRAST), "arm", arms):
            cells = [_share(row, "arm"), _share(row, "ref"), _effect(row, share=share),
                     p_value(row["p_value"])]  # fmt: skip
            if treat:
                cells.append(needed_to_treat(needed.get(str(row["arm"]), {})))
            rows.append(Row(str(row["arm"]), tuple(cells)))
        groups.append(((labels or {}).get(name, name), rows))
    level = _level(results)
    notes = ["Denominator: subjects counted in the column."]
    if treat:
        notes.append(
            "Number needed to treat for one more responder; where the interval of the difference "
            "includes zero it runs through infinity to a number needed to harm."
        )
    return Table(
        title=f"Responders: {what} the reference arm",
        stub="Response and arm",
        headers=(
            "Responders, arm", "Responders, reference", f"{header} ({level} CI)", "p",
            *((f"Number needed to treat ({level} CI)",) if treat else ()),
        ),
        rows=grouped(groups),
        footnotes=(*notes, *_method(results)),
        empty="No responder analysis could be computed.",
    )  # fmt: skip


def _effect(row: Mapping[str, Any], *, share: bool) -> str:
    """Estimate with limits: in percentage points, or as a ratio."""
    return row_interval(row, 100.0, 1) if share else row_interval(row)


def needed_to_treat(row: Mapping[str, Any]) -> str:
    """Write a number needed to treat with its interval, which may run through infinity."""
    value = row.get("nnt")
    if value is None or isinstance(value, str) or value != value:
        return "–"
    harm = str(row.get("direction", "")) == "harm"
    near, far = (
        (row["harm_low"], row["harm_high"]) if harm else (row["benefit_low"], row["benefit_high"])
    )
    shown = f"{number(value, 1)}{' to harm' if harm else ''}"
    other = row["benefit_low"] if harm else row["harm_low"]
    if near != near:
        return shown
    if other == other:
        tail = "to treat" if harm else "to harm"
        return f"{shown} ({number(near, 1)} to ∞ to {number(other, 1)} {tail})"
    return f"{shown} ({number(near, 1)} to {number(far, 1)})"


def adjusted_responder_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Risk differences and ratios adjusted for covariates, from `g_computation` results."""
    groups = []
    for result in results:
        name = variable_of(result)
        risks = {
            str(r["arm"]): r for r in rows_of(frame_of(result, "risks", ("arm", "estimate", "n")))
        }
        reference = str(result.settings.get("reference", ""))
        rows = []
        for row in _ordered(frame_of(result, "table", (*_CONTRAST, "measure")), "arm", arms):
            share = str(row["measure"]) == "risk difference"
            rows.append(
                Row(
                    f"{row['arm']}, {row['measure']}"
                    + (" (percentage points)" if share else ""),
                    (
                        _risk(risks.get(str(row["arm"]))), _risk(risks.get(reference)),
                        _effect(row, share=share), p_value(row["p_value"]),
                    ),
                )
            )  # fmt: skip
        covariates = str(result.settings.get("covariates", ""))
        heading = (labels or {}).get(name, name)
        groups.append((f"{heading}, adjusted for {covariates}" if covariates else heading, rows))
    return Table(
        title="Responders: comparison adjusted for baseline covariates",
        stub="Response and arm",
        headers=(
            "Adjusted proportion, arm", "Adjusted proportion, reference",
            f"Estimate ({_level(results)} CI)", "p",
        ),
        rows=grouped(groups),
        footnotes=(
            "Proportion of responders if the whole population had been in the arm.",
            *_method(results),
        ),
        empty="No adjusted comparison could be computed.",
    )  # fmt: skip


def association_table(results: Sequence[Any], *, labels: Labels | None = None) -> Table:
    """Tests of association of arm and response within strata, from `cmh_test` results."""
    columns = ("alternative", "statistic", "df", "p_value", "n", "n_strata")
    groups = []
    for result in results:
        rows = [
            Row(
                _ALTERNATIVES.get(str(row["alternative"]), str(row["alternative"])),
                (
                    integer(row["n"]), integer(row["n_strata"]), number(row["statistic"]),
                    integer(row["df"]), p_value(row["p_value"]),
                ),
            )
            for row in rows_of(frame_of(result, "table", columns))
        ]  # fmt: skip
        name = variable_of(result)
        groups.append(((labels or {}).get(name, name), rows))
    return Table(
        title="Association of arm and response within strata",
        stub="Response and alternative",
        headers=("N", "Strata", "Chi-square", "df", "p"),
        rows=grouped(groups),
        footnotes=("N: subjects with arm, response and stratum.", *_method(results)),
        empty="No test could be computed.",
    )


_ALTERNATIVES = {
    "correlation": "Trend over the arms and the response",
    "row means": "Mean scores differ between arms",
    "general": "Any association",
}


def criteria_rule(options: Mapping[str, Any], labels: Any) -> str:
    """Say in words what several criteria ask, and who is counted."""
    wanted = [_condition(c, labels) for c in options.get("criteria") or []]
    if not wanted:
        return ""
    text = "all of: " + "; ".join(wanted) if len(wanted) > 1 else wanted[0]
    eligible = [_condition(c, labels) for c in options.get("eligible") or []]
    return text + (f". Counted are subjects with {'; '.join(eligible)}" if eligible else "")


def _condition(criterion: Mapping[str, Any], labels: Any) -> str:
    name = labels(criterion["parameter"])
    measure = {
        "AVAL": "", "CHG": "change of ", "PCHG": "relative change of ", "BASE": "baseline ",
    }.get(str(criterion.get("measure", "AVAL")), "")  # fmt: skip
    unit = " %" if criterion.get("measure") == "PCHG" else ""
    limits = []
    if criterion.get("above") is not None:
        limits.append(f"≥ {number(criterion['above'], _places(criterion['above']))}{unit}")
    if criterion.get("below") is not None:
        limits.append(f"≤ {number(criterion['below'], _places(criterion['below']))}{unit}")
    return f"{measure}{name} {' and '.join(limits)}"


def _places(value: float) -> int:
    text = f"{float(value):g}"
    return len(text.partition(".")[2])


def _risk(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    return f"{percent(row['estimate'])} (n = {integer(row['n'])})"


def _share(row: Mapping[str, Any], which: str) -> str:
    n = row.get(f"n_{which}")
    if f"responders_{which}" in row:
        return f"{integer(row[f'responders_{which}'])} of {integer(n)}"
    if f"rate_{which}" in row:
        return f"{percent(row[f'rate_{which}'])} of {integer(n)}"
    return f"N = {integer(n)}"
