"""Tables of time to event: medians, tests, hazard ratios, restricted means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from livertrack._views import frame_of, rows_of, term_name, variable_of
from livertrack.tables._format import (
    confidence,
    digits_for,
    integer,
    interval,
    number,
    p_value,
)
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
        medians = frame_of(result, "table", columns)
        digits = digits_for([*medians["median"], *medians["conf_high"]])
        rows = [
            Row(
                str(row["arm"]),
                (
                    integer(row["n"]), integer(row["events"]), integer(row["censored"]),
                    interval(row["median"], row["conf_low"], row["conf_high"], digits)
                    if row["median"] == row["median"] else "not reached",
                ),
            )
            for row in _ordered(medians, "arm", arms)
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
    groups = []
    for result in results:
        name = (labels or {}).get(variable_of(result), variable_of(result))
        kind = str(result.settings.get("event") or "").lower()
        heading = f"{name}{', ' + kind if kind else ''}: {_HEADINGS[result.context]}"
        groups.append((heading, _ROWS[result.context](result, arms)))
    level = confidence(next((r.settings["conf_level"] for r in results
                             if "conf_level" in r.settings), 0.95))  # fmt: skip
    return Table(
        title="Events compared between the arms",
        stub="Comparison",
        headers=(f"Estimate ({level} CI)", "p"),
        rows=grouped(groups),
        footnotes=_method(results),
        empty="No comparison of events could be computed.",
    )


def _log_rank(result: Any, arms: Sequence[str]) -> list[Row]:
    tests = frame_of(result, "table", ("statistic", "df", "p_value"))
    return [
        Row(
            "All arms",
            (
                f"chi-square {number(row['statistic'])} on {integer(row['df'])} df",
                p_value(row["p_value"]),
            ),
        )
        for row in rows_of(tests)
    ]


def _cox(result: Any, arms: Sequence[str]) -> list[Row]:
    ratios = ("term", "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "p_value")
    rows = []
    for row in rows_of(frame_of(result, "table", ratios)):
        shown = interval(row["hazard_ratio"], row["hazard_ratio_low"], row["hazard_ratio_high"])
        rows.append(Row(term_name(str(row["term"]), arms), (shown, p_value(row["p_value"]))))
    return rows


def _rmst(result: Any, arms: Sequence[str]) -> list[Row]:
    contrasts = frame_of(result, "contrasts", _CONTRASTS)
    contrasts = contrasts[contrasts["measure"].astype(str) == "difference"]
    digits = digits_for([*contrasts["estimate"], *contrasts["conf_low"], *contrasts["conf_high"]])
    return [
        Row(
            f"{row['arm']} minus {row['reference']}",
            (
                interval(row["estimate"], row["conf_low"], row["conf_high"], digits),
                p_value(row["p_value"]),
            ),
        )
        for row in _ordered(contrasts, "arm", arms)
    ]


def _recurrent(result: Any, arms: Sequence[str]) -> list[Row]:
    columns = ("arm", "reference", "model", "rate_ratio", "rate_ratio_low", "rate_ratio_high",
               "p_value")  # fmt: skip
    return [
        Row(
            f"{row['arm']} to {row['reference']}, {row['model']}",
            (
                interval(row["rate_ratio"], row["rate_ratio_low"], row["rate_ratio_high"]),
                p_value(row["p_value"]),
            ),
        )
        for row in _ordered(frame_of(result, "table", columns), "arm", arms)
    ]


_HEADINGS = {
    "log_rank": "log-rank test", "cox": "hazard ratio (Cox model)",
    "rmst": "difference of restricted means",
    "fine_gray": "subdistribution hazard ratio (Fine-Gray model)",
    "recurrent_events": "ratio of rates",
}  # fmt: skip
_ROWS: dict[str, Callable[[Any, Sequence[str]], list[Row]]] = {
    "log_rank": _log_rank, "cox": _cox, "fine_gray": _cox, "rmst": _rmst,
    "recurrent_events": _recurrent,
}  # fmt: skip
