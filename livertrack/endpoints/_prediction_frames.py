"""From out-of-fold predictions to the frames of a report: metrics, curves, tables, pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from livertrack.endpoints import _bootstrap as boot
from livertrack.endpoints._delong import paired_difference, placements
from livertrack.endpoints._metrics import PRIMARY, metrics, nearest_level, primary
from livertrack.endpoints._splits import Problem

Vector = NDArray[np.float64]

METHOD = "out-of-fold; BCa over subjects"
#: metrics by which feature sets are compared
COMPARED = {
    "binary": ("auc", "accuracy", "brier"),
    "ordinal": ("concordance", "quadratic_kappa", "mae"),
    "continuous": ("r2", "r", "mae"),
}
_PROPORTIONS = ("accuracy", "sensitivity", "specificity")


class Estimates:
    """Metrics of all feature sets, their resamples and jackknife on the same draws."""

    def __init__(
        self, problem: Problem, predicted: Mapping[str, Vector], n_boot: int, conf_level: float,
        threshold: float, rng: np.random.Generator, *, by_level: bool = False,
    ) -> None:  # fmt: skip
        self.problem, self.predicted, self.conf_level = problem, predicted, conf_level
        self.n = int(problem.subjects.max()) + 1
        self.threshold, self.by_level = threshold, by_level
        self.n_boot = n_boot
        ones = np.ones((1, len(problem.y)))
        self.values = {name: self._metrics(ones, p) for name, p in predicted.items()}
        left_out = (1 - np.eye(self.n))[:, problem.subjects]
        self.jack = {name: self._metrics(left_out, p) for name, p in predicted.items()}
        self.boots = self._resampled(rng)
        self.notes = self._notes()

    def table(self) -> pd.DataFrame:
        """One row per feature set and metric."""
        rows = []
        for name, values in self.values.items():
            for metric, value in values.items():
                low, high = self._limits(name, metric)
                rows.append({
                    "feature_set": name, "metric": metric, "estimate": float(value[0]),
                    "conf_low": low, "conf_high": high, "p_value": math.nan, "chance": math.nan,
                    "n": len(self.problem.y), "n_subjects": self.n, "method": METHOD,
                })  # fmt: skip
        return pd.DataFrame(rows)

    def comparison(self) -> pd.DataFrame:
        """One row per pair of feature sets and metric."""
        columns = ["feature_set_1", "feature_set_2", "metric", "estimate_1", "estimate_2",
                   "difference", "conf_low", "conf_high", "p_value", "n", "method"]  # fmt: skip
        rows: list[dict[str, Any]] = []
        for first, second in combinations(self.predicted, 2):
            head = {"feature_set_1": first, "feature_set_2": second}
            for metric in COMPARED[self.problem.task]:
                one = float(self.values[first][metric][0])
                two = float(self.values[second][metric][0])
                boots = self.boots[first][metric] - self.boots[second][metric]
                jack = self.jack[first][metric] - self.jack[second][metric]
                accel = boot.acceleration(jack, (self.n,))
                low, high = boot.bca_limits(boots, one - two, accel, self.conf_level)
                rows.append({
                    **head, "metric": metric, "estimate_1": one, "estimate_2": two,
                    "difference": one - two, "conf_low": low, "conf_high": high,
                    "p_value": boot.bca_p_value(boots, one - two, accel),
                    "n": len(self.problem.y), "method": f"paired; {METHOD}",
                })  # fmt: skip
            if self.problem.task == "binary" and self.n == len(self.problem.y):
                rows.append(head | self._delong(first, second))
        return pd.DataFrame(rows, columns=columns)

    def _delong(self, first: str, second: str) -> dict[str, Any]:
        event = self.problem.y == 1
        one, two = (placements(self.predicted[name][event], self.predicted[name][~event])
                    for name in (first, second))  # fmt: skip
        test = paired_difference(one, two, self.conf_level)
        return {
            "metric": "auc_delong", "estimate_1": one.auc, "estimate_2": two.auc,
            "difference": test.difference, "conf_low": test.low, "conf_high": test.high,
            "p_value": test.p_value, "n": len(event), "method": "out-of-fold; paired DeLong",
        }  # fmt: skip

    def _metrics(self, weights: NDArray[np.float64], predicted: Vector) -> dict[str, Vector]:
        return metrics(
            weights, self.problem.y, predicted, self.problem.task, self.threshold,
            by_level=self.by_level,
        )  # fmt: skip

    def _resampled(self, rng: np.random.Generator) -> dict[str, dict[str, Vector]]:
        parts: dict[str, list[dict[str, Vector]]] = {name: [] for name in self.predicted}
        for drawn, _ in boot.count_blocks(rng, (self.n, 0), self.n_boot):
            weights = drawn[:, self.problem.subjects]
            for name, p in self.predicted.items():
                parts[name].append(self._metrics(weights, p))
        return {
            name: {
                metric: np.concatenate([block[metric] for block in blocks] or [np.zeros(0)])
                for metric in self.values[name]
            }
            for name, blocks in parts.items()
        }

    def _limits(self, name: str, metric: str) -> tuple[float, float]:
        value = float(self.values[name][metric][0])
        if self.n_boot and metric in _PROPORTIONS and value in (0.0, 1.0):
            return self._wilson(metric, value)
        accel = boot.acceleration(self.jack[name][metric], (self.n,))
        return boot.bca_limits(self.boots[name][metric], value, accel, self.conf_level)

    def _wilson(self, metric: str, value: float) -> tuple[float, float]:
        """Wilson's limits of a proportion of 0 or 1 on subjects."""
        y = self.problem.y
        rows = {"sensitivity": y == 1, "specificity": y == 0}.get(metric, np.ones(len(y), bool))
        return wilson(value, len(np.unique(self.problem.subjects[rows])), self.conf_level)

    def _notes(self) -> list[str]:
        notes = []
        for name, boots in self.boots.items():
            metric = PRIMARY[self.problem.task]
            lost = int(np.isnan(boots[metric]).sum())
            if lost:
                notes.append(f"{name}: {lost} of {self.n_boot} resamples have one outcome level")
            undefined = [m for m, value in self.values[name].items() if np.isnan(value[0])]
            if undefined:
                notes.append(f"{name}: {', '.join(undefined)} not defined for these predictions")
        return notes


