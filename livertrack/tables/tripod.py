"""Tables of a prediction report in the order of TRIPOD+AI: questions, predictors, checklist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack.tables._endpoint_words import ENDPOINTS
from livertrack.tables._format import MISSING, integer
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.prediction import set_name

#: endpoints of a plan that predict
PREDICTING = ("biopsy_prediction", "cross_validate", "permutation_importance", "prognosis")
_TASKS = {
    "binary": "yes or no", "ordinal": "stages in order", "continuous": "a measured value",
}  # fmt: skip


def prediction_question_table(
    plan: Mapping[str, Any], results: Sequence[Any], *, outcomes: Mapping[str, str]
) -> Table:
    """What was predicted, from when, in how many subjects.

    Parameters
    ----------
    plan : mapping
    results : sequence of results
        Of the endpoints that predict.
    outcomes : mapping of analysis id to text
        What each is about.
    """
    rows = []
    for result in results:
        entry = _entry(plan, result.analysis)
        options, settings = entry.get("options") or {}, result.settings
        kind = "time to an event" if result.context == "prognosis" else _TASKS.get(
            str(settings.get("task", "")), MISSING)  # fmt: skip
        events = settings.get("n_events")
        known = isinstance(events, (int, float))
        rows.append(Row(
            outcomes.get(result.analysis, result.variable),
            (
                ENDPOINTS.get(result.context, result.context), kind,
                entry.get("visit") or plan["data"]["baseline"],
                options.get("outcome_visit") or (
                    "follow-up" if result.context == "prognosis"
                    else entry.get("visit") or plan["data"]["baseline"]
                ),
                integer(settings.get("n_subjects")), integer(events) if known else MISSING,
            ),
        ))  # fmt: skip
    return Table(
        title="Questions of prediction",
        stub="Outcome",
        headers=("Analysis", "Kind", "Predictors at", "Outcome at", "Subjects", "With event"),
        rows=tuple(rows),
        text_columns=(0, 1, 2, 3),
        footnotes=(
            "Subjects: analysed subjects with the outcome. Events are counted where the result "
            "states them.",
        ),
        empty="The plan names no prediction.",
    )


def predictor_table(plan: Mapping[str, Any], *, labels: Mapping[str, str] | None = None) -> Table:
    """Predictors of every analysis, as the plan names them."""
    groups = []
    for entry in plan.get("analyses") or []:
        if entry["endpoint"] not in PREDICTING:
            continue
        options = entry.get("options") or {}
        sets = options.get("feature_sets") or {"features": options.get("features") or []}
        rows = [
            Row(set_name(str(name)), (", ".join(_member(str(m), labels or {}) for m in members),))
            for name, members in sets.items()
        ]
        groups.append((str(entry.get("title") or entry["id"]), rows))
    return Table(
        title="Predictors, by analysis and feature set",
        stub="Feature set",
        headers=("Predictors",),
        rows=grouped(groups),
        text_columns=(0,),
        footnotes=("Source: the statistical analysis plan.",),
        empty="The plan names no predictor.",
    )


def tripod_table(where: Mapping[str, str]) -> Table:
    """Items of TRIPOD+AI and where each stands; what the data cannot tell is left to authors.

    ``where`` maps an item of `ITEMS` to the place in the report.
    """
    rows = [
        (part, [Row(item, (where.get(item) or "to be added by the authors",)) for item in items])
        for part, items in ITEMS.items()
    ]
    return Table(
        title="Items of TRIPOD+AI and where they stand",
        stub="Item",
        headers=("Where",),
        rows=grouped(rows),
        text_columns=(0,),
        footnotes=("After Collins et al. (2024), in short words.",),
    )


ITEMS = {
    "Introduction": ("Background and use", "Objectives"),
    "Methods": (
        "Source of data", "Participants", "Outcome", "Predictors", "Sample size", "Missing data",
        "Model building", "Evaluation", "Fairness", "Ethical approval",
    ),
    "Open science": ("Protocol and plan", "Code and versions", "Data sharing", "Funding"),
    "Results": (
        "Flow of participants", "Characteristics", "Model specification", "Performance",
        "Performance in groups",
    ),
    "Discussion": ("Interpretation", "Limitations", "Use"),
}  # fmt: skip


def _entry(plan: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next((a for a in plan.get("analyses") or [] if a["id"] == name), {})


def _member(pattern: str, labels: Mapping[str, str]) -> str:
    return "all tissue types" if pattern == "TV*" else labels.get(pattern, pattern)
