"""Operating characteristics: coverage of every interval, error rate of every test, by simulation.

Every simulated trial has a random stream of its own, named by its scenario and its number: the
first hundred trials of a full run are those of a short one, on any number of workers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from datetime import date
from importlib import resources

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.validation._scenario import Claim, Scenario
from livertrack.validation.simulations import scenarios

SEED = 20261121
#: simulated trials whose outcomes are kept one by one in the table, to compare runs exactly
OPENING = 20
#: chance that a method which keeps its promise lies outside the band
BAND = 0.001
#: simulated trials a worker does in one go; the results do not depend on it
_BATCH = 25
_RELEASED = "operating_characteristics.csv"


def operating_characteristics(
    *,
    names: Sequence[str] | None = None,
    n: int | None = None,
    seed: int = SEED,
    measured: date | None = None,
) -> pd.DataFrame:
    """Simulate trials with a known truth and count how often each method is right.

    Runs under the caller's ``joblib.parallel_config``; the numbers do not depend on it.

    Parameters
    ----------
    names : sequence of str, optional
        Scenarios of the registry; all by default.
    n : int, optional
        At most this many trials per scenario; by default the number of the scenario.
    seed : int
    measured : date, optional
        Written into the table; default: none.

    Returns
    -------
    DataFrame
        One row per claim: ``family, method, quantity, kind, setting, n`` (simulated trials),
        ``n_missing`` (trials without an answer, left out), ``estimate`` (proportion),
        ``mc_error`` (its Monte Carlo standard error), ``nominal, bound, band_low, band_high``
        (99.9 % Monte Carlo band around the nominal value), ``verdict`` (``inside``,
        ``conservative``, ``liberal``, or for power ``higher``, ``lower``), ``note``, ``opening``
        (the first trials one by one), ``scenario, key, seed, version, date``.

    Notes
    -----
    Denominator: simulated trials in which the method gave an answer.
    """
    from livertrack import __version__

    chosen = _chosen(names)
    jobs = [
        (scenario, start, min(start + _BATCH, count))
        for scenario in chosen
        for count in [scenario.n if n is None else min(n, scenario.n)]
        for start in range(0, count, _BATCH)
    ]
    done = Parallel()(
        delayed(_batch)(scenario.name, start, stop, seed) for scenario, start, stop in jobs
    )
    found: dict[str, list[NDArray[np.float64]]] = {}
    for (scenario, _, _), outcomes in zip(jobs, done, strict=True):
        found.setdefault(scenario.name, []).append(outcomes)
    rows = []
    for scenario in chosen:
        outcomes = np.concatenate(found[scenario.name])
        for place, claim in enumerate(scenario.claims):
            rows.append(
                {
                    "family": scenario.family, "method": claim.method,
                    "quantity": claim.quantity, "kind": claim.kind, "setting": scenario.setting,
                    **_summary(outcomes[:, place], claim),
                    "note": claim.note, "opening": _opening(outcomes[:, place]),
                    "scenario": scenario.name, "key": claim.key, "seed": seed,
                    "version": __version__, "date": measured.isoformat() if measured else "",
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def released_characteristics() -> pd.DataFrame:
    """Return the table of the full run that was made for this release."""
    text = resources.files(__package__).joinpath(_RELEASED)
    with text.open(encoding="utf-8") as stream:
        words = ["note", "opening", "date", "version", "key"]
        numbers = ["estimate", "mc_error", "band_low", "band_high"]
        return pd.read_csv(
            stream, dtype=dict.fromkeys(words, "str"), keep_default_na=False,
            na_values={key: [""] for key in numbers},
        )  # fmt: skip


def compare_with_release(measured: pd.DataFrame, released: pd.DataFrame) -> pd.DataFrame:
    """Set a run beside the table of the release.

    Returns
    -------
    DataFrame
        One row per measured claim: ``scenario, key, released, measured, difference, tolerance``
        (99.9 % of the difference, 0 when every trial is the same), ``same_trials`` (the first
        trials came out alike), ``passed``.
    """
    keys = ["scenario", "key"]
    both = measured.merge(released, on=keys, how="left", suffixes=("", "_released"))
    z = float(stats.norm.ppf(1 - BAND / 2))
    # the shorter run is a part of the longer one where the seed is the same
    short = np.minimum(both["n"], both["n_released"])
    p = both["estimate_released"].clip(0.5 / short, 1 - 0.5 / short)
    tolerance = z * np.sqrt(p * (1 - p) / short)
    difference = both["estimate"] - both["estimate_released"]
    same = np.array([
        a[: min(len(a), len(b))] == b[: min(len(a), len(b))] if isinstance(b, str) else False
        for a, b in zip(both["opening"], both["opening_released"], strict=True)
    ], dtype=bool)  # fmt: skip
    return both[keys].assign(
        released=both["estimate_released"], measured=both["estimate"], difference=difference,
        tolerance=tolerance, same_trials=same, passed=same & (difference.abs() <= tolerance),
    )  # fmt: skip


def _chosen(names: Sequence[str] | None) -> list[Scenario]:
    listed = {scenario.name: scenario for scenario in scenarios()}
    unknown = [name for name in names or () if name not in listed]
    if unknown:
        msg = f"no simulation is called {', '.join(map(repr, unknown))}"
        raise UsageError(msg)
    return [scenario for name, scenario in listed.items() if names is None or name in names]


def _batch(name: str, start: int, stop: int, seed: int) -> NDArray[np.float64]:
    """Outcomes (trials, claims) of some trials of a scenario."""
    scenario = next(one for one in scenarios() if one.name == name)
    rows = []
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(start, stop):
            outcome = scenario.draw(generator(seed, "operating characteristics", name, number))
            rows.append([float(outcome[claim.key]) for claim in scenario.claims])
    return np.array(rows, dtype=float).reshape(stop - start, len(scenario.claims))


def _summary(outcomes: NDArray[np.float64], claim: Claim) -> dict[str, float | int | str]:
    values = outcomes[~np.isnan(outcomes)]
    n = len(values)
    estimate = float(values.mean()) if n else math.nan
    spread = float(values.std()) if n else math.nan
    low, high = _band(claim.nominal, values)
    return {
        "n": len(outcomes), "n_missing": len(outcomes) - n, "estimate": estimate,
        "mc_error": spread / math.sqrt(n) if n else math.nan,
        "nominal": claim.nominal, "bound": claim.bound, "band_low": low, "band_high": high,
        "verdict": _verdict(estimate, low, high, claim),
    }  # fmt: skip


def _band(nominal: float, values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the estimate lies with 99.9 % if the truth is the nominal value."""
    n = len(values)
    if n == 0:
        return math.nan, math.nan
    if np.isin(values, (0.0, 1.0)).all():
        low, high = stats.binom.interval(1 - BAND, n, nominal)
        return float(low) / n, float(high) / n
    half = float(stats.norm.ppf(1 - BAND / 2)) * float(values.std()) / math.sqrt(n)
    return nominal - half, nominal + half


def _verdict(estimate: float, low: float, high: float, claim: Claim) -> str:
    if math.isnan(estimate):
        return "not estimable"
    below = estimate < low and claim.bound != "at most"
    above = estimate > high and claim.bound != "at least"
    if not (below or above):
        return "inside"
    if claim.kind == "power":
        return "higher" if above else "lower"
    # an interval that covers too rarely and a test that rejects too often are liberal
    return "liberal" if above != (claim.kind == "coverage") else "conservative"


def _opening(outcomes: NDArray[np.float64]) -> str:
    """Outcomes of the first trials: 1 yes, 0 no, - no answer."""
    marks = np.where(np.isnan(outcomes), "-", np.where(outcomes > 0, "1", "0"))
    return "".join(marks[:OPENING])
