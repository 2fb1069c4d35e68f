"""Gray's test of equal cumulative incidence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from livertrack.endpoints._events import Floats


def gray_test(
    time: Floats, kind: NDArray[Any], number: int, group: NDArray[Any], place: NDArray[Any]
) -> tuple[float, int]:
    """Chi-square and df of Gray's (1988) test with rho = 0 for cause ``number``.

    ``kind`` is 0 for censored, 1..C for the cause; ``group`` 0..K-1; ``place`` the stratum.
    Groups that are never at risk do not count.
    """
    groups = np.unique(group)
    score, variance = np.zeros(len(groups)), np.zeros((len(groups), len(groups)))
    member = group[:, None] == groups[None, :]
    for stratum in np.unique(place):
        mine = place == stratum
        one, two = _stratum(time[mine], kind[mine], number, member[mine])
        score += one
        variance += two
    used = np.flatnonzero(np.diag(variance) > 1e-12)
    if len(used) < 2:
        return float("nan"), 0
    inner = variance[np.ix_(used, used)]
    df = int(np.linalg.matrix_rank(inner, tol=1e-9 * float(np.diag(inner).max())))
    inverse = np.linalg.pinv(inner, hermitian=True, rcond=1e-9)
    return float(score[used] @ inverse @ score[used]), df


def _stratum(
    time: Floats, kind: NDArray[Any], number: int, member: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Score and its covariance in one stratum (times x groups arrays below)."""
    distinct, tie = np.unique(time, return_inverse=True)
    shape = (len(distinct), member.shape[1])
    y, d1, d2 = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(y, tie, member.astype(float))
    np.add.at(d1, tie, (member & (kind == number)[:, None]).astype(float))
    np.add.at(d2, tie, (member & ((kind > 0) & (kind != number))[:, None]).astype(float))
    y = y[::-1].cumsum(axis=0)[::-1]
    safe = np.where(y > 0, y, 1.0)
    S = np.cumprod(1 - (d1 + d2) / safe, axis=0)
    S_left = np.vstack([np.ones(shape[1]), S[:-1]])
    F = np.cumsum(S_left * d1 / safe, axis=0)
    F_left = np.vstack([np.zeros(shape[1]), F[:-1]])
    keep = (d1 + d2).sum(axis=1) > 0
    y, d1, d2, S, S_left, F_left = (part[keep] for part in (y, d1, d2, S, S_left, F_left))
    at_risk = y > 0
    h = np.where(at_risk, y / np.where(S_left > 0, S_left, 1.0), 0.0)
    R = h * (1 - F_left)
    n1 = d1.sum(axis=1)
    # expected share of the events of the cause
    total_R, total_h = R.sum(axis=1), h.sum(axis=1)
    score = (d1 - n1[:, None] * R / np.where(total_R > 0, total_R, 1)[:, None]).sum(axis=0)
    # pooled incidence and its hazard
    dF = n1 / total_h
    pooled = np.cumsum(dF)
    hazard = dF / (1 - np.concatenate([[0.0], pooled[:-1]]))
    return score, _covariance(h, total_h, hazard, pooled, dF, S, S_left, y, d1, d2)


def _covariance(
    h: Floats, total: Floats, hazard: Floats, pooled: Floats, dF: Floats,
    S: Floats, S_left: Floats, y: Floats, d1: Floats, d2: Floats,
) -> Floats:  # fmt: skip
    """Gray's covariance: sum over groups r of the two counting processes of the group."""
    k = h.shape[1]
    # a[t, i, r] = h_i (1(i = r) - h_r / h.): weight of group r's process in score i
    share = h / total[:, None]
    a = h[:, :, None] * (np.eye(k)[None] - share[:, None, :])
    c = np.cumsum(a * hazard[:, None, None], axis=0)
    rest = c[-1][None] - c
    n1 = d1.sum(axis=1)
    result = np.zeros((k, k))
    for r in range(k):
        alive = y[:, r] > 0
        q = np.where(S[:, r] > 0, (1 - pooled) / np.where(S[:, r] > 0, S[:, r], 1.0), 0.0)
        b1, b2 = 1 - q, q
        ties1 = np.where(n1 > 1, 1 - (n1 - 1) / np.maximum(total * S_left[:, r] - 1, 1e-12), 1.0)
        w1 = ties1 * S_left[:, r] * dF / np.where(alive, y[:, r], 1.0)
        z1 = a[:, :, r] + b1[:, None] * rest[:, :, r]
        use = alive & (n1 > 0)
        result += (z1[use] * w1[use, None]).T @ z1[use]
        m = d2[:, r]
        ties2 = np.where(m > 1, 1 - (m - 1) / np.maximum(y[:, r] - 1, 1e-12), 1.0)
        w2 = ties2 * S_left[:, r] ** 2 * m / np.where(alive, y[:, r], 1.0) ** 2
        z2 = b2[:, None] * rest[:, :, r]
        use = alive & (m > 0) & (S[:, r] > 0)
        result += (z2[use] * w2[use, None]).T @ z2[use]
    return result
