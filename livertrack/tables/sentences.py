"""Plain sentences for a reader who does not read tables, made of the numbers of a result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from livertrack._region_names import SECTORS, region_name
from livertrack._views import (
    BENEFIT,
    frame_of,
    is_type,
    order_of,
    rows_of,
    scale_of,
    variable_of,
)
from livertrack.tables._format import confidence, digits_for, integer, interval, number, p_value
from livertrack.tables.prediction import metric_name, set_name

_REGION = re.compile(rf"region ((?:SHELL|VESSEL)\d+|{'|'.join(sorted(SECTORS, reverse=True))})\b")
_FROM = {"shell": " (of the liver, counted from its surface)", "vessel": " (counted from vessels)"}
_PAIRS = (
    "arm", "measure_1", "measure_2", "metric", "estimate_1", "estimate_2", "p_value", "n",
)  # fmt: skip


def contrast_sentences(
    result: Any, *, label: str, arms: Sequence[str] = (), visit: str | None = None
) -> list[str]:
    """Say how far each arm moved from the reference, and whether that is good.

    Parameters
    ----------
    result : an `ancova` or `dunnett` result, or `mmrm` contrasts
    label : str
        What the measure is called, with its unit.
    visit : str, optional
        Only the contrasts of this visit; otherwise all of them.
    """
    frame = frame_of(
        result, "table", ("reference", "estimate", "conf_low", "conf_high", "p_value")
    )
    arm = str(result.settings.get("arm", "arm"))
    arm = arm if arm in frame.columns else "arm"
    if visit is not None and "AVISIT" in frame.columns:
        frame = frame[frame["AVISIT"].astype(str) == visit]
    level = confidence(result.settings.get("conf_level", 0.95))
    digits = digits_for([*frame["estimate"], *frame["conf_low"], *frame["conf_high"]])
    limits, p = f"{level} CI", "p"
    if "p_adjusted" in frame.columns:
        frame = frame.assign(p_value=frame["p_adjusted"])
        limits, p = f"simultaneous {level} CI", "adjusted p"
    rows = rows_of(frame)
    places = order_of([row[arm] for row in rows], arms)
    rows.sort(key=lambda row: places.index(str(row[arm])))
    sentences = []
    for row in rows:
        head = f"{label}, {row[arm]} minus {row['reference']}"
        if row.get("AVISIT") or visit:
            head += f" at {row.get('AVISIT') or visit}"
        if row["estimate"] != row["estimate"]:
            sentences.append(f"{head}: not estimable.")
            continue
        shown = interval(row["estimate"], row["conf_low"], row["conf_high"], digits)
        shown = shown.replace("(", f"({limits} ", 1)
        tail = _favours(variable_of(result), row, arm)
        sentences.append(f"{head}: {shown}, {p} {_relation(row['p_value'])}{tail}.")
    return sentences


def separation_sentence(results: Sequence[Any], *, arm: str, labels: Any) -> str:
    """Name the measures that separate an arm most clearly, by AUC away from one half."""
    found = []
    for result in results:
        for row in rows_of(frame_of(result, "table", ("arm", "auc", "auc_low", "auc_high", "g"))):
            if str(row["arm"]) == arm and row["auc"] == row["auc"]:
                found.append((abs(row["auc"] - 0.5), variable_of(result), row))
    if not found:
        return f"{arm}: no measure could be compared."
    found.sort(key=lambda item: (-item[0], item[1]))
    parts = []
    for _, measure, row in found[:3]:
        way = "higher" if row["auc"] > 0.5 else "lower"
        shown = interval(row["auc"], row["auc_low"], row["auc_high"])
        parts.append(f"{labels(measure)} ({way}; AUC {shown}; g {number(row['g'])})")
    reference = results[0].settings.get("reference", "the reference")
    return f"{arm} v {reference}, the measures furthest apart: {'; '.join(parts)}."


def pathway_sentence(result: Any) -> str:
    """Give the sentence of a `change_pathways` result with regions named for a reader."""

    def name(match: re.Match[str]) -> str:
        words = region_name(match[1])
        return f"the {words}" if match[1] in SECTORS else words + _FROM[words.split()[0]]

    return _REGION.sub(name, str(result.text))


def prediction_sentence(result: Any, *, outcome: str) -> str:
    """Give the leading metric of each feature set of a `biopsy_prediction` result."""
    rows = rows_of(
        frame_of(result, "table", ("feature_set", "metric", "estimate", "conf_low", "conf_high"))
    )
    leading = str(rows[0]["metric"]) if rows else ""
    parts = [
        f"{set_name(str(row['feature_set']))} "
        f"{interval(row['estimate'], row['conf_low'], row['conf_high'])}"
        for row in rows
        if str(row["metric"]) == leading
    ]
    if not parts:
        return f"{outcome}: nothing could be predicted."
    n = result.settings.get("n_subjects")
    return (
        f"{outcome} predicted for subjects the model had not seen (N = {n}): "
        f"{metric_name(leading)} {'; '.join(parts)}."
    )


def comparison_sentences(result: Any, *, labels: Any, metric: str = "auc") -> list[str]:
    """Name the pairs of measures of which one separates the arms better, per arm."""
    frame = frame_of(result, "table", _PAIRS)
    frame = frame[frame["metric"].astype(str) == metric]
    alpha = 1 - float(result.settings.get("conf_level", 0.95))
    reference = result.settings.get("reference", "the reference")
    sentences = []
    for arm in order_of([*frame["arm"]]):
        rows = rows_of(frame[frame["arm"].astype(str) == arm])
        clear = [_better(row, labels) for row in rows if row["p_value"] <= alpha]
        head = f"{arm} v {reference}"
        if clear:
            sentences.append(
                f"{head}, {len(clear)} of {len(rows)} pairs of measures: {'; '.join(clear)}. "
                "These p-values are not adjusted for the number of pairs."
            )
        else:
            sentences.append(
                f"{head}: none of the {len(rows)} pairs of measures differs clearly in how well "
                "it separates the arms."
            )
    return sentences


def real_change_sentences(noise: Any, real: Any | None, *, labels: Any) -> list[str]:
    """Say per measure which change is real and who changed by more.

    Parameters
    ----------
    noise : a `repeatability` result
    real : a `real_change` result, or None
    labels : callable
        Names a PARAMCD.
    """
    frame = frame_of(noise, "table", ("parameter", "quantity", "estimate", "n"))
    least = frame[frame["quantity"].astype(str) == "smallest_real_change"]
    counts = rows_of(frame_of(real, "table", ("parameter", "arm", "n", "changed")))
    sentences = []
    for row in rows_of(least):
        name = str(row["parameter"])
        if row["estimate"] != row["estimate"]:
            sentences.append(f"{labels(name)}: no subject was measured twice.")
            continue
        size = scale_of(name) * row["estimate"]
        shown = number(size, 1 if is_type(name) else digits_for([size]))
        unit = " percentage points of the liver" if is_type(name) else ""
        who = ", ".join(
            f"{r['arm']} {integer(r['changed'])} of {integer(r['n'])}"
            for r in counts
            if str(r["parameter"]) == name
        )
        tail = f"; changed by more: {who}" if who else ""
        sentences.append(
            f"{labels(name)}: a change of more than {shown}{unit} is real "
            f"({integer(row['n'])} subjects measured twice){tail}."
        )
    return sentences


def max_t_sentences(result: Any, *, labels: Any, arms: Sequence[str] = ()) -> list[str]:
    """Name the measures that differ after adjustment for all of them, per arm."""
    frame = frame_of(result, "table", ("arm", "value", "estimate", "p_adjusted"))
    alpha = 1 - float(result.settings.get("conf_level", 0.95))
    reference = result.settings.get("reference", "the reference")
    sentences = []
    for arm in order_of([*frame["arm"]], arms):
        rows = rows_of(frame[frame["arm"].astype(str) == arm])
        clear = [
            f"{labels(str(row['value']))} ({'higher' if row['estimate'] > 0 else 'lower'}, "
            f"adjusted p {_relation(row['p_adjusted'])})"
            for row in rows
            if row["p_adjusted"] <= alpha
        ]
        found = "; ".join(clear) if clear else "none"
        sentences.append(
            f"{arm} v {reference}, differing after adjustment for all {len(rows)} measures and "
            f"every arm: {found}."
        )
    return sentences


def _better(row: dict[str, Any], labels: Any) -> str:
    better, worse = ("1", "2") if row["estimate_1"] >= row["estimate_2"] else ("2", "1")
    first, second = labels(row[f"measure_{better}"]), labels(row[f"measure_{worse}"])
    return (
        f"{first} better than {second} (AUC {number(row[f'estimate_{better}'])} v "
        f"{number(row[f'estimate_{worse}'])}, p {_relation(row['p_value'])})"
    )


def _relation(p: Any) -> str:
    text = p_value(p)
    return f"{text[0]} {text[1:]}" if text[0] in "<>" else f"= {text}"


def _favours(measure: str, row: dict[str, Any], arm: str) -> str:
    way = BENEFIT.get(measure)
    if way is None or not row["p_value"] <= 0.05:
        return ""
    good = (row["estimate"] < 0) == (way == "lower")
    return f"; {way} is better, in favour of {row[arm] if good else row['reference']}"
