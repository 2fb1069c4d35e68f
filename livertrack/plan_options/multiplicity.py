"""The multiplicity section of a plan: which p-values are adjusted together, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from livertrack.plan_options.base import Options

Method = Literal[
    "bonferroni", "holm", "hochberg", "hommel", "BH", "BY", "fixed-sequence", "graphical"
]


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
    one to the others; ``fixed-sequence`` tests in the order written.
    """

    method: Method = "holm"
    family: list[str] = Field(default_factory=list)
    hypotheses: dict[str, Hypothesis] = Field(default_factory=dict)
    weights: dict[str, float] = Field(default_factory=dict)
    transitions: dict[str, dict[str, float]] = Field(default_factory=dict)
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
        if self.method == "graphical":
            if not (self.hypotheses and self.weights):
                problems.append("method: graphical needs hypotheses, weights and transitions")
            targets = [name for row in self.transitions.values() for name in row]
            named = {*self.weights, *self.transitions, *targets}
            unknown = sorted(named - set(self.hypotheses))
            if unknown:
                problems.append(f"no hypothesis is called {', '.join(unknown)}")
        elif self.weights or self.transitions:
            problems.append("weights and transitions belong to method: graphical")
        if problems:
            raise ValueError("; ".join(problems))
        return self
