"""Options of agreement and repeatability.

Raters, methods or repeats are PARAMCDs at a visit (``rater: PARAMCD``, say two readers' scores) or
visits of a parameter (``rater: AVISIT``, say a scan and its repeat, see ``data.repeats``).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from livertrack.plan_options.base import Options, endpoint


class Raters(Options):
    """Where the columns that are compared come from."""

    rater: Literal["PARAMCD", "AVISIT"] = "PARAMCD"

    def required(self) -> tuple[str, ...]:
        """PARAMCDs are compared at a visit, visits within a parameter."""
        return ("visit",) if self.rater == "PARAMCD" else ("parameters",)


@endpoint("weighted_kappa")
class WeightedKappa(Raters):
    """Agreement of two raters on a score."""

    rater_1: str
    rater_2: str
    weights: Literal["quadratic", "linear", "none"] = "quadratic"
    levels: list[int | float] | None = None
    limits: Literal["wald", "jackknife"] = "wald"


@endpoint("bland_altman")
class BlandAltman(Raters):
    """Differences of two methods on the same subjects; ``method_1`` minus ``method_2``."""

    method_1: str
    method_2: str
    scale: Literal["difference", "percent"] = "difference"
    agreement: float = Field(default=0.95, gt=0, lt=1)


@endpoint("icc")
class Icc(Raters):
    """Intraclass correlation; the raters are the ``parameters``, or the ``visits`` of each.

    Without ``visits`` these are the baseline and its repeats. ``method: reml`` keeps subjects whom
    not every rater saw.
    """

    visits: list[str] | None = None
    method: Literal["anova", "reml"] = "anova"

    def required(self) -> tuple[str, ...]:
        """Raters are listed as parameters."""
        return ("visit", "parameters") if self.rater == "PARAMCD" else ("parameters",)


@endpoint("repeatability")
class Repeatability(Options):
    """Spread of repeated measurements of unchanged subjects, and whose change exceeds it.

    ``visits``: visits at which a subject counts as unchanged; by default those that the plan's
    ``data.repeats`` name and their repeats. ``arms``: whose subjects count, by default all;
    without repeat scans, the reference arm at its first visits is an upper limit of the noise.
    With ``visit`` the subjects whose change at that visit is beyond the smallest real change are
    counted per arm.
    """

    needs = ("parameters",)
    visits: list[str] | None = None
    arms: list[str] | None = None
    coverage: float = Field(default=0.95, gt=0, lt=1)
