"""Covariate-adjusted proportions: the marginal risk difference by g-computation."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats
from statsmodels.tools.sm_exceptions import PerfectSeparationError, PerfectSeparationWarning

from livertrack._results import Result
from livertrack.endpoints._checks import (
    ordered_levels,
    require_columns,
    require_conf_level,
    require_level,
)
from livertrack.endpoints._sentences import interval_text
from livertrack.endpoints._terms import formula_columns, model_terms, right_side
from livertrack.endpoints._two_by_two import Missing, responses
from livertrack.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GComputation(Result):
    """Differences and ratios (``table``) of the adjusted proportions (``risks``)."""

    risks: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "measure")
    context: ClassVar[str] = "g_computation"


def g_computation(
    data: pd.DataFrame,
    *,
    response: str,
    arm: str = "TRT01P",
    reference: str,
    covariates: str,
    missing: Missing = "drop",
    conf_level: float = 0.95,
) -> GComputation:
    """Risk difference for the whole population, adjusted for baseline covariates.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``response`` is 0/1 or False/True, missing where unknown.
    response, arm : str
        Columns.
    reference : str
        Arm the others are compared with.
    covariates : str
        Right-hand side of baseline terms, e.g. ``"BASE + SEX"``; randomised arms only.
    missing : {"drop", "non-responder"}
        What a missing response becomes, as in `risk_difference`.
    conf_level : float
        Of the normal limits.

    Returns
    -------
    GComputation
        ``.table``: ``arm, reference, measure`` (risk difference; risk ratio), ``estimate,
        std_error`` (of the ratio: of its logarithm), ``statistic, p_value, conf_low, conf_high,
        n_arm, n_ref, method``. ``.risks``: ``arm, estimate, std_error, crude, n``.

    Notes
    -----
    A logistic model of arm and covariates predicts everybody's risk under each arm; the means
    are compared. The model need not be right for the difference to be valid in a randomised
    trial. Denominator: subjects with response, arm and covariates; dropped ones are counted.
    Standard error: influence function of the mean, which allows for a wrong model and for the
    sampling of covariates (denominator n, not n - 1).
    Positive: more responders than ``reference``. An arm in which everybody or nobody responds,
    or covariates that separate responders, are a `DataError`.
    Source: Freedman (2008); Ge et al. (2011); Ye et al. (2023); FDA guidance on covariates (2023).
    Checked against: R 4.2 ``glm`` and the influence function (tests/reference/subgroups.R).
    """
    require_conf_level(conf_level)
    right = right_side(covariates)
    variables = formula_columns(right, data)
    require_columns(data, [response, arm, *variables])
    require_level(data, arm, reference, what="reference")
    complete = data[variables].notna().all(axis=1)
    known = responses(data[complete], response=response, arm=arm, strata=[], missing=missing)
    notes = list(known.notes)
    if not complete.all():
        notes.append(f"dropped {int((~complete).sum())} of {len(data)} subjects: no covariates")
    y, rows = known.response, known.data
    levels = [reference, *(v for v in ordered_levels(rows[arm]) if v != reference)]
    member = np.column_stack([(rows[arm] == v).to_numpy(dtype=bool) for v in levels])
    n = len(y)
    flat = [
        f"{v} ({y[m].sum():.0f} of {m.sum()})"
        for v, m in zip(levels, member.T, strict=True)
        if not m.any() or y[m].min() == y[m].max()
    ]
    if flat:
        msg = (
            f"{response}: nobody or everybody responds in {', '.join(flat)}; a logistic model "
            "has no maximum, use risk_difference"
        )
        raise DataError(msg)
    Z = _covariates(rows, right)
    X = np.column_stack([member.astype(float), Z])
    beta = _logistic_fit(X, y, covariates)
    influence = np.empty((n, len(levels)))
    risk = np.empty(len(levels))
    for i in range(len(levels)):
        under = X.copy()
        under[:, : len(levels)] = np.eye(len(levels))[i]
        p = 1 / (1 + np.exp(-(under @ beta)))
        risk[i] = p.mean()
        weight = member[:, i] / member[:, i].mean()
        influence[:, i] = weight * (y - p) + p - risk[i]
    V = influence.T @ influence / n**2
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    size = member.sum(axis=0)
    table: list[dict[str, Any]] = []
    for i in range(1, len(levels)):
        base = {"arm": levels[i], "reference": reference}
        counts = {
            "n_arm": int(size[i]),
            "n_ref": int(size[0]),
            "method": "g-computation, logistic",
        }
        error = float(np.sqrt(V[i, i] + V[0, 0] - 2 * V[i, 0]))
        slope = np.array([-1 / risk[0], 1 / risk[i]])
        relative = float(np.sqrt(slope @ V[np.ix_([0, i], [0, i])] @ slope))
        value, log_ratio = float(risk[i] - risk[0]), float(np.log(risk[i] / risk[0]))
        table.append(
            {
                **base, "measure": "risk difference", "estimate": value, "std_error": error,
                "statistic": value / error, "p_value": _p(value / error),
                "conf_low": value - z * error, "conf_high": value + z * error, **counts,
            }
        )  # fmt: skip
        table.append(
            {
                **base, "measure": "risk ratio", "estimate": float(np.exp(log_ratio)),
                "std_error": relative, "statistic": log_ratio / relative,
                "p_value": _p(log_ratio / relative),
                "conf_low": float(np.exp(log_ratio - z * relative)),
                "conf_high": float(np.exp(log_ratio + z * relative)), **counts,
            }
        )  # fmt: skip
    frame = pd.DataFrame(table)
    risks = pd.DataFrame(
        {
            "arm": levels, "estimate": risk, "std_error": np.sqrt(np.diag(V)),
            "crude": [float(y[m].mean()) for m in member.T], "n": size,
        }
    )  # fmt: skip
    text = "; ".join(
        f"{r['arm']} minus {reference}, adjusted for {covariates}: "
        + interval_text(
            100 * r["estimate"],
            100 * r["conf_low"],
            100 * r["conf_high"],
            form=".3g",
            conf_level=conf_level,
            p=r["p_value"],
            unit=" percentage points",
        )
        for r in table
        if r["measure"] == "risk difference"
    )
    return GComputation(
        table=frame,
        risks=risks,
        text=f"{text}.",
        settings={
            "method": "g-computation, logistic", "covariates": covariates,
            "reference": reference, "missing": missing, "conf_level": conf_level, "n": n,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _covariates(rows: pd.DataFrame, covariates: str) -> Floats:
    Z = model_terms(rows, covariates).X
    spread = Z.std(axis=0)
    return np.asarray((Z - Z.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _logistic_fit(X: Floats, y: Floats, covariates: str) -> Floats:
    if np.linalg.matrix_rank(X) < X.shape[1]:
        msg = (
            f"the columns of {covariates!r} do not vary in {len(X)} rows, or follow from each "
            "other; remove terms"
        )
        raise DataError(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PerfectSeparationWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            fitted = sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-12)
    except (PerfectSeparationError, PerfectSeparationWarning, np.linalg.LinAlgError):
        fitted = None
    if fitted is None or not fitted.converged or np.abs(fitted.params).max() > 15:
        msg = f"the logistic model of {covariates!r} did not converge: responders are separated"
        raise DataError(msg)
    return np.asarray(fitted.params, dtype=float)


def _p(statistic: float) -> float:
    return float(2 * stats.norm.sf(abs(statistic)))
