"""The endpoints on responders, and the subgroups that share their rules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers
from livertrack.pipeline.analyses.events import event_data

#: what a response by several criteria is about, in place of a PARAMCD
SEVERAL = "RESPONSE"


def responses(task: Task) -> Iterator[tuple[str, pd.DataFrame]]:
    """PARAMCD (or ``RESPONSE``) and one row per subject: adsl, BASE, RESPONSE (1, 0 or missing).

    ``BASE_<PARAMCD>`` are the baseline values behind the criteria; ``BASE`` is that of a single
    parameter.
    """
    options, study = task.options, task.study
    whole = study.records[study.records["REGION"].eq("")]
    rules = {
        parameter: [lt.Criterion(parameter, options.measure, options.below, options.above)]
        for parameter in ([] if options.criteria else task.parameters)
    } or {SEVERAL: [lt.Criterion(**criterion.model_dump()) for criterion in options.criteria]}
    eligible = [lt.Criterion(**condition.model_dump()) for condition in options.eligible]
    for name, criteria in rules.items():
        used = study.parameters(dict.fromkeys(c.parameter for c in (*criteria, *eligible)))
        subjects = study.analysed()
        for parameter in used:
            base = study.values(parameter, task.visit)["BASE"]
            subjects[f"BASE_{parameter}"] = base.to_numpy()
        if len(used) == 1:
            subjects["BASE"] = subjects[f"BASE_{used[0]}"]
        yield (
            name,
            lt.derive_responders(
                whole, criteria=criteria, eligible=eligible, visit=task.visit, subjects=subjects
            ),
        )


@answers("risk_difference")
def _risk_difference(task: Task) -> Iterator[Answer]:
    options = task.options
    stratified = options.within_strata
    if stratified is None:
        stratified = options.method == "mantel-haenszel"
    for name, data in responses(task):
        yield name, lt.risk_difference(
            data, **task.common, response="RESPONSE", method=options.method,
            strata=(task.study.plan.data.strata or None) if stratified else None,
            missing=options.missing, null=options.null,
        )  # fmt: skip


@answers("risk_ratio")
def _risk_ratio(task: Task) -> Iterator[Answer]:
    for name, data in responses(task):
        yield name, lt.risk_ratio(
            data, **task.common, response="RESPONSE", strata=task.strata,
            method=task.options.method, missing=task.options.missing,
        )  # fmt: skip


@answers("odds_ratio")
def _odds_ratio(task: Task) -> Iterator[Answer]:
    for name, data in responses(task):
        yield name, lt.odds_ratio(
            data, **task.common, response="RESPONSE", strata=task.strata,
            method=task.options.method, missing=task.options.missing,
        )  # fmt: skip


@answers("g_computation")
def _g_computation(task: Task) -> Iterator[Answer]:
    for name, data in responses(task):
        yield name, lt.g_computation(
            data, **task.common, response="RESPONSE", missing=task.options.missing,
            covariates=task.fill(task.options.covariates),
        )  # fmt: skip


@answers("cmh_test")
def _cmh_test(task: Task) -> Iterator[Answer]:
    options = task.options
    if options.stated:
        found = ((name, data, "RESPONSE") for name, data in responses(task))
    else:
        found = (
            (parameter, task.study.values(parameter, task.visit), options.value)
            for parameter in task.parameters
        )
    for name, data, response in found:
        yield name, lt.cmh_test(
            data, response=response, arm=task.study.plan.data.arm, strata=task.strata,
            scores=options.scores,
        )  # fmt: skip


@answers("subgroup_forest")
def _subgroup_forest(task: Task) -> Iterator[Answer]:
    options = task.options
    if options.effect == "hazard ratio":
        found = ((name, data, "AVAL") for name, data in event_data(task))
    elif options.effect == "risk difference":
        found = ((name, data, "RESPONSE") for name, data in responses(task))
    else:
        found = (
            (parameter, task.study.values(parameter, task.visit), options.value)
            for parameter in task.parameters
        )
    for name, data, value in found:
        yield name, lt.subgroup_forest(
            _with_levels(task, data), **task.common, subgroups=options.subgroups,
            effect=options.effect, value=value,
        )  # fmt: skip


def _with_levels(task: Task, data: pd.DataFrame) -> pd.DataFrame:
    """Put levels in place of the numbers that the plan cuts; every subgroup must be there."""
    lacking = [column for column in task.options.subgroups if column not in data.columns]
    if lacking:
        raise task.error(
            f"adsl: column {', '.join(lacking)} is missing; subgroups are columns of adsl"
        )
    cut = {}
    for column, limits in task.options.cuts.items():
        edges = sorted(limits)
        middle = [f"{a:g} to <{b:g}" for a, b in pairwise(edges)]
        labels = [f"<{edges[0]:g}", *middle, f"≥{edges[-1]:g}"]
        bins = [-np.inf, *edges, np.inf]
        cut[column] = pd.cut(data[column].astype(float), bins, right=False, labels=labels)
    return data.assign(**cut)
