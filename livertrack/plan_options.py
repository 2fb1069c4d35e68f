"""Options each endpoint takes in a plan. What is not listed here cannot be set there."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Options(BaseModel):
    """Base: unknown options are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChangePathways(Options):
    """Flows between tissue types, tested by permutation within strata."""

    n_perm: int = Field(default=2000, ge=99)
    regions: list[str] | None = None
    within_strata: bool = True


class Separation(Options):
    """Standardised separation of each arm from the reference."""

    value: Literal["CHG", "AVAL"] = "CHG"
    n_boot: int = Field(default=2000, ge=99)


class CompareSeparation(Separation):
    """Separation of measures compared on the same subjects.

    ``score`` names multivariate scores, each made of PARAMCD patterns and always cross-fitted.
    """

    score: dict[str, list[str]] = {}


class BiopsyPrediction(Options):
    """Prediction of a biopsy feature by nested, subject-grouped cross-validation."""

    outcome: str
    threshold: float | None = None
    task: Literal["binary", "ordinal", "continuous"] = "binary"
    feature_sets: dict[str, list[str]]
    n_folds: int = Field(default=5, ge=2)
    n_repeats: int = Field(default=1, ge=1)
    n_perm: int = Field(default=200, ge=0)
    n_boot: int = Field(default=1000, ge=99)

    @model_validator(mode="after")
    def _threshold(self) -> BiopsyPrediction:
        if not self.feature_sets:
            msg = "feature_sets: name at least one set, e.g. {signature: ['TV*']}"
            raise ValueError(msg)
        return self


class Ancova(Options):
    """Analysis of covariance at one visit; ``{arm}`` stands for the arm column."""

    formula: str = "CHG ~ BASE + {arm}"
    vcov: Literal["model", "HC3"] = "model"


class Mmrm(Options):
    """Mixed model for repeated measures over all post-baseline visits."""

    formula: str = "CHG ~ BASE * AVISIT + {arm} * AVISIT + us(AVISIT | USUBJID)"
    df: Literal[
        "satterthwaite", "kenward-roger", "kenward-roger-linear", "between-within", "residual"
    ] = "kenward-roger"
    fallback: list[str] = ["toeph", "csh", "cs"]


class Events(Options):
    """Time to event: curves or a test, without further options."""


class LogRank(Options):
    """Log-rank test, stratified by the plan's strata if asked."""

    within_strata: bool = False


class Cox(Options):
    """Cox model; ``{arm}`` stands for the arm column."""

    formula: str = "{arm}"
    ties: Literal["efron", "breslow"] = "efron"


class Rmst(Options):
    """Restricted mean survival time up to ``tau`` (unit of AVAL)."""

    tau: float = Field(gt=0)


class RiskDifference(Options):
    """Difference in responder proportions.

    A responder has ``measure`` <= (``below``) or >= (``above``) the limit; ``PCHG`` is the
    relative change from baseline in percent.
    """

    measure: Literal["PCHG", "CHG", "AVAL"] = "PCHG"
    below: float | None = None
    above: float | None = None
    missing: Literal["non-responder", "exclude"] = "non-responder"
    method: Literal["miettinen-nurminen", "newcombe", "mantel-haenszel"] = "miettinen-nurminen"

    @model_validator(mode="after")
    def _one_limit(self) -> RiskDifference:
        if (self.below is None) == (self.above is None):
            msg = "state exactly one of below and above"
            raise ValueError(msg)
        return self


#: endpoint name in a plan -> model of its options
OPTIONS: dict[str, type[Options]] = {
    "change_pathways": ChangePathways,
    "separation": Separation,
    "compare_separation": CompareSeparation,
    "biopsy_prediction": BiopsyPrediction,
    "ancova": Ancova,
    "mmrm": Mmrm,
    "kaplan_meier": Events,
    "log_rank": LogRank,
    "cox": Cox,
    "rmst": Rmst,
    "risk_difference": RiskDifference,
}
