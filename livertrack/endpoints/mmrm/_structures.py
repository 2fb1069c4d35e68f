"""Covariance structures of repeated measures, with first and second derivatives.

Every structure is a covariance matrix Sigma(theta) over the visits. Two parametrisations are used:

free
    unconstrained, for fitting: the Cholesky factor for ``us``; log variances and transformed
    correlations for the others.
natural
    that of SAS PROC MIXED, for inference: the elements of Sigma where Sigma is linear in its
    parameters (``us``, ``cs``, ``toep``), variances and correlations for the others, variance and
    range for ``sp_exp``. Kenward-Roger depends on this choice through the second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from livertrack.endpoints._design import Floats

#: covariance structures by the name that R's mmrm gives them
NAMES = ("us", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "ad", "adh", "sp_exp")
_MARGIN = 0.95
#: number of visits up to which the likelihood is searched for other optima with more starts
_FEW_VISITS = 6


@dataclass(frozen=True)
class Derivatives:
    """Sigma (d x d), its Jacobian (q x d x d) and second derivatives (q x q x d x d).

    ``second`` is None where Sigma is linear in the parameters.
    """

    sigma: Floats
    jacobian: Floats
    second: Floats | None

    def curvature(self, gradient: Floats) -> Floats | float:
        """Contract the second derivatives with ``gradient`` (d x d): q x q."""
        if self.second is None:
            return 0.0
        return np.asarray(np.tensordot(self.second, gradient, axes=((2, 3), (0, 1))))


@dataclass(frozen=True)
class Correlation:
    """A family of correlation matrices: number of parameters, matrices, start, labels."""

    size: Callable[[int], int]
    matrices: Callable[[Floats, int], tuple[Floats, Floats, Floats]]
    start: Callable[[Floats], Floats]
    label: str


class Structure(Protocol):
    """Covariance over ``d`` visits with ``q`` parameters."""

    d: int

    @property
    def q(self) -> int:
        """Number of parameters."""

    def labels(self) -> list[str]:
        """Labels of the natural parameters."""

    def start(self, moments: Floats) -> Floats:
        """Free parameters near a positive definite matrix of moments."""

    def others(self, eta: Floats) -> list[Floats]:
        """Further starts: a likelihood with missing visits may have several optima."""

    def free(self, eta: Floats) -> Derivatives:
        """Sigma and derivatives in the free parameters."""

    def natural(self, eta: Floats) -> tuple[Floats, Derivatives]:
        """Natural parameters at the free parameters ``eta``, and the derivatives in them."""


class Unstructured:
    """Every variance and covariance free; fitted by its Cholesky factor."""

    def __init__(self, d: int) -> None:
        self.d = d
        self.row, self.column = np.tril_indices(d)
        same = self.column[:, None] == self.column[None, :]
        self._pairs = (self.row[:, None], self.row[None, :], same)
        self.q = len(self.row)

    def labels(self) -> list[str]:
        """Labels as SAS writes them, ``UN(2,1)``."""
        return [f"UN({a + 1},{b + 1})" for a, b in zip(self.row, self.column, strict=True)]

    def start(self, moments: Floats) -> Floats:
        """Cholesky factor of the moments."""
        return np.asarray(np.linalg.cholesky(moments)[self.row, self.column], np.float64)

    def others(self, eta: Floats) -> list[Floats]:
        """Give the start without correlations."""
        L = np.zeros((self.d, self.d))
        L[self.row, self.column] = eta
        return [np.diag(np.sqrt((L**2).sum(axis=1)))[self.row, self.column]]

    def free(self, eta: Floats) -> Derivatives:
        """Sigma = L L' and its derivatives in the elements of L."""
        L = np.zeros((self.d, self.d))
        L[self.row, self.column] = eta
        place = np.arange(len(eta))
        half = np.zeros((len(eta), self.d, self.d))
        half[place, self.row, :] = L[:, self.column].T
        return _CholeskyDerivatives(L @ L.T, half + half.transpose(0, 2, 1), None, self._pairs)

    def natural(self, eta: Floats) -> tuple[Floats, Derivatives]:
        """Elements of Sigma; Sigma is linear in them."""
        sigma = self.free(eta).sigma
        basis = np.zeros((len(eta), self.d, self.d))
        place = np.arange(len(eta))
        basis[place, self.row, self.column] = 1.0
        basis[place, self.column, self.row] = 1.0
        return sigma[self.row, self.column], Derivatives(sigma, basis, None)


