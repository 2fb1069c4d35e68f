"""Ordered endpoints under one roof: proportional odds and shift tables."""

from livertrack.endpoints.proportional_odds import ProportionalOdds, proportional_odds
from livertrack.endpoints.shift_table import ShiftTable, shift_table

__all__ = ["ProportionalOdds", "ShiftTable", "proportional_odds", "shift_table"]
