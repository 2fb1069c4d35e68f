"""Analysis of completed data sets: ANCOVA by visit, pooled; tipping points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._design import Floats, independent_columns, make_design
from livertrack.endpoints._formula import parse_formula
from livertrack.endpoints._linear import difference_text, inference_columns
from livertrack.endpoints._lsmeans import contrast_combinations, lsmeans_combinations
from livertrack.endpoints._rubin import pool
from livertrack.errors import DataError, UsageError

if TYPE_CHECKING:
    from livertrack.endpoints.imputation import Imputation


@dataclass(frozen=True, kw_only=True)
class ImputedAnalysis(Result):
    """Pooled differences of LS means by visit.

    ``table``: visit and arm columns, ``reference, estimate, std_error, df, statistic, p_value,
    conf_low, conf_high, fraction_missing, n_imputed, n, method``; positive = higher than
    reference. ``n`` = subjects, ``n_imputed`` = those whose record at the visit was imputed.
    """

    keys: ClassVar[tuple[str, ...]] = ("reference",)
    context: ClassVar[str] = "imputation"

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = (self.settings["visit"], self.settings["arm"], "reference")
        object.__setattr__(self, "keys", keys)


@dataclass(frozen=True, kw_only=True)
class TippingPoint(Result):
    """Results at each ``delta``; ``tipping`` has one row per arm with its tipping point."""

    tipping: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("reference",)
    context: ClassVar[str] = "tipping_point"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "keys", (self.settings["arm"], "reference"))


@dataclass(frozen=True)
class _Ancova:
    """One-visit ANCOVA of many responses at once: contrasts are ``L @ solve(y)``."""

    projector: Floats  # (contrasts, n): estimate = projector @ y
    unscaled: Floats  # (contrasts,): variance = unscaled * s2
    basis: Floats  # (n, p): orthonormal
    labels: pd.DataFrame
    df: int

    def __call__(self, y: Floats) -> tuple[Floats, Floats]:
        """Estimates and variances (sets x contrasts) of responses (sets x n)."""
        residual = y - (y @ self.basis) @ self.basis.T
        s2 = np.einsum("mn,mn->m", residual, residual) / self.df
        return y @ self.projector.T, s2[:, None] * self.unscaled


def _ancova(people: pd.DataFrame, formula: str, arm: str, reference: Any) -> _Ancova:
    design = make_design(parse_formula(formula), people)
    X = design.matrix(people)
    if not independent_columns(X).all() or len(X) <= X.shape[1]:
        msg = f"analysis {formula!r} has aliased terms or too few subjects ({len(X)})"
        raise DataError(msg)
    means = lsmeans_combinations(design, people, by=[arm])
    pairs = contrast_combinations(means, arm=arm, reference=reference, by=[])
    Q, R = np.linalg.qr(X)
    turned = np.linalg.solve(R.T, pairs.L.T).T
    return _Ancova(
        turned @ Q.T, np.einsum("cp,cp->c", turned, turned), Q, pairs.labels, len(X) - X.shape[1]
    )


def analyse_imputed(
    imputation: Imputation,
    formula: str | None,
    delta: float | Mapping[Any, float],
    conf_level: float,
) -> ImputedAnalysis:
    """Analyse completed data sets; see `Imputation.analyse`."""
    s = imputation.settings
    formula = formula or _default(s)
    values = imputation.sets + _shift(imputation, delta)
    visits = list(imputation.grid[s["visit"]].cat.categories)
    people = imputation.grid.iloc[:: len(visits)].reset_index(drop=True)
    ancova = _ancova(people, formula, s["arm"], s["reference"])
    conditional_mean = s["draws"] == "conditional-mean"
    errors = _jackknife_errors(imputation, people, formula, delta) if conditional_mean else None
    imputed = imputation.grid["IMPUTED"].to_numpy().reshape(values.shape[1:])
    rows = []
    for place, visit in enumerate(visits):
        estimates, variances = ancova(values[:, :, place])
        if errors is None:
            pooled = pool(estimates, variances, float(ancova.df))
            estimate, error, df = pooled.estimate, pooled.std_error, pooled.df
            missing = pooled.fraction_missing
        else:
            estimate, error = estimates[0], errors[place]
            df, missing = np.full(len(error), np.inf), np.full(len(error), np.nan)
        table = pd.concat(
            [ancova.labels, pd.DataFrame(inference_columns(estimate, error, df, conf_level))],
            axis=1,
        )
        table.insert(0, s["visit"], visit)
        table["fraction_missing"] = missing
        table["n_imputed"] = int(imputed[:, place].sum())
        rows.append(table)
    table = pd.concat(rows, ignore_index=True)
    table["n"], table["method"] = len(people), s["method"]
    text = difference_text(
        table.drop(columns=["fraction_missing", "n_imputed"]), arm=s["arm"], conf_level=conf_level,
        what=f"Difference in {s['value']}, missing records imputed ({s['strategy']})",
    )  # fmt: skip
    settings = {**s, "analysis": formula, "delta": delta, "conf_level": conf_level}
    return ImputedAnalysis(table=table, text=text, settings=settings, notes=imputation.notes)


def tipping_point_of(
    imputation: Imputation,
    deltas: Sequence[float],
    visit: Any | None,
    formula: str | None,
    conf_level: float,
) -> TippingPoint:
    """Analyse with deltas; see `Imputation.tipping_point`."""
    s = imputation.settings
    if not len(deltas):
        msg = "tipping_point: deltas is empty"
        raise UsageError(msg)
    visits = list(imputation.grid[s["visit"]].cat.categories)
    visit = visits[-1] if visit is None else visit
    if visit not in visits:
        msg = f"tipping_point: {s['visit']} {visit!r} does not occur; visits are {visits}"
        raise UsageError(msg)
    parts = []
    for delta in sorted({float(d) for d in deltas} | {0.0}):
        found = analyse_imputed(imputation, formula, delta, conf_level).table
        found = found[found[s["visit"]] == visit].drop(columns=s["visit"])
        found.insert(0, "delta", delta)
        parts.append(found)
    table = pd.concat(parts, ignore_index=True)
    alpha = 1 - conf_level
    rows, sentences = [], []
    for arm, part in table.groupby(s["arm"], observed=True, sort=False):
        at_zero = bool(part.loc[part["delta"] == 0, "p_value"].iloc[0] < alpha)
        lost = part[part["p_value"] >= alpha]
        tip = float("nan")
        if at_zero and len(lost):
            tip = float(lost["delta"].iloc[int(np.argmin(np.abs(lost["delta"].to_numpy())))])
        rows.append({s["arm"]: arm, "tipping_delta": tip, "significant_at_zero": at_zero})
        if not at_zero:
            sentences.append(f"{arm}: not significant without a delta.")
        elif np.isnan(tip):
            sentences.append(f"{arm}: significant at every delta tried.")
        else:
            sentences.append(f"{arm}: no longer significant at a delta of {tip:g}.")
    return TippingPoint(
        table=table,
        tipping=pd.DataFrame(rows),
        text=f"Tipping point of {s['value']} at {visit}. " + " ".join(sentences),
        settings={**s, "deltas": list(map(float, deltas)), "at_visit": visit,
                  "conf_level": conf_level},
        notes=imputation.notes,
    )  # fmt: skip


def _default(settings: Mapping[str, Any]) -> str:
    names = [*settings["covariates"], settings["arm"]]
    return f"`{settings['value']}` ~ {' + '.join(f'`{name}`' for name in names)}"


def _shift(imputation: Imputation, delta: float | Mapping[Any, float]) -> Floats:
    """What is added to the imputed values (subjects x visits)."""
    s = imputation.settings
    arms = imputation.grid[s["arm"]].astype(object)
    if isinstance(delta, Mapping):
        unknown = [arm for arm in delta if arm not in set(arms)]
        if unknown:
            msg = f"delta: no arm {unknown}; arms are {sorted(map(str, set(arms)))}"
            raise UsageError(msg)
        added = arms.map(lambda arm: delta.get(arm, 0.0)).to_numpy(float)
    else:
        added = np.where(arms.to_numpy() == s["reference"], 0.0, float(delta))
    added = np.where(imputation.grid["IMPUTED"].to_numpy(), added, 0.0)
    return np.asarray(added.reshape(imputation.sets.shape[1:]))


def _jackknife_errors(
    imputation: Imputation, people: pd.DataFrame, formula: str, delta: float | Mapping[Any, float]
) -> Floats:
    """Jackknife standard errors over subjects (visits x contrasts)."""
    s = imputation.settings
    shift = _shift(imputation, delta)
    found = []
    for place, values in enumerate(imputation.jackknife()):
        rest = people.drop(index=place).reset_index(drop=True)
        ancova = _ancova(rest, formula, s["arm"], s["reference"])
        moved = values + np.delete(shift, place, axis=0)
        found.append(ancova(moved.T)[0])
    estimates = np.array(found)
    n = len(estimates)
    spread = ((estimates - estimates.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.sqrt((n - 1) / n * spread))
