"""Which flows exceed what scan-rescan noise makes of an unchanged liver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import pandas as pd

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints._checks import ordered_levels, require_conf_level
from livertrack.endpoints._pathways_flows import Flows, flows
from livertrack.errors import DataError, UsageError

_BLOCK = 200
_METHOD = "excess over repeat scans, bootstrap-t of subjects, step-down max-T"


@dataclass(frozen=True, kw_only=True)
class BeyondNoise(Result):
    """Flows beyond noise; see `beyond_noise` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("arm", "region", "visit", "from_type", "to_type")
    context: ClassVar[str] = "beyond_noise"


def beyond_noise(
    adpath: pd.DataFrame,
    repeats: pd.DataFrame,
    *,
    arm: str = "TRT01P",
    subject: str = "USUBJID",
    subjects: pd.DataFrame | None = None,
    visit: str | None = None,
    regions: Sequence[str] | None = None,
    min_prevalence: float = 0.001,
    n_boot: int = 2000,
    conf_level: float = 0.95,
    seed: int,
) -> BeyondNoise:
    """Test, arm by arm, whether a flow is larger than in repeat scans of unchanged livers.

    Parameters
    ----------
    adpath : DataFrame
        Pathway records of the trial (see `change_pathways`).
    repeats : DataFrame
        Pathway records of repeat scans, without ``arm``, same types; of one visit, which serves
        all, or of the visits of the trial. Regions that it lacks are not tested.
    subjects : DataFrame, optional
        Analysis population.
    visit, regions : optional
        As in `change_pathways`.
    min_prevalence : float
        Flows below this mean proportion of the region, over all arms, are not tested.
    n_boot : int
        Bootstrap resamples of subjects, of each arm and of the repeat scans.

    Returns
    -------
    BeyondNoise
        ``.table``: one row per arm, visit, region and pair of different types - ``arm, visit,
        region, from_type, to_type, mean`` (proportion of the region), ``expected`` (mean baseline
        proportion x probability in the repeat scans), ``estimate`` (mean - expected),
        ``std_error, statistic, conf_low, conf_high`` (pointwise), ``simultaneous_low`` (lower
        bound over the family), ``p_value, p_adjusted`` (one-sided: larger than noise),
        ``tested, n, n_repeat, method``.

    Notes
    -----
    Denominator: subjects with a record of that visit and region; ``n_repeat`` those with a repeat
    record. The noise of a from-type is estimated as a ratio of means; its own error is part of the
    standard error. The family is all tested flows of all arms, visits and regions. Natural course
    is no noise here: the placebo arm has its own rows.
    Subjects of the trial who were scanned twice may be in both frames: the two are resampled as if
    independent, which is conservative where noise and flow of a subject go together.
    Source: bootstrap-t, Efron and Tibshirani (1993), chapter 12.5; Westfall and Young (1993).
    With few subjects the test is conservative (1 % family-wise at 10 against 10, simulated).
    Checked against: hand-worked records, simulated trials (tests/endpoints/test_beyond_noise.py).
    """
    require_conf_level(conf_level)
    if n_boot < 99:
        msg = f"n_boot is a number of resamples of at least 99, got {n_boot}"
        raise UsageError(msg)
    every = flows(adpath, arm=arm, subject=subject, visit=visit, regions=regions,
                  subjects=subjects)  # fmt: skip
    noise = flows(repeats.assign(_all="all"), arm="_all", subject=subject)
    columns = _Columns(every, noise, min_prevalence)
    arms = [
        str(level) for level in ordered_levels((adpath if subjects is None else subjects)[arm])
    ]
    parts, nulls, sizes = [], [], []
    resampled = _Ratio(columns.noise_flow, columns.noise_start)
    for name in arms:
        rows = every.arm == name
        sample = _Sample(columns.flow[rows], columns.start[rows])
        seen = sample.excess(
            np.ones((1, rows.sum())), resampled, np.ones((1, len(noise.subjects)))
        )
        rng = generator(seed, "beyond_noise", name)
        draws = sample.bootstrap(rng, resampled, n_boot, seen)
        parts.append((name, sample, seen))
        nulls.append(draws)
        sizes.append(rows.sum())
    table = _table(parts, nulls, columns, conf_level)
    notes = []
    if columns.lost:
        notes.append(f"no repeat record of region(s) {', '.join(columns.lost)}: not tested")
    untested = int((~table["tested"]).sum())
    if untested:
        notes.append(f"{untested} of {len(table)} flows not tested: too rare, or no noise known")
    if len(noise.subjects) < 10:
        notes.append(f"only {len(noise.subjects)} subjects with repeat scans")
    settings = {
        "method": _METHOD, "arm": arm, "arms": arms, "n_boot": n_boot, "seed": seed,
        "conf_level": conf_level, "min_prevalence": min_prevalence,
        "n_subjects": int(sum(sizes)), "n_repeat": len(noise.subjects),
    }  # fmt: skip
    return BeyondNoise(
        table=table, text=_sentence(table, 1 - conf_level), settings=settings, notes=tuple(notes)
    )


