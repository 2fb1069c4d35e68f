"""Cross-validation of any learner: one evaluation for every prediction task."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints import _prediction_frames as made
from livertrack.endpoints._checks import require_conf_level
from livertrack.endpoints._metrics import PRIMARY, permutation_p, primary
from livertrack.endpoints._splits import Problem, Task
from livertrack.endpoints.cross_validation._folds import (
    Fold,
    Vector,
    fit_fold,
    mean_folds,
    permuted_metric,
)
from livertrack.endpoints.cross_validation._input import (
    Rows,
    gather,
    require_enough,
    require_members,
    require_options,
)
from livertrack.endpoints.cross_validation.guard import require_no_leakage
from livertrack.endpoints.cross_validation.learners import Learner, Tabular, as_learners
from livertrack.endpoints.cross_validation.levels import Combine, by_subject, decision_curve
from livertrack.endpoints.cross_validation.splits import (
    Kind,
    Split,
    fits_by_model,
    mean_prediction,
    outer_splits,
)

__all__ = ["CrossValidation", "Learner", "Tabular", "cross_validate"]

_RENAMED = {"feature_set": "model", "feature_set_1": "model_1", "feature_set_2": "model_2"}


@dataclass(frozen=True, kw_only=True)
class CrossValidation(Result):
    """Out-of-fold performance of models; see `cross_validate` for the frames."""

    predictions: pd.DataFrame
    comparison: pd.DataFrame
    calibration: pd.DataFrame
    confusion: pd.DataFrame
    roc: pd.DataFrame
    decision: pd.DataFrame
    sites: pd.DataFrame
    folds: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("model", "level", "metric", "model_1", "model_2", "site")
    context: ClassVar[str] = "cross_validate"
    by_subject: ClassVar[tuple[str, ...]] = ("predictions",)


def cross_validate(
    data: pd.DataFrame,
    *,
    outcome: str,
    models: Mapping[str, Any],
    task: Task = "binary",
    columns: Sequence[str] | None = None,
    subject: str = "USUBJID",
    site: str | None = None,
    split: Kind = "k-fold",
    time: str | None = None,
    holdout: float = 0.3,
    external: pd.DataFrame | None = None,
    hashes: Sequence[str] = (),
    fitted_on: Mapping[str, Collection[Any]] | None = None,
    ensembles: Mapping[str, Sequence[str]] | None = None,
    n_folds: int = 5,
    n_inner: int = 3,
    n_repeats: int = 1,
    combine: Combine = "mean",
    threshold: float = 0.5,
    n_perm: int = 0,
    n_boot: int = 2000,
    conf_level: float = 0.95,
    seed: int,
) -> CrossValidation:
    """Evaluate models on subjects they never saw, with everything learned inside the folds.

    Parameters
    ----------
    data : DataFrame, one row per case (slice, scan or subject)
        ``subject``, ``outcome`` and whatever the models read.
    outcome : str
        ``binary``: 0/1; ``ordinal``: stages as numbers; ``continuous``: any unit.
    models : mapping of name to model
        scikit-learn estimators (on ``columns``), `Tabular` (own columns, a grid that inner folds
        choose from), or any `Learner`, e.g. a network that reads images.
    task : {"binary", "ordinal", "continuous"}
    columns : sequence of str, optional
        Features of bare estimators.
    subject, site : str
        All rows of a subject are on one side of every split; folds hold their share of sites, and
        performance is also given by site.
    split : {"k-fold", "leave-one-site-out", "temporal", "external"}
        ``temporal``: learn from the earlier subjects (by the first value of ``time``), predict
        the last ``holdout`` of them; ``external``: learn from ``data``, predict ``external``.
    hashes : sequence of str
        Columns with a hash of each image's content: an image that occurs twice is refused.
    fitted_on : mapping of name to subjects, optional
        Subjects that an extractor of features was fitted on; refused if one of them is predicted.
    ensembles : mapping of name to names of models, optional
        Mean prediction of these models of the same fold, as a model of its own; nothing is fitted.
    n_folds, n_inner, n_repeats : int
        Outer folds, inner folds (where a model has candidates), partitions to average.
    combine : {"mean", "median", "max"}
        How rows of a subject become its prediction.
    threshold : float
        Probability from which a case is called 1.
    n_perm : int
        Refits after subjects exchanged outcomes (within site): p of "no better than chance".
    n_boot : int
        Resamples of subjects behind the intervals.
    seed : int
        Seed of folds, fits, permutations and bootstrap.

    Returns
    -------
    CrossValidation
        ``.table``: ``model, level, metric, estimate, conf_low, conf_high, p_value, chance, n,
        n_subjects, method``; ``level`` is "subject", and "row" where subjects have several.
        ``.predictions``: ``model, repeat, fold, row, subject, observed, predicted``.
        ``.comparison``: pairs of models on the same folds, ``difference`` = first minus second.
        ``.calibration, .confusion, .roc, .decision`` (net benefit; binary): per model and level.
        ``.sites``: first metric by site. ``.folds``: rows and subjects of every fit, and the
        candidate that its inner folds chose.

    Raises
    ------
    DataError
        A subject in both cohorts, an image twice, features copied from the outcome or from
        another subject, one outcome level, fewer subjects than folds.
    UsageError
        Arguments that do not fit together; a model fitted before.

    Notes
    -----
    Denominator: rows with an outcome that are predicted; others are counted in the notes.
    Predictions of several partitions are averaged before the metrics. A subject whose outcome
    varies between rows has the largest (continuous: the mean) at subject level. Intervals are BCa
    over subjects and take the predictions as given; the permutation test refits the first
    partition. ``r2`` is 1 - SSE/SST.

    Source: Varma and Simon (2006) for nesting; Ojala and Garriga (2010) for the permutation test;
    Vickers and Elkin (2006) for decision curves; Collins et al. (2024, TRIPOD+AI) for the report.
    Checked against: scikit-learn ``cross_val_predict`` on the same folds and its metrics; the
    net benefit of a published example worked by hand (tests/endpoints/test_cross_validation.py).
    """
    require_conf_level(conf_level)
    require_options(
        split=split, site=site, time=time, external=external, holdout=holdout, n_folds=n_folds,
        n_inner=n_inner, n_repeats=n_repeats, n_perm=n_perm, n_boot=n_boot, task=task,
    )  # fmt: skip
    learners = as_learners(models, columns)
    require_members(ensembles or {}, learners)
    rows = gather(data, external, outcome, subject, site, time, task, learners)
    if split == "k-fold":
        require_enough(rows.problem, n_folds, outcome)
    splits = outer_splits(
        rows.problem, split, n_folds=n_folds, n_repeats=n_repeats, seed=seed,
        moment=rows.moment, holdout=holdout, external=rows.external,
    )  # fmt: skip
    tested = np.any([part.test for part in splits], axis=0)
    require_no_leakage(
        rows.frame, learners, outcome=outcome, subject=subject, site=site, hashes=hashes,
        fitted_on=fitted_on or {}, tested=tested,
    )  # fmt: skip
    fit = partial(fit_fold, rows.frame, rows.problem, n_inner=n_inner, seed=seed)
    fits = fits_by_model(fit, learners, splits, use="cross_validate")
    fits |= {name: mean_folds([fits[m] for m in of]) for name, of in (ensembles or {}).items()}
    average = {
        name: mean_prediction(splits, [fold.predicted for fold in folds], tested)
        for name, folds in fits.items()
    }
    problem = rows.problem.subset(tested)
    whole, joined, varying = by_subject(problem, average, combine)
    levels = {"subject": (whole, joined)}
    if len(whole.y) < len(problem.y):
        levels["row"] = (problem, average)
    notes = list(rows.notes)
    if varying:
        notes.append(f"{varying} subject(s) have rows with different outcomes; see Notes")
    tables, pairs = [], []
    for level, (cases, predicted) in levels.items():
        rng = generator(seed, "cross_validate", "bootstrap")
        estimates = made.Estimates(
            cases, predicted, n_boot, conf_level, threshold, rng, by_level=True
        )
        tables.append(estimates.table().assign(level=level))
        pairs.append(estimates.comparison().assign(level=level))
        notes += [f"{level} level: {note}" for note in estimates.notes]
    null = _null(rows, splits, learners, n_inner, n_perm, seed, combine)
    by_level = {
        "calibration": lambda c, p: made.calibration(c, p, conf_level),
        "confusion": lambda c, p: made.confusion(c, p, threshold),
        "roc": made.roc,
        "decision": decision_curve,
    }
    frames = {
        name: _named(pd.concat([make(*levels[k]).assign(level=k) for k in levels]))
        for name, make in by_level.items()
    }
    labels = None if site is None else _site_of_subject(rows, tested, site)
    result = CrossValidation(
        table=_with_p(_named(pd.concat(tables)), null, rows, splits, fits, combine),
        predictions=_predictions(rows, subject, splits, fits, seed),
        comparison=_named(pd.concat(pairs)),
        sites=_named(made.by_site(whole, joined, labels)),
        folds=_fold_frame(rows.problem, splits, fits),
        text="",
        settings={
            "method": f"{split} cross-validation by subject", "outcome": outcome, "task": task,
            "subject": subject, "site": site or "", "models": list(fits), "split": split,
            "n_fits": len(splits), "n_inner": n_inner, "n_repeats": n_repeats, "n_perm": n_perm,
            "n_boot": n_boot, "conf_level": conf_level, "threshold": threshold, "seed": seed,
            "combine": combine, "n_subjects": len(whole.y), "n_rows": len(problem.y),
        },
        notes=tuple(notes),
        **frames,
    )  # fmt: skip
    return replace(result, text=_text(result))


def _null(
    rows: Rows, splits: list[Split], learners: Mapping[str, Learner], n_inner: int, n_perm: int,
    seed: int, combine: Combine,
) -> dict[str, Vector]:  # fmt: skip
    first = [part for part in splits if part.repeat == 0]
    jobs = [
        delayed(permuted_metric)(
            rows, first, learner, number=number, n_inner=n_inner, seed=seed, name=name,
            combine=combine,
        )
        for name, learner in learners.items()
        for number in range(n_perm)
    ]  # fmt: skip
    values = np.array(Parallel()(jobs) if jobs else []).reshape(len(learners), -1)
    return dict(zip(learners, values, strict=True))


def _with_p(
    table: pd.DataFrame, null: Mapping[str, Vector], rows: Rows, splits: list[Split],
    fits: Mapping[str, list[Fold]], combine: Combine,
) -> pd.DataFrame:  # fmt: skip
    """Add p and chance to the first metric: that of the first partition against its refits."""
    metric = PRIMARY[rows.problem.task]
    first = [place for place, part in enumerate(splits) if part.repeat == 0]
    used = np.any([splits[place].test for place in first], axis=0)
    for name, values in null.items():
        known = values[~np.isnan(values)]
        if not len(known):
            continue
        predicted = np.empty(len(used))
        for place in first:
            predicted[splits[place].test] = fits[name][place].predicted
        whole, joined, _ = by_subject(rows.problem.subset(used), {name: predicted[used]}, combine)
        observed = primary(whole.y, joined[name], whole.task)
        here = (table["model"] == name) & (table["metric"] == metric)
        here &= table["level"] == "subject"
        table.loc[here, "p_value"] = permutation_p(observed, known)
        table.loc[here, "chance"] = float(known.mean())
    return table


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.rename(columns=_RENAMED).reset_index(drop=True)
    first = [c for c in ("model", "model_1", "model_2", "level", "metric") if c in frame]
    return frame[[*first, *(c for c in frame if c not in first)]]


def _site_of_subject(rows: Rows, tested: np.ndarray[Any, Any], site: str) -> np.ndarray[Any, Any]:
    labels = rows.frame.loc[tested, site].astype(str).to_numpy()
    first = np.unique(rows.problem.subjects[tested], return_index=True)[1]
    return np.asarray(labels[first])


def _predictions(
    rows: Rows, subject: str, splits: list[Split], fits: Mapping[str, list[Fold]], seed: int
) -> pd.DataFrame:
    number = generator(seed, "cross_validate", "rows").permutation(len(rows.frame))
    frames = [
        pd.DataFrame({
            "model": name, "repeat": part.repeat, "fold": part.fold, "row": number[part.test],
            subject: rows.frame[subject].to_numpy()[part.test],
            "observed": rows.problem.y[part.test], "predicted": fold.predicted,
        })
        for name, folds in fits.items()
        for part, fold in zip(splits, folds, strict=True)
    ]  # fmt: skip
    keys = ["model", "repeat", "row"]
    return pd.concat(frames).sort_values(keys, kind="stable").reset_index(drop=True)


def _fold_frame(
    problem: Problem, splits: list[Split], fits: Mapping[str, list[Fold]]
) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "model": name, "repeat": part.repeat, "fold": part.fold,
            "n_train": int(part.train.sum()), "n_test": int(part.test.sum()),
            "n_train_subjects": len(np.unique(problem.subjects[part.train])),
            "n_test_subjects": len(np.unique(problem.subjects[part.test])),
            "chosen": fold.chosen,
        }
        for name, folds in fits.items()
        for part, fold in zip(splits, folds, strict=True)
    ])  # fmt: skip


def _text(result: CrossValidation) -> str:
    settings = result.settings
    metric = PRIMARY[settings["task"]]
    label = {"auc": "AUC", "concordance": "concordance", "r2": "R2"}[metric]
    level = f"{100 * settings['conf_level']:g} %"
    chosen = (result.table["metric"] == metric) & (result.table["level"] == "subject")
    parts = []
    for row in result.table[chosen].to_dict("records"):
        chance = "" if math.isnan(row["p_value"]) else f", permutation p = {row['p_value']:.3g}"
        parts.append(
            f"{row['model']}: {label} {row['estimate']:.2f} ({level} CI {row['conf_low']:.2f} to "
            f"{row['conf_high']:.2f}{chance})"
        )
    return (
        f"Out-of-fold prediction of {settings['outcome']} in {settings['n_subjects']} subjects "
        f"({settings['split']}). " + "; ".join(parts) + "."
    )
