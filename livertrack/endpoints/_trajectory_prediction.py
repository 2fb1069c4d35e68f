"""Early change as a predictor of a late outcome, cross-fitted."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack._seeds import generator
from livertrack.endpoints._checks import require_columns, require_unique
from livertrack.endpoints._metrics import PRIMARY, permutation_p, primary
from livertrack.endpoints._nested_ridge import make_splits, nested
from livertrack.endpoints._prediction_input import as_problem, complete
from livertrack.endpoints.biopsy_prediction import biopsy_prediction
from livertrack.errors import DataError

WITHOUT, WITH = "arm and baseline", "arm, baseline and early change"
METHOD = "nested cross-validation by subject; early change permuted within arm"
_BATCH = 10


def predict_late(
    cells: pd.DataFrame, people: pd.DataFrame, outcome: pd.DataFrame, *, early: str, arm: str,
    subject: str, value: str, task: Literal["binary", "continuous"],
    counts: tuple[int, int, int, int], conf_level: float, seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, str, list[str]]:  # fmt: skip
    """Predict a late outcome without and with the early change.

    Returns the metrics of both models, what the early change adds, a sentence, and notes.
    """
    require_columns(outcome, [subject, value], name="outcome")
    require_unique(outcome, [subject], name="outcome")
    n_folds, n_repeats, n_perm, n_boot = counts
    here = cells[cells["AVISIT"].eq(early)]
    base = here.pivot_table(index="SUBJECT", columns="PARAMCD", values="BASE")
    moved = here.assign(C=here["AVAL"] - here["BASE"]).pivot_table(
        index="SUBJECT", columns="PARAMCD", values="C"
    )
    wide = base.join(people[[arm]].astype(str), how="inner").join(
        outcome.set_index(subject)[value].rename("OUTCOME"), how="inner"
    )
    wide = wide.dropna().sort_index()
    if wide.empty:
        msg = f"no subject has baseline, {early} and the outcome"
        raise DataError(msg)
    arms = pd.get_dummies(wide[arm], prefix="ARM").astype(float).iloc[:, 1:]
    design = np.column_stack([np.ones(len(wide)), arms, wide[list(base.columns)]])
    change = moved.loc[wide.index].to_numpy(float)
    rest = change - design @ np.linalg.lstsq(design, change, rcond=None)[0]
    names = [f"EARLY{kind[2:]}" for kind in moved.columns]
    data = pd.concat([wide, arms, pd.DataFrame(rest, wide.index, names)], axis=1)
    sets = {
        WITHOUT: [*arms.columns, *base.columns],
        WITH: [*arms.columns, *base.columns, *names],
    }
    data = data.rename_axis(subject).reset_index()
    fit = biopsy_prediction(
        data, outcome="OUTCOME", subject=subject, task=task, feature_sets=sets, n_folds=n_folds,
        n_repeats=n_repeats, n_perm=n_perm, n_boot=n_boot, conf_level=conf_level, seed=seed,
    )  # fmt: skip
    metric = PRIMARY[task]
    pair = fit.comparison[fit.comparison["metric"] == metric].iloc[0]
    sign = 1 if pair["feature_set_1"] == WITH else -1
    limits = sorted([sign * pair["conf_low"], sign * pair["conf_high"]])
    p = _increment_p(data, subject, sets, names, arm, task, n_folds, n_perm, seed)
    increment = pd.DataFrame(
        [
            {
                "metric": metric,
                "estimate_without": pair["estimate_2" if sign > 0 else "estimate_1"],
                "estimate_with": pair["estimate_1" if sign > 0 else "estimate_2"],
                "difference": sign * pair["difference"], "conf_low": limits[0],
                "conf_high": limits[1], "p_value": p, "n": len(data), "method": METHOD,
            }
        ]
    )  # fmt: skip
    row = increment.iloc[0]
    label = {"auc": "AUC", "r2": "R2"}[metric]
    text = (
        f"Arm and baseline foretold the outcome with a cross-fitted {label} of "
        f"{row['estimate_without']:.2f}; with the change by {early} it was "
        f"{row['estimate_with']:.2f} (difference {row['difference']:+.2f}, "
        f"{100 * conf_level:g} % CI {row['conf_low']:.2f} to {row['conf_high']:.2f}, permutation "
        f"p {'not computed' if np.isnan(p) else '< 0.001' if p < 0.001 else format(p, '.3f')}, "
        f"N = {len(data)})."
    )
    lost = len(people) - len(data)
    notes = [f"{lost} of {len(people)} subjects lack baseline, {early} or the outcome: not in the "
             "prediction"] if lost else []  # fmt: skip
    return fit.table, increment, text, [*notes, *fit.notes]


def _increment_p(
    data: pd.DataFrame, subject: str, sets: dict[str, list[str]], names: list[str], arm: str,
    task: Any, n_folds: int, n_perm: int, seed: int,
) -> float:  # fmt: skip
    """Permutation p of what the columns ``names`` add, subjects changing places within arms."""
    if not n_perm:
        return float("nan")
    used = sets[WITH]
    ready, _ = complete(data.assign(_arm=data[arm]), subject, "OUTCOME", used, ["_arm"])
    problem, _, _ = as_problem(ready, "OUTCOME", subject, None, sets, task)
    folds = generator(seed, "biopsy_prediction", "folds", 0)
    splits = make_splits(folds, problem, n_folds, 3, by_site=False)
    place = [used.index(name) for name in names]
    label = ready["_arm"].to_numpy()
    tables, parts_of = problem.values, problem.parts  # noqa: PD011
    (without, given), (parts_without, parts) = tables, parts_of

    def metric(table: np.ndarray, which: np.ndarray) -> float:
        return primary(problem.y, nested(table, which, problem, splits).predicted, task)

    def batch(numbers: range) -> list[float]:
        out = []
        with threadpool_limits(limits=1):
            for number in numbers:
                rng = generator(seed, "trajectories", "permutation", number)
                rows = np.arange(len(label))
                for level in np.unique(label):
                    own = np.flatnonzero(label == level)
                    rows[own] = rng.permutation(own)
                table = given.copy()
                table[:, place] = given[rows][:, place]
                out.append(metric(table, parts))
        return out

    with threadpool_limits(limits=1):
        base = metric(without, parts_without)
        observed = metric(given, parts) - base
    jobs = [range(s, min(s + _BATCH, n_perm)) for s in range(0, n_perm, _BATCH)]
    null = np.concatenate(Parallel(prefer="threads")(delayed(batch)(job) for job in jobs)) - base
    return permutation_p(observed, null)
