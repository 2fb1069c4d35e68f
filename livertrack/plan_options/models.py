"""Options of the models of a continuous measure; ``{arm}`` stands for the arm column."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from livertrack.plan_options.base import Options, endpoint

Weights = Literal["equal", "observed", "cells"]


@endpoint("ancova")
class Ancova(Options):
    """Analysis of covariance at one visit.

    ``weights`` says how adjusted means average over the other factors, ``at`` at which values of
    the covariates they stand.
    """

    needs = ("visit", "parameters")
    formula: str = "CHG ~ BASE + {arm}"
    vcov: Literal["model", "HC0", "HC1", "HC2", "HC3"] = "model"
    weights: Weights = "equal"
    at: dict[str, Any] = Field(default_factory=dict)


@endpoint("dunnett")
class Dunnett(Options):
    """Several arms against the reference at one visit, adjusted for their number.

    ``covariates``: right-hand side of baseline terms, blank for none.
    """

    needs = ("visit", "parameters")
    value: Literal["CHG", "AVAL"] = "CHG"
    covariates: str = "BASE"
    alternative: Literal["two-sided", "greater", "less"] = "two-sided"


@endpoint("mmrm")
class Mmrm(Options):
    """Mixed model for repeated measures over all post-baseline visits.

    ``fallback`` lists the covariance structures that are tried where the one of the formula
    cannot be fitted. With ``visit`` the analysis is read at that visit, the model has them all.
    """

    needs = ("parameters",)
    formula: str = "CHG ~ BASE * AVISIT + {arm} * AVISIT + us(AVISIT | USUBJID)"
    method: Literal["reml", "ml"] = "reml"
    df: Literal[
        "satterthwaite", "kenward-roger", "kenward-roger-linear", "between-within", "residual"
    ] = "kenward-roger"
    vcov: Literal["model", "CR0", "CR2", "CR3"] = "model"
    fallback: list[str] = Field(default=["toeph", "csh", "cs"])
    weights: Weights = "equal"
    at: dict[str, Any] = Field(default_factory=dict)
