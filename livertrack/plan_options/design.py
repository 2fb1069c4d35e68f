"""Options of what is known before any data: interim boundaries, sample size."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from livertrack.plan_options.base import Options, endpoint


@endpoint("group_sequential")
class GroupSequential(Options):
    """Efficacy boundaries of interim looks at fractions of the planned ``information``."""

    information: list[float] = Field(min_length=1)
    alpha: float = Field(default=0.025, gt=0, lt=1)
    sides: Literal[1, 2] = 1
    spending: Literal["obrien-fleming", "pocock", "hwang-shih-decani"] = "obrien-fleming"
    gamma: float = -4.0
    drift: float | None = None


@endpoint("power")
class Power(Options):
    """Power, sample size or detectable effect: two of ``effect``, ``n_ref`` and ``power``."""

    sd: float | list[float]
    effect: float | None = None
    n_ref: int | None = Field(default=None, ge=2)
    power: float | None = Field(default=None, gt=0, lt=1)
    correlation: float = 0.0
    structure: Literal["cs", "ar1"] = "cs"
    retention: list[float] = Field(default=[1.0])
    retention_arm: list[float] | None = None
    allocation: float = Field(default=1.0, gt=0)
    baseline_correlation: float = 0.0
    alpha: float = Field(default=0.05, gt=0, lt=1)
    distribution: Literal["t", "normal"] = "t"
    method: Literal["formula", "simulation"] = "formula"
    df: Literal["kenward-roger", "satterthwaite"] = "kenward-roger"
    n_simulations: int = Field(default=1000, ge=1)
