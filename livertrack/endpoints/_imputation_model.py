"""The imputation model: an MMRM, and draws of its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.linalg import solve_triangular

from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm._fit import Fitted, covariance_model, fit
from livertrack.endpoints.mmrm._likelihood import Likelihood, VisitCovariance
from livertrack.endpoints.mmrm._optimise import OPTIMIZERS, maximise
from livertrack.endpoints.mmrm._prepare import prepare
from livertrack.endpoints.mmrm._structures import Unstructured
from livertrack.endpoints.mmrm._subjects import Ints
from livertrack.endpoints.mmrm._terms import split_formula
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True)
class Parameters:
    """Coefficients, and the covariance over visits of every group."""

    beta: Floats
    sigma: tuple[Floats, ...]


@dataclass(frozen=True)
class ImputationModel:
    """A fitted MMRM with designs of all subjects at all visits.

    Attributes
    ----------
    fit : Fitted
    own, reference : ndarray (n, d, p)
        Design of every subject with the own arm, and as if in the reference arm.
    y : ndarray (n, d)
        Responses the model was fitted to; NaN where missing or set aside.
    arm, group, reference_group : ndarray (n,), int
        Arm of each subject, its covariance group and that of the reference arm.
    """

    fit: Fitted
    own: Floats
    reference: Floats
    y: Floats
    arm: Ints
    group: Ints
    reference_group: Ints

    @property
    def estimate(self) -> Parameters:
        """Restricted maximum likelihood estimates."""
        return Parameters(self.fit.beta, tuple(self.fit.matrices()))


def fit_model(
    grid: pd.DataFrame,
    formula: str,
    *,
    y: Floats,
    value: str,
    arm: str,
    reference: Any,
) -> ImputationModel:
    """Fit the model to ``grid`` (all subjects x visits, sorted) with responses ``y`` (n, d)."""
    fixed, term = split_formula(formula)
    if term.structure == "sp_exp":
        msg = "the imputation model needs a covariance over visits, not sp_exp"
        raise UsageError(msg)
    n, d = y.shape
    records = grid.assign(**{value: y.ravel()})
    prepared = prepare(records, fixed, term, None)
    if not prepared.kept.all() or len(prepared.visits) != d:
        msg = (
            "the imputation model cannot be estimated at every visit for every arm "
            f"({len(prepared.visits)} of {d} visits with records, "
            f"{int((~prepared.kept).sum())} aliased coefficients); drop visits or merge arms"
        )
        raise DataError(msg)
    fitted = fit(prepared, term.structure, reml=True, optimizers=OPTIMIZERS)
    design = prepared.frame.design
    own = design.matrix(grid).reshape(n, d, -1)
    as_reference = grid.assign(**{arm: reference})
    group = reference_group = np.zeros(n, np.int64)
    if term.group:
        codes = {level: code for code, level in enumerate(prepared.groups)}
        group = grid[term.group].map(codes).to_numpy(np.int64)[::d]
        reference_group = as_reference[term.group].map(codes).to_numpy(np.int64)[::d]
    swapped = design.matrix(as_reference).reshape(n, d, -1)
    arms = pd.factorize(grid[arm].iloc[::d].astype(str))[0].astype(np.int64)
    return ImputationModel(fitted, own, swapped, y, arms, group, reference_group)


def bootstrap_draws(
    model: ImputationModel, n: int, rng: np.random.Generator
) -> Iterator[Parameters]:
    """Approximate Bayesian draws: estimates of refits to resampled subjects, within arms."""
    data = model.fit.data
    strata = model.arm[~np.isnan(model.y).all(axis=1)]
    members = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    found = failed = 0
    while found < n:
        times = np.zeros(data.n_subjects, np.int64)
        for own in members:
            drawn = rng.integers(len(own), size=len(own))
            times[own] = np.bincount(drawn, minlength=len(own))
        parameters = refit(model.fit, times)
        if parameters is None:
            failed += 1
            if failed > n:
                msg = (
                    f"{failed} of {failed + found} bootstrap samples cannot be fitted; "
                    "use draws='bayes' or a simpler covariance"
                )
                raise DataError(msg)
            continue
        found += 1
        yield parameters


def refit(fitted: Fitted, times: Ints) -> Parameters | None:
    """Estimates when every subject of the fit counts ``times``; None where it cannot be fitted."""
    data = fitted.data
    by_row = np.empty_like(times)
    by_row[data.row_of_subject] = times
    subjects = data.subjects.resampled(by_row).compressed()
    covariance = fitted.covariance.on(subjects)
    likelihood = Likelihood(subjects, covariance, reml=fitted.reml)
    optimum = maximise(likelihood, fitted.optimum.eta, OPTIMIZERS[:1], tolerance=1e-6)
    if not optimum.converged:
        return None
    beta = data.scale * likelihood.solve(optimum.eta).beta + data.offset
    refitted = replace(fitted, covariance=covariance, optimum=optimum)
    return Parameters(np.asarray(solve_triangular(data.R, beta)), tuple(refitted.matrices()))


def bayes_draws(
    model: ImputationModel,
    n: int,
    rng: np.random.Generator,
    *,
    burn_in: int = 200,
    thin: int = 10,
) -> Iterator[Parameters]:
    """Bayesian draws by Gibbs sampling, prior flat in beta and |Sigma|^-(d+1)/2.

    In turn: beta given Sigma and the observed records; the missing records given both; Sigma of
    every group given the completed records (inverse Wishart). Starts at the REML estimate.
    """
    fitted = model.fit
    data = fitted.data
    if fitted.structure != "us":
        msg = f"draws='bayes' needs an unstructured covariance, not {fitted.structure}"
        raise UsageError(msg)
    blocks = data.compressed
    d = blocks.d
    covariance, _ = covariance_model(data, "us", blocks)
    if not isinstance(covariance, VisitCovariance) or not isinstance(
        covariance.structure, Unstructured
    ):
        msg = "draws='bayes' needs a covariance over visits"
        raise UsageError(msg)
    likelihood = Likelihood(blocks, covariance, reml=True)
    raw = data.subjects
    groups = raw.group[raw.pattern]
    counts = np.bincount(groups, minlength=raw.n_groups)
    if (counts <= d + data.kept.sum() / d).any():
        msg = f"a group has {counts.min()} subjects for {d} visits: too few for draws='bayes'"
        raise DataError(msg)
    sigma = [np.asarray(s) for s in covariance.matrices(fitted.optimum.eta)]
    X, y = raw.W[:, :, :-1], raw.W[:, :, -1]
    tril = (covariance.structure.row, covariance.structure.column)
    for step in range(burn_in + n * thin):
        eta = np.concatenate([np.linalg.cholesky(s)[tril] for s in sigma])
        solution = likelihood.solve(eta)
        beta = solution.beta + solution.root @ rng.standard_normal(len(solution.beta))
        residual = _completed_residuals(raw.pattern, raw.mask, y - X @ beta, sigma, raw.group, rng)
        sigma = [
            np.atleast_2d(
                stats.invwishart.rvs(
                    df=counts[g],
                    scale=residual[groups == g].T @ residual[groups == g],
                    random_state=rng,
                )
            )
            for g in range(raw.n_groups)
        ]
        if step >= burn_in and (step - burn_in) % thin == thin - 1:
            back = solve_triangular(data.R, data.scale * beta + data.offset)
            yield Parameters(np.asarray(back), tuple(data.scale**2 * s for s in sigma))


def _completed_residuals(
    pattern: Ints,
    mask: np.ndarray,
    residual: Floats,
    sigma: list[Floats],
    group: Ints,
    rng: np.random.Generator,
) -> Floats:
    """Residuals with the missing ones drawn given the observed ones."""
    completed = residual.copy()
    for number, seen in enumerate(mask):
        rows = np.flatnonzero(pattern == number)
        if seen.all():
            continue
        weight, root = conditional(sigma[group[number]], seen)
        noise = rng.standard_normal((len(rows), int((~seen).sum())))
        drawn = residual[np.ix_(rows, np.flatnonzero(seen))] @ weight.T + noise @ root.T
        completed[np.ix_(rows, np.flatnonzero(~seen))] = drawn
    return completed


def conditional(sigma: Floats, seen: np.ndarray) -> tuple[Floats, Floats]:
    """Regression of the missing visits on those ``seen``: weights and root of what is left."""
    a, b = np.flatnonzero(seen), np.flatnonzero(~seen)
    if len(a) == 0:
        return np.zeros((len(b), 0)), np.asarray(np.linalg.cholesky(sigma[np.ix_(b, b)]))
    weight = np.linalg.solve(sigma[np.ix_(a, a)], sigma[np.ix_(a, b)]).T
    left = sigma[np.ix_(b, b)] - weight @ sigma[np.ix_(a, b)]
    return np.asarray(weight), np.asarray(np.linalg.cholesky(0.5 * (left + left.T)))
