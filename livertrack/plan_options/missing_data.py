"""Options of analyses with imputed records; the estimand says what becomes of every event."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from livertrack.plan_options.base import Options, endpoint


class Imputed(Options):
    """What both endpoints share.

    ``formula`` is the imputation model and ``analysis`` the ANCOVA of each visit; without them,
    every covariate and the arm by visit with an unstructured covariance, and the covariates and
    the arm. ``conditional-mean`` has no draws and takes the jackknife.
    """

    needs: ClassVar[tuple[str, ...]] = ("parameters", "estimand")
    value: Literal["CHG", "AVAL"] = "CHG"
    covariates: list[str] = Field(default=["BASE"])
    formula: str | None = None
    analysis: str | None = None
    draws: Literal["bayes", "bootstrap", "conditional-mean"] = "bayes"
    n_imputations: int = Field(default=200, ge=2)


@endpoint("imputation")
class Imputation(Imputed):
    """Differences at every visit, events handled as the estimand says, the rest imputed.

    ``delta`` is added to imputed values of all arms but the reference.
    """

    delta: float = 0.0


@endpoint("tipping_point")
class TippingPoint(Imputed):
    """How far imputed values may move before the difference at ``visit`` is not significant.

    ``deltas`` are added to imputed values of all arms but the reference, ``reference_deltas`` to
    those of the reference, every one with every other.
    """

    needs = ("parameters", "estimand", "visit")
    deltas: list[float] = Field(min_length=1)
    reference_deltas: list[float] = Field(default=[0.0])

    @model_validator(mode="after")
    def _some(self) -> TippingPoint:
        if not any(self.deltas):
            msg = "deltas: state at least one that is not 0"
            raise ValueError(msg)
        return self
