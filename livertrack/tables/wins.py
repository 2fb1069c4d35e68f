"""Tables of a hierarchy of outcomes: win ratio, win odds, net benefit, pairs at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import integer, p_value, row_interval
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import _level, _method


def pair_table(result: Any, *, arms: Sequence[str] = ()) -> Table:
    """Win ratio, win odds and net benefit per arm, from a `win_ratio` result."""
    columns = ("arm", "reference", "measure", "estimate", "conf_low", "conf_high", "p_value")
    frame = frame_of(result, "table", (*columns, "n_arm", "n_ref"))
    names = {
        "win_ratio": "Win ratio", "win_odds": "Win odds", "net_benefit": "Net benefit (%)",
    }  # fmt: skip
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        rows = []
        for row in rows_of(frame[frame["arm"].astype(str) == arm]):
            scale = 100 if str(row["measure"]) == "net_benefit" else 1
            shown = row_interval(row, scale, 1 if scale == 100 else 2)
            rows.append(Row(
                names.get(str(row["measure"]), str(row["measure"])),
                (f"{integer(row['n_arm'])} / {integer(row['n_ref'])}", shown,
                 p_value(row["p_value"])),
            ))  # fmt: skip
        groups.append((arm, rows))
    return Table(
        title="Every subject of an arm compared with every subject of "
        f"{result.settings.get('reference', 'the reference')}",
        stub="Arm and measure",
        headers=("N arm / reference", f"Estimate ({_level([result])} CI)", "p"),
        rows=grouped(groups),
        footnotes=(
            "Win ratio: pairs won by the arm over pairs lost; win odds count a tie as half of "
            "each; net benefit: wins minus losses in percent of the pairs. Above 1, 1 and 0 the "
            "arm does better.",
            *_method([result]),
        ),
        empty="No pair of subjects could be compared.",
    )


def pair_level_table(result: Any, *, arms: Sequence[str] = ()) -> Table:
    """Wins, losses and ties at each step of the hierarchy, from a `win_ratio` result."""
    columns = ("arm", "outcome", "step", "wins", "losses", "ties", "missing")
    frame = frame_of(result, "levels", columns)
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        rows = [
            Row(
                f"{integer(row['step'])}. {row['outcome']}",
                tuple(integer(row[c]) for c in ("wins", "losses", "ties", "missing")),
            )
            for row in rows_of(frame[frame["arm"].astype(str) == arm])
        ]
        groups.append((arm, rows))
    return Table(
        title="Pairs decided at each step of the hierarchy",
        stub="Arm and outcome",
        headers=("Won", "Lost", "Tied after it", "Tied: a value is missing"),
        rows=grouped(groups),
        footnotes=("Counts are pairs; a pair that ties goes on to the next outcome.",),
        empty="No pair of subjects could be compared.",
    )
