"""Multiplicity: adjusted p-values, max-T over many measures, graphical procedures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.multitest import multipletests

from livertrack._results import Result
from livertrack.endpoints._checks import (
    numeric,
    ordered_levels,
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._permutation import Alternative, max_t_test
from livertrack.endpoints.closed_tests import ClosedTest, closed_test
from livertrack.endpoints.dunnett import Dunnett, dunnett
from livertrack.endpoints.gatekeeping import Gatekeeping, gatekeeping
from livertrack.endpoints.graphical import GraphicalTest, graphical_test, labelled
from livertrack.endpoints.simultaneous import SimultaneousIntervals, simultaneous_intervals
from livertrack.errors import DataError, UsageError

__all__ = [
    "AdjustedPValues",
    "ClosedTest",
    "Dunnett",
    "Gatekeeping",
    "GraphicalTest",
    "MaxTResult",
    "SimultaneousIntervals",
    "adjust_pvalues",
    "closed_test",
    "dunnett",
    "gatekeeping",
    "graphical_test",
    "max_t",
    "simultaneous_intervals",
]

Vector = NDArray[np.float64]

#: names as R's p.adjust writes them -> statsmodels; None = computed here
METHODS: dict[str, str | None] = {
    "bonferroni": "bonferroni",
    "holm": "holm",
    "hochberg": "simes-hochberg",
    "hommel": "hommel",
    "BH": "fdr_bh",
    "BY": "fdr_by",
    "fixed-sequence": None,
    "none": None,
}
_ALIASES = {"bh": "BH", "fdr": "BH", "by": "BY"}


@dataclass(frozen=True, kw_only=True)
class AdjustedPValues(Result):
    """Adjusted p-values; see `adjust_pvalues` for ``table``. As an array: the adjusted p."""

    keys: ClassVar[tuple[str, ...]] = ("hypothesis",)
    context: ClassVar[str] = "adjust_pvalues"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Give the adjusted p-values in the order of the input."""
        return np.array(self.table["p_adjusted"], dtype=dtype or float)


def adjust_pvalues(
    p: ArrayLike | pd.Series | Mapping[str, float], method: str, *, alpha: float = 0.05
) -> AdjustedPValues:
    """Adjust p-values for multiple testing.

    Parameters
    ----------
    p : array, Series or mapping, one value per hypothesis
        Proportions in [0, 1]; NaN is a test that could not be made. The index or the keys name
        the hypotheses, else they are numbered from 1.
    method : str
        ``bonferroni, holm, hochberg, hommel`` (familywise error), ``BH`` (also ``fdr``), ``BY``
        (false discovery rate), ``fixed-sequence`` (each hypothesis is tested if all before it,
        in the given order, are rejected) or ``none``.
    alpha : float
        Level at which ``rejected`` is decided.

    Returns
    -------
    AdjustedPValues
        ``.table``: one row per hypothesis - ``hypothesis, p_value, p_adjusted, rejected, method``.
        ``numpy.asarray`` of the result gives the adjusted values.

    Notes
    -----
    Denominator: the number of hypotheses with a p-value. NaN stays NaN and does not count, as in
    R; a fixed sequence cannot pass it, so that all later hypotheses get 1. Both are counted in
    the notes. Without any p-value all are NaN.

    Hochberg and Hommel need independence or positive dependence of the tests.
    Source: statsmodels ``multipletests``; Holm (1979), Hochberg (1988), Hommel (1988),
    Benjamini and Hochberg (1995), Benjamini and Yekutieli (2001).
    Checked against: R 4.2.2 ``p.adjust`` (tests/reference/multiplicity.R).
    """
    names, values = labelled(p)
    chosen = _ALIASES.get(method.lower(), method)
    if chosen not in METHODS:
        msg = f"method {method!r} is unknown; choose from {', '.join(METHODS)}"
        raise UsageError(msg)
    adjusted = _adjusted(values, chosen)
    missing = int(np.isnan(values).sum())
    notes = (
        [f"{missing} of {len(values)} p-values are missing and do not count"] if missing else []
    )
    rejected = adjusted <= alpha
    table = pd.DataFrame(
        {"hypothesis": names, "p_value": values, "p_adjusted": adjusted, "rejected": rejected}
    ).assign(method=chosen)
    text = (
        f"{int(rejected.sum())} of {len(values) - missing} hypotheses are rejected at "
        f"{alpha:g} after adjustment ({chosen})."
    )
    return AdjustedPValues(
        table=table, text=text, settings={"method": chosen, "alpha": alpha}, notes=tuple(notes)
    )


