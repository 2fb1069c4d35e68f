"""Intraclass correlation: six forms with exact F limits."""

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
from livertrack.endpoints._sentences import interval_text
from livertrack.errors import DataError

Floats = NDArray[np.float64]

_MEANING = {
    "ICC1": "one-way, single rater",
    "ICC2": "two-way random raters, absolute agreement, single rater",
    "ICC3": "two-way fixed raters, consistency, single rater",
    "ICC1k": "one-way, mean of raters",
    "ICC2k": "two-way random raters, absolute agreement, mean of raters",
    "ICC3k": "two-way fixed raters, consistency, mean of raters",
}


@dataclass(frozen=True, kw_only=True)
class IntraclassCorrelation(Result):
    """Six coefficients (``table``) and the mean squares they are made of (``anova``)."""

    anova: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("form", "source")
    context: ClassVar[str] = "icc"


def icc(
    data: pd.DataFrame,
    *,
    subject: str = "USUBJID",
    rater: str,
    value: str = "AVAL",
    conf_level: float = 0.95,
) -> IntraclassCorrelation:
    """Agreement of raters (readers, scanners, repeated scans) on a measured value.

    Parameters
    ----------
    data : DataFrame, one row per subject and rater
        ``value`` in any unit.
    subject, rater, value : str
        Columns.
    conf_level : float
        Of the F limits.

    Returns
    -------
    IntraclassCorrelation
        ``.table``: ``form`` (ICC1, ICC2, ICC3, ICC1k, ICC2k, ICC3k), ``meaning, estimate,
        conf_low, conf_high, statistic`` (F of no agreement), ``df1, df2, p_value, n`` (subjects),
        ``n_raters, method``. ``.anova``: ``source, df, mean_square``.

    Notes
    -----
    Denominator: subjects with a value of every rater; subjects with any gap are left out and
    counted in ``notes``. Estimates may be negative. Perfect agreement gives 1 with NaN limits;
    no variation at all, or fewer than two complete subjects, gives NaN and a note.
    ICC2 counts a systematic difference between raters as disagreement, ICC3 does not.
    Source: Shrout and Fleiss (1979); McGraw and Wong (1996).
    Checked against: R psych 2.2.9 ``ICC`` and the published table of Shrout and Fleiss
    (tests/reference/agreement.R).
    """
    require_conf_level(conf_level)
    require_columns(data, [subject, rater, value])
    used = data.dropna(subset=[subject, rater])
    require_unique(used, [subject, rater])
    used = used.assign(**{value: numeric(used, value)})
    wide = used.set_index([subject, rater])[value].unstack(rater)  # noqa: PD010
    wide = wide.dropna(axis="columns", how="all")
    y = wide.dropna().to_numpy(float)
    k = wide.shape[1]
    if k < 2:
        msg = f"{rater}: {k} rater(s) have values; agreement needs two"
        raise DataError(msg)
    notes = []
    if len(y) < len(wide):
        notes.append(
            f"dropped {len(wide) - len(y)} of {len(wide)} subjects: not seen by all {k} raters"
        )
    anova = _mean_squares(y)
    rows = [
        {
            "form": form, "meaning": _MEANING[form], **numbers, "n": len(y), "n_raters": k,
            "method": "analysis of variance, F limits",
        }
        for form, numbers in _six(anova, len(y), k, conf_level).items()
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    if table["estimate"].isna().any():
        cause = f"{len(y)} complete subject(s)" if len(y) < 2 else "no variation"
        notes.append(f"no coefficient: {cause}")
    elif table["conf_low"].isna().any():
        notes.append("no limits: raters agree perfectly but for constants")
    single = table.set_index("form").loc["ICC2"]
    text = (
        f"ICC(2,1), absolute agreement of {k} raters on {len(y)} subjects: "
        + interval_text(
            single["estimate"], single["conf_low"], single["conf_high"], conf_level=conf_level
        )
        + "."
    )
    df = [len(y) - 1, len(y) * (k - 1), k - 1, (len(y) - 1) * (k - 1)]
    return IntraclassCorrelation(
        table=table,
        anova=pd.DataFrame(
            {
                "source": ["subjects", "within", "raters", "residual"],
                "df": df, "mean_square": list(anova),
            }
        ),
        text=text,
        settings={
            "method": "analysis of variance, F limits", "conf_level": conf_level, "n": len(y),
            "n_raters": k, "subject": subject, "rater": rater, "value": value,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _mean_squares(y: Floats) -> tuple[float, float, float, float]:
    """Mean squares between subjects, within them, between raters, residual."""
    n, k = y.shape
    if n < 2:
        return (float("nan"),) * 4
    row, column, grand = y.mean(axis=1), y.mean(axis=0), y.mean()
    between = k * ((row - grand) ** 2).sum()
    within = ((y - row[:, None]) ** 2).sum()
    raters = n * ((column - grand) ** 2).sum()
    residual = ((y - row[:, None] - column[None] + grand) ** 2).sum()
    found = np.array([between, within, raters, residual])
    found = found / [n - 1, n * (k - 1), k - 1, (n - 1) * (k - 1)]
    found[found < 1e-26 * float(np.abs(y).max()) ** 2] = 0.0  # nothing but rounding
    return tuple(map(float, found))  # type: ignore[return-value]


def _six(
    anova: tuple[float, float, float, float], n: int, k: int, conf_level: float
) -> dict[str, dict[str, Any]]:
    msb, msw, msj, mse = anova
    upper = (1 + conf_level) / 2
    tiny = 1e-12 * max(msb, msw, msj, 1e-300)
    msb, msw, mse = (0.0 if v < tiny else v for v in (msb, msw, mse))
    with np.errstate(all="ignore"):
        result = {}
        for form, ms, df2 in (("ICC1", msw, n * (k - 1)), ("ICC3", mse, (n - 1) * (k - 1))):
            estimate = np.float64(msb - ms) / (msb + (k - 1) * ms)
            mean = np.float64(msb - ms) / msb
            F = np.float64(msb) / ms if ms > 0 else np.nan
            low = F / stats.f.ppf(upper, n - 1, df2)
            high = F * stats.f.ppf(upper, df2, n - 1)
            test = {
                "statistic": float(F), "df1": n - 1, "df2": df2,
                "p_value": float(stats.f.sf(F, n - 1, df2)),
            }  # fmt: skip
            limits = ((low - 1) / (low + k - 1), (high - 1) / (high + k - 1))
            result[form] = _entry(estimate, limits, test)
            result[f"{form}k"] = _entry(mean, (1 - 1 / low, 1 - 1 / high), test)
        estimate = np.float64(msb - mse) / (msb + (k - 1) * mse + k * (msj - mse) / n)
        mean = np.float64(msb - mse) / (msb + (msj - mse) / n)
        limits = _absolute_limits(msb, msj, mse, float(estimate), n, k, upper)
        stepped = tuple(v * k / (1 + v * (k - 1)) for v in limits)
        result["ICC2"] = _entry(estimate, limits, test)
        result["ICC2k"] = _entry(mean, stepped, test)
    return {form: result[form] for form in _MEANING}


def _absolute_limits(
    msb: float, msj: float, mse: float, rho: float, n: int, k: int, upper: float
) -> tuple[float, float]:
    """Limits of ICC2 with Satterthwaite's df for raters and residual together."""
    if not mse > 0:
        return float("nan"), float("nan")
    ratio = msj / mse
    rest = n * (1 + (k - 1) * rho) - k * rho
    df = (k - 1) * (n - 1) * (k * rho * ratio + rest) ** 2
    df /= (n - 1) * k**2 * rho**2 * ratio**2 + rest**2
    noise = k * msj + (k * n - k - n) * mse
    f_low, f_high = stats.f.ppf(upper, n - 1, df), stats.f.ppf(upper, df, n - 1)
    low = n * (msb - f_low * mse) / (f_low * noise + n * msb)
    high = n * (f_high * msb - mse) / (noise + n * f_high * msb)
    return float(low), float(high)


def _entry(estimate: Any, limits: Any, test: dict[str, Any]) -> dict[str, Any]:
    numbers = [float(v) if np.isfinite(v) else float("nan") for v in (estimate, *limits)]
    return dict(zip(("estimate", "conf_low", "conf_high"), numbers, strict=True)) | test
