"""Options of the endpoints on responders: what makes one, and how the arms are compared."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from livertrack.plan_options.base import Options, endpoint

Measure = Literal["AVAL", "CHG", "PCHG", "BASE"]
Missing = Literal["non-responder", "drop"]


class Condition(Options):
    """One condition on one parameter, met at ``below`` or less and ``above`` or more."""

    parameter: str
    measure: Measure = "AVAL"
    below: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _limit(self) -> Condition:
        if self.below is None and self.above is None:
            msg = f"criterion on {self.parameter}: state below or above"
            raise ValueError(msg)
        return self


class Rule(Options):
    """What makes a responder: one limit for every parameter, or ``criteria`` that all must hold.

    A responder has ``measure`` <= (``below``) or >= (``above``) the limit; ``PCHG`` is the
    relative change from baseline in percent. With ``criteria`` the analysis names no
    ``parameters`` and has one response; subjects who fail an ``eligible`` condition, usually on
    BASE, are not in the denominator.
    """

    measure: Measure = "PCHG"
    below: float | None = None
    above: float | None = None
    criteria: list[Condition] = Field(default_factory=list)
    eligible: list[Condition] = Field(default_factory=list)

    @property
    def stated(self) -> int:
        """How many of below, above and criteria are given."""
        return sum([self.below is not None, self.above is not None, bool(self.criteria)])

    def required(self) -> tuple[str, ...]:
        """Criteria name their parameters themselves."""
        return ("visit", "no parameters") if self.criteria else ("visit", "parameters")


class Response(Rule):
    """A rule, and what becomes of subjects whose response is unknown."""

    missing: Missing = "non-responder"

    @field_validator("missing", mode="before")
    @classmethod
    def _older_word(cls, value: Any) -> Any:
        return "drop" if value == "exclude" else value

    @model_validator(mode="after")
    def _one_rule(self) -> Response:
        if self.stated != 1:
            msg = "state exactly one of below, above and criteria"
            raise ValueError(msg)
        return self


@endpoint("risk_difference")
class RiskDifference(Response):
    """Difference in responder proportions, with the number needed to treat.

    ``within_strata``: weighted over the plan's strata; where it is not stated,
    ``mantel-haenszel`` is and the others are not. ``null``: difference that is tested, e.g. minus
    a non-inferiority margin.
    """

    method: Literal["miettinen-nurminen", "newcombe", "mantel-haenszel"] = "miettinen-nurminen"
    within_strata: bool | None = None
    null: float = 0.0


@endpoint("risk_ratio")
class RiskRatio(Response):
    """Ratio of responder proportions."""

    method: Literal["mantel-haenszel", "miettinen-nurminen"] = "mantel-haenszel"
    within_strata: bool = False


@endpoint("odds_ratio")
class OddsRatio(Response):
    """Odds ratio of response; ``exact`` works without strata."""

    method: Literal["mantel-haenszel", "exact"] = "mantel-haenszel"
    within_strata: bool = False

    @model_validator(mode="after")
    def _exact(self) -> OddsRatio:
        if self.method == "exact" and self.within_strata:
            msg = "method: exact works without strata; leave within_strata out"
            raise ValueError(msg)
        return self


@endpoint("g_computation")
class GComputation(Response):
    """Risk difference adjusted for baseline covariates.

    ``covariates`` is the right-hand side of a formula over columns of adsl, ``BASE`` (one
    parameter) and ``BASE_<PARAMCD>``.
    """

    covariates: str


@endpoint("cmh_test")
class CmhTest(Rule):
    """Cochran-Mantel-Haenszel tests of a score (``value``), or of responders where a rule is."""

    value: Literal["AVAL", "CHG"] = "AVAL"
    scores: Literal["table", "modridit"] = "table"
    within_strata: bool = True

    @model_validator(mode="after")
    def _at_most_one_rule(self) -> CmhTest:
        if self.stated > 1:
            msg = "state at most one of below, above and criteria"
            raise ValueError(msg)
        return self


@endpoint("subgroup_forest")
class SubgroupForest(Rule):
    """Arms compared in every level of columns of adsl, with tests of interaction.

    ``effect``: of a change or value (``value``), of responders (a rule), or of a time to event
    (``parameters`` of adtte). ``cuts`` makes levels of a number: ``{AGE: [50, 65]}``.
    """

    subgroups: list[str] = Field(min_length=1)
    effect: Literal["mean difference", "risk difference", "hazard ratio"] = "mean difference"
    value: Literal["CHG", "AVAL"] = "CHG"
    cuts: dict[str, list[float]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _rule_of_effect(self) -> SubgroupForest:
        wanted = 1 if self.effect == "risk difference" else 0
        if self.stated != wanted:
            msg = (
                "effect: risk difference needs exactly one of below, above and criteria"
                if wanted
                else f"below, above and criteria say nothing about effect: {self.effect}"
            )
            raise ValueError(msg)
        unknown = sorted(set(self.cuts) - set(self.subgroups))
        if unknown:
            msg = f"cuts: {', '.join(unknown)} is not one of the subgroups"
            raise ValueError(msg)
        return self

    def required(self) -> tuple[str, ...]:
        """Times to events have no visit."""
        return ("parameters",) if self.effect == "hazard ratio" else super().required()
