"""Options of the endpoints on pathways: what tissue types turn into, over which course."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from livertrack.plan_options.base import Options, endpoint


@endpoint("change_pathways")
class ChangePathways(Options):
    """Flows between tissue types, tested by permutation within strata.

    ``covariates`` are columns of adsl. ``trend`` gives every arm a dose, or several scales that
    do. ``merge`` lists coarser vocabularies: numbers of groups, or mappings of type to group.
    ``null: repeats`` counts flows beyond what repeat scans of the baseline make.
    """

    needs = ("visit", "imaging")
    n_perm: int = Field(default=2000, ge=99)
    regions: list[str] | None = None
    within_strata: bool = True
    min_prevalence: float = Field(default=0.001, ge=0, lt=1)
    share: Literal["region", "from-type"] = "region"
    merge: list[int | dict[int, int]] = Field(default_factory=list)
    covariates: list[str] = Field(default_factory=list)
    adjust_baseline: bool = False
    trend: dict[str, float] | dict[str, dict[str, float]] | None = None
    null: Literal["repeats"] | None = None
    alternative: Literal["two-sided", "greater", "less"] = "two-sided"


@endpoint("beyond_noise")
class BeyondNoise(Options):
    """Flows of each arm that are larger than between a scan and its repeat (``data.repeats``)."""

    needs = ("visit", "imaging")
    regions: list[str] | None = None
    min_prevalence: float = Field(default=0.001, ge=0, lt=1)
    n_boot: int = Field(default=2000, ge=99)


@endpoint("type_severity")
class TypeSeverity(Options):
    """How severe each tissue type is for ``outcome`` at baseline, and which way the arms moved.

    ``outcome`` is a PARAMCD of which more is worse; ``parameters`` are the types. With a ``visit``
    improvement and worsening are compared between the arms.
    """

    needs = ("parameters",)
    outcome: str
    regions: list[str] = Field(default=[""])
    within_strata: bool = True
    least_agreement: float = Field(default=0.9, gt=0.5, le=1)
    n_folds: int = Field(default=5, ge=2)
    n_repeats: int = Field(default=10, ge=1)
    n_boot: int = Field(default=1000, ge=99)
    n_perm: int = Field(default=2000, ge=99)


@endpoint("trajectories")
class Trajectories(Options):
    """Tissue types over the visits, and whether change by ``early`` foretells a late outcome.

    ``outcome`` is a PARAMCD other than the types (``parameters``), of which ``value`` at the
    visit of the analysis is taken.
    """

    needs = ("visit", "parameters")
    early: str
    outcome: str | None = None
    value: Literal["CHG", "AVAL"] = "CHG"
    within_strata: bool = True
    n_folds: int = Field(default=5, ge=2)
    n_repeats: int = Field(default=5, ge=1)
    n_perm: int = Field(default=200, ge=0)
    n_boot: int = Field(default=2000, ge=99)
