"""Intercurrent events of a study: what is read, what is refused, what an estimand does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from livertrack._intercurrent import strategies
from livertrack.errors import DataError, PlanError
from livertrack.plan import Estimand, IntercurrentEvent
from livertrack.study import read_study

from .conftest import SUBJECTS, Frames

Write = Callable[..., Path]

ESTIMAND = Estimand(
    id="alt", label="ALT", treatment="arms", population="all", variable="change", summary="mean",
    intercurrent_events=[
        IntercurrentEvent(
            event="Discontinuation of treatment", strategy="treatment-policy", assumption="JR"
        ),
        IntercurrentEvent(event="Rescue medication", strategy="hypothetical"),
        IntercurrentEvent(event="Death", strategy="composite", value=100.0),
    ],
)  # fmt: skip


def events(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["USUBJID", "ICETERM", "AVISIT"])


def test_a_study_without_adice_has_no_events(frames: Frames, write: Write) -> None:
    study = read_study(write(frames))
    assert study.intercurrent.empty
    assert strategies(study.intercurrent, ESTIMAND, SUBJECTS).empty


def test_events_are_sorted_whatever_the_order_of_the_file(frames: Frames, write: Write) -> None:
    frames["adice"] = events(
        (SUBJECTS[3], "Rescue medication", "Week 48"),
        (SUBJECTS[1], "Death", "Week 48"),
        (SUBJECTS[1], "Rescue medication", "Week 12"),
    )
    study = read_study(write(frames))
    assert study.intercurrent["USUBJID"].tolist() == [SUBJECTS[1], SUBJECTS[1], SUBJECTS[3]]
    assert study.intercurrent["AVISIT"].tolist() == ["Week 12", "Week 48", "Week 48"]
    frames["adice"] = frames["adice"].iloc[::-1]
    pd.testing.assert_frame_equal(read_study(write(frames)).intercurrent, study.intercurrent)


def test_an_estimand_says_what_becomes_of_each_event(frames: Frames, write: Write) -> None:
    frames["adice"] = events(
        (SUBJECTS[0], "DISCONTINUATION OF TREATMENT", "Week 12"),
        (SUBJECTS[1], "Rescue medication", "Week 48"),
        (SUBJECTS[2], "Death", "Week 48"),
    )
    study = read_study(write(frames))
    found = strategies(study.intercurrent, ESTIMAND, SUBJECTS).set_index("USUBJID")
    assert found["STRATEGY"].tolist() == ["treatment-policy", "hypothetical", "composite"]
    assert found["ASSUMPTION"].tolist() == ["JR", "MAR", "MAR"]
    assert found.loc[SUBJECTS[2], "VALUE"] == 100.0
    assert found.loc[SUBJECTS[0], "EVENT"] == "Discontinuation of treatment"
    some = strategies(study.intercurrent, ESTIMAND, SUBJECTS[1:2])
    assert some["USUBJID"].tolist() == [SUBJECTS[1]]


def test_an_event_without_a_strategy_is_an_error_with_a_count(
    frames: Frames, write: Write
) -> None:
    frames["adice"] = events(
        (SUBJECTS[0], "Surgery", "Week 12"), (SUBJECTS[1], "Death", "Week 12")
    )
    study = read_study(write(frames))
    with pytest.raises(PlanError, match=r"1 of 2 record\(s\) of adice") as caught:
        strategies(study.intercurrent, ESTIMAND, SUBJECTS)
    assert "'Rescue medication'" in str(caught.value)
    assert SUBJECTS[0] not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((SUBJECTS[0], "Death", "Baseline"), "no visit of the plan after baseline"),
        ((SUBJECTS[0], "Death", "Week 99"), "no visit of the plan after baseline"),
        ((SUBJECTS[0], "", "Week 12"), "blank"),
        (("0999-ZZ", "Death", "Week 12"), "adsl"),
    ],
)
def test_events_that_cannot_be_used_are_findings(
    frames: Frames, write: Write, row: tuple[str, str, str], words: str
) -> None:
    frames["adice"] = events((SUBJECTS[5], "Death", "Week 12"), row)
    with pytest.raises(DataError, match=words) as caught:
        read_study(write(frames))
    assert "adice" in str(caught.value)
    assert row[0] not in str(caught.value)


def test_the_same_event_twice_is_a_finding(frames: Frames, write: Write) -> None:
    row = (SUBJECTS[5], "Death", "Week 12")
    frames["adice"] = events(row, row)
    with pytest.raises(DataError, match="duplicated"):
        read_study(write(frames))


@pytest.mark.parametrize(
    ("strategy", "options", "words"),
    [
        ("hypothetical", {"value": 1.0}, "composite"),
        ("composite", {"assumption": "JR"}, "nothing is imputed"),
        ("while-on-treatment", {"assumption": "CR"}, "nothing is imputed"),
        ("hypothetical", {"assumption": "J2R"}, "MAR"),
        ("composite", {"value": float("nan")}, "finite"),
    ],
)
def test_options_of_another_strategy_are_errors(
    strategy: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        IntercurrentEvent(event="E", strategy=strategy, **options)
