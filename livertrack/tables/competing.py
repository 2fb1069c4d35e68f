"""Table of cumulative incidence with competing causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livertrack._views import frame_of, order_of, rows_of, variable_of
from livertrack.tables._format import integer, number, p_value, row_interval
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method, _ordered


def incidence_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Incidence of each cause per arm with Gray's test, from `cumulative_incidence` results."""
    columns = ("arm", "cause", "n", "events", "time", "estimate", "conf_low", "conf_high")
    groups = []
    for result in results:
        frame = frame_of(result, "table", columns)
        tests = {str(r["cause"]): r for r in rows_of(frame_of(result, "tests", ("cause",)))}
        name = (labels or {}).get(variable_of(result), variable_of(result))
        for cause in order_of([*frame["cause"]]):
            rows = [
                Row(
                    str(row["arm"]),
                    (
                        integer(row["n"]), integer(row["events"]), number(row["time"], 0),
                        row_interval(row, 100.0, 1),
                        "",
                    ),
                )
                for row in _ordered(frame[frame["cause"].astype(str) == cause], "arm", arms)
            ]  # fmt: skip
            gray = tests.get(cause)
            if gray:
                rows.append(Row("All arms (Gray)", ("", "", "", "", p_value(gray["p_value"]))))
            groups.append((f"{name}: {cause.lower() if cause.isupper() else cause}", rows))
    return Table(
        title="Cumulative incidence of each kind of first event",
        stub="Event, kind and arm",
        headers=("N", "Events", "By time", f"Incidence, % ({_level(results)} CI)", "p"),
        rows=grouped(groups),
        footnotes=("The other kinds of event compete: they are not censored.",
                   *_method(results)),
        empty="No event.",
    )  # fmt: skip
