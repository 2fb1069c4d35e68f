"""Prognosis: how well baseline features tell who will have an event, and when, out of fold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints._checks import require_conf_level
from livertrack.endpoints._metrics import permutation_p
from livertrack.endpoints.cross_validation._input import require_enough
from livertrack.endpoints.cross_validation.splits import (
    Kind,
    Split,
    fits_by_model,
    mean_prediction,
    outer_splits,
)
from livertrack.endpoints.prognosis._estimates import Estimates, calibration, risk_groups
from livertrack.endpoints.prognosis._folds import (
    Cohort,
    Fold,
    Vector,
    exchanged,
    fit_fold,
    gather,
    require_horizons,
    require_no_leak,
)
from livertrack.endpoints.prognosis._metrics import Outcome, even_grid, survival_metrics
from livertrack.endpoints.prognosis.models import RidgeCox, RiskLearner, SurvivalForest
from livertrack.errors import UsageError

__all__ = ["Prognosis", "RidgeCox", "RiskLearner", "SurvivalForest", "prognosis"]

#: times at which the integrated Brier score is counted
_STEPS = 25


@dataclass(frozen=True, kw_only=True)
class Prognosis(Result):
    """Out-of-fold prognosis of an event; see `prognosis` for the frames."""

    predictions: pd.DataFrame
    comparison: pd.DataFrame
    calibration: pd.DataFrame
    groups: pd.DataFrame
    curves: pd.DataFrame
    folds: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = (
        "model", "metric", "horizon", "model_1", "model_2", "group", "time",
    )  # fmt: skip
    context: ClassVar[str] = "prognosis"
    by_subject: ClassVar[tuple[str, ...]] = ("predictions",)


def prognosis(
    data: pd.DataFrame,
    *,
    models: Mapping[str, RiskLearner],
    horizons: Sequence[float],
    time: str = "AVAL",
    censor: str = "CNSR",
    subject: str = "USUBJID",
    site: str | None = None,
    split: Kind = "k-fold",
    external: pd.DataFrame | None = None,
    n_folds: int = 5,
    n_inner: int = 3,
    n_repeats: int = 1,
    n_groups: int = 3,
    n_perm: int = 0,
    n_boot: int = 1000,
    conf_level: float = 0.95,
    seed: int,
) -> Prognosis:
    """Predict the time to an event from baseline features, by nested cross-validation.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``subject, time, censor`` and the models' features, in any unit.
    models : mapping of name to model
        `RidgeCox`, `SurvivalForest`, or any `RiskLearner`.
    horizons : sequence of float
        Times at which risks are judged, in the unit of ``time``.
    time, censor : str
        Time since baseline, > 0; ``censor`` = 0 is the event, 1, 2, ... are censorings.
    site : str, optional
        Folds hold their share of sites; outcomes are permuted within sites.
    split : {"k-fold", "leave-one-site-out", "external"}
        ``external``: learn from ``data``, predict ``external``.
    n_folds, n_inner, n_repeats : int
        Outer folds, inner folds (where a model has candidates), partitions to average.
    n_groups : int
        Risk groups, and groups of the calibration, of equal size.
    n_perm : int
        Refits after subjects exchanged times and events: p of "Harrell's C no better than
        chance".
    n_boot : int
        Resamples of subjects behind the intervals.
    seed : int
        Seed of folds, fits, permutations and bootstrap.

    Returns
    -------
    Prognosis
        ``.table``: ``model, metric, horizon, estimate, conf_low, conf_high, p_value, chance, n,
        method``. Metrics: ``harrell_c``, ``uno_c``, ``integrated_brier`` (up to the last horizon);
        at each horizon ``auc``, ``brier``, ``brier_scaled`` (1 - Brier / Brier of one risk for
        all), ``observed_over_expected``, ``calibration_slope``.
        ``.predictions``: ``model, repeat, fold, row, subject, time, event, horizon, risk``.
        ``.comparison``: pairs of models on the same folds, ``difference`` = first minus second.
        ``.calibration``: ``model, horizon, group, n, predicted, observed, conf_low, conf_high``.
        ``.groups``: risk groups - ``model, group, n, events, horizon, predicted, observed,
        conf_low, conf_high, p_value`` (log-rank over the groups). ``.curves``: Kaplan-Meier by
        group. ``.folds``: subjects and events of every fit and the candidate chosen.

    Raises
    ------
    DataError
        A subject twice, features copied from the event or from another subject, no event, a time
        that is not positive, fewer subjects with an event than folds.
    UsageError
        A horizon before the first event or after the last observation; options that do not fit.

    Notes
    -----
    Denominator: subjects with time and flag who are predicted; others are counted in the notes.
    The risk at the last horizon orders subjects in both C statistics. Censoring is weighed by its
    Kaplan-Meier curve over all predicted subjects, as if it did not depend on the features. The
    inner folds choose by the mean Brier score over the horizons. Intervals take predictions as
    given; groups are cut at quantiles of the out-of-fold risks. Competing events count as
    censored.

    Source: Harrell et al. (1996); Uno et al. (2011) for C; Uno et al. (2007) and Blanche et al.
    (2013) for the AUC; Graf et al. (1999) for the Brier score; Kattan and Gerds (2018) for its
    scaled form.
    Checked against: R 4.2.2 survival 3.5 ``concordance``, riskRegression 2022.11.28 ``Score``
    (tests/reference/prognosis.R), lifelines ``CoxPHFitter``.
    """
    require_conf_level(conf_level)
    _require_options(models, split, site, external, n_folds, n_inner, n_repeats, n_groups,
                     n_perm, n_boot)  # fmt: skip
    cohort = gather(
        data, external, time=time, censor=censor, subject=subject, site=site, models=models
    )
    if split == "k-fold" and not cohort.event.all():
        require_enough(cohort.problem, n_folds, f"event ({censor} = 0)")
    splits = outer_splits(
        _with_levels(cohort), split, n_folds=n_folds, n_repeats=n_repeats, seed=seed,
        moment=None, holdout=0.3, external=cohort.external,
    )  # fmt: skip
    tested = np.any([part.test for part in splits], axis=0)
    wanted = require_horizons(cohort, tested, horizons)
    require_no_leak(cohort, models, censor=censor, subject=subject, site=site, tested=tested)
    times = np.concatenate([wanted, even_grid(float(wanted[-1]), _STEPS)])
    fit = partial(fit_fold, cohort, times=times, horizons=wanted, n_inner=n_inner, seed=seed)
    fits = fits_by_model(fit, models, splits, use="prognosis")
    risks = {
        name: mean_prediction(splits, [fold.risk for fold in folds], tested)
        for name, folds in fits.items()
    }
    outcome = _outcome(cohort, tested, wanted)
    with threadpool_limits(limits=1):  # the same sums with any number of threads
        estimates = Estimates(
            outcome, risks, n_boot, conf_level, generator(seed, "prognosis", "bootstrap")
        )
    jobs = [
        delayed(_permuted)(cohort, splits, model, times, wanted, n_inner, seed, name, number)
        for name, model in models.items()
        for number in range(n_perm)
    ]
    null = np.array(Parallel()(jobs) if jobs else [], float).reshape(len(models), -1)
    groups, curves = risk_groups(outcome, risks, n_groups, conf_level)
    result = Prognosis(
        table=_with_p(estimates.table(), dict(zip(models, null, strict=True)), fits, splits,
                      cohort, wanted),
        predictions=_predictions(cohort, subject, splits, fits, wanted, seed),
        comparison=estimates.comparison(),
        calibration=calibration(outcome, risks, n_groups, conf_level),
        groups=groups, curves=curves, folds=_fold_frame(cohort, splits, fits), text="",
        settings={
            "method": f"{split} cross-validation by subject", "time": time, "censor": censor,
            "subject": subject, "site": site or "", "models": list(models), "split": split,
            "horizons": [float(h) for h in wanted], "n_fits": len(splits), "n_inner": n_inner,
            "n_repeats": n_repeats, "n_groups": n_groups, "n_perm": n_perm, "n_boot": n_boot,
            "conf_level": conf_level, "seed": seed, "n_subjects": int(tested.sum()),
            "n_events": int(cohort.event[tested].sum()),
        },
        notes=(*cohort.notes, *estimates.notes()),
    )  # fmt: skip
    return replace(result, text=_text(result))


def _require_options(
    models: Mapping[str, RiskLearner], split: str, site: str | None,
    external: pd.DataFrame | None, n_folds: int, n_inner: int, n_repeats: int, n_groups: int,
    n_perm: int, n_boot: int,
) -> None:  # fmt: skip
    problems = []
    if not models:
        problems.append("models: name at least one, e.g. {'cox': lt.RidgeCox(['AGE'])}")
    odd = [n for n, m in models.items() if not hasattr(m, "columns") or not hasattr(m, "fit")]
    if odd:
        problems.append(f"models: {', '.join(odd)} has no columns and fit; see lt.RidgeCox")
    bare = [n for n, m in models.items() if hasattr(m, "columns") and not len(m.columns)]
    if bare:
        problems.append(f"models: {', '.join(bare)} has no feature")
    if split not in ("k-fold", "leave-one-site-out", "external"):
        problems.append(f"split is one of k-fold, leave-one-site-out, external, got {split!r}")
    if split == "leave-one-site-out" and site is None:
        problems.append("leave-one-site-out needs the column of the site")
    if (split == "external") != (external is not None):
        problems.append("split='external' and a frame as external belong together")
    least = {"n_folds": (n_folds, 2), "n_inner": (n_inner, 2), "n_repeats": (n_repeats, 1),
             "n_groups": (n_groups, 2), "n_perm": (n_perm, 0), "n_boot": (n_boot, 0)}  # fmt: skip
    problems += [
        f"{k} must be at least {low}, got {v}" for k, (v, low) in least.items() if v < low
    ]
    if problems:
        raise UsageError("; ".join(problems))


def _with_levels(cohort: Cohort):  # type: ignore[no-untyped-def]
    """Strata of the folds: events, or early and late times where all subjects have one."""
    if not cohort.event.all():
        return cohort.problem
    early = (cohort.time <= np.median(cohort.time)).astype(float)
    return replace(cohort.problem, y=early)


def _outcome(cohort: Cohort, used: np.ndarray, horizons: Vector) -> Outcome:  # type: ignore[type-arg]
    grid = even_grid(float(horizons[-1]), _STEPS)
    return Outcome(cohort.time[used], cohort.event[used], horizons, grid)


def _harrell(cohort: Cohort, splits: list[Split], folds: list[Fold], horizons: Vector) -> float:
    """Harrell's C of the first partition."""
    first = [place for place, part in enumerate(splits) if part.repeat == 0]
    tested = np.any([splits[place].test for place in first], axis=0)
    risk = mean_prediction([splits[k] for k in first], [folds[k].risk for k in first], tested)
    outcome = _outcome(cohort, tested, horizons)
    values = survival_metrics(np.ones((1, int(tested.sum()))), outcome, risk)
    return float(next(value[0] for key, value in values.items() if key[0] == "harrell_c"))


