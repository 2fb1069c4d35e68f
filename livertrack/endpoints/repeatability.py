"""Repeatability of a measurement and the smallest change that is real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import numeric, require_columns, require_conf_level
from livertrack.endpoints._sentences import interval_text, number_text
from livertrack.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Repeatability(Result):
    """Within-subject spread and what follows from it, per parameter."""

    keys: ClassVar[tuple[str, ...]] = ("parameter", "quantity")
    context: ClassVar[str] = "repeatability"


def repeatability(
    data: pd.DataFrame,
    *,
    subject: str = "USUBJID",
    value: str = "AVAL",
    by: str | None = "PARAMCD",
    coverage: float = 0.95,
    conf_level: float = 0.95,
) -> Repeatability:
    """Spread of repeated measurements of the same, unchanged subject.

    Parameters
    ----------
    data : DataFrame, one row per measurement
        Two or more rows per subject (test and retest), in any one unit per parameter.
    subject, value : str
        Columns.
    by : str, optional
        Column whose levels (tissue types, parameters) are analysed one by one; without it, or
        when the column is absent, the data are one parameter.
    coverage : float
        Proportion of differences of an unchanged subject below the repeatability coefficient.
    conf_level : float
        Of the chi-square limits.

    Returns
    -------
    Repeatability
        ``.table``: ``parameter, quantity, estimate, conf_low, conf_high, df, n`` (subjects),
        ``n_measurements, method``. Quantities: ``within_sd``; ``repeatability_coefficient``
        (z sqrt(2) within_sd); ``smallest_real_change`` (the upper limit of that coefficient at
        ``conf_level``, one-sided: a change beyond it is more than noise even if the noise was
        underestimated; no limits of its own); ``within_cv`` (proportion);
        ``repeatability_percent`` (100 z sqrt(2) within_cv); ``mean``.

    Notes
    -----
    Denominator: subjects with two or more values; others, and missing values, are counted in
    ``notes``. Variances of subjects are pooled by their degrees of freedom, and so are squared
    coefficients of variation. A systematic shift between first and second measurement counts
    as noise. ``within_cv`` needs positive subject means, else NaN and a note. No subject with
    two values: NaN and a note. No variation within subjects: 0.
    Source: Bland and Altman (1996); Obuchowski et al. (2018, QIBA); chi-square limits.
    Checked against: R 4.2 ``aov`` (tests/reference/agreement.R).
    """
    require_conf_level(conf_level)
    require_conf_level(coverage)
    grouped = by is not None and by in data.columns
    require_columns(data, [subject, value])
    used = data.dropna(subset=[subject])
    used = used.assign(**{value: numeric(used, value)})
    z = float(stats.norm.ppf((1 + coverage) / 2))
    parts = (
        [(str(name), part) for name, part in used.groupby(by, observed=True, sort=True)]
        if grouped
        else [(value, used)]
    )
    if not parts:
        msg = f"no measurement of {value}; {len(data)} row(s) were given"
        raise DataError(msg)
    rows: list[dict[str, object]] = []
    notes: list[str] = []
    for name, part in parts:
        known = part.dropna(subset=[value])
        per = known.groupby(subject, observed=True)[value].agg(["count", "mean", "var"])
        repeated = per[per["count"] > 1]
        alone = part[subject].nunique() - len(repeated)
        if alone:
            notes.append(f"{name}: {alone} subject(s) without two values do not count")
        if len(repeated) and not (repeated["mean"] > 0).all():
            count = int((repeated["mean"] <= 0).sum())
            notes.append(f"{name}: {count} subject mean(s) are not positive; no within_cv")
        rows += _quantities(name, repeated, z, conf_level)
    table = pd.DataFrame(rows)
    return Repeatability(
        table=table,
        text=_sentence(table, coverage, conf_level),
        settings={
            "method": "pooled within-subject variance, chi-square limits", "coverage": coverage,
            "conf_level": conf_level, "subject": subject, "value": value, "by": by,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _quantities(
    name: str, repeated: pd.DataFrame, z: float, conf_level: float
) -> list[dict[str, object]]:
    nan = float("nan")
    free = (repeated["count"] - 1).to_numpy(float)
    df, mean = int(free.sum()), repeated["mean"].to_numpy(float)
    variance = repeated["var"].to_numpy(float)
    factor, one_sided = (nan, nan), nan
    sd = cv = overall = nan
    if df:
        sd = float(np.sqrt(free @ variance / df))
        overall = float(np.average(mean, weights=repeated["count"].to_numpy(float)))
        if (mean > 0).all():
            cv = float(np.sqrt(free @ (variance / mean**2) / df))
        tail = (1 - conf_level) / 2
        chi = stats.chi2.ppf([1 - tail, tail], df)
        factor = (float(np.sqrt(df / chi[0])), float(np.sqrt(df / chi[1])))
        one_sided = float(np.sqrt(df / stats.chi2.ppf(1 - conf_level, df)))
    width = z * np.sqrt(2)
    values = {
        "within_sd": (sd, True),
        "repeatability_coefficient": (width * sd, True),
        "smallest_real_change": (width * sd * one_sided, False),
        "within_cv": (cv, True),
        "repeatability_percent": (100 * width * cv, True),
        "mean": (overall, False),
    }
    return [
        {
            "parameter": name, "quantity": quantity, "estimate": estimate,
            "conf_low": estimate * factor[0] if limited else nan,
            "conf_high": estimate * factor[1] if limited else nan,
            "df": df, "n": len(repeated), "n_measurements": int(repeated["count"].sum()),
            "method": "pooled within-subject variance, chi-square limits",
        }
        for quantity, (estimate, limited) in values.items()
    ]  # fmt: skip


def _sentence(table: pd.DataFrame, coverage: float, conf_level: float) -> str:
    wide = table.set_index(["quantity", "parameter"])
    parts = [
        f"{row['parameter']}: repeatability coefficient " + interval_text(
            row["estimate"], row["conf_low"], row["conf_high"], conf_level=conf_level, form=".4g"
        ) + ", smallest real change "
        + number_text(wide.loc[("smallest_real_change", row["parameter"]), "estimate"])
        + f" ({row['n']} subjects)"
        for row in table[table["quantity"] == "repeatability_coefficient"].to_dict("records")
    ]  # fmt: skip
    return (
        f"Two measurements of an unchanged subject differ in {coverage:.0%} of cases by less than "
        f"the repeatability coefficient. {'; '.join(parts)}."
    )
