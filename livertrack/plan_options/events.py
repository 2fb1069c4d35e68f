"""Options of the endpoints on times to events."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from livertrack.plan_options.base import Options, endpoint


@endpoint("kaplan_meier")
class Events(Options):
    """Time to event: curves or a test, without further options."""


@endpoint("log_rank")
class LogRank(Options):
    """Log-rank test, stratified by the plan's strata if asked."""

    within_strata: bool = False


@endpoint("cox")
class Cox(Options):
    """Cox model; ``{arm}`` stands for the arm column."""

    formula: str = "{arm}"
    ties: Literal["efron", "breslow"] = "efron"


@endpoint("rmst")
class Rmst(Options):
    """Restricted mean survival time up to ``tau`` (unit of AVAL)."""

    tau: float = Field(gt=0)