class _Columns:
    """Flows of the trial and of the repeat scans, column by column."""

    def __init__(self, every: Flows, noise: Flows, min_prevalence: float) -> None:
        every, noise = every.with_types(noise.types), noise.with_types(every.types)
        if len(noise.visits) > 1 and not set(every.visits) <= set(noise.visits):
            msg = (
                f"repeats: visits {list(noise.visits)}; give one visit, or those of the trial, "
                f"{list(every.visits)}"
            )
            raise DataError(msg)
        self.lost = [name for name in every.regions if name not in noise.regions]
        regions = [r for r in every.regions if r in noise.regions]
        if not regions:
            msg = f"repeats: none of the regions {list(every.regions)}"
            raise DataError(msg)
        pairs = [(a, b) for a, b in product(every.types, every.types) if a != b]
        self.rows = pd.DataFrame(
            [(v, r, a, b) for v, r, (a, b) in product(every.visits, regions, pairs)],
            columns=["visit", "region", "from_type", "to_type"],
        )
        self.flow, self.start = _flat(every, list(every.visits), regions)
        visits = [v if v in noise.visits else noise.visits[0] for v in every.visits]
        self.noise_flow, self.noise_start = _flat(noise, visits, regions)
        with np.errstate(invalid="ignore"):
            mean = np.nansum(self.flow, axis=0) / (~np.isnan(self.flow)).sum(axis=0)
            known = np.nansum(self.noise_start, axis=0) > 0
        self.tested = (mean >= min_prevalence) & known


