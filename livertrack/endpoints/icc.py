"""Intraclass correlation: six forms with F limits, from complete tables or by REML."""

from __future__ import annotations

from dataclasses import dataclass
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
from livertrack.endpoints._icc_squares import Squares, by_anova, by_reml
from livertrack.endpoints._sentences import interval_text
from livertrack.errors import DataError, UsageError

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
    """Six coefficients (``table``), mean squares (``anova``) and variance ``components``."""

    anova: pd.DataFrame
    components: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("form", "model", "source")
    context: ClassVar[str] = "icc"


def icc(
    data: pd.DataFrame,
    *,
    subject: str = "USUBJID",
    rater: str,
    value: str = "AVAL",
    method: Literal["anova", "reml"] = "anova",
    conf_level: float = 0.95,
) -> IntraclassCorrelation:
    """Agreement of raters (readers, scanners, repeated scans) on a measured value.

    Parameters
    ----------
    data : DataFrame, one row per subject and rater
        ``value`` in any unit.
    subject, rater, value : str
        Columns.
    method : {"anova", "reml"}
        Mean squares of the subjects seen by every rater, or variance components of all ratings
        by restricted maximum likelihood: the choice where tables have gaps.
    conf_level : float
        Of the F limits.

    Returns
    -------
    IntraclassCorrelation
        ``.table``: ``form`` (ICC1, ICC2, ICC3, ICC1k, ICC2k, ICC3k), ``meaning, estimate,
        conf_low, conf_high, statistic`` (F of no agreement), ``df1, df2, p_value, n`` (subjects),
        ``n_raters, n_ratings, method``. ``.anova``: ``source, df, mean_square``.
        ``.components``: ``model`` (one-way; two-way random; two-way mixed), ``source`` (subjects,
        raters, residual), ``variance``.

    Notes
    -----
    Denominator: with ``anova`` subjects with a value of every rater; subjects with any gap are
    left out and counted in ``notes``. With ``reml`` every rating counts; the values that are
    missing must be missing at random. Estimates of ``anova`` may be negative; those of ``reml``
    are 0 then. Perfect agreement gives 1 with NaN limits;
    no variation at all, or fewer than two complete subjects, gives NaN and a note.
    Limits of ``reml`` are the F limits of the mean squares that the components would give in a
    table with the harmonic mean of the numbers of ratings per subject and per rater, and as many
    degrees of freedom as the ratings leave; without gaps they are those of ``anova``.
    ICC2 counts a systematic difference between raters as disagreement, ICC3 does not.
    Source: Shrout and Fleiss (1979); McGraw and Wong (1996); Thomas and Hultquist (1978) for the
    harmonic mean.
    Checked against: R psych 2.2.9 ``ICC`` and the published table of Shrout and Fleiss; R lme4
    1.1-31 ``lmer`` for the components (tests/reference/agreement.R).
    """
    require_conf_level(conf_level)
    if method not in ("anova", "reml"):
        msg = f"method is 'anova' or 'reml', got {method!r}"
        raise UsageError(msg)
    require_columns(data, [subject, rater, value])
    used = data.dropna(subset=[subject, rater])
    require_unique(used, [subject, rater])
    used = used.assign(**{value: numeric(used, value)})
    wide = used.set_index([subject, rater])[value].unstack(rater)  # noqa: PD010
    wide = wide.dropna(axis="columns", how="all").sort_index().sort_index(axis="columns")
    k = wide.shape[1]
    if k < 2:
        msg = f"{rater}: {k} rater(s) have values; agreement needs two"
        raise DataError(msg)
    known = wide.dropna(how="all" if method == "reml" else "any")
    notes = []
    if len(known) < len(wide):
        cause = "no rating" if method == "reml" else f"not seen by all {k} raters"
        notes.append(f"dropped {len(wide) - len(known)} of {len(wide)} subjects: {cause}")
    y = known.to_numpy(float)
    squares = by_reml(y) if method == "reml" else by_anova(y)
    gaps = int(np.isnan(y).sum())
    if gaps:
        notes.append(f"{gaps} of {y.size} ratings are missing; taken as missing at random")
    shown = "REML, F limits" if method == "reml" else "analysis of variance, F limits"
    rows = [
        {
            "form": form, "meaning": _MEANING[form], **numbers, "n": len(y), "n_raters": k,
            "n_ratings": int((~np.isnan(y)).sum()), "method": shown,
        }
        for form, numbers in _six(squares, k, conf_level).items()
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
    return IntraclassCorrelation(
        table=table,
        anova=pd.DataFrame(squares.anova, columns=["source", "df", "mean_square"]),
        components=pd.DataFrame(squares.components, columns=["model", "source", "variance"]),
        text=text,
        settings={
            "method": shown, "conf_level": conf_level, "n": len(y), "n_raters": k,
            "subject": subject, "rater": rater, "value": value,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _six(squares: Squares, k: int, conf_level: float) -> dict[str, dict[str, Any]]:
    """Six coefficients; ``k`` ratings make the mean of the last three."""
    upper = (1 + conf_level) / 2
    df1, h = squares.n - 1, squares.per_subject
    found: dict[str, dict[str, Any]] = {}
    with np.errstate(all="ignore"):
        for form, (msb, ms, df2, F, p) in (("ICC1", squares.one_way), ("ICC3", squares.mixed)):
            test = {"statistic": F, "df1": df1, "df2": df2, "p_value": p}
            ratio = np.float64(msb) / ms if ms > 0 else np.nan
            estimate = np.float64(msb - ms) / (msb + (h - 1) * ms)
            low = ratio / stats.f.ppf(upper, df1, df2)
            high = ratio * stats.f.ppf(upper, df2, df1)
            limits = ((low - 1) / (low + h - 1), (high - 1) / (high + h - 1))
            found |= _pair(form, (estimate, *limits), k, test)
        msb, mse, msj, df2 = squares.random
        rate = h / squares.per_rater
        estimate = np.float64(msb - mse) / (msb + (h - 1) * mse + rate * (msj - mse))
        limits = _absolute_limits(squares, float(estimate), k, upper)
        found |= _pair("ICC2", (estimate, *limits), k, test | {"df2": df2})
    return {form: found[form] for form in _MEANING}


def _absolute_limits(squares: Squares, rho: float, raters: int, upper: float) -> tuple[Any, Any]:
    """Limits of ICC2 with Satterthwaite's df for raters and residual together."""
    msb, mse, msj, df_error = squares.random
    n, k, df1 = squares.per_rater, squares.per_subject, squares.n - 1
    if not mse > 0:
        return float("nan"), float("nan")
    ratio = msj / mse
    rest = n * (1 + (k - 1) * rho) - k * rho
    spread = k * rho * ratio
    df = (spread + rest) ** 2 / (spread**2 / (raters - 1) + rest**2 / df_error)
    noise = k * msj + (k * n - k - n) * mse
    f_low, f_high = stats.f.ppf(upper, df1, df), stats.f.ppf(upper, df, df1)
    low = n * (msb - f_low * mse) / (f_low * noise + n * msb)
    high = n * (f_high * msb - mse) / (noise + n * f_high * msb)
    return low, high


def _pair(
    form: str, numbers: tuple[Any, ...], k: int, test: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Coefficient of one rating and of the mean of ``k``, with limits."""
    names = ("estimate", "conf_low", "conf_high")
    result = {}
    for name, values in ((form, numbers), (f"{form}k", _stepped(numbers, k))):
        plain = [float(v) if np.isfinite(v) else float("nan") for v in values]
        result[name] = dict(zip(names, plain, strict=True)) | test
    return result


def _stepped(numbers: tuple[Any, ...], k: int) -> tuple[Any, ...]:
    """Spearman-Brown: from one rating to the mean of ``k``."""
    return tuple(np.float64(v) * k / (1 + np.float64(v) * (k - 1)) for v in numbers)
