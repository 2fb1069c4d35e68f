"""Agreement of raters or methods, and repeatability with the changes that exceed it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


def pairs(task: Task, first: str, second: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Subjects with a column per rater: two PARAMCDs at the visit, or two visits of each PARAMCD.

    The name of the answer is the pair, or the PARAMCD.
    """
    study = task.study
    if task.options.rater == "PARAMCD":
        yield f"{first} v {second}", study.wide([first, second], task.visit, value="AVAL")
        return
    for parameter in task.parameters:
        records = study.repeated([parameter], [first, second])
        wide = records.pivot_table(index="USUBJID", columns="AVISIT", values="AVAL", observed=True)
        wide.columns = wide.columns.astype(str)
        if not {first, second} <= set(wide.columns):
            raise task.error(
                f"{parameter} has no record at {first} or at {second}; both are needed"
            )
        yield parameter, wide.reset_index()


def unchanged(task: Task) -> list[str]:
    """Visits that measure one state of a subject: those of the options, else of the plan."""
    repeats: dict[str, str] = task.study.plan.data.repeats
    visits: list[str] = task.options.visits or list(dict.fromkeys([*repeats.values(), *repeats]))
    if len(visits) < 2:
        raise task.error(
            "no repeat measurements; name them in the plan (data.repeats: {Rescan: Baseline}), or "
            "list two visits at which subjects count as unchanged (options: visits)"
        )
    return visits


@answers("weighted_kappa")
def _weighted_kappa(task: Task) -> Iterator[Answer]:
    options = task.options
    for name, data in pairs(task, options.rater_1, options.rater_2):
        yield name, lt.weighted_kappa(
            data, rater_1=options.rater_1, rater_2=options.rater_2, weights=options.weights,
            levels=options.levels, limits=options.limits, conf_level=task.conf_level,
        )  # fmt: skip


@answers("bland_altman")
def _bland_altman(task: Task) -> Iterator[Answer]:
    options = task.options
    for name, data in pairs(task, options.method_1, options.method_2):
        yield name, lt.bland_altman(
            data, method_1=options.method_1, method_2=options.method_2, scale=options.scale,
            agreement=options.agreement, conf_level=task.conf_level,
        )  # fmt: skip


@answers("icc")
def _icc(task: Task) -> Iterator[Answer]:
    study, parameters = task.study, task.parameters
    how = {"method": task.options.method, "conf_level": task.conf_level}
    if task.options.rater == "PARAMCD":
        data = study.repeated(parameters, [task.visit])
        yield " v ".join(parameters), lt.icc(data, rater="PARAMCD", **how)
        return
    visits = unchanged(task)
    for parameter in parameters:
        data = study.repeated([parameter], visits).astype({"AVISIT": str})
        yield parameter, lt.icc(data, rater="AVISIT", **how)


@answers("repeatability")
def _repeatability(task: Task) -> Iterator[Answer]:
    """Noise of each parameter; with a visit also whose change at that visit exceeds it."""
    study, parameters = task.study, task.parameters
    visits = unchanged(task)
    records = study.repeated(parameters, visits, arms=task.options.arms or ())
    twice = records.groupby(["PARAMCD", "USUBJID"], observed=True)["AVAL"].transform("size") > 1
    if not twice.any():
        raise task.error(
            f"none of {records['USUBJID'].nunique()} subjects has a value at two of "
            f"{', '.join(visits)}; list two visits that both have records (options: visits)"
        )
    records = records[twice]
    noise = lt.repeatability(records, coverage=task.options.coverage, conf_level=task.conf_level)
    yield "", noise
    if task.analysis.visit is not None:
        changes = pd.concat(
            [study.values(p, task.visit).assign(PARAMCD=p) for p in parameters], ignore_index=True
        )
        yield (
            task.visit,
            lt.real_change(
                changes, limits=noise, arm=study.plan.data.arm, conf_level=task.conf_level
            ),
        )
