"""Planted and found flows are compared in the terms of the truth."""

import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import Result
from livertrack.errors import DataError


def records(flows: dict[str, dict[tuple[int, int], float]]) -> pd.DataFrame:
    rows = [
        (subject, "Week 48", "", one, two, value, {"p": "Placebo", "a": "Active"}[subject[0]])
        for subject, values in flows.items()
        for (one, two), value in values.items()
    ]
    columns = ["USUBJID", "AVISIT", "REGION", "FROMTYPE", "TOTYPE", "AVAL", "TRT01P"]
    return pd.DataFrame(rows, columns=columns)


TRUTH = {
    "p1": {(1, 1): 0.5, (2, 2): 0.5}, "p2": {(1, 1): 0.4, (2, 2): 0.6},
    "a1": {(1, 1): 0.5, (2, 1): 0.3, (2, 2): 0.2}, "a2": {(1, 1): 0.4, (2, 1): 0.1, (2, 2): 0.5},
}  # fmt: skip
#: the vocabulary calls type 1 "3", and splits type 2 into "1" and "2"
FOUND = {
    "p1": {(3, 3): 0.5, (1, 1): 0.3, (1, 2): 0.1, (2, 2): 0.1}, "p2": {(3, 3): 0.4, (2, 2): 0.6},
    "a1": {(3, 3): 0.5, (1, 3): 0.1, (2, 3): 0.1, (2, 2): 0.3},
    "a2": {(3, 3): 0.4, (1, 3): 0.1, (2, 2): 0.5},
}  # fmt: skip
MATCHES = {1: 2, 2: 2, 3: 1}
NAMES = {1: "normal", 2: "fat"}


def compare(found: pd.DataFrame, truth: pd.DataFrame) -> Result:
    return lt.planted_pathways(
        found, truth, matches=MATCHES, names=NAMES, visit="Week 48", reference="Placebo"
    )


def test_differences_are_those_of_the_hand() -> None:
    result = compare(records(FOUND), records(TRUTH))
    row = result.table.iloc[0]
    assert (row["from_type"], row["to_type"], row["rank_found"]) == ("fat", "normal", 1)
    assert row["planted"] == pytest.approx(0.2)
    assert row["found"] == pytest.approx(0.15)
    assert "1 of 1 planted flows" in result.text


def test_flows_among_types_of_one_true_type_vanish() -> None:
    result = compare(records(FOUND), records(TRUTH))
    back = result.table.set_index(["from_type", "to_type"]).loc[("normal", "fat")]
    assert back["found"] == 0
    assert len(result.table) == 2


def test_nothing_planted_is_said() -> None:
    same = {"p1": {(1, 1): 1.0}, "a1": {(1, 1): 1.0}}
    found = {"p1": {(3, 3): 1.0}, "a1": {(3, 3): 1.0}}
    assert "nothing of 1 percentage point" in compare(records(found), records(same)).text


def test_an_unmatched_type_or_absent_visit_is_an_error() -> None:
    with pytest.raises(DataError, match="no true type"):
        lt.planted_pathways(
            records(FOUND), records(TRUTH), matches={1: 2, 2: 2}, names=NAMES, visit="Week 48",
            reference="Placebo",
        )  # fmt: skip
    with pytest.raises(DataError, match="at Week 12"):
        lt.planted_pathways(
            records(FOUND), records(TRUTH), matches=MATCHES, names=NAMES, visit="Week 12",
            reference="Placebo",
        )  # fmt: skip
