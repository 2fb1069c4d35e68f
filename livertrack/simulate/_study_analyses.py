"""Analyses in the plan of a simulated trial: a representative choice of what a plan may ask."""

from collections.abc import Mapping, Sequence
from typing import Any

USUAL = ["ALT", "PDFF", "STIFF"]


def analysis(key: str, endpoint: str, title: str, **more: Any) -> dict[str, Any]:
    """One analysis of a plan."""
    return {"id": key, "endpoint": endpoint, "title": title, **more}


def imaging_analyses(visits: Sequence[str], repeats: Mapping[str, str]) -> list[dict[str, Any]]:
    """Analyses of the tissue types."""
    last = visits[-1]

    def prediction(key: str, title: str, options: dict[str, Any]) -> dict[str, Any]:
        return analysis(
            key, "biopsy_prediction", title, visit=visits[0],
            options={
                **options,
                "feature_sets": {"signature": ["TV*"], "usual": USUAL, "both": ["TV*", *USUAL]},
            },
        )  # fmt: skip

    noise = analysis(
        "smallest-change", "repeatability", "Smallest change that is real", visit=last,
        parameters=["TV*", "PDFF", "STIFF"],
    )  # fmt: skip
    return [
        analysis("pathways", "change_pathways", "Tissue change pathways", estimand="pathways",
                 visit=last),
        *([noise] if repeats else []),
        analysis("separation", "separation", "Separation of the arms", estimand="signature",
                 visit=last, parameters=["TV*", *USUAL]),
        analysis("signature-family", "max_t", "All tissue types as one family",
                 estimand="signature", visit=last, parameters=["TV*"]),
        analysis("head-to-head", "compare_separation",
                 "Separation of the signature beside the usual measures", estimand="signature",
                 visit=last, parameters=USUAL, options={"score": {"signature": ["TV*"]}}),
        analysis("composition", "composition_regression", "The signature as a composition",
                 estimand="signature", visit=last, parameters=["TV*"]),
        analysis("composition-test", "permanova", "Do whole signatures differ between arms?",
                 estimand="signature", visit=last, parameters=["TV*"],
                 options={"n_perm": 1999}),
        prediction("steatosis", "Prediction of moderate or severe steatosis at biopsy",
                   {"outcome": "STEATOSIS", "threshold": 2}),
        prediction("nash", "Prediction of steatohepatitis at biopsy", {"outcome": "NASH"}),
    ]  # fmt: skip


def clinical_analyses(visits: Sequence[str], repeats: Mapping[str, str]) -> list[dict[str, Any]]:
    """Analyses of laboratory values, fat, biopsies and events."""
    baseline, first, last = visits[0], visits[1], visits[-1]
    adjusted = {"formula": "CHG ~ BASE + DIABFL + {arm}"}
    histology = {
        "criteria": [
            {"parameter": "NAS", "measure": "CHG", "below": -2},
            {"parameter": "FIBROSIS", "measure": "CHG", "below": 0},
        ],
        "eligible": [{"parameter": "NAS", "measure": "BASE", "above": 2}],
    }
    resolution = {
        "criteria": [
            {"parameter": "NASH", "below": 0},
            {"parameter": "FIBROSIS", "measure": "CHG", "below": 0},
        ],
        "eligible": [{"parameter": "NASH", "measure": "BASE", "above": 1}],
    }
    hierarchy = [
        {"name": "Liver-related event", "time": "LRE"},
        {"name": "Fibrosis stage", "value": "FIBROSIS", "better": "lower"},
        {"name": "Liver fat", "value": "PDFF", "better": "lower", "margin": 1.0},
    ]
    rescans = [
        analysis(f"rescan-{code.lower()}", "bland_altman", "Agreement of a scan and its repeat",
                 parameters=[code],
                 options={"rater": "AVISIT", "method_1": repeat, "method_2": visit})
        for repeat, visit in repeats.items()
        for code in ("PDFF",)
    ]  # fmt: skip
    return [
        analysis("alt-week12", "ancova", f"ALT at {first}", estimand="alt", visit=first,
                 parameters=["ALT"], options=adjusted),
        analysis("alt-course", "mmrm", "ALT over time", estimand="alt", parameters=["ALT"]),
        analysis("alt-policy", "imputation", "ALT with missing values imputed",
                 estimand="alt-policy", parameters=["ALT"]),
        analysis("alt-tipping", "tipping_point", "How fragile the difference in ALT is",
                 estimand="alt-policy", visit=last, parameters=["ALT"],
                 options={"deltas": [-10.0, 0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
                          "reference_deltas": [-30.0, -20.0, -10.0, 0.0, 10.0]}),
        analysis("alt-subgroups", "subgroup_forest", f"ALT at {first} in subgroups",
                 estimand="alt", visit=first, parameters=["ALT"],
                 options={"subgroups": ["SEX", "DIABFL", "AGE"], "cuts": {"AGE": [55]}}),
        analysis("fat-week48", "ancova", f"MRI-PDFF at {last}", estimand="fat", visit=last,
                 parameters=["PDFF"], options=adjusted),
        *rescans,
        analysis("fat-responders", "risk_difference", "Fat responders", estimand="responder",
                 visit=last, parameters=["PDFF"], options={"measure": "PCHG", "below": -30.0}),
        analysis("histology", "risk_difference", "NAS lower by 2 without worse fibrosis",
                 estimand="histology", visit=last, options=histology),
        analysis("resolution", "odds_ratio", "Steatohepatitis resolved without worse fibrosis",
                 estimand="histology", visit=last, options=resolution),
        analysis("fibrosis", "proportional_odds", f"Fibrosis stage at {last}",
                 estimand="fibrosis", visit=last, parameters=["FIBROSIS"]),
        analysis("fibrosis-shift", "shift_table", f"Fibrosis stage from {baseline} to {last}",
                 estimand="fibrosis", visit=last, parameters=["FIBROSIS"],
                 options={"levels": [0, 1, 2, 3, 4]}),
        analysis("events", "kaplan_meier", "Liver-related events", estimand="events",
                 parameters=["LRE"]),
        analysis("events-test", "log_rank", "Liver-related events, log-rank test",
                 estimand="events", parameters=["LRE"], options={"within_strata": True}),
        analysis("events-kinds", "cumulative_incidence", "Kinds of first liver-related events",
                 estimand="events", parameters=["LRE"]),
        analysis("hierarchy", "win_ratio", "Events, then fibrosis, then liver fat", visit=last,
                 options={"hierarchy": hierarchy}),
        analysis("interim", "group_sequential", "Boundaries of a look at half of the data",
                 options={"information": [0.5, 1.0]}),
    ]  # fmt: skip
