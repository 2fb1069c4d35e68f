"""Simulated trials with dropout, analysed by MMRM: the check of every power formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats

from livertrack._seeds import generator
from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm import mmrm
from livertrack.errors import DataError

_CHUNK = 50
_COLUMNS = ["estimate", "std_error", "df", "p_value", "conf_low", "conf_high"]


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

    The effect grows linearly over the visits to ``effect``. ``retention`` (d,), or (2, d) with the
    reference arm first. ``dropout_at_random`` > 0 makes the odds of leaving depend on the last
    response seen (log odds ratio per standard deviation): missing at random, not completely at
    random.
    Columns ``estimate, std_error, df, p_value, conf_low, conf_high``; NaN where the fit failed.
    """
    kept = np.broadcast_to(np.asarray(retention, float), (2, len(covariance)))
    parts = Parallel()(
        delayed(_chunk)(
            covariance, kept, effect, n_arm, n_ref, baseline_correlation, df,
            dropout_at_random, min(_CHUNK, n - start), generator(seed, "power", start),
        )
        for start in range(0, n, _CHUNK)
    )  # fmt: skip
    table: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return table


def simulated_row(found: pd.DataFrame, effect: float, alpha: float) -> dict[str, Any]:
    """Power with Monte Carlo limits (Wilson), mean standard error, bias, of the fits."""
    usable = found.dropna(subset=["p_value"])
    if usable.empty:
        nan = float("nan")
        return {"power": nan, "power_low": nan, "power_high": nan, "std_error": nan, "bias": nan,
                "n_failed": len(found)}  # fmt: skip
    hits = int((usable["p_value"] < alpha).sum())
    interval = stats.binomtest(hits, len(usable)).proportion_ci(method="wilson")
    return {
        "power": hits / len(usable),
        "power_low": float(interval.low),
        "power_high": float(interval.high),
        "std_error": float(usable["std_error"].mean()),
        "bias": float(usable["estimate"].mean() - effect),
        "n_failed": len(found) - len(usable),
    }


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
    rows = []
    for _ in range(n):
        base = rng.standard_normal(total)
        y = rng.standard_normal((total, d)) @ factor.T
        y += baseline_correlation * sd * base[:, None]
        y += effect * arm[:, None] * np.arange(1, d + 1) / d
        y[_left(y / sd, retention[arm], dropout_at_random, rng)] = np.nan
        frame = pd.DataFrame(
            {"ID": np.repeat(np.arange(total), d), "A": np.repeat(np.array(["r", "t"])[arm], d),
             "V": visit, "B": np.repeat(base, d), "Y": y.ravel()}
        )  # fmt: skip
        try:
            fit = mmrm(frame, formula, df=df)  # type: ignore[arg-type]
            by = ["V"] if d > 1 else []
            pairs = fit.contrasts(arm="A", reference="r", by=by)
            rows.append(pairs[_COLUMNS].iloc[-1].tolist())
        except (DataError, np.linalg.LinAlgError):
            rows.append([np.nan] * len(_COLUMNS))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _left(
    z: Floats, retention: Floats, dropout_at_random: float, rng: np.random.Generator
) -> np.ndarray:
    """Which records are missing: subjects leave for good, at random given what was seen."""
    n, d = z.shape
    gone = np.zeros((n, d), bool)
    before = np.column_stack([np.ones(n), retention[:, :-1]])
    hazard = 1 - retention / before
    for visit in range(d):
        if not (hazard[:, visit] > 0).any():
            continue
        chance = hazard[:, visit]
        if dropout_at_random and visit:
            with np.errstate(divide="ignore"):
                logit = np.log(chance / (1 - chance)) + dropout_at_random * z[:, visit - 1]
            chance = 1 / (1 + np.exp(-logit))
        gone[rng.random(n) < chance, visit:] = True
    return gone
