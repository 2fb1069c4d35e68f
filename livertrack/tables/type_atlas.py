"""Tables of the tissue types: what they are, where they are, what they go with at biopsy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack._region_names import region_name
from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import (
    confidence,
    digits_for,
    integer,
    interval,
    limits,
    number,
    p_value,
    percent,
)
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import sentence

Labels = Mapping[str, str]
_CELL = (
    "parameter", "visit", "region", "n", "n_present", "mean", "conf_low", "conf_high", "minimum",
    "maximum", "difference", "difference_low", "difference_high",
)  # fmt: skip


_NOISE = ("within_sd", "repeatability_coefficient", "smallest_real_change")


def card_table(result: Any, *, labels: Labels | None = None) -> Table:
    """Share, brightness and nearest type of each type, from a `vocabulary_card` result."""
    frame = frame_of(result, "table", ("parameter", "share", "nearest", "distance"))
    means = [name for name in frame.columns if name.startswith("mean_")]
    rows = tuple(
        Row(
            _named(row["parameter"], labels),
            (
                percent(row["share"], 1), *(number(row[name], 2) for name in means),
                _named(row["nearest"], labels), number(row["distance"], 2),
            ),
        )
        for row in rows_of(frame)
    )  # fmt: skip
    return Table(
        title="The tissue types of the vocabulary",
        stub="Tissue type",
        headers=(
            "Share", *(f"Mean {name.removeprefix('mean_')}" for name in means), "Nearest type",
            "Distance to it",
        ),
        rows=rows,
        text_columns=(1 + len(means),),
        footnotes=(
            "Share of the places in the liver from which the vocabulary was learned, all arms and "
            "visits together. Mean intensities are those of the standardised images, which have "
            "no unit. Distance between the mean codes of two types, in units of the spread of a "
            "type.",
        ),
        empty="The vocabulary stores no profile.",
    )  # fmt: skip


def hierarchy_table(result: Any, *, labels: Labels | None = None) -> Table:
    """Which types merge first, from a `vocabulary_card` result."""
    frame = frame_of(result, "hierarchy", ("n_groups", "merged", "distance"))
    rows = tuple(
        Row(integer(row["n_groups"]), (_spelled(str(row["merged"]), labels),
                                       number(row["distance"], 2)))
        for row in rows_of(frame)
    )  # fmt: skip
    return Table(
        title="Tissue types merged one by one",
        stub="Groups left",
        headers=("Merged", "Distance"),
        rows=rows,
        text_columns=(0,),
        footnotes=(
            "Ward's criterion: what is near and what is small merges early. Distance of the means "
            "of the merged groups, in units of the spread of a type; it need not rise.",
        ),
        empty="The vocabulary has one type.",
    )


def prevalence_table(
    result: Any, *, visits: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Mean share of each type by visit, all arms together, from a `type_atlas` result."""
    frame = frame_of(result, "table", _CELL)
    frame = frame[frame["region"].fillna("").eq("")] if len(frame) else frame
    groups = []
    for parameter in order_of([*frame["parameter"]]):
        found = {str(r["visit"]): r for r in rows_of(frame[frame["parameter"] == parameter])}
        members = [
            Row(
                visit,
                (
                    integer(row["n"]), integer(row["n_present"]),
                    interval(100 * row["mean"], 100 * row["conf_low"], 100 * row["conf_high"], 1),
                    limits(100 * row["minimum"], 100 * row["maximum"], 1),
                ),
            )
            for visit in order_of([*found], visits) for row in [found[visit]]
        ]  # fmt: skip
        groups.append((_named(parameter, labels), members))
    least = percent(result.settings.get("present", 0.01)) if result is not None else "1 %"
    return Table(
        title="Share of each tissue type by visit, all arms together (% of the liver)",
        stub="Tissue type and visit",
        headers=("N", f"With ≥ {least}", f"Mean ({_level(result)} CI)", "Range"),
        rows=grouped(groups),
        footnotes=(
            "N: subjects of the analysed population with an analysed scan. After baseline the "
            "mean depends on how many subjects each arm has.",
            *map(sentence, result.notes if result is not None else ()),
        ),
        empty="No scan was analysed.",
    )


def region_table(result: Any, *, visit: str, labels: Labels | None = None) -> Table:
    """Share of each type by region at one visit, beside the whole liver."""
    frame = frame_of(result, "table", _CELL)
    frame = frame[frame["visit"].eq(visit)] if len(frame) else frame
    regions = order_of([*frame["region"]]) if len(frame) else []
    groups = []
    for parameter in order_of([*frame["parameter"]]):
        found = {str(r["region"]): r for r in rows_of(frame[frame["parameter"] == parameter])}
        members = [
            Row(
                region_name(region).capitalize(),
                (
                    interval(100 * row["mean"], 100 * row["conf_low"], 100 * row["conf_high"], 1),
                    interval(
                        100 * row["difference"], 100 * row["difference_low"],
                        100 * row["difference_high"], 1,
                    ) if region else "",
                ),
            )
            for region in regions if region in found for row in [found[region]]
        ]  # fmt: skip
        groups.append((_named(parameter, labels), members))
    return Table(
        title=f"Share of each tissue type by region of the liver at {visit} (% of the region)",
        stub="Tissue type and region",
        headers=(f"Mean ({_level(result)} CI)", f"Region − whole liver ({_level(result)} CI)"),
        rows=grouped(groups),
        footnotes=(
            "Shells have equal volume; shell 1 lies under the surface of the liver. Differences "
            "are within subjects, in percentage points.",
        ),
        empty="No scan was analysed.",
    )


