"""Permutation engine: studentised two-sample statistics over many columns, step-down max-T.

Each active arm is compared with the reference by permuting arm labels among the subjects of
*those two arms only*, within strata. A third arm that differs therefore never enters the null
distribution of this comparison. Across arms the maxima are combined as independent, which is
conservative for comparisons that share a reference (positive dependence).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod
from typing import Literal

import numpy as np

from livertrack._seeds import generator
from livertrack.endpoints._adjust import Covariates, residuals
from livertrack.endpoints._permutation_groups import GroupTest, choose_group, group_sums, lower
from livertrack.endpoints._welch import FLAT, WelchStatistics, moments, welch, welch_limits
from livertrack.errors import UsageError

__all__ = [
    "Alternative", "Covariates", "MaxT", "PairTest", "WelchStatistics", "draw_labels",
    "enumerate_labels", "max_t_test", "welch", "welch_limits",
]  # fmt: skip

Alternative = Literal["two-sided", "greater", "less"]

#: Largest number of relabellings that ``n_perm=None`` enumerates.
MAX_ENUMERATION = 500_000
_BLOCK_CELLS = 2_000_000  # permutations x columns held at once: 16 MB per array


@dataclass(frozen=True)
class PairTest:
    """One arm against the reference.

    Attributes
    ----------
    observed : WelchStatistics
    p_value : array (columns,)
        Permutation p-value of each column alone.
    p_max, p_sum : float
        Global tests: largest statistic, and sum of squared statistics.
    n_permutations : int
        Relabellings used, the observed one included.
    maxima : array (permutations,), sorted
        Largest statistic over all columns of each relabelling.
    groups : GroupTest
        Each group of columns, and the choice of one of them.
    """

    observed: WelchStatistics
    p_value: np.ndarray
    p_max: float
    p_sum: float
    n_permutations: int
    maxima: np.ndarray
    groups: GroupTest


@dataclass(frozen=True)
class MaxT:
    """Every arm against the reference, one family.

    ``p_adjusted`` (arms, columns) is step-down max-T over arms and columns together,
    ``critical`` the critical value of the single-step maximum for simultaneous intervals.
    """

    arms: tuple[str, ...]
    pairs: tuple[PairTest, ...]
    p_adjusted: np.ndarray
    critical: float
    exact: bool

    def differences(
        self, number: int, values: np.ndarray, labels: np.ndarray, reference: str,
        conf_level: float,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Columns of a table of the arm ``number`` against the reference, pointwise limits.

        ``values`` and ``labels`` are those of the test; means are over the known values.
        """
        pair = self.pairs[number]
        seen = pair.observed
        low, high = welch_limits(seen, conf_level)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = [
                np.nansum(values[labels == level], axis=0) / count
                for level, count in ((self.arms[number], seen.n_arm), (reference, seen.n_ref))
            ]
        return {
            "estimate": seen.estimate, "std_error": seen.std_error, "statistic": seen.statistic,
            "conf_low": low, "conf_high": high, "p_value": pair.p_value,
            "p_adjusted": self.p_adjusted[number], "mean_arm": means[0], "mean_ref": means[1],
            "n_arm": seen.n_arm, "n_ref": seen.n_ref,
        }  # fmt: skip


