"""Weighted partial likelihood of the subdistribution hazard, in sums over sorted times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from livertrack.endpoints._events import Floats

Ints = NDArray[np.int64]


class Subdistribution:
    """Pseudo-likelihood of Fine and Gray (1999) with Breslow ties.

    ``happened`` marks the event of interest, ``kind`` is 0 where censored, ``group`` numbers the
    groups whose censoring differs. A subject with a competing event at T has the weight
    G(t-) / G(T-) at the times t > T.
    """

    def __init__(
        self, time: Floats, happened: NDArray[np.bool_], kind: Ints, X: Floats, group: Ints
    ) -> None:
        self.X, self.time, self.happened, self.group = X, time, happened, group
        self.censored, self.lost = kind == 0, (kind > 0) & ~happened
        self.times, self.count = np.unique(time[happened], return_counts=True)
        self.order = np.argsort(time, kind="stable")
        self.sorted_time = time[self.order]
        self.first = np.searchsorted(self.sorted_time, self.times)
        self.groups = np.unique(group)
        # probability of being uncensored just before: at each event time, at each own time
        self.at_times = np.ones((len(self.groups), len(self.times)))
        own = np.ones(len(time))
        for row, one in enumerate(self.groups):
            mine = group == one
            self.at_times[row] = self._uncensored(mine, self.times)
            own[mine] = self._uncensored(mine, time[mine])
        self.inverse = np.where(self.lost, 1 / np.where(own > 0, own, 1.0), 0.0)
        # competing events before each event time
        self.earlier = np.searchsorted(self.sorted_time, self.times, side="left")

    def derivatives(self, beta: Floats) -> tuple[float, Floats, Floats]:
        """Log-likelihood, score and information at ``beta``."""
        s0, mean, w, shift = self._means(beta)
        p = self.X.shape[1]
        square = (self.X[:, :, None] * (self.X * w[:, None])[:, None, :]).reshape(-1, p * p)
        s2 = self._risk_sums(square)
        eta = self.X @ beta
        loglik = float((eta[self.happened] - shift).sum() - self.count @ np.log(s0))
        score = self.X[self.happened].sum(axis=0) - self.count @ mean
        information = (self.count / s0) @ s2
        information = information.reshape(p, p) - (mean * self.count[:, None]).T @ mean
        return loglik, score, information

    def baseline(self, beta: Floats) -> tuple[Floats, Floats]:
        """Event times and the cumulative subdistribution hazard where all columns are 0."""
        s0, _, _, shift = self._means(beta)
        return self.times, np.asarray(np.cumsum(self.count / s0) * np.exp(-shift))

    def residuals(self, beta: Floats, *, censoring: bool) -> Floats:
        """Independent contributions to the score (subjects x columns).

        With ``censoring`` those of the estimated distribution of censoring are added.
        """
        s0, mean, w, _ = self._means(beta)
        jump = self.count / s0
        whole = _cumulated(jump[:, None])[:, 0]
        part = _cumulated(jump[:, None] * mean)
        seen = np.searchsorted(self.times, self.time, side="right")
        a, b = whole[seen].copy(), part[seen].copy()
        for row, one in enumerate(self.groups):
            mine = (self.group == one) & self.lost
            later = self.at_times[row] * jump
            rest = _cumulated(later[:, None])[:, 0]
            rest_part = _cumulated(later[:, None] * mean)
            inverse = self.inverse[mine]
            a[mine] += inverse * (rest[-1] - rest[seen[mine]])
            b[mine] += inverse[:, None] * (rest_part[-1] - rest_part[seen[mine]])
        result = -w[:, None] * (self.X * a[:, None] - b)
        place = np.searchsorted(self.times, self.time[self.happened])
        result[self.happened] += self.X[self.happened] - mean[place]
        if censoring:
            result += self._of_censoring(w, jump, mean)
        return np.asarray(result)

    def _of_censoring(self, w: Floats, jump: Floats, mean: Floats) -> Floats:
        """What the estimated weights add: integral of q / pi over the censoring martingale."""
        result = np.zeros_like(self.X)
        for row, one in enumerate(self.groups):
            mine = np.flatnonzero(self.group == one)
            when = np.unique(self.time[mine][self.censored[mine]])
            if not len(when):
                continue
            t = np.sort(self.time[mine])
            at_risk = len(t) - np.searchsorted(t, when)
            # competing events of the group before each censoring time, weighted
            order = mine[np.argsort(self.time[mine], kind="stable")]
            before = np.searchsorted(self.time[order], when)
            load = (w * self.inverse)[order]
            c0 = np.concatenate([[0.0], np.cumsum(load)])[before]
            c1 = _cumulated(load[:, None] * self.X[order])[before]
            later = self.at_times[row] * jump
            place = np.searchsorted(self.times, when)
            rest = _cumulated(later[:, None])[:, 0]
            rest_part = _cumulated(later[:, None] * mean)
            q = c1 * (rest[-1] - rest[place])[:, None]
            q -= c0[:, None] * (rest_part[-1] - rest_part[place])
            gone = np.bincount(
                np.searchsorted(when, self.time[mine][self.censored[mine]]), minlength=len(when)
            )
            expected = _cumulated(q * (gone / at_risk**2)[:, None])
            result[mine] -= expected[np.searchsorted(when, self.time[mine], side="right")]
            leave = mine[self.censored[mine]]
            at = np.searchsorted(when, self.time[leave])
            result[leave] += (q / at_risk[:, None])[at]
        return result

    def _means(self, beta: Floats) -> tuple[Floats, Floats, Floats, float]:
        """Weight of the risk set and mean of X over it at each time; weights; their shift."""
        eta = self.X @ beta
        shift = float(eta.max())
        w = np.exp(eta - shift)
        s0 = self._risk_sums(w[:, None])[:, 0]
        return s0, self._risk_sums(self.X * w[:, None]) / s0[:, None], w, shift

    def _risk_sums(self, values: Floats) -> Floats:
        """Weighted sums (event times x columns) of ``values`` (subjects x columns)."""
        ordered = values[self.order]
        later = np.cumsum(ordered[::-1], axis=0)[::-1]
        total = later[self.first]
        for row, one in enumerate(self.groups):
            load = np.where(self.group == one, self.inverse, 0.0)[self.order]
            before = _cumulated(load[:, None] * ordered)[self.earlier]
            total = total + self.at_times[row][:, None] * before
        return np.asarray(total)

    def _uncensored(self, mine: NDArray[np.bool_], at: Floats) -> Floats:
        """Kaplan-Meier estimate of being uncensored just before ``at``; 0 after the last time."""
        t = np.sort(self.time[mine])
        when, gone = np.unique(self.time[mine & self.censored], return_counts=True)
        at_risk = len(t) - np.searchsorted(t, when)
        curve = np.concatenate([[1.0], np.cumprod(1 - gone / np.maximum(at_risk, 1))])
        return np.asarray(np.where(at > t[-1], 0.0, curve[np.searchsorted(when, at, side="left")]))


def _cumulated(values: Floats) -> Floats:
    """Sums of the rows before each row, and of all."""
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
