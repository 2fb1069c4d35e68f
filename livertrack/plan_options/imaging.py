"""Options of the imaging endpoints: separation, prediction."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from livertrack.plan_options.base import Options, Stratified, endpoint


@endpoint("separation")
class Separation(Stratified):
    """Standardised separation of each arm from the reference.

    With ``covariates`` (columns of adsl, or BASE) or ``within_strata`` the probability of
    superiority is also given adjusted for them.
    """

    needs = ("visit", "parameters")
    value: Literal["CHG", "AVAL"] = "CHG"
    n_boot: int = Field(default=2000, ge=99)
    delta_variance: Literal["placement", "null"] = "placement"
    covariates: list[str] = Field(default_factory=list)


@endpoint("compare_separation")
class CompareSeparation(Options):
    """Separation of measures compared on the same subjects.

    ``score`` names multivariate scores, each made of PARAMCD patterns and always cross-fitted.
    ``direction`` says per PARAMCD which way the active arms are expected to differ.
    """

    needs = ("visit", "parameters")
    value: Literal["CHG", "AVAL"] = "CHG"
    n_boot: int = Field(default=2000, ge=99)
    score: dict[str, list[str]] = Field(default_factory=dict)
    direction: dict[str, Literal["higher", "lower"]] = Field(default_factory=dict)
    transform: Literal["raw", "clr"] = "raw"
    n_folds: int = Field(default=5, ge=2)
    n_repeats: int = Field(default=20, ge=1)


@endpoint("max_t")
class MaxT(Options):
    """Many measures compared with the reference, adjusted by permutation of the maximum.

    All ``parameters`` and all arms are one family.
    """

    needs = ("visit", "parameters")
    value: Literal["CHG", "AVAL"] = "CHG"
    n_perm: int = Field(default=10000, ge=99)
    alternative: Literal["two-sided", "greater", "less"] = "two-sided"
    within_strata: bool = True


@endpoint("biopsy_prediction")
class BiopsyPrediction(Options):
    """Prediction of a biopsy feature by nested, subject-grouped cross-validation.

    ``threshold`` makes the outcome binary: at or above it is 1.
    """

    outcome: str
    threshold: float | None = None
    task: Literal["binary", "ordinal", "continuous"] = "binary"
    feature_sets: dict[str, list[str]]
    n_folds: int = Field(default=5, ge=2)
    n_inner: int = Field(default=3, ge=2)
    n_repeats: int = Field(default=1, ge=1)
    n_perm: int = Field(default=200, ge=0)
    n_boot: int = Field(default=1000, ge=99)
    leave_site_out: bool = False

    @model_validator(mode="after")
    def _threshold(self) -> BiopsyPrediction:
        if not self.feature_sets:
            msg = "feature_sets: name at least one set, e.g. {signature: ['TV*']}"
            raise ValueError(msg)
        return self
