"""Tables of biopsy prediction: performance of each feature set, differences between sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import confidence, integer, interval, number, p_value
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import sentence

_TABLE = (
    "feature_set", "metric", "estimate", "conf_low", "conf_high", "p_value", "chance", "n",
    "n_subjects",
)  # fmt: skip
_PAIRS = (
    "feature_set_1", "feature_set_2", "metric", "estimate_1", "estimate_2", "difference",
    "conf_low", "conf_high", "p_value", "n",
)  # fmt: skip
_METRICS = {
    "auc": "AUC", "auc_delong": "AUC (DeLong)", "r": "Correlation",
    "quadratic_kappa": "Kappa, quadratic weights", "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity", "specificity": "Specificity", "brier": "Brier score",
    "calibration_slope": "Calibration slope (ideal 1)",
    "calibration_intercept": "Calibration intercept (ideal 0)", "f1": "F1 score",
    "concordance": "Concordance", "mae": "Mean absolute error", "rmse": "Root mean square error",
    "r2": "R²", "kappa": "Weighted kappa", "weighted_kappa": "Weighted kappa",
    "log_loss": "Log loss", "ppv": "Positive predictive value",
    "npv": "Negative predictive value", "precision": "Positive predictive value",
    "harrell_c": "Harrell's C", "uno_c": "Uno's C", "integrated_brier": "Integrated Brier score",
    "brier_scaled": "Brier score, scaled (ideal 1)",
    "observed_over_expected": "Events observed over expected (ideal 1)",
}  # fmt: skip
_BY_LEVEL = {
    "auc_ge": "AUC, {} or more", "precision": "Positive predictive value, {}",
    "recall": "Sensitivity, {}", "specificity": "Specificity, {}", "f1": "F1 score, {}",
}  # fmt: skip


def prediction_table(result: Any, *, outcome: str = "the outcome") -> Table:
    """Out-of-fold performance by feature set, from a `biopsy_prediction` result."""
    frame = frame_of(result, "table", _TABLE)
    names = order_of([*frame["feature_set"]])
    cells = {(str(r["feature_set"]), str(r["metric"])): r for r in rows_of(frame)}
    rows = []
    for metric in order_of([*frame["metric"]]):
        found = [cells.get((name, metric)) for name in names]
        shown = tuple(
            interval(r["estimate"], r["conf_low"], r["conf_high"]) if r else "–" for r in found
        )
        rows.append(Row(metric_name(metric), shown))
        if any(r and r["chance"] == r["chance"] for r in found):
            chance = tuple(number(r["chance"]) if r else "–" for r in found)
            rows.append(Row(f"{metric_name(metric)} expected by chance", chance, indent=True))
            p = tuple(p_value(r["p_value"]) if r else "–" for r in found)
            rows.append(Row("Permutation p", p, indent=True))
    sizes = {str(r["feature_set"]): integer(r["n_subjects"]) for r in rows_of(frame)}
    level = confidence(result.settings.get("conf_level", 0.95))
    return Table(
        title=f"Prediction of {outcome}: performance on subjects the model had not seen",
        stub="Metric",
        headers=tuple(f"{set_name(name)} (N = {sizes[name]})" for name in names),
        rows=tuple(rows),
        footnotes=(
            f"Estimate ({level} CI over subjects). N: subjects with the biopsy score. p and "
            "chance: the whole procedure repeated with features exchanged among subjects "
            f"({integer(result.settings.get('n_perm'))} permutations).",
            f"Method: {result.settings.get('method', 'nested cross-validation')}.",
            *map(sentence, result.notes),
        ),
        empty="Nothing could be predicted.",
    )


def prediction_comparison_table(result: Any) -> Table:
    """Differences between feature sets on the same subjects, from `biopsy_prediction`."""
    return compared_table(
        (
            (
                f"{set_name(str(row['feature_set_1']))} v {set_name(str(row['feature_set_2']))}",
                metric_name(str(row["metric"])),
                row,
            )
            for row in rows_of(frame_of(result, "comparison", _PAIRS))
        ),
        title="Feature sets compared on the same subjects", of="feature set",
        conf_level=result.settings.get("conf_level", 0.95),
        footnote="First minus second; for errors (Brier score) less is better. Bootstrap over "
        "subjects; AUC also by the paired DeLong test.",
    )  # fmt: skip


def compared_table(
    pairs: Iterable[tuple[str, str, Mapping[str, Any]]], *, title: str, of: str,
    conf_level: float, footnote: str,
) -> Table:  # fmt: skip
    """Differences of metrics between two of the same kind, a block per pair.

    ``pairs``: name of the pair, name of the metric, and the row with ``estimate_1, estimate_2,
    difference, conf_low, conf_high, p_value``; ``of``: what is compared, in the singular.
    """
    groups: dict[str, list[Row]] = {}
    for pair, metric, row in pairs:
        cells = (
            number(row["estimate_1"]), number(row["estimate_2"]),
            interval(row["difference"], row["conf_low"], row["conf_high"]),
            p_value(row["p_value"]),
        )  # fmt: skip
        groups.setdefault(pair, []).append(Row(metric, cells))
    return Table(
        title=title,
        stub=f"{of.capitalize()}s and metric",
        headers=("First", "Second", f"Difference ({confidence(conf_level)} CI)", "p"),
        rows=grouped(list(groups.items())),
        footnotes=(footnote,),
        empty=f"There is one {of}.",
    )


def metric_name(metric: str) -> str:
    """Name a metric for a reader; those of one level of an ordinal outcome name it."""
    kind, _, level = metric.rpartition("_")
    if kind in _BY_LEVEL and level.replace(".", "").isdigit():
        return _BY_LEVEL[kind].format(level)
    return _METRICS.get(metric, metric.replace("_", " ").capitalize())


def set_name(name: str) -> str:
    """Name a feature set of the plan for a reader."""
    return name.replace("_", " ")


def auc_labels(result: Any) -> Mapping[str, str]:
    """Legend of each feature set: its name with the AUC and its interval."""
    rows = [r for r in rows_of(frame_of(result, "table", _TABLE)) if str(r["metric"]) == "auc"]
    return {
        str(r["feature_set"]): f"{set_name(str(r['feature_set']))}: "
        f"{interval(r['estimate'], r['conf_low'], r['conf_high'])}"
        for r in rows
    }
