"""Permutation test of a dose order: robust slope on the dose over many columns, max-T.

All arms are compared at once: doses are permuted among all subjects, within strata. With two arms
and doses 0 and 1 the statistic is Welch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np

from livertrack._seeds import generator
from livertrack.endpoints._adjust import Covariates, Residuals, residuals
from livertrack.endpoints._permutation import MAX_ENUMERATION, Alternative
from livertrack.endpoints._permutation_groups import lower
from livertrack.errors import UsageError

_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True)
class Slopes:
    """Slope on the dose of every column: per unit of the dose, with its HC2 standard error."""

    estimate: np.ndarray
    std_error: np.ndarray
    df: np.ndarray
    statistic: np.ndarray
    n: np.ndarray


@dataclass(frozen=True)
class TrendTest:
    """One family over dose scales and columns.

    Attributes
    ----------
    slopes : mapping of scale name to Slopes
    p_value, p_adjusted : array (scales, columns)
        Permutation p of the slope alone, and step-down max-T over scales and columns.
    p_max, p_sum : float
        Global tests: largest statistic, and sum of squared statistics.
    critical : float
        Critical value of the single-step maximum.
    n_permutations : int
    """

    slopes: Mapping[str, Slopes]
    p_value: np.ndarray
    p_adjusted: np.ndarray
    p_max: float
    p_sum: float
    critical: float
    n_permutations: int


def trend_test(
    values: np.ndarray,
    arm: np.ndarray,
    *,
    doses: Mapping[str, Mapping[str, float]],
    n_perm: int | None,
    seed: int,
    strata: np.ndarray | None = None,
    alternative: Alternative = "two-sided",
    conf_level: float = 0.95,
    covariates: Covariates | None = None,
) -> TrendTest:
    """Test the slope on the dose of every column.

    Parameters
    ----------
    values : float array (subjects, columns)
        NaN = missing, left out of that column only; subjects sorted.
    arm : array (subjects,) of str
        Arms without a dose are left out.
    doses : mapping of scale to (mapping of arm to dose)
        Several scales (linear, log, plateau) join one family: picking the best is paid for.

    Notes
    -----
    Statistic: least-squares slope over its HC2 standard error, recomputed in every relabelling
    (DiCiccio and Romano 2017). With covariates: residuals that ignore the dose are permuted.
    Checked against: full enumeration (tests/endpoints/test_permutation_trend.py).
    """
    if n_perm is not None and n_perm < 1:
        msg = f"n_perm is a positive number of permutations, or None for all of them; got {n_perm}"
        raise UsageError(msg)
    known = np.isin(arm, sorted({name for scale in doses.values() for name in scale}))
    rows = np.flatnonzero(known)
    levels = np.zeros(len(rows), int)
    if strata is not None:
        levels = np.unique(strata[rows], return_inverse=True)[1]
    names, place = np.unique(arm[rows], return_inverse=True)
    cells = np.asarray(values, float)[rows]
    given = covariates if covariates is not None else Covariates(np.empty((len(values), 0)))
    scales = [
        _Scale(cells, np.array([scale[name] for name in names]), place, given.at(rows))
        for scale in doses.values()
    ]
    side = _side(alternative)
    used = [np.flatnonzero(~np.isnan(scale.observed.statistic)) for scale in scales]
    observed = np.concatenate(
        [side(s.observed.statistic[u]) for s, u in zip(scales, used, strict=True)]
    )
    order = np.argsort(-observed, kind="stable")
    sums: list[np.ndarray] = []
    maxima: list[np.ndarray] = []
    single, steps = np.zeros(len(observed)), np.zeros(len(observed))
    width = max(1, len(observed))
    for labels in _blocks(place, levels, n_perm, seed, max(1, _BLOCK_CELLS // width)):
        if not len(observed):
            break
        score = np.concatenate(
            [side(s.statistics(labels)[:, u]) for s, u in zip(scales, used, strict=True)], axis=1
        )
        single += (score >= lower(observed)).sum(0)
        after = np.maximum.accumulate(score[:, order[::-1]], axis=1)[:, ::-1]
        steps += (after >= lower(observed[order])).sum(0)
        maxima.append(after[:, 0])
        sums.append((np.maximum(score, 0) ** 2).sum(axis=1))
    return _result(doses, scales, used, observed, order, single, steps, maxima, sums,
                   extra=0 if n_perm is None else 1, conf_level=conf_level)  # fmt: skip


def _result(
    doses: Mapping[str, Mapping[str, float]], scales: list[_Scale], used: list[np.ndarray],
    observed: np.ndarray, order: np.ndarray, single: np.ndarray, steps: np.ndarray,
    maxima: list[np.ndarray], sums: list[np.ndarray], *, extra: int, conf_level: float,
) -> TrendTest:  # fmt: skip
    shape = (len(scales), len(scales[0].observed.estimate))
    p_value, p_adjusted = np.full(shape, np.nan), np.full(shape, np.nan)
    p_max = p_sum = critical = np.nan
    total = sum(map(len, maxima)) + extra
    if maxima:
        stepped = np.empty(len(order))
        stepped[order] = np.maximum.accumulate((steps + extra) / total)
        start = 0
        for number, columns in enumerate(used):
            here = slice(start, start + len(columns))
            p_value[number, columns] = (single[here] + extra) / total
            p_adjusted[number, columns] = stepped[here]
            start += len(columns)
        largest, joint = np.sort(np.concatenate(maxima)), np.concatenate(sums)
        p_max = float(((largest >= lower(observed.max())).sum() + extra) / total)
        squares = (np.maximum(observed, 0) ** 2).sum()
        p_sum = float(((joint >= lower(squares)).sum() + extra) / total)
        grid = np.unique(largest)
        beyond = len(largest) - np.searchsorted(largest, grid, side="right")
        enough = np.flatnonzero(1 - (beyond + extra) / total >= conf_level - 1e-12)
        critical = float(grid[enough[0]]) if len(enough) else float("inf")
    return TrendTest(
        dict(zip(doses, (scale.observed for scale in scales), strict=True)),
        p_value, p_adjusted, p_max, p_sum, critical, total,
    )  # fmt: skip


class _Scale:
    """Slopes on one scale of the dose."""

    def __init__(
        self, values: np.ndarray, dose: np.ndarray, place: np.ndarray, covariates: Covariates
    ) -> None:
        self.dose = dose
        self.rest: Residuals = residuals(values, dose[place], covariates)
        cells = self.rest.values
        seen = ~np.isnan(cells)
        patterns, which = np.unique(seen, axis=1, return_inverse=True)
        self.parts = [
            (np.flatnonzero(rows), np.flatnonzero(which.ravel() == number))
            for number, rows in enumerate(patterns.T)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.sqrt(np.nansum(cells**2, axis=0) / seen.sum(axis=0))
        centre = np.abs(np.nan_to_num(values)).max(axis=0, initial=0.0)
        self.size = np.where(size > 1e-9 * centre, size, np.nan)
        self.unit = cells / self.size
        slope, error = self._slopes(place[None])
        scale, inflation = self.rest.scale, self.rest.inflation
        estimate = slope[0] * self.size * scale
        std_error = error[0] * self.size * scale * inflation
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(std_error > 0, estimate / std_error, np.nan)
        df = np.maximum(self.rest.present - 2.0 - self.rest.loss, 1.0)
        self.observed = Slopes(estimate, std_error, df, statistic, self.rest.present)

    def statistics(self, labels: np.ndarray) -> np.ndarray:
        """Statistic (relabellings, columns) of arms ``labels`` (relabellings, subjects)."""
        slope, error = self._slopes(labels)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = slope / error
        return np.asarray(np.nan_to_num(t / self.rest.inflation, nan=0.0, posinf=np.inf))

    def _slopes(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slope and HC2 standard error (relabellings, columns) of the columns at unit size."""
        shape = (len(labels), self.unit.shape[1])
        slope, error = np.full(shape, np.nan), np.full(shape, np.nan)
        for rows, columns in self.parts:
            if len(rows) < 3:
                continue
            d = self.dose[labels[:, rows]]
            d = d - d.mean(axis=1, keepdims=True)
            e = self.unit[np.ix_(rows, columns)]
            spread = (d**2).sum(axis=1, keepdims=True)
            with np.errstate(divide="ignore", invalid="ignore"):
                b = d @ e / spread
                left = 1 - 1 / len(rows) - d**2 / spread
                # a subject alone at its dose has no residual of its own: no standard error
                weight = d**2 / np.where(left > 1e-9, left, np.nan)
                square = weight @ e**2 - 2 * b * ((weight * d) @ e)
                square += b**2 * (weight * d**2).sum(axis=1, keepdims=True)
                square[square < 1e-12] = 0.0
                slope[:, columns], error[:, columns] = b, np.sqrt(square) / spread
        return slope, error


