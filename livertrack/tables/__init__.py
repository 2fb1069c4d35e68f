"""Results -> formatted tables. Rounding happens here and nowhere else; nothing is computed."""

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
from livertrack.tables.comparisons import (
    comparison_table,
    contrast_table,
    responder_table,
    separation_table,
)
from livertrack.tables.descriptive import (
    baseline_summary,
    disposition_table,
    scan_measure_table,
    scan_table,
    signature_table,
)
from livertrack.tables.events import event_comparison_table, event_table
from livertrack.tables.methods import (
    ENDPOINTS,
    SCAN_MEASURES,
    limitations,
    methods_paragraphs,
    provenance_table,
    responder_rule,
)
from livertrack.tables.multiplicity import family_table
from livertrack.tables.pathways import net_change_table, pathway_table
from livertrack.tables.plan import analysis_table, estimand_table
from livertrack.tables.prediction import (
    auc_labels,
    metric_name,
    prediction_comparison_table,
    prediction_table,
    set_name,
)
from livertrack.tables.sentences import (
    comparison_sentences,
    contrast_sentences,
    pathway_sentence,
    prediction_sentence,
    separation_sentence,
)
from livertrack.tables.vocabulary import planted_table, recovery_table, vocabulary_table

__all__ = [
    "ENDPOINTS",
    "SCAN_MEASURES",
    "Row",
    "Table",
    "analysis_table",
    "auc_labels",
    "baseline_summary",
    "comparison_sentences",
    "comparison_table",
    "confidence",
    "contrast_sentences",
    "contrast_table",
    "count_percent",
    "digits_for",
    "disposition_table",
    "estimand_table",
    "event_comparison_table",
    "event_table",
    "family_table",
    "grouped",
    "integer",
    "interval",
    "limitations",
    "limits",
    "methods_paragraphs",
    "metric_name",
    "net_change_table",
    "number",
    "p_value",
    "pathway_sentence",
    "pathway_table",
    "percent",
    "planted_table",
    "prediction_comparison_table",
    "prediction_sentence",
    "prediction_table",
    "provenance_table",
    "recovery_table",
    "responder_rule",
    "responder_table",
    "scan_measure_table",
    "scan_table",
    "separation_sentence",
    "separation_table",
    "set_name",
    "signature_table",
    "vocabulary_table",
]
