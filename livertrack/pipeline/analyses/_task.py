"""One analysis with what it may use, and the registry of the functions that answer one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from livertrack._results import Result
from livertrack._seeds import spawn
from livertrack.errors import PlanError
from livertrack.plan import Analysis
from livertrack.study import Study

#: (name of what was analysed, result); one analysis may give one result per PARAMCD
Answer = tuple[str, Result]


@dataclass(frozen=True)
class Task:
    """An analysis of the plan, the study it reads and the records that imaging made."""

    study: Study
    analysis: Analysis
    adpath: pd.DataFrame | None = None
    adseq: pd.DataFrame | None = None
    adnoise: pd.DataFrame | None = None

    @cached_property
    def options(self) -> Any:
        """Options of the analysis, those of its endpoint's model."""
        return self.analysis.settings

    @property
    def arms(self) -> dict[str, str]:
        """Keywords ``arm`` and ``reference``."""
        data = self.study.plan.data
        return {"arm": data.arm, "reference": data.reference}

    @property
    def conf_level(self) -> float:
        """Confidence level of the plan."""
        return self.study.plan.conf_level

    @property
    def common(self) -> dict[str, Any]:
        """Keywords that nearly every endpoint takes."""
        return {**self.arms, "conf_level": self.conf_level}

    @property
    def strata(self) -> list[str] | None:
        """Strata of the plan where the analysis asks for them."""
        return (self.study.plan.data.strata or None) if self.options.within_strata else None

    @property
    def chosen(self) -> dict[str, Any]:
        """Options as keywords of the endpoint function, which are named alike."""
        options: dict[str, Any] = self.options.model_dump(exclude={"within_strata"})
        return options

    @property
    def visit(self) -> str:
        """Visit of the analysis, which must have one."""
        if self.analysis.visit is None:
            raise self.error(f"{self.analysis.endpoint} needs a visit")
        return self.analysis.visit

    @property
    def parameters(self) -> list[str]:
        """PARAMCDs that the patterns of the analysis match."""
        return self.study.parameters(self.analysis.parameters)

    @property
    def seed(self) -> int:
        """Seed of the analysis: a stream of its own from the plan's seed and the analysis id."""
        return int(spawn(self.study.plan.seed, self.analysis.id).generate_state(1)[0])

    def error(self, problem: str) -> PlanError:
        """Error that names the analysis."""
        return PlanError(f"analysis {self.analysis.id}: {problem}")

    def fill(self, formula: str) -> str:
        """Put the names of the plan in place of ``{arm}`` and ``{reference}``."""
        return formula.format(**self.arms)


Adapter = Callable[[Task], Iterable[Answer]]

#: endpoint name in a plan -> function that answers it
ADAPTERS: dict[str, Adapter] = {}


def answers(endpoint: str) -> Callable[[Adapter], Adapter]:
    """Register the decorated function as the one that answers ``endpoint``."""

    def register(adapter: Adapter) -> Adapter:
        ADAPTERS[endpoint] = adapter
        return adapter

    return register
