"""The endpoints on compositions."""

from __future__ import annotations

from collections.abc import Iterator

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


@answers("permanova")
def _permanova(task: Task) -> Iterator[Answer]:
    options, parts = task.options, task.parameters
    yield "", lt.permanova(
        task.study.wide(parts, task.visit, value="AVAL"), parts=parts,
        arm=task.study.plan.data.arm, strata=task.strata, metric=options.metric,
        formula=task.fill(options.formula) if options.formula else None, delta=options.delta,
        n_perm=options.n_perm, seed=task.seed,
    )  # fmt: skip


@answers("composition_regression")
def _composition_regression(task: Task) -> Iterator[Answer]:
    options, parts = task.options, task.parameters
    data = task.study.wide(parts, task.visit, value="AVAL")
    baseline = [f"BASE_{part}" for part in parts] if options.baseline else None
    if baseline:
        before = task.study.wide(parts, task.visit, value="BASE")[parts]
        data = data.assign(**dict(zip(baseline, before.to_numpy().T, strict=True)))
    yield "", lt.composition_regression(
        data, **task.common, parts=parts, baseline=baseline, delta=options.delta,
        covariates=task.fill(options.covariates) if options.covariates else None,
    )  # fmt: skip
