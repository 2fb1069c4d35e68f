"""The endpoints on times to events."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

import livertrack as lt
from livertrack.errors import PlanError
from livertrack.pipeline.analyses._task import Answer, Task, answers


def event_data(task: Task) -> Iterator[tuple[str, pd.DataFrame]]:
    """PARAMCD and event records of each parameter, all of them where the analysis names none."""
    events = task.study.events
    events = events[events["USUBJID"].isin(task.study.analysed()["USUBJID"])]
    known = sorted(events["PARAMCD"].unique())
    for parameter in task.analysis.parameters or known:
        if parameter not in known:
            msg = (
                f"analysis {task.analysis.id}: no events {parameter!r} in adtte; known are {known}"
            )
            raise PlanError(msg)
        yield parameter, events[events["PARAMCD"] == parameter]


@answers("kaplan_meier")
def _kaplan_meier(task: Task) -> Iterator[Answer]:
    arm = task.study.plan.data.arm
    for parameter, data in event_data(task):
        yield parameter, lt.kaplan_meier(data, arm=arm, conf_level=task.conf_level)


@answers("log_rank")
def _log_rank(task: Task) -> Iterator[Answer]:
    for parameter, data in event_data(task):
        yield parameter, lt.log_rank(data, arm=task.study.plan.data.arm, strata=task.strata)


@answers("cox")
def _cox(task: Task) -> Iterator[Answer]:
    formula = task.fill(task.options.formula)
    for parameter, data in event_data(task):
        yield parameter, lt.cox(
            data, formula, time="AVAL", censor="CNSR", ties=task.options.ties,
            conf_level=task.conf_level,
        )  # fmt: skip


@answers("rmst")
def _rmst(task: Task) -> Iterator[Answer]:
    for parameter, data in event_data(task):
        yield parameter, lt.rmst(data, **task.common, tau=task.options.tau)
