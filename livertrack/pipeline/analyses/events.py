"""The endpoints on times to events."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


def event_data(
    task: Task, *columns: str, dataset: str = "adtte"
) -> Iterator[tuple[str, pd.DataFrame]]:
    """PARAMCD and event records of each parameter, all of them where the analysis names none.

    ``columns`` are those that the dataset must have besides the time and the flag.
    """
    events = task.study.events if dataset == "adtte" else task.study.recurrences
    if events.empty:
        raise task.error(f"the study has no event records; add adam/{dataset}")
    events = events[events["USUBJID"].isin(task.study.analysed()["USUBJID"])]
    known = sorted(events["PARAMCD"].unique())
    if not known:
        raise task.error(f"{dataset} has no event records of analysed subjects; check USUBJID")
    for parameter in task.analysis.parameters or known:
        if parameter not in known:
            raise task.error(f"no events {parameter!r} in {dataset}; known are {known}")
        records = events[events["PARAMCD"] == parameter]
        lacking = [column for column in columns if column not in records.columns]
        if lacking:
            raise task.error(
                f"{dataset}: column {', '.join(lacking)} is missing ({len(records)} records of "
                f"{parameter}); add it, or name another column in the options"
            )
        yield parameter, records


def stratum(task: Task, data: pd.DataFrame) -> tuple[pd.DataFrame, str | None]:
    """Records and the one column of their strata, for functions that take no more than one."""
    strata = task.strata or []
    if len(strata) < 2:
        return data, next(iter(strata), None)
    joined = data[strata[0]].astype(object)
    for column in strata[1:]:
        joined = joined + ", " + data[column].astype(object)
    name = " x ".join(strata)
    return data.assign(**{name: joined}), name


@answers("kaplan_meier")
def _kaplan_meier(task: Task) -> Iterator[Answer]:
    arm = task.study.plan.data.arm
    for parameter, data in event_data(task):
        yield (
            parameter,
            lt.kaplan_meier(data, arm=arm, conf_level=task.conf_level, times=task.options.times),
        )


@answers("log_rank")
def _log_rank(task: Task) -> Iterator[Answer]:
    for parameter, data in event_data(task):
        yield parameter, lt.log_rank(data, arm=task.study.plan.data.arm, strata=task.strata)


@answers("cox")
def _cox(task: Task) -> Iterator[Answer]:
    options = task.options
    formula, wanted = task.fill(options.formula), () if options.event is None else (options.cause,)
    for parameter, data in event_data(task, *wanted):
        yield parameter, lt.cox(
            data, formula, time="AVAL", censor="CNSR", ties=options.ties, strata=task.strata,
            event=options.event, cause=options.cause, conf_level=task.conf_level,
        )  # fmt: skip


@answers("fine_gray")
def _fine_gray(task: Task) -> Iterator[Answer]:
    options = task.options
    formula = task.fill(options.formula)
    for parameter, data in event_data(task, options.cause):
        yield parameter, lt.fine_gray(
            data, formula, event=options.event, cause=options.cause,
            censoring_groups=options.censoring_groups or None, variance=options.variance,
            conf_level=task.conf_level,
        )  # fmt: skip


@answers("recurrent_events")
def _recurrent_events(task: Task) -> Iterator[Answer]:
    options = task.options
    for parameter, data in event_data(task, dataset="adrec"):
        yield parameter, lt.recurrent_events(
            data, **task.common, strata=task.strata, ties=options.ties,
            covariates=task.fill(options.covariates) if options.covariates else None,
        )  # fmt: skip


@answers("rmst")
def _rmst(task: Task) -> Iterator[Answer]:
    for parameter, data in event_data(task):
        yield parameter, lt.rmst(data, **task.common, tau=task.options.tau)


@answers("cumulative_incidence")
def _cumulative_incidence(task: Task) -> Iterator[Answer]:
    options = task.options
    for parameter, records in event_data(task, options.cause):
        data, strata = stratum(task, records)
        yield parameter, lt.cumulative_incidence(
            data, cause=options.cause, arm=task.study.plan.data.arm, strata=strata,
            at=options.at, conf_level=task.conf_level,
        )  # fmt: skip


@answers("win_ratio")
def _win_ratio(task: Task) -> Iterator[Answer]:
    """One column (or two) per step: the value at the visit, or the time and its flag."""
    study, hierarchy = task.study, []
    data = study.analysed()
    for place, step in enumerate(task.options.hierarchy, start=1):
        value, time, censor = f"VALUE{place}", f"TIME{place}", f"CNSR{place}"
        if step.time is None:
            measured = study.wide([step.value], task.visit, value=step.measure)
            data = data.assign(**{value: measured[step.value].to_numpy()})
            hierarchy.append(lt.Outcome(
                step.name, value=value, better=step.better, margin=step.margin
            ))  # fmt: skip
            continue
        events = study.events[study.events["PARAMCD"].eq(step.time)].set_index("USUBJID")
        if events.empty:
            known = sorted(study.events["PARAMCD"].unique())
            raise task.error(f"no events {step.time!r} in adtte; known are {known}")
        data = data.assign(**{
            time: data["USUBJID"].map(events["AVAL"]), censor: data["USUBJID"].map(events["CNSR"]),
        })  # fmt: skip
        hierarchy.append(lt.Outcome(step.name, time=time, censor=censor, margin=step.margin))
    yield "", lt.win_ratio(data, **task.common, hierarchy=hierarchy, strata=task.strata)
