"""Change pathways: which tissue type turns into which, where, and in which arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from livertrack._results import Result
from livertrack.endpoints._adjust import Covariates, covariate_matrix
from livertrack.endpoints._checks import ordered_levels, require_conf_level
from livertrack.endpoints._pathways_flows import Flows, baseline_frame, flows
from livertrack.endpoints._pathways_levels import Level, resolve
from livertrack.endpoints._pathways_net import mean_matrices, net_change
from livertrack.endpoints._pathways_noise import aligned_null, null_transitions
from livertrack.endpoints._pathways_rows import (
    Facts,
    false_discovery,
    global_table,
    levels_table,
    trend_global,
    trend_table,
)
from livertrack.endpoints._pathways_text import notes_of, sentence
from livertrack.endpoints._permutation import Alternative, max_t_test
from livertrack.endpoints._permutation_trend import trend_test
from livertrack.errors import DataError, UsageError

__all__ = ["ChangePathways", "change_pathways", "null_transitions"]

_PLAIN = "Welch difference, permutation within strata"
_ADJUSTED = "covariate-adjusted difference, permutation of residuals within strata"

Doses = Mapping[str, float] | Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class ChangePathways(Result):
    """Flows between tissue types by arm.

    Attributes
    ----------
    table : DataFrame
        One row per arm, visit, region and pair of different types: ``arm, reference, visit,
        region, level, from_type, to_type, from_group, to_group, estimate`` (mean flow of the arm
        minus that of the reference, proportion of the region; given the covariates where there
        are some), ``std_error, df, statistic, conf_low, conf_high`` (pointwise),
        ``simultaneous_low, simultaneous_high, p_value, p_adjusted, q_value, mean_arm, mean_ref``
        (as observed), ``prevalence, tested, n_arm, n_ref, n_missing, n_transport, method``.
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
    levels : DataFrame
        Per arm and level of the vocabulary: ``n_types, groups, n_flows, statistic`` (sum of
        squares), ``p_value``, and ``p_chosen``: valid for the level that was chosen because its
        p is the smallest (the choice is repeated in every permutation).
    trend : DataFrame
        With ``trend``: per scale and flow the ``estimate`` = slope per unit of dose with
        ``std_error, df, statistic, conf_low, conf_high, simultaneous_low, simultaneous_high,
        p_value, p_adjusted, q_value, n`` (a family of its own, all arms permuted together).
    trend_global : DataFrame
        Does any pathway follow the dose: ``statistic_name, statistic, p_value, n_flows``.
    """

    matrices: pd.DataFrame = field(default_factory=pd.DataFrame)
    net: pd.DataFrame = field(default_factory=pd.DataFrame)
    global_test: pd.DataFrame = field(default_factory=pd.DataFrame)
    levels: pd.DataFrame = field(default_factory=pd.DataFrame)
    trend: pd.DataFrame = field(default_factory=pd.DataFrame)
    trend_global: pd.DataFrame = field(default_factory=pd.DataFrame)

    keys: ClassVar[tuple[str, ...]] = (
        "arm", "region", "visit", "level", "from_type", "to_type", "type", "statistic_name",
        "scale",
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
    merge: Sequence[Mapping[int, int] | int] = (),
    distances: ArrayLike | None = None,
    covariates: Sequence[str] = (),
    adjust_baseline: bool = False,
    trend: Doses | None = None,
    null: pd.DataFrame | None = None,
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
    merge : sequence of mappings or numbers, optional
        Coarser vocabularies: type -> group (types left out stay alone), or a number of groups,
        to which similar types are merged by a rule that never sees the arms (see Notes). Flows
        between groups join the same family, so that choosing a level is paid for inside every
        permutation.
    distances : array (K, K), optional
        Distance between types 1..K for that rule; by default types are near when they exchange
        tissue in both directions alike, over all subjects of all arms.
    covariates : sequence of str
        Baseline columns of ``subjects`` (of ``adpath`` without it): numbers as they are, others as
        levels.
    adjust_baseline : bool
        Also adjust every flow for the baseline proportion of its from-type in the region.
    trend : mapping of arm to dose, or of scale name to such a mapping, optional
        Also test the slope of every flow on the dose, over all arms; several scales (linear,
        plateau) form one family.
    null : DataFrame, optional
        From `null_transitions` of repeat scans: flows are counted beyond what scan-rescan noise
        makes of each subject's baseline. Not from an arm of this trial: that would look at arms
        outside the permutation.
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
    With covariates, labels are permuted over residuals of a regression that ignores the arm, which
    keeps the test exact under the sharp null; the estimate is the least-squares difference given
    the covariates, its error allows unequal variances.
    A merging rule given as a number of groups uses the flows of all subjects together: relabelling
    does not change it, so it costs no type I error. Choosing among levels by their p looks at the
    arms: ``levels.p_chosen`` and ``p_adjusted`` repeat that choice in every permutation.
    Source: Westfall and Young (1993); Janssen (1997); Rosenbaum (2002); Lin (2013); DiCiccio and
    Romano (2017) for the trend.
    Checked against: full enumeration in base R (tests/reference/max_t.R), least squares in R
    (tests/reference/pathways_adjusted.R).
    """
    require_conf_level(conf_level)
    _check_options(alternative, share, min_prevalence)
    every = flows(adpath, arm=arm, subject=subject, visit=visit, regions=regions, strata=strata,
                  subjects=subjects)  # fmt: skip
    source = adpath if subjects is None else subjects
    arms = _arms(source, arm, reference)
    null_cube, null_notes = (None, []) if null is None else aligned_null(null, every)
    groups = [np.array(every.types), *resolve(every, merge, distances)]
    levels = [Level(n, every, share, group, null_cube) for n, group in enumerate(groups)]
    rows = pd.concat([level.rows() for level in levels], ignore_index=True)
    of_level = rows["level"].to_numpy()
    values = np.concatenate([level.columns() for level in levels], axis=1)
    prevalence = np.concatenate([level.prevalence() for level in levels])
    tested = prevalence >= min_prevalence
    shared, gaps = _shared(source, subject, list(covariates), every)
    given = _covariates(shared, levels if adjust_baseline else None)
    family: dict[str, Any] = {
        "seed": seed, "n_perm": n_perm, "strata": every.strata, "alternative": alternative,
        "conf_level": conf_level,
    }  # fmt: skip
    test = max_t_test(
        values[:, tested], every.arm, arms=arms, reference=reference, groups=of_level[tested],
        covariates=None if given is None else given.of(tested), **family,
    )  # fmt: skip
    rows = rows.assign(prevalence=prevalence, tested=tested)
    facts = Facts(every, values, rows, test, reference, conf_level, alternative, given)
    table = pd.concat([facts.arm_rows(number) for number in range(len(arms))], ignore_index=True)
    table["q_value"] = false_discovery(table["p_value"].to_numpy())
    method = _PLAIN if given is None else _ADJUSTED
    table["method"] = method
    overall = global_table(test, reference)
    net = net_change(every, arms=arms, reference=reference, shared=shared,
                     adjust_baseline=adjust_baseline, **family)  # fmt: skip
    doses = None if trend is None else _doses(trend, [reference, *arms])
    slopes, slopes_global = pd.DataFrame(), pd.DataFrame()
    if doses is not None:
        found = trend_test(
            values[:, tested], every.arm, doses=doses,
            covariates=None if given is None else given.of(tested), **family,
        )  # fmt: skip
        slopes = trend_table(found, rows, tested, conf_level)
        slopes_global = trend_global(found)
    settings = {
        "method": method, "arm": arm, "reference": reference, "arms": arms, "seed": seed,
        "n_perm": n_perm, "conf_level": conf_level, "alternative": alternative,
        "visits": list(every.visits), "regions": list(every.regions), "types": list(every.types),
        "strata": [strata] if isinstance(strata, str) else list(strata or []),
        "min_prevalence": min_prevalence, "share": share,
        "merge": [
            {int(t): int(g) for t, g in zip(every.types, group, strict=True)}
            for group in groups[1:]
        ],
        "merge_rule": ["given" if isinstance(m, Mapping) else f"{m} groups" for m in merge],
        "covariates": list(covariates), "adjust_baseline": adjust_baseline, "trend": doses,
        "noise": null is not None,
        "family": "all tested flows of all arms, visits, regions and levels",
        "n_tested": int(table["p_value"].notna().sum()), "critical": test.critical,
        "n_subjects": len(every.subjects),
    }  # fmt: skip
    return ChangePathways(
        table=table, matrices=mean_matrices(every, [reference, *arms]), net=net,
        global_test=overall, levels=levels_table(test, levels, of_level[tested]),
        trend=slopes, trend_global=slopes_global, settings=settings,
        text=sentence(table, overall, settings, slopes),
        notes=(*notes_of(table, every, subjects is not None), *gaps, *null_notes),
    )  # fmt: skip


