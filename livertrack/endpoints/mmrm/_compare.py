"""Likelihood-ratio comparison of covariance structures."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from livertrack.errors import UsageError

if TYPE_CHECKING:
    from livertrack.endpoints.mmrm._result import Mmrm

#: structures that contain each structure as a special case
SPECIAL_CASE_OF = {
    "ad": ("adh", "us"),
    "adh": ("us",),
    "ar1": ("ad", "adh", "ar1h", "toep", "toeph", "us"),
    "ar1h": ("adh", "toeph", "us"),
    "cs": ("csh", "toep", "toeph", "us"),
    "csh": ("toeph", "us"),
    "toep": ("toeph", "us"),
    "toeph": ("us",),
}


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
        more; by maximum likelihood those of the fixed effects too) and ``p_value`` of chi-square.
        The p-value is NaN where the row before is no special case (``ar1`` is one of ``toep``,
        that of ``toeph``, that of ``us``); compare ``aic`` there.

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
    ordered = sorted(fits, key=_size)
    rows = [
        {
            "covariance": fit.settings["covariance"],
            **fit.fit_statistics[["n_parameters", "loglik", "aic", "bic"]].iloc[0].to_dict(),
        }
        for fit in ordered
    ]
    table = pd.DataFrame(rows)
    table["n_parameters"] = table["n_parameters"].astype(int)
    table["statistic"] = 2 * table["loglik"].diff()
    table["df"] = pd.Series([_size(fit) for fit in ordered]).diff()
    nested = np.array([False, *(_nested(small, large) for small, large in pairwise(ordered))])
    usable = (table["df"] > 0) & nested
    table["p_value"] = np.where(
        usable, special.chdtrc(table["df"].where(usable), table["statistic"].clip(lower=0)), np.nan
    )
    return table


def _size(fit: Mmrm) -> int:
    """Parameters that a likelihood ratio counts: by maximum likelihood the coefficients too."""
    fitted = fit.inference.fit
    return len(fitted.natural.theta) + (0 if fitted.reml else fitted.p)


def _nested(small: Mmrm, large: Mmrm) -> bool:
    """Whether the covariance and the fixed effects of ``small`` are special cases of ``large``."""
    one, other = small.inference.fit, large.inference.fit
    first, second = one.data.term, other.data.term
    if first.visits != second.visits or first.group not in (None, second.group):
        return False
    if one.structure != other.structure and other.structure not in SPECIAL_CASE_OF.get(
        one.structure, ()
    ):
        return False
    # rows of two fits lie in the same order: by subject and visit
    X, Z = one.data.frame.X[:, one.data.kept], other.data.frame.X[:, other.data.kept]
    X, Z = X / np.linalg.norm(X, axis=0), Z / np.linalg.norm(Z, axis=0)
    rest = X - Z @ np.linalg.lstsq(Z, X, rcond=None)[0]
    return bool(np.abs(rest).max(initial=0.0) < 1e-8)
