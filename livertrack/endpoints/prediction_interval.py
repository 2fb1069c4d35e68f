"""Prediction intervals without a model of the error: conformal, by subject."""

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
from livertrack.errors import DataError

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PredictionInterval(Result):
    """Coverage and width per model (``table``), and the interval of every row."""

    intervals: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("model",)
    context: ClassVar[str] = "prediction_interval"
    by_subject: ClassVar[tuple[str, ...]] = ("intervals",)


def prediction_interval(
    predictions: pd.DataFrame,
    *,
    subject: str = "USUBJID",
    conf_level: float = 0.9,
) -> PredictionInterval:
    """Intervals for the value of a new subject, calibrated on subjects of the other folds.

    Parameters
    ----------
    predictions : DataFrame
        ``.predictions`` of `cross_validate` on a continuous outcome: ``model, repeat, fold,
        subject, observed, predicted``. The first partition is used.
    conf_level : float
        Probability that a new subject's value lies inside.

    Returns
    -------
    PredictionInterval
        ``.table``: ``model, half_width`` (for a new subject: all folds calibrate), ``coverage,
        conf_low, conf_high`` (Wilson, of intervals calibrated on other folds), ``mean_width, n,
        n_subjects``. ``.intervals``: ``model, fold, subject, observed, predicted, low, high,
        inside``.

    Raises
    ------
    DataError
        Fewer than two folds, or so few subjects that no finite interval has this level.

    Notes
    -----
    A subject's score is its largest absolute error over its rows: subjects are exchangeable, rows
    of one subject are not. The half width is the ceil((m + 1) x level)-th smallest score of m
    subjects; coverage is at least the level for a model fitted apart from them, and about the
    level here, where the model changes from fold to fold.
    Source: Lei et al. (2018), split conformal prediction; Barber et al. (2021) for folds.
    Checked against: a hand-worked case and its coverage by simulation
    (tests/endpoints/test_prediction_interval.py).
    """
    require_conf_level(conf_level)
    require_columns(
        predictions, ["model", "fold", subject, "observed", "predicted"], name="predictions"
    )
    rows, parts = [], []
    for model, every in predictions.groupby("model", sort=False):
        part = every[every["repeat"].eq(0)] if "repeat" in every else every
        found, half = _of_model(part.reset_index(drop=True), subject, conf_level)
        parts.append(found.assign(model=model))
        whole = found.groupby(subject)["inside"].all()
        low, high = wilson(float(whole.mean()), len(whole), conf_level=0.95)
        rows.append({
            "model": model, "half_width": half, "coverage": float(whole.mean()),
            "conf_low": low, "conf_high": high,
            "mean_width": float((found["high"] - found["low"]).mean()),
            "n": len(found), "n_subjects": len(whole),
        })  # fmt: skip
    columns = ["model", "fold", subject, "observed", "predicted", "low", "high", "inside"]
    table = pd.DataFrame(rows)
    first = table.iloc[0]
    return PredictionInterval(
        table=table, intervals=pd.concat(parts, ignore_index=True)[columns],
        text=(
            f"{100 * conf_level:g} % prediction intervals of {first['model']}: predicted value "
            f"+/- {first['half_width']:.3g}; {100 * first['coverage']:.0f} % of "
            f"{first['n_subjects']} held-out subjects inside."
        ),
        settings={"method": "conformal, absolute error, by subject", "conf_level": conf_level,
                  "subject": subject},
    )  # fmt: skip


def conformal_quantile(scores: Vector, conf_level: float) -> float:
    """The ceil((m + 1) x level)-th smallest of m scores; infinite where m is too small."""
    rank = math.ceil((len(scores) + 1) * conf_level - 1e-9)
    return math.inf if rank > len(scores) else float(np.sort(scores)[rank - 1])


def _of_model(rows: pd.DataFrame, subject: str, conf_level: float) -> tuple[pd.DataFrame, float]:
    observed = numeric(rows, "observed", name="predictions")
    predicted = numeric(rows, "predicted", name="predictions")
    error = pd.Series(np.abs(observed - predicted))
    folds = rows["fold"].to_numpy()
    if len(np.unique(folds)) < 2:
        msg = "predictions: one fold only; nothing is left to calibrate on"
        raise DataError(msg)
    half = np.empty(len(rows))
    for fold in np.unique(folds):
        others = folds != fold
        scores = error[others].groupby(rows.loc[others, subject]).max().to_numpy(float)
        half[~others] = conformal_quantile(scores, conf_level)
    whole = conformal_quantile(error.groupby(rows[subject]).max().to_numpy(float), conf_level)
    if not np.isfinite(half).all():
        n = rows[subject].nunique()
        msg = (
            f"predictions: {n} subjects are too few for intervals of level {conf_level:g}; "
            "lower conf_level"
        )
        raise DataError(msg)
    out = rows.assign(low=predicted - half, high=predicted + half)
    return out.assign(inside=np.abs(observed - predicted) <= half), whole
