"""Numbers of tables, listings and figures, and the datasets behind them.

The numbers are those of ICH E3: 14.1 what was there, 14.2 efficacy, 16.1.9 statistical methods,
16.2 listings. The third part is the subject (`CHAPTERS`), the same in every report; the last one
counts within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: endpoints that share a chapter, in the order of their numbers
_SUBJECTS = (
    ("disposition",), ("baseline_table",), ("scan_quality", "findings"),
    ("registration_quality",), ("site_effects",), ("vocabulary_card",), ("type_atlas",),
    ("type_correlation",), ("recovery", "vocabulary_recovery"),
)  # fmt: skip
_EFFICACY = (
    ("signature_summary",), ("repeatability", "real_change"), ("change_pathways",),
    ("change_atlas",), ("replicate",), ("beyond_noise",), ("type_severity",), ("trajectories",),
    ("planted_pathways",), ("separation",), ("max_t",), ("compare_separation",),
    ("composition_regression",), ("permanova",), ("biopsy_prediction",), ("ancova", "mmrm"),
    ("dunnett",), ("imputation",), ("tipping_point",), ("subgroup_forest",),
    ("risk_difference", "risk_ratio", "odds_ratio", "responders"), ("g_computation",),
    ("cmh_test",), ("proportional_odds",), ("shift_table",), ("weighted_kappa",),
    ("kaplan_meier",), ("log_rank", "cox", "rmst", "fine_gray", "recurrent_events"),
    ("cumulative_incidence",), ("win_ratio",), ("bland_altman",), ("icc",),
    ("adjust_pvalues", "graphical_test", "closed_test", "gatekeeping", "multiplicity"),
    ("group_sequential",), ("power",), ("cross_validate",), ("permutation_importance",),
    ("prognosis",), ("prediction_interval",), ("confounder_audit",), ("evaluate_task",),
    ("elastography_quality",), ("abstention",), ("stiffness_checks",),
    ("task_maps",),
)  # fmt: skip
#: endpoint -> its chapter
CHAPTERS: Mapping[str, str] = {
    **{name: f"14.1.{n}" for n, names in enumerate(_SUBJECTS, 1) for name in names},
    **{name: f"14.2.{n}" for n, names in enumerate(_EFFICACY, 1) for name in names},
    "plan": "16.1.9",
}
#: what has no chapter of its own
OTHER = "14.4"
LISTINGS = "16.2"
#: names of tables and figures (or what they begin with) -> endpoint
_NAMES: Mapping[str, str] = {
    "disposition": "disposition", "consort": "disposition", "baseline": "baseline_table",
    "scans": "scan_quality", "scan-measures": "scan_quality", "scan-strips": "scan_quality",
    "scan-flags": "scan_quality", "scan-exclusions": "scan_quality", "findings": "findings",
    "registration": "registration_quality", "sites": "site_effects",
    "exemplars": "vocabulary_card", "profiles": "vocabulary_card",
    "vocabulary": "vocabulary_card", "hierarchy-of-types": "vocabulary_card",
    "type-tree": "vocabulary_card", "example-liver": "vocabulary_card",
    "type-biopsy": "type_correlation", "type-noise": "repeatability", "type": "type_atlas",
    "recovery": "recovery", "signatures": "signature_summary", "change-map": "change_atlas",
    "change-atlas": "change_atlas", "replication": "replicate",
    "planted-pathways": "planted_pathways", "whole-signature": "permanova",
    "responders-adjusted": "g_computation", "responders-association": "cmh_test",
    "responders": "risk_difference", "shifts": "shift_table", "raters": "weighted_kappa",
    "events": "kaplan_meier", "event-comparisons": "log_rank",
    "event-kinds": "cumulative_incidence", "agreement": "bland_altman", "icc": "icc",
    "family": "multiplicity", "importance": "permutation_importance", "power": "power",
    "estimands": "plan", "analyses": "plan",
    "provenance": "plan", "maps": "task_maps",
}  # fmt: skip


def tag(analysis: str) -> str:
    """Write the name of an analysis as names of tables have it."""
    return analysis.lower().replace("_", "-")


def subject_of(name: str, plan: Mapping[str, Any]) -> tuple[str, str]:
    """Endpoint and analysis (blank where it is no planned one) of a table or figure by its name.

    A name holds the analysis (``model-alt-week12``), or is one of the fixed ones (``baseline``).
    """
    best, found = "", ("", "")
    for analysis in plan.get("analyses") or []:
        own = tag(str(analysis["id"]))
        inside = f"-{own}-" in f"-{name}-"
        if inside and len(own) > len(best) and name not in _NAMES:
            best, found = own, (str(analysis["endpoint"]), str(analysis["id"]))
    if best:
        return found
    for known in sorted(_NAMES, key=len, reverse=True):
        if name == known or name.startswith(f"{known}-"):
            return _NAMES[known], ""
    return "", ""


class Numbering:
    """Counts tables, listings and figures within their chapters."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._plan = plan
        self._count: dict[tuple[str, str], int] = {}

    def next(self, kind: str, name: str) -> str:
        """Give the number of the next ``Table``, ``Listing`` or ``Figure`` of that name."""
        endpoint, _ = subject_of(name, self._plan)
        chapter = LISTINGS if kind == "Listing" else CHAPTERS.get(endpoint, OTHER)
        place = self._count[kind, chapter] = self._count.get((kind, chapter), 0) + 1
        return f"{chapter}.{place}"
