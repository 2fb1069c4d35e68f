"""Cox's partial likelihood for times at risk ``(start, stop]``, in sums over sorted times.

Serves `cox` (start = 0) and the Andersen-Gill model of `recurrent_events`. Ties as Efron or
Breslow. Rows are subjects or intervals; ``X`` is rows x columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livertrack.endpoints._events import Floats
from livertrack.errors import DataError

#: log hazard ratio of one standard deviation beyond which a coefficient runs to infinity
_INFINITE = 9.0


class Likelihood(Protocol):
    """A concave log-likelihood of a few coefficients."""

    def derivatives(self, beta: Floats) -> tuple[float, Floats, Floats]:
        """Log-likelihood, score and information at ``beta``."""


@dataclass(frozen=True)
class _Stratum:
    """Rows of one stratum with their order by stop and by start, and its distinct event times."""

    rows: NDArray[np.int64]
    by_stop: NDArray[np.int64]
    by_start: NDArray[np.int64] | None
    times: Floats
    stop_place: NDArray[np.int64]  # first row by stop with stop >= time
    start_place: NDArray[np.int64] | None  # first row by start with start >= time
    dead: NDArray[np.int64]  # rows (of the stratum) with an event
    dead_time: NDArray[np.int64]  # place of their time in ``times``
    copy: NDArray[np.int64]  # place in ``times``, once per event
    share: Floats  # Efron's share of the tied events that is taken off


class PartialLikelihood:
    """Log partial likelihood with derivatives and score residuals."""

    def __init__(
        self, stop: Floats, event: NDArray[np.bool_], X: Floats, *, start: Floats | None = None,
        place: NDArray[np.int64] | None = None, ties: str = "efron",
    ) -> None:  # fmt: skip
        self.X, self.stop, self.start, self.event = X, stop, start, event
        groups = np.zeros(len(stop), np.int64) if place is None else place
        self.strata = [
            _stratum(np.flatnonzero(groups == one), stop, event, start, ties)
            for one in np.unique(groups)
        ]

    def derivatives(self, beta: Floats) -> tuple[float, Floats, Floats]:
        """Log-likelihood, score and information at ``beta``."""
        eta = self.X @ beta
        loglik, p = 0.0, self.X.shape[1]
        score, information = np.zeros(p), np.zeros((p, p))
        for one in self.strata:
            if not len(one.times):
                continue
            X, shift = self.X[one.rows], float(eta[one.rows].max())
            w = np.exp(eta[one.rows] - shift)
            s0, mean = self._means(one, X, w)
            wx = X * w[:, None]
            square = (X[:, :, None] * wx[:, None, :]).reshape(len(X), p * p)
            s2 = _net(one, square)[one.copy]
            s2 -= one.share[:, None] * _tied(one, square)[one.copy]
            loglik += float((eta[one.rows][one.dead] - shift).sum() - np.log(s0).sum())
            score += X[one.dead].sum(axis=0) - mean.sum(axis=0)
            information += (s2 / s0[:, None]).sum(axis=0).reshape(p, p) - mean.T @ mean
        return loglik, score, information

    def score_residuals(self, beta: Floats) -> Floats:
        """Contribution of each row to the score (rows x columns); the sum is the score."""
        eta = self.X @ beta
        result = np.zeros_like(self.X)
        for one in self.strata:
            if not len(one.times):
                continue
            X, shift = self.X[one.rows], float(eta[one.rows].max())
            w = np.exp(eta[one.rows] - shift)
            s0, mean = self._means(one, X, w)
            k = len(one.times)
            jump = np.asarray(np.bincount(one.copy, 1 / s0, k), dtype=np.float64)
            part = _sum_by(one.copy, mean / s0[:, None], k)
            tied_jump = np.bincount(one.copy, one.share / s0, k)
            tied_part = _sum_by(one.copy, mean * (one.share / s0)[:, None], k)
            count = np.bincount(one.dead_time, minlength=k)
            average = _sum_by(one.copy, mean, k) / count[:, None]
            a, b = self._reached(one, jump), self._reached(one, part)
            residual = -w[:, None] * (X * a[:, None] - b)
            at = one.dead_time
            residual[one.dead] += X[one.dead] - average[at]
            residual[one.dead] += w[one.dead][:, None] * (
                X[one.dead] * tied_jump[at][:, None] - tied_part[at]
            )
            result[one.rows] = residual
        return result

    def _means(self, one: _Stratum, X: Floats, w: Floats) -> tuple[Floats, Floats]:
        """Weight of the risk set and mean of X over it, once per event."""
        wx = X * w[:, None]
        s0 = _net(one, w[:, None])[one.copy, 0] - one.share * _tied(one, w[:, None])[one.copy, 0]
        s1 = _net(one, wx)[one.copy] - one.share[:, None] * _tied(one, wx)[one.copy]
        return s0, s1 / s0[:, None]

    def _reached(self, one: _Stratum, jumps: Floats) -> Floats:
        """Sum of ``jumps`` over the event times at which each row is at risk."""
        whole = np.concatenate([np.zeros((1, *jumps.shape[1:])), np.cumsum(jumps, axis=0)])
        up_to = np.searchsorted(one.times, self.stop[one.rows], side="right")
        if self.start is None:
            return np.asarray(whole[up_to])
        before = np.searchsorted(one.times, self.start[one.rows], side="right")
        return np.asarray(whole[up_to] - whole[before])


def maximise(
    model: Likelihood, spread: Floats, names: Sequence[str], *, what: str = "Cox model"
) -> tuple[Floats, Floats, float]:
    """Coefficients, inverse information and log-likelihood, by Newton's method.

    ``spread`` is the standard deviation of each column; a coefficient that runs to infinity is a
    `DataError`.
    """
    beta = np.zeros(len(names))
    loglik, score, information = model.derivatives(beta)
    for _ in range(50):
        try:
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            break
        if np.abs(step).max() < 1e-10 * (1 + np.abs(beta).max()):
            return beta, np.asarray(np.linalg.inv(information), dtype=np.float64), loglik
        size = 1.0
        trial = model.derivatives(beta + step)
        while not trial[0] >= loglik - 1e-10 * abs(loglik) - 1e-10 and size > 1e-8:
            size /= 2
            trial = model.derivatives(beta + size * step)
        beta = beta + size * step
        loglik, score, information = trial
        if not np.isfinite(loglik) or np.abs(beta * spread).max() > _INFINITE:
            break
    worst = names[int(np.abs(beta * spread).argmax())]
    msg = (
        f"the {what} did not converge; its largest coefficient is of {worst}: "
        "a level without events, or one that predicts every event; merge levels or drop the term"
    )
    raise DataError(msg)


def _stratum(
    rows: NDArray[np.int64], stop: Floats, event: NDArray[np.bool_], start: Floats | None,
    ties: str,
) -> _Stratum:  # fmt: skip
    t, seen = stop[rows], event[rows]
    by_stop = np.argsort(t, kind="stable")
    times = np.unique(t[seen])
    dead = np.flatnonzero(seen)
    dead_time = np.searchsorted(times, t[dead])
    count = np.bincount(dead_time, minlength=len(times))
    copy = np.repeat(np.arange(len(times)), count)
    order = np.arange(len(copy)) - np.repeat(np.cumsum(count) - count, count)
    share = order / count[copy] if ties == "efron" else np.zeros(len(copy))
    by_start = start_place = None
    if start is not None:
        by_start = np.argsort(start[rows], kind="stable")
        start_place = np.searchsorted(start[rows][by_start], times)
    return _Stratum(
        rows, by_stop, by_start, times, np.searchsorted(t[by_stop], times), start_place,
        dead, dead_time, copy, share,
    )  # fmt: skip


def _net(one: _Stratum, values: Floats) -> Floats:
    """Sums of ``values`` (rows x columns) over the rows at risk at each event time."""
    total = _from(values[one.by_stop])[one.stop_place]
    if one.by_start is not None and one.start_place is not None:
        total = total - _from(values[one.by_start])[one.start_place]
    return total


def _from(values: Floats) -> Floats:
    """Sum from each row to the last; one more row of 0 after the last."""
    sums = np.cumsum(values[::-1], axis=0)[::-1]
    return np.concatenate([sums, np.zeros((1, values.shape[1]))])


def _tied(one: _Stratum, values: Floats) -> Floats:
    """Sums of ``values`` over the rows with an event at each event time."""
    return _sum_by(one.dead_time, values[one.dead], len(one.times))


def _sum_by(place: NDArray[np.int64], values: Floats, k: int) -> Floats:
    result = np.zeros((k, values.shape[1]))
    np.add.at(result, place, values)
    return result
