"""The statistical analysis plan of a simulated trial."""

from collections.abc import Sequence
from typing import Any

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
    """
    first, last = visits[1], visits[-1]
    contrast = "each active arm compared with " + arms[0]
    everyone = "all randomised subjects (FASFL)"
    plan: dict[str, Any] = {
        "study": {"id": "SIM", "title": title, "simulated": True},
        "seed": seed,
        "conf_level": 0.95,
        "data": {
            "population": "FASFL", "arm": "TRT01P", "arms": list(arms), "reference": arms[0],
            "visits": list(visits), "baseline": visits[0], "site": "SITEID", "strata": ["DIABFL"],
        },
    }  # fmt: skip
    if imaging:
        plan["imaging"] = {
            "sequences": list(sequences), "liver_label": 5, "reference_label": 1,
            "spacing_mm": [float(step) for step in spacing], "bias_field": "n4",
            "standardise": "reference", "method": "joint", "n_types": 8, "min_voxels": min_voxels,
            "correspondence": "rigid", "truth": "truth",
        }  # fmt: skip

    def estimand(key: str, label: str, variable: str, summary: str, event: Any) -> dict[str, Any]:
        return {
            "id": key, "label": label, "treatment": contrast, "population": everyone,
            "variable": variable, "intercurrent_events": [dict(TREATMENT_POLICY), dict(event)],
            "summary": summary,
        }  # fmt: skip

    tissue_estimands = [
        estimand("pathways", "Tissue change pathways",
                 f"share of the liver that turns from one tissue type into another by {last}",
                 "difference in mean share between arms", WITHDRAWAL),
        estimand("signature", "Separation of the arms on the tissue signature",
                 f"change from baseline to {last} of the share of each tissue type",
                 "standardised mean difference and probability of superiority", WITHDRAWAL),
    ]  # fmt: skip
    plan["estimands"] = [
        *(tissue_estimands if imaging else []),
        estimand("alt", "ALT at " + first, f"change of ALT from baseline to {first}, U/L",
                 "difference in least squares means", WITHDRAWAL),
        estimand("fat", "Liver fat at " + last,
                 f"change of MRI-PDFF from baseline to {last}, percentage points",
                 "difference in least squares means", WITHDRAWAL),
        estimand("responder", "Fat responders",
                 f"relative fall of MRI-PDFF of at least 30 % at {last}",
                 "difference in proportions", COMPOSITE),
        estimand("events", "Liver-related events", "time to the first liver-related event, days",
                 "survival curves compared by the log-rank test",
                 {"event": "Withdrawal from the trial", "strategy": "while-on-treatment",
                  "handling": "follow-up ends at withdrawal (censored)"}),
    ]  # fmt: skip

    usual = ["ALT", "PDFF", "STIFF"]

    def analysis(key: str, endpoint: str, title: str, **more: Any) -> dict[str, Any]:
        return {"id": key, "endpoint": endpoint, "title": title, **more}

    def prediction(key: str, title: str, options: dict[str, Any]) -> dict[str, Any]:
        return analysis(
            key, "biopsy_prediction", title, visit=visits[0],
            options={
                **options,
                "feature_sets": {"signature": ["TV*"], "usual": usual, "both": ["TV*", *usual]},
            },
        )  # fmt: skip

    tissue_analyses = [
        analysis("pathways", "change_pathways", "Tissue change pathways", estimand="pathways",
                 visit=last),
        analysis("separation", "separation", "Separation of the arms", estimand="signature",
                 visit=last, parameters=["TV*", *usual]),
        analysis("head-to-head", "compare_separation",
                 "Separation of the signature beside the usual measures", estimand="signature",
                 visit=last, parameters=usual, options={"score": {"signature": ["TV*"]}}),
        prediction("steatosis", "Prediction of moderate or severe steatosis at biopsy",
                   {"outcome": "STEATOSIS", "threshold": 2}),
        prediction("nash", "Prediction of steatohepatitis at biopsy", {"outcome": "NASH"}),
    ]  # fmt: skip
    plan["analyses"] = [
        *(tissue_analyses if imaging else []),
        analysis("alt-week12", "ancova", f"ALT at {first}", estimand="alt", visit=first,
                 parameters=["ALT"], options={"formula": "CHG ~ BASE + DIABFL + {arm}"}),
        analysis("alt-course", "mmrm", "ALT over time", estimand="alt", parameters=["ALT"]),
        analysis("fat-week48", "ancova", f"MRI-PDFF at {last}", estimand="fat", visit=last,
                 parameters=["PDFF"], options={"formula": "CHG ~ BASE + DIABFL + {arm}"}),
        analysis("fat-responders", "risk_difference", "Fat responders", estimand="responder",
                 visit=last, parameters=["PDFF"], options={"measure": "PCHG", "below": -30.0}),
        analysis("events", "kaplan_meier", "Liver-related events", estimand="events",
                 parameters=["LRE"]),
        analysis("events-test", "log_rank", "Liver-related events, log-rank test",
                 estimand="events", parameters=["LRE"], options={"within_strata": True}),
    ]  # fmt: skip
    plan["multiplicity"] = {"method": "holm", "family": ["alt-week12", "fat-week48"]}
    plan["report"] = {"title": title, "subtitle": "Simulated data"}
    return plan
