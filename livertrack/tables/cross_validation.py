"""Tables of cross-validated models: performance, pairs, sites, folds, published figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import confidence, integer, interval, number, p_value
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import sentence
from livertrack.tables.prediction import compared_table, metric_name

_TABLE = (
    "model", "level", "metric", "estimate", "conf_low", "conf_high", "p_value", "chance", "n",
    "n_subjects",
)  # fmt: skip
_PAIRS = (
    "model_1", "model_2", "level", "metric", "estimate_1", "estimate_2", "difference", "conf_low",
    "conf_high", "p_value", "n",
)  # fmt: skip
_FOLDS = ("model", "repeat", "fold", "n_train_subjects", "n_test_subjects", "chosen")
_PUBLISHED = (
    "figure", "metric", "level", "model", "published", "source", "ours", "conf_low", "conf_high",
    "n_subjects", "simulated",
)  # fmt: skip
#: models beside each other as columns; more of them stand below each other, with fewer metrics
_WIDE = 4
_MAIN = (
    "auc", "concordance", "r2", "r", "quadratic_kappa", "accuracy", "balanced_accuracy",
    "sensitivity", "specificity", "brier", "mae", "calibration_slope",
)  # fmt: skip


def levels_of(result: Any) -> list[str]:
    """Levels of a `cross_validate` result: by subject, and by row where subjects have several."""
    return order_of([*frame_of(result, "table", _TABLE)["level"]], ["subject", "row"])


def model_labels(result: Any, *, metric: str, level: str = "subject") -> dict[str, str]:
    """Legend of each model: its name with a metric and its interval."""
    frame = _of_level(frame_of(result, "table", _TABLE), level)
    return {
        str(r["model"]): f"{r['model']!s}: {_estimate(r)}"
        for r in rows_of(frame[frame["metric"].astype(str) == metric])
    }


def performance_table(
    result: Any, *, outcome: str = "the outcome", level: str = "subject"
) -> Table:
    """Out-of-fold performance of every model, from a `cross_validate` or task result."""
    frame = _of_level(frame_of(result, "table", _TABLE), level)
    models = order_of([*frame["model"]], result.settings.get("models"))
    cells = {(str(r["model"]), str(r["metric"])): r for r in rows_of(frame)}
    metrics = order_of([*frame["metric"]])
    tested = bool(frame["p_value"].notna().any())
    conf = confidence(result.settings.get("conf_level", 0.95))
    first = next(iter(rows_of(frame)), {})
    n, subjects = integer(first.get("n")), integer(first.get("n_subjects"))
    sizes = f"{subjects} subjects" if n == subjects else f"{n} rows of {subjects} subjects"
    notes = [f"Estimate ({conf} CI over subjects) on {sizes} that the model had not seen."]
    if tested:
        notes.append(
            "p and chance: the whole procedure repeated after subjects exchanged their outcomes "
            f"({integer(result.settings.get('n_perm'))} permutations)."
        )
    notes.append(f"Method: {sentence(str(result.settings.get('method', 'cross-validation')))}")
    common: dict[str, Any] = {
        "title": f"Prediction of {outcome}: performance out of fold"
        + ("" if level == "subject" else ", by row"),
        "footnotes": (*notes, *(_said(result, metrics) if level == "subject" else ())),
        "empty": "Nothing could be predicted.",
    }
    if len(models) <= _WIDE:
        rows = []
        for metric in metrics:
            found = [cells.get((name, metric)) for name in models]
            rows.append(Row(metric_name(metric), tuple(map(_estimate, found))))
            if any(r is not None and r["chance"] == r["chance"] for r in found):
                rows += _chance(metric, found)
        headers = tuple(models)
        return Table(stub="Metric", headers=headers, rows=tuple(rows), **common)
    kept = [metric for metric in metrics if metric in _MAIN]
    groups = []
    for metric in kept:
        found = [cells.get((name, metric)) for name in models]
        lines = [
            Row(n, (_estimate(r), *((_p(r),) if tested else ())))
            for n, r in zip(models, found, strict=True)
        ]
        groups.append((metric_name(metric), lines))
    if len(kept) < len(metrics):
        common["footnotes"] += ("Further metrics are in the analysis results data.",)
    headers = (f"Estimate ({conf} CI)", *(("By chance (p)",) if tested else ()))
    return Table(stub="Metric and model", headers=headers, rows=grouped(groups), **common)


def _p(row: dict[str, Any] | None) -> str:
    if row is None or row["chance"] != row["chance"]:
        return ""
    return f"{number(row['chance'])} ({p_value(row['p_value'])})"


def _said(result: Any, metrics: Sequence[str]) -> list[str]:
    """Notes of a result, with metrics as a reader calls them."""
    pattern = re.compile(
        r"\b(" + "|".join(map(re.escape, sorted(metrics, key=len)[::-1])) + r")\b"
    )
    return [
        sentence(pattern.sub(lambda found: metric_name(found[1]).lower(), note))
        if "not defined" in note else sentence(note)
        for note in result.notes
    ]  # fmt: skip


def _estimate(row: dict[str, Any] | None) -> str:
    return interval(row["estimate"], row["conf_low"], row["conf_high"]) if row else "–"


def _chance(metric: str, found: Sequence[dict[str, Any] | None]) -> list[Row]:
    chance = tuple(number(r["chance"]) if r else "–" for r in found)
    p = tuple(p_value(r["p_value"]) if r else "–" for r in found)
    return [
        Row(f"{metric_name(metric)} expected by chance", chance, indent=True),
        Row("Permutation p", p, indent=True),
    ]


def model_comparison_table(
    result: Any, *, level: str = "subject", first: Sequence[str] | None = None
) -> Table:
    """Differences between models on the same folds; with ``first`` only its models' pairs."""
    pairs = _of_level(frame_of(result, "comparison", _PAIRS), level)
    rows = [
        (f"{row['model_1']} v {row['model_2']}", metric_name(str(row["metric"])), row)
        for row in oriented(rows_of(pairs), first)
    ]
    return compared_table(
        rows, of="model", conf_level=result.settings.get("conf_level", 0.95),
        title="Models compared on the same folds" + ("" if level == "subject" else ", by row"),
        footnote="First minus second; for errors (Brier score, absolute error) less is better. "
        "Paired bootstrap over subjects; AUC also by the paired DeLong test.",
    )  # fmt: skip


