"""Sandwich covariance of the coefficients over subjects: CR0, CR2 (bias-reduced), CR3 (jackknife).

In the whitened model (L^-1 of each subject's covariance applied) with hat matrix blocks H_ii,
residuals are multiplied by I (CR0), (I - H_ii)^(-1/2) (CR2) or (I - H_ii)^-1 (CR3).
Satterthwaite df follow Bell & McCaffrey under the working model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm._likelihood import inverse_factors

if TYPE_CHECKING:
    from livertrack.endpoints.mmrm._fit import Fitted


@dataclass(frozen=True)
class Sandwich:
    """``centre`` C with Var(L beta) = m' C m; whitened design and its adjusted form by subject."""

    centre: Floats
    X: Floats  # (n, d, p), columns times root
    adjusted: Floats  # (n, d, p)

    def df(self, m: Floats) -> Floats:
        """Bell-McCaffrey df of every row of ``m``.

        The variance estimator is a quadratic form with matrix G'G,
        G'G = diag(z_i' z_i) - Y Y', z_i = adjusted_i m, y_i = X_i' z_i;
        df = trace^2 / sum of squares.
        """
        found = np.empty(len(m))
        for row, combination in enumerate(m):
            z = self.adjusted @ combination
            y = np.einsum("nap,na->np", self.X, z)
            size = np.einsum("na,na->n", z, z)
            inside = np.einsum("np,np->n", y, y)
            gram = y.T @ y
            squares = float((size**2).sum() - 2 * (size * inside).sum() + (gram**2).sum())
            found[row] = float((size - inside).sum()) ** 2 / squares
        return found


def sandwich(fit: Fitted, kind: str) -> Sandwich:
    """Empirical covariance of ``kind`` CR0, CR2 or CR3."""
    subjects, p = fit.data.subjects, fit.p
    sigma = fit.covariance.sigma(fit.optimum.eta)
    inverse, _ = inverse_factors(sigma, subjects.mask)
    Z = inverse[subjects.pattern] @ subjects.W
    residual = Z[:, :, p] - Z[:, :, :p] @ fit.solution.beta
    X = Z[:, :, :p] @ fit.solution.root
    adjusted = X
    if kind != "CR0":
        blocks = np.eye(subjects.d) - X @ X.transpose(0, 2, 1)
        values, axes = np.linalg.eigh(blocks)
        usable = values > 1e-10
        power = -0.5 if kind == "CR2" else -1.0
        factor = np.where(usable, np.where(usable, values, 1.0) ** power, 0.0)
        adjustment = (axes * factor[:, None, :]) @ axes.transpose(0, 2, 1)
        adjusted = adjustment @ X
    score = np.einsum("nap,na->np", adjusted, residual)
    return Sandwich(score.T @ score, X, adjusted)
