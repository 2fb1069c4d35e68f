"""Proportional-odds regression of an ordered score, with the check of its assumption."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import special, stats

from livertrack._results import Result
from livertrack.endpoints._checks import (
    ordered_levels,
    require_columns,
    require_conf_level,
    require_unique,
)
from livertrack.endpoints._sentences import interval_text, p_text
from livertrack.endpoints._terms import (
    formula_columns,
    model_terms,
    require_full_rank,
    right_side,
)
from livertrack.errors import DataError

Floats = NDArray[np.float64]
#: standard error of the log odds ratio of one standard deviation beyond which it does not exist
_FLAT = 50.0


@dataclass(frozen=True, kw_only=True)
class ProportionalOdds(Result):
    """Odds ratios (``table``), cut points, tests of the assumption, and the fit."""

    cut_points: pd.DataFrame
    proportionality: pd.DataFrame
    fit: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("term",)
    context: ClassVar[str] = "proportional_odds"


def proportional_odds(
    data: pd.DataFrame,
    formula: str,
    *,
    outcome: str = "AVAL",
    conf_level: float = 0.95,
) -> ProportionalOdds:
    """Cumulative logit model of a score such as fibrosis stage.

    Parameters
    ----------
    data : DataFrame, one row per subject
    formula : str
        Right-hand side, e.g. ``"TRT01P + BASE"``; the first level of a factor is its reference.
    outcome : str
        Column: numbers or an ordered categorical, low to high. Levels nobody has are left out.
    conf_level : float
        Of the Wald limits.

    Returns
    -------
    ProportionalOdds
        ``.table``: ``term, odds_ratio, odds_ratio_low, odds_ratio_high`` and, on the log scale,
        ``estimate, std_error, statistic, p_value, conf_low, conf_high``; ``n, method``.
        ``.cut_points``: ``term`` (``a|b``), ``estimate, std_error``. ``.proportionality``: Brant's
        test per ``term`` and ``GLOBAL``: ``statistic, df, p_value``; small p: the odds ratio
        differs between cut points. ``.fit``: ``loglik, loglik_null, statistic, df, p_value``
        (likelihood ratio against the model without terms).

    Notes
    -----
    Denominator: subjects with outcome and all variables; dropped ones are counted.
    An odds ratio above 1 means *higher* scores (worse stages): logit P(Y > k) = -cut_k + x beta.
    Two levels are logistic regression, without a test of proportionality. One level, linearly
    dependent terms, or a term that separates the levels is a `DataError`. Brant's test is NaN,
    with a note, when a cut has too few subjects on one side to fit it.
    Source: McCullagh (1980); Brant (1990).
    Checked against: R ordinal 2022.11 ``clm``, ``glm`` for Brant (tests/reference/ordinal.R);
    statsmodels 0.15 ``OrderedModel``.
    """
    require_conf_level(conf_level)
    right = right_side(formula)
    variables = formula_columns(right, data)
    require_columns(data, [outcome, *variables])
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    kept = data.dropna(subset=[outcome, *variables])
    notes = []
    if len(kept) < len(data):
        notes.append(f"dropped {len(data) - len(kept)} of {len(data)} subjects: incomplete")
    levels = ordered_levels(kept[outcome])
    if len(levels) < 2:
        msg = f"{outcome} has {len(levels)} level(s) among {len(kept)} subjects; odds need two"
        raise DataError(msg)
    code = np.asarray(pd.Categorical(kept[outcome], categories=levels).codes, dtype=int)
    terms = model_terms(kept, right)
    require_full_rank(terms, right)
    X, names = terms.X, list(terms.names)
    centre = X.mean(axis=0)
    beta, cuts, covariance, loglik = _fit(code, X - centre, len(levels), names)
    k = len(names)
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    error = np.sqrt(np.diag(covariance))
    # cut points refer to the covariates as given, not centred
    jacobian = np.column_stack([np.tile(centre, (len(cuts), 1)), np.eye(len(cuts))])
    table = pd.DataFrame(
        {
            "term": names, "odds_ratio": np.exp(beta),
            "odds_ratio_low": np.exp(beta - z * error[:k]),
            "odds_ratio_high": np.exp(beta + z * error[:k]),
            "estimate": beta, "std_error": error[:k], "statistic": beta / error[:k],
            "p_value": 2 * stats.norm.sf(np.abs(beta / error[:k])),
            "conf_low": beta - z * error[:k], "conf_high": beta + z * error[:k],
            "n": len(kept), "method": "proportional odds",
        }
    )  # fmt: skip
    share = np.bincount(code) / len(code)
    null = float((np.bincount(code) * np.log(share)).sum())
    brant = _brant(code, X - centre, terms.filled, len(levels))
    if len(levels) > 2 and brant["statistic"].isna().any():
        notes.append("no test of proportionality: a cut point cannot be fitted by itself")
    fit = pd.DataFrame(
        [
            {
                "loglik": loglik, "loglik_null": null, "statistic": 2 * (loglik - null), "df": k,
                "p_value": float(stats.chi2.sf(2 * (loglik - null), k)),
            }
        ]
    )  # fmt: skip
    return ProportionalOdds(
        table=table,
        cut_points=pd.DataFrame(
            {
                "term": [f"{a}|{b}" for a, b in pairwise(levels)],
                "estimate": cuts + beta @ centre,
                "std_error": np.sqrt(np.diag(jacobian @ covariance @ jacobian.T)),
            }
        ),
        proportionality=brant,
        fit=fit,
        text=_sentence(table, brant, outcome, conf_level),
        settings={
            "method": "proportional odds", "formula": right, "outcome": outcome,
            "levels": [str(v) for v in levels], "conf_level": conf_level, "n": len(kept),
        },
        notes=tuple(notes),
    )  # fmt: skip


def _fit(
    code: NDArray[np.int64], X: Floats, levels: int, names: list[str]
) -> tuple[Floats, Floats, Floats, float]:
    """Slopes, cut points, covariance of both, log-likelihood, by Newton's method.

    The log-likelihood is concave; without slopes the cut points are logits of cumulative shares.
    """
    k, scale = X.shape[1], X.std(axis=0)
    share = np.cumsum(np.bincount(code, minlength=levels)[:-1]) / len(code)
    params = np.concatenate([np.zeros(k), np.log(share / (1 - share))])
    loglik, gradient, hessian = _derivatives(code, X, levels, params)
    for _ in range(50):
        step = np.linalg.lstsq(hessian, -gradient, rcond=None)[0]
        if np.abs(step).max() < 1e-11 * (1 + np.abs(params).max()):
            # on the flat ridge of a separated level the steps vanish and the errors do not
            if np.linalg.matrix_rank(hessian, hermitian=True) < len(params):
                break
            covariance = np.asarray(np.linalg.inv(-hessian))
            variance = np.diag(covariance)[:k] * scale**2
            if not ((variance > 0) & (variance < _FLAT**2)).all():
                break
            return params[:k], params[k:], covariance, loglik
        size = 1.0
        trial = _derivatives(code, X, levels, params + step)
        while not trial[0] >= loglik - 1e-10 * abs(loglik) and size > 1e-6:
            size /= 2
            trial = _derivatives(code, X, levels, params + size * step)
        params = params + size * step
        loglik, gradient, hessian = trial
        if not np.isfinite(loglik) or np.abs(params[:k] * scale).max() > 15:
            break
    worst = names[int(np.abs(params[:k] * scale).argmax())]
    msg = f"the proportional-odds model did not converge: {worst} separates the levels"
    raise DataError(msg)


def _derivatives(
    code: NDArray[np.int64], X: Floats, levels: int, params: Floats
) -> tuple[float, Floats, Floats]:
    """Log-likelihood, gradient and Hessian; -inf where the cut points are out of order."""
    k = X.shape[1]
    cuts = np.concatenate([[-np.inf], params[k:], [np.inf]])
    eta = X @ params[:k]
    a, b = _logistic(cuts[code] - eta), _logistic(cuts[code + 1] - eta)
    p = b - a
    if not (p > 0).all():
        return float("-inf"), np.zeros(len(params)), np.eye(len(params))
    da, db = a * (1 - a), b * (1 - b)
    da2, db2 = da * (1 - 2 * a), db * (1 - 2 * b)
    # derivatives of the two bounds of each subject in all parameters
    A, B = np.zeros((len(code), len(params))), np.zeros((len(code), len(params)))
    A[:, :k] = B[:, :k] = -X
    rows = np.arange(len(code))
    inner, outer = code > 0, code < levels - 1
    A[rows[inner], k + code[inner] - 1] = 1
    B[rows[outer], k + code[outer]] = 1
    first = (B * db[:, None] - A * da[:, None]) / p[:, None]
    hessian = (B * (db2 / p)[:, None]).T @ B - (A * (da2 / p)[:, None]).T @ A - first.T @ first
    return float(np.log(p).sum()), first.sum(axis=0), hessian


def _logistic(x: Floats) -> Floats:
    return np.asarray(special.expit(x))


def _brant(
    code: NDArray[np.int64], X: Floats, terms: dict[str, list[int]], levels: int
) -> pd.DataFrame:
    """Brant's Wald test that separate logits of every cut have the same slopes."""
    columns = ["term", "statistic", "df", "p_value"]
    if levels < 3:
        return pd.DataFrame(columns=columns)
    k, m = X.shape[1], levels - 1
    D = np.column_stack([np.ones(len(X)), X])
    slopes, fitted = [], []
    for j in range(m):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                result = sm.GLM((code > j).astype(float), D, family=sm.families.Binomial()).fit(
                    tol=1e-12
                )
        except (Warning, np.linalg.LinAlgError, ValueError):
            break
        slopes.append(result.params[1:])
        fitted.append(result.fittedvalues)
    ok = len(slopes) == m and max(np.abs(s * X.std(axis=0)).max() for s in slopes) < 15
    V = np.zeros((m * k, m * k))
    if ok:
        inverse = [np.linalg.inv((D * (p * (1 - p))[:, None]).T @ D) for p in fitted]
        for i in range(m):
            for j in range(i, m):
                w = fitted[j] * (1 - fitted[i])  # cov of (Y > i) and (Y > j), i <= j
                block = (inverse[i] @ ((D * w[:, None]).T @ D) @ inverse[j])[1:, 1:]
                V[i * k : (i + 1) * k, j * k : (j + 1) * k] = block
                V[j * k : (j + 1) * k, i * k : (i + 1) * k] = block.T
    rows: list[dict[str, Any]] = []
    for term, places in [*terms.items(), ("GLOBAL", list(range(k)))]:
        df = (m - 1) * len(places)
        statistic = float("nan")
        if ok:
            C = np.zeros((df, m * k))
            for r, (j, c) in enumerate((j, c) for j in range(1, m) for c in places):
                C[r, c], C[r, j * k + c] = -1, 1
            d = C @ np.concatenate(slopes)
            statistic = float(d @ np.linalg.solve(C @ V @ C.T, d))
        p_value = float(stats.chi2.sf(statistic, df))
        rows.append({"term": term, "statistic": statistic, "df": df, "p_value": p_value})
    return pd.DataFrame(rows, columns=columns)


def _sentence(table: pd.DataFrame, brant: pd.DataFrame, outcome: str, conf_level: float) -> str:
    parts: Sequence[str] = [
        f"{row['term']}: odds ratio " + interval_text(
            row["odds_ratio"], row["odds_ratio_low"], row["odds_ratio_high"],
            conf_level=conf_level, p=row["p_value"],
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    tail = (
        f" Equal odds ratios at all cut points: {p_text(brant['p_value'].iloc[-1])}."
        if len(brant)
        else ""
    )
    return (
        f"Odds of a higher {outcome} in {table['n'].iloc[0]} subjects: {'; '.join(parts)}.{tail}"
    )
