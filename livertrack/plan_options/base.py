"""What every model of options shares, and the registry of endpoints a plan may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base: unknown options are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


O = TypeVar("O", bound=type[Options])  # noqa: E741

#: endpoint name in a plan -> model of its options
OPTIONS: dict[str, type[Options]] = {}


def endpoint(*names: str) -> Callable[[O], O]:
    """Register the decorated class as the options of the endpoints ``names``."""

    def register(options: O) -> O:
        OPTIONS.update(dict.fromkeys(names, options))
        return options

    return register
