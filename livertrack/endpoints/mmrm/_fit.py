"""Fitting an MMRM to prepared data, or saying why it cannot be fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular

from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm._likelihood import (
    Covariance,
    Likelihood,
    NaturalPieces,
    Solution,
    SpatialCovariance,
    VisitCovariance,
)
from livertrack.endpoints.mmrm._optimise import Optimum, best_of
from livertrack.endpoints.mmrm._prepare import Prepared
from livertrack.endpoints.mmrm._structures import SpatialExponential, make_structure
from livertrack.endpoints.mmrm._subjects import Subjects
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True)
class Fitted:
    """A converged fit; ``solution`` and ``natural`` on the scale of the engine."""

    data: Prepared
    reml: bool
    structure: str
    covariance: Covariance
    optimum: Optimum
    solution: Solution
    natural: NaturalPieces

    @property
    def n_obs(self) -> int:
        """Number of analysed records."""
        return len(self.data.frame.y)

    @property
    def p(self) -> int:
        """Number of estimated coefficients."""
        return int(self.data.kept.sum())

    @property
    def beta(self) -> Floats:
        """Estimated coefficients (without aliased ones)."""
        combined = self.data.scale * self.solution.beta + self.data.offset
        return np.asarray(solve_triangular(self.data.R, combined))

    @property
    def loglik(self) -> float:
        """(Restricted) log-likelihood with the constants of SAS and R."""
        n, p = self.n_obs, self.p
        value = -self.solution.value + 0.5 * float(np.log(self.data.weights).sum())
        dimension = n - p if self.reml else n
        value -= dimension * (0.5 * np.log(2 * np.pi) + np.log(self.data.scale))
        if self.reml:  # log|X'V^-1X| in the columns of X, not of Q
            value -= float(np.log(np.abs(np.diag(self.data.R))).sum())
        return float(value)

    @cached_property
    def theta_vcov(self) -> Floats:
        """Covariance of the natural parameters: inverse observed information (engine scale)."""
        return np.asarray(np.linalg.inv(self.natural.information), np.float64)

    def reduce(self, L: Floats) -> Floats:
        """Turn combinations of all coefficients into rows m: L Phi L' = m m' (engine scale)."""
        LQ = solve_triangular(self.data.R, L[:, self.data.kept].T, trans="T").T
        return np.asarray(LQ @ self.solution.root)

    def matrices(self) -> list[Floats]:
        """Covariance matrix over visits of every group; empty where it is spatial."""
        if not isinstance(self.covariance, VisitCovariance):
            return []
        scale = self.data.scale**2
        return [scale * sigma for sigma in self.covariance.matrices(self.optimum.eta)]


def fit(data: Prepared, structure: str, *, reml: bool, optimizers: Sequence[str]) -> Fitted:
    """Maximise the likelihood of ``data`` under ``structure``; `DataError` where it fails."""
    blocks = data.compressed
    covariance, start = covariance_model(data, structure, blocks)
    likelihood = Likelihood(blocks, covariance, reml=reml)
    further = further_starts(covariance, start)
    optimum = best_of(likelihood, start, further, optimizers, every=structure != "us")
    if not optimum.converged:
        raise DataError(_failure(data, structure, optimum))
    solution, natural = likelihood.natural(optimum.eta)
    if not _is_interior(natural):
        edge = "a correlation or variance ends at its limit"
        raise DataError(_failure(data, structure, replace(optimum, reason=edge)))
    return Fitted(data, reml, structure, covariance, optimum, solution, natural)


def covariance_model(
    data: Prepared, structure: str, blocks: Subjects
) -> tuple[Covariance, Floats]:
    """Covariance of ``blocks`` and the start of its free parameters."""
    if structure == "sp_exp":
        if blocks.distance is None:
            msg = "sp_exp needs numeric coordinates: sp_exp(VISITN | USUBJID)"
            raise UsageError(msg)
        positive = blocks.distance[blocks.distance > 0]
        distance = float(np.median(positive)) if positive.size else 1.0
        spatial = SpatialExponential()
        start = [spatial.start(float(np.diag(m).mean()), distance) for m in data.moments]
        return SpatialCovariance(spatial, blocks), np.concatenate(start)
    _check_identified(data, structure)
    visit = make_structure(structure, blocks.d)
    return VisitCovariance(visit, blocks), np.concatenate([visit.start(m) for m in data.moments])


def _is_interior(natural: NaturalPieces) -> bool:
    """Whether the likelihood is curved in all natural parameters, as at an optimum inside."""
    if not np.isfinite(natural.information).all():
        return False
    unit = np.sqrt(np.maximum(np.diag(natural.information), 0.0))
    if not (unit > 0).all():
        return False
    curvature = np.linalg.eigvalsh(natural.information / np.outer(unit, unit))
    return bool(curvature[0] > 1e-12)


def further_starts(covariance: Covariance, start: Floats) -> list[Floats]:
    """Starts beside ``start``, each other in the parameters of one group or of all."""
    if not isinstance(covariance, (VisitCovariance, SpatialCovariance)):
        return []
    by_group = [covariance.structure.others(start[part]) for part in covariance.slices]
    found = [np.concatenate(parts) for parts in zip(*by_group, strict=True)]
    if covariance.n_groups > 1:
        for part, others in zip(covariance.slices, by_group, strict=True):
            for other in others[1:]:
                turned = start.copy()
                turned[part] = other
                found.append(turned)
    return found


def _check_identified(data: Prepared, structure: str) -> None:
    """Parameters that no subject informs are an error naming the visits."""
    d = len(data.visits)
    for g, joint in enumerate(data.joint):
        where = f" in {data.term.group} {data.groups[g]}" if data.term.group else ""
        if (np.diag(joint) == 0).any():
            absent = [str(v) for v, n in zip(data.visits, np.diag(joint), strict=True) if n == 0]
            if structure in ("us", "toeph", "ar1h", "csh", "adh"):
                msg = (
                    f"{structure}: no record at {', '.join(absent)}{where}; "
                    "drop the group, or use a covariance with one variance (toep, ar1, cs)"
                )
                raise DataError(msg)
        if structure == "us" and d > 1:
            pairs = [
                f"{data.visits[a]} and {data.visits[b]}"
                for a in range(d) for b in range(a) if joint[a, b] == 0
            ]  # fmt: skip
            if pairs:
                msg = (
                    f"us: no subject{where} has records at both {'; '.join(pairs[:5])}"
                    f"{' ...' if len(pairs) > 5 else ''} ({len(pairs)} pair(s)), so that their "
                    "covariance cannot be estimated; try toeph, ar1h or csh"
                )
                raise DataError(msg)
        elif d > 1 and structure != "us" and np.triu(joint, 1).sum() == 0:
            msg = (
                f"{structure}: no subject{where} has more than one record, so that correlations "
                "cannot be estimated; use ANCOVA by visit"
            )
            raise DataError(msg)

        if structure in ("toep", "toeph"):
            lags = [lag for lag in range(1, d) if not np.diagonal(joint, lag).any()]
            if lags:
                msg = (
                    f"{structure}: no subject{where} has records {', '.join(map(str, lags))} "
                    "visits apart, so that this correlation cannot be estimated; "
                    "try ar1h, csh or ad"
                )
                raise DataError(msg)


def _failure(data: Prepared, structure: str, optimum: Optimum) -> str:
    simpler = {
        "us": "toeph, ar1h or csh", "toeph": "ar1h or csh", "adh": "ar1h or csh",
        "toep": "ar1 or cs", "ar1h": "csh or ar1", "csh": "cs", "ad": "ar1 or cs",
    }.get(structure, "another covariance")  # fmt: skip
    counts = np.array([np.diag(joint) for joint in data.joint]).sum(axis=0)
    named = data.visits if len(data.visits) == len(counts) else range(1, len(counts) + 1)
    records = ", ".join(f"{v}: {int(n)}" for v, n in zip(named, counts, strict=False))
    return (
        f"the MMRM with {structure} covariance did not converge after "
        f"{', '.join(optimum.tried)} ({optimum.reason}; squared distance from the optimum "
        f"{optimum.decrement:.2g} standard errors){_suspects(data, len(optimum.eta))}; "
        f"try {simpler}; records by visit: {records}"
    )


def _suspects(data: Prepared, n_parameters: int) -> str:
    """What in the data explains that the likelihood has no optimum."""
    response, y = data.frame.design.response, data.frame.y
    found = []
    for place, visit in enumerate(data.visits if not data.is_spatial else ()):
        own = y[data.position == place]
        if len(own) > 1 and np.ptp(own) == 0:
            found.append(f"{response} does not vary at {visit}")
    subjects = np.bincount(data.group_of_subject, minlength=len(data.groups))
    each = n_parameters // len(data.groups)
    for group, n in zip(data.groups, subjects, strict=True):
        if n <= each:
            where = f" of {data.term.group} {group}" if data.term.group else ""
            found.append(f"{each} covariance parameters for {n} subject(s){where}")
    return "".join(f"; {fact}" for fact in found)
