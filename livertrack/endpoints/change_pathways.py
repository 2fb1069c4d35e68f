"""Change pathways: which tissue type turns into which, where, and in which arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_conf_level
from livertrack.endpoints._pathways_flows import Flows, flows
from livertrack.endpoints._pathways_net import mean_matrices, net_change
from livertrack.endpoints._pathways_noise import null_transitions
from livertrack.endpoints._pathways_text import notes_of, sentence
from livertrack.endpoints._permutation import Alternative, MaxT, max_t_test, welch, welch_limits
from livertrack.errors import DataError, UsageError

__all__ = ["ChangePathways", "change_pathways", "null_transitions"]

#: With ``share="from-type"``: least proportion of a from-type at baseline.
LEAST_BASELINE = 0.01
_METHOD = "Welch difference, permutation within strata"


@dataclass(frozen=True, kw_only=True)
class ChangePathways(Result):
    """Flows between tissue types by arm.

    Attributes
    ----------
    table : DataFrame
        One row per arm, visit, region and pair of different types: ``arm, reference, visit,
        region, level, from_type, to_type, from_group, to_group, estimate`` (mean flow of the arm
        minus that of the reference, proportion of the region), ``std_error, df, statistic,
        conf_low, conf_high`` (pointwise), ``simultaneous_low, simultaneous_high, p_value,
        p_adjusted, q_value, mean_arm, mean_ref, prevalence, tested, n_arm, n_ref, n_missing,
        n_transport, method``.
    matrices : DataFrame
        Mean flow of each arm: ``visit, region, arm, from_type, to_type, mean, std_dev, n``;
        sums to one over the types.
    net : DataFrame
        Per type: ``visit, region, arm, type, baseline, follow_up, gain, loss, net`` and
        ``estimate`` = net change of the arm minus that of the reference with ``std_error,
        statistic, conf_low, conf_high, p_value, p_adjusted`` (a family of its own).
    global_test : DataFrame
        Does any pathway differ: ``arm, reference, statistic_name, statistic, p_value,
        p_adjusted`` (Holm over arms), ``n_flows, n_permutations``.
    """

    matrices: pd.DataFrame = field(default_factory=pd.DataFrame)
    net: pd.DataFrame = field(default_factory=pd.DataFrame)
    global_test: pd.DataFrame = field(default_factory=pd.DataFrame)

    keys: ClassVar[tuple[str, ...]] = (
        "arm", "region", "visit", "level", "from_type", "to_type", "type", "statistic_name",
    )  # fmt: skip
    context: ClassVar[str] = "change_pathways"


def change_pathways(
    adpath: pd.DataFrame,
    *,
    arm: str = "TRT01P",
    reference: str,
    n_perm: int | None = 2000,
    seed: int,
    subject: str = "USUBJID",
    subjects: pd.DataFrame | None = None,
    visit: str | None = None,
    regions: Sequence[str] | None = None,
    strata: str | Sequence[str] | None = None,
    min_prevalence: float = 0.001,
    share: Literal["region", "from-type"] = "region",
    merge: Sequence[Mapping[int, int]] = (),
    conf_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> ChangePathways:
    """Compare every flow between two tissue types of every active arm with the reference.

    Parameters
    ----------
    adpath : DataFrame, one row per subject, visit, region, from-type and to-type
        Columns ``subject, AVISIT, REGION`` (blank = whole liver), ``FROMTYPE, TOTYPE`` (1..K),
        ``AVAL`` (proportion of the region, sums to one per subject, visit and region), ``arm``,
        optionally ``METHOD`` (``voxel`` or ``transport``).
    reference : str
        Level of ``arm`` every other arm is compared with.
    n_perm : int or None
        Random relabellings of each comparison; None enumerates all of them.
    subjects : DataFrame, optional
        One row per subject of the analysis population (``subject, arm``, strata). Without it, a
        subject is known only by its records, and one without any follow-up is not counted.
    visit : str, optional
        One visit; None takes all visits into one family.
    regions : sequence of str, optional
        Regions of the family; all by default.
    strata : str or sequence of str, optional
        Columns within which labels are permuted, e.g. SITEID.
    min_prevalence : float
        A flow is tested when its mean over all subjects of all arms, taken without looking at
        the arm, reaches this proportion; the others get an estimate without p-value.
    share : {"region", "from-type"}
        Flows as proportion of the region, or of the from-type at baseline (subjects who have at
        least 1 % of it), which takes the baseline composition out.
    merge : sequence of mappings, optional
        Coarser vocabularies (type -> group, types left out stay alone). Flows between groups join
        the same family, so that choosing a level is paid for inside every permutation.
    conf_level : float
        Of the pointwise (Welch) and simultaneous intervals.
    alternative : {"two-sided", "greater", "less"}
        ``greater``: larger in the arm than in the reference. Intervals are two-sided always;
        simultaneous ones exist for two-sided tests only.

    Returns
    -------
    ChangePathways

    Notes
    -----
    Denominator: subjects with a record of that visit and region. A subject whose follow-up is
    missing is not stable: it is counted in ``n_missing`` (both arms of the comparison) and in
    nothing else.
    ``p_adjusted`` is step-down max-T; its family is all tested flows of all arms, visits,
    regions and levels in the table. ``q_value`` is Benjamini-Hochberg over the same family.
    Labels are permuted between an arm and the reference only.
    Source: Westfall and Young (1993); Janssen (1997).
    Checked against: full enumeration in base R (tests/reference/max_t.R).
    """
    require_conf_level(conf_level)
    _check_options(alternative, share, min_prevalence)
    every = flows(adpath, arm=arm, subject=subject, visit=visit, regions=regions, strata=strata,
                  subjects=subjects)  # fmt: skip
    arms = _arms(adpath if subjects is None else subjects, arm, reference)
    levels = [_Level(0, every, share, np.array(every.types))]
    levels += [_Level(n, every, share, _groups(every.types, m)) for n, m in enumerate(merge, 1)]
    rows = pd.concat([level.rows() for level in levels], ignore_index=True)
    values = np.concatenate([level.columns() for level in levels], axis=1)
    prevalence = np.concatenate([level.prevalence() for level in levels])
    tested = prevalence >= min_prevalence
    test = max_t_test(
        values[:, tested], every.arm, arms=arms, reference=reference, n_perm=n_perm, seed=seed,
        strata=every.strata, alternative=alternative, conf_level=conf_level,
    )  # fmt: skip
    rows = rows.assign(prevalence=prevalence, tested=tested)
    facts = _Facts(every, values, rows, test, reference, conf_level, alternative)
    table = pd.concat([facts.arm_rows(number) for number in range(len(arms))], ignore_index=True)
    known = table["p_value"].notna()
    table["q_value"] = np.nan
    if known.any():
        table.loc[known, "q_value"] = multipletests(table.loc[known, "p_value"], method="fdr_bh")[
            1
        ]
    table["method"] = _METHOD
    overall = _global_table(test, reference)
    net = net_change(every, arms=arms, reference=reference, n_perm=n_perm, seed=seed,
                     conf_level=conf_level, alternative=alternative)  # fmt: skip
    settings = {
        "method": _METHOD, "arm": arm, "reference": reference, "arms": arms, "seed": seed,
        "n_perm": n_perm, "conf_level": conf_level, "alternative": alternative,
        "visits": list(every.visits), "regions": list(every.regions), "types": list(every.types),
        "strata": [strata] if isinstance(strata, str) else list(strata or []),
        "min_prevalence": min_prevalence, "share": share, "merge": [dict(m) for m in merge],
        "family": "all tested flows of all arms, visits, regions and levels",
        "n_tested": int(known.sum()), "critical": test.critical,
        "n_subjects": len(every.subjects),
    }  # fmt: skip
    return ChangePathways(
        table=table, matrices=mean_matrices(every, [reference, *arms]), net=net,
        global_test=overall, settings=settings, text=sentence(table, overall, settings),
        notes=notes_of(table, every, subjects is not None),
    )  # fmt: skip


def _check_options(alternative: str, share: str, min_prevalence: float) -> None:
    if alternative not in ("two-sided", "greater", "less"):
        msg = f"alternative is two-sided, greater or less; got {alternative!r}"
        raise UsageError(msg)
    if share not in ("region", "from-type"):
        msg = f"share is region or from-type; got {share!r}"
        raise UsageError(msg)
    if not 0 <= min_prevalence < 1:
        msg = f"min_prevalence is a proportion from 0 to below 1; got {min_prevalence!r}"
        raise UsageError(msg)


def _arms(people: pd.DataFrame, arm: str, reference: str) -> list[str]:
    """Active arms in order; a categorical keeps arms that have no subject left."""
    column = people[arm]
    levels = (
        list(column.cat.categories)
        if isinstance(column.dtype, pd.CategoricalDtype)
        else ordered_levels(column)
    )
    levels = [str(level) for level in levels]
    if reference not in set(column.dropna().astype(str)):
        msg = f"{arm}: reference {reference!r} has no subject; levels are {levels}"
        raise DataError(msg)
    active = [level for level in levels if level != reference]
    if not active:
        msg = f"{arm}: no arm beside the reference {reference!r}; a comparison needs two"
        raise DataError(msg)
    return active


def _groups(types: tuple[int, ...], mapping: Mapping[int, int]) -> np.ndarray:
    """Group of each type, named by its smallest member."""
    unknown = sorted(set(mapping) - set(types))
    if unknown:
        msg = f"merge: type(s) {unknown} do not occur; types are {list(types)}"
        raise UsageError(msg)
    raw = [("group", mapping[kind]) if kind in mapping else ("alone", kind) for kind in types]
    first = dict(zip(reversed(raw), reversed(types), strict=True))
    return np.array([first[name] for name in raw])


def _column_means(values: np.ndarray) -> np.ndarray:
    count = (~np.isnan(values)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nansum(values, axis=0) / count)


class _Level:
    """Flows between different types of one level of the vocabulary, as columns."""

    def __init__(self, number: int, every: Flows, share: str, groups: np.ndarray) -> None:
        self.merged = every.merged(groups) if number else every
        self.flows = self.merged
        if share == "from-type":
            self.flows = self.merged.given_baseline(LEAST_BASELINE)
        self.number = number
        self.members = {
            int(name): "+".join(
                str(t) for t, g in zip(every.types, groups, strict=True) if g == name
            )
            for name in np.unique(groups)
        }
        size = len(self.flows.types)
        self.different = ~np.eye(size, dtype=bool).ravel()

    def columns(self) -> np.ndarray:
        """Values (subjects, visits x regions x pairs of different types)."""
        return self._flat(self.flows)

    def prevalence(self) -> np.ndarray:
        """Mean proportion of the region over all subjects, whatever their arm."""
        return _column_means(self._flat(self.merged))

    def _flat(self, source: Flows) -> np.ndarray:
        n, v, r, k, _ = source.cube.shape
        return source.cube.reshape(n, v, r, k * k)[..., self.different].reshape(n, -1)

    def rows(self) -> pd.DataFrame:
        """Describe each column, in the order of `columns`."""
        here = self.flows
        pairs = [(a, b) for a, b in product(here.types, here.types) if a != b]
        frame = pd.DataFrame(
            [(v, r, a, b) for v, r, (a, b) in product(here.visits, here.regions, pairs)],
            columns=["visit", "region", "from_type", "to_type"],
        )
        frame.insert(2, "level", self.number)
        frame["from_group"] = frame["from_type"].map(self.members)
        frame["to_group"] = frame["to_type"].map(self.members)
        return frame


@dataclass(frozen=True)
class _Facts:
    """What the rows of the table are made of."""

    every: Flows
    values: np.ndarray
    rows: pd.DataFrame
    test: MaxT
    reference: str
    conf_level: float
    alternative: str

    def arm_rows(self, number: int) -> pd.DataFrame:
        """Rows of one arm."""
        name = self.test.arms[number]
        pair = self.test.pairs[number]
        tested = self.rows["tested"].to_numpy()
        in_arm, in_ref = self.every.arm == name, self.every.arm == self.reference
        seen = welch(self.values[in_arm | in_ref], in_arm[in_arm | in_ref])
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
            p_value=_spread(pair.p_value, tested),
            p_adjusted=_spread(self.test.p_adjusted[number], tested),
            mean_arm=_column_means(self.values[in_arm]),
            mean_ref=_column_means(self.values[in_ref]),
            prevalence=self.rows["prevalence"], tested=tested & ~np.isnan(seen.statistic),
            n_arm=seen.n_arm, n_ref=seen.n_ref, n_missing=n_pair - seen.n_arm - seen.n_ref,
            n_transport=transport,
        )  # fmt: skip


def _spread(values: np.ndarray, tested: np.ndarray) -> np.ndarray:
    out = np.full(len(tested), np.nan)
    out[tested] = values
    return out


def _global_table(test: MaxT, reference: str) -> pd.DataFrame:
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
        frame.loc[part.index, "p_adjusted"] = _holm(part["p_value"].to_numpy())
    return frame


def _holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted
