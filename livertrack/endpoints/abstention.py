"""When a prediction should rather not be acted on: a band around the threshold, by subject."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._results import Result
from livertrack.endpoints._checks import numeric, require_columns, require_conf_level
from livertrack.endpoints._prediction_frames import wilson
from livertrack.endpoints.cross_validation.levels import Combine
from livertrack.errors import DataError, UsageError

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Abstention(Result):
    """Accuracy where it is decided, per model (``table``), and the decision on every subject."""

    decisions: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("model",)
    context: ClassVar[str] = "abstention"
    by_subject: ClassVar[tuple[str, ...]] = ("decisions",)


def abstention(
    predictions: pd.DataFrame,
    *,
    subject: str = "USUBJID",
    target: float = 0.95,
    threshold: float = 0.5,
    combine: Combine = "mean",
    conf_level: float = 0.95,
) -> Abstention:
    """Leave subjects near the threshold undecided, so that the others are right often enough.

    Parameters
    ----------
    predictions : DataFrame
        ``.predictions`` of `cross_validate` on a binary outcome: ``model, repeat, fold,
        subject, observed, predicted``. The first partition is used.
    target : float
        Accuracy wanted among decided subjects, a proportion.
    threshold : float
        Probability from which a subject is called 1.
    combine : {"mean", "median", "max"}
        How rows of a subject become its prediction; its outcome is the largest of its rows.

    Returns
    -------
    Abstention
        ``.table``: ``model, low, high`` (the band for a new subject: all folds chose it),
        ``n_subjects, n_decided, share_decided, accuracy, conf_low, conf_high`` (Wilson, of decided
        subjects whose band other folds chose), ``accuracy_all`` (nobody undecided).
        ``.decisions``: ``model, fold, subject, observed, predicted, low, high, decided, called``.

    Raises
    ------
    DataError
        Fewer than two folds, an outcome that is not 0/1.
    UsageError
        A target outside (0, 1].

    Notes
    -----
    The band is the narrowest one symmetric around the threshold (ends undecided) whose outside
    reaches the target; where none does, everybody is undecided. Chosen to reach it narrowly, it
    falls a little short of it in others (a target of 0.90 gave 0.89 of 400 simulated subjects).
    Denominators: ``accuracy``: decided subjects; ``share_decided``: all predicted subjects. Nobody
    decided gives NaN.
    Source: Chow (1970), on rejection; El-Yaniv and Wiener (2010), selective classification.
    Checked against: a hand-worked case and a simulation (tests/endpoints/test_abstention.py).
    """
    require_conf_level(conf_level)
    if not 0 < target <= 1 or not 0 < threshold < 1:
        msg = f"target and threshold are proportions, got {target} and {threshold}"
        raise UsageError(msg)
    needed = ["model", "fold", subject, "observed", "predicted"]
    require_columns(predictions, needed, name="predictions")
    if predictions.empty:
        msg = "predictions: 0 rows; give the predictions of a cross-validation"
        raise DataError(msg)
    rows, parts, notes = [], [], []
    for model, every in predictions.groupby("model", sort=False):
        first = every[every["repeat"].eq(0)] if "repeat" in every else every
        whole = _subjects(first, subject, combine)
        found, half = _crossed(whole, target, threshold)
        parts.append(found.assign(model=model))
        decided, right = found["decided"], found["called"].eq(found["observed"])
        n, kept = len(found), int(decided.sum())
        share = float(right[decided].mean()) if kept else math.nan
        if not kept:
            notes.append(f"{model}: nobody is decided; accuracy {target:g} is reached nowhere")
        limits = wilson(share, kept, conf_level) if kept else (math.nan, math.nan)
        rows.append({
            "model": model, "low": threshold - half, "high": threshold + half, "n_subjects": n,
            "n_decided": kept, "share_decided": kept / n, "accuracy": share,
            "conf_low": limits[0], "conf_high": limits[1], "accuracy_all": float(right.mean()),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    columns = ["model", "fold", subject, "observed", "predicted", "low", "high", "decided",
               "called"]  # fmt: skip
    return Abstention(
        table=table, decisions=pd.concat(parts, ignore_index=True)[columns],
        text=_text(table.iloc[0]),
        settings={"method": "symmetric band, chosen on the other folds", "target": target,
                  "threshold": threshold, "combine": combine, "conf_level": conf_level,
                  "subject": subject}, notes=tuple(notes),
    )  # fmt: skip


def _text(row: pd.Series) -> str:
    share = f"{100 * row['accuracy']:.0f} % of them" if row["n_decided"] else "none"
    return (
        f"{row['model']} decides {row['n_decided']} of {row['n_subjects']} subjects and is right "
        f"in {share}; without a band it would be right in {100 * row['accuracy_all']:.0f} %."
    )


def half_band(observed: Vector, predicted: Vector, target: float, threshold: float) -> float:
    """Half width of the narrowest band outside which the target is reached; infinite if none is.

    A subject is decided where its prediction is farther from the threshold than that; 0 leaves
    undecided only predictions equal to the threshold.
    """
    away = np.abs(predicted - threshold)
    right = (predicted >= threshold) == (observed == 1)
    for half in np.unique(np.concatenate([[0.0], away])):
        outside = away > half
        if outside.any() and right[outside].mean() >= target - 1e-12:
            return float(half)
    return math.inf


def _crossed(whole: pd.DataFrame, target: float, threshold: float) -> tuple[pd.DataFrame, float]:
    observed, predicted = (whole[c].to_numpy(float) for c in ("observed", "predicted"))
    fold = whole["fold"].to_numpy()
    if len(np.unique(fold)) < 2:
        msg = "predictions: 1 fold only; no other is left to choose the band"
        raise DataError(msg)
    half = np.empty(len(whole))
    for one in np.unique(fold):
        other = fold != one
        half[~other] = half_band(observed[other], predicted[other], target, threshold)
    found = whole.assign(
        low=threshold - half, high=threshold + half,
        decided=np.abs(predicted - threshold) > half,
        called=(predicted >= threshold).astype(int),
    )  # fmt: skip
    return found, half_band(observed, predicted, target, threshold)


def _subjects(rows: pd.DataFrame, subject: str, combine: Combine) -> pd.DataFrame:
    observed = numeric(rows, "observed", name="predictions")
    if not set(np.unique(observed)) <= {0.0, 1.0}:
        msg = "predictions: the outcome is not 0/1; a band around a threshold needs two classes"
        raise DataError(msg)
    by = rows.assign(observed=observed, predicted=numeric(rows, "predicted")).groupby(subject)
    out = by.agg(fold=("fold", "first"), observed=("observed", "max"),
                 predicted=("predicted", combine))  # fmt: skip
    return out.reset_index()
