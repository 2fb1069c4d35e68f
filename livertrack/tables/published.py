"""Published figures of predictions beside those of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from livertrack._views import frame_of, rows_of
from livertrack.tables._format import confidence, interval, number
from livertrack.tables._table import Row, Table

_NASH = "arXiv 2507.12012: 46 subjects with steatohepatitis, 30 with steatosis"
_EVENTS = "Radiomics of the liver: 41 events in 222 patients"
_TYPE = re.compile(r"TV\d+")
_TABLE = ("feature_set", "metric", "estimate", "conf_low", "conf_high", "n_subjects")


def published_prediction_table(results: Iterable[Any], *, simulated: bool) -> Table:
    """Published accuracies for steatohepatitis and AUC for events, and ours where they were asked.

    Parameters
    ----------
    results : iterable of StoredResult
        Of ``biopsy_prediction`` and ``prognosis``; others say nothing here.
    simulated : bool
        Whether the subjects are simulated.
    """
    rows: list[Row] = []
    level = 0.95
    for result in results:
        if result.context == "biopsy_prediction" and result.settings.get("outcome") == "NASH":
            level = float(result.settings.get("conf_level", level))
            rows += [
                _row("Accuracy, signature", 0.85, _NASH, *_of_set(result, _is_signature)),
                _row("Accuracy, fat fraction", 0.78, _NASH, *_of_set(result, _is_fat)),
            ]
        elif result.context == "prognosis":
            rows.append(_row("AUC, events", 0.93, _EVENTS, *_of_events(result)))
    ours = f"{'Ours, simulated' if simulated else 'Ours'} ({confidence(level)} CI)"
    return Table(
        title="Published figures beside ours",
        stub="Figure",
        headers=("Published", ours, "Our predictors", "Source"),
        rows=tuple(rows),
        text_columns=(2, 3),
        footnotes=(
            "Ours are of simulated subjects and no estimate of performance in patients."
            if simulated
            else "Ours are of other subjects than the published ones.",
            "Published folds, classifiers and thresholds were others. A dash: not asked here.",
        ),
        empty="Nothing of this run has a published counterpart.",
    )


def _row(figure: str, published: float, source: str, ours: str, model: str) -> Row:
    return Row(figure, (number(published), ours, model, source))


def _is_signature(columns: Sequence[str]) -> bool:
    return bool(columns) and all(_TYPE.fullmatch(str(c)) for c in columns)


def _is_fat(columns: Sequence[str]) -> bool:
    return [str(c) for c in columns] == ["PDFF"]


def _of_set(result: Any, wanted: Any) -> tuple[str, str]:
    """Accuracy of the first feature set of a kind."""
    sets = dict(result.settings.get("feature_sets") or {})
    name = next((name for name, columns in sets.items() if wanted(columns)), "")
    for row in rows_of(frame_of(result, "table", _TABLE)):
        if name and str(row["feature_set"]) == name and str(row["metric"]) == "accuracy":
            return interval(row["estimate"], row["conf_low"], row["conf_high"]), name
    return "–", "–"


def _of_events(result: Any) -> tuple[str, str]:
    """AUC of the first model at the last horizon."""
    columns = ("model", "metric", "horizon", "estimate", "conf_low", "conf_high")
    rows = [r for r in rows_of(frame_of(result, "table", columns)) if str(r["metric"]) == "auc"]
    if not rows:
        return "–", "–"
    last = max(float(r["horizon"]) for r in rows)
    row = next(r for r in rows if float(r["horizon"]) == last)
    cell = interval(row["estimate"], row["conf_low"], row["conf_high"])
    return cell, f"{row['model']}, at {last:g}"