def _permuted(
    cohort: Cohort, splits: list[Split], model: RiskLearner, times: Vector, horizons: Vector,
    n_inner: int, seed: int, name: str, number: int,
) -> float:  # fmt: skip
    shuffled = exchanged(cohort, generator(seed, "prognosis", "permutation", number))
    first = [part for part in splits if part.repeat == 0]
    names = ("prognosis", name, "permutation", number)
    if any(not shuffled.event[part.train].any() for part in first):
        return math.nan
    folds = [
        fit_fold(shuffled, part, model, times, horizons, n_inner=n_inner, seed=seed, names=names)
        for part in first
    ]
    return _harrell(shuffled, first, folds, horizons)


def _with_p(
    table: pd.DataFrame, null: Mapping[str, Vector], fits: Mapping[str, list[Fold]],
    splits: list[Split], cohort: Cohort, horizons: Vector,
) -> pd.DataFrame:  # fmt: skip
    for name, values in null.items():
        known = values[~np.isnan(values)]
        if not len(known):
            continue
        observed = _harrell(cohort, splits, fits[name], horizons)
        here = table["model"].eq(name) & table["metric"].eq("harrell_c")
        table.loc[here, "p_value"] = permutation_p(observed, known)
        table.loc[here, "chance"] = float(known.mean())
    return table


