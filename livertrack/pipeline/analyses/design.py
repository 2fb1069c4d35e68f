"""What is known before any data: interim boundaries, sample size."""

from __future__ import annotations

from collections.abc import Iterator

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


@answers("group_sequential")
def _group_sequential(task: Task) -> Iterator[Answer]:
    yield "", lt.group_sequential(**task.chosen)


@answers("power")
def _power(task: Task) -> Iterator[Answer]:
    seed = task.seed if task.options.method == "simulation" else None
    yield "", lt.power(**task.chosen, seed=seed)
