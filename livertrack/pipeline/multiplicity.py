"""Adjustment of the p-values of the plan's family, read from the results of its analyses."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

import livertrack as lt
from livertrack._results import Result, ard_result
from livertrack.errors import PlanError
from livertrack.plan import Plan


def family_adjustment(plan: Plan, ards: Mapping[str, pd.DataFrame]) -> Result:
    """Adjust together every p-value of the main table of each member of the family.

    An analysis with a visit contributes its rows of that visit only. A member that could not be
    computed contributes nothing, and a note says so.
    """
    family = plan.multiplicity
    if family is None:
        msg = "the plan has no multiplicity section"
        raise PlanError(msg)
    rows = [row for name in family.family for row in _p_values(plan, name, ards[name])]
    frame = pd.DataFrame(rows, columns=["hypothesis", "p_value"])
    if frame.empty:
        msg = "multiplicity: no analysis of the family has a p-value"
        raise PlanError(msg)
    p = frame.set_index("hypothesis")["p_value"]
    result: Result = lt.adjust_pvalues(p, family.method)
    return result


def _p_values(plan: Plan, name: str, ard: pd.DataFrame) -> list[tuple[str, float]]:
    if ard["frame"].eq("error").any():
        return []
    visit = next(a.visit for a in plan.analyses if a.id == name)
    rows = []
    for variable, part in ard.groupby("variable", sort=False):
        table = ard_result(part).table
        if "p_value" not in table:
            msg = f"multiplicity: analysis {name} has no p-value; take it out of the family"
            raise PlanError(msg)
        column = next((c for c in ("visit", "AVISIT") if c in table), None)
        if visit is not None and column is not None:
            table = table[table[column].eq(visit)]
        for record in table.to_dict("records"):
            level = record.get(plan.data.arm) or record.get("arm") or ""
            where = record.get(column, "") if column else ""
            label = ", ".join(str(x) for x in (name, variable, level, where) if x)
            rows.append((label, float(record["p_value"])))
    return rows
