"""Sample size and power of a two-arm trial analysed by MMRM or ANCOVA, with dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import optimize, stats

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm import mmrm
from livertrack.errors import DataError, UsageError

_CHUNK = 50
_LARGEST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Power(Result):
    """Result of `power`.

    ``table``: one row: ``method, n_arm, n_ref, n, effect, power, std_error`` (of the estimated
    difference), ``alpha``; with simulation also ``power_low, power_high`` (95 % Monte Carlo
    limits), ``bias`` of the estimate and ``n_failed``.
    """

    keys: ClassVar[tuple[str, ...]] = ("method",)
    context: ClassVar[str] = "power"


@dataclass(frozen=True)
class _Trial:
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
    def inflation(self) -> float:
        """Variance of the last visit's mean per subject randomised, with dropout.

        Subjects leave for good; a pattern of the first k visits has the share
        retention[k] - retention[k + 1], and the information of its visits.
        """
        d = len(self.residual)
        information = np.zeros((d, d))
        shares = self.retention - np.append(self.retention[1:], 0.0)
        for last, share in enumerate(shares, start=1):
            information[:last, :last] += share * np.linalg.inv(self.residual[:last, :last])
        return float(np.linalg.inv(information)[-1, -1])

    def std_error(self, n_ref: float) -> float:
        """Standard error of the difference at the last visit."""
        return math.sqrt(self.inflation * (1 / n_ref + 1 / (self.allocation * n_ref)))

    def power(self, effect: float, n_ref: float, distribution: str) -> float:
        """Power of the two-sided test (both tails)."""
        shift = abs(effect) / self.std_error(n_ref)
        if distribution == "normal":
            z = stats.norm.ppf(1 - self.alpha / 2)
            return float(stats.norm.sf(z - shift) + stats.norm.cdf(-z - shift))
        adjusted = 2 + (self.baseline_correlation != 0)
        df = n_ref * (1 + self.allocation) * self.retention[-1] - adjusted
        if df <= 0:
            return float("nan")
        t = stats.t.ppf(1 - self.alpha / 2, df)
        if shift > 30:  # the noncentral t loses its digits there, and the power is one
            return 1.0
        return float(stats.nct.sf(t, df, shift) + np.nan_to_num(stats.nct.cdf(-t, df, shift)))


def power(
    *,
    sd: float | Sequence[float],
    effect: float | None = None,
    n_ref: int | None = None,
    power: float | None = None,
    correlation: float | Any = 0.0,
    structure: Literal["cs", "ar1"] = "cs",
    retention: Sequence[float] = (1.0,),
    allocation: float = 1.0,
    baseline_correlation: float = 0.0,
    alpha: float = 0.05,
    distribution: Literal["t", "normal"] = "t",
    method: Literal["formula", "simulation"] = "formula",
    df: Literal["kenward-roger", "satterthwaite"] = "kenward-roger",
    n_simulations: int = 1000,
    seed: int | None = None,
) -> Power:
    """Power, sample size or detectable effect of the difference at the last visit.

    Give two of ``effect``, ``n_ref`` and ``power``; the third is found. One visit is ANCOVA.

    Parameters
    ----------
    sd : float or sequence of float
        Standard deviation of the response, at every visit or by visit.
    effect : float
        Difference at the last visit, in the unit of ``sd``.
    n_ref : int
        Subjects randomised to the reference arm; the other arm has ``allocation`` times as many.
    power : float
        Wanted power, a proportion.
    correlation : float or matrix
        Between visits: one number for ``structure`` ``cs`` (all pairs) or ``ar1`` (neighbours), or
        the correlation matrix.
    retention : sequence of float
        Share of the randomised subjects with a record at each visit, not increasing.
    baseline_correlation : float
        Correlation of the response with a baseline covariate in the model.
    alpha : float
        Two-sided significance level.
    distribution : {"t", "normal"}
        Reference distribution of the formula; ``normal`` is that of Lu, Luo & Chen.
    method : {"formula", "simulation"}
        ``simulation`` fits an unstructured MMRM (``df``) to simulated trials of the size given
        or found by the formula, with dropout completely at random.
    n_simulations, seed : int
        Simulated trials; the seed is needed for them.

    Returns
    -------
    Power
        ``.table`` one row; ``n`` counts subjects randomised.

    Notes
    -----
    Formula: the information of every dropout pattern, weighted by its share; its inverse gives
    the variance of the last visit's mean per subject. Sample sizes are rounded up per arm.
    Source: Lu, Luo & Chen (2008), Int J Biostat 4(1), Art. 9.
    Checked against: the complete-data t test (statsmodels ``TTestIndPower``), its own simulation,
    and the closed form for compound symmetry at two visits.
    """
    trial = _trial(sd, correlation, structure, retention, allocation, baseline_correlation, alpha)
    given = [name for name, value in (("effect", effect), ("n_ref", n_ref), ("power", power))
             if value is not None]  # fmt: skip
    if len(given) != 2:
        msg = f"power: give two of effect, n_ref and power; got {', '.join(given) or 'none'}"
        raise UsageError(msg)
    if power is not None and not alpha < power < 1:
        msg = f"power is a proportion between alpha and 1, got {power!r}"
        raise UsageError(msg)
    if n_ref is None and effect is not None and power is not None:
        n_ref = _size(trial, effect, power, distribution)
    if effect is None and n_ref is not None and power is not None:
        effect = _detectable(trial, n_ref, power, distribution)
    if effect is None or n_ref is None:
        msg = "power: effect and n_ref could not be found"
        raise UsageError(msg)
    n_arm = math.ceil(allocation * n_ref - 1e-9)
    row: dict[str, Any] = {
        "method": method, "n_arm": n_arm, "n_ref": int(n_ref), "n": n_arm + int(n_ref),
        "effect": float(effect), "power": trial.power(effect, n_ref, distribution),
        "std_error": trial.std_error(n_ref), "alpha": alpha,
    }  # fmt: skip
    notes: tuple[str, ...] = ()
    if method == "simulation":
        if seed is None:
            msg = "power: simulation needs a seed"
            raise UsageError(msg)
        found = simulate_trials(
            trial.covariance, trial.retention, effect=effect, n_arm=n_arm, n_ref=int(n_ref),
            baseline_correlation=baseline_correlation, df=df, n=n_simulations, seed=seed,
        )  # fmt: skip
        row.update(_simulated_row(found, effect, alpha))
        if row["n_failed"]:
            notes = (f"{row['n_failed']} of {n_simulations} simulated trials could not be fitted",)
    table = pd.DataFrame([row])
    text = (
        f"{row['n_ref']} subjects in the reference arm and {row['n_arm']} in the other have "
        f"{row['power']:.1%} power to find a difference of {row['effect']:.3g} at the last visit "
        f"(two-sided alpha {alpha:g})."
    )
    settings = {
        "method": method, "sd": np.sqrt(np.diag(trial.covariance)).tolist(),
        "retention": list(map(float, retention)), "allocation": allocation,
        "baseline_correlation": baseline_correlation, "distribution": distribution,
        "given": given, "df": df, "n_simulations": n_simulations, "seed": seed,
    }  # fmt: skip
    return Power(table=table, text=text, settings=settings, notes=notes)


def simulate_trials(
    covariance: Floats,
    retention: Floats,
    *,
    effect: float,
    n_arm: int,
    n_ref: int,
    baseline_correlation: float = 0.0,
    df: str = "kenward-roger",
    dropout_at_random: float = 0.0,
    n: int,
    seed: int,
) -> pd.DataFrame:
    """MMRM results of the last visit in ``n`` simulated trials, for any number of workers.

    The effect grows linearly over the visits to ``effect``. ``dropout_at_random`` > 0 makes the
    odds of leaving depend on the last response seen (log odds ratio per standard deviation):
    missing at random, not completely at random.
    Columns ``estimate, std_error, df, p_value, conf_low, conf_high``; NaN where the fit failed.
    """
    parts = Parallel()(
        delayed(_chunk)(
            covariance, retention, effect, n_arm, n_ref, baseline_correlation, df,
            dropout_at_random, min(_CHUNK, n - start), generator(seed, "power", start),
        )
        for start in range(0, n, _CHUNK)
    )  # fmt: skip
    table: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return table


def _chunk(
    covariance: Floats, retention: Floats, effect: float, n_arm: int, n_ref: int,
    baseline_correlation: float, df: str, dropout_at_random: float, n: int,
    rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    d = len(covariance)
    total = n_arm + n_ref
    arm = np.repeat([0, 1], [n_ref, n_arm])
    factor = np.linalg.cholesky(covariance * (1 - baseline_correlation**2))
    sd = np.sqrt(np.diag(covariance))
    visit = np.tile([f"V{number:02d}" for number in range(1, d + 1)], total)
    formula = "Y ~ B * V + A * V + us(V | ID)" if d > 1 else "Y ~ B + A + us(V | ID)"
    if baseline_correlation == 0:
        formula = formula.replace("B * V + ", "").replace("B + ", "")
    columns = ["estimate", "std_error", "df", "p_value", "conf_low", "conf_high"]
    rows = []
    for _ in range(n):
        base = rng.standard_normal(total)
        y = rng.standard_normal((total, d)) @ factor.T
        y += baseline_correlation * sd * base[:, None]
        y += effect * arm[:, None] * np.arange(1, d + 1) / d
        y[_left(y / sd, retention, dropout_at_random, rng)] = np.nan
        frame = pd.DataFrame(
            {"ID": np.repeat(np.arange(total), d), "A": np.repeat(np.array(["r", "t"])[arm], d),
             "V": visit, "B": np.repeat(base, d), "Y": y.ravel()}
        )  # fmt: skip
        try:
            fit = mmrm(frame, formula, df=df)  # type: ignore[arg-type]
            by = ["V"] if d > 1 else []
            rows.append(fit.contrasts(arm="A", reference="r", by=by)[columns].iloc[-1].tolist())
        except DataError:
            rows.append([np.nan] * len(columns))
    return pd.DataFrame(rows, columns=columns)


def _left(
    z: Floats, retention: Floats, dropout_at_random: float, rng: np.random.Generator
) -> np.ndarray:
    """Which records are missing: subjects leave for good, at random given what was seen."""
    n, d = z.shape
    gone = np.zeros((n, d), bool)
    stay = np.append(retention[0], retention[1:] / np.maximum(retention[:-1], 1e-300))
    for visit in range(d):
        hazard = 1 - stay[visit]
        if hazard <= 0:
            out = np.zeros(n, bool)
        elif dropout_at_random == 0 or visit == 0:
            out = rng.random(n) < hazard
        else:
            logit = np.log(hazard / (1 - hazard)) + dropout_at_random * z[:, visit - 1]
            out = rng.random(n) < 1 / (1 + np.exp(-logit))
        gone[out, visit:] = True
    return gone


def _trial(
    sd: float | Sequence[float], correlation: Any, structure: str, retention: Sequence[float],
    allocation: float, baseline_correlation: float, alpha: float,
) -> _Trial:  # fmt: skip
    kept = np.asarray(retention, float)
    d = len(kept)
    rho = np.asarray(correlation, float)
    if rho.ndim == 0:
        lag = np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
        if structure not in ("cs", "ar1"):
            msg = f"structure={structure!r}: choose 'cs' or 'ar1', or give a correlation matrix"
            raise UsageError(msg)
        rho = float(rho) ** lag if structure == "ar1" else np.where(lag == 0, 1.0, float(rho))
    spread = np.broadcast_to(np.asarray(sd, float), d) if np.ndim(sd) == 0 else np.asarray(sd)
    problems = []
    if rho.shape != (d, d) or spread.shape != (d,):
        problems.append(f"retention has {d} visits; sd and correlation must have as many")
    elif not np.allclose(rho, rho.T) or np.linalg.eigvalsh(rho)[0] <= 0:
        problems.append("correlation is not positive definite")
    if d == 0 or (np.diff(kept) > 0).any() or (kept <= 0).any() or (kept > 1).any():
        problems.append("retention must be shares above 0, not increasing")
    if (spread <= 0).any() or allocation <= 0:
        problems.append("sd and allocation must be above 0")
    if not 0 < alpha < 1 or not -1 < baseline_correlation < 1:
        problems.append("alpha and baseline_correlation must be proportions")
    if problems:
        raise UsageError("power: " + "; ".join(problems))
    covariance = np.outer(spread, spread) * rho
    return _Trial(covariance, kept, float(allocation), float(alpha), float(baseline_correlation))


def _size(trial: _Trial, effect: float, wanted: float, distribution: str) -> int:
    if effect == 0:
        msg = "power: no sample size finds an effect of 0"
        raise UsageError(msg)
    low, high = 1, 2
    while not trial.power(effect, high, distribution) >= wanted:
        low, high = high, high * 2
        if high > _LARGEST:
            msg = f"power: more than {_LARGEST} subjects per arm needed for an effect of {effect}"
            raise UsageError(msg)
    while high - low > 1:
        middle = (low + high) // 2
        if trial.power(effect, middle, distribution) >= wanted:
            high = middle
        else:
            low = middle
    return high


def _detectable(trial: _Trial, n_ref: int, wanted: float, distribution: str) -> float:
    top = 25 * trial.std_error(n_ref)
    if not trial.power(top, n_ref, distribution) > wanted:
        msg = f"power: no effect is detectable with {n_ref} subjects in the reference arm"
        raise UsageError(msg)
    found = optimize.brentq(lambda e: trial.power(e, n_ref, distribution) - wanted, 0.0, top)
    return float(found)


def _simulated_row(found: pd.DataFrame, effect: float, alpha: float) -> dict[str, Any]:
    usable = found.dropna(subset=["p_value"])
    hits = int((usable["p_value"] < alpha).sum())
    interval = stats.binomtest(hits, max(len(usable), 1)).proportion_ci(method="wilson")
    return {
        "power": hits / len(usable) if len(usable) else float("nan"),
        "power_low": float(interval.low),
        "power_high": float(interval.high),
        "std_error": float(usable["std_error"].mean()),
        "bias": float(usable["estimate"].mean() - effect),
        "n_failed": len(found) - len(usable),
    }
