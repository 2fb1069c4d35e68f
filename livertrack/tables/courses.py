"""Tables of courses: flows beyond noise, severity of types, early and late change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livertrack._region_names import region_name
from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import (
    confidence,
    digits_for,
    integer,
    interval,
    number,
    p_value,
    row_interval,
)
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method

_FLOWS = (
    "arm", "region", "from_type", "to_type", "mean", "expected", "estimate", "conf_low",
    "conf_high", "p_adjusted", "n", "n_repeat",
)  # fmt: skip
_MEASURES = {
    "improvement": "Improvement (share of the region)", "worsening": "Worsening",
    "net": "Net improvement", "severity_change": "Change of severity",
}  # fmt: skip


def noise_flow_table(result: Any, *, arms: Sequence[str] = (), top: int = 6) -> Table:
    """Flows that exceed the noise of repeat scans most clearly, from `beyond_noise`."""
    frame = frame_of(result, "table", _FLOWS)
    frame = frame[frame["p_adjusted"].notna()]
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        here = frame[frame["arm"].astype(str) == arm]
        here = here.sort_values(["p_adjusted", "estimate"], ascending=[True, False], kind="stable")
        rows = [
            Row(
                f"{row['from_type']} → {row['to_type']}"
                + (f", {region_name(str(row['region']))}" if str(row["region"]) else ""),
                (
                    f"{integer(row['n'])} / {integer(row['n_repeat'])}",
                    number(100 * row["mean"], 1), number(100 * row["expected"], 1),
                    row_interval(row, 100.0, 1), p_value(row["p_adjusted"]),
                ),
            )
            for row in rows_of(here.head(top))
        ]  # fmt: skip
        groups.append((arm, rows))
    return Table(
        title=f"The {top} flows of each arm that exceed the noise of repeat scans most clearly",
        stub="Arm and flow",
        headers=(
            "N / scanned twice", "Flow", "Noise alone", f"Excess ({_level([result])} CI)",
            "Adjusted p",
        ),
        rows=grouped(groups),
        footnotes=(
            "Percentage points of the region. Noise alone: what repeat scans of an unchanged "
            "liver would show. Natural course is no noise: see the reference arm.",
            *_method([result]),
        ),
        empty="No flow could be tested.",
    )  # fmt: skip


def severity_table(result: Any, *, labels: Labels | None = None) -> Table:
    """Severity of each tissue type, from `type_severity`."""
    columns = ("parameter", "rank", "estimate", "conf_low", "conf_high", "mean_share", "n")
    frame = frame_of(result, "table", columns).sort_values("rank", kind="stable")
    digits = digits_for(frame["estimate"])
    fit = {str(r["metric"]): r for r in rows_of(frame_of(result, "fit", ("metric", "estimate")))}
    rows = tuple(
        Row(
            (labels or {}).get(str(row["parameter"]), str(row["parameter"])),
            (
                integer(row["rank"]),
                row_interval(row, 1.0, digits),
                number(100 * row["mean_share"], 1),
            ),
        )
        for row in rows_of(frame)
    )
    r2 = fit.get("r2", {}).get("estimate", float("nan"))
    return Table(
        title="How severe each tissue type is at baseline",
        stub="Tissue type",
        headers=("Rank", f"Severity ({_level([result])} CI)", "Mean share, %"),
        rows=rows,
        footnotes=(
            "Severity: level of the outcome in a liver of that type alone. Rank 1: least severe. "
            f"Out-of-fold R² {number(r2)} in {integer(result.settings.get('n_subjects'))} "
            "subjects.",
            *_method([result]),
        ),
        empty="No severity could be learned.",
    )


def severity_flow_table(result: Any, *, arms: Sequence[str] = ()) -> Table:
    """Improvement and worsening compared between arms, from `type_severity`."""
    columns = (
        "arm", "reference", "region", "measure", "estimate", "conf_low", "conf_high",
        "p_adjusted", "mean_arm", "mean_ref", "n_arm", "n_ref",
    )  # fmt: skip
    frame = frame_of(result, "flows", columns)
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        rows = []
        for row in rows_of(frame[frame["arm"].astype(str) == arm]):
            measure, region = str(row["measure"]), str(row["region"])
            scale = 1.0 if measure == "severity_change" else 100.0
            rows.append(
                Row(
                    _MEASURES.get(measure, measure)
                    + (f", {region_name(region)}" if region else ""),
                    (
                        f"{integer(row['n_arm'])} / {integer(row['n_ref'])}",
                        number(scale * row["mean_arm"], 2), number(scale * row["mean_ref"], 2),
                        row_interval(row, scale, 2), p_value(row["p_adjusted"]),
                    ),
                )
            )  # fmt: skip
        groups.append((f"{arm} v {result.settings.get('reference', 'the reference')}", rows))
    return Table(
        title="Improvement and worsening of the tissue, by arm",
        stub="Arm and measure",
        headers=(
            "N arm / reference", "Mean, arm", "Mean, reference",
            f"Difference ({_level([result])} CI)", "Adjusted p",
        ),
        rows=grouped(groups),
        footnotes=(
            "Percentage points of the region that moved to a less (improvement) or more "
            "(worsening) severe type, by severities learned without the subject; change of "
            "severity in the unit of the outcome.",
        ),
        empty="No pathway was compared.",
    )  # fmt: skip


def persistence_table(
    result: Any, *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Early and late change of each type by arm, from `trajectories`."""
    columns = ("arm", "parameter", "early", "late", "r", "conf_low", "conf_high", "n")
    frame = frame_of(result, "persistence", columns)
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        rows = [
            Row(
                (labels or {}).get(str(row["parameter"]), str(row["parameter"])),
                (
                    integer(row["n"]),
                    number(100 * row["early"], 1),
                    number(100 * row["late"], 1),
                    interval(row["r"], row["conf_low"], row["conf_high"]),
                ),
            )
            for row in rows_of(frame[frame["arm"].astype(str) == arm])
        ]
        groups.append((arm, rows))
    early, late = (str(result.settings.get(name, name)) for name in ("early", "late"))
    level = confidence(result.settings.get("conf_level", 0.95))
    return Table(
        title=f"Change by {early} and by {late}",
        stub="Arm and tissue type",
        headers=("N", f"By {early}", f"By {late}", f"Correlation over subjects ({level} CI)"),
        rows=grouped(groups),
        footnotes=("Mean change from baseline, percentage points of the liver.",
                   *_method([result])),
        empty="No subject was seen at both visits.",
    )  # fmt: skip
