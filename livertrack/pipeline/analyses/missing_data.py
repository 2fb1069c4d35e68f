"""Analyses with imputed records: intercurrent events as the estimand handles them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

import livertrack as lt
from livertrack._intercurrent import strategies
from livertrack._seeds import spawn
from livertrack.pipeline.analyses._task import Answer, Task, answers


@answers("imputation")
def _imputation(task: Task) -> Iterator[Answer]:
    for parameter, imputation in _imputations(task):
        yield (
            parameter,
            imputation.analyse(
                _analysis(task), delta=task.options.delta, conf_level=task.conf_level
            ),
        )


@answers("tipping_point")
def _tipping_point(task: Task) -> Iterator[Answer]:
    for parameter, imputation in _imputations(task):
        yield (
            parameter,
            imputation.tipping_point(
                task.options.deltas, reference_deltas=task.options.reference_deltas,
                visit=task.visit, formula=_analysis(task), conf_level=task.conf_level,
            ),
        )  # fmt: skip


def _imputations(task: Task) -> Iterator[tuple[str, Any]]:
    options, study = task.options, task.study
    estimand = next(e for e in study.plan.estimands if e.id == task.analysis.estimand)
    events = strategies(study.intercurrent, estimand, study.analysed()["USUBJID"].tolist())
    data = study.plan.data
    after = data.visits[data.visits.index(data.baseline) + 1 :]
    for parameter in task.parameters:
        records = pd.concat(
            [study.values(parameter, visit).assign(AVISIT=visit) for visit in after],
            ignore_index=True,
        )
        seen = records.groupby("AVISIT")[options.value].count()
        measured = [visit for visit in after if seen[visit]]
        records = records[records["AVISIT"].isin(measured)]
        records["AVISIT"] = pd.Categorical(records["AVISIT"], measured, ordered=True)
        yield parameter, lt.impute(
            records, value=options.value, **task.arms, covariates=options.covariates,
            formula=task.fill(options.formula) if options.formula else None,
            events=_at_visits(events, measured, after), draws=options.draws,
            n_imputations=options.n_imputations,
            seed=None if options.draws == "conditional-mean" else _seed(task, parameter),
        )  # fmt: skip


def _at_visits(events: pd.DataFrame, measured: list[str], after: list[str]) -> pd.DataFrame:
    """Events at the first visit of the measure that they affect; those after all drop out."""
    following = {
        visit: next((v for v in after[number:] if v in measured), None)
        for number, visit in enumerate(after)
    }
    moved = events.assign(AVISIT=events["AVISIT"].map(following))
    return moved[moved["AVISIT"].notna()].reset_index(drop=True)


def _seed(task: Task, parameter: str) -> int:
    """Seed of an estimand and measure: its analyses share their imputed values."""
    names = ("imputation", str(task.analysis.estimand), parameter)
    return int(spawn(task.study.plan.seed, *names).generate_state(1)[0])


def _analysis(task: Task) -> str | None:
    return task.fill(task.options.analysis) if task.options.analysis else None
