"""Several arms against one reference, with covariates: Dunnett's comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

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
from livertrack.endpoints._multivariate_t import EqualBounds
from livertrack.endpoints._sentences import interval_text
from livertrack.endpoints._terms import formula_columns, model_terms, right_side
from livertrack.endpoints._two_by_two import compared_arms
from livertrack.endpoints.simultaneous import Alternative, step_down
from livertrack.errors import DataError, UsageError

Floats = NDArray[np.float64]
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Dunnett(Result):
    """Differences from the reference with simultaneous limits (``table``)."""

    keys: ClassVar[tuple[str, ...]] = ("arm",)
    context: ClassVar[str] = "dunnett"


def dunnett(
    data: pd.DataFrame,
    *,
    value: str = "CHG",
    arm: str = "TRT01P",
    reference: str,
    covariates: str | None = None,
    alternative: Alternative = "two-sided",
    conf_level: float = 0.95,
) -> Dunnett:
    """Compare every arm with the reference by a linear model, adjusted for their number.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``value`` in any unit.
    value, arm : str
        Columns.
    reference : str
        Arm the others are compared with.
    covariates : str, optional
        Right-hand side of baseline terms, e.g. ``"BASE + SITEID"``.
    alternative : {"two-sided", "greater", "less"}
        ``greater``: the arm is higher than the reference; limits have one side then.
    conf_level : float
        Simultaneous coverage over the arms.

    Returns
    -------
    Dunnett
        ``.table``: ``arm, reference, estimate`` (adjusted difference of means, in the unit of
        ``value``), ``std_error, df, statistic`` (t), ``p_value`` (unadjusted), ``p_adjusted``
        (single-step, agrees with the limits), ``p_step_down`` (never larger), ``conf_low,
        conf_high`` (simultaneous), ``n_arm, n_ref, method``. ``.settings["critical"]``: bound of
        the largest statistic.

    Notes
    -----
    Denominator: subjects with value, arm and covariates; dropped ones are counted. One variance
    for all arms. Positive: higher than ``reference``.
    An arm without subjects is NaN with a note; no variation around the model gives NaN limits and
    a note; no residual degree of freedom is a `DataError`.
    Source: Dunnett (1955); Hothorn, Bretz and Westfall (2008) with covariates; Marcus, Peritz
    and Gabriel (1976) for the step-down.
    Checked against: R multcomp 1.4-22 ``glht(mcp(arm = "Dunnett"))`` with the distribution by
    mvtnorm's ``TVPACK`` (tests/reference/closed_tests.R); published critical values.
    """
    require_conf_level(conf_level)
    if alternative not in ("two-sided", "greater", "less"):
        msg = f"alternative is two-sided, greater or less; got {alternative!r}"
        raise UsageError(msg)
    right = right_side(covariates) if covariates else ""
    columns = [value, arm, *(formula_columns(right, data) if right else [])]
    require_columns(data, columns)
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    kept = data.dropna(subset=columns)
    notes = []
    if len(kept) < len(data):
        notes.append(f"dropped {len(data) - len(kept)} of {len(data)} subjects: incomplete")
    levels = compared_arms(kept, arm, reference)
    size = {level: int((kept[arm] == level).sum()) for level in [*levels, reference]}
    present = [level for level in levels if size[level]]
    notes += [f"no subject in {level}" for level in levels if not size[level]]
    if not present:
        notes.append(f"no arm besides the reference {reference}")
    y = numeric(kept, value)
    fit = _fit(kept, y, arm, present, right)
    rows = _rows(fit, present, alternative, conf_level) if present else {}
    if present and np.isnan(fit.error).any():
        notes.append("no variation around the model: no limits, no test")
    nothing = dict.fromkeys(_NUMBERS, float("nan")) | {"df": fit.df}
    table = pd.DataFrame(
        [
            {
                "arm": level, "reference": reference, **rows.get(level, nothing),
                "n_arm": size[level], "n_ref": size[reference],
                "method": f"linear model, Dunnett, {alternative}",
            }
            for level in levels
        ],
        columns=["arm", "reference", *_NUMBERS, "n_arm", "n_ref", "method"],
    )  # fmt: skip
    critical = float("nan")
    if present:
        critical = _spread(fit, alternative).quantile(conf_level)
    return Dunnett(
        table=table,
        text=_sentence(table, value, conf_level),
        settings={
            "method": "linear model, Dunnett", "value": value, "arm": arm, "reference": reference,
            "covariates": right, "alternative": alternative, "conf_level": conf_level,
            "critical": critical, "n": len(kept),
        },
        notes=tuple(notes),
    )  # fmt: skip


_NUMBERS = (
    "estimate", "std_error", "df", "statistic", "p_value", "p_adjusted", "p_step_down", "conf_low",
    "conf_high",
)  # fmt: skip


@dataclass(frozen=True)
class _Fit:
    estimate: Floats
    error: Floats
    correlation: Floats
    df: int


def _fit(kept: pd.DataFrame, y: Floats, arm: str, present: list[Any], right: str) -> _Fit:
    """Differences from the reference and their covariance, by least squares."""
    arms = [(kept[arm] == level).to_numpy(float) for level in present]
    X = np.column_stack([np.ones(len(y)), *arms])
    if right:
        Z = model_terms(kept, right).X
        spread = Z.std(axis=0)
        X = np.column_stack([X, (Z - Z.mean(axis=0)) / np.where(spread > 0, spread, 1.0)])
    df = len(y) - int(np.linalg.matrix_rank(X))
    if df < 1 or len(y) - df < X.shape[1]:
        msg = (
            f"{len(y)} subjects and {X.shape[1]} coefficients that must not follow from each "
            "other; drop terms"
        )
        raise DataError(msg)
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ y
    sigma = float(np.sqrt(((y - X @ beta) ** 2).sum() / df))
    if sigma <= _ROUNDING * float(np.abs(y).max(initial=0.0)):
        sigma = float("nan")  # nothing but rounding
    block = inverse[1 : 1 + len(present), 1 : 1 + len(present)]
    scale = np.sqrt(np.diag(block))
    estimate = beta[1 : 1 + len(present)]
    return _Fit(estimate, sigma * scale, block / np.outer(scale, scale), df)


def _spread(fit: _Fit, alternative: str) -> EqualBounds:
    return EqualBounds(fit.correlation, float(fit.df), two_sided=alternative == "two-sided")


def _rows(
    fit: _Fit, present: list[Any], alternative: str, conf_level: float
) -> dict[Any, dict[str, float]]:
    t = fit.estimate / fit.error
    two_sided = alternative == "two-sided"
    directed = np.abs(t) if two_sided else (t if alternative == "greater" else -t)
    if np.isnan(t).any():
        single = down = np.full(len(t), np.nan)
    else:
        spread = _spread(fit, alternative)
        single = np.array([spread.tail(float(one)) for one in directed])
        down = step_down(directed, fit.correlation, float(fit.df), two_sided=two_sided)
    half = _spread(fit, alternative).quantile(conf_level) * fit.error
    low = fit.estimate - half if alternative != "less" else np.full(len(t), -np.inf)
    high = fit.estimate + half if alternative != "greater" else np.full(len(t), np.inf)
    p = (2 if two_sided else 1) * stats.t.sf(directed, fit.df)
    columns = (fit.estimate, fit.error, np.full(len(t), fit.df), t, p, single, down, low, high)
    return {
        level: dict(zip(_NUMBERS, (float(column[i]) for column in columns), strict=True))
        for i, level in enumerate(present)
    }


def _sentence(table: pd.DataFrame, value: str, conf_level: float) -> str:
    parts = [
        f"{row['arm']} minus {row['reference']}: " + interval_text(
            row["estimate"], row["conf_low"], row["conf_high"], conf_level=conf_level,
            p=row["p_adjusted"], form=".4g",
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    shown = "; ".join(parts) or "no arm to compare"
    return f"Differences in {value}, limits and p adjusted for the number of arms: {shown}."
