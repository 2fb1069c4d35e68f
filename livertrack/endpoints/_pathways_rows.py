"""Rows of the tables of `change_pathways`: flows of each arm, global tests, levels, trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from livertrack.endpoints._adjust import Covariates, residuals
from livertrack.endpoints._pathways_flows import Flows
from livertrack.endpoints._pathways_levels import Level, column_means
from livertrack.endpoints._permutation import MaxT
from livertrack.endpoints._permutation_trend import TrendTest
from livertrack.endpoints._welch import WelchStatistics, welch, welch_limits


@dataclass(frozen=True)
class Facts:
    """What the rows of the table are made of."""

    every: Flows
    values: np.ndarray
    rows: pd.DataFrame
    test: MaxT
    reference: str
    conf_level: float
    alternative: str
    covariates: Covariates | None

    def arm_rows(self, number: int) -> pd.DataFrame:
        """Rows of one arm."""
        name = self.test.arms[number]
        pair = self.test.pairs[number]
        tested = self.rows["tested"].to_numpy()
        in_arm, in_ref = self.every.arm == name, self.every.arm == self.reference
        seen = self._seen(in_arm | in_ref, name)
        low, high = welch_limits(seen, self.conf_level)
        critical = self.test.critical if self.alternative == "two-sided" else np.nan
        where = (
            [self.every.visits.index(v) for v in self.rows["visit"]],
            [self.every.regions.index(r) for r in self.rows["region"]],
        )
        transport = self.every.transport[in_arm | in_ref].sum(axis=0)[where]
        half = np.where(tested, critical * seen.std_error, np.nan)
        half = np.where(np.isnan(seen.statistic), np.nan, half)
        n_pair = int((in_arm | in_ref).sum())
        frame = pd.DataFrame({"arm": name, "reference": self.reference}, index=self.rows.index)
        frame = frame.join(self.rows.drop(columns=["prevalence", "tested"]))
        return frame.assign(
            estimate=seen.estimate, std_error=seen.std_error, df=seen.df,
            statistic=seen.statistic, conf_low=low, conf_high=high,
            simultaneous_low=seen.estimate - half, simultaneous_high=seen.estimate + half,
            p_value=spread(pair.p_value, tested),
            p_adjusted=spread(self.test.p_adjusted[number], tested),
            mean_arm=column_means(self.values[in_arm]),
            mean_ref=column_means(self.values[in_ref]),
            prevalence=self.rows["prevalence"], tested=tested & ~np.isnan(seen.statistic),
            n_arm=seen.n_arm, n_ref=seen.n_ref, n_missing=n_pair - seen.n_arm - seen.n_ref,
            n_transport=transport,
        )  # fmt: skip

    def _seen(self, pair: np.ndarray, name: str) -> WelchStatistics:
        """Observed statistics of all columns, tested or not."""
        is_arm = self.every.arm[pair] == name
        if self.covariates is None:
            return welch(self.values[pair], is_arm)
        rest = residuals(self.values[pair], is_arm.astype(float), self.covariates.at(pair))
        return rest.adjusted(welch(rest.values, is_arm))


def spread(values: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Put the values of tested columns in their places among all, NaN elsewhere."""
    out = np.full(len(tested), np.nan)
    out[tested] = values
    return out


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values; nothing missing."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def false_discovery(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's adjusted p-values; NaN stays NaN and does not count."""
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(-p[known], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    steps = p[order] * len(known) / np.arange(len(known), 0, -1)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1) if len(known) else steps
    return adjusted


def global_table(test: MaxT, reference: str) -> pd.DataFrame:
    """Tests of "any pathway differs", per arm and adjusted over arms by Holm's method."""
    rows = []
    for name, pair in zip(test.arms, test.pairs, strict=True):
        t = pair.observed.statistic[~np.isnan(pair.observed.statistic)]
        for label, statistic, p in (
            ("maximum of the statistics", np.abs(t).max() if len(t) else np.nan, pair.p_max),
            ("sum of squared statistics", (t**2).sum() if len(t) else np.nan, pair.p_sum),
        ):
            rows.append(
                {
                    "arm": name, "reference": reference, "statistic_name": label,
                    "statistic": float(statistic), "p_value": p, "n_flows": len(t),
                    "n_permutations": pair.n_permutations,
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    frame.insert(5, "p_adjusted", np.nan)
    for _, part in frame.dropna(subset=["p_value"]).groupby("statistic_name"):
        frame.loc[part.index, "p_adjusted"] = holm(part["p_value"].to_numpy())
    return frame


def levels_table(test: MaxT, levels: Sequence[Level], tested_levels: np.ndarray) -> pd.DataFrame:
    """Test of every level of the vocabulary, and of the best one with its choice repeated."""
    rows = []
    for name, pair in zip(test.arms, test.pairs, strict=True):
        for place, level in enumerate(levels):
            count = int((tested_levels == place).sum())
            known = count > 0 and pair.n_permutations > 0
            rows.append(
                {
                    "arm": name, "level": level.number, "n_types": len(level.members),
                    "groups": ", ".join(level.members.values()), "n_flows": count,
                    "statistic": float(pair.groups.statistic[place]) if known else np.nan,
                    "p_value": float(pair.groups.p_value[place]) if known else np.nan,
                    "p_chosen": float(pair.groups.p_chosen[place]) if known else np.nan,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def trend_table(
    test: TrendTest, rows: pd.DataFrame, tested: np.ndarray, conf_level: float
) -> pd.DataFrame:
    """Rows of the dose order: one per scale and tested flow."""
    parts = []
    for number, (scale, seen) in enumerate(test.slopes.items()):
        frame = rows[tested].drop(columns=["prevalence", "tested"]).reset_index(drop=True)
        with np.errstate(invalid="ignore"):
            half = stats.t.ppf(0.5 + conf_level / 2, seen.df) * seen.std_error
        frame.insert(0, "scale", scale)
        wide = test.critical * seen.std_error
        frame = frame.assign(
            estimate=seen.estimate, std_error=seen.std_error, df=seen.df,
            statistic=seen.statistic, conf_low=seen.estimate - half,
            conf_high=seen.estimate + half, simultaneous_low=seen.estimate - wide,
            simultaneous_high=seen.estimate + wide, p_value=test.p_value[number],
            p_adjusted=test.p_adjusted[number], n=seen.n,
        )  # fmt: skip
        parts.append(frame)
    frame = pd.concat(parts, ignore_index=True)
    frame["q_value"] = false_discovery(frame["p_value"].to_numpy())
    return frame


def trend_global(test: TrendTest) -> pd.DataFrame:
    """Tests of "any pathway follows the dose": ``statistic_name, statistic, p_value``."""
    t = np.concatenate([seen.statistic for seen in test.slopes.values()])
    t = t[~np.isnan(t)]
    return pd.DataFrame(
        {
            "statistic_name": ["maximum of the statistics", "sum of squared statistics"],
            "statistic": [np.abs(t).max(), (t**2).sum()] if len(t) else [np.nan, np.nan],
            "p_value": [test.p_max, test.p_sum],
            "n_flows": len(t), "n_permutations": test.n_permutations,
        }
    )  # fmt: skip
