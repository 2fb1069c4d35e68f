"""Negative binomial regression of counts with the logarithm of exposure as offset."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from scipy import optimize, special

from livertrack.endpoints._events import Floats
from livertrack.errors import DataError

#: coefficient (log rate ratio of a standard deviation) that runs to infinity
_INFINITE = 12.0


@dataclass(frozen=True)
class NegativeBinomial:
    """Coefficients, covariance for known dispersion, log-likelihood.

    The variance of a count is mean + ``dispersion`` x mean^2; 0 is Poisson.
    """

    beta: Floats
    covariance: Floats
    dispersion: float
    loglik: float


def negative_binomial(y: Floats, X: Floats, exposure: Floats) -> NegativeBinomial:
    """Maximum likelihood; ``X`` (subjects x columns) holds the intercept.

    The covariance is the inverse of the expected information, in which coefficients and
    dispersion are independent (as R's glm.nb; SAS GENMOD takes the observed one). Without
    overdispersion the limit is Poisson. A coefficient that runs to infinity is a `DataError`.
    """
    offset = np.log(exposure)
    if np.linalg.matrix_rank(X) < X.shape[1]:
        msg = "terms of the negative binomial model follow from each other; remove one"
        raise DataError(msg)
    beta, mean = _fixed(y, X, offset, 0.0, None)
    dispersion = 0.0
    if ((y - mean) ** 2 - y).sum() > 0:
        for _ in range(200):
            new = _dispersion(y, mean)
            change, dispersion = abs(new - dispersion), new
            beta, mean = _fixed(y, X, offset, dispersion, beta)
            if change < 1e-12 * (1 + dispersion):
                break
    weight = mean / (1 + dispersion * mean)
    covariance = np.asarray(np.linalg.inv((X * weight[:, None]).T @ X), dtype=np.float64)
    return NegativeBinomial(beta, covariance, dispersion, _loglik(y, mean, dispersion))


def _fixed(
    y: Floats, X: Floats, offset: Floats, dispersion: float, start: Floats | None
) -> tuple[Floats, Floats]:
    """Coefficients and means for a known dispersion, by statsmodels' GLM."""
    link = sm.families.links.Log()
    family = (
        sm.families.NegativeBinomial(link=link, alpha=dispersion)
        if dispersion
        else sm.families.Poisson(link=link)
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = sm.GLM(y, X, family=family, offset=offset).fit(
                start_params=start, maxiter=200, tol=1e-13
            )
        beta = np.asarray(fitted.params, dtype=float)
        mean = np.exp(X @ beta + offset)
    except (np.linalg.LinAlgError, ValueError) as error:
        msg = "the negative binomial model cannot be fitted"
        raise DataError(msg) from error
    spread = np.abs(beta[1:] * X[:, 1:].std(axis=0))
    if not np.isfinite(beta).all() or (len(spread) and spread.max() > _INFINITE):
        msg = "the negative binomial model has no finite maximum; a level without events"
        raise DataError(msg)
    return beta, mean


def _dispersion(y: Floats, mean: Floats) -> float:
    """Maximum-likelihood dispersion for known means."""

    def score(log_theta: float) -> float:
        theta = np.exp(log_theta)
        parts = special.digamma(y + theta) - special.digamma(theta) + np.log(theta) + 1
        return float((parts - np.log(theta + mean) - (y + theta) / (theta + mean)).sum())

    low, high = -12.0, 14.0
    if score(low) <= 0:
        return float(np.exp(-low))
    if score(high) >= 0:
        return 0.0
    return float(np.exp(-optimize.brentq(score, low, high, xtol=1e-14, rtol=1e-14)))


def _loglik(y: Floats, mean: Floats, dispersion: float) -> float:
    if not dispersion:
        return float((special.xlogy(y, mean) - mean - special.gammaln(y + 1)).sum())
    theta = 1 / dispersion
    parts = special.gammaln(y + theta) - special.gammaln(theta) - special.gammaln(y + 1)
    parts += theta * np.log(theta / (theta + mean)) + special.xlogy(y, mean / (theta + mean))
    return float(parts.sum())
