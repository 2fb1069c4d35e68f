"""The models of a continuous measure."""

from __future__ import annotations

from collections.abc import Iterator

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


@answers("ancova")
def _ancova(task: Task) -> Iterator[Answer]:
    formula = task.fill(task.options.formula)
    for parameter in task.parameters:
        data = task.study.values(parameter, task.visit)
        yield parameter, lt.ancova(data, formula, **task.common, vcov=task.options.vcov)


@answers("mmrm")
def _mmrm(task: Task) -> Iterator[Answer]:
    formula = task.fill(task.options.formula)
    for parameter in task.parameters:
        fit = lt.mmrm(
            task.study.longitudinal(parameter), formula, df=task.options.df,
            fallback=task.options.fallback, conf_level=task.conf_level,
        )  # fmt: skip
        yield parameter, fit.compare(**task.arms, by=["AVISIT"])
