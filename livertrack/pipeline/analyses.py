"""From an analysis of the plan to the endpoint function that answers it.

Each function here selects records, calls one endpoint and returns its result; it computes no
statistic. Parameters without any record at the visit are an error of the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

import livertrack as lt
from livertrack._results import Result
from livertrack._seeds import spawn
from livertrack.errors import PlanError
from livertrack.plan import Analysis
from livertrack.study import Study

#: (name of what was analysed, result); one analysis may give one result per PARAMCD
Answer = tuple[str, Result]


def answer(study: Study, analysis: Analysis, adpath: pd.DataFrame | None = None) -> list[Answer]:
    """Results of one analysis of the plan."""
    if analysis.endpoint == "change_pathways":
        return [("", _change_pathways(study, analysis, adpath))]
    return list(_ENDPOINTS[analysis.endpoint](study, analysis))


def seed_of(study: Study, analysis: Analysis) -> int:
    """Seed of an analysis: a stream of its own from the plan's seed and the analysis id."""
    return int(spawn(study.plan.seed, analysis.id).generate_state(1)[0])


def _arms(study: Study) -> dict[str, str]:
    data = study.plan.data
    return {"arm": data.arm, "reference": data.reference}


def _common(study: Study) -> dict[str, Any]:
    return {**_arms(study), "conf_level": study.plan.conf_level}


def _visit(analysis: Analysis) -> str:
    if analysis.visit is None:
        msg = f"analysis {analysis.id}: {analysis.endpoint} needs a visit"
        raise PlanError(msg)
    return analysis.visit


def _change_pathways(study: Study, analysis: Analysis, adpath: pd.DataFrame | None) -> Result:
    if adpath is None or adpath.empty:
        msg = f"analysis {analysis.id}: no pathway records; no subject has two usable scans"
        raise PlanError(msg)
    options: Any = analysis.settings
    result: Result = lt.change_pathways(
        adpath, **_common(study), subjects=study.analysed(), visit=_visit(analysis),
        strata=(study.plan.data.strata or None) if options.within_strata else None,
        regions=options.regions, n_perm=options.n_perm, seed=seed_of(study, analysis),
    )  # fmt: skip
    return result


def _separation(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    for parameter in study.parameters(analysis.parameters):
        data = study.values(parameter, _visit(analysis))
        yield parameter, lt.separation(
            data, **_common(study), value=options.value, n_boot=options.n_boot,
            seed=seed_of(study, analysis),
        )  # fmt: skip


def _compare_separation(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    measures = study.parameters(analysis.parameters)
    score = {name: study.parameters(patterns) for name, patterns in options.score.items()}
    columns = list(dict.fromkeys([*measures, *(c for members in score.values() for c in members)]))
    wide = study.wide(columns, _visit(analysis), value=options.value)
    data = study.plan.data
    for arm in data.arms:
        if arm == data.reference:
            continue
        pair = wide[wide[data.arm].isin([arm, data.reference])]
        yield arm, lt.compare_separation(
            pair, **_common(study), values=measures, score=score or None,
            n_boot=options.n_boot, seed=seed_of(study, analysis),
        )  # fmt: skip


def _biopsy_prediction(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    visit = analysis.visit or study.plan.data.baseline
    sets = {name: study.parameters(members) for name, members in options.feature_sets.items()}
    columns = list(dict.fromkeys(column for members in sets.values() for column in members))
    wide = study.wide([*columns, options.outcome], visit, value="AVAL")
    wide = wide[wide[options.outcome].notna()].copy()
    if options.threshold is not None:
        wide[options.outcome] = (wide[options.outcome] >= options.threshold).astype(int)
    yield options.outcome, lt.biopsy_prediction(
        wide, outcome=options.outcome, subject="USUBJID", site=study.plan.data.site,
        task=options.task, feature_sets=sets, n_folds=options.n_folds,
        n_repeats=options.n_repeats, n_perm=options.n_perm, n_boot=options.n_boot,
        seed=seed_of(study, analysis),
    )  # fmt: skip


def _ancova(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    formula = options.formula.format(**_arms(study))
    for parameter in study.parameters(analysis.parameters):
        data = study.values(parameter, _visit(analysis))
        yield parameter, lt.ancova(data, formula, **_common(study), vcov=options.vcov)


def _mmrm(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    data = study.plan.data
    formula = options.formula.format(**_arms(study))
    for parameter in study.parameters(analysis.parameters):
        records = study.longitudinal(parameter)
        fit = lt.mmrm(
            records, formula, df=options.df, fallback=options.fallback,
            conf_level=study.plan.conf_level,
        )  # fmt: skip
        yield parameter, fit.compare(arm=data.arm, reference=data.reference, by=["AVISIT"])


def _event_data(study: Study, analysis: Analysis) -> Iterable[tuple[str, pd.DataFrame]]:
    events = study.events[study.events["USUBJID"].isin(study.analysed()["USUBJID"])]
    known = sorted(events["PARAMCD"].unique())
    for parameter in analysis.parameters or known:
        if parameter not in known:
            msg = f"analysis {analysis.id}: no events {parameter!r} in adtte; known are {known}"
            raise PlanError(msg)
        yield parameter, events[events["PARAMCD"] == parameter]


def _kaplan_meier(study: Study, analysis: Analysis) -> Iterable[Answer]:
    for parameter, data in _event_data(study, analysis):
        yield (
            parameter,
            lt.kaplan_meier(data, arm=study.plan.data.arm, conf_level=study.plan.conf_level),
        )


def _log_rank(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    strata = study.plan.data.strata if options.within_strata else None
    for parameter, data in _event_data(study, analysis):
        yield parameter, lt.log_rank(data, arm=study.plan.data.arm, strata=strata or None)


def _cox(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    for parameter, data in _event_data(study, analysis):
        yield parameter, lt.cox(
            data, options.formula.format(**_arms(study)), time="AVAL", censor="CNSR",
            ties=options.ties, conf_level=study.plan.conf_level,
        )  # fmt: skip


def _rmst(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    for parameter, data in _event_data(study, analysis):
        yield parameter, lt.rmst(data, **_common(study), tau=options.tau)


def _risk_difference(study: Study, analysis: Analysis) -> Iterable[Answer]:
    options: Any = analysis.settings
    data = study.plan.data
    whole = study.records[study.records["REGION"].eq("")]
    for parameter in study.parameters(analysis.parameters):
        criterion = lt.Criterion(
            parameter, options.measure, below=options.below, above=options.above
        )
        responses = lt.derive_responders(
            whole, criteria=[criterion], visit=_visit(analysis),
            subjects=study.analysed()[["USUBJID", data.arm, *data.strata]],
        )  # fmt: skip
        stratified = options.method == "mantel-haenszel"
        yield parameter, lt.risk_difference(
            responses, **_common(study), response="RESPONSE",
            strata=data.strata if stratified else None, method=options.method,
            missing="non-responder" if options.missing == "non-responder" else "drop",
        )  # fmt: skip


_ENDPOINTS: dict[str, Callable[[Study, Analysis], Iterable[Answer]]] = {
    "separation": _separation,
    "compare_separation": _compare_separation,
    "biopsy_prediction": _biopsy_prediction,
    "ancova": _ancova,
    "mmrm": _mmrm,
    "kaplan_meier": _kaplan_meier,
    "log_rank": _log_rank,
    "cox": _cox,
    "rmst": _rmst,
    "risk_difference": _risk_difference,
}
