"""Tables of hypotheses adjusted together: families, graphs, many measures at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livertrack._views import frame_of, is_type, order_of, rows_of, scale_of
from livertrack.tables._format import digits_for, integer, number, p_value, proper, row_interval
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method, sentence


def family_table(result: Any) -> Table:
    """List the hypotheses of an `adjust_pvalues` or `graphical_test` result."""
    graph = result.context == "graphical_test"
    columns = ("hypothesis", "p_value", "p_adjusted", "rejected", "weight", "order")
    rows = tuple(
        Row(
            str(row["hypothesis"]),
            (
                *((number(row["weight"], 3),) if graph else ()),
                p_value(row["p_value"]),
                p_value(row["p_adjusted"]),
                _decision(row, graph=graph),
            ),
        )
        for row in rows_of(frame_of(result, "table", columns))
    )
    return Table(
        title="The planned family of hypotheses, adjusted together",
        stub="Hypothesis",
        headers=(
            *(("Weight",) if graph else ()), "p", "Adjusted p",
            f"Rejected at {result.settings.get('alpha', 0.05):g}",
        ),
        rows=rows,
        text_columns=(3 if graph else 2,),
        footnotes=(
            f"Procedure: {proper(str(result.settings.get('method', '')))}.",
            *map(sentence, result.notes),
        ),
        empty="No hypothesis of the family has a p-value.",
    )  # fmt: skip


def _decision(row: dict[str, Any], *, graph: bool) -> str:
    if not row["rejected"]:
        return "no"
    return f"yes ({integer(row['order'])})" if graph else "yes"


def max_t_table(result: Any, *, arms: Sequence[str] = (), labels: Labels | None = None) -> Table:
    """Difference of every measure with simultaneous limits, from a `max_t` result."""
    columns = (
        "arm", "value", "estimate", "conf_low", "conf_high", "statistic", "p_value", "p_adjusted",
        "n_arm", "n_ref",
    )  # fmt: skip
    frame = frame_of(result, "table", columns)
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        rows = []
        for row in rows_of(frame[frame["arm"].astype(str) == arm]):
            name = str(row["value"])
            scale = scale_of(name)
            shown = [scale * row[c] for c in ("estimate", "conf_low", "conf_high")]
            rows.append(Row(
                (labels or {}).get(name, name) + (" (% of the liver)" if is_type(name) else ""),
                (
                    f"{integer(row['n_arm'])} / {integer(row['n_ref'])}",
                    row_interval(row, scale, 1 if is_type(name) else digits_for(shown)),
                    number(row["statistic"]), p_value(row["p_value"]), p_value(row["p_adjusted"]),
                ),
            ))  # fmt: skip
        groups.append((f"{arm} v {result.settings.get('reference', 'the reference')}", rows))
    return Table(
        title="All measures as one family: differences from the reference",
        stub="Arm and measure",
        headers=(
            "N arm / reference", f"Difference (simultaneous {_level([result])} CI)", "t", "p",
            "Adjusted p",
        ),
        rows=grouped(groups),
        footnotes=(
            "Adjusted p and intervals hold for all measures and arms together. p: of the measure "
            "alone, by permutation.",
            *_method([result]),
        ),
        empty="No measure could be compared.",
    )  # fmt: skip
