"""The statistical analysis plan of a simulated trial."""

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack.simulate._study_analyses import clinical_analyses, imaging_analyses

TREATMENT_POLICY = {
    "event": "Discontinuation of treatment",
    "strategy": "treatment-policy",
    "handling": "data collected after the event are used; missing data are missing at random",
}
WITHDRAWAL = {
    "event": "Withdrawal from the trial",
    "strategy": "hypothetical",
    "handling": "as if the subject had stayed; missing at random given the data before",
}
COMPOSITE = {
    "event": "Withdrawal from the trial",
    "strategy": "composite",
    "handling": "a subject without the measurement is a non-responder",
}
AS_REFERENCE = [
    {
        "event": "Discontinuation of treatment",
        "strategy": "treatment-policy",
        "assumption": "JR",
        "handling": "data collected after the event are used; missing data as in the reference "
        "arm (jump to reference)",
    },
    {
        "event": "Withdrawal from the trial",
        "strategy": "treatment-policy",
        "assumption": "JR",
        "handling": "missing data as in the reference arm (jump to reference)",
    },
]
CENSORED = {
    "event": "Withdrawal from the trial",
    "strategy": "while-on-treatment",
    "handling": "follow-up ends at withdrawal (censored)",
}


def demo_plan(
    *,
    title: str,
    seed: int,
    arms: Sequence[str],
    visits: Sequence[str],
    sequences: Sequence[str],
    spacing: Sequence[float],
    min_voxels: int,
    imaging: bool = True,
    repeats: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Plan of a simulated trial as a mapping, ready to be written as ``plan.yaml``.

    Parameters
    ----------
    title : str
        Title of the study.
    seed : int
        Seed of every analysis.
    arms, visits : sequence of str
        In the order of display; the first arm is the reference, the first visit the baseline.
    sequences : sequence of str
        Sequences of a scan.
    spacing : sequence of float
        Voxel size in mm at which patches are read.
    min_voxels : int
        Scans with fewer liver voxels are excluded.
    imaging : bool
        Whether the study has scans; without them the plan keeps labs, biopsies and events.
    repeats : mapping, optional
        Repeat scans, by the visit that they repeat.
    """
    plan: dict[str, Any] = {
        "study": {"id": "SIM", "title": title, "simulated": True},
        "seed": seed,
        "conf_level": 0.95,
        "data": {
            "population": "FASFL", "arm": "TRT01P", "arms": list(arms), "reference": arms[0],
            "visits": list(visits), "baseline": visits[0], "site": "SITEID", "strata": ["DIABFL"],
        },
    }  # fmt: skip
    if repeats:
        plan["data"]["repeats"] = dict(repeats)
    if imaging:
        plan["imaging"] = {
            "sequences": list(sequences), "liver_label": 5, "reference_label": 1,
            "spacing_mm": [float(step) for step in spacing], "bias_field": "n4",
            "standardise": "reference", "method": "invariant", "n_types": 8,
            "min_voxels": min_voxels, "correspondence": "rigid", "truth": "truth",
        }  # fmt: skip
    plan["estimands"] = _estimands(arms, visits, imaging=imaging)
    plan["analyses"] = [
        *(imaging_analyses(visits, repeats or {}) if imaging else []),
        *clinical_analyses(visits, repeats or {}),
    ]
    plan["multiplicity"] = _graph(arms)
    plan["report"] = {"title": title, "subtitle": "Simulated data"}
    return plan


def _estimands(
    arms: Sequence[str], visits: Sequence[str], *, imaging: bool
) -> list[dict[str, Any]]:
    first, last = visits[1], visits[-1]

    def estimand(key: str, label: str, variable: str, summary: str, event: Any) -> dict[str, Any]:
        return {
            "id": key, "label": label,
            "treatment": "each active arm compared with " + arms[0],
            "population": "all randomised subjects (FASFL)", "variable": variable,
            "intercurrent_events": [dict(TREATMENT_POLICY), dict(event)], "summary": summary,
        }  # fmt: skip

    tissue = [
        estimand("pathways", "Tissue change pathways",
                 f"share of the liver that turns from one tissue type into another by {last}",
                 "difference in mean share between arms", WITHDRAWAL),
        estimand("signature", "Separation of the arms on the tissue signature",
                 f"change from baseline to {last} of the share of each tissue type",
                 "standardised mean difference and probability of superiority", WITHDRAWAL),
    ]  # fmt: skip
    return [
        *(tissue if imaging else []),
        estimand("alt", "ALT at " + first, f"change of ALT from baseline to {first}, U/L",
                 "difference in least squares means", WITHDRAWAL),
        {
            **estimand("alt-policy", f"ALT at {last}, whatever happens before",
                       f"change of ALT from baseline to {last}, U/L",
                       "difference in least squares means", WITHDRAWAL),
            "intercurrent_events": [dict(event) for event in AS_REFERENCE],
        },
        estimand("fat", "Liver fat at " + last,
                 f"change of MRI-PDFF from baseline to {last}, percentage points",
                 "difference in least squares means", WITHDRAWAL),
        estimand("responder", "Fat responders",
                 f"relative fall of MRI-PDFF of at least 30 % at {last}",
                 "difference in proportions", COMPOSITE),
        estimand("histology", "Histological response",
                 f"NAS lower by at least 2 points without worse fibrosis at {last}",
                 "difference in proportions", COMPOSITE),
        estimand("fibrosis", "Fibrosis stage", f"fibrosis stage at biopsy at {last}",
                 "odds ratio of a higher stage", WITHDRAWAL),
        estimand("events", "Liver-related events", "time to the first liver-related event, days",
                 "survival curves compared by the log-rank test", CENSORED),
    ]  # fmt: skip


def _graph(arms: Sequence[str]) -> dict[str, Any]:
    """Graph of ALT before fat, dose by dose: an arm's ALT hands half of its weight to its fat."""
    active = list(arms[1:])
    alt = {arm: f"ALT, {arm}" for arm in active}
    fat = {arm: f"Liver fat, {arm}" for arm in active}
    hypotheses: dict[str, Any] = {}
    transitions: dict[str, Any] = {}
    for place, arm in enumerate(active):
        hypotheses[alt[arm]] = {"analysis": "alt-week12", "arm": arm}
        hypotheses[fat[arm]] = {"analysis": "fat-week48", "arm": arm}
        other = alt[active[(place + 1) % len(active)]]
        single = len(active) == 1
        transitions[alt[arm]] = {fat[arm]: 1.0} if single else {other: 0.5, fat[arm]: 0.5}
        if not single:
            transitions[fat[arm]] = {other: 1.0}
    return {
        "method": "graphical", "alpha": 0.05, "hypotheses": hypotheses,
        "weights": {alt[arm]: 1.0 / len(active) for arm in active}, "transitions": transitions,
    }  # fmt: skip
