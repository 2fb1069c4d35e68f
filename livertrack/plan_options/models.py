"""Options of the models of a continuous measure; ``{arm}`` stands for the arm column."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from livertrack.plan_options.base import Options, endpoint


@endpoint("ancova")
class Ancova(Options):
    """Analysis of covariance at one visit."""

    formula: str = "CHG ~ BASE + {arm}"
    vcov: Literal["model", "HC3"] = "model"


@endpoint("mmrm")
class Mmrm(Options):
    """Mixed model for repeated measures over all post-baseline visits."""

    formula: str = "CHG ~ BASE * AVISIT + {arm} * AVISIT + us(AVISIT | USUBJID)"
    df: Literal[
        "satterthwaite", "kenward-roger", "kenward-roger-linear", "between-within", "residual"
    ] = "kenward-roger"
    fallback: list[str] = Field(default=["toeph", "csh", "cs"])
