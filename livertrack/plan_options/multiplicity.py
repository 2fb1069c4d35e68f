"""The multiplicity section of a plan: which p-values are adjusted together, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from livertrack.plan_options.base import Options

Method = Literal[
    "bonferroni", "holm", "hochberg", "hommel", "BH", "BY", "fixed-sequence", "graphical",
    "closed", "gatekeeping",
]  # fmt: skip
Component = Literal["bonferroni", "holm", "hochberg"]


class Hypothesis(Options):
    """One p-value of one analysis.

    ``parameter``, ``arm`` and ``visit`` choose among several; ``where`` does so by any other
    column of the result, e.g. ``{measure: win_ratio}``.
    """

    analysis: str
    parameter: str | None = None
    arm: str | None = None
    visit: str | None = None
    where: dict[str, str] = Field(default_factory=dict)


class Multiplicity(Options):
    """Analyses (``family``) or single ``hypotheses`` whose p-values are adjusted together.

    ``graphical`` needs named hypotheses, their ``weights`` and the ``transitions`` of weight from
    one to the others; ``fixed-sequence`` tests in the order written. ``closed`` tests all
    intersections by ``local`` with the ``weights`` of named hypotheses, equal without.
    ``gatekeeping`` needs ``families`` of named hypotheses in order; ``component`` and
    ``truncation`` are one for all or one per family (see `livertrack.gatekeeping`).
    """

    method: Method = "holm"
    family: list[str] = Field(default_factory=list)
    hypotheses: dict[str, Hypothesis] = Field(default_factory=dict)
    weights: dict[str, float] = Field(default_factory=dict)
    transitions: dict[str, dict[str, float]] = Field(default_factory=dict)
    local: Literal["bonferroni", "simes", "fisher"] = "simes"
    families: dict[str, list[str]] = Field(default_factory=dict)
    component: Component | list[Component] = "holm"
    truncation: float | list[float] = 1.0
    alpha: float = Field(default=0.05, gt=0, lt=1)

    @property
    def analyses(self) -> list[str]:
        """Analyses that the section names, each once."""
        named = [h.analysis for h in self.hypotheses.values()]
        return list(dict.fromkeys([*self.family, *named]))

    @model_validator(mode="after")
    def _consistent(self) -> Multiplicity:
        problems = []
        if self.family and self.hypotheses:
            problems.append("state family or hypotheses, not both")
        targets = [name for row in self.transitions.values() for name in row]
        members = [name for family in self.families.values() for name in family]
        named = {*self.weights, *self.transitions, *targets, *members}
        unknown = sorted(named - set(self.hypotheses))
        if unknown:
            problems.append(f"no hypothesis is called {', '.join(unknown)}")
        problems += self._belonging(members)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _belonging(self, members: list[str]) -> list[str]:
        """What the method lacks, and what belongs to another."""
        problems = []
        if self.method == "graphical" and not (self.hypotheses and self.weights):
            problems.append("method: graphical needs hypotheses, weights and transitions")
        if self.method == "gatekeeping" and sorted(members) != sorted(self.hypotheses):
            problems.append("method: gatekeeping needs every hypothesis in one of the families")
        if self.method == "closed" and self.weights and set(self.weights) != set(self.hypotheses):
            problems.append("method: closed takes a weight of every hypothesis, or none")
        if self.transitions and self.method != "graphical":
            problems.append("transitions belong to method: graphical")
        if self.weights and self.method not in ("graphical", "closed"):
            problems.append("weights belong to method: graphical or closed")
        for name in ("component", "truncation"):
            given = getattr(self, name)
            if isinstance(given, list) and len(given) != len(self.families):
                problems.append(f"{name}: {len(given)} for {len(self.families)} families")
        for name, method in (
            ("local", "closed"), ("families", "gatekeeping"), ("component", "gatekeeping"),
            ("truncation", "gatekeeping"),
        ):  # fmt: skip
            if name in self.model_fields_set and self.method != method:
                problems.append(f"{name} belongs to method: {method}")
        return problems
