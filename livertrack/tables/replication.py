"""Table of a replication: chosen flows of the first cohort, tested on the second."""

from __future__ import annotations

from typing import Any

from livertrack._region_names import region_name
from livertrack._views import frame_of, rows_of
from livertrack.tables._format import confidence, integer, interval, number, p_value
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import sentence

_COLUMNS = (
    "own_arm", "visit", "region", "from_group", "to_group", "first_estimate", "first_low",
    "first_high", "estimate", "conf_low", "conf_high", "ratio", "p_adjusted", "replicated",
    "n_arm", "n_ref",
)  # fmt: skip


def replication_table(result: Any) -> Table:
    """List every chosen flow in both cohorts, from `replicate`."""
    frame = frame_of(result, "table", _COLUMNS)
    groups = []
    for arm in dict.fromkeys(frame["own_arm"].astype(str)):
        rows = []
        for row in rows_of(frame[frame["own_arm"].astype(str) == arm]):
            name = f"Type {row['from_group']} → {row['to_group']}"
            if str(row["region"]):
                name += f", {region_name(str(row['region']))}"
            first, low, high = (
                100 * row[key] for key in ("first_estimate", "first_low", "first_high")
            )
            both = [
                interval(first, low, high, 1),
                interval(100 * row["estimate"], 100 * row["conf_low"], 100 * row["conf_high"], 1),
            ]
            rows.append(
                Row(
                    name.replace(" ", "\u00a0"),
                    (
                        str(row["visit"]), f"{integer(row['n_arm'])} / {integer(row['n_ref'])}",
                        *both, number(row["ratio"], 2), p_value(row["p_adjusted"]),
                        "yes" if row["replicated"] else "no",
                    ),
                )
            )  # fmt: skip
        groups.append((arm, rows))
    level = confidence(result.settings.get("conf_level", 0.95))
    return Table(
        title="Flows that the first cohort chose, in the first and in the second cohort",
        stub="Arm and flow",
        headers=(
            "Visit", "N arm / reference", f"First cohort ({level} CI)",
            f"Second cohort ({level} CI)", "Ratio", "Adjusted p", "Replicated",
        ),
        rows=grouped(groups),
        text_columns=(0, 6),
        footnotes=(
            "Differences from the reference in percentage points of the region. The first "
            "estimates were chosen for their size: ratios (second to first) below one are to be "
            "expected.",
            "N: subjects of the second cohort with both scans. p: one-sided, in the direction of "
            "the first cohort, step-down max-T over the chosen flows.",
            *map(sentence, result.notes),
        ),
        empty="The first cohort chose no flow: there is nothing to replicate.",
    )  # fmt: skip