def correlation_table(
    result: Any, *, labels: Labels | None = None, outcomes: Labels | None = None
) -> Table:
    """Rank correlations of types and biopsy components, from a `type_correlation` result."""
    frame = frame_of(
        result, "table",
        ("parameter", "outcome", "n", "estimate", "conf_low", "conf_high", "p_value",
         "p_adjusted"),
    )  # fmt: skip
    groups = []
    for outcome in order_of([*frame["outcome"]]):
        members = [
            Row(
                _named(row["parameter"], labels),
                (
                    integer(row["n"]),
                    interval(row["estimate"], row["conf_low"], row["conf_high"], 2),
                    p_value(row["p_value"]), p_value(row["p_adjusted"]),
                ),
            )
            for row in rows_of(frame[frame["outcome"].astype(str) == outcome])
        ]  # fmt: skip
        groups.append(((outcomes or {}).get(outcome, outcome), members))
    return Table(
        title=f"Rank correlation of tissue types and biopsy at {result.settings.get('visit')}",
        stub="Biopsy and tissue type",
        headers=("N", f"Rho ({_level(result)} CI)", "p", "Adjusted p"),
        rows=grouped(groups),
        footnotes=(
            "Spearman's rho, arms pooled. N: subjects with a scan and every biopsy component. "
            "Limits are of each correlation alone, by Fisher's z with the variance of Bonett and "
            "Wright; p by permutation of subjects, adjusted for all correlations together "
            "(single-step max-T).",
            *map(sentence, result.notes),
        ),
        empty="No subject has a scan and a biopsy.",
    )


def correlation_sentence(
    result: Any, *, labels: Labels | None = None, outcomes: Labels | None = None
) -> str:
    """Name the correlations that differ from none, else the largest."""
    frame = frame_of(result, "table", ("parameter", "outcome", "n", "estimate", "p_adjusted"))
    rows = [row for row in rows_of(frame) if row["estimate"] == row["estimate"]]
    if not rows:
        return str(result.text)
    alpha = 1 - float(result.settings.get("conf_level", 0.95))
    rows.sort(key=lambda row: -abs(row["estimate"]))

    def named(row: Mapping[str, Any]) -> str:
        outcome = (outcomes or {}).get(str(row["outcome"]), str(row["outcome"])).lower()
        return f"{_named(row['parameter'], labels)} with {outcome} ({number(row['estimate'])})"

    clear = [named(row) for row in rows if row["p_adjusted"] <= alpha]
    head = f"{integer(rows[0]['n'])} subjects at {result.settings.get('visit')}"
    if clear:
        return f"{head}; differing from none after adjustment for all pairs: {'; '.join(clear)}."
    return (
        f"{head}: no correlation differs from none after adjustment for all pairs; the largest is "
        f"{named(rows[0])}."
    )


def repeatability_of_types_table(results: Sequence[Any], *, labels: Labels | None = None) -> Table:
    """Noise of each type in repeat scans, from `repeatability` results."""
    rows = []
    for result in results:
        frame = frame_of(
            result, "table", ("parameter", "quantity", "estimate", "conf_low", "conf_high", "n")
        )
        for parameter in order_of([*frame["parameter"]]):
            if not parameter.startswith("TV"):
                continue
            part = frame[frame["parameter"].astype(str) == parameter]
            found = {str(r["quantity"]): r for r in rows_of(part)}
            cells = [_noise(found.get(name)) for name in _NOISE]
            count = next((r["n"] for r in found.values()), float("nan"))
            rows.append(Row(_named(parameter, labels), (integer(count), *cells)))
    return Table(
        title="Repeatability of the share of each tissue type (percentage points of the liver)",
        stub="Tissue type",
        headers=("N", "Within-subject SD", "Repeatability coefficient", "Smallest real change"),
        rows=tuple(rows),
        footnotes=(
            "From subjects scanned twice in one state; N: these subjects. With confidence limits "
            "where the analysis states them.",
        ),
        empty="No repeat scan was analysed.",
    )


def _noise(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    estimate, low, high = (100 * row[name] for name in ("estimate", "conf_low", "conf_high"))
    return interval(estimate, low, high, digits_for([estimate], 2))


def _level(result: Any) -> str:
    return confidence(result.settings.get("conf_level", 0.95) if result is not None else 0.95)


def _named(parameter: Any, labels: Labels | None) -> str:
    return (labels or {}).get(str(parameter), str(parameter))


def _spelled(text: str, labels: Labels | None) -> str:
    """Groups as a reader calls them: TV01+TV02 with TV08 -> Types 1, 2 with type 8."""
    if not labels:
        return text
    parts = []
    for part in text.split(" with "):
        numbers = [str(int(code[2:])) for code in part.split("+")]
        parts.append(f"type{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}")
    said = " with ".join(parts)
    return said[:1].upper() + said[1:]
