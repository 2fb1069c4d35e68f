"""Options of the imaging endpoints: pathways, separation, prediction."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from livertrack.plan_options.base import Options, endpoint


@endpoint("change_pathways")
class ChangePathways(Options):
    """Flows between tissue types, tested by permutation within strata."""

    n_perm: int = Field(default=2000, ge=99)
    regions: list[str] | None = None
    within_strata: bool = True


@endpoint("separation")
class Separation(Options):
    """Standardised separation of each arm from the reference."""

    value: Literal["CHG", "AVAL"] = "CHG"
    n_boot: int = Field(default=2000, ge=99)


@endpoint("compare_separation")
class CompareSeparation(Separation):
    """Separation of measures compared on the same subjects.

    ``score`` names multivariate scores, each made of PARAMCD patterns and always cross-fitted.
    """

    score: dict[str, list[str]] = Field(default_factory=dict)


@endpoint("biopsy_prediction")
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
