"""Sample size and power of a two-arm trial analysed by MMRM or ANCOVA, with dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._design import Floats
from livertrack.endpoints._power_design import make_trial
from livertrack.endpoints._power_simulation import simulate_trials, simulated_row
from livertrack.errors import UsageError

__all__ = ["Power", "power", "simulate_trials"]


@dataclass(frozen=True, kw_only=True)
class Power(Result):
    """Result of `power`.

    ``table``: one row: ``method, n_arm, n_ref, n, effect, power, std_error`` (of the estimated
    difference), ``alpha``; with simulation also ``power_low, power_high`` (95 % Monte Carlo
    limits), ``bias`` of the estimate and ``n_failed``.
    """

    keys: ClassVar[tuple[str, ...]] = ("method",)
    context: ClassVar[str] = "power"


def power(
    *,
    sd: float | Sequence[float],
    effect: float | None = None,
    n_ref: int | None = None,
    power: float | None = None,
    correlation: float | Any = 0.0,
    structure: Literal["cs", "ar1"] = "cs",
    retention: Sequence[float] = (1.0,),
    retention_arm: Sequence[float] | None = None,
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
    retention_arm : sequence of float, optional
        That of the other arm where it differs from the reference arm's.
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
    The t distribution has the subjects expected at the last visit less the coefficients of its
    ANCOVA as degrees of freedom; with fewer than one the power is NaN, with a note.
    Checked against: tables 1 and 2 of Lu, Luo & Chen and R longpower 1.0.27; base R
    ``power.t.test(strict = TRUE)`` and noncentral t with variance 1 - rho^2
    (tests/reference/power.R); its own simulation.
    """
    trial = make_trial(
        sd, correlation, structure, retention, retention_arm, allocation, baseline_correlation,
        alpha,
    )  # fmt: skip
    if distribution not in ("t", "normal") or method not in ("formula", "simulation"):
        msg = f"power: distribution {distribution!r} or method {method!r} is not known"
        raise UsageError(msg)
    given = [name for name, value in (("effect", effect), ("n_ref", n_ref), ("power", power))
             if value is not None]  # fmt: skip
    if len(given) != 2:
        msg = f"power: give two of effect, n_ref and power; got {', '.join(given) or 'none'}"
        raise UsageError(msg)
    if power is not None and not alpha < power < 1:
        msg = f"power is a proportion between alpha and 1, got {power!r}"
        raise UsageError(msg)
    if n_ref is not None and (n_ref < 1 or int(n_ref) != n_ref):
        msg = f"power: n_ref is a number of subjects, got {n_ref!r}"
        raise UsageError(msg)
    if effect is not None and not math.isfinite(effect):
        msg = f"power: effect is a number, got {effect!r}"
        raise UsageError(msg)
    if n_ref is None and effect is not None and power is not None:
        n_ref = trial.size(effect, power, distribution)
    if effect is None and n_ref is not None and power is not None:
        effect = trial.detectable(n_ref, power, distribution)
    if effect is None or n_ref is None:
        msg = "power: effect and n_ref could not be found"
        raise UsageError(msg)
    n_arm = trial.arm_size(n_ref)
    row: dict[str, Any] = {
        "method": method, "n_arm": n_arm, "n_ref": int(n_ref), "n": n_arm + int(n_ref),
        "effect": float(effect), "power": trial.power(effect, n_ref, distribution),
        "std_error": trial.std_error(n_ref), "alpha": alpha,
    }  # fmt: skip
    notes: list[str] = []
    if method == "formula" and math.isnan(row["power"]):
        notes.append("too few subjects: no degrees of freedom are left at the last visit")
    if method == "simulation":
        if seed is None:
            msg = "power: simulation needs a seed"
            raise UsageError(msg)
        found = simulate_trials(
            trial.covariance, trial.retention, effect=effect, n_arm=n_arm, n_ref=int(n_ref),
            baseline_correlation=baseline_correlation, df=df, n=n_simulations, seed=seed,
        )  # fmt: skip
        row.update(simulated_row(found, effect, alpha))
        if row["n_failed"]:
            notes.append(
                f"{row['n_failed']} of {n_simulations} simulated trials could not be fitted"
            )
    table = pd.DataFrame([row])
    text = (
        f"{row['n_ref']} subjects in the reference arm and {row['n_arm']} in the other have "
        f"{row['power']:.1%} power to find a difference of {row['effect']:.3g} at the last visit "
        f"(two-sided alpha {alpha:g})."
    )
    settings = {
        "method": method, "sd": np.sqrt(np.diag(trial.covariance)).tolist(),
        "correlation": _correlation(trial.covariance), "retention": trial.retention[0].tolist(),
        "retention_arm": trial.retention[1].tolist(), "allocation": allocation,
        "baseline_correlation": baseline_correlation, "distribution": distribution,
        "given": given, "df": df, "n_simulations": n_simulations, "seed": seed,
    }  # fmt: skip
    return Power(table=table, text=text, settings=settings, notes=tuple(notes))


def _correlation(covariance: Floats) -> list[list[float]]:
    sd = np.sqrt(np.diag(covariance))
    correlation: list[list[float]] = (covariance / np.outer(sd, sd)).tolist()
    return correlation
