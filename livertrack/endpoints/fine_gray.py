"""Fine-Gray regression: covariates and the cumulative incidence of one of several causes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import require_columns, require_conf_level
from livertrack.endpoints._events import Floats, competing_times
from livertrack.endpoints._partial_likelihood import maximise
from livertrack.endpoints._sentences import interval_text
from livertrack.endpoints._strata import stratum_numbers
from livertrack.endpoints._subdistribution import Subdistribution
from livertrack.endpoints._terms import (
    formula_columns,
    model_terms,
    require_full_rank,
    right_side,
)
from livertrack.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class FineGray(Result):
    """Subdistribution hazard ratios (``table``), baseline incidence and test of the model."""

    baseline: pd.DataFrame
    fit: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("term",)
    context: ClassVar[str] = "fine_gray"


def fine_gray(
    data: pd.DataFrame,
    formula: str,
    *,
    event: str,
    time: str = "AVAL",
    censor: str = "CNSR",
    cause: str = "CAUSE",
    censoring_groups: str | list[str] | None = None,
    variance: Literal["fine-gray", "weights-known"] = "fine-gray",
    conf_level: float = 0.95,
) -> FineGray:
    """Proportional hazards of the subdistribution of ``event``, with competing events.

    Parameters
    ----------
    data : DataFrame, one row per subject
        Time to the first event of any kind, in any one unit; ``censor`` = 0 is an event.
    formula : str
        Right-hand side in Wilkinson notation, e.g. ``"TRT01P + AGE"``. The first level of a
        factor (sorted, or the first category) is its reference.
    event : str
        Level of ``cause`` whose incidence is modelled; every other one competes.
    time, censor : str
        Columns.
    cause : str
        Column naming the kind of the event; needed where ``censor`` is 0, ignored elsewhere.
    censoring_groups : str or list of str, optional
        Columns in whose combinations the distribution of censoring differs (the arm, the site).
    variance : {"fine-gray", "weights-known"}
        Sandwich that allows for the estimated distribution of censoring, or not.
    conf_level : float
        Of the Wald limits.

    Returns
    -------
    FineGray
        ``.table``: ``term, hazard_ratio, hazard_ratio_low, hazard_ratio_high`` and, on the log
        scale, ``estimate, std_error, statistic`` (z), ``p_value, conf_low, conf_high``; ``n,
        events, competing, method``.
        ``.baseline``: ``time, hazard`` (cumulative subdistribution hazard at the mean of the
        columns) and ``incidence`` (1 - exp(-hazard)), at every time of ``event``.
        ``.fit``: ``term`` (Wald), ``statistic, df, p_value``, ``loglik, loglik_null`` of the
        pseudo-likelihood, whose ratio has no chi-square distribution.

    Notes
    -----
    Denominator: subjects with time, flag, every variable of the formula and, when an event
    happened, its cause; dropped ones are counted in ``notes``.
    A ratio above 1 means a higher cumulative incidence of ``event``, by whatever road: fewer
    competing events raise it too. For the hazard among those still free of any event see
    ``cox(..., event=)``; report both.
    A subject with a competing event stays at risk with weight G(t-) / G(T-), G the Kaplan-Meier
    estimate of being uncensored, by ``censoring_groups``. Ties as Breslow.
    No such event, a coefficient that runs to infinity, or dependent columns are a `DataError`.
    Source: Fine and Gray (1999); Geskus (2011) for ``weights-known``.
    Checked against: R cmprsk 2.2-11 ``crr``; survival 3.5 ``finegray`` with ``coxph(ties =
    "breslow")`` and its robust variance (tests/reference/fine_gray.R).
    """
    require_conf_level(conf_level)
    if variance not in ("fine-gray", "weights-known"):
        msg = f"variance is 'fine-gray' or 'weights-known', got {variance!r}"
        raise UsageError(msg)
    groups = (
        [censoring_groups] if isinstance(censoring_groups, str) else list(censoring_groups or [])
    )
    right = right_side(formula)
    variables = formula_columns(right, data)
    require_columns(data, [*variables, *groups])
    kinds = competing_times(
        data, time=time, censor=censor, cause=cause, columns=[*variables, *groups]
    )
    happened = kinds.is_cause(event)
    terms = model_terms(kinds.data, right)
    require_full_rank(terms, right)
    X = terms.X - terms.X.mean(axis=0)
    names = list(terms.names)
    model = Subdistribution(
        kinds.time, happened, kinds.kind, X, stratum_numbers(kinds.data, groups)
    )
    beta, inverse, loglik = maximise(model, X.std(axis=0), names, what="Fine-Gray model")
    residuals = model.residuals(beta, censoring=variance == "fine-gray")
    covariance = inverse @ residuals.T @ residuals @ inverse
    table = _table(names, beta, np.sqrt(np.diag(covariance)), conf_level).assign(
        n=len(X), events=int(happened.sum()), competing=int((kinds.kind > 0).sum())
        - int(happened.sum()), method=f"Fine-Gray, {variance} variance",
    )  # fmt: skip
    wald = float(beta @ np.linalg.lstsq(covariance, beta, rcond=None)[0])
    df = int(np.linalg.matrix_rank(covariance))
    fit = pd.DataFrame(
        [
            {
                "term": "Wald", "statistic": wald, "df": df,
                "p_value": float(stats.chi2.sf(wald, df)), "loglik": loglik,
                "loglik_null": model.derivatives(np.zeros_like(beta))[0],
            }
        ]
    )  # fmt: skip
    when, hazard = model.baseline(beta)
    return FineGray(
        table=table,
        baseline=pd.DataFrame({"time": when, "hazard": hazard, "incidence": -np.expm1(-hazard)}),
        fit=fit,
        text=_sentence(table, event, conf_level),
        settings={
            "method": f"Fine-Gray, {variance} variance", "formula": right, "event": event,
            "causes": [str(one) for one in kinds.causes], "censoring_groups": groups,
            "variance": variance, "conf_level": conf_level, "n": len(X),
            "events": int(happened.sum()), "time": time, "censor": censor, "cause": cause,
        },
        notes=kinds.notes,
    )  # fmt: skip


def _table(
    names: list[str], beta: Floats, error: NDArray[np.float64], conf_level: float
) -> pd.DataFrame:
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    low, high = beta - z * error, beta + z * error
    return pd.DataFrame(
        {
            "term": names, "hazard_ratio": np.exp(beta), "hazard_ratio_low": np.exp(low),
            "hazard_ratio_high": np.exp(high), "estimate": beta, "std_error": error,
            "statistic": beta / error, "p_value": 2 * stats.norm.sf(np.abs(beta / error)),
            "conf_low": low, "conf_high": high,
        }
    )  # fmt: skip


def _sentence(table: pd.DataFrame, event: str, conf_level: float) -> str:
    parts = "; ".join(
        f"{row['term']}: subdistribution hazard ratio " + interval_text(
            row["hazard_ratio"], row["hazard_ratio_low"], row["hazard_ratio_high"],
            conf_level=conf_level, p=row["p_value"],
        )
        for row in table.to_dict("records")
    )  # fmt: skip
    first = table.iloc[0]
    return (
        f"Incidence of {event}: {parts}. {first['events']} events and {first['competing']} "
        f"competing events in {first['n']} subjects."
    )