@dataclass(frozen=True)
class _CholeskyDerivatives(Derivatives):
    """Second derivatives of L L' are constant: known without being stored."""

    pairs: tuple[np.ndarray, np.ndarray, np.ndarray]

    def curvature(self, gradient: Floats) -> Floats:
        """d2(L L') contracted: 2 G[a, c] for elements L[a, b], L[c, b] of one column."""
        a, c, same = self.pairs
        symmetric = gradient + gradient.T
        return np.where(same, symmetric[a, c], 0.0)


class Patterned:
    """Variances (one, or one per visit) times a correlation matrix with few parameters."""

    def __init__(self, d: int, family: Correlation, *, heterogeneous: bool, linear: bool) -> None:
        self.d = d
        self.family = family
        self.n_variances = d if heterogeneous else 1
        self.heterogeneous = heterogeneous
        self.linear = linear
        self.q = self.n_variances + family.size(d)

    def labels(self) -> list[str]:
        """Labels in the manner of SAS."""
        m = self.family.size(self.d)
        if self.heterogeneous:
            variances = [f"Var({visit + 1})" for visit in range(self.d)]
        else:
            variances = ["Variance"]
        kind = self.family.label if not self.linear else f"Covariance {self.family.label}"
        return variances + [f"{kind}({place + 1})" if m > 1 else kind for place in range(m)]

    def start(self, moments: Floats) -> Floats:
        """Log variances and transformed correlations near the moments."""
        variances = np.diag(moments)
        scale = np.sqrt(variances)
        correlation = self.family.start(moments / np.outer(scale, scale))
        if not self.heterogeneous:
            variances = np.array([variances.mean()])
        return np.concatenate([np.log(variances), np.arctanh(correlation)])

    def others(self, eta: Floats) -> list[Floats]:
        """Start without correlations, and (at few visits) with the sign of each one turned."""
        found = [np.concatenate([eta[: self.n_variances], np.zeros(self.q - self.n_variances)])]
        if self.q - self.n_variances > 1 and self.d <= _FEW_VISITS:
            for place in range(self.n_variances, self.q):
                turned = eta.copy()
                turned[place] *= -1
                found.append(turned)
        return found

    def free(self, eta: Floats) -> Derivatives:
        """Chain rule through variance = exp(eta), correlation = tanh(eta)."""
        theta, first, second = self._theta(eta)
        inner = self._derivatives(theta)
        jacobian = inner.jacobian * first[:, None, None]
        curvature = inner.second * np.outer(first, first)[:, :, None, None]  # type: ignore[operator]
        place = np.arange(len(eta))
        curvature[place, place] += inner.jacobian * second[:, None, None]
        return Derivatives(inner.sigma, jacobian, curvature)

    def natural(self, eta: Floats) -> tuple[Floats, Derivatives]:
        """Variances and correlations, or the covariances where Sigma is linear in them."""
        theta, _, _ = self._theta(eta)
        if not self.linear:
            return theta, self._derivatives(theta)
        sigma = self._derivatives(theta).sigma
        _, basis, _ = self.family.matrices(theta[1:], self.d)
        basis = np.concatenate([np.eye(self.d)[None], basis])
        return np.concatenate([theta[:1], theta[0] * theta[1:]]), Derivatives(sigma, basis, None)

    def _theta(self, eta: Floats) -> tuple[Floats, Floats, Floats]:
        variances = np.exp(eta[: self.n_variances])
        correlations = np.tanh(eta[self.n_variances :])
        slope = 1 - correlations**2
        return (
            np.concatenate([variances, correlations]),
            np.concatenate([variances, slope]),
            np.concatenate([variances, -2 * correlations * slope]),
        )

    def _derivatives(self, theta: Floats) -> Derivatives:
        d, k = self.d, self.n_variances
        R, dR, ddR = self.family.matrices(theta[k:], d)
        q = len(theta)
        jacobian, second = np.empty((q, d, d)), np.zeros((q, q, d, d))
        variances = theta[:k] if self.heterogeneous else np.repeat(theta[0], d)
        s = np.sqrt(variances)
        scale = np.outer(s, s)
        jacobian[k:] = scale * dR
        second[k:, k:] = scale * ddR
        if self.heterogeneous:  # d s_i / d v_i = 1 / (2 s_i)
            unit = np.eye(d) / (2 * s)
            ds = unit[:, :, None] * s[None, None, :]  # (v, i, j): d(s_i)/dv s_j
            dscale = ds + ds.transpose(0, 2, 1)
            cross = unit[:, None, :, None] * unit[None, :, None, :]
            ddscale = cross + cross.transpose(0, 1, 3, 2)
            place = np.arange(d)
            curve = (np.eye(d) * (-1 / (4 * s**3)))[:, :, None] * s[None, None, :]
            ddscale[place, place] += curve + curve.transpose(0, 2, 1)
            second[:k, :k] = ddscale * R
        else:
            dscale = np.ones((1, d, d))
        jacobian[:k] = dscale * R
        mixed = dscale[:, None] * dR[None]
        second[:k, k:] = mixed
        second[k:, :k] = mixed.transpose(1, 0, 2, 3)
        return Derivatives(scale * R, jacobian, second)


