"""The endpoints on pathways and courses of tissue types."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


def flows(task: Task) -> pd.DataFrame:
    """Pathway records of the run."""
    if task.adpath is None or task.adpath.empty:
        raise task.error("no pathway records; no subject has two usable scans")
    return task.adpath


def noise(task: Task) -> pd.DataFrame:
    """Pathway records between a baseline scan and its repeat."""
    if task.adnoise is None or task.adnoise.empty:
        raise task.error(
            "no pathways between a scan and its repeat; list repeats of the baseline scan in "
            "images.csv and name them in the plan (data.repeats: {Rescan: Baseline})"
        )
    return task.adnoise


@answers("change_pathways")
def _change_pathways(task: Task) -> Iterator[Answer]:
    options = task.options
    null = lt.null_transitions(noise(task), arm=None) if options.null else None
    yield "", lt.change_pathways(
        flows(task), **task.common, subjects=task.study.analysed(), visit=task.visit,
        strata=task.strata, regions=options.regions, n_perm=options.n_perm, share=options.share,
        min_prevalence=options.min_prevalence, merge=options.merge, trend=options.trend,
        covariates=options.covariates, adjust_baseline=options.adjust_baseline, null=null,
        alternative=options.alternative, seed=task.seed,
    )  # fmt: skip


@answers("beyond_noise")
def _beyond_noise(task: Task) -> Iterator[Answer]:
    options = task.options
    yield "", lt.beyond_noise(
        flows(task), noise(task), arm=task.study.plan.data.arm, subjects=task.study.analysed(),
        visit=task.visit, regions=options.regions, min_prevalence=options.min_prevalence,
        n_boot=options.n_boot, conf_level=task.conf_level, seed=task.seed,
    )  # fmt: skip


@answers("type_severity")
def _type_severity(task: Task) -> Iterator[Answer]:
    options, study, types = task.options, task.study, task.parameters
    features = study.wide([*types, options.outcome], study.plan.data.baseline, value="AVAL")
    compared = task.analysis.visit is not None
    yield options.outcome, lt.type_severity(
        features, outcome=options.outcome, types=types, **task.common,
        adpath=flows(task) if compared else None, subjects=study.analysed(),
        visit=task.analysis.visit, regions=options.regions, strata=task.strata,
        least_agreement=options.least_agreement, n_folds=options.n_folds,
        n_repeats=options.n_repeats, n_boot=options.n_boot, n_perm=options.n_perm,
        seed=task.seed,
    )  # fmt: skip


@answers("trajectories")
def _trajectories(task: Task) -> Iterator[Answer]:
    options, study, types = task.options, task.study, task.parameters
    data = study.plan.data
    records = study.records[
        study.records["PARAMCD"].isin(types) & study.records["REGION"].eq("")
        & study.records["AVISIT"].isin(data.visits)
    ]  # fmt: skip
    outcome = None
    if options.outcome is not None:
        outcome = study.values(options.outcome, task.visit)[["USUBJID", options.value]]
    yield options.outcome or "", lt.trajectories(
        records, **task.common, baseline=data.baseline, early=options.early, late=task.visit,
        subjects=study.analysed(), outcome=outcome, value=options.value, strata=task.strata,
        sequences=task.adseq if task.adseq is not None and len(task.adseq) else None,
        n_folds=options.n_folds, n_repeats=options.n_repeats, n_perm=options.n_perm,
        n_boot=options.n_boot, seed=task.seed,
    )  # fmt: skip
