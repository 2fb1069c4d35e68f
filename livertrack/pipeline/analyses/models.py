"""The models of a continuous measure."""

from __future__ import annotations

from collections.abc import Iterator

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


@answers("ancova")
def _ancova(task: Task) -> Iterator[Answer]:
    options = task.options
    formula = task.fill(options.formula)
    for parameter in task.parameters:
        data = task.study.values(parameter, task.visit)
        yield parameter, lt.ancova(
            data, formula, **task.common, vcov=options.vcov, weights=options.weights,
            at=options.at or None,
        )  # fmt: skip


@answers("dunnett")
def _dunnett(task: Task) -> Iterator[Answer]:
    options = task.options
    for parameter in task.parameters:
        data = task.study.values(parameter, task.visit)
        yield parameter, lt.dunnett(
            data, **task.common, value=options.value, covariates=options.covariates or None,
            alternative=options.alternative,
        )  # fmt: skip


@answers("mmrm")
def _mmrm(task: Task) -> Iterator[Answer]:
    options = task.options
    formula = task.fill(options.formula)
    for parameter in task.parameters:
        fit = lt.mmrm(
            task.study.longitudinal(parameter), formula, method=options.method, df=options.df,
            vcov=options.vcov, fallback=options.fallback, conf_level=task.conf_level,
        )  # fmt: skip
        yield (
            parameter,
            fit.compare(
                **task.arms, by=["AVISIT"], weights=options.weights, at=options.at or None
            ),
        )
