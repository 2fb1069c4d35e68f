"""Adjustment of the p-values that the plan names, read from the results of its analyses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

import livertrack as lt
from livertrack._results import Result, StoredResult, ard_result
from livertrack.errors import PlanError
from livertrack.plan import Plan
from livertrack.plan_options.multiplicity import Hypothesis, Multiplicity

#: frames of a result that may hold its p-values, the first that does is taken
_FRAMES = ("table", "contrasts", "tests", "interactions")


def family_adjustment(plan: Plan, ards: Mapping[str, pd.DataFrame]) -> Result:
    """Adjust together the p-values of the family, or of the hypotheses, that the plan names.

    A family takes every p-value of its members, of an analysis with a visit those of that visit
    only. An analysis that could not be computed contributes nothing to a family, and a missing
    p-value to hypotheses.
    """
    settings = plan.multiplicity
    if settings is None:
        msg = "the plan has no multiplicity section"
        raise PlanError(msg)
    if settings.hypotheses:
        p = pd.Series(
            {name: _one(plan, name, h, ards) for name, h in settings.hypotheses.items()},
            dtype=float,
        )
    else:
        rows = [row for name in settings.family for row in _p_values(plan, name, ards[name])]
        frame = pd.DataFrame(rows, columns=["hypothesis", "p_value"])
        p = frame.set_index("hypothesis")["p_value"]
    if p.notna().sum() == 0:
        msg = "multiplicity: no analysis of the family has a p-value"
        raise PlanError(msg)
    return _adjusted(p, settings)


def _adjusted(p: pd.Series, settings: Multiplicity) -> Result:
    result: Result
    if settings.method == "graphical":
        weights = {name: settings.weights.get(name, 0.0) for name in p.index}
        result = lt.graphical_test(p, weights, settings.transitions, settings.alpha)
    elif settings.method == "closed":
        result = lt.closed_test(
            p, local=settings.local, weights=settings.weights or None, alpha=settings.alpha
        )
    elif settings.method == "gatekeeping":
        result = lt.gatekeeping(
            p, settings.families, component=settings.component, truncation=settings.truncation,
            alpha=settings.alpha,
        )  # fmt: skip
    else:
        result = lt.adjust_pvalues(p, settings.method, alpha=settings.alpha)
    return result


def _results(ard: pd.DataFrame) -> Iterator[StoredResult]:
    if not ard["frame"].eq("error").any():
        for _, part in ard.groupby("variable", sort=False):
            yield ard_result(part)


def _frame(result: StoredResult, name: str) -> pd.DataFrame:
    """First frame of a result that holds p-values."""
    for frame in _FRAMES:
        found = result.frames.get(frame)
        if found is not None and "p_value" in found:
            return found
    msg = f"multiplicity: analysis {name} has no p-value; take it out of the family"
    raise PlanError(msg)


def _visit_column(table: pd.DataFrame) -> str | None:
    return next((c for c in ("visit", "AVISIT") if c in table), None)


def _p_values(plan: Plan, name: str, ard: pd.DataFrame) -> list[tuple[str, float]]:
    visit = next(a.visit for a in plan.analyses if a.id == name)
    rows = []
    for result in _results(ard):
        table = _frame(result, name)
        column = _visit_column(table)
        if visit is not None and column is not None:
            table = table[table[column].eq(visit)]
        for record in table.to_dict("records"):
            level = record.get(plan.data.arm) or record.get("arm") or ""
            where = record.get(column, "") if column else ""
            label = ", ".join(str(x) for x in (name, result.variable, level, where) if x)
            rows.append((label, float(record["p_value"])))
    return rows


def _one(plan: Plan, name: str, hypothesis: Hypothesis, ards: Mapping[str, pd.DataFrame]) -> float:
    """The p-value of a hypothesis; NaN where its analysis could not be computed."""
    ard = ards[hypothesis.analysis]
    if ard["frame"].eq("error").any():
        return float("nan")
    found: list[float] = []
    for result in _results(ard):
        if hypothesis.parameter not in (None, result.variable):
            continue
        table = _frame(result, hypothesis.analysis)
        wanted: dict[str, Any] = dict(hypothesis.where)
        if hypothesis.arm is not None:
            wanted[plan.data.arm if plan.data.arm in table else "arm"] = hypothesis.arm
        if hypothesis.visit is not None:
            wanted[_visit_column(table) or "visit"] = hypothesis.visit
        lacking = [str(column) for column in wanted if column not in table]
        if lacking:
            msg = (
                f"multiplicity: hypothesis {name}: analysis {hypothesis.analysis} has no column "
                f"{', '.join(lacking)}; it has {', '.join(map(str, table.columns))}"
            )
            raise PlanError(msg)
        for column, value in wanted.items():
            table = table[table[column].astype(str).eq(str(value))]
        found += table["p_value"].astype(float).tolist()
    if len(found) != 1:
        msg = (
            f"multiplicity: hypothesis {name} matches {len(found)} p-values of analysis "
            f"{hypothesis.analysis}; parameter, arm, visit and where must choose one"
        )
        raise PlanError(msg)
    return found[0]
