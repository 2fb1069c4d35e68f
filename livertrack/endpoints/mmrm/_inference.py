"""Standard errors and degrees of freedom of linear combinations of the coefficients.

With m = root' L' the variance of L beta is m' m, and the sensitivity of it to the natural
parameter h is m' P_h m, with P_h and root as in `_likelihood`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm._empirical import Sandwich, sandwich
from livertrack.endpoints.mmrm._fit import Fitted
from livertrack.errors import UsageError

DF_METHODS = (
    "satterthwaite", "kenward-roger", "kenward-roger-linear", "between-within", "residual",
)  # fmt: skip
VCOV_METHODS = ("model", "CR0", "CR2", "CR3")


@dataclass(frozen=True)
class JointTest:
    """An F test of several combinations at once."""

    statistic: float
    df_num: int
    df_den: float
    p_value: float


class Inference:
    """Inference of one fit by one method of degrees of freedom and one covariance."""

    def __init__(self, fit: Fitted, *, df: str, vcov: str) -> None:
        if df not in DF_METHODS:
            msg = f"df={df!r}: choose one of {', '.join(DF_METHODS)}"
            raise UsageError(msg)
        if vcov not in VCOV_METHODS:
            msg = f"vcov={vcov!r}: choose one of {', '.join(VCOV_METHODS)}"
            raise UsageError(msg)
        self.is_kr = df.startswith("kenward-roger")
        if self.is_kr and not fit.reml:
            msg = f"df={df!r} needs method='reml'; use 'satterthwaite' with maximum likelihood"
            raise UsageError(msg)
        if self.is_kr and vcov != "model":
            msg = f"df={df!r} adjusts the model covariance; with vcov={vcov!r} use 'satterthwaite'"
            raise UsageError(msg)
        self.fit, self.df, self.vcov = fit, df, vcov

    @cached_property
    def centre(self) -> Floats:
        """C with Var(L beta) = m' C m: identity, KR-adjusted, or the sandwich."""
        if self.is_kr:
            return kenward_roger_centre(self.fit, linear=self.df.endswith("linear"))
        if self.vcov != "model":
            return self._sandwich.centre
        return np.eye(self.fit.p)

    @cached_property
    def _sandwich(self) -> Sandwich:
        return sandwich(self.fit, self.vcov)

    def covariance(self) -> Floats:
        """Covariance matrix of the estimated coefficients."""
        eye = np.zeros((self.fit.p, len(self.fit.data.kept)))
        eye[np.arange(self.fit.p), np.flatnonzero(self.fit.data.kept)] = 1.0
        m = self.fit.reduce(eye)
        return np.asarray(self.fit.data.scale**2 * (m @ self.centre @ m.T))

    def single(self, L: Floats) -> tuple[Floats, Floats, Floats]:
        """Estimate, standard error and df of every row of ``L``; a zero row has NaN df."""
        m = self.fit.reduce(L)
        estimate = L[:, self.fit.data.kept] @ self.fit.beta
        variance = np.einsum("rp,ps,rs->r", m, self.centre, m)
        error = self.fit.data.scale * np.sqrt(np.maximum(variance, 0.0))
        nonzero = np.asarray(np.abs(L).max(axis=1, initial=0.0) > 0)
        df = np.full(len(L), np.nan)
        if nonzero.any():
            df[nonzero] = self._df(L[nonzero], m[nonzero])
        return estimate, error, df

    def joint(self, L: Floats) -> JointTest:
        """Test all rows of ``L`` together."""
        m = self.fit.reduce(L)
        estimate = L[:, self.fit.data.kept] @ self.fit.beta / self.fit.data.scale
        values, axes = np.linalg.eigh(m @ self.centre @ m.T)
        values, axes = values[::-1], axes[:, ::-1]
        rank = int((values > 1.5e-8 * max(values[0], 0.0)).sum())
        if rank == 0:
            return JointTest(float("nan"), 0, float("nan"), float("nan"))
        turned = axes[:, :rank].T
        F = float(((turned @ estimate) ** 2 / values[:rank]).sum() / rank)
        factor = 1.0
        if self.is_kr:
            df, factor = kenward_roger_df(self.fit, turned @ m)
        elif self.df == "satterthwaite":
            df = _fai_cornelius(self._df(turned @ L, turned @ m))
        else:
            involved = np.abs(L).max(axis=0, keepdims=True)
            df = float(self._df(involved, turned[:1] @ m)[0])
        F *= factor
        p_value = float(special.fdtrc(rank, df, F))
        return JointTest(F, rank, float(df), p_value)

    def _df(self, L: Floats, m: Floats) -> Floats:
        methods: dict[str, Callable[[], Floats]] = {
            "residual": lambda: np.full(len(L), float(self.fit.n_obs - self.fit.p)),
            "between-within": lambda: between_within(self.fit, L),
        }
        if self.df in methods:
            return methods[self.df]()
        if self.vcov != "model":
            return self._sandwich.df(m)
        return satterthwaite(self.fit, m)