class SpatialExponential:
    """Variance times exp(-distance / range); distances differ by subject."""

    q = 2

    def labels(self) -> list[str]:
        """Labels of the natural parameters."""
        return ["Variance", "Range"]

    def start(self, variance: float, distance: float) -> Floats:
        """Log variance and log range: a typical distance halves the correlation."""
        return np.log([variance, distance / np.log(2)])

    def others(self, eta: Floats) -> list[Floats]:
        """Start with shorter and with longer ranges."""
        shift = np.array([0.0, 1.5])
        return [eta - shift, eta + shift]

    def free(self, eta: Floats, distance: Floats) -> tuple[Floats, Floats, Floats]:
        """Sigma (k x d x d), Jacobian (k x 2 x d x d), second derivatives in log parameters."""
        variance, reach = np.exp(eta)
        u = distance / reach
        sigma = variance * np.exp(-u)
        jacobian = np.stack([sigma, sigma * u], axis=1)
        mixed = sigma * u
        second = np.stack(
            [np.stack([sigma, mixed], 1), np.stack([mixed, sigma * (u**2 - u)], 1)], axis=1
        )
        return sigma, jacobian, second

    def natural(self, eta: Floats, distance: Floats) -> tuple[Floats, Floats, Floats]:
        """Jacobian and second derivatives in (variance, range); first the parameters."""
        variance, reach = np.exp(eta)
        u = distance / reach
        R = np.exp(-u)
        slope = R * u / reach
        jacobian = np.stack([R, variance * slope], axis=1)
        curve = variance * R * (u**2 - 2 * u) / reach**2
        second = np.stack(
            [np.stack([np.zeros_like(R), slope], 1), np.stack([slope, curve], 1)], axis=1
        )
        return np.array([variance, reach]), jacobian, second


def make_structure(name: str, d: int) -> Structure:
    """Build the structure ``name`` (not ``sp_exp``) over ``d`` visits."""
    if name == "us":
        return Unstructured(d)
    heterogeneous = name.endswith("h")
    family = name.removesuffix("h")
    family = "cs" if name == "csh" else family
    linear = name in ("cs", "toep")
    return Patterned(d, FAMILIES[family], heterogeneous=heterogeneous, linear=linear)


def _lags(d: int) -> np.ndarray:
    return np.abs(np.subtract.outer(np.arange(d), np.arange(d)))


