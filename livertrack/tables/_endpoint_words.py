"""What a reader calls each endpoint, and the sentence of it in the methods section."""

from __future__ import annotations

#: endpoint -> what a reader calls it
ENDPOINTS = {
    "ancova": "Analysis of covariance", "dunnett": "Arms against the reference (Dunnett)",
    "mmrm": "Mixed model for repeated measures",
    "separation": "Separation", "compare_separation": "Separation compared",
    "max_t": "All measures as one family (max-T)",
    "change_pathways": "Change pathways", "replicate": "Replication",
    "change_atlas": "Place of change", "beyond_noise": "Flows beyond noise",
    "type_severity": "Severity of tissue types", "trajectories": "Courses of tissue types",
    "biopsy_prediction": "Biopsy prediction",
    "cross_validate": "Prediction models compared",
    "evaluate_task": "Prediction from pictures",
    "abstention": "Predictions left undecided", "elastography_quality": "MR elastography quality",
    "prediction_interval": "Prediction intervals",
    "stiffness_checks": "Thresholds, intervals and confounders",
    "task_maps": "Where the networks look",
    "confounder_audit": "Errors by possible confounders",
    "permutation_importance": "Importance of features", "prognosis": "Prognosis of events",
    "risk_difference": "Responders", "responders": "Responders",
    "risk_ratio": "Responders, risk ratio", "odds_ratio": "Responders, odds ratio",
    "g_computation": "Responders, adjusted for covariates",
    "cmh_test": "Cochran-Mantel-Haenszel test", "subgroup_forest": "Subgroups",
    "kaplan_meier": "Kaplan-Meier", "log_rank": "Log-rank test", "cox": "Cox model",
    "rmst": "Restricted mean survival time", "cumulative_incidence": "Cumulative incidence",
    "fine_gray": "Fine-Gray model", "recurrent_events": "Recurrent events",
    "win_ratio": "Win ratio", "proportional_odds": "Proportional-odds model",
    "shift_table": "Shift table", "weighted_kappa": "Weighted kappa", "icc":
    "Intraclass correlation", "bland_altman": "Bland-Altman agreement",
    "repeatability": "Repeatability", "real_change": "Change beyond noise",
    "permanova": "PERMANOVA", "composition_regression": "Compositional regression",
    "group_sequential": "Group sequential boundaries", "power": "Power",
    "imputation": "Missing values imputed", "tipping_point": "Tipping point",
    "adjust_pvalues": "Adjusted p-values",
    "graphical_test": "Graphical test", "closed_test": "Closed test",
    "gatekeeping": "Gatekeeping",
}  # fmt: skip

