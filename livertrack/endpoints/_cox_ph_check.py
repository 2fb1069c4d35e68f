"""Score test of proportional hazards (scaled Schoenfeld residuals against time)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack.endpoints._events import Floats, risk_table, survival_and_greenwood


def proportional_hazards_test(
    time: Floats,
    event: NDArray[np.bool_],
    X: Floats,
    beta: Floats,
    *,
    place: NDArray[np.int64] | None,
    terms: dict[str, list[int]],
    ties: str,
) -> pd.DataFrame:
    """Score test that beta(t) = beta + theta g(t) has theta = 0, per term and overall.

    ``X`` is subjects x columns, ``place`` the stratum of each subject; g(t) = 1 - KM(t-), KM of
    all subjects, centred at its mean over events. Source: Grambsch and Therneau (1994), in the
    score form of R survival >= 3.0.
    """
    counted = risk_table(time, event)
    left = np.concatenate([[1.0], survival_and_greenwood(counted)[0][:-1]])
    g = 1 - left[np.searchsorted(counted.time, time)]
    g = g - g[event].mean()
    p = X.shape[1]
    score, information = np.zeros(2 * p), np.zeros((2 * p, 2 * p))
    strata = np.zeros(len(time), dtype=np.int64) if place is None else place
    weight = np.exp(X @ beta)
    for stratum in np.unique(strata):
        mine = strata == stratum
        for t in np.unique(time[mine & event]):
            at_risk = mine & (time >= t)
            dead = mine & event & (time == t)
            residual, variance = _moments(X, weight, at_risk, dead, ties)
            scale = g[dead][0]
            score += np.concatenate([residual, scale * residual])
            information += np.kron([[1, scale], [scale, scale**2]], variance)
    rows = []
    for term, columns in [*terms.items(), ("GLOBAL", list(range(p)))]:
        keep = [*range(p), *(p + column for column in columns)]
        u = np.concatenate([np.zeros(p), score[[p + column for column in columns]]])
        statistic = _solve_quadratic(information[np.ix_(keep, keep)], u)
        rows.append(
            {
                "term": term, "statistic": statistic, "df": len(columns),
                "p_value": float(stats.chi2.sf(statistic, len(columns))),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _solve_quadratic(information: Floats, u: Floats) -> float:
    try:
        return float(u @ np.linalg.solve(information, u))
    except np.linalg.LinAlgError:
        return float("nan")


def _moments(
    X: Floats, weight: Floats, at_risk: NDArray[np.bool_], dead: NDArray[np.bool_], ties: str
) -> tuple[Floats, Floats]:
    """Sum of Schoenfeld residuals and of the covariance of X over the risk set, at one time."""
    x, w = X[at_risk], weight[at_risk]
    xd, wd = X[dead], weight[dead]
    s0, s1, s2 = w.sum(), w @ x, (x * w[:, None]).T @ x
    d0, d1, d2 = wd.sum(), wd @ xd, (xd * wd[:, None]).T @ xd
    residual, variance = xd.sum(axis=0), np.zeros((X.shape[1], X.shape[1]))
    for j in range(len(xd)):
        share = j / len(xd) if ties == "efron" else 0.0
        total = s0 - share * d0
        mean = (s1 - share * d1) / total
        residual = residual - mean
        variance += (s2 - share * d2) / total - np.outer(mean, mean)
    return residual, variance