def _side(alternative: Alternative) -> Callable[[np.ndarray], np.ndarray]:
    """Make large values speak against the null."""
    if alternative == "two-sided":
        return lambda t: np.asarray(np.abs(t))
    return (lambda t: t) if alternative == "greater" else (lambda t: -t)


def _blocks(
    place: np.ndarray, levels: np.ndarray, n_perm: int | None, seed: int, size: int
) -> Iterator[np.ndarray]:
    """Relabellings (block, subjects) as arm numbers, arm sizes kept within each stratum."""
    if n_perm is None:
        every = enumerate_arms(place, levels)
        for start in range(0, len(every), size):
            yield every[start : start + size]
        return
    rng = generator(seed, "permutation", "trend")
    parts = [np.flatnonzero(levels == level) for level in np.unique(levels)]
    for start in range(0, n_perm, size):
        count = min(size, n_perm - start)
        labels = np.empty((count, len(place)), place.dtype)
        for rows in parts:
            drawn = rng.permuted(np.tile(place[rows].astype(float), (count, 1)), axis=1)
            labels[:, rows] = drawn
        yield labels


def enumerate_arms(place: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """All distinct relabellings (count, subjects), arm sizes kept within each stratum."""
    parts = [np.flatnonzero(levels == level) for level in np.unique(levels)]
    sizes = [np.bincount(place[rows], minlength=place.max() + 1) for rows in parts]
    count = prod(
        prod(comb(int(s[: k + 1].sum()), int(s[k])) for k in range(len(s))) for s in sizes
    )
    if count > MAX_ENUMERATION:
        msg = (
            f"n_perm=None asks for all {count:,} relabellings; at most {MAX_ENUMERATION:,} are "
            "enumerated, give a number of random ones"
        )
        raise UsageError(msg)
    labels = np.empty((count, len(place)), place.dtype)
    choices = [list(_orders(s.tolist())) for s in sizes]
    for number, chosen in enumerate(product(*choices)):
        for rows, order in zip(parts, chosen, strict=True):
            labels[number, rows] = order
    return labels


def _orders(counts: list[int]) -> Iterator[list[int]]:
    """Distinct arrangements of ``counts[k]`` copies of each k."""
    total, last = sum(counts), len(counts) - 1
    if last == 0:
        yield [0] * total
        return
    for places in combinations(range(total), counts[last]):
        taken = set(places)
        free = [p for p in range(total) if p not in taken]
        for rest in _orders(counts[:last]):
            order = [last] * total
            for where, k in zip(free, rest, strict=True):
                order[where] = k
            yield order
