"""Bland-Altman: bias and limits of agreement of two methods, with exact confidence limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import (
    numeric,
    require_columns,
    require_conf_level,
    require_unique,
)
from livertrack.endpoints._sentences import interval_text
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class BlandAltman(Result):
    """Bias, limits and spread (``table``) and the points of the plot (``points``)."""

    points: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("quantity",)
    context: ClassVar[str] = "bland_altman"


def bland_altman(
    data: pd.DataFrame,
    *,
    method_1: str,
    method_2: str,
    scale: Literal["difference", "percent"] = "difference",
    agreement: float = 0.95,
    conf_level: float = 0.95,
) -> BlandAltman:
    """Differences of two methods measured on the same subjects.

    Parameters
    ----------
    data : DataFrame, one row per subject
        Two columns in the same unit.
    method_1, method_2 : str
        Columns; the difference is ``method_1 - method_2``.
    scale : {"difference", "percent"}
        Difference in the unit, or in percent of the mean of the two.
    agreement : float
        Proportion of future differences that the limits of agreement should hold.
    conf_level : float
        Of the confidence limits of every row.

    Returns
    -------
    BlandAltman
        ``.table``: ``quantity`` (bias; lower limit; upper limit; standard deviation; slope),
        ``estimate, std_error, conf_low, conf_high, p_value, n, method``. ``slope`` is of the
        difference on the mean (a bias that grows with the size). p is of 0 (bias, slope).
        ``.points``: ``mean, difference``, sorted.

    Notes
    -----
    Denominator: subjects with both values; others are counted in ``notes``.
    The confidence limits of the limits of agreement are exact for normal differences
    (noncentral t), each on its own; of the standard deviation by chi-square.
    One pair gives the bias and NaN otherwise; no variation gives NaN for the slope.
    Source: Bland and Altman (1986, 1999); Carkeet (2015) for the exact limits.
    Checked against: the published peak-flow example and R 4.2: noncentral t by
    integration, ``t.test``, ``lm``
    (tests/reference/agreement.R).
    """
    require_conf_level(conf_level)
    if not 0 < agreement < 1 or scale not in ("difference", "percent"):
        msg = (
            f"agreement is a proportion, scale difference or percent; got {agreement!r}, {scale!r}"
        )
        raise UsageError(msg)
    require_columns(data, [method_1, method_2])
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    kept = data[data[[method_1, method_2]].notna().all(axis=1)]
    if kept.empty:
        msg = f"no subject has both {method_1} and {method_2}; {len(data)} row(s) were given"
        raise DataError(msg)
    first, second = numeric(kept, method_1), numeric(kept, method_2)
    mean, d = (first + second) / 2, first - second
    notes = []
    if len(kept) < len(data):
        lost = len(data) - len(kept)
        notes.append(f"dropped {lost} of {len(data)} subjects: {method_1} or {method_2} missing")
    if scale == "percent":
        zero = int((mean == 0).sum())
        if zero:
            msg = f"{zero} subject(s) have a mean of 0; a percent difference does not exist there"
            raise DataError(msg)
        d = 100 * d / mean
    order = np.lexsort((d, mean))
    mean, d = mean[order], d[order]
    n = len(d)
    table = pd.DataFrame(_rows(mean, d, agreement, conf_level)).assign(
        n=n, method=f"Bland-Altman, {scale}, exact limits"
    )
    if n < 2:
        notes.append("one pair: no limits of agreement")
    elif table["p_value"].iloc[0] != table["p_value"].iloc[0]:
        notes.append("all differences are equal: limits without width, no test")
    elif np.isnan(table["estimate"].iloc[-1]):
        notes.append(f"no slope: {n} pairs, or no variation of their means")
    bias, low, high = table["estimate"].iloc[:3]
    unit = " %" if scale == "percent" else ""
    shown = interval_text(
        bias, table["conf_low"].iloc[0], table["conf_high"].iloc[0], conf_level=conf_level,
        form=".4g", unit=unit,
    )  # fmt: skip
    width = f"{low:.4g} to {high:.4g}{unit}" if n > 1 else "unknown"
    text = (
        f"{method_1} minus {method_2} on {n} subjects: bias {shown}; "
        f"{agreement:.0%} limits of agreement {width}."
    )
    return BlandAltman(
        table=table,
        points=pd.DataFrame({"mean": mean, "difference": d}),
        text=text,
        settings={
            "method": "Bland-Altman", "scale": scale, "agreement": agreement,
            "conf_level": conf_level, "n": n, "method_1": method_1, "method_2": method_2,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _rows(
    mean: np.ndarray, d: np.ndarray, agreement: float, conf_level: float
) -> list[dict[str, float | str]]:
    nan, n, alpha = float("nan"), len(d), 1 - conf_level
    bias, df = float(d.mean()), len(d) - 1
    s = float(d.std(ddof=1)) if n > 1 else nan
    if s <= 1e-12 * max(float(np.abs(mean).max()), float(np.abs(d).max())):
        s = 0.0  # nothing but rounding
    error = s / np.sqrt(n)
    t = stats.t.ppf(1 - alpha / 2, df) if df else nan
    z = float(stats.norm.ppf((1 + agreement) / 2))
    p_bias = float(2 * stats.t.sf(abs(bias / error), df)) if error > 0 else nan
    if df:
        near, far = stats.nct.ppf([alpha / 2, 1 - alpha / 2], df, z * np.sqrt(n)) * error
        chi = stats.chi2.ppf([1 - alpha / 2, alpha / 2], df)
        spread = s * np.sqrt(df / chi)
    else:
        near = far = nan
        spread = np.array([nan, nan])
    slope = {"estimate": nan, "std_error": nan, "conf_low": nan, "conf_high": nan, "p_value": nan}
    if n > 2 and np.ptp(mean) > 0:
        fit = stats.linregress(mean, d)
        half = stats.t.ppf(1 - alpha / 2, n - 2) * fit.stderr
        slope = {
            "estimate": float(fit.slope), "std_error": float(fit.stderr),
            "conf_low": float(fit.slope - half), "conf_high": float(fit.slope + half),
            "p_value": float(fit.pvalue),
        }  # fmt: skip
    limit_error = s * np.sqrt(1 / n + z**2 / (2 * df)) if df else nan
    return [
        _row("bias", bias, error, bias - t * error, bias + t * error, p_bias),
        _row("lower limit", bias - z * s, limit_error, bias - far, bias - near),
        _row("upper limit", bias + z * s, limit_error, bias + near, bias + far),
        _row("standard deviation", s, nan, spread[0], spread[1]),
        {"quantity": "slope", **slope},
    ]


def _row(
    quantity: str, estimate: float, error: float, low: float, high: float, p: float = float("nan")
) -> dict[str, float | str]:
    return {
        "quantity": quantity, "estimate": float(estimate), "std_error": float(error),
        "conf_low": float(low), "conf_high": float(high), "p_value": p,
    }  # fmt: skip
