"""From out-of-fold risks to frames: metrics with limits, pairs of models, calibration, groups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from livertrack.endpoints import _bootstrap as boot
from livertrack.endpoints.kaplan_meier import kaplan_meier
from livertrack.endpoints.log_rank import log_rank
from livertrack.endpoints.prognosis._metrics import Outcome, Values, survival_metrics

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

METHOD = "out-of-fold; BCa over subjects"
#: metrics by which models are compared
COMPARED = ("harrell_c", "uno_c", "auc", "brier", "integrated_brier")
#: resamples in one go
_BLOCK = 250


class Estimates:
    """Metrics of all models, their resamples and jackknife on the same draws."""

    def __init__(
        self, outcome: Outcome, risks: Mapping[str, Matrix], n_boot: int, conf_level: float,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        n = len(outcome.time)
        self.n, self.conf_level, self.n_boot = n, conf_level, n_boot
        ones, left_out = np.ones((1, n)), 1 - np.eye(n)
        self.values = {k: survival_metrics(ones, outcome, r) for k, r in risks.items()}
        self.jack = {k: survival_metrics(left_out, outcome, r) for k, r in risks.items()}
        blocks: dict[str, list[Values]] = {k: [] for k in risks}
        for start in range(0, n_boot, _BLOCK):
            drawn = rng.multinomial(n, np.full(n, 1 / n), size=min(_BLOCK, n_boot - start))
            for name, r in risks.items():
                blocks[name].append(survival_metrics(drawn.astype(float), outcome, r))
        self.boots = {
            name: {
                key: np.concatenate([block[key] for block in found] or [np.zeros(0)])
                for key in self.values[name]
            }
            for name, found in blocks.items()
        }

    def table(self) -> pd.DataFrame:
        """One row per model, metric and horizon."""
        rows = []
        for name, values in self.values.items():
            for key, value in values.items():
                accel = boot.acceleration(self.jack[name][key], (self.n,))
                low, high = boot.bca_limits(
                    self.boots[name][key], float(value[0]), accel, self.conf_level
                )
                rows.append({
                    "model": name, "metric": key[0], "horizon": key[1],
                    "estimate": float(value[0]), "conf_low": low, "conf_high": high,
                    "p_value": math.nan, "chance": math.nan, "n": self.n, "method": METHOD,
                })  # fmt: skip
        return pd.DataFrame(rows)

    def comparison(self) -> pd.DataFrame:
        """One row per pair of models, metric and horizon."""
        columns = ["model_1", "model_2", "metric", "horizon", "estimate_1", "estimate_2",
                   "difference", "conf_low", "conf_high", "p_value", "n", "method"]  # fmt: skip
        rows = []
        for first, second in combinations(self.values, 2):
            for key in (k for k in self.values[first] if k[0] in COMPARED):
                one, two = (float(self.values[m][key][0]) for m in (first, second))
                boots = self.boots[first][key] - self.boots[second][key]
                accel = boot.acceleration(
                    self.jack[first][key] - self.jack[second][key], (self.n,)
                )
                low, high = boot.bca_limits(boots, one - two, accel, self.conf_level)
                rows.append([
                    first, second, *key, one, two, one - two, low, high,
                    boot.bca_p_value(boots, one - two, accel), self.n, f"paired; {METHOD}",
                ])  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def notes(self) -> list[str]:
        """Metrics that are not defined, and resamples without them."""
        found = []
        for name, values in self.values.items():
            blank = sorted({key[0] for key, value in values.items() if np.isnan(value[0])})
            if blank:
                found.append(f"{name}: {', '.join(blank)} not defined at some horizon")
            lost = max((int(np.isnan(b).sum()) for b in self.boots[name].values()), default=0)
            if lost and not blank:
                found.append(f"{name}: up to {lost} of {self.n_boot} resamples are not defined")
        return found


def calibration(
    outcome: Outcome, risks: Mapping[str, Matrix], n_groups: int, conf_level: float
) -> pd.DataFrame:
    """Mean risk and Kaplan-Meier share with an event by each horizon, in groups of equal size."""
    rows = []
    for name, risk in risks.items():
        for k, horizon in enumerate(outcome.horizons):
            group = _equal_groups(risk[:, k], n_groups)
            for number in np.unique(group):
                here = group == number
                share, low, high = _events_by(outcome, here, float(horizon), conf_level)
                rows.append({
                    "model": name, "horizon": float(horizon), "group": int(number) + 1,
                    "n": int(here.sum()), "predicted": float(risk[here, k].mean()),
                    "observed": share, "conf_low": low, "conf_high": high,
                })  # fmt: skip
    return pd.DataFrame(rows)


def risk_groups(
    outcome: Outcome, risks: Mapping[str, Matrix], n_groups: int, conf_level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Groups by the risk at the last horizon: a row each, and their Kaplan-Meier curves.

    Groups of one model are tested by the log-rank test; its p stands in each of its rows.
    """
    rows, curves = [], []
    last = len(outcome.horizons) - 1
    for name, risk in risks.items():
        group = _equal_groups(risk[:, last], n_groups)
        frame = pd.DataFrame({
            "AVAL": outcome.time, "CNSR": 1 - outcome.event.astype(int),
            "GROUP": [f"{g + 1} of {n_groups}" for g in group],
        })  # fmt: skip
        many = len(np.unique(group)) > 1
        p = float(log_rank(frame, arm="GROUP").table["p_value"].iloc[0]) if many else math.nan
        km = kaplan_meier(frame, arm="GROUP", conf_level=conf_level)
        curves.append(km.curve.rename(columns={"arm": "group"}).assign(model=name))
        for number in np.unique(group):
            here = group == number
            share, low, high = _events_by(outcome, here, outcome.tau, conf_level)
            rows.append({
                "model": name, "group": f"{number + 1} of {n_groups}", "n": int(here.sum()),
                "events": int(outcome.event[here].sum()), "horizon": outcome.tau,
                "predicted": float(risk[here, last].mean()), "observed": share,
                "conf_low": low, "conf_high": high, "p_value": p,
            })  # fmt: skip
    whole = pd.concat(curves, ignore_index=True)
    return pd.DataFrame(rows), whole[["model", *(c for c in whole if c != "model")]]


def _equal_groups(risk: Vector, n_groups: int) -> NDArray[np.int64]:
    """Groups of equal size by risk, from 0; equal risks share a group."""
    cuts = np.quantile(risk, np.arange(1, n_groups) / n_groups)
    return np.asarray(np.searchsorted(cuts, risk, side="left"), np.int64)


def _events_by(
    outcome: Outcome, here: NDArray[np.bool_], horizon: float, conf_level: float
) -> tuple[float, float, float]:
    """Kaplan-Meier share with an event by ``horizon`` and its log-log limits."""
    time, event = outcome.time[here], outcome.event[here]
    at = np.unique(time[event & (time <= horizon)])
    died = np.array([(event & (time == t)).sum() for t in at], float)
    n = np.array([(time >= t).sum() for t in at], float)
    free = float(np.prod(1 - died / n))
    if not 0 < free < 1:
        return 1 - free, math.nan, math.nan
    spread = math.sqrt(float((died / (n * (n - died))).sum()))
    width = float(norm.ppf((1 + conf_level) / 2)) * spread / abs(math.log(free))
    return 1 - free, 1 - free ** math.exp(-width), 1 - free ** math.exp(width)
