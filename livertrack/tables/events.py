"""Tables of time to event: medians, tests, hazard ratios, restricted means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack._views import frame_of, rows_of, variable_of
from livertrack.tables._format import confidence, integer, interval, number, p_value
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import _method, _ordered

_CONTRASTS = (
    "arm", "reference", "measure", "estimate", "conf_low", "conf_high", "p_value",
)  # fmt: skip


def event_table(
    curves: Sequence[Any], *, arms: Sequence[str] = (), labels: Mapping[str, str] | None = None
) -> Table:
    """Subjects, events and median time per arm, from `kaplan_meier` results."""
    columns = ("arm", "n", "events", "censored", "median", "conf_low", "conf_high")
    groups = []
    for result in curves:
        rows = [
            Row(
                str(row["arm"]),
                (
                    integer(row["n"]), integer(row["events"]), integer(row["censored"]),
                    interval(row["median"], row["conf_low"], row["conf_high"], 1)
                    if row["median"] == row["median"] else "not reached",
                ),
            )
            for row in _ordered(frame_of(result, "table", columns), "arm", arms)
        ]  # fmt: skip
        groups.append(((labels or {}).get(variable_of(result), variable_of(result)), rows))
    level = confidence(curves[0].settings.get("conf_level", 0.95)) if curves else "95 %"
    return Table(
        title="Subjects with an event, by arm",
        stub="Event and arm",
        headers=("N", "Events", "Censored", f"Median time ({level} CI)"),
        rows=grouped(groups),
        footnotes=("N: subjects with a time and a censoring flag.", *_method(curves)),
        empty="No subject has follow-up for events.",
    )


def event_comparison_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Mapping[str, str] | None = None
) -> Table:
    """Log-rank tests, hazard ratios and differences of restricted means, one row each."""
    rows: list[Row] = []
    for result in results:
        name = (labels or {}).get(variable_of(result), variable_of(result))
        if result.context == "log_rank":
            tests = frame_of(result, "table", ("statistic", "df", "p_value"))
            for row in rows_of(tests):
                shown = f"chi-square {number(row['statistic'])} on {integer(row['df'])} df"
                rows.append(Row(f"{name}: log-rank test", (shown, p_value(row["p_value"]))))
        elif result.context == "cox":
            ratios = ("term", "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "p_value")
            for row in rows_of(frame_of(result, "table", ratios)):
                shown = interval(
                    row["hazard_ratio"], row["hazard_ratio_low"], row["hazard_ratio_high"]
                )
                rows.append(
                    Row(f"{name}: hazard ratio, {row['term']}", (shown, p_value(row["p_value"])))
                )
        elif result.context == "rmst":
            contrasts = frame_of(result, "contrasts", _CONTRASTS)
            contrasts = contrasts[contrasts["measure"].astype(str) == "difference"]
            for row in _ordered(contrasts, "arm", arms):
                shown = interval(row["estimate"], row["conf_low"], row["conf_high"], 1)
                what = f"{name}: restricted mean, {row['arm']} minus {row['reference']}"
                rows.append(Row(what, (shown, p_value(row["p_value"]))))
    level = confidence(next((r.settings["conf_level"] for r in results
                             if "conf_level" in r.settings), 0.95))  # fmt: skip
    return Table(
        title="Events compared between the arms",
        stub="Comparison",
        headers=(f"Estimate ({level} CI)", "p"),
        rows=tuple(rows),
        footnotes=_method(results),
        empty="No comparison of events could be computed.",
    )
