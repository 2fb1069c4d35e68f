"""The formula behind `power`: information of dropout patterns, sample size, detectable effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from livertrack.endpoints._design import Floats
from livertrack.errors import UsageError

_LARGEST = 1_000_000


@dataclass(frozen=True)
class TrialDesign:
    """Two arms, reference first.

    Attributes
    ----------
    covariance : ndarray (d, d)
        Of the response over visits, before adjusting for baseline.
    retention : ndarray (2, d)
        Share of the randomised subjects of each arm with a record at each visit.
    allocation : float
        Subjects in the other arm for one in the reference arm.
    """

    covariance: Floats
    retention: Floats
    allocation: float
    alpha: float
    baseline_correlation: float

    @property
    def residual(self) -> Floats:
        """Covariance left after adjusting for baseline."""
        return self.covariance * (1 - self.baseline_correlation**2)

    @property
    def inflation(self) -> Floats:
        """Variance of the last visit's mean per subject randomised, with dropout (2,).

        Subjects leave for good; a pattern of the first k visits has the share
        retention[k] - retention[k + 1], and the information of its visits.
        """
        return np.array([_last_variance(self.residual, kept) for kept in self.retention])

    def arm_size(self, n_ref: float) -> int:
        """Subjects of the other arm, rounded up."""
        return math.ceil(self.allocation * n_ref - 1e-9)

    def std_error(self, n_ref: float) -> float:
        """Standard error of the difference at the last visit."""
        reference, other = self.inflation
        return math.sqrt(reference / n_ref + other / self.arm_size(n_ref))

    def df(self, n_ref: float) -> float:
        """Subjects expected at the last visit less the coefficients of its ANCOVA."""
        seen = n_ref * self.retention[0, -1] + self.arm_size(n_ref) * self.retention[1, -1]
        return float(seen - 2 - (self.baseline_correlation != 0))

    def power(self, effect: float, n_ref: float, distribution: str) -> float:
        """Power of the two-sided test (both tails); NaN without degrees of freedom."""
        shift = abs(effect) / self.std_error(n_ref)
        if distribution == "normal":
            z = stats.norm.ppf(1 - self.alpha / 2)
            return float(stats.norm.sf(z - shift) + stats.norm.cdf(-z - shift))
        df = self.df(n_ref)
        if df <= 0:
            return float("nan")
        t = stats.t.ppf(1 - self.alpha / 2, df)
        return float(stats.nct.sf(t, df, shift) + np.nan_to_num(stats.nct.cdf(-t, df, shift)))

    def size(self, effect: float, wanted: float, distribution: str) -> int:
        """Smallest reference arm with the power wanted."""
        if effect == 0:
            msg = "power: no sample size finds an effect of 0"
            raise UsageError(msg)
        low, high = 0, 1
        while not self.power(effect, high, distribution) >= wanted:
            low, high = high, high * 2
            if high > _LARGEST:
                msg = (
                    f"power: more than {_LARGEST} subjects per arm needed for an effect of "
                    f"{effect:g}"
                )
                raise UsageError(msg)
        while high - low > 1:
            middle = (low + high) // 2
            if self.power(effect, middle, distribution) >= wanted:
                high = middle
            else:
                low = middle
        return high

    def detectable(self, n_ref: int, wanted: float, distribution: str) -> float:
        """Smallest effect found with the power wanted."""
        top = 25 * self.std_error(n_ref)
        for _ in range(20):  # with one degree of freedom the t distribution has long tails
            if self.power(top, n_ref, distribution) > wanted:
                break
            top *= 2
        if not self.power(top, n_ref, distribution) > wanted:
            msg = f"power: no effect is detectable with {n_ref} subjects in the reference arm"
            raise UsageError(msg)
        found = optimize.brentq(
            lambda e: self.power(e, n_ref, distribution) - wanted, 0.0, top, xtol=1e-12 * top
        )
        return float(found)


def _last_variance(sigma: Floats, retention: Floats) -> float:
    """Variance per subject of the mean at the last visit."""
    d = len(sigma)
    information = np.zeros((d, d))
    shares = retention - np.append(retention[1:], 0.0)
    for last, share in enumerate(shares, start=1):
        information[:last, :last] += share * np.linalg.inv(sigma[:last, :last])
    return float(np.linalg.inv(information)[-1, -1])


def make_trial(
    sd: float | Sequence[float], correlation: Any, structure: str, retention: Sequence[float],
    retention_arm: Sequence[float] | None, allocation: float, baseline_correlation: float,
    alpha: float,
) -> TrialDesign:  # fmt: skip
    """Check the arguments of `power`, all at once, and put them together."""
    kept = np.asarray(retention, float)
    other = kept if retention_arm is None else np.asarray(retention_arm, float)
    d = kept.size
    rho = np.asarray(correlation, float)
    if rho.ndim == 0:
        lag = np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
        if structure not in ("cs", "ar1"):
            msg = f"structure={structure!r}: choose 'cs' or 'ar1', or give a correlation matrix"
            raise UsageError(msg)
        rho = float(rho) ** lag if structure == "ar1" else np.where(lag == 0, 1.0, float(rho))
    spread = np.full(d, float(np.asarray(sd))) if np.ndim(sd) == 0 else np.asarray(sd, float)
    problems = []
    if kept.ndim != 1 or d == 0 or other.shape != kept.shape:
        problems.append("retention needs one share per visit, at least one, the same for arms")
    elif rho.shape != (d, d) or spread.shape != (d,):
        problems.append(f"retention has {d} visits; sd and correlation must have as many")
    elif not np.isfinite(rho).all() or not np.allclose(rho, rho.T) or not _is_correlation(rho):
        problems.append("correlation is not positive definite with ones on the diagonal")
    both = np.concatenate([kept.ravel(), other.ravel()])
    falling = all((np.diff(part) <= 0).all() for part in (kept.ravel(), other.ravel()))
    if not falling or not ((both > 0) & (both <= 1)).all():
        problems.append("retention must be shares above 0, not increasing")
    if not (np.isfinite(spread) & (spread > 0)).all() or not 0 < allocation < math.inf:
        problems.append("sd and allocation must be above 0")
    if not 0 < alpha < 1 or not -1 < baseline_correlation < 1:
        problems.append("alpha and baseline_correlation must be proportions")
    if problems:
        raise UsageError("power: " + "; ".join(problems))
    return TrialDesign(
        np.outer(spread, spread) * rho, np.stack([kept, other]), float(allocation), float(alpha),
        float(baseline_correlation),
    )  # fmt: skip


def _is_correlation(rho: Floats) -> bool:
    return bool(np.allclose(np.diag(rho), 1) and np.linalg.eigvalsh(rho)[0] > 1e-12)