def roc(problem: Problem, predicted: Mapping[str, Vector]) -> pd.DataFrame:
    """Points of the ROC curves, from (0, 0) to (1, 1)."""
    frames = []
    for name, p in predicted.items() if problem.task == "binary" else ():
        cuts = np.concatenate([[np.inf], np.unique(p)[::-1]])
        called = p[None, :] >= cuts[:, None]
        event = problem.y == 1
        frames.append(pd.DataFrame({
            "feature_set": name, "threshold": cuts,
            "fpr": called[:, ~event].mean(axis=1), "tpr": called[:, event].mean(axis=1),
        }))  # fmt: skip
    return _stacked(frames, ["feature_set", "threshold", "fpr", "tpr"])


def calibration(
    problem: Problem, predicted: Mapping[str, Vector], conf_level: float
) -> pd.DataFrame:
    """Mean prediction and mean outcome in up to five groups of equally many rows."""
    frames = []
    for name, p in predicted.items():
        groups = max(2, min(5, len(p) // 10))
        for place, rows in enumerate(np.array_split(np.argsort(p, kind="stable"), groups)):
            seen = problem.y[rows]
            mean, n = float(seen.mean()), len(rows)
            if problem.task == "binary":
                low, high = wilson(mean, n, conf_level)
            else:
                half = _half_width(seen, conf_level)
                low, high = mean - half, mean + half
            frames.append(pd.DataFrame([{
                "feature_set": name, "group": place + 1, "n": n,
                "predicted": float(p[rows].mean()), "observed": mean,
                "conf_low": low, "conf_high": high,
            }]))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def confusion(problem: Problem, predicted: Mapping[str, Vector], threshold: float) -> pd.DataFrame:
    """Rows by observed and predicted level; empty for a continuous outcome."""
    levels = np.unique(problem.y)
    rows = []
    for name, p in predicted.items() if problem.task != "continuous" else ():
        binary = problem.task == "binary"
        called = (p >= threshold).astype(float) if binary else nearest_level(p, levels)
        rows += [
            {"feature_set": name, "observed": a, "predicted": b,
             "n": int(((problem.y == a) & (called == b)).sum())}
            for a in levels for b in levels
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=["feature_set", "observed", "predicted", "n"])


def by_site(
    problem: Problem, predicted: Mapping[str, Vector], labels: NDArray[Any] | None
) -> pd.DataFrame:
    """First metric of the task in every site; NaN where a site has one outcome level."""
    metric = PRIMARY[problem.task]
    rows = []
    for name, p in predicted.items():
        for label in np.unique(labels) if labels is not None else ():
            here = labels == label
            rows.append({
                "feature_set": name, "site": str(label), "n": int(here.sum()),
                "n_subjects": len(np.unique(problem.subjects[here])),
                "observed": float(problem.y[here].mean()),
                metric: primary(problem.y[here], p[here], problem.task),
            })  # fmt: skip
    return pd.DataFrame(
        rows, columns=["feature_set", "site", "n", "n_subjects", "observed", metric]
    )


def wilson(share: float, n: int, conf_level: float) -> tuple[float, float]:
    """Wilson's limits of ``share`` of ``n``."""
    z = float(norm.ppf((1 + conf_level) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    # the limit at 0 or 1 itself is exact; the rest is inside
    return (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)


def _half_width(values: Vector, conf_level: float) -> float:
    if len(values) < 2:
        return math.nan
    quantile = float(student.ppf((1 + conf_level) / 2, len(values) - 1))
    return quantile * float(values.std(ddof=1)) / math.sqrt(len(values))


def _stacked(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
