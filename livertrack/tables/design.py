"""Tables of what is known before the data: interim boundaries, sample size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livertrack._views import frame_of, rows_of
from livertrack.tables._format import integer, number, p_value, percent
from livertrack.tables._table import Row, Table
from livertrack.tables.comparisons import _method


def boundary_table(result: Any) -> Table:
    """Boundary and alpha spent at each look, from a `group_sequential` result."""
    columns = ("look", "information", "alpha_spent", "boundary", "p_nominal", "power")
    rows = tuple(
        Row(
            f"Look {row['look']}",
            (
                percent(row["information"]), number(row["alpha_spent"], 4),
                number(row["boundary"], 3), p_value(row["p_nominal"]), percent(row["power"], 1),
            ),
        )
        for row in rows_of(frame_of(result, "table", columns))
    )  # fmt: skip
    alpha = float(result.settings.get("alpha", 0.025))
    sides = int(result.settings.get("sides", 1))
    return Table(
        title="Boundaries of the interim looks",
        stub="Look",
        headers=("Information", "Alpha spent", "Boundary (z)", "Nominal p", "Power by then"),
        rows=rows,
        footnotes=(
            f"Type I error of all looks together: {alpha:g}, "
            f"{'one-sided' if sides == 1 else 'two-sided'}. Power needs a planned effect.",
            *_method([result]),
        ),
        empty="No look is planned.",
    )


def power_table(results: Sequence[Any]) -> Table:
    """Sample size, effect and power, from `power` results."""
    columns = ("method", "n_arm", "n_ref", "effect", "power", "alpha")
    rows = [
        Row(
            str(row["method"]),
            (
                integer(row["n_ref"]),
                integer(row["n_arm"]),
                number(row["effect"], 3),
                percent(row["power"], 1),
                number(row["alpha"], 3),
            ),
        )
        for result in results
        for row in rows_of(frame_of(result, "table", columns))
    ]
    return Table(
        title="Power of the comparison at the last visit",
        stub="Method",
        headers=("N reference", "N arm", "Effect", "Power", "Alpha, two-sided"),
        rows=tuple(rows),
        footnotes=("N: subjects randomised.",),
        empty="No sample size was planned.",
    )
