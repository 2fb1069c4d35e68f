"""The endpoints on scores."""

from __future__ import annotations

from collections.abc import Iterator

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


@answers("proportional_odds")
def _proportional_odds(task: Task) -> Iterator[Answer]:
    formula = task.fill(task.options.formula)
    for parameter in task.parameters:
        yield parameter, lt.proportional_odds(
            task.study.values(parameter, task.visit), formula, outcome=task.options.outcome,
            conf_level=task.conf_level,
        )  # fmt: skip


@answers("shift_table")
def _shift_table(task: Task) -> Iterator[Answer]:
    for parameter in task.parameters:
        yield (
            parameter,
            lt.shift_table(
                task.study.values(parameter, task.visit),
                arm=task.study.plan.data.arm,
                **task.chosen,
            ),
        )
