"""Pooling of estimates from imputed data sets: Rubin's rules with the df of Barnard & Rubin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from livertrack.endpoints._design import Floats


@dataclass(frozen=True)
class Pooled:
    """Pooled estimates.

    ``std_error`` = sqrt(within + (1 + 1/m) between); ``fraction_missing`` = share of the
    between-imputation variance in the total.
    """

    estimate: Floats
    std_error: Floats
    df: Floats
    fraction_missing: Floats


def pool(estimates: Floats, variances: Floats, df_complete: Floats | float) -> Pooled:
    """Pool ``m`` imputations (first axis).

    Source: Rubin (1987); Barnard & Rubin (1999) for df, which never exceeds that of complete data.
    With one imputation the between variance is unknown: NaN.
    """
    m = len(estimates)
    estimate, within = estimates.mean(axis=0), variances.mean(axis=0)
    if m < 2:
        nan = np.full_like(estimate, np.nan)
        return Pooled(estimate, nan, nan, nan)
    between = estimates.var(axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(total > 0, (1 + 1 / m) * between / total, 0.0)
        old = (m - 1) / share**2
        complete = np.asarray(df_complete, float)
        observed = (complete + 1) / (complete + 3) * complete * (1 - share)
        df = 1 / (1 / old + 1 / observed)
    return Pooled(estimate, np.sqrt(total), df, share)
