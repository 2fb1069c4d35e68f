"""Likelihood of an MMRM with exact gradient and Hessian, in time linear in subjects.

With A = Sigma^-1 of a pattern, r the residuals at the best coefficients and
Phi = (X' V^-1 X)^-1, minus twice the (restricted) log-likelihood is

    sum log|Sigma_i| + r' V^-1 r  (+ log|X' V^-1 X|  for REML)  + constants.

For directions E, F of Sigma, with M = sum (r r' + X Phi X') (ML: r r' only):

    half gradient   1/2 [ n tr(A E) - tr(A M A E) ]
    half Hessian    tr(E A F B) - g_E' Phi g_F - 1/2 tr(Phi P_E Phi P_F),
                    B = A M A - n A / 2,   g_E = X' A E A r,   P_E = X' A E A X (REML only).

All are linear or bilinear in the elements of E and F, so that their coefficients are summed over
patterns once ("cells") and any parametrisation follows by the chain rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import lapack

from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm._structures import (
    Derivatives,
    SpatialExponential,
    Structure,
)
from livertrack.endpoints.mmrm._subjects import Subjects


@dataclass(frozen=True)
class Solution:
    """Generalised least squares at one value of the covariance parameters.

    ``value`` is minus the log-likelihood without constants; ``A`` (k, d, d) the inverse
    covariance of each pattern, zero at missing visits; ``root`` has ``root root' = Phi``;
    ``AW`` (n, d, p + 1) = A [X, y]; ``U`` (n, d, p) = A X root.
    """

    value: float
    beta: Floats
    root: Floats
    A: Floats
    AW: Floats
    U: Floats


@dataclass(frozen=True)
class Evaluation:
    """Minus the log-likelihood, its gradient and Hessian in the free parameters."""

    value: float
    gradient: Floats
    hessian: Floats


class Covariance(Protocol):
    """A covariance model of all patterns: the parameters of its groups one after another."""

    q: int

    def on(self, subjects: Subjects) -> Covariance:
        """Return the same covariance model for other subjects."""

    def sigma(self, eta: Floats) -> Floats:
        """Covariance of every pattern (k, d, d) as if no visit were missing."""

    def derivatives(self, eta: Floats, pieces: Pieces) -> tuple[Floats, Floats]:
        """Gradient and Hessian in the free parameters."""

    def natural(self, eta: Floats, pieces: Pieces) -> NaturalPieces:
        """Collect what inference needs, in the natural parameters."""


@dataclass(frozen=True)
class Pieces:
    """Sums that gradient and Hessian are made of."""

    subjects: Subjects
    A: Floats  # (k, d, d)
    U: Floats  # (n, d, p): A X root
    Ar: Floats  # (n, d)
    AMA: Floats  # (k, d, d)
    reml: bool

    @property
    def half_gradient(self) -> Floats:
        """Half gradient per pattern (k, d, d)."""
        return 0.5 * (self.subjects.count[:, None, None] * self.A - self.AMA)

    @property
    def curvature(self) -> Floats:
        """A M A - n A / 2 per pattern (k, d, d)."""
        return self.AMA - 0.5 * self.subjects.count[:, None, None] * self.A


@dataclass(frozen=True)
class NaturalPieces:
    """Inference quantities in the natural parameters theta (q of them).

    ``P`` (q, p, p) = root' X'A E_h A X root; ``information`` (q, q) the observed one;
    ``jacobians`` and ``seconds`` the derivatives of Sigma per group: (q, d, d) over visits,
    (k, q, d, d) by pattern where the covariance is spatial.
    """

    theta: Floats
    labels: list[str]
    P: Floats
    information: Floats
    jacobians: tuple[Floats, ...]
    seconds: tuple[Floats | None, ...]
    slices: tuple[slice, ...]


class VisitCovariance:
    """Covariance over common visits, one structure per group."""

    def __init__(self, structure: Structure, subjects: Subjects) -> None:
        self.structure = structure
        self.subjects = subjects
        self.n_groups = subjects.n_groups
        self.q = structure.q * self.n_groups
        self.slices = [slice(g * structure.q, (g + 1) * structure.q) for g in range(self.n_groups)]
        self._last: tuple[bytes, list[Derivatives]] | None = None

    def _free(self, eta: Floats) -> list[Derivatives]:
        """Find the derivatives of every group; the last ones are remembered."""
        key = eta.tobytes()
        if self._last is None or self._last[0] != key:
            self._last = (key, [self.structure.free(eta[part]) for part in self.slices])
        return self._last[1]

    def on(self, subjects: Subjects) -> VisitCovariance:
        """Return the same covariance model for other subjects."""
        return VisitCovariance(self.structure, subjects)

    def matrices(self, eta: Floats) -> list[Floats]:
        """Covariance matrix of every group."""
        return [derivative.sigma for derivative in self._free(eta)]

    def sigma(self, eta: Floats) -> Floats:
        """Covariance of every pattern."""
        return np.stack(self.matrices(eta))[self.subjects.group]

    def derivatives(self, eta: Floats, pieces: Pieces) -> tuple[Floats, Floats]:
        """Gradient and Hessian in the free parameters."""
        found = self._free(eta)
        gradient, hessian, cell_gradient, _ = self._chain([f.jacobian for f in found], pieces)
        for part, derivative, cells in zip(self.slices, found, cell_gradient, strict=True):
            hessian[part, part] += derivative.curvature(cells)
        return gradient, hessian

    def natural(self, eta: Floats, pieces: Pieces) -> NaturalPieces:
        """Collect what inference needs, in the natural parameters."""
        found = [self.structure.natural(eta[part]) for part in self.slices]
        jacobians = [derivative.jacobian for _, derivative in found]
        _, hessian, cell_gradient, P = self._chain(jacobians, pieces)
        for part, (_, derivative), cells in zip(self.slices, found, cell_gradient, strict=True):
            hessian[part, part] += derivative.curvature(cells)
        return NaturalPieces(
            np.concatenate([theta for theta, _ in found]),
            self.structure.labels() * self.n_groups,
            P,
            hessian,
            tuple(jacobians),
            tuple(derivative.second for _, derivative in found),
            tuple(self.slices),
        )

    def _chain(
        self, jacobians: Sequence[Floats], pieces: Pieces
    ) -> tuple[Floats, Floats, list[Floats], Floats]:
        d, p = pieces.subjects.d, pieces.subjects.p
        G, B, A = pieces.half_gradient, pieces.curvature, pieces.A
        rows = pieces.subjects.group_starts
        members = [np.flatnonzero(pieces.subjects.group == g) for g in range(self.n_groups)]
        gradient = np.empty(self.q)
        first = np.empty((self.q, p))
        P = np.empty((self.q, p, p))
        hessian = np.zeros((self.q, self.q))
        cells = []
        for g, (part, jacobian) in enumerate(zip(self.slices, jacobians, strict=True)):
            J = jacobian.reshape(-1, d * d)
            cell = G[members[g]].sum(axis=0)
            cells.append(cell)
            gradient[part] = J @ cell.ravel()
            cross = A[members[g]].reshape(-1, d * d).T @ B[members[g]].reshape(-1, d * d)
            # tr(E A F B) = sum E_ab A_bc F_cd B_da
            four = cross.reshape(d, d, d, d).transpose(3, 0, 1, 2).reshape(d * d, d * d)
            half = J @ four @ J.T
            hessian[part, part] = 0.5 * (half + half.T) if len(members[g]) else 0.0
            U, Ar = pieces.U[rows[g] : rows[g + 1]], pieces.Ar[rows[g] : rows[g + 1]]
            flat = U.reshape(len(U), d * p)
            mixed = (flat.T @ Ar).reshape(d, p, d).transpose(0, 2, 1).reshape(d * d, p)
            first[part] = J @ mixed
            squared = (flat.T @ flat).reshape(d, p, d, p).transpose(0, 2, 1, 3)
            P[part] = (J @ squared.reshape(d * d, p * p)).reshape(-1, p, p)
        hessian -= first @ first.T
        if pieces.reml:
            flat_P = P.reshape(self.q, p * p)
            hessian -= 0.5 * flat_P @ flat_P.T
        return gradient, hessian, cells, P


class SpatialCovariance:
    """Spatial exponential covariance: every pattern has distances of its own."""

    def __init__(self, structure: SpatialExponential, subjects: Subjects) -> None:
        self.structure = structure
        self.subjects = subjects
        self.n_groups = subjects.n_groups
        self.q = structure.q * self.n_groups
        self.slices = [slice(g * structure.q, (g + 1) * structure.q) for g in range(self.n_groups)]
        self.members = [np.flatnonzero(subjects.group == g) for g in range(self.n_groups)]

    def on(self, subjects: Subjects) -> SpatialCovariance:
        """Return the same covariance model for other subjects."""
        return SpatialCovariance(self.structure, subjects)

    def sigma(self, eta: Floats) -> Floats:
        """Covariance of every pattern."""
        distance = self._distance()
        return np.concatenate(
            [
                self.structure.free(eta[part], distance[rows])[0]
                for part, rows in zip(self.slices, self.members, strict=True)
            ]
        )

    def _distance(self) -> Floats:
        distance = self.subjects.distance
        return np.empty(0) if distance is None else distance

    def derivatives(self, eta: Floats, pieces: Pieces) -> tuple[Floats, Floats]:
        """Gradient and Hessian in the free parameters."""
        distance = self._distance()
        found = [
            self.structure.free(eta[part], distance[rows])[1:]
            for part, rows in zip(self.slices, self.members, strict=True)
        ]
        gradient, hessian, _ = self._chain([f[0] for f in found], [f[1] for f in found], pieces)
        return gradient, hessian

    def natural(self, eta: Floats, pieces: Pieces) -> NaturalPieces:
        """Collect what inference needs, in the natural parameters."""
        distance = self._distance()
        found = [
            self.structure.natural(eta[part], distance[rows])
            for part, rows in zip(self.slices, self.members, strict=True)
        ]
        jacobians, seconds = [f[1] for f in found], [f[2] for f in found]
        _, hessian, P = self._chain(jacobians, seconds, pieces)
        return NaturalPieces(
            np.concatenate([f[0] for f in found]),
            self.structure.labels() * self.n_groups,
            P,
            hessian,
            tuple(jacobians),
            tuple(seconds),
            tuple(self.slices),
        )

    def _chain(
        self, jacobians: Sequence[Floats], seconds: Sequence[Floats], pieces: Pieces
    ) -> tuple[Floats, Floats, Floats]:
        p, subjects = pieces.subjects.p, pieces.subjects
        G, B, A = pieces.half_gradient, pieces.curvature, pieces.A
        gradient = np.empty(self.q)
        hessian = np.zeros((self.q, self.q))
        first = np.zeros((self.q, p))
        P = np.zeros((self.q, p, p))
        bounds = subjects.group_starts
        for g, part in enumerate(self.slices):
            members, E = self.members[g], jacobians[g]
            gradient[part] = np.einsum("khab,kab->h", E, G[members])
            EA, EB = E @ A[members, None], E @ B[members, None]
            half = np.einsum("khab,klba->hl", EA, EB)
            curve = np.einsum("khlab,kab->hl", seconds[g], G[members])
            hessian[part, part] = 0.5 * (half + half.T) + curve
            rows = slice(bounds[g], bounds[g + 1])
            U, Ar = pieces.U[rows], pieces.Ar[rows]
            own = subjects.pattern[rows] - (members[0] if len(members) else 0)
            flat = U.reshape(-1, p)
            for h in range(E.shape[1]):
                EU = E[own, h] @ U
                first[part.start + h] = np.einsum("nap,na->p", EU, Ar)
                P[part.start + h] = flat.T @ EU.reshape(-1, p)
        hessian -= first @ first.T
        if pieces.reml:
            flat_P = P.reshape(self.q, p * p)
            hessian -= 0.5 * flat_P @ flat_P.T
        return gradient, hessian, P


def inverse_factors(sigma: Floats, mask: np.ndarray) -> tuple[Floats, Floats]:
    """Inverse Cholesky factor (k, d, d) of every pattern, and its log-determinant (k,).

    Raises `numpy.linalg.LinAlgError` where a matrix is not positive definite.
    """
    both = mask[:, :, None] & mask[:, None, :]
    filled = np.where(both, sigma, np.eye(mask.shape[1]))
    factor = np.linalg.cholesky(filled)
    inverse = np.linalg.inv(factor) * mask[:, :, None]  # rows of missing visits drop out
    inverse = np.tril(inverse) * mask[:, None, :]
    log_determinant = 2 * np.log(np.einsum("kaa->ka", factor)).sum(axis=1)
    return inverse, log_determinant


class Likelihood:
    """Minus (restricted) log-likelihood as a function of the free covariance parameters."""

    def __init__(self, subjects: Subjects, covariance: Covariance, *, reml: bool) -> None:
        self.subjects = subjects
        self.covariance = covariance
        self.reml = reml
        self._flat = subjects.W.reshape(-1, subjects.p + 1)
        self._last: tuple[bytes, Solution] | None = None

    def value(self, eta: Floats) -> float:
        """Minus log-likelihood without constants; infinite where Sigma is not definite."""
        try:
            return self.solve(eta).value
        except np.linalg.LinAlgError:
            return float("inf")

    def evaluate(self, eta: Floats) -> Evaluation:
        """Value, gradient and Hessian; `numpy.linalg.LinAlgError` where Sigma is not definite."""
        solution = self.solve(eta)
        gradient, hessian = self.covariance.derivatives(eta, self._pieces(solution))
        return Evaluation(solution.value, gradient, hessian)

    def natural(self, eta: Floats) -> tuple[Solution, NaturalPieces]:
        """Solution at ``eta`` with what inference needs in the natural parameters."""
        solution = self.solve(eta)
        return solution, self.covariance.natural(eta, self._pieces(solution))

    def solve(self, eta: Floats) -> Solution:
        """Best coefficients and likelihood at ``eta``; the last solution is remembered."""
        key = eta.tobytes()
        if self._last is None or self._last[0] != key:
            self._last = (key, self._solve(eta))
        return self._last[1]

    def _solve(self, eta: Floats) -> Solution:
        subjects, p = self.subjects, self.subjects.p
        sigma = self.covariance.sigma(eta)
        if not np.isfinite(sigma).all():
            raise np.linalg.LinAlgError
        inverse, log_determinant = inverse_factors(sigma, subjects.mask)
        A = inverse.transpose(0, 2, 1) @ inverse
        AW = A[subjects.pattern] @ subjects.W
        gram = self._flat.T @ AW.reshape(-1, p + 1)
        value = float(subjects.count @ log_determinant)
        factor = np.linalg.cholesky(gram[:p, :p])
        inverse_factor = lapack.dtrtri(factor, lower=1)[0]
        part = inverse_factor @ gram[:p, p]
        value += float(gram[p, p] - part @ part)
        if self.reml:
            value += 2 * float(np.log(np.diag(factor)).sum())
        root = np.ascontiguousarray(inverse_factor.T)
        beta = root @ part
        U = (AW[:, :, :p].reshape(-1, p) @ root).reshape(len(AW), -1, p)
        return Solution(0.5 * value, beta, root, A, AW, U)

    def _pieces(self, solution: Solution) -> Pieces:
        subjects, p = self.subjects, self.subjects.p
        Ar = solution.AW[:, :, p] - solution.AW[:, :, :p] @ solution.beta
        spread = Ar[:, :, None] * Ar[:, None, :]
        if self.reml:
            spread += solution.U @ solution.U.transpose(0, 2, 1)
        AMA = np.add.reduceat(spread, subjects.starts, axis=0)
        return Pieces(subjects, solution.A, solution.U, Ar, AMA, self.reml)
