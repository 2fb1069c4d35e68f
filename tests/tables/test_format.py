"""Rounding rules, by hand."""

from __future__ import annotations

import math

import pytest

from livertrack import tables
from livertrack.tables._format import proper


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.0004, "<0.001"), (0.001, "0.001"),
     (0.0494, "0.049"), (0.0496, "0.0496"), (0.04999, "0.0499"), (0.05, "0.050"),
     (0.9996, ">0.999"),
     (1.0, ">0.999"), (0.0, "<0.001"), (math.nan, "–"), (None, "–")],
)  # fmt: skip
def test_p_values_are_never_zero_or_one(p: float, shown: str) -> None:
    assert tables.p_value(p) == shown


def test_negative_numbers_have_a_minus_sign_and_zero_has_none() -> None:
    assert tables.number(-1.25, 1) == "−1.2"
    assert tables.number(-0.04, 1) == "0.0"
    assert tables.number(math.inf) == "∞"
    assert tables.number(math.nan) == "–"


def test_intervals_share_one_count_of_decimals() -> None:
    assert tables.interval(-1, -2.345, 0.4, 1) == "−1.0 (−2.3 to 0.4)"
    assert tables.interval(2, math.nan, math.nan, 1) == "2.0"
    assert tables.interval(math.nan, 1, 2) == "–"
    assert tables.interval(2, math.nan, 4, 0) == "2 (– to 4)"


def test_percentages_follow_the_size_of_the_group() -> None:
    assert tables.count_percent(3, 24) == "3 (12 %)"
    assert tables.count_percent(1, 312) == "1 (0.3 %)"
    assert tables.count_percent(0, 0) == "0"
    assert tables.count_percent(math.nan, 3) == "–"


def test_decimals_show_three_digits_of_the_largest_value() -> None:
    assert tables.digits_for([0.0123, 0.5]) == 3
    assert tables.digits_for([1234.0]) == 0
    assert tables.digits_for([12.3, -99]) == 1
    assert tables.digits_for([]) == 1
    assert tables.digits_for([math.nan, math.inf]) == 1
    assert tables.digits_for([0.00001]) == 4


def test_method_names_are_written_as_the_literature_does() -> None:
    assert proper("MMRM (us covariance, kenward-roger df)") == (
        "MMRM (unstructured covariance, Kenward-Roger df)"
    )
    assert proper("breslow-like") == "breslow-like"
