"""Separation: how far each arm lies from the reference, as effect sizes with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints import _bootstrap as boot
from livertrack.endpoints._checks import (
    numeric,
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._delong import auc_interval, placements
from livertrack.endpoints._effect_sizes import cliffs_delta, glass_delta, hedges_g
from livertrack.endpoints._superiority import Adjusted, adjusted_superiority
from livertrack.errors import DataError, UsageError

Vector = NDArray[np.float64]

METHOD = (
    "Hedges g: pooled SD, exact J, noncentral t; Glass delta: SD of the reference, noncentral t; "
    "Cliff's delta: Fisher z, {delta} variance; AUC: DeLong; bootstrap: BCa, subjects within arm"
)


@dataclass(frozen=True, kw_only=True)
class Separation(Result):
    """Effect sizes of every arm over the reference; see `separation` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("arm",)
    context: ClassVar[str] = "separation"


def separation(
    data: pd.DataFrame,
    *,
    value: str = "CHG",
    arm: str = "TRT01P",
    reference: str,
    subject: str = "USUBJID",
    n_boot: int = 2000,
    conf_level: float = 0.95,
    seed: int,
    delta_variance: Literal["placement", "null"] = "placement",
    covariates: Sequence[str] = (),
    strata: str | Sequence[str] | None = None,
) -> Separation:
    """Standardised separation of each arm from the reference.

    Positive values mean *higher* than the reference, whatever is good for the subject.

    Parameters
    ----------
    data : DataFrame, one row per subject
        Columns ``subject``, ``arm`` and ``value``. Rows may come in any order. A second row of
        a subject is a `DataError`: select one visit and one PARAMCD first.
    value : str
        Numeric column, in the unit of the data dictionary. The effect sizes have no unit.
    arm : str
        Column of the arms. Categories give the order of the rows, else the names do; a category
        without subjects is an empty arm, with a row of NaN.
    reference : str
        Level of ``arm`` every other arm is compared with; there is no default.
    subject : str
        Column of the subject, the unit that is resampled.
    n_boot : int
        Resamples of the bootstrap; 0 leaves its limits NaN.
    conf_level : float
        Coverage of every interval, a proportion.
    seed : int
        Seed of the bootstrap; each arm has a stream of its own.
    delta_variance : {"placement", "null"}
        Variance behind the limits of Cliff's delta. ``placement`` is the variance of the
        placement values (as DeLong), ``null`` that of the null hypothesis without ties, which
        R's effectsize uses; the latter covers 83 to 99 % in place of 95 % when the arms differ.
    covariates : sequence of str
        Numeric columns measured before randomisation: the probability of superiority is also
        given adjusted for their chance differences between the arms.
    strata : str or sequence of str, optional
        Strata of the randomisation, for the adjusted probability.

    Returns
    -------
    Separation
        ``.table``: one row per arm other than the reference - ``arm, n_arm, n_ref, n_missing,
        mean_arm, mean_ref, g, g_low, g_high, glass_delta, glass_low, glass_high, cliffs_delta,
        delta_low, delta_high, auc, auc_low, auc_high, g_boot_low, g_boot_high, delta_boot_low,
        delta_boot_high, auc_boot_low, auc_boot_high, method``. AUC is
        P(arm > reference) + P(tie) / 2, Cliff's delta is 2 AUC - 1. With ``covariates`` or
        ``strata`` also ``superiority, superiority_low, superiority_high, n_superiority``.

    Notes
    -----
    Denominator: ``n_arm`` and ``n_ref`` are subjects with a value; ``n_missing`` counts those of
    the arm and of the reference without one. Subjects without an arm are left out and counted
    in the notes.

    Degenerate input: an empty or all-missing arm gives NaN throughout; one subject in an arm
    gives AUC and Cliff's delta without limits; no variation gives NaN for g (within both arms)
    or Glass's delta (within the reference) while AUC remains; all values tied give AUC 0.5 with
    limits of no width. Without overlap DeLong's interval has no width either (as in pROC), and
    the inner limit of Cliff's delta is Wilson's. Each is said in the notes. Resamples in which g
    is undefined are left out and counted.

    Adjusted superiority: subjects with value, covariates and strata, in strata with two subjects
    in each arm; the others are counted in the notes. Without model assumptions, valid because
    of the randomisation; not for covariates measured later.

    Source: Hedges (1981) for g and J; Cliff (1996) for delta; DeLong et al. (1988) for the AUC;
    Efron (1987) for BCa, with the two-sample acceleration; Koch et al. (1998) and Kawaguchi et al.
    (2011) for the adjustment.
    Checked against: R 4.2.2 effectsize 0.8.3 ``hedges_g, glass_delta, cliffs_delta``, pROC 1.18.0
    ``ci.auc``, BCa limits on the resamples of boot 1.3-28 (tests/reference/separation.R), scipy's
    ``bootstrap``; the adjustment against base R (tests/reference/superiority.R).
    """
    groups = [strata] if isinstance(strata, str) else list(strata or [])
    require_columns(data, [subject, arm, value, *covariates, *groups])
    require_conf_level(conf_level)
    require_resamples(n_boot)
    require_unique(data, [subject])
    levels = arm_levels(data, arm, reference)
    values = numeric(data, value)
    notes = unassigned(data[arm], arm)
    labels = data[arm].to_numpy(object)
    samples = {level: values[labels == level] for level in levels}
    adjust = _Adjustment(data, values, labels, covariates, groups, conf_level)
    ref = samples[reference]
    rows = []
    for level in levels:
        if level == reference:
            continue
        x, y = _observed(samples[level]), _observed(ref)
        missing = len(samples[level]) + len(ref) - len(x) - len(y)
        row = {
            "arm": level, "n_arm": len(x), "n_ref": len(y), "n_missing": missing,
            "mean_arm": _mean(x), "mean_ref": _mean(y),
        }  # fmt: skip
        row |= _closed_forms(x, y, conf_level, null=delta_variance == "null")
        rng = generator(seed, "separation", str(level))
        limits, lost = _bootstrap_limits(x, y, row, n_boot, conf_level, rng)
        rows.append(
            row | limits | adjust.columns(level, reference)
            | {"method": METHOD.format(delta=delta_variance) + adjust.method}
        )  # fmt: skip
        notes += _notes(str(level), reference, x, y, missing, lost, n_boot)
        notes += adjust.notes(level, reference)
    table = pd.DataFrame(rows)
    return Separation(
        table=table,
        text=_text(table, reference, value, conf_level),
        settings={
            "method": METHOD.format(delta=delta_variance), "value": value, "arm": arm,
            "reference": reference, "n_boot": n_boot, "conf_level": conf_level, "seed": seed,
            "covariates": list(covariates), "strata": groups, "n_subjects": len(data),
        },
        notes=tuple(notes),
    )  # fmt: skip


