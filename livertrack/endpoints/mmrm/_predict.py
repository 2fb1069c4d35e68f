"""Fitted values, residuals, predictions and simulated responses of a fitted MMRM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from livertrack.endpoints._checks import require_columns
from livertrack.endpoints._design import Floats, level_codes
from livertrack.endpoints._formula import evaluate, expression_columns
from livertrack.endpoints.mmrm._likelihood import inverse_factors
from livertrack.endpoints.mmrm._structures import SpatialExponential
from livertrack.errors import UsageError

if TYPE_CHECKING:
    from livertrack.endpoints.mmrm._fit import Fitted
    from livertrack.endpoints.mmrm._inference import Inference


def fitted(inference: Inference) -> Floats:
    """X beta of the analysed rows, in the caller's order."""
    data = inference.fit.data
    return _in_order(data.frame.rows, data.frame.X[:, data.kept] @ inference.fit.beta)


def residuals(inference: Inference, kind: str) -> Floats:
    """Residuals of the analysed rows, in the caller's order."""
    fit = inference.fit
    data = fit.data
    raw = data.frame.y - data.frame.X[:, data.kept] @ fit.beta
    if kind == "response":
        return _in_order(data.frame.rows, raw)
    scaled = raw * np.sqrt(data.weights) / data.scale
    sigma = fit.covariance.sigma(fit.optimum.eta)
    pattern = data.subjects.pattern[data.row_of_subject[data.subject]]
    if kind == "pearson":
        variance = np.einsum("kaa->ka", sigma)[pattern, data.position]
        return _in_order(data.frame.rows, scaled / np.sqrt(variance))
    if kind != "normalized":
        msg = f"residuals: kind {kind!r}; choose 'response', 'pearson' or 'normalized'"
        raise UsageError(msg)
    inverse, _ = inverse_factors(sigma, data.subjects.mask)
    padded = _padded(fit, scaled)
    white = np.einsum("nab,nb->na", inverse[data.subjects.pattern[data.row_of_subject]], padded)
    return _in_order(data.frame.rows, white[data.subject, data.position])


def simulate(inference: Inference, n: int, rng: np.random.Generator) -> Floats:
    """``n`` draws of the responses of the analysed rows, in the caller's order."""
    fit = inference.fit
    data = fit.data
    subjects = data.subjects
    both = subjects.mask[:, :, None] & subjects.mask[:, None]
    sigma = np.where(both, fit.covariance.sigma(fit.optimum.eta), np.eye(subjects.d))
    factor = np.linalg.cholesky(sigma)[subjects.pattern[data.row_of_subject]]
    noise = factor @ rng.standard_normal((data.n_subjects, subjects.d, n))
    drawn = noise[data.subject, data.position] * (data.scale / np.sqrt(data.weights))[:, None]
    mean = data.frame.X[:, data.kept] @ fit.beta
    ordered = np.empty((len(mean), n))
    ordered[np.argsort(np.argsort(data.frame.rows))] = mean[:, None] + drawn
    return ordered


def predict(
    inference: Inference, newdata: pd.DataFrame | None, conditional: bool, conf_level: float
) -> pd.DataFrame:
    """Predict the responses of ``newdata``; see `Mmrm.predict`."""
    fit = inference.fit
    data = fit.data
    if newdata is None:
        order = np.argsort(data.frame.rows)
        newdata = data.frame.data.iloc[order].set_axis(np.sort(data.frame.rows))
    design = data.frame.design
    needed = [*design.columns, *(data.term.columns if conditional else ())]
    require_columns(newdata, needed, name="newdata")
    complete = np.asarray(newdata[needed].notna().to_numpy().all(axis=1))
    rows = newdata.iloc[np.flatnonzero(complete)]
    X = design.matrix(rows) if len(rows) else np.empty((0, len(design.names)))
    m = fit.reduce(X)
    estimate = X[:, data.kept] @ fit.beta
    variance = np.einsum("rp,ps,rs->r", m, inference.centre, m) * data.scale**2
    if conditional:
        estimate, variance = _conditional(inference, rows, X, estimate)
    error = np.sqrt(np.maximum(variance, 0.0))
    half = stats.norm.ppf(0.5 + conf_level / 2) * error
    table = pd.DataFrame(
        np.nan, index=newdata.index, columns=["estimate", "std_error", "conf_low", "conf_high"]
    )
    values = np.column_stack([estimate, error, estimate - half, estimate + half])
    table.iloc[np.flatnonzero(complete)] = values
    return table


def _conditional(
    inference: Inference, rows: pd.DataFrame, X: Floats, mean: Floats
) -> tuple[Floats, Floats]:
    """Give expectation and variance of each record given the observed ones of its subject."""
    fit = inference.fit
    data = fit.data
    design, term = data.frame.design, data.term
    response = expression_columns(design.response, dict.fromkeys(map(str, rows.columns)))
    y = np.full(len(rows), np.nan)
    if all(name in rows for name in response):
        columns = {name: rows[name].to_numpy(float) for name in response}
        y = np.asarray(evaluate(design.response, columns), float)
    group = np.zeros(len(rows), np.int64)
    if term.group:
        group = level_codes(rows[term.group], data.groups)
    estimate, variance = mean.copy(), np.empty(len(rows))
    m = fit.reduce(X) * data.scale
    for places in rows.groupby(term.subject, observed=True, sort=False).indices.values():
        sigma = _covariance_of(fit, rows.iloc[places], int(group[places[0]]))
        seen = ~np.isnan(y[places])
        known, other = places[seen], places[~seen]
        estimate[known], variance[known] = y[known], 0.0
        if not len(other):
            continue
        weight = (
            np.linalg.solve(sigma[np.ix_(seen, seen)], sigma[np.ix_(seen, ~seen)]).T
            if seen.any()
            else np.zeros((len(other), 0))
        )
        estimate[other] = mean[other] + weight @ (y[known] - mean[known])
        left = sigma[np.ix_(~seen, ~seen)] - weight @ sigma[np.ix_(seen, ~seen)]
        shifted = m[other] - weight @ m[known]
        spread = np.einsum("rp,ps,rs->r", shifted, inference.centre, shifted)
        variance[other] = np.diag(left) + spread
    return estimate, variance


def _covariance_of(fit: Fitted, rows: pd.DataFrame, group: int) -> Floats:
    term = fit.data.term
    if fit.data.is_spatial:
        where = rows[list(term.visits)].to_numpy(float)
        distance = np.sqrt(((where[:, None] - where[None]) ** 2).sum(axis=-1))
        eta = fit.optimum.eta[2 * group : 2 * group + 2]
        sigma = SpatialExponential().free(eta, distance[None])[0][0]
        return np.asarray(fit.data.scale**2 * sigma)
    codes = level_codes(rows[term.visits[0]], fit.data.visits)
    return np.asarray(fit.matrices()[group][np.ix_(codes, codes)])


def _padded(fit: Fitted, values: Floats) -> Floats:
    padded = np.zeros((fit.data.n_subjects, fit.data.subjects.d))
    padded[fit.data.subject, fit.data.position] = values
    return padded


def _in_order(rows: np.ndarray, values: Floats) -> Floats:
    return np.asarray(values[np.argsort(rows)])
