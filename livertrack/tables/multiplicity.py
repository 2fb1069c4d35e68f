"""Table of a family of hypotheses, adjusted together."""

from __future__ import annotations

from typing import Any

from livertrack._views import frame_of, rows_of
from livertrack.tables._format import p_value, proper
from livertrack.tables._table import Row, Table
from livertrack.tables.comparisons import sentence


def family_table(result: Any) -> Table:
    """List the hypotheses of an `adjust_pvalues` result with both p-values."""
    columns = ("hypothesis", "p_value", "p_adjusted", "rejected")
    rows = tuple(
        Row(
            str(row["hypothesis"]),
            (
                p_value(row["p_value"]),
                p_value(row["p_adjusted"]),
                "yes" if row["rejected"] else "no",
            ),
        )
        for row in rows_of(frame_of(result, "table", columns))
    )
    return Table(
        title="The planned family of hypotheses, adjusted together",
        stub="Hypothesis",
        headers=("p", "Adjusted p", f"Rejected at {result.settings.get('alpha', 0.05):g}"),
        rows=rows,
        text_columns=(2,),
        footnotes=(
            f"Procedure: {proper(str(result.settings.get('method', '')))}.",
            *map(sentence, result.notes),
        ),
        empty="No hypothesis of the family has a p-value.",
    )  # fmt: skip
