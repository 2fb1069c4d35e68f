"""Biopsy prediction: how well non-invasive features tell a biopsy feature, out of fold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints import _prediction_frames as made
from livertrack.endpoints._checks import require_columns, require_conf_level
from livertrack.endpoints._leakage import require_clean_features, require_feature_names
from livertrack.endpoints._linear import p_text
from livertrack.endpoints._metrics import PRIMARY, permutation_p, primary
from livertrack.endpoints._nested_ridge import (
    Nested,
    Splits,
    make_splits,
    nested,
    shuffled_rows,
)
from livertrack.endpoints._prediction_input import (
    as_problem,
    complete,
    named_sets,
    require_learnable,
    require_options,
)
from livertrack.endpoints._splits import Problem, Task

Vector = NDArray[np.float64]

#: permutations a worker does in one go; the results do not depend on it
_BATCH = 10


@dataclass(frozen=True, kw_only=True)
class BiopsyPrediction(Result):
    """Out-of-fold prediction of a biopsy feature; see `biopsy_prediction` for the frames."""

    predictions: pd.DataFrame
    roc: pd.DataFrame
    calibration: pd.DataFrame
    confusion: pd.DataFrame
    comparison: pd.DataFrame
    choices: pd.DataFrame
    sites: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = (
        "feature_set", "metric", "feature_set_1", "feature_set_2", "representation", "site",
    )  # fmt: skip
    context: ClassVar[str] = "biopsy_prediction"
    by_subject: ClassVar[tuple[str, ...]] = ("predictions",)


def biopsy_prediction(
    features: pd.DataFrame,
    *,
    outcome: str,
    subject: str = "USUBJID",
    site: str | None = None,
    task: Task = "binary",
    columns: Sequence[str] | None = None,
    feature_sets: Mapping[str, Sequence[str]] | None = None,
    n_folds: int = 5,
    n_inner: int = 3,
    n_repeats: int = 5,
    n_perm: int = 200,
    n_boot: int = 2000,
    conf_level: float = 0.95,
    threshold: float = 0.5,
    leave_site_out: bool = False,
    seed: int,
) -> BiopsyPrediction:
    """Predict a biopsy feature by nested cross-validation grouped by subject.

    Parameters
    ----------
    features : DataFrame, one row per biopsy (usually one per subject)
        Columns ``subject``, ``outcome``, ``site`` and numeric features in any unit.
    outcome : str
        ``binary``: 0/1 or boolean, 1 is predicted; ``ordinal``: stages as numbers; ``continuous``.
    subject : str
        Column of the subject. All rows of a subject fall into one fold, outside and inside.
    site : str, optional
        Column of the site: features are permuted within sites, and performance is also given by
        site.
    task : {"binary", "ordinal", "continuous"}
        Ridge logistic regression; ridge regression on the stage number; ridge regression.
    columns : sequence of str, optional
        Features of a single set called ``features``; all other numeric columns if there is
        neither ``columns`` nor ``feature_sets``.
    feature_sets : mapping of name to columns, optional
        Sets compared with each other on the same folds.
    n_folds, n_inner, n_repeats : int
        Outer folds, inner folds, and partitions whose out-of-fold predictions are averaged.
    n_perm : int
        Permutations of the features among subjects; the whole nested procedure is repeated in
        each. 0 gives no p.
    n_boot : int
        Resamples of subjects behind the intervals.
    conf_level : float
        Coverage of every interval.
    threshold : float
        Predicted probability from which a row is classified as 1 (``binary``).
    leave_site_out : bool
        Every site is an outer fold; one partition.
    seed : int
        Seed of folds, permutations and bootstrap.

    Returns
    -------
    BiopsyPrediction
        ``.table``: one row per feature set and metric - ``feature_set, metric, estimate,
        conf_low, conf_high, p_value, chance, n, n_subjects, method``; ``p_value`` and ``chance``
        (mean over permutations) for AUC, concordance or R2 only.
        ``.predictions``: ``feature_set, repeat, fold, row, subject, observed, predicted``; ``row``
        is a random number, and `to_ard` leaves the subject out.
        ``.roc``: ``feature_set, threshold, fpr, tpr`` (binary). ``.calibration``: ``feature_set,
        group, n, predicted, observed, conf_low, conf_high``. ``.confusion``: ``feature_set,
        observed, predicted, n`` (binary, ordinal). ``.comparison``: pairs of sets -
        ``feature_set_1, feature_set_2, metric, estimate_1, estimate_2, difference, conf_low,
        conf_high, p_value, n, method``. ``.choices``: how often each representation and penalty
        was chosen. ``.sites``: ``feature_set, site, n, n_subjects, observed`` (mean outcome)
        and the first metric.

    Notes
    -----
    Chosen inside every outer training set by ``n_inner`` folds: the penalty (4 values) and, for
    columns TV1, TV2, ... holding proportions, the representation: proportions, centred log-ratios
    (0.0001 added to every part), or log-ratios after merging types to a half or a third of
    their number, the merging learned from the training rows. Medians for missing features,
    means and SDs are learned there too.

    Denominator: rows with an outcome; the others are counted in the notes. Metrics, ROC,
    calibration and confusion all come from the prediction averaged over partitions. Intervals are
    BCa over subjects and take the predictions as given: the variation of refitting is not in
    them. A proportion of 0 or 1 has Wilson's interval. ``calibration_intercept`` has the slope
    fixed at 1 (binary), or is the mean outcome minus the mean prediction. Differences are
    first minus second set, also for errors (brier, mae, rmse), where less is better.

    The permutation test compares the first partition's metric with that of the same folds after
    subjects have exchanged their features (within site; among subjects with equally many rows).

    Refused: outcome, subject or site among the features, a feature equal to the outcome, a
    subject in two sites, the same (continuous) feature values under two subjects, an outcome with
    one level, fewer subjects of a class than folds.

    Source: Varma and Simon (2006) for nesting; Ojala and Garriga (2010) for the permutation test;
    Van Calster et al. (2019) for calibration.
    Checked against: scikit-learn ``LogisticRegression, Ridge`` and its metrics, R 4.2.2 ``glm``
    for calibration and pROC 1.18.0 for paired DeLong (tests/endpoints/test_biopsy_prediction.py).
    """
    sets = named_sets(features, outcome, subject, site, columns, feature_sets)
    require_feature_names(sets, outcome=outcome, subject=subject, site=site)
    used = list(dict.fromkeys(column for members in sets.values() for column in members))
    groups = [] if site is None else [site]
    require_columns(features, [subject, outcome, *groups, *used], name="features")
    require_conf_level(conf_level)
    counts = {"n_folds": n_folds, "n_inner": n_inner, "n_repeats": n_repeats}
    require_options(task, counts, (n_perm, n_boot), site, leave_site_out=leave_site_out)
    data, notes = complete(features, subject, outcome, used, groups)
    require_clean_features(data, outcome=outcome, subject=subject, site=site, feature_sets=sets)
    problem, labels, missing = as_problem(data, outcome, subject, site, sets, task)
    folds = len(np.unique(labels)) if leave_site_out else n_folds
    require_learnable(problem, outcome, n_folds, leave_site_out=leave_site_out)
    if missing:
        notes.append(
            f"{missing} missing feature value(s) replaced by medians of the training rows"
        )
    with threadpool_limits(limits=1):
        partitions = [
            make_splits(
                generator(seed, "biopsy_prediction", "folds", repeat), problem, n_folds, n_inner,
                by_site=leave_site_out,
            )
            for repeat in range(1 if leave_site_out else n_repeats)
        ]  # fmt: skip
        fits = [
            [nested(*pair, problem, splits) for splits in partitions]
            for pair in zip(problem.values, problem.parts, strict=True)
        ]
        null = _permutations(problem, partitions[0], n_perm, seed)
        average = {
            name: np.mean([fit.predicted for fit in runs], axis=0)
            for name, runs in zip(sets, fits, strict=True)
        }
        estimates = made.Estimates(
            problem, average, n_boot, conf_level, threshold,
            generator(seed, "biopsy_prediction", "bootstrap"),
        )  # fmt: skip
        table = estimates.table()
    table = _with_p(table, sets, fits, null, problem)
    site_names = None if site is None else labels
    result = BiopsyPrediction(
        table=table,
        predictions=_predictions(
            data, subject, problem, sets, fits, partitions,
            generator(seed, "biopsy_prediction", "rows"),
        ),
        roc=made.roc(problem, average),
        calibration=made.calibration(problem, average, conf_level),
        confusion=made.confusion(problem, average, threshold),
        comparison=estimates.comparison(),
        choices=_choices(sets, fits),
        sites=made.by_site(problem, average, site_names),
        text="",
        settings={
            "method": _METHODS[task], "outcome": outcome, "subject": subject, "site": site or "",
            "task": task, "feature_sets": sets, "n_folds": folds, "n_inner": n_inner,
            "n_repeats": len(partitions), "n_perm": n_perm, "n_boot": n_boot,
            "conf_level": conf_level, "threshold": threshold, "seed": seed,
            "n_subjects": int(problem.subjects.max()) + 1, "n_rows": len(problem.y),
            "n_events": int(problem.y.sum()) if task == "binary" else "",
        },
        notes=tuple(notes + estimates.notes),
    )  # fmt: skip
    return replace(result, text=_text(result))


_METHODS = {
    "binary": "ridge logistic regression, nested cross-validation by subject",
    "ordinal": "ridge regression on the stage, nested cross-validation by subject",
    "continuous": "ridge regression, nested cross-validation by subject",
}


def _permutations(problem: Problem, splits: Splits, n_perm: int, seed: int) -> NDArray[np.float64]:
    """Metric of every permutation and feature set (n_perm x sets)."""
    batches = [range(start, min(start + _BATCH, n_perm)) for start in range(0, n_perm, _BATCH)]
    parts = Parallel()(delayed(_permuted)(problem, splits, seed, batch) for batch in batches)
    return np.concatenate(parts) if parts else np.zeros((0, len(problem.values)))


def _permuted(problem: Problem, splits: Splits, seed: int, batch: range) -> NDArray[np.float64]:
    out = np.empty((len(batch), len(problem.values)))
    with threadpool_limits(limits=1):
        for place, number in enumerate(batch):
            rows = shuffled_rows(
                generator(seed, "biopsy_prediction", "permutation", number), problem
            )
            for which, (values, parts) in enumerate(
                zip(problem.values, problem.parts, strict=True)
            ):
                fit = nested(values[rows], parts, problem, splits)
                out[place, which] = primary(problem.y, fit.predicted, problem.task)
    return out


def _with_p(
    table: pd.DataFrame, sets: Mapping[str, Any], fits: list[list[Nested]],
    null: NDArray[np.float64], problem: Problem,
) -> pd.DataFrame:  # fmt: skip
    table = table.copy()
    for which, name in enumerate(sets):
        if not len(null):
            continue
        observed = primary(problem.y, fits[which][0].predicted, problem.task)
        rows = (table["feature_set"] == name) & (table["metric"] == PRIMARY[problem.task])
        table.loc[rows, "p_value"] = permutation_p(observed, null[:, which])
        table.loc[rows, "chance"] = float(null[:, which].mean())
    return table


def _predictions(
    data: pd.DataFrame, subject: str, problem: Problem, sets: Mapping[str, Any],
    fits: list[list[Nested]], partitions: list[Splits], rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    number = rng.permutation(len(problem.y))
    order = np.argsort(number)
    frames = [
        pd.DataFrame({
            "feature_set": name, "repeat": repeat, "fold": splits.fold[order],
            "row": number[order], subject: data[subject].to_numpy()[order],
            "observed": problem.y[order], "predicted": fit.predicted[order],
        })
        for name, runs in zip(sets, fits, strict=True)
        for repeat, (fit, splits) in enumerate(zip(runs, partitions, strict=True))
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def _choices(sets: Mapping[str, Any], fits: list[list[Nested]]) -> pd.DataFrame:
    rows = [
        {"feature_set": name, "representation": how.name, "penalty": penalty}
        for name, runs in zip(sets, fits, strict=True)
        for fit in runs
        for how, penalty in fit.chosen
    ]
    frame = pd.DataFrame(rows)
    keys = ["feature_set", "representation", "penalty"]
    return frame.groupby(keys, sort=False).size().reset_index(name="n_folds")


def _text(result: BiopsyPrediction) -> str:
    settings = result.settings
    level = f"{100 * settings['conf_level']:g} %"
    metric = PRIMARY[settings["task"]]
    label = {"auc": "AUC", "concordance": "concordance", "r2": "R2"}[metric]
    parts = []
    for row in result.table[result.table["metric"] == metric].to_dict("records"):
        chance = "" if math.isnan(row["p_value"]) else f", permutation {p_text(row['p_value'])}"
        parts.append(
            f"{row['feature_set']}: {label} {row['estimate']:.2f} ({level} CI "
            f"{row['conf_low']:.2f} to {row['conf_high']:.2f}{chance})"
        )
    dealt = "" if settings["n_repeats"] == 1 else f" dealt {settings['n_repeats']} times"
    text = (
        f"Out-of-fold prediction of {settings['outcome']} in {settings['n_subjects']} subjects, "
        f"{settings['n_folds']} folds{dealt}: " + "; ".join(parts)
    )
    pairs = result.comparison
    pairs = pairs[pairs["metric"] == metric] if len(pairs) else pairs
    for row in pairs.to_dict("records"):
        text += (
            f". {row['feature_set_1']} minus {row['feature_set_2']}: {row['difference']:.2f} "
            f"({row['conf_low']:.2f} to {row['conf_high']:.2f}, {p_text(row['p_value'])})"
        )
    return text.replace("nan", "not defined") + "."