def _predictions(
    cohort: Cohort, subject: str, splits: list[Split], fits: Mapping[str, list[Fold]],
    horizons: Vector, seed: int,
) -> pd.DataFrame:  # fmt: skip
    number = generator(seed, "prognosis", "rows").permutation(len(cohort.frame))
    frames = [
        pd.DataFrame({
            "model": name, "repeat": part.repeat, "fold": part.fold, "row": number[part.test],
            subject: cohort.frame[subject].to_numpy()[part.test], "time": cohort.time[part.test],
            "event": cohort.event[part.test].astype(int), "horizon": float(horizon),
            "risk": fold.risk[:, k],
        })
        for name, folds in fits.items()
        for part, fold in zip(splits, folds, strict=True)
        for k, horizon in enumerate(horizons)
    ]  # fmt: skip
    keys = ["model", "repeat", "horizon", "row"]
    return pd.concat(frames).sort_values(keys, kind="stable").reset_index(drop=True)


def _fold_frame(
    cohort: Cohort, splits: list[Split], fits: Mapping[str, list[Fold]]
) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "model": name, "repeat": part.repeat, "fold": part.fold,
            "n_train": int(part.train.sum()), "n_test": int(part.test.sum()),
            "n_train_events": int(cohort.event[part.train].sum()),
            "n_test_events": int(cohort.event[part.test].sum()), "chosen": fold.chosen,
        }
        for name, folds in fits.items()
        for part, fold in zip(splits, folds, strict=True)
    ])  # fmt: skip


def _text(result: Prognosis) -> str:
    settings = result.settings
    level = f"{100 * settings['conf_level']:g} %"
    last = settings["horizons"][-1]
    parts = []
    for name in settings["models"]:
        mine = result.table[result.table["model"].eq(name)]
        c = mine[mine["metric"].eq("uno_c")].iloc[0]
        auc = mine[mine["metric"].eq("auc") & mine["horizon"].eq(last)].iloc[0]
        p = mine.loc[mine["metric"].eq("harrell_c"), "p_value"].iloc[0]
        chance = "" if math.isnan(p) else f", permutation p = {p:.3g}"
        parts.append(
            f"{name}: Uno's C {c['estimate']:.2f} ({level} CI {c['conf_low']:.2f} to "
            f"{c['conf_high']:.2f}{chance}), AUC at {last:g} {auc['estimate']:.2f} "
            f"({auc['conf_low']:.2f} to {auc['conf_high']:.2f})"
        )
    text = (
        f"Out-of-fold prognosis of {settings['n_events']} events in {settings['n_subjects']} "
        f"subjects ({settings['split']}). " + "; ".join(parts) + "."
    )
    return text.replace("nan", "not defined")
