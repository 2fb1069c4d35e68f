"""What a simulation is: how a trial is drawn, and what each of its numbers is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal[
    "coverage", "type I error", "familywise error", "false discovery rate", "power",
]  # fmt: skip
Bound = Literal["equal", "at most", "at least"]
#: what one simulated trial showed, by key: 1 yes, 0 no (a proportion for the false discovery
#: rate), NaN where the method gave no answer
Outcome = Mapping[str, float]
Draw = Callable[[np.random.Generator], Outcome]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One number of a simulation and what it is held to.

    Attributes
    ----------
    key : str
        Name of the number in the outcome of a draw.
    method : str
        The function called, e.g. ``lt.separation``.
    quantity : str
        The interval or test.
    kind : {"coverage", "type I error", "familywise error", "false discovery rate", "power"}
    nominal : float
        What the method promises.
    bound : {"equal", "at most", "at least"}
        ``equal`` unless the method promises no more than a bound (exact, closed or step-wise
        procedures).
    note : str
        What a reader must know; needed where the method is known to miss its promise.
    """

    key: str
    method: str
    quantity: str
    kind: Kind = "coverage"
    nominal: float = 0.95
    bound: Bound = "equal"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One simulated situation.

    Attributes
    ----------
    name : str
        Names the random stream; changing it changes the numbers.
    family : str
        Heading in the report.
    setting : str
        Subjects, distribution and truth, in words.
    draw : callable
        Generator -> outcome of one simulated trial.
    claims : tuple of Claim
    n : int
        Simulated trials of a full run.
    """

    name: str
    family: str
    setting: str
    draw: Draw
    claims: tuple[Claim, ...]
    n: int = 1000


def covers(low: float, high: float, truth: float) -> float:
    """1 if the limits hold the truth, 0 if not, NaN where a limit is missing."""
    if np.isnan(low) or np.isnan(high):
        return float("nan")
    return float(low <= truth <= high)


def rejects(p_value: float, alpha: float = 0.05) -> float:
    """1 if p is at most alpha, 0 if not, NaN where there is none."""
    return float("nan") if np.isnan(p_value) else float(p_value <= alpha)
