"""Cox regression with the check of proportional hazards beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import require_columns, require_conf_level
from livertrack.endpoints._cox_ph_check import proportional_hazards_test
from livertrack.endpoints._events import Floats, competing_times, event_times
from livertrack.endpoints._partial_likelihood import PartialLikelihood, maximise
from livertrack.endpoints._sentences import chi_square_text, interval_text
from livertrack.endpoints._strata import stratum_numbers
from livertrack.endpoints._terms import (
    formula_columns,
    model_terms,
    require_full_rank,
    right_side,
)
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class Cox(Result):
    """Coefficients (``table``), the test of proportional hazards, fit and tests of the model."""

    proportional_hazards: pd.DataFrame
    fit: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("term",)
    context: ClassVar[str] = "cox"


def cox(
    data: pd.DataFrame,
    formula: str,
    *,
    time: str = "AVAL",
    censor: str = "CNSR",
    ties: Literal["efron", "breslow"] = "efron",
    strata: str | list[str] | None = None,
    event: str | None = None,
    cause: str = "CAUSE",
    conf_level: float = 0.95,
) -> Cox:
    """Proportional-hazards regression; of the cause-specific hazard where ``event`` is named.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``time`` in any one unit; ``censor`` = 0 is the event.
    formula : str
        Right-hand side in Wilkinson notation, e.g. ``"TRT01P + AGE"``. The first level of a
        factor (sorted, or the first category) is its reference.
    time, censor : str
        Columns.
    ties : {"efron", "breslow"}
        Handling of tied events.
    strata : str or list of str, optional
        Columns whose combinations have baseline hazards of their own.
    event : str, optional
        Level of ``cause`` that counts. Subjects with another cause are censored when it happens,
        and counted in ``notes``: the hazard among those who had no event of any kind yet.
    cause : str
        Column naming the kind of each event; read only where ``event`` is given.
    conf_level : float
        Of the Wald limits.

    Returns
    -------
    Cox
        ``.table``: ``term, hazard_ratio, hazard_ratio_low, hazard_ratio_high`` and, on the log
        scale, ``estimate, std_error, statistic`` (z), ``p_value, conf_low, conf_high``; ``n,
        events, method``.
        ``.proportional_hazards``: ``term, statistic, df, p_value``, the score test of a slope
        in 1 - KM(t), per term of the formula and ``GLOBAL``. Small p: the hazard ratio changes.
        ``.fit``: ``term`` (likelihood ratio, Wald, score), ``statistic, df, p_value, loglik``.

    Notes
    -----
    Denominator: subjects with time, flag and every variable of the formula; dropped ones are
    counted in ``notes``. A hazard ratio above 1 means the event comes earlier.
    When a coefficient runs to infinity (no event in one level) or the columns are linearly
    dependent a `DataError` says so; no event at all is a `DataError`.
    With ``event`` a hazard ratio says nothing about how many subjects have the event in the end,
    because it does not see how many are lost to the other causes: read it beside
    `cumulative_incidence` and `fine_gray`.
    Source: Cox (1972); Prentice et al. (1978) for cause-specific hazards; Efron (1977);
    Breslow (1974); Grambsch and Therneau (1994).
    Checked against: R survival 3.5 ``coxph``, ``cox.zph`` (tests/reference/survival.R).
    """
    require_conf_level(conf_level)
    if ties not in ("efron", "breslow"):
        msg = f"ties is 'efron' or 'breslow', got {ties!r}"
        raise UsageError(msg)
    by = [strata] if isinstance(strata, str) else list(strata or [])
    right = right_side(formula)
    variables = formula_columns(right, data)
    require_columns(data, [*variables, *by])
    columns = [*variables, *by]
    if event is None:
        known = event_times(data, time=time, censor=censor, columns=columns)
        rows, when, happened, notes = known.data, known.time, known.event, known.notes
    else:
        kinds = competing_times(data, time=time, censor=censor, cause=cause, columns=columns)
        rows, when, happened = kinds.data, kinds.time, kinds.is_cause(event)
        others = int((kinds.kind > 0).sum() - happened.sum())
        notes = (*kinds.notes, f"{others} subject(s) with another event than {event} are censored")
    if not happened.any():
        what = "event" if event is None else f"event {event}"
        msg = f"no {what} among {len(happened)} subjects; a hazard ratio needs events"
        raise DataError(msg)
    terms = model_terms(rows, right)
    require_full_rank(terms, right)
    place = stratum_numbers(rows, by) if by else None
    names = list(terms.names)
    X = terms.X - terms.X.mean(axis=0)
    model = PartialLikelihood(when, happened, X, place=place, ties=ties)
    beta, covariance, loglik = maximise(model, X.std(axis=0), names)
    method = f"Cox, {ties} ties" + ("" if event is None else f", hazard of {event}")
    error = np.sqrt(np.diag(covariance))
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    table = pd.DataFrame(
        {
            "term": names, "hazard_ratio": np.exp(beta),
            "hazard_ratio_low": np.exp(beta - z * error),
            "hazard_ratio_high": np.exp(beta + z * error),
            "estimate": beta, "std_error": error, "statistic": beta / error,
            "p_value": 2 * stats.norm.sf(np.abs(beta / error)),
            "conf_low": beta - z * error, "conf_high": beta + z * error,
            "n": len(X), "events": int(happened.sum()), "method": method,
        }
    )  # fmt: skip
    check = proportional_hazards_test(
        when, happened, X, beta, place=place, terms=terms.filled, ties=ties
    )
    if check["statistic"].isna().any():
        notes = (*notes, "no test of proportional hazards: the events do not spread over time")
    return Cox(
        table=table,
        proportional_hazards=check,
        fit=_model_tests(model, beta, covariance, loglik),
        text=_sentence(table, check, conf_level),
        settings={
            "method": method, "ties": ties, "formula": right, "strata": by, "event": event,
            "conf_level": conf_level, "n": len(X), "events": int(happened.sum()),
            "loglik": loglik, "time": time, "censor": censor,
        },
        notes=notes,
    )  # fmt: skip


def _model_tests(
    model: PartialLikelihood, beta: Floats, covariance: Floats, loglik: float
) -> pd.DataFrame:
    null, score, information = model.derivatives(np.zeros_like(beta))
    statistics = {
        "likelihood ratio": 2 * (loglik - null),
        "Wald": float(beta @ np.linalg.solve(covariance, beta)),
        "score": float(score @ np.linalg.solve(information, score)),
    }
    return pd.DataFrame(
        {
            "term": list(statistics), "statistic": list(statistics.values()), "df": len(beta),
            "p_value": [float(stats.chi2.sf(value, len(beta))) for value in statistics.values()],
            "loglik": loglik, "loglik_null": null,
        }
    )  # fmt: skip


def _sentence(table: pd.DataFrame, check: pd.DataFrame, conf_level: float) -> str:
    first = table.iloc[0]
    parts = "; ".join(
        f"{row['term']}: hazard ratio " + interval_text(
            row["hazard_ratio"], row["hazard_ratio_low"], row["hazard_ratio_high"],
            conf_level=conf_level, p=row["p_value"],
        )
        for row in table.to_dict("records")
    )  # fmt: skip
    last = check.iloc[-1]
    return (
        f"{parts}. {first['events']} events in {first['n']} subjects; "
        "test of proportional hazards: "
        f"{chi_square_text(last['statistic'], last['df'], last['p_value'])}."
    )