def max_t_test(
    values: np.ndarray,
    arm: np.ndarray,
    *,
    arms: Sequence[str],
    reference: str,
    n_perm: int | None,
    seed: int,
    strata: np.ndarray | None = None,
    alternative: Alternative = "two-sided",
    conf_level: float = 0.95,
    covariates: Covariates | None = None,
    groups: np.ndarray | None = None,
) -> MaxT:
    """Compare every arm with the reference on every column.

    Parameters
    ----------
    values : float array (subjects, columns)
        NaN = missing, left out of that column only. Sort subjects before the call: the drawn
        relabellings depend on their order.
    arm : array (subjects,) of str
    arms : sequence of str
        Active arms, in the order of the result; the seed of each comparison is spawned from its
        name, so that adding an arm does not change the others' p-values.
    n_perm : int or None
        Random relabellings, p = (1 + b) / (1 + n_perm); None enumerates all of them, p = b / B.
    strata : array (subjects,), optional
        Labels are permuted within its levels only.
    covariates : Covariates, optional
        Labels are permuted over residuals that ignore the arm; estimates and standard errors are
        those of the covariate-adjusted difference.
    groups : int array (columns,), optional
        Group of each column: 0, 1, ... (one group by default).

    Returns
    -------
    MaxT
        A column without variance in a pair, or with fewer than two values in an arm, has a NaN
        statistic and takes no part in any maximum.

    Notes
    -----
    Statistic: difference of means over its Welch standard error, recomputed from sums and sums
    of squares in every relabelling. Source: Westfall and Young (1993), algorithm 4.1; Janssen
    (1997) for the studentised permutation test; Rosenbaum (2002) for permuting residuals. Checked
    against: tests/reference/max_t.R (full enumeration in base R).
    """
    if n_perm is not None and n_perm < 1:
        msg = f"n_perm is a positive number of permutations, or None for all of them; got {n_perm}"
        raise UsageError(msg)
    values = np.asarray(values, float)
    levels = np.zeros(len(values), int)
    if strata is not None:
        levels = np.unique(strata, return_inverse=True)[1]
    group = np.zeros(values.shape[1], int) if groups is None else np.asarray(groups)
    runs = [
        _Pair(values, arm, name, reference, levels, n_perm, seed, alternative, covariates, group)
        for name in arms
    ]
    order = _global_order(runs)
    tests, tails = [], []
    for run in runs:
        test, tail = run.run(order, runs)
        tests.append(test)
        tails.append(tail)
    p_adjusted = _combine(tails, order, (len(runs), values.shape[1]))
    return MaxT(
        arms=tuple(arms),
        pairs=tuple(tests),
        p_adjusted=p_adjusted,
        critical=_critical(tests, conf_level, exact=n_perm is None),
        exact=n_perm is None,
    )


