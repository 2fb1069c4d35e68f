"""Maximising the likelihood: exact Newton first, other optimizers where it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm._likelihood import Likelihood

#: optimizers in the order in which they are tried
OPTIMIZERS = ("newton", "trust-exact", "bfgs", "nelder-mead")
#: Newton decrement (squared distance from the optimum in standard errors) before the last step;
#: Newton's method squares it, so that the step leaves about 1e-20
TOLERANCE = 1e-10
_MAX_ITERATIONS = 100
_MAX_STEP = 2.0


@dataclass(frozen=True)
class Optimum:
    """Where an optimizer ended.

    ``decrement`` = g' H^-1 g, the squared distance from the optimum in standard errors, before
    the last step; ``smallest`` the smallest curvature relative to the largest; ``tried`` lists
    the optimizers, the last one made ``eta``.
    """

    eta: Floats
    converged: bool
    decrement: float
    smallest: float
    iterations: int
    tried: tuple[str, ...]
    reason: str


def best_of(
    likelihood: Likelihood,
    start: Floats,
    further: Sequence[Floats],
    optimizers: Sequence[str],
    *,
    every: bool,
) -> Optimum:
    """Best optimum from ``start`` and ``further`` starts.

    Newton's method runs from ``start``, then from the others: all of them if ``every``, else
    until one converges. Other optimizers follow where none does.
    """
    found: list[tuple[float, Optimum]] = []
    if optimizers[0] == "newton":
        for eta in (start, *further):
            optimum = _newton(likelihood, _inside(likelihood, eta), ("newton",), TOLERANCE)
            if optimum.converged:
                found.append((likelihood.value(optimum.eta), optimum))
                if not every:
                    break
    if not found:
        return maximise(likelihood, start, optimizers)
    best = found[0]
    for other in found[1:]:
        if other[0] < best[0] - 1e-8 * max(abs(best[0]), 1.0):
            best = other
    return best[1]


def _inside(likelihood: Likelihood, eta: Floats) -> Floats:
    """``eta`` shrunk until its covariance is positive definite."""
    for _ in range(30):
        if np.isfinite(likelihood.value(eta)):
            break
        eta = 0.8 * eta
    return eta


def maximise(
    likelihood: Likelihood,
    start: Floats,
    optimizers: Sequence[str],
    *,
    tolerance: float = TOLERANCE,
) -> Optimum:
    """Try ``optimizers`` in order; each but Newton itself is finished by Newton steps."""
    tried: list[str] = []
    best: Optimum | None = None
    for name in optimizers:
        tried.append(name)
        eta = start if name == "newton" else _other(likelihood, start, name)
        found = _newton(likelihood, eta, tuple(tried), tolerance)
        if best is None or found.converged:
            best = found
        if found.converged:
            break
    if best is None:
        msg = "no optimizer given"
        raise ValueError(msg)
    return best if best.converged else Optimum(**{**vars(best), "tried": tuple(tried)})


def _newton(
    likelihood: Likelihood, start: Floats, tried: tuple[str, ...], tolerance: float
) -> Optimum:
    """Newton's method with negative curvature turned round and steps halved until they gain."""
    eta = start
    try:
        here = likelihood.evaluate(eta)
    except np.linalg.LinAlgError:
        return Optimum(eta, False, np.inf, -np.inf, 0, tried, "the start is not positive definite")
    decrement, smallest, reason = np.inf, -np.inf, "too many iterations"
    for iteration in range(_MAX_ITERATIONS):
        if not (np.isfinite(here.gradient).all() and np.isfinite(here.hessian).all()):
            reason = "the likelihood is not finite"
            break
        unit = np.sqrt(np.maximum(np.abs(np.diag(here.hessian)), 1e-300))  # frees of scale
        curvature, axes = np.linalg.eigh(here.hessian / np.outer(unit, unit))
        top = max(float(np.abs(curvature).max(initial=0)), 1e-300)
        smallest = float(curvature.min(initial=top)) / top
        along = axes.T @ (here.gradient / unit)
        scaled = along / np.maximum(np.abs(curvature), 1e-9 * top)
        decrement = float(along @ scaled)
        step = -(axes @ scaled) / unit
        if decrement < tolerance and smallest > 1e-10:
            return Optimum(eta + step, True, decrement, smallest, iteration + 1, tried, "")
        step *= min(1.0, _MAX_STEP / max(float(np.abs(step).max(initial=0)), 1e-300))
        moved = _search(likelihood, eta, step, here.value, float(here.gradient @ step))
        if moved is None:
            reason = "no step gains"
            if decrement < 1e-8 and smallest > 1e-10:  # rounding, not failure
                return Optimum(eta, True, decrement, smallest, iteration, tried, "")
            break
        eta = moved
        here = likelihood.evaluate(eta)
    if smallest <= 1e-10:
        reason = "the likelihood is flat or curved upwards in some direction"
    return Optimum(eta, False, decrement, smallest, _MAX_ITERATIONS, tried, reason)


def _search(
    likelihood: Likelihood, eta: Floats, step: Floats, value: float, slope: float
) -> Floats | None:
    """Halve ``step`` until minus the log-likelihood falls enough; None where it never does."""
    rounding = 1e-12 * max(abs(value), 1.0)
    if abs(slope) < rounding:  # the gain is below rounding: trust the step
        return eta + step if np.isfinite(likelihood.value(eta + step)) else None
    length = 1.0
    for _ in range(40):
        trial = eta + length * step
        if likelihood.value(trial) <= value + 1e-4 * length * slope + rounding:
            return trial
        length *= 0.5
    return None


def _other(likelihood: Likelihood, start: Floats, name: str) -> Floats:
    """Run an optimizer of scipy from ``start``; the best parameters it found."""
    last: dict[bytes, tuple[float, Floats, Floats]] = {}

    def at(eta: Floats) -> tuple[float, Floats, Floats]:
        key = eta.tobytes()
        if key not in last:
            last.clear()
            try:
                found = likelihood.evaluate(eta)
                last[key] = (found.value, found.gradient, found.hessian)
            except np.linalg.LinAlgError:
                q = len(eta)
                last[key] = (1e100, np.zeros(q), np.eye(q))
        return last[key]

    methods: dict[str, Callable[[], optimize.OptimizeResult]] = {
        "trust-exact": lambda: optimize.minimize(
            lambda e: at(e)[0], start, jac=lambda e: at(e)[1], hess=lambda e: at(e)[2],
            method="trust-exact", options={"gtol": 1e-8, "maxiter": 200},
        ),
        "bfgs": lambda: optimize.minimize(
            lambda e: at(e)[0], start, jac=lambda e: at(e)[1], method="BFGS",
            options={"gtol": 1e-8, "maxiter": 300},
        ),
        "nelder-mead": lambda: optimize.minimize(
            lambda e: min(likelihood.value(e), 1e100), start, method="Nelder-Mead",
            options={"maxiter": 1000, "maxfev": 1000, "xatol": 1e-8, "fatol": 1e-10},
        ),
    }  # fmt: skip
    try:
        return np.asarray(methods[name]().x, float)
    except (np.linalg.LinAlgError, ValueError):
        return start
