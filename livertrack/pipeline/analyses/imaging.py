"""The imaging endpoints: separation, prediction."""

from __future__ import annotations

from collections.abc import Iterator

import livertrack as lt
from livertrack.pipeline.analyses._task import Answer, Task, answers


@answers("separation")
def _separation(task: Task) -> Iterator[Answer]:
    for parameter in task.parameters:
        data = task.study.values(parameter, task.visit)
        yield (
            parameter,
            lt.separation(data, **task.common, strata=task.strata, seed=task.seed, **task.chosen),
        )


@answers("compare_separation")
def _compare_separation(task: Task) -> Iterator[Answer]:
    study, data, options = task.study, task.study.plan.data, task.options
    measures = task.parameters
    score = {name: study.parameters(patterns) for name, patterns in options.score.items()}
    columns = list(dict.fromkeys([*measures, *(c for members in score.values() for c in members)]))
    wide = study.wide(columns, task.visit, value=options.value)
    for arm in data.arms:
        if arm == data.reference:
            continue
        pair = wide[wide[data.arm].isin([arm, data.reference])]
        yield arm, lt.compare_separation(
            pair, **task.common, values=measures, score=score or None,
            direction=options.direction or None, transform=options.transform,
            n_boot=options.n_boot, n_folds=options.n_folds, n_repeats=options.n_repeats,
            seed=task.seed,
        )  # fmt: skip


@answers("max_t")
def _max_t(task: Task) -> Iterator[Answer]:
    options, measures = task.options, task.parameters
    yield "", lt.max_t(
        task.study.wide(measures, task.visit, value=options.value), **task.common,
        values=measures, n_perm=options.n_perm, alternative=options.alternative,
        strata=task.strata, seed=task.seed,
    )  # fmt: skip


@answers("biopsy_prediction")
def _biopsy_prediction(task: Task) -> Iterator[Answer]:
    study, options = task.study, task.options
    visit = task.analysis.visit or study.plan.data.baseline
    sets = {name: study.parameters(members) for name, members in options.feature_sets.items()}
    columns = list(dict.fromkeys(column for members in sets.values() for column in members))
    wide = study.wide([*columns, options.outcome], visit, value="AVAL")
    wide = wide[wide[options.outcome].notna()].copy()
    if options.threshold is not None:
        wide[options.outcome] = (wide[options.outcome] >= options.threshold).astype(int)
    yield options.outcome, lt.biopsy_prediction(
        wide, outcome=options.outcome, subject="USUBJID", site=study.plan.data.site,
        task=options.task, feature_sets=sets, n_folds=options.n_folds, n_inner=options.n_inner,
        n_repeats=options.n_repeats, n_perm=options.n_perm, n_boot=options.n_boot,
        leave_site_out=options.leave_site_out, conf_level=task.conf_level, seed=task.seed,
    )  # fmt: skip