def _flat(
    every: Flows, visits: Sequence[str], regions: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    v = [every.visits.index(name) for name in visits]
    r = [every.regions.index(name) for name in regions]
    cube = every.cube[:, v][:, :, r]
    start = np.broadcast_to(cube.sum(axis=-1, keepdims=True), cube.shape)
    different = ~np.eye(cube.shape[-1], dtype=bool)
    n = len(cube)
    return cube[..., different].reshape(n, -1), start[..., different].reshape(n, -1)


@dataclass(frozen=True)
class _Excess:
    """Excess of every column (resamples, columns)."""

    mean: np.ndarray
    expected: np.ndarray
    std_error: np.ndarray
    count: np.ndarray

    @property
    def estimate(self) -> np.ndarray:
        return np.asarray(self.mean - self.expected)


class _Moments:
    """Weighted first and second moments of a flow and of its from-type."""

    def __init__(self, flow: np.ndarray, start: np.ndarray) -> None:
        there = ~np.isnan(flow)
        f, b = np.where(there, flow, 0.0), np.where(there, start, 0.0)
        self.parts = [there.astype(float), f, b, f * f, f * b, b * b]

    def of(self, weights: np.ndarray) -> list[np.ndarray]:
        """Return sizes and means (resamples, columns): n, f, b, ff, fb, bb."""
        n = weights @ self.parts[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return [n, *(weights @ part / n for part in self.parts[1:])]


class _Ratio(_Moments):
    """Probability of a to-type in repeat scans."""

    def estimate(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability and its variance (resamples, columns)."""
        n, f, b, ff, fb, bb = self.of(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = f / b
            variance = (ff - 2 * p * fb + p * p * bb) / (n - 1) / b**2
        return p, np.maximum(variance, 0.0)


class _Sample(_Moments):
    """Subjects of one arm."""

    def __init__(self, flow: np.ndarray, start: np.ndarray) -> None:
        super().__init__(flow, start)
        self.n = len(flow)

    def excess(self, weights: np.ndarray, noise: _Ratio, other: np.ndarray) -> _Excess:
        """Excess over the noise for weights of the arm's subjects and of the repeated ones."""
        n, f, b, ff, fb, bb = self.of(weights)
        p, variance = noise.estimate(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = f - p * b
            spread = (ff - 2 * p * fb + p * p * bb - gap**2) / (n - 1)
            error = np.sqrt(np.maximum(spread, 0.0) + b**2 * variance)
        return _Excess(f, p * b, error, n)

    def bootstrap(
        self, rng: np.random.Generator, noise: _Ratio, n_boot: int, seen: _Excess
    ) -> np.ndarray:
        """Studentised excess about the observed one (resamples, columns)."""
        m = len(noise.parts[0])
        out = np.empty((n_boot, seen.mean.shape[1]))
        for start in range(0, n_boot, _BLOCK):
            size = min(_BLOCK, n_boot - start)
            if not self.n:
                out[start : start + size] = np.nan
                continue
            own = rng.multinomial(self.n, np.full(self.n, 1 / self.n), size).astype(float)
            other = rng.multinomial(m, np.full(m, 1 / m), size).astype(float)
            drawn = self.excess(own, noise, other)
            with np.errstate(divide="ignore", invalid="ignore"):
                t = (drawn.estimate - seen.estimate) / drawn.std_error
            out[start : start + size] = np.where(drawn.std_error > 1e-15, t, 0.0)
        return np.nan_to_num(out, nan=0.0)


def _table(
    parts: Sequence[tuple[str, _Sample, _Excess]], nulls: Sequence[np.ndarray],
    columns: _Columns, conf_level: float,
) -> pd.DataFrame:  # fmt: skip
    frames = []
    tested, scores, draws = [], [], []
    for (name, _, seen), null in zip(parts, nulls, strict=True):
        error = seen.std_error[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = seen.estimate[0] / error
        fine = columns.tested & (error > 1e-15) & (seen.count[0] > 1)
        low, high = np.quantile(null, [(1 - conf_level) / 2, (1 + conf_level) / 2], axis=0)
        p = (1 + (null >= t - 1e-12).sum(axis=0)) / (len(null) + 1)
        frames.append(
            columns.rows.assign(
                arm=name, mean=seen.mean[0], expected=seen.expected[0],
                estimate=seen.estimate[0], std_error=error, statistic=np.where(fine, t, np.nan),
                conf_low=np.where(fine, seen.estimate[0] - high * error, np.nan),
                conf_high=np.where(fine, seen.estimate[0] - low * error, np.nan),
                p_value=np.where(fine, p, np.nan), tested=fine, n=seen.count[0].astype(int),
                n_repeat=len(columns.noise_flow), method=_METHOD,
            )
        )  # fmt: skip
        tested.append(fine)
        scores.append(t[fine])
        draws.append(null[:, fine])
    table = pd.concat(frames, ignore_index=True)
    adjusted, critical = _step_down(np.concatenate(scores), np.concatenate(draws, axis=1),
                                    conf_level)  # fmt: skip
    where = np.concatenate(tested)
    table["p_adjusted"], table["simultaneous_low"] = np.nan, np.nan
    table.loc[where, "p_adjusted"] = adjusted
    table.loc[where, "simultaneous_low"] = (
        table.loc[where, "estimate"] - critical * table.loc[where, "std_error"]
    )
    order = [
        "arm", "visit", "region", "from_type", "to_type", "mean", "expected", "estimate",
        "std_error", "statistic", "conf_low", "conf_high", "simultaneous_low", "p_value",
        "p_adjusted", "tested", "n", "n_repeat", "method",
    ]  # fmt: skip
    return table[order]


def _step_down(
    scores: np.ndarray, draws: np.ndarray, conf_level: float
) -> tuple[np.ndarray, float]:
    """Adjusted p-values and the critical value; draws of different arms are independent."""
    if not len(scores):
        return scores, float("nan")
    order = np.argsort(-scores, kind="stable")
    largest = np.maximum.accumulate(draws[:, order[::-1]], axis=1)[:, ::-1]
    p = (1 + (largest >= scores[order] - 1e-12).sum(axis=0)) / (len(draws) + 1)
    adjusted = np.empty(len(scores))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted, float(np.quantile(largest[:, 0], conf_level))


def _sentence(table: pd.DataFrame, alpha: float) -> str:
    parts = []
    for name, rows in table.groupby("arm", sort=False):
        tested = rows[rows["p_adjusted"].notna()]
        if tested.empty:
            parts.append(f"{name}: no flow could be tested against noise.")
            continue
        found = int((tested["p_adjusted"] <= alpha).sum())
        best = tested.sort_values(["p_adjusted", "statistic"], ascending=[True, False]).iloc[0]
        parts.append(
            f"{name}: {found} of {len(tested)} flows exceed scan-rescan noise at a family-wise "
            f"level of {alpha:.3g}; most clearly type {best['from_type']} to {best['to_type']}, "
            f"{100 * best['mean']:.2f} % where noise makes {100 * best['expected']:.2f} %."
        )
    return " ".join(parts)
