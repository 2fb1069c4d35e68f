"""Scans are counted by arm and visit, exclusions by reason."""

import numpy as np
import pandas as pd
import pytest

from livertrack.endpoints.scan_quality import registration_quality, scan_quality
from livertrack.errors import DataError


@pytest.fixture
def scans() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "USUBJID": ["1", "2", "3", "1", "2"],
            "TRT01P": ["P", "P", "A", "P", "P"],
            "AVISIT": ["Baseline"] * 3 + ["Week 12"] * 2,
            "SCANFL": ["Y", "N", "Y", "Y", "N"],
            "REASON": ["", "empty mask", "", "", ""],
            "SNR": [10.0, np.nan, 20.0, 30.0, 99.0],
        }
    )


def test_counts_by_arm_and_visit_are_those_of_the_hand(scans: pd.DataFrame) -> None:
    table = scan_quality(scans).table.set_index(["arm", "visit"])
    assert table.loc[("P", "Baseline"), "n_scans"] == 2
    assert table.loc[("P", "Baseline"), "percent_excluded"] == 50
    assert table.loc[("A", "Week 12"), "n_scans"] == 0
    assert np.isnan(table.loc[("A", "Week 12"), "percent_excluded"])


def test_reasons_are_counted_and_a_missing_reason_is_said(scans: pd.DataFrame) -> None:
    result = scan_quality(scans)
    assert dict(zip(result.reasons["reason"], result.reasons["n"], strict=True)) == {
        "empty mask": 1,
        "no reason given": 1,
    }
    assert result.text.startswith("3 of 5 scans were analysed, 2 excluded")


def test_measures_are_of_analysed_scans_only(scans: pd.DataFrame) -> None:
    measures = scan_quality(scans).measures.set_index(["visit", "measure"])
    assert measures.loc[("Baseline", "SNR"), "mean"] == 15
    assert measures.loc[("Week 12", "SNR"), "maximum"] == 30


def test_no_scans_give_empty_frames(scans: pd.DataFrame) -> None:
    result = scan_quality(scans.iloc[:0])
    assert result.table.empty
    assert result.reasons.empty
    assert result.text == "0 of 0 scans were analysed, 0 excluded."


def test_a_scan_given_twice_is_refused(scans: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="1 duplicated record"):
        scan_quality(pd.concat([scans, scans.iloc[:1]]))


def test_flags_are_counted_by_visit_and_arm_and_in_total(scans: pd.DataFrame) -> None:
    flags = scan_quality(scans.assign(FLAGS=["edge", "edge; noise", "", "", "noise"])).flags
    found = flags.set_index(["flag", "visit", "arm"])
    assert found.loc[("edge", "Baseline", "P"), ["n", "n_scans"]].tolist() == [2, 2]
    assert found.loc[("noise", "Week 12", "Total"), ["n", "n_scans"]].tolist() == [1, 2]
    assert found.loc[("edge", "Baseline", "A"), "n"] == 0
    assert scan_quality(scans).flags.empty


def test_totals_are_the_sums_of_the_arms(scans: pd.DataFrame) -> None:
    totals = scan_quality(scans).totals.set_index("visit")
    assert totals.loc["Baseline", ["n_scans", "n_analysed"]].tolist() == [3, 2]


def test_a_follow_up_without_a_reason_was_carried(scans: pd.DataFrame) -> None:
    result = registration_quality(scans.drop(columns="SCANFL"), measures=["SNR"])
    assert result.context == "registration_quality"
    assert result.text == "4 of 5 follow-up scans were carried to their baseline."
    assert result.reasons["reason"].tolist() == ["empty mask"]
