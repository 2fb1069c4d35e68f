"""Simultaneous intervals and many-to-one comparisons with correlated statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import require_conf_level
from livertrack.endpoints._multivariate_t import EqualBounds
from livertrack.endpoints.graphical import aligned, graphical_test
from livertrack.errors import DataError, UsageError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Method = Literal["single-step", "bonferroni", "sidak", "holm", "graphical"]
Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True, kw_only=True)
class SimultaneousIntervals(Result):
    """Intervals that hold together, with the adjusted p-values that belong to them."""

    keys: ClassVar[tuple[str, ...]] = ("hypothesis",)
    context: ClassVar[str] = "simultaneous_intervals"


def simultaneous_intervals(
    estimates: ArrayLike | pd.Series | Mapping[str, float],
    std_errors: ArrayLike | pd.Series | Mapping[str, float],
    *,
    df: float | None = None,
    correlation: ArrayLike | None = None,
    method: Method = "single-step",
    weights: ArrayLike | pd.Series | Mapping[str, float] | None = None,
    transitions: Any = None,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    conf_level: float = 0.95,
) -> SimultaneousIntervals:
    """Intervals of several estimates that all hold with the stated probability.

    Parameters
    ----------
    estimates, std_errors : array, Series or mapping, one value per hypothesis
        In any unit, e.g. columns of the table of another result. NaN is an estimate that could
        not be made.
    df : float, optional
        Degrees of freedom of all of them; normal by default.
    correlation : square array, optional
        Of the estimates; needed by ``single-step``.
    method : {"single-step", "bonferroni", "sidak", "holm", "graphical"}
        ``single-step``: the distribution of the largest statistic (Dunnett, Tukey and the like).
        ``bonferroni`` (with ``weights``) and ``sidak`` need no correlation. ``holm`` and
        ``graphical`` (with ``weights`` and ``transitions`` as `graphical_test` takes them) give
        the one-sided limits that agree with those step-down tests.
    weights, transitions
        Shares of the error rate, and how rejections pass them on.
    alternative : {"two-sided", "greater", "less"}
        ``greater``: lower limits; ``holm`` and ``graphical`` are one-sided only.
    null : float
        Value that is tested, in the unit of the estimates.
    conf_level : float
        Simultaneous coverage; 1 - conf_level is the familywise error rate.

    Returns
    -------
    SimultaneousIntervals
        ``.table``: ``hypothesis, estimate, std_error, df, statistic, p_value`` (unadjusted),
        ``p_adjusted, conf_low, conf_high, rejected, method``. ``.settings["critical"]``: the
        bound of the largest statistic (``single-step``).

    Notes
    -----
    Denominator: estimates with a positive standard error; the others keep NaN, do not count, and
    are noted. A limit beyond ``null`` and an adjusted p of at most 1 - conf_level go together.
    A step-down limit of a rejected hypothesis stops at ``null`` unless all are rejected: that is
    the price of its power.
    Source: Hothorn, Bretz and Westfall (2008) for ``single-step``; Guilbaud (2008), Strassburger
    and Bretz (2008) for step-down limits.
    Checked against: R multcomp 1.4-22 ``glht``, multxpert 0.1.1 ``pvalci``
    (tests/reference/closed_tests.R).
    """
    require_conf_level(conf_level)
    names, values = named(estimates)
    errors = aligned(std_errors, names, what="std_errors")
    _require_options(method, alternative, correlation, df)
    used = np.isfinite(values) & (errors > 0)
    freedom = np.inf if df is None else float(df)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(used, (values - null) / errors, np.nan)
    alpha, m = 1 - conf_level, int(used.sum())
    notes = [] if m == len(names) else [f"{len(names) - m} of {len(names)} not estimated"]
    p = _p(z, freedom, alternative)
    low, high = (np.full(len(names), np.nan) for _ in range(2))
    adjusted, critical = np.full(len(names), np.nan), float("nan")
    if m:
        if method == "single-step":
            matrix = _correlation(correlation, len(names))[np.ix_(used, used)]
            spread = EqualBounds(matrix, freedom, two_sided=alternative == "two-sided")
            directed = np.abs(z) if alternative == "two-sided" else z
            directed = -directed if alternative == "less" else directed
            adjusted[used] = [spread.tail(float(t)) for t in directed[used]]
            critical = spread.quantile(conf_level)
            bounds = np.full(len(names), critical)
            if not spread.exact:
                notes.append("the distribution of the largest statistic is good to about 1e-5")
        elif method in ("bonferroni", "sidak"):
            adjusted[used], bounds = _plain(p, used, method, weights, names, alpha, alternative)
            bounds = np.array([_quantile(1 - level, freedom) for level in bounds])
        else:
            graph = _graph(method, weights, transitions, names)
            steps = graphical_test(pd.Series(np.where(used, p, np.nan), names), *graph, alpha)
            adjusted = steps.table["p_adjusted"].to_numpy(float)
            return _result(
                names, values, errors, df, z, p, adjusted,
                *_step_down(steps, graph[0], values, errors, freedom, alternative, null, alpha),
                method, alternative, null, conf_level, critical, notes,
            )  # fmt: skip
        half = np.full(len(names), np.nan)
        half[used] = bounds[used] * errors[used]
        low = values - half if alternative != "less" else np.where(used, -np.inf, np.nan)
        high = values + half if alternative != "greater" else np.where(used, np.inf, np.nan)
    return _result(
        names, values, errors, df, z, p, adjusted, low, high, method, alternative, null,
        conf_level, critical, notes,
    )  # fmt: skip


def named(given: ArrayLike | pd.Series | Mapping[str, float]) -> tuple[list[str], Vector]:
    """Names and values; H1, H2, ... where there are no names."""
    if isinstance(given, pd.Series):
        own = not isinstance(given.index, pd.RangeIndex)
        names = list(map(str, given.index)) if own else []
        values = pd.to_numeric(given).to_numpy(float, copy=True)
    elif isinstance(given, Mapping):
        names, values = list(map(str, given)), np.array(list(given.values()), float)
    else:
        names, values = [], np.array(given, float)
    if values.ndim != 1 or not len(values):
        msg = f"estimates: one value per hypothesis, got an array of shape {values.shape}"
        raise UsageError(msg)
    names = names or [f"H{place}" for place in range(1, len(values) + 1)]
    if len(set(names)) < len(names):
        msg = f"estimates: {len(names) - len(set(names))} hypothesis name(s) occur twice"
        raise UsageError(msg)
    return names, values


def step_down(t: Vector, correlation: Matrix, df: float, *, two_sided: bool) -> Vector:
    """Adjusted p of the closed test with the largest statistic of every intersection.

    ``t`` is directed: large values speak against the null.
    """
    order, adjusted, largest = np.argsort(-t, kind="stable"), np.empty(len(t)), 0.0
    for place, i in enumerate(order):
        left = order[place:]
        spread = EqualBounds(correlation[np.ix_(left, left)], df, two_sided=two_sided)
        largest = max(largest, spread.tail(float(t[i])))
        adjusted[i] = largest
    return adjusted


def _require_options(
    method: str, alternative: str, correlation: ArrayLike | None, df: float | None
) -> None:
    if method not in ("single-step", "bonferroni", "sidak", "holm", "graphical"):
        msg = f"method is single-step, bonferroni, sidak, holm or graphical; got {method!r}"
        raise UsageError(msg)
    if alternative not in ("two-sided", "greater", "less"):
        msg = f"alternative is two-sided, greater or less; got {alternative!r}"
        raise UsageError(msg)
    if method in ("holm", "graphical") and alternative == "two-sided":
        msg = f"limits that agree with {method} are one-sided: alternative 'greater' or 'less'"
        raise UsageError(msg)
    if method == "single-step" and correlation is None:
        msg = "single-step needs the correlation of the estimates; else use bonferroni or sidak"
        raise UsageError(msg)
    if df is not None and not df > 0:
        msg = f"df is a positive number, or None for normal estimates; got {df!r}"
        raise UsageError(msg)


def _correlation(given: ArrayLike | None, m: int) -> Matrix:
    matrix = np.asarray(given, float)
    if matrix.shape != (m, m):
        msg = f"correlation: {m} estimates need a square array, got shape {matrix.shape}"
        raise UsageError(msg)
    finite = np.isfinite(matrix).all()
    if (
        not finite
        or not np.allclose(matrix, matrix.T, atol=1e-8)
        or not np.allclose(np.diag(matrix), 1.0, atol=1e-8)
        or np.linalg.eigvalsh(matrix)[0] < -1e-8
    ):
        msg = f"correlation: the {m} x {m} array is no correlation matrix"
        raise DataError(msg)
    return matrix


def _p(z: Vector, df: float, alternative: str) -> Vector:
    if alternative == "two-sided":
        return np.asarray(2 * _upper(np.abs(z), df))
    return _upper(z if alternative == "greater" else -z, df)


def _upper(z: Vector, df: float) -> Vector:
    return np.asarray(stats.norm.sf(z) if np.isinf(df) else stats.t.sf(z, df))


def _quantile(level: float, df: float) -> float:
    return float(stats.norm.ppf(level) if np.isinf(df) else stats.t.ppf(level, df))


def _plain(
    p: Vector, used: NDArray[np.bool_], method: str, weights: Any, names: list[str],
    alpha: float, alternative: str,
) -> tuple[Vector, Vector]:  # fmt: skip
    """Adjusted p of the used hypotheses, and the level of one side of each interval."""
    shares = np.where(used, 1.0 if weights is None else aligned(weights, names), 0.0)
    if (shares < 0).any() or not shares.sum() > 0:
        msg = f"weights of {len(names)} hypotheses are at least 0 and not all 0"
        raise UsageError(msg)
    shares = shares / shares.sum()
    sides = 2 if alternative == "two-sided" else 1
    with np.errstate(divide="ignore"):
        if method == "sidak":
            adjusted = -np.expm1(np.log1p(-p[used]) / shares[used])
            return adjusted, -np.expm1(np.log1p(-alpha) * shares) / sides
        return np.minimum(1.0, p[used] / shares[used]), alpha * shares / sides


def _graph(method: str, weights: Any, transitions: Any, names: list[str]) -> tuple[Vector, Any]:
    m = len(names)
    if method == "graphical":
        if weights is None or transitions is None:
            msg = "graphical needs weights and transitions, as graphical_test takes them"
            raise UsageError(msg)
        return aligned(weights, names), transitions
    start = np.ones(m) / m if weights is None else aligned(weights, names)
    others = np.tile(start, (m, 1)) * (1 - np.eye(m))
    total = others.sum(axis=1, keepdims=True)
    return start, np.divide(others, total, out=np.zeros_like(others), where=total > 0)


def _step_down(
    steps: Any, start: Vector, values: Vector, errors: Vector, df: float, alternative: str,
    null: float, alpha: float,
) -> tuple[Vector, Vector]:  # fmt: skip
    """Limits that agree with a graphical test."""
    rejected = steps.table["rejected"].to_numpy(bool)
    level = start * alpha
    if not rejected.all():
        last = steps.steps[steps.steps["step"] == steps.steps["step"].max()]
        left = last.set_index("hypothesis")["level"]
        level = left.reindex(steps.table["hypothesis"]).fillna(0.0).to_numpy(float)
    sign = 1.0 if alternative == "greater" else -1.0
    bounds = np.array([_quantile(1 - one, df) if one > 0 else np.inf for one in level])
    limit = sign * values - bounds * errors
    if rejected.all():
        limit = np.maximum(limit, sign * null)
    else:
        limit = np.where(rejected, sign * null, limit)
    limit = sign * np.where(np.isfinite(values) & (errors > 0), limit, np.nan)
    open_end = np.where(np.isnan(limit), np.nan, sign * np.inf)
    return (limit, open_end) if alternative == "greater" else (open_end, limit)


def _result(
    names: list[str], values: Vector, errors: Vector, df: float | None, z: Vector, p: Vector,
    adjusted: Vector, low: Vector, high: Vector, method: str, alternative: str, null: float,
    conf_level: float, critical: float, notes: list[str],
) -> SimultaneousIntervals:  # fmt: skip
    rejected = np.nan_to_num(adjusted, nan=1.0) <= 1 - conf_level + 1e-15
    table = pd.DataFrame(
        {
            "hypothesis": names, "estimate": values, "std_error": errors,
            "df": np.inf if df is None else float(df), "statistic": z, "p_value": p,
            "p_adjusted": adjusted, "conf_low": low, "conf_high": high, "rejected": rejected,
            "method": f"{method}, {alternative}",
        }
    )  # fmt: skip
    return SimultaneousIntervals(
        table=table,
        text=f"{int(rejected.sum())} of {len(names)} hypotheses are rejected at a familywise "
        f"error rate of {1 - conf_level:.3g}; the {method} intervals hold together with a "
        f"probability of {conf_level:.0%}.",
        settings={
            "method": method, "alternative": alternative, "null": null, "conf_level": conf_level,
            "critical": critical, "df": df,
        },
        notes=tuple(notes),
    )  # fmt: skip