def oriented(pairs: Sequence[dict[str, Any]], first: Sequence[str] | None) -> list[dict[str, Any]]:
    """Pairs of a model of ``first`` and one of the others, in that order; all where None.

    A pair the other way round is turned: the difference changes its sign.
    """
    if first is None:
        return list(pairs)
    out = []
    for row in pairs:
        ahead = [str(row[name]) in first for name in ("model_1", "model_2")]
        if ahead == [True, False]:
            out.append(row)
        elif ahead == [False, True]:
            out.append({
                **row, "model_1": row["model_2"], "model_2": row["model_1"],
                "estimate_1": row["estimate_2"], "estimate_2": row["estimate_1"],
                "difference": -row["difference"], "conf_low": -row["conf_high"],
                "conf_high": -row["conf_low"],
            })  # fmt: skip
    return out


def model_site_table(result: Any) -> Table:
    """First metric of every model in every site, from `cross_validate`."""
    frame = frame_of(result, "sites", ("model", "site", "n_subjects", "observed"))
    known = [c for c in ("auc", "concordance", "r2") if c in frame.columns]
    metric = known[0] if known else "auc"
    models = order_of([*frame["model"]], result.settings.get("models"))
    sites = order_of([*frame["site"]])
    cells = {(str(r["model"]), str(r["site"])): r for r in rows_of(frame)}
    rows = []
    for site in sites:
        found = [cells.get((name, site)) for name in models]
        one = next(r for r in found if r)
        shown = tuple(number(r.get(metric)) if r else "–" for r in found)
        rows.append(Row(site, (integer(one["n_subjects"]), number(one["observed"]), *shown)))
    return Table(
        title=f"{metric_name(metric)} by site",
        stub="Site",
        headers=("Subjects", "Mean outcome", *models),
        rows=tuple(rows),
        footnotes=("Out of fold. A dash: a site in which all subjects have the same outcome.",),
        empty="The data name no site.",
    )


def fold_table(result: Any) -> Table:
    """What every model was fitted on, and what its inner folds chose."""
    frame = frame_of(result, "folds", _FOLDS)
    rows = []
    for name in order_of([*frame["model"]], result.settings.get("models")):
        mine = frame[frame["model"].astype(str) == name]
        chosen = Counter(str(c) for c in mine["chosen"] if str(c) not in ("", "nan"))
        said = "; ".join(f"{what} ({count})" for what, count in chosen.most_common())
        rows.append(Row(name, (
            integer(len(mine)), _range(mine["n_train_subjects"]),
            _range(mine["n_test_subjects"]), said or "nothing to choose",
        )))  # fmt: skip
    return Table(
        title="Fits of every model",
        stub="Model",
        headers=("Fits", "Subjects learned from", "Subjects predicted", "Chosen by inner folds"),
        rows=tuple(rows),
        text_columns=(3,),
        footnotes=("In parentheses: in how many fits. No subject is on both sides of a fit.",),
        empty="No model was fitted.",
    )


def published_table(result: Any) -> Table:
    """Published figures beside ours, from a task result; says whether ours are simulated."""
    frame = frame_of(result, "published", _PUBLISHED)
    simulated = bool(result.settings.get("simulated", False))
    conf = confidence(result.settings.get("conf_level", 0.95))
    rows = [
        Row(
            str(row["figure"]),
            (
                number(row["published"]), interval(row["ours"], row["conf_low"], row["conf_high"]),
                str(row["model"]), str(row["source"]),
            ),
        )
        for row in rows_of(frame)
    ]  # fmt: skip
    ours = "Ours, simulated data" if simulated else "Ours"
    return Table(
        title="Published figures beside ours",
        stub="Figure",
        headers=("Published", f"{ours} ({conf} CI)", "Our model", "Source"),
        rows=tuple(rows),
        text_columns=(2, 3),
        footnotes=(
            (
                "Ours are of simulated subjects: they show that the method works where the truth "
                "is known, and are no estimate of its performance in patients."
                if simulated
                else "Ours are of other subjects than the published ones."
            ),
            "A dash: not measured here.",
        ),
        empty="Nothing was published to compare with.",
    )


def _of_level(frame: pd.DataFrame, level: str) -> pd.DataFrame:
    return frame[frame["level"].astype(str) == level]


def _range(values: pd.Series) -> str:
    low, high = integer(values.min()), integer(values.max())
    return low if low == high else f"{low} to {high}"