#: one sentence per endpoint, in the words of a methods section; keys are contexts of the plan
SENTENCES = {
    "ancova": "Changes from baseline were compared by analysis of covariance with the formula "
    "`{formula}`; adjusted means are averaged over the other factors with {weights} weights.",
    "dunnett": "Arms were compared with the reference by a linear model with the covariates "
    "`{covariates}`; limits and p-values are adjusted for the number of arms by the distribution "
    "of the largest statistic (Dunnett).",
    "mmrm": "Changes at all visits were compared by a mixed model for repeated measures, "
    "`{formula}`, fitted by restricted maximum likelihood with {df} degrees of freedom.",
    "separation": "Separation of each arm from the reference is given as Hedges g with exact "
    "noncentral-t limits [@hedges1981] and as AUC with DeLong limits [@delong1988]; bootstrap "
    "limits resample subjects within arms ({n_boot} resamples).",
    "compare_separation": "Measures were compared with each other on subjects who have both, by a "
    "paired bootstrap of subjects ({n_boot} resamples) and the paired DeLong test; scores made of "
    "several measures were fitted without the subjects they score.",
    "max_t": "Many measures were compared as one family by Welch's t, adjusted by the permutation "
    "distribution of the largest statistic ({n_perm} permutations, step-down) [@westfall1993].",
    "change_pathways": "Pathways were compared with the reference by random relabelling of arms "
    "within strata ({n_perm} permutations); p-values are adjusted over all tested pathways by "
    "step-down max-T [@westfall1993].",
    "replicate": "Flows that a first cohort chose were tested in its directions, one-sided "
    "({n_perm} permutations), with vocabulary, directions and choices frozen.",
    "change_atlas": "Livers were brought onto one template by their surface; the share of each "
    "place that changed was compared by random relabelling of arms ({n_perm} permutations), "
    "adjusted over all places by step-down max-T.",
    "beyond_noise": "Flows of each arm were compared with those between a scan and its repeat by "
    "a bootstrap of subjects ({n_boot} resamples), adjusted over all flows.",
    "type_severity": "The severity of tissue types was learned from {outcome} at baseline by "
    "ridge regression, out of fold; improvement and worsening are movements to less and more "
    "severe types.",
    "trajectories": "Whether change by {early} foretells a late outcome was asked by nested "
    "cross-validation; early change was permuted among the subjects of an arm.",
    "biopsy_prediction": "Biopsy features were predicted by nested cross-validation ({n_folds} "
    "folds, {n_repeats} repeat(s)) grouped by subject: every choice is made inside the training "
    "folds, and each subject is predicted by models that never saw that subject.",
    "cross_validate": "Models of {outcome} ({kinds}) were compared by nested cross-validation "
    "({split}, {n_folds} folds, {n_repeats} repeat(s)) grouped by subject: gaps, scaling, "
    "parameters and, where asked, site effects are learned inside the training folds.",
    "permutation_importance": "What carries the prediction of {outcome} is the metric lost out of "
    "fold when a feature is exchanged among subjects ({n_permutations} exchanges) [@breiman2001].",
    "prognosis": "Events were predicted from features before them by nested cross-validation "
    "({models}; {n_folds} folds) and judged at {horizons} by C statistics, time-dependent AUC and "
    "Brier scores, weighed for censoring [@uno2011; @graf1999].",
    "risk_difference": "Proportions of responders were compared by the {method} method; "
    "{missing}.",
    "risk_ratio": "Ratios of proportions of responders are by the {method} method; {missing}.",
    "odds_ratio": "Odds ratios of response are by the {method} method; {missing}.",
    "g_computation": "Proportions of responders were also compared after adjustment for "
    "`{covariates}` by g-computation from a logistic model; {missing}.",
    "cmh_test": "Association of arm and response within strata was tested by the generalised "
    "Cochran-Mantel-Haenszel tests.",
    "subgroup_forest": "Effects in subgroups ({subgroups}) are shown with tests of interaction, "
    "without adjustment for their number.",
    "kaplan_meier": "Times to event are shown as Kaplan-Meier estimates with log-log limits.",
    "log_rank": "They were compared by the log-rank test.",
    "cox": "Hazard ratios are from a Cox model, `{formula}`, with {ties} handling of ties.",
    "rmst": "Restricted mean times are up to {tau}.",
    "cumulative_incidence": "With competing kinds of event, cumulative incidence is the "
    "Aalen-Johansen estimate, compared by Gray's test.",
    "fine_gray": "Subdistribution hazards were modelled after Fine and Gray, `{formula}`.",
    "recurrent_events": "Rates of recurrent events were compared by the Andersen-Gill model with "
    "robust variance and by negative binomial regression.",
    "win_ratio": "Every subject of an arm was compared with every subject of the reference on a "
    "hierarchy of outcomes; win ratio, win odds and net benefit have limits from the U-statistic "
    "covariance.",
    "proportional_odds": "Scores were compared by a proportional-odds model, `{formula}`; Brant's "
    "test asks whether one odds ratio holds for all cuts of the score.",
    "shift_table": "Shifts of a score within an arm were tested by the Stuart-Maxwell test.",
    "weighted_kappa": "Agreement of two raters is weighted kappa with {weights} weights.",
    "icc": "Intraclass correlations are from the analysis of variance, with F limits.",
    "bland_altman": "Agreement of two measurements is shown after Bland and Altman with exact "
    "limits.",
    "repeatability": "The smallest change that is real is the upper confidence limit of the "
    "repeatability coefficient from repeated measurements of unchanged subjects (coverage "
    "{coverage}).",
    "permanova": "Whole signatures were compared by permutational analysis of variance of their "
    "{metric} distances ({n_perm} permutations).",
    "composition_regression": "The signature was modelled as a composition by linear regression "
    "of log-ratio coordinates, which does not depend on the choice of the basis.",
    "imputation": "Records after intercurrent events were handled as the estimand says; missing "
    "ones were imputed from a mixed model for repeated measures [@carpenter2013] and analysed by "
    "ANCOVA at each visit: {draws}.",
    "tipping_point": "How far imputed values may be worse before the conclusion changes is shown "
    "by adding amounts to them.",
    "group_sequential": "Interim boundaries follow {spending} spending of a type I error of "
    "{alpha}.",
    "power": "Power is of the difference at the last visit.",
}
#: option ``draws`` of an imputed analysis -> clause of its sentence
DRAWS = {
    "bayes": "{n} data sets from Bayesian draws of the model, pooled by Rubin's rules with the "
    "degrees of freedom of Barnard and Rubin [@barnard1999]",
    "bootstrap": "{n} data sets from bootstrap refits of the model, pooled by Rubin's rules with "
    "the degrees of freedom of Barnard and Rubin [@barnard1999]",
    "conditional-mean": "one data set of conditional means, with the jackknife over subjects",
}
#: option ``missing`` of a responder analysis -> clause of its sentence
MISSING = {
    "non-responder": "a subject without a value counts as a non-responder",
    "drop": "subjects without a value are left out",
}
