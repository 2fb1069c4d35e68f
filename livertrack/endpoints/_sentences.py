"""Numbers inside sentences: what is not known is said in words.

The numbers come out of rows of frames, of whatever numeric type.
"""

from __future__ import annotations

import math
from typing import Any


def number_text(value: Any, form: str = ".4g") -> str:
    """Give a number in words where it is none: ``not estimated``, ``infinite``."""
    if math.isnan(value):
        return "not estimated"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return f"{value:{form}}"


def p_text(p: Any) -> str:
    """``p = 0.0123``, ``p < 0.0001``, or ``no test``."""
    if math.isnan(p):
        return "no test"
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def chi_square_text(statistic: Any, df: Any, p: Any) -> str:
    """``chi-square 3.84, df 1, p = 0.0500``, or ``no test``."""
    if math.isnan(p):
        return "no test"
    return f"chi-square {statistic:.3f}, df {df:.0f}, {p_text(p)}"


def interval_text(
    estimate: Any, low: Any, high: Any, *, conf_level: float, p: Any = None,
    form: str = ".3f", unit: str = "",
) -> str:  # fmt: skip
    """``0.71 (95% limits 0.50 to 0.99, p = 0.0431)``; in words what does not exist."""
    if math.isnan(estimate):
        return "not estimated"
    parts = []
    if math.isnan(low) and math.isnan(high):
        parts.append("no limits")
    else:
        parts.append(f"{conf_level:.0%} limits {_end(low, form)} to {_end(high, form)}")
    if p is not None and not (math.isnan(p) and parts == ["no limits"]):
        parts.append(p_text(p))
    return f"{number_text(estimate, form)}{unit} ({', '.join(parts)})"


def _end(limit: Any, form: str) -> str:
    return "unknown" if math.isnan(limit) else number_text(limit, form)
