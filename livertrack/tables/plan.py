"""Tables made of the plan: estimands with their five attributes, analyses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack.tables._endpoint_words import ENDPOINTS
from livertrack.tables._table import Row, Table, grouped


def estimand_table(plan: Mapping[str, Any]) -> Table:
    """List the estimands of a plan, each with the five attributes of ICH E9(R1)."""
    groups = []
    for estimand in plan.get("estimands") or []:
        events = [
            f"{event['event']}: {event['strategy']}"
            + (f" ({event['handling']})" if event.get("handling") else "")
            for event in estimand.get("intercurrent_events") or []
        ]
        rows = [
            Row("Treatment", (estimand["treatment"],)),
            Row("Population", (estimand["population"],)),
            Row("Variable", (estimand["variable"],)),
            Row("Intercurrent events", ("; ".join(events) or "none named",)),
            Row("Population-level summary", (estimand["summary"],)),
        ]
        groups.append((f"{estimand['label']} ({estimand['id']})", rows))
    return Table(
        title="Estimands, with the five attributes of ICH E9(R1)",
        stub="Attribute",
        headers=("Definition",),
        rows=grouped(groups),
        text_columns=(0,),
        footnotes=("Source: the statistical analysis plan.",),
        empty="The plan names no estimand.",
    )


def analysis_table(plan: Mapping[str, Any], *, failed: Mapping[str, str] | None = None) -> Table:
    """List the analyses of a plan: what, on which measures, when, for which estimand."""
    rows = []
    for analysis in plan.get("analyses") or []:
        state = "not estimable" if analysis["id"] in (failed or {}) else "computed"
        measures = analysis.get("parameters") or list(
            (analysis.get("options") or {}).get("feature_sets", {})
        )
        rows.append(
            Row(
                analysis["id"],
                (
                    ENDPOINTS.get(analysis["endpoint"], analysis["endpoint"].replace("_", " ")),
                    ", ".join(_shown(measures)) or "–",
                    analysis.get("visit") or "all",
                    analysis.get("estimand") or "–",
                    state,
                ),
            )
        )
    notes = [f"{name}: {reason}" for name, reason in (failed or {}).items()]
    return Table(
        title="Analyses of the plan",
        stub="Analysis",
        headers=("Endpoint", "Measures", "Visit", "Estimand", "State"),
        rows=tuple(rows),
        text_columns=(0, 1, 2, 3, 4),
        footnotes=tuple(notes),
        empty="The plan names no analysis.",
    )


def _shown(measures: Sequence[str]) -> list[str]:
    return [m.replace("TV*", "all tissue types (TV*)") for m in measures]
