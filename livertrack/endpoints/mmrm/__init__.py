"""Mixed model for repeated measures: fit, small-sample inference, LS means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import require_conf_level
from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm._compare import compare_covariances
from livertrack.endpoints.mmrm._fit import Fitted, fit
from livertrack.endpoints.mmrm._inference import Inference
from livertrack.endpoints.mmrm._optimise import OPTIMIZERS
from livertrack.endpoints.mmrm._prepare import prepare, visit_notes
from livertrack.endpoints.mmrm._result import Mmrm, MmrmComparison
from livertrack.endpoints.mmrm._tables import (
    coefficient_table,
    covariance_long,
    parameter_table,
)
from livertrack.endpoints.mmrm._terms import check_structure, split_formula
from livertrack.errors import DataError, UsageError

__all__ = ["Mmrm", "MmrmComparison", "compare_covariances", "mmrm"]

Method = Literal["reml", "ml"]
DfMethod = Literal[
    "satterthwaite", "kenward-roger", "kenward-roger-linear", "between-within", "residual"
]
Vcov = Literal["model", "CR0", "CR2", "CR3"]


def mmrm(
    data: pd.DataFrame,
    formula: str,
    *,
    method: Method = "reml",
    df: DfMethod = "satterthwaite",
    vcov: Vcov = "model",
    weights: str | Floats | pd.Series | None = None,
    conf_level: float = 0.95,
    fallback: Sequence[str] = (),
    optimizers: Sequence[str] = OPTIMIZERS,
) -> Mmrm:
    """Mixed model for repeated measures: a linear model with correlated records of a subject.

    Parameters
    ----------
    data : DataFrame, one row per subject and visit
        BDS records of one PARAMCD. Visits in the order of the categories, else sorted.
    formula : str
        Fixed effects and one covariance term, e.g.
        ``"CHG ~ BASE * AVISIT + TRT01P * AVISIT + us(AVISIT | USUBJID)"``. Structures: ``us``,
        ``toep, toeph, ar1, ar1h, cs, csh, ad, adh`` over visits, ``sp_exp(DAY | USUBJID)`` over
        numeric coordinates; by group: ``us(AVISIT | TRT01P / USUBJID)``.
    method : {"reml", "ml"}
        Restricted or full maximum likelihood.
    df : {"satterthwaite", "kenward-roger", "kenward-roger-linear", "between-within", "residual"}
        Degrees of freedom. ``kenward-roger`` also adjusts the standard errors, with second
        derivatives in the parameters of SAS (``ddfm=kr``): variances and correlations.
        ``kenward-roger-linear`` leaves the second derivatives out (``ddfm=kr(linear)``).
    vcov : {"model", "CR0", "CR2", "CR3"}
        Covariance of the coefficients: of the model, or empirical over subjects (CR2
        bias-reduced, CR3 jackknife).
    weights : str or array, optional
        Column or values above zero; the residual variance is divided by them.
    conf_level : float
        Confidence level, a proportion.
    fallback : sequence of str
        Structures to try in order where the one in the formula cannot be fitted, as
        pre-specified in a plan, e.g. ``("toeph", "csh")``. Which one was used is in
        ``.settings`` and the notes.
    optimizers : sequence of str
        Tried in order: ``newton`` (exact), ``trust-exact``, ``bfgs``, ``nelder-mead``.

    Returns
    -------
    Mmrm
        ``.coefficients``, ``.covariance``, ``.loglik``, ``.lsmeans(...)``, ``.contrasts(...)``,
        ``.test(L)``, ``.anova()``, ``.predict()``, ``.compare(...)``.

    Raises
    ------
    DataError
        No convergence, covariances that no subject informs, duplicated subject-visits, no
        residual variance; the message says what to try.

    Notes
    -----
    Denominator: records complete in every column used; the others are counted in the notes.
    Visits without any record are no part of the covariance.
    Source: Laird & Ware (1982); Fai & Cornelius (1996); Kenward & Roger (1997); Bell & McCaffrey
    (2002); derivations in docs/mmrm.md.
    Checked against: R mmrm 0.3.18 with emmeans, nlme 3.1 ``gls``, published SAS PROC MIXED output
    (tests/reference/mmrm_*.R, mmrm_*.csv).
    """
    require_conf_level(conf_level)
    if method not in ("reml", "ml"):
        msg = f"method={method!r}: choose 'reml' or 'ml'"
        raise UsageError(msg)
    fixed, term = split_formula(formula)
    fallback = [fallback] if isinstance(fallback, str) else fallback
    optimizers = [optimizers] if isinstance(optimizers, str) else optimizers
    for structure in fallback:
        check_structure(structure)
    unknown = [name for name in optimizers if name not in OPTIMIZERS]
    if unknown or not optimizers:
        msg = f"optimizers={list(optimizers)}: choose from {', '.join(OPTIMIZERS)}"
        raise UsageError(msg)
    prepared = prepare(data, fixed, term, weights)
    notes = prepared.frame.notes() + visit_notes(prepared)
    names = prepared.frame.design.names
    aliased = [name for name, keep in zip(names, prepared.kept, strict=True) if not keep]
    if aliased:
        notes.append(f"aliased, not estimated: {', '.join(aliased)}")
    fitted: Fitted | None = None
    order = [term.structure, *fallback]
    for place, structure in enumerate(order):
        try:
            fitted = fit(prepared, structure, reml=method == "reml", optimizers=optimizers)
            break
        except DataError as error:
            if place == len(order) - 1:
                raise
            notes.append(f"fell back from {structure} to {order[place + 1]}: {error}")
    if fitted is None:
        msg = "no covariance structure given"
        raise UsageError(msg)
    inference = Inference(fitted, df=df, vcov=vcov)
    name = _method(method, fitted.structure, df, vcov)
    settings = {
        "method": name,
        "formula": formula,
        "estimation": method,
        "covariance": fitted.structure,
        "covariance_asked": term.structure,
        "df": df,
        "vcov": vcov,
        "conf_level": conf_level,
        "optimizer": fitted.optimum.tried[-1],
        "optimizers_tried": list(fitted.optimum.tried),
    }
    table = coefficient_table(inference, conf_level).assign(method=name)
    facts = _facts(fitted)
    return Mmrm(
        table=table,
        fit_statistics=facts,
        covariance_table=covariance_long(inference),
        parameters=parameter_table(inference),
        inference=inference,
        text=_text(fitted, name, facts),
        settings=settings,
        notes=tuple(notes),
    )


def _method(method: str, structure: str, df: str, vcov: str) -> str:
    errors = "" if vcov == "model" else f", {vcov} standard errors"
    return f"MMRM ({method.upper()}, {structure} covariance, {df} df{errors})"


def _facts(fitted: Fitted) -> pd.DataFrame:
    data = fitted.data
    q = len(fitted.natural.theta)
    counted = q if fitted.reml else q + fitted.p
    deviance = -2 * fitted.loglik
    return pd.DataFrame(
        {
            "n_obs": [fitted.n_obs],
            "n_subjects": [data.n_subjects],
            "n_visits": [len(data.visits) or data.subjects.d],
            "n_missing": [data.frame.n_missing],
            "n_parameters": [q],
            "loglik": [fitted.loglik],
            "aic": [deviance + 2 * counted],
            "bic": [deviance + float(np.log(data.n_subjects)) * counted],
            "converged": [fitted.optimum.converged],
            "optimizer": [fitted.optimum.tried[-1]],
            "iterations": [fitted.optimum.iterations],
            "decrement": [fitted.optimum.decrement],
        }
    )


def _text(fitted: Fitted, method: str, facts: pd.DataFrame) -> str:
    return (
        f"{method} of {fitted.data.frame.design.response}: {fitted.n_obs} records of "
        f"{fitted.data.n_subjects} subjects at {facts['n_visits'].iloc[0]} visits; "
        f"log-likelihood {fitted.loglik:.2f}."
    )
