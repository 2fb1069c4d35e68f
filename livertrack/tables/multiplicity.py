"""Tables of hypotheses adjusted together: families, graphs, many measures at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from livertrack._views import benefit, frame_of, is_type, order_of, rows_of, scale_of, variable_of
from livertrack.tables._format import digits_for, integer, number, p_value, proper, row_interval
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method, sentence


def family_table(result: Any) -> Table:
    """List the hypotheses of a planned family, whatever the procedure that adjusted them."""
    graph = result.context == "graphical_test"
    columns = ("hypothesis", "p_value", "p_adjusted", "rejected", "weight", "order", "family")
    frame = frame_of(result, "table", columns)
    rows: Sequence[Row] = _family_rows(frame, graph=graph)
    if result.context == "gatekeeping":
        rows = grouped([
            (_gate(result, name), _family_rows(part, graph=False))
            for name, part in frame.groupby("family", sort=False)
        ])  # fmt: skip
    return Table(
        title="The planned family of hypotheses, adjusted together",
        stub="Hypothesis",
        headers=(
            *(("Weight",) if graph else ()), "p", "Adjusted p",
            f"Rejected at {result.settings.get('alpha', 0.05):g}",
        ),
        rows=tuple(rows),
        text_columns=(3 if graph else 2,),
        footnotes=(
            f"Procedure: {proper(str(result.settings.get('method', '')))}.",
            *map(sentence, result.notes),
        ),
        empty="No hypothesis of the family has a p-value.",
    )  # fmt: skip


def _family_rows(frame: pd.DataFrame, *, graph: bool) -> list[Row]:
    return [
        Row(
            str(row["hypothesis"]),
            (
                *((number(row["weight"], 3),) if graph else ()),
                p_value(row["p_value"]),
                p_value(row["p_adjusted"]),
                _decision(row, graph=graph),
            ),
        )
        for row in rows_of(frame)
    ]


def _gate(result: Any, name: Any) -> str:
    """A family of a gatekeeping procedure, with its test and the level that reached it."""
    stage = next(r for r in rows_of(frame_of(result, "families", ())) if r["family"] == name)
    share = f", truncation {stage['truncation']:g}" if stage["truncation"] < 1 else ""
    return f"{name} ({proper(str(stage['component']))}{share}; level {number(stage['level'], 4)})"


def _decision(row: dict[str, Any], *, graph: bool) -> str:
    if not row["rejected"]:
        return "no"
    return f"yes ({integer(row['order'])})" if graph else "yes"


def dunnett_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Differences of every arm from the reference with simultaneous limits, from `dunnett`."""
    columns = (
        "arm", "reference", "n_arm", "n_ref", "estimate", "conf_low", "conf_high", "p_value",
        "p_adjusted", "p_step_down",
    )  # fmt: skip
    groups = []
    for result in results:
        frame = frame_of(result, "table", columns)
        measure = variable_of(result)
        shown = [*frame["estimate"], *frame["conf_low"], *frame["conf_high"]]
        digits = digits_for(shown)
        found = {str(row["arm"]): row for row in rows_of(frame)}
        rows = [
            Row(
                f"{arm} minus {found[arm]['reference']}",
                (
                    f"{integer(found[arm]['n_arm'])} / {integer(found[arm]['n_ref'])}",
                    row_interval(found[arm], 1, digits),
                    *(p_value(found[arm][c]) for c in ("p_value", "p_adjusted", "p_step_down")),
                ),
            )
            for arm in order_of([*frame["arm"]], arms)
        ]
        way = benefit(measure)
        groups.append(((labels or {}).get(measure, measure) + (f", {way}" if way else ""), rows))
    return Table(
        title="Every arm against the reference, adjusted for the number of arms",
        stub="Measure and comparison",
        headers=(
            "N arm / reference", f"Difference (simultaneous {_level(results)} CI)", "p",
            "Adjusted p", "Adjusted p, step-down",
        ),
        rows=grouped(groups),
        footnotes=(
            "In the unit of the measure. N: subjects in the model. A positive difference: higher "
            "than the reference. p: of the arm alone.",
            *_method(results),
        ),
        empty="No arm could be compared.",
    )  # fmt: skip


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
