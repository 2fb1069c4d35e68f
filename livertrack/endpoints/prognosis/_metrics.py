"""Performance of predicted risks of an event, for many weightings of the subjects at once.

A weighting is a row of counts (how often each subject was drawn), as in `_metrics` of the other
predictions. Censoring is weighed by its own Kaplan-Meier curve G, counted anew for every
weighting, with events before censorings at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: (metric, horizon) -> value of every weighting; the horizon is NaN where there is none
Values = dict[tuple[str, float], Vector]
#: risks are kept this far from 0 and 1 before their complementary log-log
_EDGE = 1e-6
_STEPS = 40


@dataclass(frozen=True)
class Outcome:
    """Times and events, the horizons asked for and the grid of the integrated Brier score."""

    time: Vector
    event: Flags
    horizons: Vector
    grid: Vector

    @property
    def tau(self) -> float:
        """Last horizon: events after it do not count in Uno's C."""
        return float(self.horizons[-1])


def survival_metrics(weights: Matrix, outcome: Outcome, risk: Matrix) -> Values:
    """All metrics.

    Parameters
    ----------
    weights : array (weightings, subjects)
    outcome : Outcome
    risk : array (subjects, times)
        Probability of an event by each horizon and then by each time of the grid.
    """
    g_before, g_at = censoring(weights, outcome)
    n = len(outcome.horizons)
    last = risk[:, n - 1]
    nan = math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Values = {
            ("harrell_c", nan): _concordance(weights, outcome, last),
            ("uno_c", nan): _concordance(weights, outcome, last, g_before),
        }
        for k, horizon in enumerate(outcome.horizons):
            p, h = risk[:, k], float(horizon)
            scored = _brier(weights, outcome, p, h, g_before, g_at(h))
            observed = 1 - free_of_event(weights, outcome, h)
            mean = weights @ p / weights.sum(axis=1)
            blank = _brier_of_all(weights, outcome, observed, h, g_before, g_at(h))
            found |= {
                ("auc", h): _auc(weights, outcome, p, h, g_before),
                ("brier", h): scored,
                ("brier_scaled", h): 1 - scored / np.where(blank > 1e-12, blank, np.nan),
                ("observed_over_expected", h): observed / mean,
                ("calibration_slope", h): _slope(weights, outcome, p, h),
            }
        steps = [
            _brier(weights, outcome, risk[:, n + k], float(t), g_before, g_at(float(t)))
            for k, t in enumerate(outcome.grid)
        ]
        whole = np.column_stack([np.zeros(len(weights)), *steps])
        width = np.diff(np.concatenate([[0.0], outcome.grid]))
        found["integrated_brier", nan] = (whole[:, 1:] + whole[:, :-1]) / 2 @ width / outcome.tau
    return found


def censoring(weights: Matrix, outcome: Outcome):  # type: ignore[no-untyped-def]
    """G just before each subject's time (weightings x subjects), and a function for G at t."""
    times, place = np.unique(outcome.time, return_inverse=True)
    sums = np.zeros((len(times), len(outcome.time)))
    sums[place, np.arange(len(place))] = 1.0
    lost = weights @ (sums * ~outcome.event).T
    died = weights @ (sums * outcome.event).T
    at_risk = np.cumsum((lost + died)[:, ::-1], axis=1)[:, ::-1] - died
    hazard = np.where(at_risk > 0, lost / np.where(at_risk > 0, at_risk, 1), 0.0)
    after = np.cumprod(1 - hazard, axis=1)
    before = np.column_stack([np.ones(len(weights)), after[:, :-1]])

    def at(t: float) -> Vector:
        k = int(np.searchsorted(times, t, side="right"))
        return np.asarray(after[:, k - 1] if k else np.ones(len(weights)))

    return before[:, place], at


def free_of_event(weights: Matrix, outcome: Outcome, horizon: float) -> Vector:
    """Kaplan-Meier probability of no event by ``horizon``."""
    flipped = Outcome(outcome.time, ~outcome.event, outcome.horizons, outcome.grid)
    times, place = np.unique(outcome.time, return_inverse=True)
    sums = np.zeros((len(times), len(outcome.time)))
    sums[place, np.arange(len(place))] = 1.0
    died = weights @ (sums * ~flipped.event).T
    at_risk = np.cumsum((weights @ sums.T)[:, ::-1], axis=1)[:, ::-1]
    hazard = np.where(at_risk > 0, died / np.where(at_risk > 0, at_risk, 1), 0.0)
    return np.asarray(np.prod(1 - hazard[:, times <= horizon], axis=1))


