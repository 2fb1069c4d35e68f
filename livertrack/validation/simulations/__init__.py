"""The registry of simulations, by family."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from livertrack.validation._scenario import Scenario

_MODULES = (
    "imaging", "pathways", "prediction", "cross_validation", "separation", "models",
    "responders", "events", "more_events", "ordinal", "agreement", "compositions",
    "multiplicity", "more_multiplicity",
)  # fmt: skip


@cache
def scenarios() -> tuple[Scenario, ...]:
    """Every simulation, in the order of the report."""
    listed: list[Scenario] = []
    for name in _MODULES:
        listed += import_module(f"{__name__}.{name}").SCENARIOS
    return tuple(listed)