class _Adjustment:
    """Adjusted probability of superiority; silent where nothing is adjusted for."""

    def __init__(
        self, data: pd.DataFrame, values: Vector, labels: NDArray[Any],
        covariates: Sequence[str], groups: Sequence[str], conf_level: float,
    ) -> None:  # fmt: skip
        self.asked = bool(covariates or groups)
        self.values, self.labels, self.conf_level = values, labels, conf_level
        columns = [numeric(data, name) for name in covariates]
        self.z = np.column_stack(columns) if columns else np.zeros((len(data), 0))
        self.strata = (
            data.groupby(list(groups), observed=True).ngroup().fillna(-1).to_numpy(np.int64)
            if groups
            else np.zeros(len(data), np.int64)
        )
        self.known = ~np.isnan(self.z).any(axis=1) & (self.strata >= 0) & ~np.isnan(values)
        self._found: dict[Any, Adjusted] = {}
        adjusted = [*covariates, *(f"stratum {name}" for name in groups)]
        self.method = f"; superiority adjusted for {', '.join(adjusted)}" if self.asked else ""

    def result(self, level: Any, reference: Any) -> Adjusted:
        """Adjust the probability of one arm."""
        if level not in self._found:
            a, b = (self.known & (self.labels == one) for one in (level, reference))
            self._found[level] = adjusted_superiority(
                self.values[a], self.values[b], self.z[a], self.z[b],
                self.strata[a], self.strata[b], self.conf_level,
            )  # fmt: skip
        return self._found[level]

    def columns(self, level: Any, reference: Any) -> dict[str, float]:
        """Columns of the table."""
        if not self.asked:
            return {}
        found = self.result(level, reference)
        return {
            "superiority": found.estimate.value, "superiority_low": found.estimate.low,
            "superiority_high": found.estimate.high, "n_superiority": found.n,
        }  # fmt: skip

    def notes(self, level: Any, reference: Any) -> list[str]:
        """Subjects that the adjustment leaves out."""
        if not self.asked:
            return []
        inside = (self.labels == level) | (self.labels == reference)
        gaps = int((inside & ~self.known & ~np.isnan(self.values)).sum())
        lost = self.result(level, reference).n_lost
        pair = f"{level} v {reference}, adjusted superiority"
        notes = [f"{pair}: {gaps} subject(s) without covariates or stratum"] if gaps else []
        return notes + ([f"{pair}: {lost} subject(s) in strata too small"] if lost else [])


def arm_levels(data: pd.DataFrame, arm: str, reference: str) -> list[Any]:
    """Arms in order, empty categories included; the reference occurs and is not alone."""
    require_level(data, arm, reference, what="reference")
    column = data[arm]
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = list(column.cat.categories)
    else:
        levels = sorted(column.dropna().unique().tolist())
    if len(levels) < 2:
        msg = f"{arm}: {reference!r} is the only arm; a comparison needs another one"
        raise DataError(msg)
    return levels


def require_resamples(n_boot: int, what: str = "n_boot") -> None:
    """Raise `UsageError` unless ``n_boot`` is a count."""
    if n_boot < 0:
        msg = f"{what} is a number of resamples (0 for none), got {n_boot}"
        raise UsageError(msg)


def unassigned(column: pd.Series, arm: str) -> list[str]:
    """Note on subjects without an arm, if any."""
    count = int(column.isna().sum())
    return [f"{count} of {len(column)} subject(s) have no {arm} and are left out"] if count else []


