"""Table of the arms compared in subgroups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livertrack._views import frame_of, order_of, rows_of, variable_of
from livertrack.tables._format import digits_for, integer, p_value, row_interval
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method


def subgroup_table(
    result: Any, *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Effect in every level of every factor, with tests of interaction, from `subgroup_forest`."""
    columns = (
        "subgroup", "level", "arm", "estimate", "conf_low", "conf_high", "n_arm", "n_ref",
    )  # fmt: skip
    frame = frame_of(result, "table", columns)
    tests = frame_of(result, "interactions", ("subgroup", "arm", "p_value"))
    p = {(str(r["subgroup"]), str(r["arm"])): r["p_value"] for r in rows_of(tests)}
    effect = str(result.settings.get("method", "difference"))
    scale = 100.0 if effect == "risk difference" else 1.0
    digits = (
        2 if effect == "hazard ratio"
        else digits_for(scale * frame["estimate"].astype(float)) if len(frame) else 1
    )  # fmt: skip
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        rows = []
        for row in rows_of(frame[frame["arm"].astype(str) == arm]):
            name = (labels or {}).get(str(row["subgroup"]), str(row["subgroup"]))
            level = str(row["level"])
            cells = (
                f"{integer(row['n_arm'])} / {integer(row['n_ref'])}",
                row_interval(row, scale, digits),
                p_value(p.get((str(row["subgroup"]), arm))) if level else "",
            )
            rows.append(Row(f"{name}: {level}" if level else "All subjects", cells))
        groups.append((f"{arm} v {result.settings.get('reference', 'the reference')}", rows))
    measure = (labels or {}).get(variable_of(result), variable_of(result))
    unit = ", percentage points" if scale == 100 else ""
    return Table(
        title=f"{measure}: {effect} in subgroups" if measure else f"{effect} in subgroups",
        stub="Arm and subgroup",
        headers=(
            "N arm / reference", f"{effect[:1].upper() + effect[1:]}{unit} "
            f"({_level([result])} CI)", "p of interaction",
        ),
        rows=grouped(groups),
        footnotes=(
            "Intervals are not adjusted for the number of subgroups. p of interaction: of all "
            "levels of the factor together; a difference between the p-values of two levels is no "
            "interaction.",
            *_method([result]),
        ),
        empty="No subgroup has subjects of two arms.",
    )  # fmt: skip