@dataclass(frozen=True, kw_only=True)
class MaxTResult(Result):
    """Max-T comparisons; see `max_t` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("arm", "value")
    context: ClassVar[str] = "max_t"


def max_t(
    data: pd.DataFrame,
    *,
    values: Sequence[str],
    arm: str = "TRT01P",
    reference: str,
    n_perm: int | None = 10_000,
    seed: int,
    strata: str | Sequence[str] | None = None,
    subject: str | None = "USUBJID",
    alternative: Alternative = "two-sided",
    conf_level: float = 0.95,
) -> MaxTResult:
    """Compare arms on many measures, adjusted by the permutation distribution of the maximum.

    Parameters
    ----------
    data : DataFrame, one row per subject
        One numeric column per measure. NaN leaves the subject out of that measure only.
    values : sequence of str
        Measures; all of them in all arms form one family.
    arm, reference
        Column of the arms and the level the other arms are compared with.
    n_perm : int or None
        Relabellings drawn; None enumerates all of them.
    seed : int
        Seed of the draws; each arm has a stream of its own.
    strata : str or sequence of str, optional
        Labels are permuted within these (the strata of the randomisation).
    subject : str or None
        Column of the subject; None takes the rows as subjects.
    alternative : {"two-sided", "greater", "less"}
        ``greater``: the arm is higher than the reference.
    conf_level : float
        Simultaneous coverage of the intervals.

    Returns
    -------
    MaxTResult
        ``.table``: one row per arm and measure - ``arm, value, estimate`` (difference of means, in
        the unit of the measure), ``std_error, df, statistic`` (Welch), ``p_value`` (permutation,
        this measure alone), ``p_adjusted`` (step-down max-T), ``conf_low, conf_high``
        (simultaneous over arms and measures), ``n_arm, n_ref, n_missing, method``.

    Notes
    -----
    Denominator: subjects of the arm and the reference with a value of that measure;
    ``n_missing`` counts the others of these two arms. Subjects without arm or stratum are left
    out and counted in the notes.

    Degenerate input: a measure with fewer than two values in an arm, or constant and equal in
    both, has NaN and takes no part in the maximum; it is counted in the notes.

    Source: Westfall and Young (1993), algorithm 4.1, with Welch's statistic (Janssen 1997); labels
    are permuted between the arm and the reference only, arms are combined as independent.
    Checked against: full enumeration in base R (tests/reference/multiplicity.R).
    """
    values = list(values)
    groups = [strata] if isinstance(strata, str) else list(strata or [])
    keys = [] if subject is None else [subject]
    require_columns(data, [*keys, arm, *groups, *values])
    require_conf_level(conf_level)
    if not values or len(set(values)) < len(values):
        msg = f"values names {len(values)} measures; give each measure once, at least one"
        raise UsageError(msg)
    if keys:
        require_unique(data, keys)
        data = data.iloc[np.argsort(data[subject].astype(str).to_numpy(), kind="stable")]
    known = data[[arm, *groups]].notna().all(axis=1)
    notes = (
        [f"{int((~known).sum())} of {len(data)} subjects have no arm or stratum and are left out"]
        if not known.all()
        else []
    )
    data = data[known]
    require_level(data, arm, reference, what="reference")
    arms = [level for level in ordered_levels(data[arm]) if level != reference]
    if not arms:
        msg = f"{arm}: {reference!r} is the only arm; a comparison needs another one"
        raise DataError(msg)
    matrix = np.column_stack([numeric(data, column) for column in values])
    labels = data[arm].astype(str).to_numpy()
    test = max_t_test(
        matrix, labels, arms=[str(level) for level in arms], reference=str(reference),
        n_perm=n_perm, seed=seed, alternative=alternative, conf_level=conf_level,
        strata=data.groupby(groups, observed=True).ngroup().to_numpy() if groups else None,
    )  # fmt: skip
    frames = []
    for level, pair, p_adjusted in zip(arms, test.pairs, test.p_adjusted, strict=True):
        seen = pair.observed
        low, high = _limits(seen.estimate, test.critical * seen.std_error, alternative)
        total = int(((labels == str(level)) | (labels == str(reference))).sum())
        frames.append(
            pd.DataFrame({
                "arm": level, "value": values, "estimate": seen.estimate,
                "std_error": seen.std_error, "df": seen.df, "statistic": seen.statistic,
                "p_value": pair.p_value, "p_adjusted": p_adjusted, "conf_low": low,
                "conf_high": high, "n_arm": seen.n_arm, "n_ref": seen.n_ref,
                "n_missing": total - seen.n_arm - seen.n_ref,
            })
        )  # fmt: skip
    method = "Welch statistic, step-down max-T by permutation" + (" in strata" if groups else "")
    table = pd.concat(frames, ignore_index=True).assign(method=method)
    undefined = int(table["statistic"].isna().sum())
    if undefined:
        notes.append(f"{undefined} of {len(table)} comparisons have no variation or no subjects")
    return MaxTResult(
        table=table,
        text=_max_t_text(table, str(reference), conf_level),
        settings={
            "method": method, "values": values, "arm": arm, "reference": reference,
            "n_perm": n_perm, "seed": seed, "strata": groups, "alternative": alternative,
            "conf_level": conf_level, "critical": test.critical,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _adjusted(values: Vector, method: str) -> Vector:
    out = values.copy()
    present = ~np.isnan(values)
    if method == "fixed-sequence":
        stop = int(np.argmin(present)) if not present.all() else len(values)
        if len(values):
            out[:stop] = np.maximum.accumulate(values[:stop])
            out[stop:] = np.where(present[stop:], 1.0, np.nan)
        return out
    name = METHODS[method]
    if name and present.any():
        out[present] = multipletests(values[present], method=name)[1]
    return out


def _limits(estimate: Vector, half: Vector, alternative: str) -> tuple[Vector, Vector]:
    low = estimate - half if alternative != "less" else np.full_like(estimate, -math.inf)
    high = estimate + half if alternative != "greater" else np.full_like(estimate, math.inf)
    undefined = np.isnan(half)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def _max_t_text(table: pd.DataFrame, reference: str, conf_level: float) -> str:
    parts = []
    for level, rows in table.groupby("arm", sort=False, observed=True):
        defined = rows.dropna(subset=["p_adjusted"])
        if defined.empty:
            parts.append(f"{level} v {reference}: not estimated.")
            continue
        best = defined.loc[defined["p_adjusted"].idxmin()]
        found = int((defined["p_adjusted"] <= 1 - conf_level).sum())
        parts.append(
            f"{level} v {reference}: {found} of {len(defined)} measures differ at adjusted "
            f"p <= {1 - conf_level:.3g}; smallest for {best['value']}, difference "
            f"{best['estimate']:.3g} (simultaneous {100 * conf_level:g} % CI "
            f"{best['conf_low']:.3g} to {best['conf_high']:.3g}, "
            f"adjusted p = {best['p_adjusted']:.3g})."
        )
    return " ".join(parts)