def _observed(values: Vector) -> Vector:
    # sorted, so that neither row order nor subject labels decide which value a resample draws
    return np.sort(values[~np.isnan(values)])


def _closed_forms(x: Vector, y: Vector, conf_level: float, *, null: bool) -> dict[str, float]:
    placed = placements(x, y)
    g, glass = hedges_g(x, y, conf_level), glass_delta(x, y, conf_level)
    delta = cliffs_delta(placed.auc, placed.variance, (len(x), len(y)), conf_level, null=null)
    auc = auc_interval(placed, conf_level)
    return {
        "g": g.value, "g_low": g.low, "g_high": g.high,
        "glass_delta": glass.value, "glass_low": glass.low, "glass_high": glass.high,
        "cliffs_delta": delta.value, "delta_low": delta.low, "delta_high": delta.high,
        "auc": auc.value, "auc_low": auc.low, "auc_high": auc.high,
    }  # fmt: skip


def _bootstrap_limits(
    x: Vector, y: Vector, row: dict[str, Any], n_boot: int, conf_level: float,
    rng: np.random.Generator,
) -> tuple[dict[str, float], int]:  # fmt: skip
    """BCa limits of g, delta and AUC, and how many resamples left g undefined."""
    names = [f"{what}_boot_{end}" for what in ("g", "delta", "auc") for end in ("low", "high")]
    sizes = (len(x), len(y))
    if n_boot == 0 or min(sizes) < 2:
        return dict.fromkeys(names, math.nan), 0
    kernel = boot.pair_kernel(x, y)
    blocks = [
        (boot.weighted_g(wx, wy, x, y), boot.weighted_auc(wx, wy, kernel))
        for wx, wy in boot.count_blocks(rng, sizes, n_boot)
    ]
    g, auc = (np.concatenate(part) for part in zip(*blocks, strict=True))
    one_out = boot.leave_one_out(sizes)
    accel_g = boot.acceleration(boot.weighted_g(*one_out, x, y), sizes)
    accel_auc = boot.acceleration(boot.weighted_auc(*one_out, kernel), sizes)
    g_limits = boot.bca_limits(g, row["g"], accel_g, conf_level)
    auc_limits = boot.bca_limits(auc, row["auc"], accel_auc, conf_level)
    # delta is a line in the AUC, and BCa follows monotone maps
    delta_limits = tuple(2 * limit - 1 for limit in auc_limits)
    lost = int(np.isnan(g).sum()) if not math.isnan(row["g"]) else 0
    return dict(zip(names, [*g_limits, *delta_limits, *auc_limits], strict=True)), lost


def _notes(
    level: str, reference: str, x: Vector, y: Vector, missing: int, lost: int, n_boot: int
) -> list[str]:
    pair = f"{level} v {reference}"
    notes = [f"{pair}: {missing} subject(s) have no value"] if missing else []
    m, n = len(x), len(y)
    if min(m, n) == 0:
        return [*notes, f"{pair}: no subject with a value in an arm ({m} v {n}); not estimated"]
    if min(m, n) == 1:
        notes.append(f"{pair}: one subject in an arm ({m} v {n}); no interval, no g")
    elif np.ptp(x) == 0 and np.ptp(y) == 0:
        notes.append(f"{pair}: no variation within either arm; g is undefined")
    elif np.ptp(y) == 0:
        notes.append(f"{pair}: no variation in the reference; Glass delta is undefined")
    if min(m, n) > 1 and (x.min() > y.max() or x.max() < y.min()):
        notes.append(f"{pair}: the arms do not overlap; the AUC interval has no width")
    elif np.ptp(np.concatenate([x, y])) == 0:
        notes.append(f"{pair}: all values are tied; the AUC interval has no width")
    if lost:
        notes.append(f"{pair}: {lost} of {n_boot} resamples left g undefined and were left out")
    return notes


def _text(table: pd.DataFrame, reference: str, value: str, conf_level: float) -> str:
    level = f"{100 * conf_level:g} %"
    parts = []
    for row in table.to_dict("records"):
        if math.isnan(row["auc"]):
            parts.append(f"{row['arm']} v {reference}: not estimated.")
            continue
        parts.append(
            f"{row['arm']} v {reference}, {value}: Hedges g {row['g']:.2f} "
            f"({level} CI {row['g_low']:.2f} to {row['g_high']:.2f}), "
            f"Cliff's delta {row['cliffs_delta']:.2f} "
            f"({row['delta_low']:.2f} to {row['delta_high']:.2f}), "
            f"AUC {row['auc']:.2f} ({row['auc_low']:.2f} to {row['auc_high']:.2f}); "
            f"{row['n_arm']} v {row['n_ref']} subjects, {row['n_missing']} without a value."
        )
        if "superiority" in row:
            parts.append(
                f"Adjusted probability of superiority {row['superiority']:.2f} "
                f"({row['superiority_low']:.2f} to {row['superiority_high']:.2f}, "
                f"{row['n_superiority']} subjects)."
            )
    return " ".join(parts).replace("nan", "not defined")


def _mean(values: Vector) -> float:
    return float(values.mean()) if len(values) else math.nan
