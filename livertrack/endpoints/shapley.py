"""Shares of features in every out-of-fold prediction: exact Shapley values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints import _bootstrap as boot
from livertrack.endpoints._checks import numeric, require_conf_level
from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation._input import Rows
from livertrack.endpoints.cross_validation.learners import Tabular
from livertrack.endpoints.cross_validation.refitted import (
    feature_groups,
    fold_model,
    subject_folds,
)
from livertrack.endpoints.cross_validation.splits import Split
from livertrack.errors import UsageError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
#: features or groups whose coalitions can all be counted
MOST = 12


@dataclass(frozen=True, kw_only=True)
class Shapley(Result):
    """Shares of features in predictions; see `shapley_values` for the frames."""

    values: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("feature",)
    by_subject: ClassVar[tuple[str, ...]] = ("values",)
    context: ClassVar[str] = "shapley_values"


def shapley_values(
    data: pd.DataFrame,
    *,
    outcome: str,
    model: Tabular,
    task: Task = "binary",
    groups: Mapping[str, Sequence[str]] | None = None,
    subject: str = "USUBJID",
    site: str | None = None,
    n_folds: int = 5,
    n_inner: int = 3,
    n_background: int = 50,
    n_boot: int = 1000,
    conf_level: float = 0.95,
    seed: int,
) -> Shapley:
    """How much each feature moved each subject's prediction away from the average one.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``subject, outcome`` and the model's columns.
    model : Tabular
        For example of `biopsy_models`.
    groups : mapping of name to columns, optional
        Columns that enter together (all tissue types, say); each column by itself where None. At
        most 12.
    n_folds, n_inner : int
        Outer folds and, where the model has candidates, inner ones.
    n_background : int
        Training subjects, drawn in every fold, that features are taken from where they are not
        those of the subject.
    n_boot : int
        Resamples of subjects behind the intervals.
    seed : int
        Seed of folds, fits, background and bootstrap; folds and fits are those of
        `cross_validate` with this seed and a model called ``model``.

    Returns
    -------
    Shapley
        ``.table``, largest first: ``feature, estimate`` (mean of the absolute values),
        ``conf_low, conf_high, direction`` (rank correlation of the value with the feature; NaN
        for groups of several), ``n, method``. ``.values``, a row per subject and feature:
        ``subject, feature, measured`` (NaN for groups), ``shapley, base`` (mean prediction of the
        background), ``predicted``. In the unit of the prediction: probability, stage, value.

    Notes
    -----
    Each subject is explained by the model that never saw it. The values of a subject sum to its
    prediction minus ``base``, exactly: all coalitions of features are counted, and what a
    coalition lacks comes from the background, subject by subject (interventional). They say what
    the model does, not what makes ill; of features that say the same, those that the model uses
    get the share. Intervals are BCa over subjects and take the fits as given.

    Source: Shapley (1953); Lundberg and Lee (2017); Janzing et al. (2020).
    Checked against: the Python library shap 0.51, ``Exact`` explainer, on a forest and a logistic
    model (tests/reference/shapley.py); a product of two features worked by hand.
    """
    require_conf_level(conf_level)
    sets = feature_groups(model, groups)
    if len(sets) > MOST or n_background < 1:
        msg = (
            f"{len(sets)} features have 2^{len(sets)} coalitions: name at most {MOST} groups; "
            f"n_background is at least 1, got {n_background}"
        )
        raise UsageError(msg)
    rows, splits = subject_folds(
        data, model, outcome=outcome, task=task, subject=subject, site=site, n_folds=n_folds,
        n_inner=n_inner, n_boot=n_boot, seed=seed,
    )  # fmt: skip
    jobs = [
        delayed(_explained)(rows, part, model, sets, n_inner, n_background, seed)
        for part in splits
    ]
    n = len(rows.frame)
    values, base, predicted = np.empty((n, len(sets))), np.empty(n), np.empty(n)
    for part, found in zip(splits, Parallel()(jobs), strict=True):
        values[part.test], base[part.test], predicted[part.test] = found
    measured = np.full((n, len(sets)), np.nan)
    for place, columns in enumerate(sets.values()):
        if len(columns) == 1:
            measured[:, place] = numeric(rows.frame, columns[0])
    table = _table(list(sets), values, measured, n_boot, conf_level, seed)
    best = table.iloc[0]
    lost = [str(name) for name in table.loc[table["direction"].isna(), "feature"]]
    said = f"no direction, for groups and where nothing varies: {', '.join(lost)}"
    return Shapley(
        table=table,
        values=pd.DataFrame({
            subject: np.repeat(rows.frame[subject].to_numpy(), len(sets)),
            "feature": np.tile(list(sets), n), "measured": measured.ravel(),
            "shapley": values.ravel(), "base": np.repeat(base, len(sets)),
            "predicted": np.repeat(predicted, len(sets)),
        }),
        text=(
            f"{best['feature']} moves the out-of-fold prediction of {outcome} the most: by "
            f"{best['estimate']:.3g} on average ({100 * conf_level:g} % CI {best['conf_low']:.3g} "
            f"to {best['conf_high']:.3g}), of {len(sets)} features in {n} subjects."
        ).replace("nan", "not defined"),
        settings={
            "method": "exact interventional Shapley values, out of fold", "outcome": outcome,
            "task": task, "features": list(sets), "n_folds": n_folds, "n_inner": n_inner,
            "n_background": n_background, "n_boot": n_boot, "conf_level": conf_level,
            "seed": seed, "n_subjects": n, "subject": subject,
        },
        notes=(*rows.notes, *([said] if lost else [])),
    )  # fmt: skip


def exact_shapley(
    predict: Callable[[Matrix], Vector], x: Matrix, background: Matrix,
    groups: Sequence[Sequence[int]],
) -> tuple[Matrix, float]:  # fmt: skip
    """Shapley values (rows, groups) of a function of columns, and its mean over the background.

    Parameters
    ----------
    predict : callable
        ``predict(features (m, columns)) -> (m,)``.
    x, background : arrays (rows, columns)
    groups : sequence of column numbers
        Columns in no group are always those of the background.
    """
    p, m = len(groups), len(background)
    worth = np.empty((1 << p, len(x)))
    for coalition in range(1 << p):
        own = np.zeros(x.shape[1], bool)
        for place, columns in enumerate(groups):
            if coalition >> place & 1:
                own[list(columns)] = True
        mixed = np.where(own, x[:, None, :], background[None])
        worth[coalition] = predict(mixed.reshape(-1, x.shape[1])).reshape(-1, m).mean(1)
    sizes = np.array([bin(coalition).count("1") for coalition in range(1 << p)])
    weight = np.array([1 / (p * math.comb(p - 1, size)) for size in range(p)])
    out = np.empty((len(x), p))
    for place in range(p):
        without = np.flatnonzero((np.arange(1 << p) >> place & 1) == 0)
        gain = worth[without | 1 << place] - worth[without]
        out[:, place] = weight[sizes[without]] @ gain
    return out, float(worth[0].mean())


def _explained(
    rows: Rows, part: Split, model: Tabular, sets: Mapping[str, Sequence[str]], n_inner: int,
    n_background: int, seed: int,
) -> tuple[Matrix, float, Vector]:  # fmt: skip
    """Values, base and predictions of a fold's test rows."""
    predicted, predict = fold_model(rows, part, model, n_inner=n_inner, seed=seed)
    columns = list(model.columns)
    train = np.flatnonzero(part.train)
    rng = generator(seed, "shapley_values", "background", part.fold)
    drawn = rng.choice(train, size=min(n_background, len(train)), replace=False)
    whole = model.matrix(rows.frame)

    def values_of(features: Matrix) -> Vector:
        return predict(pd.DataFrame(features, columns=columns))

    places = [[columns.index(c) for c in members] for members in sets.values()]
    with threadpool_limits(limits=1):
        found, base = exact_shapley(values_of, whole[part.test], whole[np.sort(drawn)], places)
    return found, base, predicted


def _table(
    names: list[str], values: Matrix, measured: Matrix, n_boot: int, conf_level: float, seed: int
) -> pd.DataFrame:
    n = len(values)
    rng = generator(seed, "shapley_values", "bootstrap")
    weights = boot.whole_and_resamples(rng, n, n_boot)
    mean = (weights @ np.abs(values)) / weights.sum(axis=1, keepdims=True)
    rows = []
    for place, name in enumerate(names):
        estimate, low, high = boot.estimate_and_limits(mean[:, place], n, conf_level)
        rows.append({
            "feature": name, "estimate": estimate, "conf_low": low, "conf_high": high,
            "direction": _direction(measured[:, place], values[:, place]), "n": n,
            "method": "out-of-fold; BCa over subjects",
        })  # fmt: skip
    table = pd.DataFrame(rows)
    order = np.argsort(-table["estimate"].to_numpy().round(12), kind="stable")
    return table.iloc[order].reset_index(drop=True)


def _direction(measured: Vector, values: Vector) -> float:
    """Rank correlation where both are known and vary."""
    known = ~np.isnan(measured)
    x, y = measured[known], values[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(stats.spearmanr(x, y)[0])
