"""One measure, plain or cross-fitted, on one set of subjects: its values and resamples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from livertrack.endpoints import _bootstrap as boot
from livertrack.endpoints import _cross_fit as cross
from livertrack.endpoints._delong import auc_interval, placements
from livertrack.endpoints._effect_sizes import Estimate, hedges_g

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """A column, or the columns of a score (subjects x columns, NaN where missing)."""

    name: str
    columns: Matrix
    is_score: bool
    direction: str | None


@dataclass(frozen=True)
class Sample:
    """A measure on the subjects of both arms.

    ``x`` and ``y`` are its values; for a score, the out-of-fold scores averaged over partitions.
    ``estimate``, ``boots`` and ``jack`` hold g and AUC: signed, of every resample, and of every
    subject left out (plain measures only). ``excess`` is the variance that the resamples of a
    score have because they average two partitions and the estimate many.
    """

    x: Vector
    y: Vector
    is_score: bool
    direction: str | None
    estimate: dict[str, float]
    boots: dict[str, Vector]
    jack: dict[str, Vector]
    apparent: dict[str, float]
    excess: dict[str, float]

    def oriented(self, metric: str) -> float:
        """Estimate, turned so that larger means better separated."""
        return float(self._turn(np.array([self.estimate[metric]]), metric)[0])

    def oriented_boot(self, metric: str) -> Vector:
        """Resamples, each turned by itself unless the direction is fixed."""
        return self._turn(self.boots[metric], metric)

    def oriented_jack(self, metric: str) -> Vector:
        """Leave-one-out values, turned like the resamples."""
        return self._turn(self.jack[metric], metric)

    def oriented_values(self) -> tuple[Vector, Vector]:
        """Values turned so that their AUC is the oriented one."""
        lower = self.direction == "lower" or (
            self.direction is None and not self.is_score and self.estimate["auc"] < 0.5
        )
        return (-self.x, -self.y) if lower else (self.x, self.y)

    def summary(self, conf_level: float) -> dict[str, Any]:
        """Signed g and AUC with limits, the direction and, for a score, its optimism."""
        if self.is_score:
            g, auc = self._from_error("g", conf_level), self._from_error("auc", conf_level)
            method = "cross-fitted; limits from the bootstrap standard error"
        else:
            g = hedges_g(self.x, self.y, conf_level)
            auc = auc_interval(placements(self.x, self.y), conf_level)
            method = "g: noncentral t; AUC: DeLong"
        seen = "" if math.isnan(auc.value) else ("higher" if auc.value >= 0.5 else "lower")
        optimism = {m: self.apparent[m] - self.estimate[m] for m in _METRICS}
        return {
            "g": g.value, "g_low": g.low, "g_high": g.high,
            "auc": auc.value, "auc_low": auc.low, "auc_high": auc.high,
            "direction": self.direction or ("higher" if self.is_score else seen),
            "g_apparent": self.apparent["g"], "auc_apparent": self.apparent["auc"],
            "g_optimism": optimism["g"], "auc_optimism": optimism["auc"], "method": method,
        }  # fmt: skip

    def undefined(self) -> str:
        """Why there is no estimate or interval, or an empty string."""
        m, n = len(self.x), len(self.y)
        if min(m, n) < 2:
            return f"too few subjects with the measures compared ({m} v {n})"
        if math.isnan(self.estimate["g"]):
            return "no variation within the arms; g is undefined"
        lost = int(np.isnan(self.boots["g"]).sum())
        return f"{lost} of {len(self.boots['g'])} resamples left out (g undefined)" if lost else ""

    def _from_error(self, metric: str, conf_level: float) -> Estimate:
        value = self.estimate[metric]
        half = half_width(self.boots[metric], self.excess[metric], conf_level)
        low, high = value - half, value + half
        if metric == "auc" and not math.isnan(half):
            low, high = max(0.0, low), min(1.0, high)
        return Estimate(value, low, high)

    def _turn(self, values: Vector, metric: str) -> Vector:
        if self.is_score or self.direction == "higher":
            return values
        mirrored = -values if metric == "g" else 1 - values
        if self.direction == "lower":
            return mirrored
        return np.maximum(values, mirrored)


_METRICS = ("g", "auc")
_NONE = dict.fromkeys(_METRICS, math.nan)
_ZERO = dict.fromkeys(_METRICS, 0.0)


def measured(
    measure: Measure, x: Matrix, y: Matrix, draws: np.random.Generator,
    folds: np.random.Generator, *, n_boot: int, n_folds: int, n_repeats: int,
) -> Sample:  # fmt: skip
    """Estimate, resamples and jackknife of a measure on the subjects ``x`` and ``y``.

    ``draws`` decides who is resampled: equal streams pair the resamples of two measures.
    """
    sizes = (len(x), len(y))
    blank = {m: np.full(n_boot, math.nan) for m in _METRICS}
    none = {m: np.full(sum(sizes), math.nan) for m in _METRICS}
    if min(sizes) < 2:
        first, second = x[:, 0], y[:, 0]
        return Sample(
            first, second, measure.is_score, measure.direction, _NONE, blank, none, _NONE, _ZERO
        )
    if measure.is_score:
        return _cross_fitted(measure, x, y, draws, folds, (n_boot, n_folds, n_repeats), none)
    first, second = x[:, 0], y[:, 0]
    kernel = boot.pair_kernel(first, second)
    whole = np.ones((1, len(x))), np.ones((1, len(y)))
    one_out = boot.leave_one_out(sizes)
    blocks = [
        (boot.weighted_g(wx, wy, first, second), boot.weighted_auc(wx, wy, kernel))
        for wx, wy in boot.count_blocks(draws, sizes, n_boot)
    ]
    return Sample(
        first, second, False, measure.direction,
        {
            "g": float(boot.weighted_g(*whole, first, second)[0]),
            "auc": float(boot.weighted_auc(*whole, kernel)[0]),
        },
        _joined(blocks) or blank,
        {
            "g": boot.weighted_g(*one_out, first, second),
            "auc": boot.weighted_auc(*one_out, kernel),
        },
        _NONE,
        _ZERO,
    )  # fmt: skip


def _cross_fitted(
    measure: Measure, x: Matrix, y: Matrix, draws: np.random.Generator,
    folds: np.random.Generator, plan: tuple[int, int, int], none: dict[str, Vector],
) -> Sample:  # fmt: skip
    n_boot, n_folds, n_repeats = plan
    n_folds = min(n_folds, len(x), len(y))
    repeats = cross.repeated(folds, x, y, n_folds, n_repeats)
    ones = np.ones((n_repeats, len(x))), np.ones((n_repeats, len(y)))
    whole = ones[0][:1], ones[1][:1]
    apparent = cross.discriminant(*whole, x, y)
    blocks = [
        cross.resampled(folds, wx, wy, x, y, n_folds)
        for wx, wy in boot.count_blocks(draws, (len(x), len(y)), n_boot)
    ]
    pairs = [np.concatenate(part) for part in zip(*blocks, strict=True)] or [np.zeros((0, 2))] * 2
    boots = {m: cross.averaged(pair) for m, pair in zip(_METRICS, pairs, strict=True)}
    return Sample(
        repeats.x.mean(axis=0), repeats.y.mean(axis=0), True, None,
        {
            "g": float(cross.score_g(*ones, repeats).mean()),
            "auc": float(cross.score_auc(*ones, repeats).mean()),
        },
        {m: held.values for m, held in boots.items()},
        none,
        {
            "g": float(cross.score_g(*whole, apparent)[0]),
            "auc": float(cross.score_auc(*whole, apparent)[0]),
        },
        {m: held.partition * (1 / 2 - 1 / max(2, n_repeats)) for m, held in boots.items()},
    )  # fmt: skip


def _joined(blocks: list[tuple[Vector, Vector]]) -> dict[str, Vector]:
    if not blocks:
        return {}
    g, auc = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return {"g": g, "auc": auc}


def half_width(boots: Vector, excess: float, conf_level: float) -> float:
    """Half width of an interval from the standard error over the resamples; NaN without any."""
    values = boots[~np.isnan(boots)]
    if len(values) < 2:
        return math.nan
    variance = float(values.var(ddof=1))
    # never less than half of what the resamples show
    kept = max(variance - excess, variance / 2)
    return float(norm.ppf((1 + conf_level) / 2)) * math.sqrt(kept)
