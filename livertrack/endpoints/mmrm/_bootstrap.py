"""Refitting an MMRM to resampled subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from joblib import Parallel, delayed
from scipy.linalg import solve_triangular

from livertrack._seeds import generator
from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm._likelihood import Likelihood
from livertrack.endpoints.mmrm._optimise import OPTIMIZERS, maximise
from livertrack.endpoints.mmrm._subjects import Ints

if TYPE_CHECKING:
    from livertrack.endpoints.mmrm._fit import Fitted

_CHUNK = 100
#: squared distance from the optimum, in standard errors, before the last step of a refit
_TOLERANCE = 1e-6


def bootstrap(fit: Fitted, n: int, *, seed: int, strata: Ints | None) -> Floats:
    """Coefficients (n x kept) of refits to subjects drawn with replacement within ``strata``.

    A sample in which the model cannot be fitted is a row of NaN. The samples are made in chunks
    with a seed of their own, so that the numbers do not depend on the number of workers.
    """
    chunks = range(0, n, _CHUNK)
    parts = Parallel()(
        delayed(_chunk)(fit, min(_CHUNK, n - start), seed, start, strata) for start in chunks
    )
    return np.concatenate(parts)


def _chunk(fit: Fitted, n: int, seed: int, start: int, strata: Ints | None) -> Floats:
    rng = generator(seed, "mmrm.bootstrap", start)
    groups = np.zeros(fit.data.n_subjects, np.int64) if strata is None else strata
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    return np.array([refit(fit, _draw(members, fit, rng)) for _ in range(n)])


def _draw(members: list[np.ndarray], fit: Fitted, rng: np.random.Generator) -> Ints:
    """How often each subject (in the order of their codes) is drawn."""
    times = np.zeros(fit.data.n_subjects, np.int64)
    for own in members:
        times[own] = np.bincount(rng.integers(len(own), size=len(own)), minlength=len(own))
    return times


def refit(fit: Fitted, times: Ints) -> Floats:
    """Coefficients when every subject counts ``times``; NaN where the model cannot be fitted."""
    by_row = np.empty_like(times)
    by_row[fit.data.row_of_subject] = times
    subjects = fit.data.subjects.resampled(by_row).compressed()
    covariance = fit.covariance.on(subjects)
    likelihood = Likelihood(subjects, covariance, reml=fit.reml)
    optimum = maximise(likelihood, fit.optimum.eta, OPTIMIZERS[:1], tolerance=_TOLERANCE)
    if not optimum.converged:
        return np.full(fit.p, np.nan)
    beta = fit.data.scale * likelihood.solve(optimum.eta).beta + fit.data.offset
    return np.asarray(solve_triangular(fit.data.R, beta))
