"""Likelihood-ratio comparison of covariance structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from livertrack.errors import UsageError

if TYPE_CHECKING:
    from livertrack.endpoints.mmrm._result import Mmrm


def compare_covariances(*fits: Mmrm) -> pd.DataFrame:
    """Compare fits that differ in their covariance only, in order of their parameters.

    Parameters
    ----------
    *fits : Mmrm
        Two or more fits to the same records by the same method; under REML also with the same
        fixed effects.

    Returns
    -------
    DataFrame
        One row per fit: ``covariance, n_parameters, loglik, aic, bic``; from the second row on
        ``statistic`` (twice the gain in log-likelihood over the row before), ``df`` (parameters
        more) and ``p_value`` of chi-square. The p-value is only meant for nested structures
        (``ar1`` in ``toep`` in ``toeph`` in ``us``); for others compare ``aic``.

    Notes
    -----
    Denominator: the records of the fits, which must be the same.
    Source: Pinheiro & Bates (2000), section 2.4. Checked against: R mmrm 0.3.18 ``anova``.
    """
    if len(fits) < 2:
        msg = f"compare_covariances needs two fits, got {len(fits)}"
        raise UsageError(msg)
    first = fits[0].inference.fit
    for fit in fits[1:]:
        other = fit.inference.fit
        same_design = first.data.frame.X.shape == other.data.frame.X.shape and np.array_equal(
            first.data.frame.X, other.data.frame.X
        )
        if not np.array_equal(first.data.frame.y, other.data.frame.y):
            msg = "compare_covariances: the fits are not to the same records"
            raise UsageError(msg)
        if first.reml != other.reml or (first.reml and not same_design):
            msg = (
                "compare_covariances: fits by reml must have the same fixed effects and none "
                "may be by ml; refit with method='ml'"
            )
            raise UsageError(msg)
    rows = [
        {
            "covariance": fit.settings["covariance"],
            **fit.fit_statistics[["n_parameters", "loglik", "aic", "bic"]].iloc[0].to_dict(),
        }
        for fit in fits
    ]
    table = pd.DataFrame(rows).sort_values("n_parameters", kind="stable", ignore_index=True)
    table["n_parameters"] = table["n_parameters"].astype(int)
    table["statistic"] = 2 * table["loglik"].diff()
    table["df"] = table["n_parameters"].diff()
    usable = table["df"] > 0
    table["p_value"] = np.where(
        usable, special.chdtrc(table["df"].where(usable), table["statistic"].clip(lower=0)), np.nan
    )
    return table
