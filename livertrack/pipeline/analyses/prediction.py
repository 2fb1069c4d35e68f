"""The endpoints that predict: any outcome, an event, and what carries a prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack._views import is_type
from livertrack.pipeline.analyses._task import Answer, Task, answers
from livertrack.pipeline.analyses.events import event_data

#: share that a zero becomes before log-ratios
SHARE = 1e-4


def members(task: Task, patterns: Sequence[str]) -> list[str]:
    """Columns that a feature set means: PARAMCDs that match, or columns of adsl by name."""
    subjects = list(task.study.analysed().columns)
    found: list[str] = []
    for pattern in patterns:
        found += [pattern] if pattern in subjects else task.study.parameters([pattern])
    return list(dict.fromkeys(found))


def features(task: Task, columns: Sequence[str]) -> pd.DataFrame:
    """One row per analysed subject: adsl and these measures at the visit of the analysis."""
    study = task.study
    visit = task.analysis.visit or study.plan.data.baseline
    subjects = list(study.analysed().columns)
    measures = [column for column in columns if column not in subjects]
    found: pd.DataFrame = study.wide(measures, visit, value="AVAL")
    return found


def with_outcome(task: Task, columns: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Features of the subjects with an outcome, and the column of the outcome."""
    study, options = task.study, task.options
    visit = task.analysis.visit or study.plan.data.baseline
    later = options.outcome_visit or visit
    name = options.outcome if later == visit else f"{options.outcome} at {later}"
    if name in columns:
        raise task.error(f"{name} is the outcome and a feature; take it out of the features")
    data = features(task, columns)
    known = study.wide([options.outcome], later, value=options.outcome_value)
    value = known.set_index("USUBJID")[options.outcome].reindex(data["USUBJID"]).to_numpy()
    data = pd.DataFrame(data.assign(**{name: value})[~np.isnan(value)]).reset_index(drop=True)
    if data.empty:
        raise task.error(f"no analysed subject has {options.outcome} at {later}")
    if options.threshold is not None:
        data[name] = (data[name] >= options.threshold).astype(int)
    return data, name


@answers("cross_validate")
def _cross_validate(task: Task) -> Iterator[Answer]:
    options, site = task.options, task.study.plan.data.site
    sets = {name: members(task, patterns) for name, patterns in options.feature_sets.items()}
    columns = list(dict.fromkeys(column for chosen in sets.values() for column in chosen))
    how = {"task": options.task, "kinds": options.kinds, "n_trees": options.n_trees}
    models: dict[str, Any] = dict(lt.biopsy_models(sets, **how))
    look = members(task, options.appearance)
    data, outcome = with_outcome(task, [*columns, *look])
    models |= {
        f"{name}, domains": lt.PseudoDomains(model, look) for name, model in models.items() if look
    }
    note = ""
    if options.harmonise:
        if site is None:
            raise task.error("harmonise needs the column of the site (data: site)")
        data, note = _complete(task, data, columns)
        data, clean = _log_ratios(data, sets)
        models |= {
            f"{name}, ComBat": lt.Harmonised(
                model,
                lt.Combat(
                    list(model.columns),
                    site=site,
                    unseen="leave",
                    mean_only=options.harmonise == "combat-mean",
                ),
            )
            for name, model in lt.biopsy_models(clean, **how).items()
        }
    result = lt.cross_validate(
        data, outcome=outcome, models=models, task=options.task, site=site,
        split=options.split, n_folds=options.n_folds, n_inner=options.n_inner,
        n_repeats=options.n_repeats, n_perm=options.n_perm, n_boot=options.n_boot,
        conf_level=task.conf_level, seed=task.seed,
    )  # fmt: skip
    yield options.outcome, replace(result, notes=(*result.notes, note)) if note else result


def _complete(task: Task, data: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Subjects with every feature, since ComBat takes no gaps; and how many that leaves out."""
    whole = data[columns].notna().all(axis=1)
    if not whole.any():
        raise task.error(f"none of {len(data)} subjects has all of {', '.join(columns)}")
    lost = int((~whole).sum())
    note = f"{lost} of {len(data)} subject(s) lack a feature and are left out (ComBat)"
    return data[whole].reset_index(drop=True), note if lost else ""


def _log_ratios(
    data: pd.DataFrame, sets: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Tissue types of every set as centred log-ratios: ComBat would make shares negative."""
    clean = {}
    for name, columns in sets.items():
        parts = [c for c in columns if is_type(c)]
        parts = parts if len(parts) >= 3 else []
        ratios = {part: f"{part} among {name}" for part in parts}
        if parts:
            found = lt.clr(data[parts], parts=parts, delta=SHARE).table
            data = data.assign(**{new: found[part] for part, new in ratios.items()})
        clean[name] = [ratios.get(c, c) for c in columns]
    return data, clean


@answers("permutation_importance")
def _permutation_importance(task: Task) -> Iterator[Answer]:
    options = task.options
    columns = members(task, options.features)
    groups = {name: members(task, patterns) for name, patterns in options.groups.items()}
    [model] = lt.biopsy_models(
        {"model": columns}, task=options.task, kinds=[options.kind], n_trees=options.n_trees
    ).values()
    data, outcome = with_outcome(task, columns)
    yield options.outcome, lt.permutation_importance(
        data, outcome=outcome, model=model, task=options.task,
        groups=groups or None, site=task.study.plan.data.site, n_folds=options.n_folds,
        n_inner=options.n_inner, n_permutations=options.n_permutations, n_boot=options.n_boot,
        conf_level=task.conf_level, seed=task.seed,
    )  # fmt: skip


@answers("prognosis")
def _prognosis(task: Task) -> Iterator[Answer]:
    options, site = task.options, task.study.plan.data.site
    models: dict[str, Any] = {}
    columns: list[str] = []
    for name, patterns in options.feature_sets.items():
        chosen = members(task, patterns)
        columns += chosen
        for kind in options.models:
            label = name if len(options.models) == 1 else f"{name}, {kind}"
            cox = kind == "cox"
            models[label] = (
                lt.RidgeCox(chosen) if cox else lt.SurvivalForest(chosen, n_trees=options.n_trees)
            )
    data = features(task, columns)
    for parameter, events in event_data(task):
        yield parameter, lt.prognosis(
            data.merge(events[["USUBJID", "AVAL", "CNSR"]], on="USUBJID"), models=models,
            horizons=options.horizons, site=site, split=options.split, n_folds=options.n_folds,
            n_inner=options.n_inner, n_repeats=options.n_repeats, n_groups=options.n_groups,
            n_perm=options.n_perm, n_boot=options.n_boot, conf_level=task.conf_level,
            seed=task.seed,
        )  # fmt: skip
