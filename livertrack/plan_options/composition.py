"""Options of the endpoints on compositions; ``parameters`` are the parts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from livertrack.plan_options.base import Options, endpoint


@endpoint("permanova")
class Permanova(Options):
    """Permutational analysis of variance of compositions at a visit.

    ``formula``: terms in the order in which they are tested, the arm last; ``{arm}`` stands for
    the arm column. ``delta``: share that a zero becomes.
    """

    needs = ("visit", "parameters")
    formula: str | None = None
    metric: Literal["aitchison", "euclidean", "braycurtis"] = "aitchison"
    delta: float | None = Field(default=None, gt=0, lt=1)
    n_perm: int = Field(default=9999, ge=99)
    within_strata: bool = True


@endpoint("composition_regression")
class CompositionRegression(Options):
    """Linear model of log-ratios at a visit; ``baseline``: adjusted for those at baseline."""

    needs = ("visit", "parameters")
    covariates: str | None = None
    baseline: bool = True
    delta: float | None = Field(default=None, gt=0, lt=1)
