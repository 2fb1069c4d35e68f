"""Cox regression with the check of proportional hazards beside it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import formulaic
import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg

from livertrack._results import Result
from livertrack.endpoints._checks import require_columns, require_conf_level
from livertrack.endpoints._cox_ph_check import proportional_hazards_test
from livertrack.endpoints._events import EventTimes, Floats, event_times
from livertrack.endpoints._strata import stratum_numbers
from livertrack.errors import DataError, UsageError

#: log hazard ratio of one standard deviation beyond which a coefficient runs to infinity
_INFINITE = 9.0


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
    conf_level: float = 0.95,
) -> Cox:
    """Proportional-hazards regression.

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
    Source: Cox (1972); Efron (1977); Breslow (1974); Grambsch and Therneau (1994).
    Checked against: R survival 3.5 ``coxph``, ``cox.zph`` (tests/reference/survival.R).
    """
    require_conf_level(conf_level)
    if ties not in ("efron", "breslow"):
        msg = f"ties is 'efron' or 'breslow', got {ties!r}"
        raise UsageError(msg)
    by = [strata] if isinstance(strata, str) else list(strata or [])
    right = formula.split("~", 1)[-1].strip()
    variables = sorted(map(str, formulaic.Formula(right).required_variables))
    require_columns(data, [*variables, *by])
    known = event_times(data, time=time, censor=censor, columns=[*variables, *by])
    design, terms = _design(known, right)
    place = stratum_numbers(known.data, by) if by else None
    X = design.to_numpy(float)
    centred = X - X.mean(axis=0)
    model = PHReg(
        known.time,
        centred,
        status=known.event.astype(int),
        ties=ties,
        strata=place,
        missing="none",
    )
    beta, covariance, loglik = _fit(model, centred.std(axis=0), list(design.columns))
    error = np.sqrt(np.diag(covariance))
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    table = pd.DataFrame(
        {
            "term": list(design.columns), "hazard_ratio": np.exp(beta),
            "hazard_ratio_low": np.exp(beta - z * error),
            "hazard_ratio_high": np.exp(beta + z * error),
            "estimate": beta, "std_error": error, "statistic": beta / error,
            "p_value": 2 * stats.norm.sf(np.abs(beta / error)),
            "conf_low": beta - z * error, "conf_high": beta + z * error,
            "n": len(X), "events": int(known.event.sum()), "method": f"Cox, {ties} ties",
        }
    )  # fmt: skip
    check = proportional_hazards_test(
        known.time, known.event, centred, beta, place=place, terms=terms, ties=ties
    )
    return Cox(
        table=table,
        proportional_hazards=check,
        fit=_model_tests(model, beta, covariance, loglik),
        text=_sentence(table, check, conf_level),
        settings={
            "method": f"Cox, {ties} ties", "ties": ties, "formula": right, "strata": by,
            "conf_level": conf_level, "n": len(X), "events": int(known.event.sum()),
            "loglik": loglik, "time": time, "censor": censor,
        },
        notes=known.notes,
    )  # fmt: skip


def _design(known: EventTimes, right: str) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    """Columns of the model without an intercept, and the columns of each term."""
    if not known.event.any():
        msg = f"no event among {len(known.event)} subjects; a hazard ratio needs events"
        raise DataError(msg)
    used = known.data.copy()
    for column in used.columns[used.dtypes == "category"]:
        used[column] = used[column].cat.remove_unused_categories()
    matrix = formulaic.model_matrix(right, used, na_action="raise")
    spec = matrix.model_spec
    names = [str(name) for name in matrix.columns if name != "Intercept"]
    terms = {
        str(term): [names.index(str(spec.column_names[i])) for i in places]
        for term, places in spec.term_indices.items()
        if str(term) != "1" and len(places)
    }
    design = pd.DataFrame(matrix)[names]
    if not names:
        msg = f"the columns of {right!r} do not vary: one level, or no term besides the intercept"
        raise DataError(msg)
    rank = int(np.linalg.matrix_rank(design - design.mean()))
    if rank < len(names):
        msg = (
            f"{len(names) - rank} of {len(names)} columns of {right!r} follow from the others "
            "or do not vary; remove the redundant term"
        )
        raise DataError(msg)
    return design, terms


def _fit(model: Any, spread: Floats, names: list[str]) -> tuple[Floats, Floats, float]:
    """Newton's method with step halving on the partial likelihood of ``model``."""
    beta = np.zeros(len(names))
    loglik = float(model.loglike(beta))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(50):
            try:
                step = np.linalg.solve(-model.hessian(beta), model.score(beta))
            except np.linalg.LinAlgError:
                break
            size = 1.0
            while size > 1e-8:
                trial = float(model.loglike(beta + size * step))
                if np.isfinite(trial) and trial >= loglik - 1e-12 * abs(loglik):
                    break
                size /= 2
            gain, beta, loglik = trial - loglik, beta + size * step, trial
            if np.abs(beta * spread).max() > _INFINITE:
                break
            if np.max(np.abs(step)) < 1e-9 * (1 + np.max(np.abs(beta))) and abs(gain) < 1e-9:
                covariance = np.linalg.inv(-model.hessian(beta))
                return beta, covariance, loglik
    msg = (
        "the Cox model did not converge; its largest coefficient is of "
        f"{names[int(np.abs(beta).argmax())]}: "
        "a level without events, or one that predicts every event; merge levels or drop the term"
    )
    raise DataError(msg)


def _model_tests(model: Any, beta: Floats, covariance: Floats, loglik: float) -> pd.DataFrame:
    zero = np.zeros_like(beta)
    null = float(model.loglike(zero))
    score = model.score(zero)
    statistics = {
        "likelihood ratio": 2 * (loglik - null),
        "Wald": float(beta @ np.linalg.solve(covariance, beta)),
        "score": float(score @ np.linalg.solve(-model.hessian(zero), score)),
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
        f"{row['term']}: hazard ratio {row['hazard_ratio']:.3f} ({conf_level:.0%} limits "
        f"{row['hazard_ratio_low']:.3f} to {row['hazard_ratio_high']:.3f}, "
        f"p = {row['p_value']:.4f})"
        for row in table.to_dict("records")
    )
    last = check.iloc[-1]
    return (
        f"{parts}. {first['events']} events in {first['n']} subjects; "
        f"test of proportional hazards: chi-square {last['statistic']:.2f}, df {last['df']}, "
        f"p = {last['p_value']:.4f}."
    )