def _shared(
    source: pd.DataFrame, subject: str, columns: list[str], every: Flows
) -> tuple[np.ndarray, list[str]]:
    """Numbers of the baseline covariates of every subject, and notes on gaps."""
    if not columns:
        return np.empty((len(every.subjects), 0)), []
    people = baseline_frame(source, subject, columns).reindex(every.subjects)
    return covariate_matrix(people, columns)


def _covariates(shared: np.ndarray, levels: Sequence[Level] | None) -> Covariates | None:
    if levels is None:
        return Covariates(shared) if shared.shape[1] else None
    return Covariates(shared, np.concatenate([level.own() for level in levels], axis=1))


def _doses(trend: Doses, arms: Sequence[str]) -> dict[str, dict[str, float]]:
    """Named scales of the dose, each with a dose for every arm it uses."""
    named: dict[str, dict[str, float]] = {}
    single: dict[str, float] = {}
    for name, value in trend.items():
        if isinstance(value, Mapping):
            named[str(name)] = {str(a): float(d) for a, d in value.items()}
        else:
            single[str(name)] = float(value)
    if named and single:
        msg = f"trend: {sorted(single)} and {sorted(named)}; give one scale, or named scales only"
        raise UsageError(msg)
    scales = named or {"dose": single}
    for name, scale in scales.items():
        if set(scale) != set(arms) or len(set(scale.values())) < 2:
            msg = (
                f"trend, scale {name!r}: give a dose to each of the arms {list(arms)}, at least "
                f"two of them different; got {scale}"
            )
            raise UsageError(msg)
    return scales


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
