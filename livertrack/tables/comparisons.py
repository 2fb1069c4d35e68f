"""Tables of arms compared: separation, adjusted means, responders, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from livertrack._views import benefit, frame_of, order_of, rows_of, variable_of
from livertrack.tables._format import (
    confidence,
    digits_for,
    integer,
    interval,
    number,
    p_value,
    proper,
)
from livertrack.tables._table import Row, Table, grouped

Labels = Mapping[str, str]
_SEPARATION = (
    "arm", "n_arm", "n_ref", "n_missing", "mean_arm", "mean_ref", "g", "g_low", "g_high", "auc",
    "auc_low", "auc_high",
)  # fmt: skip
_CONTRAST = (
    "estimate", "conf_low", "conf_high", "p_value", "n_arm", "n_ref",
)  # fmt: skip


def separation_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Standardised separation by measure and arm, from `separation` results (one per measure)."""
    level = _level(results)
    groups = []
    for result in results:
        measure = variable_of(result)
        frame = frame_of(result, "table", _SEPARATION)
        share = measure.startswith("TV") and measure[2:].isdigit()
        scale = 100 if share else 1  # proportions are shown as percent
        digits = 1 if share else digits_for([*frame["mean_arm"], *frame["mean_ref"]])
        rows = [
            Row(
                str(row["arm"]),
                (
                    f"{integer(row['n_arm'])} / {integer(row['n_ref'])}",
                    number(scale * row["mean_arm"], digits),
                    number(scale * row["mean_ref"], digits),
                    interval(row["g"], row["g_low"], row["g_high"]),
                    interval(row["auc"], row["auc_low"], row["auc_high"]),
                ),
            )
            for row in _ordered(frame, "arm", arms)
        ]
        way = benefit(measure)
        heading = (labels or {}).get(measure, measure) + (f", {way}" if way else "")
        groups.append((heading + (" (% of the liver)" if share else ""), rows))
    first = results[0].settings if results else {}
    mean = "Mean change" if first.get("value") == "CHG" else "Mean"
    return Table(
        title="Separation of each arm from "
        f"{first.get('reference', 'the reference')}, by measure",
        stub="Measure and arm",
        headers=(
            "N arm / reference", f"{mean}, arm", f"{mean}, reference",
            f"Hedges g ({level} CI)", f"AUC ({level} CI)",
        ),
        rows=grouped(groups),
        footnotes=(
            f"N: subjects with the value ({_value(first)}). Positive g and AUC above 0.5: the arm "
            "lies higher than the reference, whatever is good for the subject.",
            *_method(results, labels),
        ),
        empty="No measure could be compared.",
    )  # fmt: skip


def comparison_table(
    results: Sequence[Any], *, labels: Labels | None = None, metric: str = "auc"
) -> Table:
    """Paired differences of separation between two measures, from `compare_separation`."""
    columns = (
        "arm", "measure_1", "measure_2", "metric", "estimate_1", "estimate_2", "difference",
        "conf_low", "conf_high", "p_value", "n",
    )  # fmt: skip
    names = labels or {}
    rows: list[tuple[str, list[Row]]] = []
    for result in results:
        frame = frame_of(result, "table", columns)
        frame = frame[frame["metric"].astype(str) == metric]
        for arm in order_of([*frame["arm"]]):
            members = [
                Row(
                    f"{names.get(row['measure_1'], row['measure_1'])} v "
                    f"{names.get(row['measure_2'], row['measure_2'])}",
                    (
                        integer(row["n"]), number(row["estimate_1"]), number(row["estimate_2"]),
                        interval(row["difference"], row["conf_low"], row["conf_high"]),
                        p_value(row["p_value"]),
                    ),
                )
                for row in rows_of(frame[frame["arm"] == arm])
            ]  # fmt: skip
            rows.append((arm, members))
    what = {"auc": "AUC", "g": "|g|"}.get(metric, metric)
    return Table(
        title=f"Which measure separates the arms better: paired differences of {what}",
        stub="Arm and pair of measures",
        headers=(
            "N", "First", "Second", f"Difference ({_level(results)} CI)", "p",
        ),
        rows=grouped(rows),
        footnotes=(
            "N: subjects of the arm and the reference with both measures. A positive difference: "
            "the first measure separates better. Without a stated direction a measure counts as "
            "max(AUC, 1 − AUC).",
            *_method(results),
        ),
        empty="No pair of measures could be compared.",
    )  # fmt: skip


