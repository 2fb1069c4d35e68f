"""Results -> formatted tables. Rounding happens here and nowhere else; nothing is computed."""

from livertrack.tables._endpoint_words import ENDPOINTS
from livertrack.tables._format import (
    confidence,
    count_percent,
    digits_for,
    integer,
    interval,
    limits,
    number,
    p_value,
    percent,
)
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.agreement import agreement_table, icc_table, smallest_change_table
from livertrack.tables.comparisons import (
    comparison_table,
    contrast_table,
    measures_table,
    separation_table,
)
from livertrack.tables.competing import incidence_table
from livertrack.tables.composition import composition_table, permanova_table
from livertrack.tables.courses import (
    noise_flow_table,
    persistence_table,
    severity_flow_table,
    severity_table,
)
from livertrack.tables.cross_validation import (
    fold_table,
    levels_of,
    model_comparison_table,
    model_labels,
    model_site_table,
    performance_table,
    published_table,
)
from livertrack.tables.descriptive import (
    baseline_summary,
    disposition_table,
    scan_measure_table,
    scan_table,
    signature_table,
)
from livertrack.tables.design import boundary_table, power_table
from livertrack.tables.events import event_comparison_table, event_table
from livertrack.tables.further import frame_tables, frames_beside, further_table
from livertrack.tables.methods import (
    SCAN_MEASURES,
    limitations,
    methods_paragraphs,
    provenance_table,
    responder_rule,
)
from livertrack.tables.missing_data import intercurrent_table, tipping_table
from livertrack.tables.multiplicity import dunnett_table, family_table, max_t_table
from livertrack.tables.pathways import net_change_table, pathway_table
from livertrack.tables.plan import analysis_table, estimand_table
from livertrack.tables.prediction import (
    auc_labels,
    metric_name,
    prediction_comparison_table,
    prediction_table,
    set_name,
)
from livertrack.tables.prognosis import (
    importance_table,
    prognosis_comparison_table,
    prognosis_table,
    risk_group_table,
)
from livertrack.tables.published import published_prediction_table
from livertrack.tables.replication import replication_table
from livertrack.tables.responders import (
    adjusted_responder_table,
    association_table,
    criteria_rule,
    responder_table,
)
from livertrack.tables.scores import kappa_table, odds_table, shift_summary_table
from livertrack.tables.sentences import (
    comparison_sentences,
    contrast_sentences,
    max_t_sentences,
    pathway_sentence,
    prediction_sentence,
    real_change_sentences,
    separation_sentence,
)
from livertrack.tables.subgroups import subgroup_table
from livertrack.tables.task import (
    baseline_sentences,
    chance_sentence,
    fact_table,
    published_marks,
    published_pairs,
    published_sources,
    task_data_table,
    task_settings_table,
)
from livertrack.tables.tripod import (
    PREDICTING,
    prediction_question_table,
    predictor_table,
    tripod_table,
)
from livertrack.tables.vocabulary import planted_table, recovery_table
from livertrack.tables.wins import pair_level_table, pair_table

__all__ = [
    "ENDPOINTS",
    "PREDICTING",
    "SCAN_MEASURES",
    "Row",
    "Table",
    "adjusted_responder_table",
    "agreement_table",
    "analysis_table",
    "association_table",
    "auc_labels",
    "baseline_sentences",
    "baseline_summary",
    "boundary_table",
    "chance_sentence",
    "comparison_sentences",
    "comparison_table",
    "composition_table",
    "confidence",
    "contrast_sentences",
    "contrast_table",
    "count_percent",
    "criteria_rule",
    "digits_for",
    "disposition_table",
    "dunnett_table",
    "estimand_table",
    "event_comparison_table",
    "event_table",
    "fact_table",
    "family_table",
    "fold_table",
    "frame_tables",
    "frames_beside",
    "further_table",
    "grouped",
    "icc_table",
    "importance_table",
    "incidence_table",
    "integer",
    "intercurrent_table",
    "interval",
    "kappa_table",
    "levels_of",
    "limitations",
    "limits",
    "max_t_sentences",
    "max_t_table",
    "measures_table",
    "methods_paragraphs",
    "metric_name",
    "model_comparison_table",
    "model_labels",
    "model_site_table",
    "net_change_table",
    "noise_flow_table",
    "number",
    "odds_table",
    "p_value",
    "pair_level_table",
    "pair_table",
    "pathway_sentence",
    "pathway_table",
    "percent",
    "performance_table",
    "permanova_table",
    "persistence_table",
    "planted_table",
    "power_table",
    "prediction_comparison_table",
    "prediction_question_table",
    "prediction_sentence",
    "prediction_table",
    "predictor_table",
    "prognosis_comparison_table",
    "prognosis_table",
    "provenance_table",
    "published_marks",
    "published_pairs",
    "published_prediction_table",
    "published_sources",
    "published_table",
    "real_change_sentences",
    "recovery_table",
    "replication_table",
    "responder_rule",
    "responder_table",
    "risk_group_table",
    "scan_measure_table",
    "scan_table",
    "separation_sentence",
    "separation_table",
    "set_name",
    "severity_flow_table",
    "severity_table",
    "shift_summary_table",
    "signature_table",
    "smallest_change_table",
    "subgroup_table",
    "task_data_table",
    "task_settings_table",
    "tipping_table",
    "tripod_table",
]