def satterthwaite(fit: Fitted, m: Floats) -> Floats:
    """Give df = 2 v^2 / (g' W g) of every row, v = m' m its variance, g its gradient in theta."""
    variance = np.einsum("rp,rp->r", m, m)
    P = fit.natural.P
    gradient = np.einsum("hrp,rp->rh", m @ P, m)
    return np.asarray(
        2 * variance**2 / np.einsum("rh,hl,rl->r", gradient, fit.theta_vcov, gradient)
    )


def _fai_cornelius(df: Floats) -> float:
    """Denominator df of an F made of independent squared t statistics with their own df."""
    if len(df) == 1 or np.ptp(df) < 1.5e-8:
        return float(df.mean())
    if (df <= 2).any():
        return 2.0
    expected = float((df / (df - 2)).sum())
    return 2 * expected / (expected - len(df))


def kenward_roger_centre(fit: Fitted, *, linear: bool) -> Floats:
    """Adjust the covariance between root and root': I + 2 sum W_hl (Q_hl - P_h P_l - R_hl / 4)."""
    W, P = fit.theta_vcov, fit.natural.P
    subjects = fit.data.compressed
    inner = np.empty((len(subjects.mask), subjects.d, subjects.d))
    for g, part in enumerate(fit.natural.slices):
        members = np.flatnonzero(subjects.group == g)
        block, J = W[part, part], fit.natural.jacobians[g]
        second = fit.natural.seconds[g]
        A = fit.solution.A[members]
        if J.ndim == 3:  # the same derivatives for every pattern
            d = subjects.d
            flat = J.reshape(len(J), d * d)
            four = (flat.T @ block @ flat).reshape(d, d, d, d).transpose(0, 3, 1, 2)
            inner[members] = (A.reshape(-1, d * d) @ four.reshape(d * d, d * d).T).reshape(A.shape)
            if second is not None and not linear:
                inner[members] -= 0.25 * np.tensordot(block, second, axes=2)
        else:
            weighted = np.einsum("hl,klcd->khcd", block, J)
            inner[members] = np.einsum("khab,kbc,khcd->kad", J, A, weighted, optimize=True)
            if second is not None and not linear:
                inner[members] -= 0.25 * np.einsum("hl,khlab->kab", block, second)
    U = fit.solution.U
    spread = inner[subjects.pattern] @ U
    Q = U.reshape(-1, fit.p).T @ spread.reshape(-1, fit.p)
    weighted_P = np.tensordot(W, P, axes=1)
    PP = np.einsum("hpr,hrs->ps", P, weighted_P, optimize=True)
    adjustment = Q - PP
    return np.asarray(np.eye(fit.p) + adjustment + adjustment.T)


def kenward_roger_df(fit: Fitted, m: Floats) -> tuple[float, float]:
    """Denominator df and scale of F of Kenward & Roger (1997) for the rows of ``m``."""
    rows = len(m)
    if rows == 1:
        return float(satterthwaite(fit, m)[0]), 1.0
    basis = np.linalg.qr(m.T)[0]
    inside = basis.T @ fit.natural.P @ basis
    trace = np.einsum("haa->h", inside)
    a1 = float(trace @ fit.theta_vcov @ trace)
    a2 = float(np.einsum("hl,hab,lba->", fit.theta_vcov, inside, inside, optimize=True))
    b = (a1 + 6 * a2) / (2 * rows)
    g = ((rows + 1) * a1 - (rows + 4) * a2) / ((rows + 2) * a2)
    denominator = 3 * rows + 2 * (1 - g)
    c1, c2, c3 = g / denominator, (rows - g) / denominator, (rows + 2 - g) / denominator
    expected = 1 / (1 - a2 / rows)
    variance = 2 / rows * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
    rho = variance / (2 * expected**2)
    df = 4 + (rows + 2) / (rows * rho - 1)
    return df, df / (expected * (df - 2))


def between_within(fit: Fitted, L: Floats) -> Floats:
    """Smallest df of the coefficients involved: between or within subjects.

    A coefficient is "between" when its column of the design does not change within any subject.
    """
    data = fit.data
    X = data.frame.X[:, data.kept]
    first = np.searchsorted(data.subject, np.arange(data.n_subjects))
    constant = (X[first][data.subject] == X).all(axis=0)
    names = [n for n, keep in zip(data.frame.design.names, data.kept, strict=True) if keep]
    intercept = np.array([name == "(Intercept)" for name in names])
    between = constant & ~intercept
    n_between = data.n_subjects - int(between.sum()) - int(intercept.sum())
    n_within = fit.n_obs - data.n_subjects - int((~constant & ~intercept).sum())
    df = np.where(between, float(n_between), float(n_within))
    reduced = np.abs(L[:, data.kept])
    involved = reduced > 1e-12 * reduced.max(axis=1, keepdims=True)  # more than rounding
    return np.asarray(np.where(involved, df, np.inf).min(axis=1))