def _concordance(
    weights: Matrix, outcome: Outcome, risk: Vector, g_before: Matrix | None = None
) -> Vector:
    """Share of comparable pairs in which the earlier event had the higher risk; ties count half.

    With ``g_before``: events up to tau, weighed by 1 / G^2 (Uno et al. 2011).
    """
    time, event = outcome.time, outcome.event
    later = (time[None, :] > time[:, None]) | ((time[None, :] == time[:, None]) & ~event[None, :])
    pairs = (event[:, None] & later).astype(float)
    np.fill_diagonal(pairs, 0.0)
    wins = pairs * (np.sign(risk[:, None] - risk[None, :]) + 1) / 2
    first = weights
    if g_before is not None:
        first = weights * (time <= outcome.tau) / np.where(g_before > 0, g_before, np.inf) ** 2
    total = ((first @ pairs) * weights).sum(axis=1)
    return np.asarray(((first @ wins) * weights).sum(axis=1) / total)


def _auc(
    weights: Matrix, outcome: Outcome, risk: Vector, horizon: float, g_before: Matrix
) -> Vector:
    """Cumulative cases against dynamic controls at ``horizon``; cases weighed by 1 / G."""
    case = outcome.event & (outcome.time <= horizon)
    control = outcome.time > horizon
    kernel = (np.sign(risk[case][:, None] - risk[control][None, :]) + 1) / 2
    g = g_before[:, case]
    first = weights[:, case] / np.where(g > 0, g, np.inf)
    second = weights[:, control]
    wins = ((first @ kernel) * second).sum(axis=1)
    return np.asarray(wins / (first.sum(axis=1) * second.sum(axis=1)))


def _brier(
    weights: Matrix, outcome: Outcome, risk: Vector, horizon: float, g_before: Matrix, g: Vector
) -> Vector:
    """Mean squared distance of the risk from what happened by ``horizon``, weighed by 1 / G."""
    case = outcome.event & (outcome.time <= horizon)
    control = outcome.time > horizon
    lost = (weights / np.where(g_before > 0, g_before, np.inf)) @ (case * (1 - risk) ** 2)
    kept = weights @ (control * risk**2) / np.where(g > 0, g, np.nan)
    return np.asarray((lost + kept) / weights.sum(axis=1))


def _brier_of_all(
    weights: Matrix, outcome: Outcome, risk: Vector, horizon: float, g_before: Matrix, g: Vector
) -> Vector:
    """`_brier` of one risk for everybody, its own for each weighting."""
    case = outcome.event & (outcome.time <= horizon)
    control = outcome.time > horizon
    lost = (weights / np.where(g_before > 0, g_before, np.inf)) @ case.astype(float)
    kept = weights @ control.astype(float) / np.where(g > 0, g, np.nan)
    return np.asarray((lost * (1 - risk) ** 2 + kept * risk**2) / weights.sum(axis=1))


def _slope(weights: Matrix, outcome: Outcome, risk: Vector, horizon: float) -> Vector:
    """Cox coefficient (Breslow) of log(-log(1 - risk)) on the events up to ``horizon``."""
    p = np.clip(risk, _EDGE, 1 - _EDGE)
    x = np.log(-np.log1p(-p))
    x = x - x.mean()
    if np.ptp(x) < 1e-9:
        return np.full(len(weights), np.nan)
    order = np.argsort(-outcome.time, kind="stable")
    time, x, w = outcome.time[order], x[order], weights[:, order]
    dead = w * (outcome.event[order] & (time <= horizon))
    # the risk set of a time ends with the last subject that has it, in falling order
    end = np.searchsorted(-time, -time, side="right") - 1
    beta = np.zeros(len(weights))
    active = np.arange(len(weights))
    for _ in range(_STEPS):
        e = w[active] * np.exp(np.clip(beta[active][:, None] * x, -50, 50))
        s0, s1, s2 = (np.cumsum(e * x**k, axis=1)[:, end] for k in range(3))
        s0 = np.where(s0 > 0, s0, np.nan)
        mean = s1 / s0
        score = np.nansum(dead[active] * (x - mean), axis=1)
        information = np.nansum(dead[active] * (s2 / s0 - mean**2), axis=1)
        step = score / np.where(information > 1e-12, information, np.nan)
        beta[active] += np.clip(step, -2, 2)
        active = active[(np.abs(step) > 1e-9) & (np.abs(beta[active]) < 1e3)]
        if not len(active):
            break
    beta[active] = np.nan
    return np.asarray(np.where(np.abs(beta) < 1e3, beta, np.nan))


def even_grid(tau: float, steps: int) -> Vector:
    """Times of the integrated Brier score: ``steps`` equal ones up to ``tau``."""
    return np.asarray(tau * np.arange(1, steps + 1) / steps)


def as_keys(horizons: Sequence[float]) -> list[tuple[str, float]]:
    """Metrics that are given for every horizon, in their order."""
    names = ("auc", "brier", "brier_scaled", "observed_over_expected", "calibration_slope")
    return [(name, float(h)) for h in horizons for name in names]
