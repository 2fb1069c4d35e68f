"""Hierarchical composite: win ratio, win odds, net benefit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import (
    numeric,
    require_columns,
    require_conf_level,
    require_unique,
)
from livertrack.endpoints._events import is_event
from livertrack.endpoints._sentences import interval_text
from livertrack.endpoints._strata import stratum_numbers
from livertrack.endpoints._two_by_two import compared_arms
from livertrack.errors import DataError, UsageError

Floats = NDArray[np.float64]
Signs = NDArray[np.int8]


@dataclass(frozen=True)
class Outcome:
    """One step of the hierarchy.

    Either a time to an event that should come late or never (``time`` and ``censor``, 0 = event),
    or a ``value`` that should be high or low (``better``), in the unit of the column. Differences
    up to ``margin`` (same unit) are ties.
    """

    name: str
    value: str | None = None
    time: str | None = None
    censor: str | None = None
    better: Literal["higher", "lower"] = "higher"
    margin: float = 0.0

    def __post_init__(self) -> None:
        timed = self.time is not None and self.censor is not None
        half = (self.time is None) != (self.censor is None)
        if half or timed == (self.value is not None):
            msg = f"outcome {self.name}: give value, or time and censor"
            raise UsageError(msg)
        if self.better not in ("higher", "lower") or self.margin < 0:
            msg = f"outcome {self.name}: better is higher or lower, margin >= 0"
            raise UsageError(msg)

    @property
    def columns(self) -> list[str]:
        """Columns the outcome is made of."""
        return [c for c in (self.value, self.time, self.censor) if c is not None]


@dataclass(frozen=True, kw_only=True)
class WinRatio(Result):
    """Three summaries per arm (``table``) and the wins at each step (``levels``)."""

    levels: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "measure", "outcome")
    context: ClassVar[str] = "win_ratio"


def win_ratio(
    data: pd.DataFrame,
    *,
    hierarchy: Sequence[Outcome | Mapping[str, Any]],
    arm: str = "TRT01P",
    reference: str,
    strata: str | list[str] | None = None,
    conf_level: float = 0.95,
) -> WinRatio:
    """Compare every subject of an arm with every subject of the reference, worst outcome first.

    Parameters
    ----------
    data : DataFrame, one row per subject
        One or two columns per outcome.
    hierarchy : sequence of Outcome or of mappings with its fields
        Most important first; a pair that ties on one goes on to the next.
    arm, reference : str
        Column, and the level the others are compared with.
    strata : str or list of str, optional
        Columns; pairs are formed within strata, weighted n1 n0 / (n1 + n0).
    conf_level : float
        Of the limits.

    Returns
    -------
    WinRatio
        ``.table``: ``arm, reference, measure`` (win_ratio, win_odds, net_benefit), ``estimate,
        std_error`` (of the logarithm for the first two), ``conf_low, conf_high, statistic,
        p_value, n_arm, n_ref, method``. ``.levels``: ``arm, outcome, wins, losses, ties`` (pairs
        decided at the step, pairs left after it) and ``missing`` (pairs that tie at the step
        because a value is missing).

    Notes
    -----
    Denominator: all pairs of subjects of the two arms within strata. A missing value ties at its
    step; only subjects without arm or stratum are dropped, and counted.
    Win ratio: wins / losses. Win odds: (wins + ties / 2) / (losses + ties / 2). Net benefit:
    (wins - losses) / pairs. Above 1, 1 and 0: the arm does better than ``reference``.
    Of two times the longer wins if the shorter one ended in the event; an event and a censoring
    at the same time: the censored subject wins; otherwise nobody knows, a tie.
    Limits: U-statistic covariance of wins and losses, on the log scale; of the net benefit, on
    the inverse hyperbolic tangent, which is half the log win odds, so that both tests agree.
    No loss (or no win) gives an infinite (or zero) ratio with NaN limits; only ties give NaN,
    and so does every measure when no outcome of any pair is known; fewer than two subjects in an
    arm give NaN limits.
    Source: Pocock et al. (2012); Bebu and Lachin (2016); Buyse (2010); Dong et al. (2018, strata;
    2020, odds).
    Checked against: explicit loops over pairs in R 4.2 (tests/reference/win_ratio.R); a single
    value without ties is the DeLong interval of the AUC.
    """
    require_conf_level(conf_level)
    outcomes = [o if isinstance(o, Outcome) else _outcome(o) for o in hierarchy]
    if not outcomes:
        msg = "hierarchy: give at least one outcome"
        raise UsageError(msg)
    by = [strata] if isinstance(strata, str) else list(strata or [])
    require_columns(data, [arm, *by, *(c for o in outcomes for c in o.columns)])
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    kept = data.dropna(subset=[arm, *by])
    notes = []
    if len(kept) < len(data):
        notes.append(f"dropped {len(data) - len(kept)} of {len(data)} subjects: no arm or stratum")
    for outcome in outcomes:
        _check(kept, outcome)
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    place = stratum_numbers(kept, by)
    rows, steps = [], []
    for level in compared_arms(kept, arm, reference):
        mine = (kept[arm] == level).to_numpy(dtype=bool)
        theirs = (kept[arm] == reference).to_numpy(dtype=bool)
        pairs = [
            _pairs(kept[mine & (place == s)], kept[theirs & (place == s)], outcomes)
            for s in np.unique(place)
        ]
        pairs = [found for found in pairs if found[0].size]
        n = {"n_arm": int(mine.sum()), "n_ref": int(theirs.sum())}
        if not pairs:
            notes.append(f"{level}: no pair with {reference}")
        unknown = bool(pairs) and all(
            step[3] == sign.size for sign, steps_of in pairs for step in steps_of
        )
        if unknown:
            notes.append(f"{level}: no pair with {reference} has a value of both of any outcome")
        summaries = _summaries([] if unknown else [sign for sign, _ in pairs], z)
        for measure, numbers in summaries.items():
            rows.append(
                {
                    "arm": level, "reference": reference, "measure": measure, **numbers, **n,
                    "method": "U-statistic covariance" + (", stratified" if by else ""),
                }
            )  # fmt: skip
        if pairs and not unknown and np.isnan(summaries["win_ratio"]["conf_low"]):
            notes.append(
                f"{level}: no limits; wins or losses are absent, or one subject in an arm"
            )
        steps += _steps(level, outcomes, [found for _, found in pairs])
    table = pd.DataFrame(rows)
    return WinRatio(
        table=table,
        levels=pd.DataFrame(steps),
        text=_sentence(table, conf_level),
        settings={
            "method": "win ratio, U-statistic covariance", "reference": reference, "strata": by,
            "conf_level": conf_level, "arm": arm,
            "hierarchy": [{f.name: getattr(o, f.name) for f in fields(o)} for o in outcomes],
        },
        notes=tuple(notes),
    )  # fmt: skip


def _outcome(given: Mapping[str, Any]) -> Outcome:
    known = {f.name for f in fields(Outcome)}
    unknown = sorted(set(given) - known)
    if unknown or "name" not in given:
        msg = (
            f"hierarchy: an outcome has a name and {', '.join(sorted(known))}; got {sorted(given)}"
        )
        raise UsageError(msg)
    return Outcome(**given)


def _check(data: pd.DataFrame, outcome: Outcome) -> None:
    for column in outcome.columns:
        numeric(data, column)
    if outcome.time is not None and outcome.censor is not None:
        flags = numeric(data, outcome.censor)
        is_event(flags[~np.isnan(flags)], name=outcome.censor)
        negative = int((numeric(data, outcome.time) < 0).sum())
        if negative:
            msg = f"{outcome.time}: {negative} negative time(s)"
            raise DataError(msg)


def _pairs(
    first: pd.DataFrame, second: pd.DataFrame, outcomes: Sequence[Outcome]
) -> tuple[Signs, list[tuple[int, int, int, int]]]:
    """1 win, -1 loss, 0 tie of each subject of ``first`` (rows) against ``second`` (columns)."""
    sign = np.zeros((len(first), len(second)), dtype=np.int8)
    found = []
    for outcome in outcomes:
        here, unknown = _compare(first, second, outcome)
        open_pairs = sign == 0
        decided = np.where(open_pairs, here, 0)
        sign = sign + decided.astype(np.int8)
        found.append(
            (
                int((decided > 0).sum()), int((decided < 0).sum()), int((sign == 0).sum()),
                int((open_pairs & unknown).sum()),
            )
        )  # fmt: skip
    return sign, found


def _compare(
    first: pd.DataFrame, second: pd.DataFrame, outcome: Outcome
) -> tuple[Signs, NDArray[np.bool_]]:
    if outcome.value is not None:
        a, b = numeric(first, outcome.value)[:, None], numeric(second, outcome.value)[None]
        if outcome.better == "lower":
            a, b = -a, -b
        unknown = np.isnan(a) | np.isnan(b)
        win, loss = a - b > outcome.margin, b - a > outcome.margin
    else:
        times = [numeric(part, str(outcome.time)) for part in (first, second)]
        flags = [numeric(part, str(outcome.censor)) for part in (first, second)]
        t1, t2 = times[0][:, None], times[1][None]
        e1, e2 = (flags[0] == 0)[:, None], (flags[1] == 0)[None]
        unknown = (np.isnan(times[0]) | np.isnan(flags[0]))[:, None]
        unknown = unknown | (np.isnan(times[1]) | np.isnan(flags[1]))[None]
        win = e2 & ((t1 - t2 > outcome.margin) | (~e1 & (t1 == t2)))
        loss = e1 & ((t2 - t1 > outcome.margin) | (~e2 & (t1 == t2)))
    sign = np.where(unknown, 0, win.astype(np.int8) - loss.astype(np.int8))
    return sign.astype(np.int8), unknown


def _summaries(signs: list[Signs], z: float) -> dict[str, dict[str, float]]:
    names = ("win_ratio", "win_odds", "net_benefit")
    nan = float("nan")
    if not signs:
        return {name: _limits(nan, nan, nan) for name in names}
    weights = np.array([s.shape[0] * s.shape[1] / sum(s.shape) for s in signs])
    weights = weights / weights.sum()
    theta, covariance = np.zeros(2), np.zeros((2, 2))
    for weight, sign in zip(weights, signs, strict=True):
        kernel = np.stack([sign > 0, sign < 0]).astype(float)
        theta += weight * kernel.mean(axis=(1, 2))
        covariance += weight**2 * sum(
            np.cov(kernel.mean(axis=axis)) / size if size > 1 else np.full((2, 2), nan)
            for axis, size in ((2, sign.shape[0]), (1, sign.shape[1]))
        )
    win, loss = float(theta[0]), float(theta[1])
    net = win - loss
    error_net = float(np.sqrt(max(np.array([1, -1]) @ covariance @ np.array([1, -1]), 0.0)))
    if win > 0 and loss > 0:
        slope = np.array([1 / win, -1 / loss])
        log_ratio, error = float(np.log(win / loss)), float(np.sqrt(slope @ covariance @ slope))
    else:
        log_ratio = nan if win == loss else float(np.inf if loss == 0 else -np.inf)
        error = nan
    inside = abs(net) < 1
    half = float(np.arctanh(net)) if inside else float(np.sign(net) * np.inf)
    error_half = error_net / (1 - net**2) if inside else nan
    ratio = _limits(log_ratio, error, z)
    odds = _limits(2 * half, 2 * error_half, z)
    low, high = (np.tanh(half + side * z * error_half) for side in (-1, 1))
    benefit = {**odds, "estimate": net, "std_error": error_net if inside else nan,
               "conf_low": float(low), "conf_high": float(high)}  # fmt: skip
    return dict(zip(names, (ratio, odds, benefit), strict=True))


def _limits(logarithm: float, error: float, z: float) -> dict[str, float]:
    error = error if error > 0 else float("nan")
    statistic = logarithm / error
    return {
        "estimate": float(np.exp(logarithm)), "std_error": error,
        "conf_low": float(np.exp(logarithm - z * error)),
        "conf_high": float(np.exp(logarithm + z * error)),
        "statistic": statistic, "p_value": float(2 * stats.norm.sf(abs(statistic))),
    }  # fmt: skip


def _steps(
    level: str, outcomes: Sequence[Outcome], found: list[list[tuple[int, int, int, int]]]
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for i, outcome in enumerate(outcomes):
        wins, losses, ties, missing = (sum(part[i][j] for part in found) for j in range(4))
        rows.append(
            {
                "arm": level, "outcome": outcome.name, "step": i + 1, "wins": wins,
                "losses": losses, "ties": ties, "missing": missing,
            }
        )  # fmt: skip
    return rows


def _sentence(table: pd.DataFrame, conf_level: float) -> str:
    parts = [
        f"{row['arm']} against {row['reference']}: {row['measure'].replace('_', ' ')} "
        + interval_text(
            row["estimate"], row["conf_low"], row["conf_high"], conf_level=conf_level,
            p=row["p_value"],
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    return "; ".join(parts) + "." if parts else "No arm to compare."
