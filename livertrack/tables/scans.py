"""Tables and listings of scan quality: flags with limits, exclusions, sites, registration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import (
    confidence,
    count_percent,
    digits_for,
    integer,
    interval,
    number,
    p_value,
    percent,
)
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import sentence

Labels = Mapping[str, str]
TOTAL = "Total"
#: flag -> measure, what a reader calls it, the limit of the plan and how it reads
FLAGS: Mapping[str, tuple[str, str, str, str]] = {
    "volume": ("VOLML", "Liver volume", "volume_ml", "outside {0:g} to {1:g} mL"),
    "parts": ("LARGEST", "Mask in several parts", "largest_part", "largest part below {0:.0%}"),
    "edge": ("", "Mask touches the edge of the image", "", "any voxel"),
    "noise": ("SNR", "Noise", "snr", "signal-to-noise ratio below {0:g}"),
    "ghosting": ("GHOST", "Ghosting", "ghost", "above {0:g}"),
    "clipping": ("CLIPPED", "Clipped voxels", "clipped", "above {0:.1%} of the liver"),
    "shift": ("ALIGNMM", "Shift between sequences", "shift_mm", "above {0:g} mm"),
    "scale": ("", "Scaled by the liver itself", "", "no body in the image"),
}
_SHORT = {
    "VOLML": "Volume (mL)", "LARGEST": "Largest part", "SNR": "Signal to noise",
    "GHOST": "Ghosting", "CLIPPED": "Clipped", "ALIGNMM": "Shift (mm)",
}  # fmt: skip
#: registration measures -> what a reader calls them
REGISTRATION_MEASURES = {
    "DICE0": "Overlap before registration (Dice)", "DICE": "Overlap after registration (Dice)",
    "SURFMM": "Mean distance of the surfaces (mm)", "CORREL": "Correlation of the images",
    "SHIFTMM": "Shift of the liver (mm)", "OUTFOV": "Share of the liver out of the image",
    "OUTVIEW": "Share of the liver without a counterpart", "JACLOW": "Least local volume ratio",
    "JACHIGH": "Largest local volume ratio", "NFOLD": "Folded voxels", "NVOX": "Liver voxels",
}  # fmt: skip


def limit_text(flag: str, limits: Mapping[str, Any]) -> str:
    """Limit behind a flag, in words and with the number of the plan."""
    _, _, name, words = FLAGS.get(flag, ("", flag, "", ""))
    value = limits.get(name)
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not name or None in values:
        return words
    return words.format(*(float(str(one)) for one in values)).replace("%", " %")


def flag_table(result: Any, *, arms: Sequence[str], limits: Mapping[str, Any]) -> Table:
    """Scans beyond each limit by visit and arm, from a `scan_quality` result."""
    frame = frame_of(result, "flags", ("flag", "visit", "arm", "n", "n_scans"))
    seen = order_of([*frame["arm"]], [*arms, TOTAL])
    groups = []
    for flag in [name for name in FLAGS if limits or name in set(frame["flag"])]:
        part = frame[frame["flag"].astype(str) == flag]
        cells = {(str(r["visit"]), str(r["arm"])): r for r in rows_of(part)}
        heading = f"{FLAGS[flag][1]}: {limit_text(flag, limits)}"
        members = [
            Row(visit, tuple(_share(cells.get((visit, arm))) for arm in seen))
            for visit in order_of([*part["visit"]])
        ]
        groups.append((heading, members or [Row("All visits", ("0",) * len(seen))]))
    return Table(
        title="Scans beyond the quality limits of the plan, by visit and arm",
        stub="Limit and visit",
        headers=tuple(seen),
        rows=grouped(groups) if seen else (),
        footnotes=(
            "Scans (%). Denominator: scans acquired in that arm at that visit. A flag excludes no "
            "scan; it asks for a look. One scan can have several.",
        ),
        empty="No scan passes beyond a limit.",
    )


def exclusion_table(result: Any, *, what: str = "scan") -> Table:
    """Reasons of exclusion with their counts, from a quality result."""
    frame = frame_of(result, "reasons", ("reason", "n"))
    return Table(
        title=f"Reasons for which a {what} was left out",
        stub="Reason",
        headers=("Scans",),
        rows=tuple(
            Row(str(row["reason"])[:1].upper() + str(row["reason"])[1:], (integer(row["n"]),))
            for row in rows_of(frame)
        ),
        footnotes=("Counts are scans; each has one reason, the first that applied.",),
        empty=f"No {what} was left out.",
    )


def site_table(result: Any, *, labels: Labels) -> Table:
    """Share of the variance between sites or scanners, from a `site_effects` result."""
    columns = ("factor", "measure", "n", "n_levels", "estimate", "conf_low", "conf_high",
               "p_value", "p_adjusted")  # fmt: skip
    frame = frame_of(result, "table", columns)
    groups = []
    for factor in order_of([*frame["factor"]]):
        members = [
            Row(
                labels.get(str(row["measure"]), str(row["measure"])),
                (
                    f"{integer(row['n'])} / {integer(row['n_levels'])}",
                    interval(row["estimate"], row["conf_low"], row["conf_high"], 2),
                    p_value(row["p_value"]), p_value(row["p_adjusted"]),
                ),
            )
            for row in rows_of(frame[frame["factor"].astype(str) == factor])
        ]  # fmt: skip
        groups.append((labels.get(factor, factor), members))
    level = confidence(result.settings.get("conf_level", 0.95)) if result is not None else "95 %"
    return Table(
        title="How much of each measure is the site's or the scanner's, at baseline",
        stub="Factor and measure",
        headers=("N / levels", f"Share of the variance ({level} CI)", "p", "Adjusted p"),
        rows=grouped(groups),
        footnotes=(
            "Share of the variance between levels: intraclass correlation of a one-way analysis "
            "of variance; below 0 where levels differ less than chance would make them. Adjusted "
            "p: Holm, over the measures of a factor. N: subjects with an analysed baseline scan.",
            *map(sentence, result.notes if result is not None else ()),
        ),
        empty="The study has one site and one scanner, or does not name them.",
    )


def site_sentences(result: Any, *, labels: Labels) -> list[str]:
    """Name the measures that differ between the levels of each factor."""
    frame = frame_of(result, "table", ("factor", "measure", "n_levels", "estimate", "p_adjusted"))
    alpha = 1 - float(result.settings.get("conf_level", 0.95))
    sentences = []
    for factor in order_of([*frame["factor"]]):
        rows = rows_of(frame[frame["factor"].astype(str) == factor])
        found = [
            f"{labels.get(str(r['measure']), str(r['measure']))} "
            f"({percent(r['estimate'])} of the variance)"
            for r in rows if r["p_adjusted"] <= alpha
        ]  # fmt: skip
        sentences.append(
            f"{labels.get(factor, factor)} ({integer(rows[0]['n_levels'])}): after adjustment for "
            f"{len(rows)} measures, "
            + (f"these differ: {'; '.join(found)}." if found else "none differs.")
        )
    return sentences


def registration_table(result: Any, *, arms: Sequence[str]) -> Table:
    """Follow-up scans brought onto their baseline by visit and arm."""
    frame = frame_of(result, "table", ("arm", "visit", "n_scans", "n_analysed"))
    total = frame_of(result, "totals", ("visit", "n_scans", "n_analysed")).assign(arm=TOTAL)
    both = pd.concat([frame, total], ignore_index=True) if len(frame) else frame
    levels = order_of([*both["arm"]], [*arms, TOTAL])
    cells = {(str(r["visit"]), str(r["arm"])): r for r in rows_of(both)}
    rows = [
        Row(visit, tuple(
            count_percent(cell["n_analysed"], cell["n_scans"]) if cell is not None else "–"
            for cell in (cells.get((visit, arm)) for arm in levels)
        ))
        for visit in order_of([*frame["visit"]])
    ]  # fmt: skip
    return Table(
        title="Follow-up scans brought onto the baseline scan, by visit and arm",
        stub="Visit",
        headers=tuple(levels),
        rows=tuple(rows),
        footnotes=("Scans (%). Denominator: follow-up scans of subjects with a baseline scan.",),
        empty="No follow-up scan was registered.",
    )


def finding_table(findings: pd.DataFrame | None) -> Table:
    """Problems found when the study was checked."""
    rows = tuple(
        Row(
            f"{row['dataset']}.{row['column']}" if row["column"] else str(row["dataset"]),
            (str(row["severity"]), str(row["problem"]), integer(row["count"]), str(row["cure"])),
        )
        for row in rows_of(findings if findings is not None else pd.DataFrame())
    )
    return Table(
        title="What the check of the study found",
        stub="Where",
        headers=("Severity", "Problem", "Rows", "What to do"),
        rows=rows,
        text_columns=(0, 1, 3),
        footnotes=("Rows: rows, subjects or files concerned.",),
        empty="The check found nothing.",
    )


def flagged_listing(
    scans: pd.DataFrame, *, visits: Sequence[str], limits: Mapping[str, Any]
) -> Table:
    """List every scan that was excluded or passes beyond a limit, with its numbers."""
    flags = scans["FLAGS"] if "FLAGS" in scans else pd.Series("", index=scans.index)
    scans = scans.assign(FLAGS=flags.fillna(""), REASON=scans["REASON"].fillna(""))
    place = {visit: number for number, visit in enumerate(visits)}
    shown = scans[scans["SCANFL"].ne("Y") | scans["FLAGS"].ne("")]
    order = shown["AVISIT"].astype(str).map(place).fillna(len(place))
    shown = shown.assign(_visit=order).sort_values(["USUBJID", "_visit"], kind="stable")
    measures = [m for m, *_ in FLAGS.values() if m in shown and shown[m].notna().any()]
    digits = {m: digits_for(shown[m].astype(float)) for m in measures}
    rows = tuple(
        Row(
            str(row["USUBJID"]),
            (
                str(row["AVISIT"]), "Yes" if row["SCANFL"] == "Y" else "No", row["REASON"],
                row["FLAGS"], *(number(row[m], digits[m]) for m in measures),
            ),
        )
        for row in rows_of(shown)
    )  # fmt: skip
    said = "; ".join(
        f"{flag}: {limit_text(flag, limits)}" for flag in FLAGS if limit_text(flag, limits)
    )
    return Table(
        title="Scans that were excluded or pass beyond a quality limit",
        stub="Subject",
        headers=("Visit", "Analysed", "Reason", "Beyond", *(_SHORT.get(m, m) for m in measures)),
        rows=rows,
        text_columns=(0, 1, 2, 3),
        footnotes=(f"Limits of the plan: {said}.",),
        empty="No scan was excluded and none passes beyond a limit.",
    )


def visit_listing(scans: pd.DataFrame, *, visits: Sequence[str]) -> Table:
    """List which subject was scanned when, and which scans were analysed."""
    names = order_of([*scans["AVISIT"].astype(str)], visits)
    held = {
        (str(r["USUBJID"]), str(r["AVISIT"])): "analysed" if r["SCANFL"] == "Y" else "excluded"
        for r in rows_of(scans)
    }
    return Table(
        title="Scans of each subject by visit",
        stub="Subject",
        headers=tuple(names),
        rows=tuple(
            Row(subject, tuple(held.get((subject, visit), "–") for visit in names))
            for subject in sorted({str(s) for s in scans["USUBJID"]})
        ),
        text_columns=tuple(range(len(names))),
        footnotes=("A dash: no scan.",),
        empty="No subject was scanned.",
    )


def _share(cell: Mapping[str, Any] | None) -> str:
    return "–" if cell is None else count_percent(cell["n"], cell["n_scans"])


__all__ = [
    "FLAGS",
    "REGISTRATION_MEASURES",
    "exclusion_table",
    "finding_table",
    "flag_table",
    "flagged_listing",
    "limit_text",
    "registration_table",
    "site_sentences",
    "site_table",
    "visit_listing",
]
