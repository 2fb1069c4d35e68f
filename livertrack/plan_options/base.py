"""What every model of options shares, and the registry of endpoints a plan may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base: unknown options are errors.

    Attributes
    ----------
    needs : tuple of str
        What an analysis of the endpoint must state besides its options: ``visit``,
        ``parameters``; ``imaging``: the plan must have that section.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    needs: ClassVar[tuple[str, ...]] = ()

    def required(self) -> tuple[str, ...]:
        """What an analysis with these very options must state; by default `needs`."""
        return self.needs


class Stratified(Options):
    """Options of an endpoint that can work within the strata of the plan."""

    within_strata: bool = False


O = TypeVar("O", bound=type[Options])  # noqa: E741

#: endpoint name in a plan -> model of its options
OPTIONS: dict[str, type[Options]] = {}


def endpoint(*names: str) -> Callable[[O], O]:
    """Register the decorated class as the options of the endpoints ``names``."""

    def register(options: O) -> O:
        OPTIONS.update(dict.fromkeys(names, options))
        return options

    return register
