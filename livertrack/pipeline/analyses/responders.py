"""The endpoints on responders."""

from __future__ import annotations

from collections.abc import Iterator

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


@answers("risk_difference")
def _risk_difference(task: Task) -> Iterator[Answer]:
    options, data = task.options, task.study.plan.data
    whole = task.study.records[task.study.records["REGION"].eq("")]
    for parameter in task.parameters:
        criterion = lt.Criterion(
            parameter, options.measure, below=options.below, above=options.above
        )
        responses = lt.derive_responders(
            whole, criteria=[criterion], visit=task.visit,
            subjects=task.study.analysed()[["USUBJID", data.arm, *data.strata]],
        )  # fmt: skip
        stratified = options.method == "mantel-haenszel"
        yield parameter, lt.risk_difference(
            responses, **task.common, response="RESPONSE",
            strata=data.strata if stratified else None, method=options.method,
            missing="non-responder" if options.missing == "non-responder" else "drop",
        )  # fmt: skip