def _cs(rho: Floats, d: int) -> tuple[Floats, Floats, Floats]:
    off = 1 - np.eye(d)
    m = len(rho)
    R = np.eye(d) + (rho[0] * off if m else 0)
    return R, np.repeat(off[None], m, axis=0), np.zeros((m, m, d, d))


def _ar1(rho: Floats, d: int) -> tuple[Floats, Floats, Floats]:
    k = _lags(d)
    m = len(rho)
    if not m:
        return np.eye(d), np.empty((0, d, d)), np.empty((0, 0, d, d))
    r = float(rho[0])
    first = k * r ** np.maximum(k - 1, 0)
    second = k * (k - 1) * r ** np.maximum(k - 2, 0)
    return r**k, first[None].astype(float), second[None, None].astype(float)


def _toep(rho: Floats, d: int) -> tuple[Floats, Floats, Floats]:
    k = _lags(d)
    m = len(rho)
    basis = (k[None] == np.arange(1, m + 1)[:, None, None]).astype(float)
    R = np.eye(d) + np.tensordot(rho, basis, axes=1)
    return R, basis, np.zeros((m, m, d, d))


def _chains(rho: Floats, d: int) -> Floats:
    """Products of neighbouring correlations between two visits: (batch, d, d)."""
    R = np.zeros((len(rho), d, d))
    R[:, 0, 0] = 1.0
    for j in range(1, d):
        R[:, :j, j] = R[:, :j, j - 1] * rho[:, j - 1, None]
        R[:, j, :j] = R[:, :j, j]
        R[:, j, j] = 1.0
    return R


def _ad(rho: Floats, d: int) -> tuple[Floats, Floats, Floats]:
    m = len(rho)
    R = _chains(rho[None], d)[0]
    visit = np.arange(d)
    low, high = np.minimum.outer(visit, visit), np.maximum.outer(visit, visit)
    step = np.arange(m)[:, None, None]
    spans = (low[None] <= step) & (step < high[None])  # does the pair use this correlation?
    without = np.repeat(rho[None], m, axis=0)
    without[np.arange(m), np.arange(m)] = 1.0
    first = np.where(spans, _chains(without, d), 0.0) if m else np.empty((0, d, d))
    both = np.repeat(without[:, None], m, axis=1)
    both[:, np.arange(m), np.arange(m)] = 1.0
    second = (
        _chains(both.reshape(m * m, m), d).reshape(m, m, d, d) if m else np.empty((0, 0, d, d))
    )
    used = spans[:, None] & spans[None] & ~np.eye(m, dtype=bool)[:, :, None, None]
    return R, first, np.where(used, second, 0.0)


def _positive(start: Floats, matrices: Callable[[Floats, int], tuple[Floats, Floats, Floats]],
              d: int) -> Floats:  # fmt: skip
    """Shrink ``start`` until its correlation matrix is safely positive definite."""
    value = np.clip(start, -_MARGIN, _MARGIN)
    for _ in range(60):
        if np.linalg.eigvalsh(matrices(value, d)[0])[0] > 0.02:
            break
        value = value * 0.9
    return value


def _by_lag(R: Floats, n_lags: int) -> Floats:
    return np.array([np.diagonal(R, lag).mean() for lag in range(1, n_lags + 1)])


FAMILIES: Mapping[str, Correlation] = {
    "cs": Correlation(
        lambda d: int(d > 1),
        _cs,
        lambda R: (
            _positive(np.array([R[np.triu_indices(len(R), 1)].mean()]), _cs, len(R))
            if len(R) > 1
            else np.empty(0)
        ),
        "Rho",
    ),
    "ar1": Correlation(
        lambda d: int(d > 1),
        _ar1,
        lambda R: _positive(_by_lag(R, min(1, len(R) - 1)), _ar1, len(R)),
        "AR(1)",
    ),
    "toep": Correlation(
        lambda d: d - 1, _toep, lambda R: _positive(_by_lag(R, len(R) - 1), _toep, len(R)), "Lag"
    ),
    "ad": Correlation(
        lambda d: d - 1, _ad, lambda R: np.clip(np.diagonal(R, 1), -_MARGIN, _MARGIN), "Rho"
    ),
}
