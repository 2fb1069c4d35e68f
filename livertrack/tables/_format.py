"""Rounding rules: full precision comes in, what a reader can use goes out.

========  ========================================================================================
number    a fixed count of decimals, true minus sign, thousands not grouped; "–" where missing
digits    so many decimals that the largest value of a column has three significant digits
p-value   three decimals, "<0.001" below, ">0.999" above; four just below 0.05
interval  "estimate (low to high)", one count of decimals for all three
count     "n (p %)", the percentage without decimals up to 100 subjects, else with one
========  ========================================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

#: what stands where there is no number
MISSING = "–"


def number(value: Any, digits: int = 2) -> str:
    """Format a number with ``digits`` decimals; a missing one is a dash."""
    if _absent(value):
        return MISSING
    if math.isinf(float(value)):
        return "∞" if float(value) > 0 else "−∞"
    text = f"{float(value):.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def integer(value: Any) -> str:
    """Format a count."""
    return number(value, 0)


def p_value(value: Any) -> str:
    """Format a p-value: three decimals, never 0.000 or 1.000, and never rounded up to 0.050."""
    if _absent(value):
        return MISSING
    if value < 0.001:
        return "<0.001"
    if value > 0.999:
        return ">0.999"
    if 0.0495 <= value < 0.05:
        return f"{math.floor(1e4 * value) / 1e4:.4f}"
    return f"{float(value):.3f}"


def interval(estimate: Any, low: Any, high: Any, digits: int = 2) -> str:
    """Format an estimate with its limits: ``-1.2 (-2.0 to -0.4)`` with true minus signs."""
    if _absent(estimate):
        return MISSING
    if _absent(low) and _absent(high):
        return number(estimate, digits)
    return f"{number(estimate, digits)} ({limits(low, high, digits)})"


def limits(low: Any, high: Any, digits: int = 2) -> str:
    """Format the two limits of an interval."""
    return f"{number(low, digits)} to {number(high, digits)}"


def row_interval(row: Mapping[str, Any], scale: float = 1.0, digits: int = 2) -> str:
    """Format ``estimate, conf_low, conf_high`` of a row, in a unit ``scale`` times smaller."""
    estimate, low, high = (
        scale * row.get(column, math.nan) for column in ("estimate", "conf_low", "conf_high")
    )
    return interval(estimate, low, high, digits)


def count_percent(count: Any, total: Any) -> str:
    """Format a count with its percentage of ``total``: ``12 (24 %)``."""
    if _absent(count):
        return MISSING
    if _absent(total) or total == 0:
        return integer(count)
    return f"{integer(count)} ({number(100 * count / total, 0 if total <= 100 else 1)} %)"


def percent(value: Any, digits: int = 0) -> str:
    """Format a proportion (0 to 1) as percent."""
    return MISSING if _absent(value) else f"{number(100 * float(value), digits)} %"


def confidence(level: Any) -> str:
    """Format a confidence level (0 to 1) as ``95 %``."""
    return f"{float(level) * 100:g} %"


def digits_for(values: Iterable[Any], significant: int = 3) -> int:
    """Decimals that show the largest absolute value with ``significant`` digits (0 to 4)."""
    sizes = [abs(float(value)) for value in values if not _absent(value)]
    sizes = [size for size in sizes if size > 0 and math.isfinite(size)]
    if not sizes:
        return 1
    return min(4, max(0, significant - 1 - math.floor(math.log10(max(sizes)))))


_PROPER = {
    "miettinen-nurminen": "Miettinen-Nurminen", "mantel-haenszel": "Mantel-Haenszel",
    "newcombe": "Newcombe", "kenward-roger": "Kenward-Roger", "satterthwaite": "Satterthwaite",
    "efron": "Efron", "breslow": "Breslow", "holm": "Holm", "hochberg": "Hochberg",
    "hommel": "Hommel", "bonferroni": "Bonferroni", "BH": "Benjamini-Hochberg",
    "BY": "Benjamini-Yekutieli", "simes": "Simes", "fisher": "Fisher",
    "us covariance": "unstructured covariance",
}  # fmt: skip


def proper(text: str) -> str:
    """Write the names of methods as the literature does."""
    for name, written in _PROPER.items():
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", written, text)
    return text


def _absent(value: Any) -> bool:
    if value is None or isinstance(value, str):
        return True
    try:
        return math.isnan(float(value))
    except (TypeError, ValueError):
        return True
