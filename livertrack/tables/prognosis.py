"""Tables of prognosis of events, and of the importance of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import confidence, integer, interval, number, p_value, percent
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import sentence
from livertrack.tables.prediction import compared_table, metric_name

_TABLE = (
    "model", "metric", "horizon", "estimate", "conf_low", "conf_high", "p_value", "chance", "n",
)  # fmt: skip
_PAIRS = (
    "model_1", "model_2", "metric", "horizon", "estimate_1", "estimate_2", "difference",
    "conf_low", "conf_high", "p_value",
)  # fmt: skip
_GROUPS = (
    "model", "group", "n", "events", "horizon", "predicted", "observed", "conf_low", "conf_high",
    "p_value",
)  # fmt: skip
_IMPORTANCE = ("feature", "metric", "estimate", "conf_low", "conf_high", "whole", "n")


def prognosis_table(result: Any, *, outcome: str = "the event", unit: str = "") -> Table:
    """Discrimination, accuracy and calibration of every model, from `prognosis`."""
    frame = frame_of(result, "table", _TABLE)
    models = order_of([*frame["model"]], result.settings.get("models"))
    cells = {(str(r["model"]), str(r["metric"]), _time(r["horizon"])): r for r in rows_of(frame)}
    groups = []
    for horizon in order_of([_time(h) for h in frame["horizon"]], [""]):
        rows = []
        for metric in order_of([m for _, m, h in cells if h == horizon]):
            found = [cells.get((name, metric, horizon)) for name in models]
            rows.append(Row(metric_name(metric), tuple(
                interval(r["estimate"], r["conf_low"], r["conf_high"]) if r else "–"
                for r in found
            )))  # fmt: skip
            if any(r is not None and r["p_value"] == r["p_value"] for r in found):
                rows.append(Row(
                    f"Permutation p, {metric_name(metric)}",
                    tuple(p_value(r["p_value"]) if r else "–" for r in found),
                ))  # fmt: skip
        groups.append((f"At {horizon} {unit}".strip() if horizon else "Over follow-up", rows))
    settings = result.settings
    return Table(
        title=f"Prognosis of {outcome}: performance out of fold",
        stub="Metric",
        headers=tuple(models),
        rows=grouped(groups),
        footnotes=(
            f"Estimate ({confidence(settings.get('conf_level', 0.95))} CI over subjects). "
            f"{integer(settings.get('n_subjects'))} subjects, "
            f"{integer(settings.get('n_events'))} with the event. Censoring is weighed by its "
            "Kaplan-Meier curve.",
            f"Method: {sentence(str(settings.get('method', 'cross-validation')))}",
            *map(sentence, result.notes),
        ),
        empty="Nothing could be predicted.",
    )


def prognosis_comparison_table(result: Any) -> Table:
    """Differences between models of an event on the same folds."""
    rows = []
    for row in rows_of(frame_of(result, "comparison", _PAIRS)):
        at = _time(row["horizon"])
        metric = metric_name(str(row["metric"])) + (f" at {at}" if at else "")
        rows.append((f"{row['model_1']} v {row['model_2']}", metric, row))
    return compared_table(
        rows, title="Prognostic models compared on the same folds", of="model",
        conf_level=result.settings.get("conf_level", 0.95),
        footnote="First minus second; for Brier scores less is better.",
    )  # fmt: skip


def risk_group_table(result: Any) -> Table:
    """Risk groups of every model: mean risk and observed share by the last horizon."""
    groups: dict[str, list[Row]] = {}
    for row in rows_of(frame_of(result, "groups", _GROUPS)):
        name = f"{row['model']}, log-rank p {_relation(row['p_value'])}"
        cells = (
            integer(row["n"]), integer(row["events"]), percent(row["predicted"]),
            f"{percent(row['observed'])} ({percent(row['conf_low'])} to "
            f"{percent(row['conf_high'])})",
        )  # fmt: skip
        groups.setdefault(name, []).append(Row(f"Group {row['group']}", cells))
    conf = confidence(result.settings.get("conf_level", 0.95))
    last = _time(next(iter(frame_of(result, "groups", _GROUPS)["horizon"]), math.nan))
    return Table(
        title=f"Risk groups, by {last}" if last else "Risk groups",
        stub="Model and group",
        headers=("N", "Events", "Mean risk", f"Observed ({conf} CI)"),
        rows=grouped(list(groups.items())),
        footnotes=(
            "Groups of equal size by out-of-fold risk. Observed: Kaplan-Meier; events: over all "
            "of follow-up.",
        ),
        empty="No risk group has subjects.",
    )


def importance_table(results: Sequence[Any], *, names: Sequence[str] = ()) -> Table:
    """Metric lost without each feature, from `permutation_importance` results."""
    groups = []
    for place, result in enumerate(results):
        frame = frame_of(result, "table", _IMPORTANCE)
        rows = [
            Row(str(r["feature"]), (interval(r["estimate"], r["conf_low"], r["conf_high"], 3),))
            for r in rows_of(frame)
        ]
        first = next(iter(rows_of(frame)), {})
        name = names[place] if place < len(names) else str(result.settings.get("outcome", ""))
        metric = metric_name(str(first.get("metric", "")))
        heading = f"{name}: {metric} {number(first.get('whole'))} with all features"
        groups.append((heading, rows))
    conf = confidence(results[0].settings.get("conf_level", 0.95) if results else 0.95)
    return Table(
        title="What carries the prediction",
        stub="Feature",
        headers=(f"Loss without it ({conf} CI)",),
        rows=grouped(groups),
        footnotes=(
            "Loss of the metric when the feature is exchanged among subjects of the test fold; "
            "nothing is refitted. A feature whose information others carry too loses little.",
        ),
        empty="No feature was exchanged.",
    )


def _time(value: Any) -> str:
    """Horizon as text; blank where a metric has none (stored results hold text)."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return ""
    return "" if math.isnan(found) else f"{found:g}"


def _relation(p: Any) -> str:
    text = p_value(p)
    return f"{text[0]} {text[1:]}" if text[0] in "<>" else f"= {text}"
