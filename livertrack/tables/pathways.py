"""Tables of change pathways: the flows that differ most, and the net change of each type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack._region_names import region_name
from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import confidence, integer, interval, number, p_value
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import sentence

_COLUMNS = (
    "arm", "reference", "visit", "region", "level", "from_type", "to_type", "estimate",
    "conf_low", "conf_high", "p_value", "p_adjusted", "mean_arm", "mean_ref", "n_arm", "n_ref",
)  # fmt: skip
_NET = (
    "arm", "visit", "region", "type", "baseline", "follow_up", "net", "estimate", "conf_low",
    "conf_high", "p_value", "p_adjusted",
)  # fmt: skip


def pathway_table(
    result: Any, *, arms: Sequence[str] = (), top: int = 5, whole_liver: bool = False
) -> Table:
    """List the flows with the smallest adjusted p-values of each arm, from `change_pathways`.

    Parameters
    ----------
    result : ChangePathways or StoredResult
    top : int
        Flows per arm.
    whole_liver : bool
        Only flows of the whole liver.
    """
    frame = frame_of(result, "table", _COLUMNS)
    frame = frame[frame["p_adjusted"].notna()]
    if whole_liver:
        frame = frame[frame["region"].astype(str) == ""]
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        here = frame[frame["arm"].astype(str) == arm]
        here = here.sort_values(["p_adjusted", "p_value"], kind="stable").head(top)
        members = [
            Row(
                _flow_name(row),
                (
                    str(row["visit"]),
                    f"{integer(row['n_arm'])} / {integer(row['n_ref'])}",
                    number(100 * row["mean_arm"], 1),
                    number(100 * row["mean_ref"], 1),
                    interval(
                        100 * row["estimate"], 100 * row["conf_low"], 100 * row["conf_high"], 1
                    ),
                    p_value(row["p_adjusted"]),
                ),
            )
            for row in rows_of(here)
        ]
        groups.append((arm, members))
    level = confidence(result.settings.get("conf_level", 0.95))
    reference = str(result.settings.get("reference", "reference"))
    return Table(
        title=f"The {top} flows of each arm that differ most clearly from {reference}",
        stub="Arm and flow",
        headers=(
            "Visit", "N arm / reference", "Mean, arm (%)", "Mean, reference (%)",
            f"Difference ({level} CI)", "Adjusted p",
        ),
        rows=grouped(groups),
        text_columns=(0,),
        footnotes=(
            "A flow is the share of the region (%) that was the first type at baseline and the "
            "second at the visit; differences in percentage points. N: subjects with both scans.",
            f"Intervals are pointwise. p adjusted over {integer(result.settings.get('n_tested'))} "
            f"tested flows by step-down max-T with {integer(result.settings.get('n_perm'))} "
            "permutations.",
            *map(sentence, result.notes),
        ),
        empty="No flow between tissue types could be tested.",
    )  # fmt: skip


def _flow_name(row: Mapping[str, Any]) -> str:
    """Name a flow and its region, held together by no-break spaces."""
    name = f"Type {row['from_type']} → {row['to_type']}"
    if str(row["region"]):
        name += f", {region_name(str(row['region']))}"
    return name.replace(" ", "\u00a0")


def net_change_table(result: Any, *, arms: Sequence[str] = (), visit: str | None = None) -> Table:
    """Net change of each tissue type against the reference, from `change_pathways`."""
    frame = frame_of(result, "net", _NET)
    frame = frame[(frame["region"].astype(str) == "") & frame["estimate"].notna()]
    places = order_of([*frame["visit"]])
    shown = visit if visit is not None else (places[-1] if places else "")
    frame = frame[frame["visit"].astype(str) == shown]
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        members = [
            Row(
                f"Type {row['type']}",
                (
                    number(100 * row["baseline"], 1), number(100 * row["follow_up"], 1),
                    number(100 * row["net"], 1),
                    interval(
                        100 * row["estimate"], 100 * row["conf_low"], 100 * row["conf_high"], 1
                    ),
                    p_value(row["p_adjusted"]),
                ),
            )
            for row in rows_of(frame[frame["arm"].astype(str) == arm])
        ]  # fmt: skip
        groups.append((arm, members))
    level = confidence(result.settings.get("conf_level", 0.95))
    return Table(
        title=f"Net change of each tissue type by {shown}" if shown else "Net change by type",
        stub="Arm and type",
        headers=(
            "Baseline (%)", "Follow-up (%)", "Net change",
            f"Difference from {result.settings.get('reference', 'reference')} ({level} CI)",
            "Adjusted p",
        ),
        rows=grouped(groups),
        footnotes=("Of the whole liver; changes and differences in percentage points.",),
        empty="No net change could be estimated.",
    )  # fmt: skip
