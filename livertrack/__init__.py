"""livertrack: tissue vocabularies of liver MRI, and the trial statistics around them.

Every public name is imported when it is first used, so that ``import livertrack`` is quick and
never imports torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    # study and plan
    "read_study": "livertrack.study",
    "Study": "livertrack.study",
    "check_study": "livertrack.pipeline.check",
    "read_plan": "livertrack.plan",
    "Plan": "livertrack.plan",
    "run_study": "livertrack.pipeline.run",
    "replicate": "livertrack.pipeline.replicate",
    "simulate_trial": "livertrack.simulate",
    "bids_images": "livertrack.bids",
    "fat_fraction": "livertrack.imaging.fat_water",
    # models
    "mmrm": "livertrack.endpoints.mmrm",
    "ancova": "livertrack.endpoints.ancova",
    "compare_covariances": "livertrack.endpoints.mmrm",
    "mmrm_diagnostics": "livertrack.endpoints.mmrm_diagnostics",
    "impute": "livertrack.endpoints.imputation",
    "power": "livertrack.endpoints.power",
    # the imaging endpoints
    "separation": "livertrack.endpoints.separation",
    "compare_separation": "livertrack.endpoints.compare_separation",
    "change_pathways": "livertrack.endpoints.change_pathways",
    "null_transitions": "livertrack.endpoints.change_pathways",
    "beyond_noise": "livertrack.endpoints.beyond_noise",
    "type_severity": "livertrack.endpoints.type_severity",
    "trajectories": "livertrack.endpoints.trajectories",
    "change_atlas": "livertrack.endpoints.change_atlas",
    "freeze_pathways": "livertrack.endpoints.replication",
    "replicate_pathways": "livertrack.endpoints.replication",
    "biopsy_prediction": "livertrack.endpoints.biopsy_prediction",
    "cross_validate": "livertrack.endpoints.cross_validation",
    "Tabular": "livertrack.endpoints.cross_validation",
    "evaluate_task": "livertrack.tasks.evaluate",
    "Combat": "livertrack.endpoints.combat",
    "Harmonised": "livertrack.endpoints.combat",
    "PseudoDomains": "livertrack.endpoints.pseudo_domains",
    "fit_tabular": "livertrack.endpoints.model_file",
    "load_tabular": "livertrack.endpoints.model_file",
    "TabularModel": "livertrack.endpoints.model_file",
    "prediction_interval": "livertrack.endpoints.prediction_interval",
    "abstention": "livertrack.endpoints.abstention",
    "confounder_audit": "livertrack.endpoints.confounder_audit",
    "selected_features": "livertrack.endpoints.feature_selection",
    "StableFeatures": "livertrack.endpoints.feature_selection",
    "UncorrelatedFeatures": "livertrack.endpoints.feature_selection",
    "biopsy_models": "livertrack.endpoints.biopsy_models",
    "OrdinalLogistic": "livertrack.endpoints.biopsy_models",
    "permutation_importance": "livertrack.endpoints.importance",
    "shapley_values": "livertrack.endpoints.shapley",
    "prognosis": "livertrack.endpoints.prognosis",
    "RidgeCox": "livertrack.endpoints.prognosis",
    "SurvivalForest": "livertrack.endpoints.prognosis",
    "radiomics": "livertrack.imaging.radiomics",
    "RadiomicRules": "livertrack.imaging.radiomics",
    # responders
    "risk_difference": "livertrack.endpoints.responders",
    "risk_ratio": "livertrack.endpoints.responders",
    "g_computation": "livertrack.endpoints.g_computation",
    "subgroup_forest": "livertrack.endpoints.subgroup_forest",
    "odds_ratio": "livertrack.endpoints.responders",
    "cmh_test": "livertrack.endpoints.responders",
    "derive_responders": "livertrack.endpoints.responders",
    "Criterion": "livertrack.endpoints.responders",
    # events
    "kaplan_meier": "livertrack.endpoints.survival",
    "log_rank": "livertrack.endpoints.survival",
    "cox": "livertrack.endpoints.survival",
    "rmst": "livertrack.endpoints.survival",
    "cumulative_incidence": "livertrack.endpoints.survival",
    "fine_gray": "livertrack.endpoints.survival",
    "recurrent_events": "livertrack.endpoints.survival",
    "win_ratio": "livertrack.endpoints.win_ratio",
    "Outcome": "livertrack.endpoints.win_ratio",
    # ordered endpoints
    "proportional_odds": "livertrack.endpoints.ordinal",
    "shift_table": "livertrack.endpoints.ordinal",
    # agreement
    "icc": "livertrack.endpoints.agreement",
    "bland_altman": "livertrack.endpoints.agreement",
    "weighted_kappa": "livertrack.endpoints.agreement",
    "repeatability": "livertrack.endpoints.agreement",
    "real_change": "livertrack.endpoints.real_change",
    # multiplicity
    "adjust_pvalues": "livertrack.endpoints.multiplicity",
    "max_t": "livertrack.endpoints.multiplicity",
    "graphical_test": "livertrack.endpoints.multiplicity",
    "closed_test": "livertrack.endpoints.multiplicity",
    "gatekeeping": "livertrack.endpoints.multiplicity",
    "simultaneous_intervals": "livertrack.endpoints.multiplicity",
    "dunnett": "livertrack.endpoints.multiplicity",
    # interim looks
    "group_sequential": "livertrack.endpoints.group_sequential",
    # compositions
    "clr": "livertrack.endpoints.compositions",
    "ilr": "livertrack.endpoints.compositions",
    "permanova": "livertrack.endpoints.compositions",
    "ilr_inverse": "livertrack.endpoints.compositions",
    "aitchison_distance": "livertrack.endpoints.compositions",
    "composition_regression": "livertrack.endpoints.compositions",
    # descriptive
    "disposition": "livertrack.endpoints.descriptive",
    "baseline_table": "livertrack.endpoints.descriptive",
    "signature_summary": "livertrack.endpoints.descriptive",
    "scan_quality": "livertrack.endpoints.scan_quality",
    "elastography_quality": "livertrack.endpoints.elastography_quality",
    "registration_quality": "livertrack.endpoints.scan_quality",
    "site_effects": "livertrack.endpoints.site_effects",
    "type_atlas": "livertrack.endpoints.type_atlas",
    "type_correlation": "livertrack.endpoints.type_correlation",
    "vocabulary_recovery": "livertrack.endpoints.vocabulary_recovery",
    "planted_pathways": "livertrack.endpoints.planted_pathways",
    # looking at maps
    "view_tissue_map": "livertrack.report.viewer",
    # errors
    "LivertrackError": "livertrack.errors",
    "DataError": "livertrack.errors",
    "ImageError": "livertrack.errors",
    "PlanError": "livertrack.errors",
    "UsageError": "livertrack.errors",
}
_MODULES = {"imaging", "figures", "tables", "report"}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(importlib.import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"livertrack.{name}")
    msg = f"module 'livertrack' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
