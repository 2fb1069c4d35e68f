"""Tables of a vocabulary beside a known truth."""

from __future__ import annotations

from typing import Any

from livertrack._views import frame_of, rows_of
from livertrack.tables._format import integer, number
from livertrack.tables._table import Row, Table
from livertrack.tables.comparisons import sentence


def recovery_table(result: Any) -> Table:
    """Agreement of the label maps with the known truth, from `vocabulary_recovery`."""
    columns = ("method", "ari", "ari_interior", "nmi", "signature_error", "n_scans")
    rows = tuple(
        Row(
            str(row["method"])[:1].upper() + str(row["method"])[1:],
            (
                number(row["ari"]), number(row["ari_interior"]), number(row["nmi"]),
                number(100 * row["signature_error"], 1), integer(row["n_scans"]),
            ),
        )
        for row in rows_of(frame_of(result, "table", columns))
    )  # fmt: skip
    return Table(
        title="Agreement of the label maps with the known truth",
        stub="Method",
        headers=(
            "Adjusted Rand index", "Away from borders", "Mutual information",
            "Error of a share", "Scans",
        ),
        rows=rows,
        footnotes=(
            "Adjusted Rand index and normalised mutual information over liver voxels: 1 is "
            "identical up to the names of the types, an index of 0 is chance. Error of a share: "
            "mean absolute error of the share of a type, percentage points of the liver.",
            *map(sentence, result.notes),
        ),
        empty="No scan has a known truth.",
    )  # fmt: skip


def planted_table(result: Any, *, most: int = 6) -> Table:
    """Largest planted differences of flows and what was found, from `planted_pathways`."""
    columns = ("arm", "from_type", "to_type", "planted", "found", "rank_found")
    table = frame_of(result, "table", columns)
    rows: list[Row] = []
    for arm, part in table.groupby("arm", sort=False):
        rows.append(Row(str(arm)))
        rows += [
            Row(
                f"{row['from_type']} \N{RIGHTWARDS ARROW} {row['to_type']}",
                (
                    number(100 * row["planted"], 1), number(100 * row["found"], 1),
                    integer(row["rank_found"]),
                ),
                indent=True,
            )
            for row in rows_of(part.head(most))
        ]  # fmt: skip
    return Table(
        title=f"The {most} largest planted pathways of each arm and what was found",
        stub="Arm and pathway",
        headers=("Planted", "Found", "Rank found"),
        rows=tuple(rows),
        footnotes=(
            "Difference from the reference in percentage points of the liver. Types of the "
            "vocabulary count for the true type that they overlap most. Rank 1: the largest "
            "found difference of that arm.",
            *map(sentence, result.notes),
        ),
        empty="No pathway was planted.",
    )
