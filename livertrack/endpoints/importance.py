"""Which features carry a prediction: out-of-fold permutation importance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints import _bootstrap as boot
from livertrack.endpoints._checks import require_conf_level
from livertrack.endpoints._metrics import PRIMARY, metrics
from livertrack.endpoints._splits import Problem, Task
from livertrack.endpoints.cross_validation._folds import _checked
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


@dataclass(frozen=True, kw_only=True)
class Importance(Result):
    """Importance of features; see `permutation_importance` for the table."""

    keys: ClassVar[tuple[str, ...]] = ("feature", "metric")
    context: ClassVar[str] = "permutation_importance"


def permutation_importance(
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
    n_permutations: int = 20,
    n_boot: int = 1000,
    conf_level: float = 0.95,
    seed: int,
) -> Importance:
    """How much an out-of-fold prediction loses when a feature is exchanged among subjects.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``subject, outcome`` and the model's columns.
    model : Tabular
        For example of `biopsy_models`.
    groups : mapping of name to columns, optional
        Columns exchanged together (all tissue types, say); each column by itself where None.
    n_folds, n_inner : int
        Outer folds and, where the model has candidates, inner ones.
    n_permutations : int
        Exchanges of each feature, averaged.
    n_boot : int
        Resamples of subjects behind the intervals.
    seed : int
        Seed of folds, fits, exchanges and bootstrap; folds and fits are those of
        `cross_validate` with this seed and a model called ``model``.

    Returns
    -------
    Importance
        ``.table``, most important first: ``feature, metric, estimate, conf_low, conf_high,
        whole`` (metric with all features as they are), ``n, method``. ``estimate`` is the metric
        (AUC, concordance or R2) minus its mean after exchange.

    Notes
    -----
    Nothing is refitted: each fold's model predicts its test subjects with the feature exchanged
    among them. A feature whose information others carry too has little importance by itself; give
    such features as one group. Parts of a composition do not sum to one after an exchange.
    Intervals are BCa over subjects and take fits and exchanges as given.

    Source: Breiman (2001); Fisher, Rudin and Dominici (2019).
    Checked against: `cross_validate` without exchange, a linear model whose loss is known
    (tests/endpoints/test_biopsy_models.py).
    """
    require_conf_level(conf_level)
    sets = feature_groups(model, groups)
    if n_permutations < 1:
        msg = f"n_permutations is at least 1, got {n_permutations}"
        raise UsageError(msg)
    rows, splits = subject_folds(
        data, model, outcome=outcome, task=task, subject=subject, site=site, n_folds=n_folds,
        n_inner=n_inner, n_boot=n_boot, seed=seed,
    )  # fmt: skip
    jobs = [
        delayed(_exchanged)(rows, part, model, sets, n_inner, n_permutations, seed)
        for part in splits
    ]
    predicted = np.empty((1 + len(sets) * n_permutations, len(rows.frame)))
    for part, found in zip(splits, Parallel()(jobs), strict=True):
        predicted[:, part.test] = found
    with threadpool_limits(limits=1):  # the same sums with any number of threads
        table = _table(
            rows.problem, predicted, list(sets), n_permutations, n_boot, conf_level, seed
        )
    best = table.iloc[0]
    level = f"{100 * conf_level:g} %"
    return Importance(
        table=table,
        text=(
            f"Without {best['feature']} the out-of-fold {_LABEL[task]} of {outcome} falls by "
            f"{best['estimate']:.2f} ({level} CI {best['conf_low']:.2f} to "
            f"{best['conf_high']:.2f}) from {best['whole']:.2f}, the most of {len(sets)} features."
        ).replace("nan", "not defined"),
        settings={
            "method": "out-of-fold permutation importance", "outcome": outcome, "task": task,
            "features": list(sets), "n_folds": n_folds, "n_inner": n_inner,
            "n_permutations": n_permutations, "n_boot": n_boot, "conf_level": conf_level,
            "seed": seed, "n_subjects": len(rows.frame),
        },
        notes=rows.notes,
    )  # fmt: skip


_LABEL = {"binary": "AUC", "ordinal": "concordance", "continuous": "R2"}


def _exchanged(
    rows: Rows, part: Split, model: Tabular, sets: Mapping[str, Sequence[str]], n_inner: int,
    n_permutations: int, seed: int,
) -> Matrix:  # fmt: skip
    """Predictions of a fold's test rows: as they are, then every feature's exchanges."""
    predicted, predict = fold_model(rows, part, model, n_inner=n_inner, seed=seed)
    n = int(part.test.sum())
    out = [predicted]
    test = rows.frame[part.test]
    with threadpool_limits(limits=1):
        for name, columns in sets.items():
            rng = generator(seed, "permutation_importance", name, part.fold)
            for _ in range(n_permutations):
                order = rng.permutation(n)
                moved = test.assign(**{c: test[c].to_numpy()[order] for c in columns})
                out.append(_checked(predict(moved), rows.problem, n))
    return np.array(out)


def _table(
    problem: Problem, predicted: Matrix, names: list[str], n_permutations: int, n_boot: int,
    conf_level: float, seed: int,
) -> pd.DataFrame:  # fmt: skip
    n = len(problem.y)
    metric = PRIMARY[problem.task]
    rng = generator(seed, "permutation_importance", "bootstrap")
    weights = boot.whole_and_resamples(rng, n, n_boot)
    scores = [metrics(weights, problem.y, p, problem.task)[metric] for p in predicted]
    rows = []
    for place, name in enumerate(names):
        first = 1 + place * n_permutations
        lost = scores[0] - np.mean(scores[first : first + n_permutations], axis=0)
        estimate, low, high = boot.estimate_and_limits(lost, n, conf_level)
        rows.append({
            "feature": name, "metric": metric, "estimate": estimate, "conf_low": low,
            "conf_high": high, "whole": float(scores[0][0]), "n": n,
            "method": "out-of-fold; BCa over subjects",
        })  # fmt: skip
    table = pd.DataFrame(rows)
    order = np.argsort(-table["estimate"].fillna(-math.inf).to_numpy().round(12), kind="stable")
    return table.iloc[order].reset_index(drop=True)
