"""Options of the endpoints on scores."""

from __future__ import annotations

from typing import Literal

from livertrack.plan_options.base import Options, endpoint


@endpoint("proportional_odds")
class ProportionalOdds(Options):
    """Cumulative logit model of a score; ``{arm}`` stands for the arm column."""

    needs = ("visit", "parameters")
    formula: str = "{arm} + BASE"
    outcome: Literal["AVAL", "CHG"] = "AVAL"


@endpoint("shift_table")
class ShiftTable(Options):
    """Score at the visit against baseline, per arm; ``levels``: the whole scale in order."""

    needs = ("visit", "parameters")
    better: Literal["lower", "higher"] = "lower"
    levels: list[int | float] | None = None