def measures_table(results: Sequence[Any], *, labels: Labels | None = None) -> Table:
    """AUC and g of each measure on the same subjects, from `compare_separation`, with optimism."""
    columns = (
        "arm", "measure", "g", "g_low", "g_high", "auc", "auc_low", "auc_high", "auc_apparent",
        "auc_optimism", "n_arm", "n_ref",
    )  # fmt: skip
    groups = []
    for result in results:
        frame = frame_of(result, "measures", columns)
        for arm in order_of([*frame["arm"]]):
            rows = [
                Row(
                    (labels or {}).get(str(row["measure"]), str(row["measure"])),
                    (
                        f"{integer(row['n_arm'])} / {integer(row['n_ref'])}",
                        interval(row["g"], row["g_low"], row["g_high"]),
                        interval(row["auc"], row["auc_low"], row["auc_high"]),
                        number(row["auc_apparent"]), number(row["auc_optimism"]),
                    ),
                )
                for row in rows_of(frame[frame["arm"].astype(str) == arm])
            ]  # fmt: skip
            groups.append((arm, rows))
    level = _level(results)
    return Table(
        title="Each measure on the subjects who have all of them, with the optimism of scores",
        stub="Arm and measure",
        headers=(
            "N arm / reference", f"Hedges g ({level} CI)", f"AUC ({level} CI)",
            "AUC where fitted", "Optimism",
        ),
        rows=grouped(groups),
        footnotes=(
            "AUC of a score of several measures: subjects it was not fitted to (cross-fitted). "
            "AUC where fitted: the same score on its own subjects; optimism is what it gains "
            "there and would lose in new ones. Single measures are fitted to nobody.",
        ),
        empty="No measure could be compared.",
    )  # fmt: skip


def contrast_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Differences of adjusted means from the reference, from `ancova` or `mmrm` contrasts."""
    groups = []
    for result in results:
        measure = variable_of(result)
        frame = frame_of(result, "table", _CONTRAST)
        arm = str(result.settings.get("arm", "arm"))
        arm = arm if arm in frame.columns else "arm"
        by = [c for c in ("AVISIT", "visit", "by") if c in frame.columns]
        digits = digits_for([*frame["estimate"], *frame["conf_low"], *frame["conf_high"]])
        rows = [
            Row(
                ", ".join([*(str(row[c]) for c in by), f"{row[arm]} minus {row['reference']}"]),
                (
                    f"{integer(row['n_arm'])} / {integer(row['n_ref'])}",
                    interval(row["estimate"], row["conf_low"], row["conf_high"], digits),
                    p_value(row["p_value"]),
                ),
            )
            for row in _ordered(frame, arm, arms, by=by)
        ]
        way = benefit(measure)
        heading = (labels or {}).get(measure, measure) + (f", {way}" if way else "")
        groups.append((heading, rows))
    return Table(
        title="Adjusted differences from the reference arm",
        stub="Measure and comparison",
        headers=("N arm / reference", f"Difference ({_level(results)} CI)", "p"),
        rows=grouped(groups),
        footnotes=(
            "In the unit of the measure. N: subjects in the model. A positive difference: higher "
            "than the reference.",
            *_method(results),
        ),
        empty="No model could be fitted.",
    )


def _value(settings: Mapping[str, Any]) -> str:
    words = {"CHG": "change from baseline", "AVAL": "value at the visit"}
    return words.get(str(settings.get("value", "")), str(settings.get("value", "value")))


def _level(results: Sequence[Any]) -> str:
    levels = [r.settings["conf_level"] for r in results if "conf_level" in r.settings]
    return confidence(levels[0]) if levels else "95 %"


def _method(results: Sequence[Any], labels: Labels | None = None) -> tuple[str, ...]:
    """Distinct methods and notes of the results, as footnotes; one note names its measures."""
    methods = dict.fromkeys(str(r.settings.get("method", "")) for r in results)
    notes: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            measure = variable_of(result)
            notes.setdefault(note, []).append((labels or {}).get(measure, measure))
    listed = []
    for note, measures in notes.items():
        everywhere = len(measures) == len(results) or not any(measures)
        told = everywhere or any(note.startswith(measure) for measure in measures)
        listed.append(sentence(note) if told else f"{', '.join(measures)}: {sentence(note)}")
    return (*(f"Method: {proper(method)}." for method in methods if method), *listed)


def sentence(note: str) -> str:
    """Write a note as a sentence."""
    return note[:1].upper() + note[1:] + ("" if note.endswith((".", "!", "?")) else ".")


def _ordered(
    frame: pd.DataFrame, arm: str, arms: Sequence[str], by: Sequence[str] = ()
) -> list[dict[str, Any]]:
    if arm not in frame.columns:
        return []
    places = {name: place for place, name in enumerate(order_of([*frame[arm]], arms))}
    keys = pd.DataFrame({"arm": frame[arm].astype(str).map(places)})
    for column in by:
        keys.insert(
            0, column, frame[column].map({v: i for i, v in enumerate(frame[column].unique())})
        )
    order = keys.sort_values(list(keys.columns), kind="stable").index
    return rows_of(frame.loc[order])
