"""Analysis of covariance: adjusted means of each arm and their differences from a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import statsmodels.api as sm

from livertrack._results import Result
from livertrack.endpoints._checks import require_columns, require_conf_level
from livertrack.endpoints._design import (
    Floats,
    ModelFrame,
    independent_columns,
    model_frame,
    occurring_levels,
)
from livertrack.endpoints._linear import counts_by, difference_text, inference_columns
from livertrack.endpoints._lsmeans import (
    LinearCombinations,
    Weights,
    contrast_combinations,
    estimable,
    lsmeans_combinations,
)
from livertrack.errors import DataError, UsageError

Covariance = Literal["model", "HC0", "HC1", "HC2", "HC3"]


@dataclass(frozen=True, kw_only=True)
class Ancova(Result):
    """Result of `ancova`.

    Attributes
    ----------
    table, contrasts : DataFrame
        Differences of LS means, one row per arm other than the reference (within ``by``): ``arm``
        column, ``reference, estimate, std_error, df, statistic, p_value, conf_low, conf_high,
        n_arm, n_ref, n, method``. In the unit of the response; positive = higher than reference.
    lsmeans : DataFrame
        One row per arm (within ``by``), ``n`` = analysed rows of that arm.
    coefficients : DataFrame
        One row per ``term`` in R's order; aliased terms have NaN.
    fit : DataFrame
        One row per model: ``n, n_missing, df_residual, sigma, r_squared``.
    """

    contrasts: pd.DataFrame
    lsmeans: pd.DataFrame
    coefficients: pd.DataFrame
    fit: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("term", "reference")
    context: ClassVar[str] = "ancova"

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = (*self.settings["by"], self.settings["arm"], "reference", "term")
        object.__setattr__(self, "keys", keys)


@dataclass(frozen=True)
class _Fit:
    frame: ModelFrame
    kept: np.ndarray
    beta: Floats
    vcov: Floats
    df: int
    sigma: float
    r_squared: float
    notes: tuple[str, ...]


def ancova(
    data: pd.DataFrame,
    formula: str,
    *,
    arm: str,
    reference: Any,
    by: str | Sequence[str] | None = None,
    vcov: Covariance = "model",
    weights: Weights = "equal",
    at: Mapping[str, Any] | None = None,
    conf_level: float = 0.95,
) -> Ancova:
    """Linear model with adjusted (LS) means per arm and differences from the reference arm.

    Parameters
    ----------
    data : DataFrame, one row per subject (and per crossing of ``by``)
        BDS records, e.g. one visit of one PARAMCD.
    formula : str
        Wilkinson notation, e.g. ``"CHG ~ BASE + SITEID + TRT01P"``. Text, categorical and boolean
        columns are factors with treatment contrasts; the first level (category order, else
        sorted) is the reference of the coefficients. ``arm`` must be in it.
    arm : str
        Treatment column.
    reference : str
        Level of ``arm`` every other arm is compared with; it need not be the first.
    by : str or sequence of str, optional
        Columns that split the data into separately fitted models (visit, stratum, PARAMCD).
    vcov : {"model", "HC0", "HC1", "HC2", "HC3"}
        Covariance of the coefficients: model-based, or heteroscedasticity-consistent.
    weights : {"equal", "observed", "cells"}
        How LS means average over the other factors of the formula.
    at : mapping, optional
        Covariate values for the LS means; the mean over the analysed rows otherwise.
    conf_level : float
        Confidence level, a proportion.

    Returns
    -------
    Ancova
        ``.table`` is ``.contrasts``; also ``.lsmeans``, ``.coefficients``, ``.fit``.

    Notes
    -----
    Denominator: rows complete in every column of the formula; the others are counted in
    ``fit.n_missing`` and in the notes. t tests with n - rank degrees of freedom, for every
    ``vcov``. A crossing of ``by`` that cannot be fitted (an arm or all rows absent) gives NaN and
    a note. With no residual degrees of freedom standard errors are NaN; so are those of HC2 and
    HC3 where a row alone informs a coefficient (leverage 1).
    Source: Searle, Speed & Milliken (1980) for LS means; MacKinnon & White (1985) for HC3.
    Checked against: R lm, emmeans 1.8.4 and sandwich 3.0.2 (tests/reference/ancova.R).
    """
    require_conf_level(conf_level)
    groups = [by] if isinstance(by, str) else list(by or [])
    require_columns(data, [*groups, arm])
    if vcov not in ("model", "HC0", "HC1", "HC2", "HC3"):
        msg = f"vcov={vcov!r}: choose 'model', 'HC0', 'HC1', 'HC2' or 'HC3'"
        raise UsageError(msg)
    arms = occurring_levels(data[arm])
    if reference not in arms:
        msg = f"{arm}: reference {reference!r} does not occur; levels are {list(map(str, arms))}"
        raise DataError(msg)
    method = "ANCOVA" if vcov == "model" else f"ANCOVA, {vcov} standard errors"
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in ("d", "m", "c", "f")}
    notes: list[str] = []
    for key, part in _parts(data, groups):
        where = f" ({', '.join(map(str, key))})" if key else ""
        try:
            fit = _fit(part, formula, vcov=vcov)
            if arm not in fit.frame.design.factor_columns:
                msg = f"formula {formula!r} has no factor {arm}; ANCOVA compares its levels"
                raise UsageError(msg)
        except DataError as error:
            if not groups:
                raise
            notes.append(f"not fitted{where}: {error}")
            fit = None
        pieces = (
            _summaries(fit, arm, reference, weights, at, conf_level)
            if fit
            else _empty(arm, arms, reference)
        )
        if fit:
            notes += [f"{note}{where}" for note in fit.notes]
            absent = [level for level in arms if level not in set(pieces["m"][arm])]
            if absent:
                named = ", ".join(map(str, absent))
                notes.append(
                    f"no complete row in {arm} {named}: its means are not estimated{where}"
                )
                pieces = _with_absent(pieces, arm, arms, reference)
        for name, frame in pieces.items():
            for place, (column, value) in enumerate(zip(groups, key, strict=True)):
                frame.insert(place, column, value)
            frames[name].append(frame)
    tables = {name: pd.concat(found, ignore_index=True) for name, found in frames.items()}
    for name in ("d", "m", "c"):
        tables[name]["method"] = method
    response = formula.split("~")[0].strip()
    return Ancova(
        table=tables["d"],
        contrasts=tables["d"],
        lsmeans=tables["m"],
        coefficients=tables["c"],
        fit=tables["f"],
        text=difference_text(
            tables["d"], arm=arm, conf_level=conf_level, what=f"LS mean difference in {response}"
        ),
        settings={
            "method": method, "formula": formula, "arm": arm, "reference": reference,
            "by": groups, "vcov": vcov, "weights": weights, "at": dict(at or {}),
            "conf_level": conf_level,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _parts(data: pd.DataFrame, groups: list[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    if not groups:
        return [((), data)]
    order = pd.DataFrame(index=data.index)
    for name in groups:
        order[name] = pd.Categorical(
            data[name], categories=list(occurring_levels(data[name])), ordered=True
        )
    grouped = order.groupby(groups, observed=True, sort=True).indices
    return [
        (key if isinstance(key, tuple) else (key,), data.iloc[rows])
        for key, rows in grouped.items()
    ]


def _fit(data: pd.DataFrame, formula: str, *, vcov: Covariance) -> _Fit:
    frame = model_frame(data, formula)
    kept = independent_columns(frame.X)
    X = frame.X[:, kept]
    model = sm.OLS(frame.y, X).fit()
    df = len(frame.y) - X.shape[1]
    notes = []
    if frame.n_missing:
        notes.append(f"left out {frame.n_missing} of {len(data)} rows with a missing value")
    if not kept.all():
        aliased = [name for name, keep in zip(frame.design.names, kept, strict=True) if not keep]
        notes.append(f"aliased, not estimated: {', '.join(aliased)}")
    if df <= 0:
        notes.append("no residual degrees of freedom: standard errors are not defined")
        covariance = np.full((X.shape[1], X.shape[1]), np.nan)
    elif vcov == "model":
        covariance = np.asarray(model.cov_params())
    elif vcov in ("HC2", "HC3") and (alone := _alone(X)):
        notes.append(f"{alone} row(s) fitted exactly (leverage 1): {vcov} errors are not defined")
        covariance = np.full((X.shape[1], X.shape[1]), np.nan)
    else:
        covariance = np.asarray(getattr(model, f"cov_{vcov}"))
    sigma = float(np.sqrt(model.ssr / df)) if df > 0 else float("nan")
    if df > 0 and model.ssr <= 1e-20 * max(float(frame.y @ frame.y), 1e-300):
        notes.append("the model fits exactly: standard errors are not defined")
        covariance = np.full((X.shape[1], X.shape[1]), np.nan)
    centred = frame.y - frame.y.mean()
    total = float(centred @ centred)
    varies = total > 1e-20 * float(frame.y @ frame.y)  # more than rounding
    r_squared = 1 - float(model.ssr) / total if varies else float("nan")
    return _Fit(
        frame, kept, np.asarray(model.params), covariance, df, sigma, r_squared, tuple(notes)
    )


def _alone(X: Floats) -> int:
    """Count rows with leverage 1: those that alone inform a coefficient."""
    Q = np.linalg.qr(X)[0]
    return int((np.einsum("ij,ij->i", Q, Q) > 1 - 1e-9).sum())


def _summaries(
    fit: _Fit,
    arm: str,
    reference: Any,
    weights: Weights,
    at: Mapping[str, Any] | None,
    conf_level: float,
) -> dict[str, pd.DataFrame]:
    frame, design = fit.frame, fit.frame.design
    n_terms = len(design.names)
    terms = LinearCombinations(pd.DataFrame({"term": design.names}), np.eye(n_terms))
    means = lsmeans_combinations(design, frame.data, by=[arm], at=at, weights=weights)
    sizes = dict(zip(means.labels[arm], counts_by(frame.data, [arm], means.labels), strict=True))
    coefficients = _combine(fit, terms, conf_level, keep=fit.kept)
    coefficients["n"] = len(frame.y)
    lsmeans = _combine(fit, means, conf_level)
    lsmeans["n"] = [sizes[level] for level in lsmeans[arm]]
    if reference in sizes:
        pairs = contrast_combinations(means, arm=arm, reference=reference, by=[])
        contrasts = _combine(fit, pairs, conf_level)
        contrasts["n_arm"] = [sizes[level] for level in contrasts[arm]]
        contrasts["n_ref"] = sizes[reference]
        contrasts["n"] = len(frame.y)
    else:
        contrasts = _empty(arm, tuple(sizes), reference)["d"]
    facts = pd.DataFrame(
        {
            "n": [len(frame.y)], "n_missing": [frame.n_missing], "df_residual": [fit.df],
            "sigma": [fit.sigma], "r_squared": [fit.r_squared],
        }
    )  # fmt: skip
    return {"d": contrasts, "m": lsmeans, "c": coefficients, "f": facts}


def _combine(
    fit: _Fit, combinations: LinearCombinations, conf_level: float, keep: np.ndarray | None = None
) -> pd.DataFrame:
    L = combinations.L
    possible = estimable(L, fit.frame.X, fit.kept) if keep is None else keep
    reduced = L[:, fit.kept]
    estimate = np.where(possible, reduced @ fit.beta, np.nan)
    variance = np.einsum("ij,jk,ik->i", reduced, fit.vcov, reduced)
    error = np.where(possible, np.sqrt(variance), np.nan)
    df = np.where(possible, float(fit.df), np.nan)
    columns = inference_columns(estimate, error, df, conf_level)
    return pd.concat([combinations.labels, pd.DataFrame(columns)], axis=1)


def _with_absent(
    pieces: dict[str, pd.DataFrame], arm: str, arms: Sequence[Any], reference: Any
) -> dict[str, pd.DataFrame]:
    """Add a row of NaN for every arm without data, so that each model has the same rows."""
    blank = _empty(arm, arms, reference)
    filled = {}
    for name in ("d", "m"):
        missing = blank[name][~blank[name][arm].isin(pieces[name][arm])]
        both = pd.concat([part for part in (pieces[name], missing) if len(part)])
        order = {level: place for place, level in enumerate(arms)}
        filled[name] = both.sort_values(arm, key=lambda s: s.map(order)).reset_index(drop=True)
    return {**pieces, **filled}


def _empty(arm: str, arms: Sequence[Any], reference: Any) -> dict[str, pd.DataFrame]:
    """Rows of NaN for a crossing that could not be fitted."""
    numbers = ("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")
    others = [level for level in arms if level != reference]
    means = pd.DataFrame({arm: list(arms), **dict.fromkeys(numbers, np.nan), "n": 0})
    contrasts = pd.DataFrame(
        {arm: others, "reference": reference, **dict.fromkeys(numbers, np.nan)}
    )
    contrasts = contrasts.assign(n_arm=0, n_ref=0, n=0)
    facts = {
        "n": [0],
        "n_missing": [0],
        "df_residual": [0],
        "sigma": [np.nan],
        "r_squared": [np.nan],
    }
    terms = pd.DataFrame({"term": [], **{name: [] for name in numbers}, "n": []})
    return {"d": contrasts, "m": means, "c": terms, "f": pd.DataFrame(facts)}