class _Pair:
    """The permutation distribution of one arm against the reference."""

    def __init__(
        self, values: np.ndarray, arm: np.ndarray, name: str, reference: str,
        levels: np.ndarray, n_perm: int | None, seed: int, alternative: Alternative,
        covariates: Covariates | None, group: np.ndarray,
    ) -> None:  # fmt: skip
        keep = (arm == name) | (arm == reference)
        self.is_arm = np.asarray(arm[keep] == name)
        self.levels = levels[keep]
        self.name, self.n_perm, self.seed, self.alternative = name, n_perm, seed, alternative
        pair, self.shrink = values[keep], np.ones(values.shape[1])
        rest = None
        if covariates is not None:
            rest = residuals(pair, self.is_arm.astype(float), covariates.at(keep))
            pair, self.shrink = rest.values, 1 / rest.inflation
        seen = welch(pair, self.is_arm)
        self.observed = seen if rest is None else rest.adjusted(seen)
        self.defined = ~np.isnan(self.observed.statistic)
        self.used = np.flatnonzero(self.defined)
        self.shrink, self.group = self.shrink[self.used], group[self.used]
        self.n_groups = int(group.max(initial=0)) + 1
        self.scores = self.directed(self.observed.statistic[self.used])
        self._prepare(pair[:, self.used])

    def directed(self, t: np.ndarray) -> np.ndarray:
        """Statistic of which large values speak against the null."""
        if self.alternative == "two-sided":
            return np.asarray(np.abs(t))
        return t if self.alternative == "greater" else -t

    def _prepare(self, pair: np.ndarray) -> None:
        self.present = ~np.isnan(pair)
        counts = self.present.sum(0)
        mean, variance = moments(pair, counts)
        unit = (pair - mean) / np.sqrt(variance) if pair.size else pair
        self.unit = np.where(self.present, unit, 0.0)
        self.complete = bool(self.present.all())

    def statistics(self, labels: np.ndarray) -> np.ndarray:
        """Welch statistics (relabellings, used columns) of boolean ``labels``."""
        picks = labels.astype(float)
        if self.complete:
            n1: np.ndarray = np.full((1, 1), float(self.is_arm.sum()))
            n2: np.ndarray = np.full((1, 1), float((~self.is_arm).sum()))
        else:
            n1 = picks @ self.present
            n2 = self.present.sum(0) - n1
        sum1, square1 = picks @ self.unit, picks @ self.unit**2
        sum2, square2 = self.unit.sum(0) - sum1, (self.unit**2).sum(0) - square1
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = sum1 / n1 - sum2 / n2
            v1 = (square1 - sum1 * sum1 / n1) / (n1 - 1)
            v2 = (square2 - sum2 * sum2 / n2) / (n2 - 1)
            v1[v1 < FLAT] = 0.0
            v2[v2 < FLAT] = 0.0
            error = np.sqrt(v1 / n1 + v2 / n2)
            t = difference / error
        flat = error == 0
        if flat.any():
            t[flat] = np.where(
                np.abs(difference[flat]) > 1e-6, np.sign(difference[flat]) * np.inf, 0.0
            )
        t[np.isnan(t)] = 0.0  # fewer than two values in an arm
        return np.asarray(t * self.shrink)

    def blocks(self) -> Iterator[np.ndarray]:
        """Relabellings, in blocks; the observed one comes first unless they are enumerated."""
        labels = (
            enumerate_labels(self.is_arm, self.levels)
            if self.n_perm is None
            else draw_labels(
                self.is_arm, self.levels, self.n_perm,
                generator(self.seed, "permutation", self.name),
            )
        )  # fmt: skip
        size = max(1, _BLOCK_CELLS // max(1, len(self.used)))
        for start in range(0, len(labels), size):
            yield labels[start : start + size]

    def run(
        self, order: list[tuple[float, int, int]], runs: list[_Pair]
    ) -> tuple[PairTest, np.ndarray]:
        """Test this pair; the tail (steps,) is P(max of this pair's columns left >= threshold)."""
        own = runs.index(self)
        ranking = np.searchsorted(self.used, [col for _, pair, col in order if pair == own])
        thresholds = np.array([lower(score) for score, _, _ in order])
        # own columns already stepped over at each step of the common order
        gone = np.cumsum([0] + [int(pair == own) for _, pair, _ in order])[:-1]
        asked = np.flatnonzero(gone < len(ranking))
        single, steps = np.zeros(len(self.used)), np.zeros(len(order))
        maxima: list[np.ndarray] = []
        sums: list[np.ndarray] = []
        for labels in self.blocks() if len(self.used) else ():
            scores = self.directed(self.statistics(labels))
            single += (scores >= lower(self.scores)).sum(0)
            after = np.maximum.accumulate(scores[:, ranking[::-1]], axis=1)[:, ::-1]
            steps[asked] += (after[:, gone[asked]] >= thresholds[asked]).sum(0)
            maxima.append(after[:, 0])
            sums.append(group_sums(scores, self.group, self.n_groups))
        extra = 0 if self.n_perm is None else 1
        total = sum(map(len, maxima)) + extra
        p_value, tail = np.full(len(self.defined), np.nan), np.zeros(len(order))
        p_max = p_sum = np.nan
        if maxima:
            p_value[self.used] = (single + extra) / total
            tail[asked] = (steps[asked] + extra) / total
            all_maxima = np.concatenate(maxima)
            p_max = ((all_maxima >= lower(self.scores.max())).sum() + extra) / total
            all_sums = np.concatenate(sums).sum(axis=1)
            observed = group_sums(self.scores[None], self.group, self.n_groups)
            p_sum = ((all_sums >= lower(observed.sum())).sum() + extra) / total
            chosen = choose_group(observed[0], np.concatenate(sums), extra)
        else:
            chosen = choose_group(np.full(self.n_groups, np.nan), np.empty((0, self.n_groups)), 0)
        largest = np.sort(np.concatenate(maxima)) if maxima else np.empty(0)
        found = PairTest(
            self.observed, p_value, float(p_max), float(p_sum), total, largest, chosen
        )
        return found, tail


def _global_order(runs: list[_Pair]) -> list[tuple[float, int, int]]:
    """(score, pair, column) of all defined statistics, most extreme first."""
    entries = [
        (float(score), pair, int(column))
        for pair, run in enumerate(runs)
        for score, column in zip(run.scores, run.used, strict=True)
    ]
    return sorted(entries, key=lambda entry: (-entry[0], entry[1], entry[2]))


def _combine(
    tails: list[np.ndarray], order: list[tuple[float, int, int]], shape: tuple[int, int]
) -> np.ndarray:
    """Step-down adjusted p-values from the tails of independent pairs."""
    adjusted = np.full(shape, np.nan)
    if order:
        p = 1 - np.prod([1 - tail for tail in tails], axis=0) if len(tails) > 1 else tails[0]
        for value, (_, pair, column) in zip(np.maximum.accumulate(p), order, strict=True):
            adjusted[pair, column] = value
    return adjusted


def _critical(tests: list[PairTest], conf_level: float, *, exact: bool) -> float:
    """Smallest value that the maximum exceeds with probability at most 1 - conf_level."""
    filled = [test.maxima for test in tests if len(test.maxima)]
    if not filled:
        return float("nan")
    grid = np.unique(np.concatenate(filled))
    extra = 0 if exact else 1
    inside = np.ones(len(grid))
    for maxima in filled:
        beyond = len(maxima) - np.searchsorted(maxima, grid, side="right")  # strictly beyond
        inside *= 1 - (beyond + extra) / (len(maxima) + extra)
    enough = np.flatnonzero(inside >= conf_level - 1e-12)
    return float(grid[enough[0]]) if len(enough) else float("inf")


def draw_labels(
    is_arm: np.ndarray, levels: np.ndarray, n_perm: int, rng: np.random.Generator
) -> np.ndarray:
    """``n_perm`` random relabellings (n_perm, subjects), arm sizes kept within each level."""
    labels = np.empty((n_perm, len(is_arm)), bool)
    for level in np.unique(levels):
        rows = np.flatnonzero(levels == level)
        # shuffled as floats: the same draws as booleans in half the time
        arms = is_arm[rows].astype(float)
        size = max(1, _BLOCK_CELLS // len(rows))
        for start in range(0, n_perm, size):
            count = min(size, n_perm - start)
            drawn = rng.permuted(np.tile(arms, (count, 1)), axis=1)
            labels[start : start + count, rows] = drawn == 1
    return labels


def enumerate_labels(is_arm: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """All relabellings (count, subjects), arm sizes kept within each level."""
    parts = [np.flatnonzero(levels == level) for level in np.unique(levels)]
    sizes = [int(is_arm[rows].sum()) for rows in parts]
    count = prod(comb(len(rows), size) for rows, size in zip(parts, sizes, strict=True))
    if count > MAX_ENUMERATION:
        msg = (
            f"n_perm=None asks for all {count:,} relabellings; at most {MAX_ENUMERATION:,} are "
            "enumerated, give a number of random ones"
        )
        raise UsageError(msg)
    labels = np.zeros((count, len(is_arm)), bool)
    choices = (combinations(rows.tolist(), size) for rows, size in zip(parts, sizes, strict=True))
    for number, chosen in enumerate(product(*choices)):
        labels[number, [row for rows in chosen for row in rows]] = True
    return labels
