"""Disposition: a hand-counted trial, denominators, reasons, degenerate input."""

import math

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result


@pytest.fixture
def adsl() -> pd.DataFrame:
    return pd.DataFrame({
        "USUBJID": [f"s{k}" for k in range(9)],
        "TRT01P": ["P", "P", "P", "A", "A", "A", "A", "A", None],
        "FASFL": ["Y", "Y", "N", "Y", "Y", "Y", "Y", "N", "N"],
        "EOSSTT": ["COMPLETED", "DISCONTINUED", "DISCONTINUED", "COMPLETED", "COMPLETED",
                   "DISCONTINUED", "ONGOING", "COMPLETED", None],
        "DCSREAS": ["", "ADVERSE EVENT", "LOST", "", "", None, "", "", ""],
    })  # fmt: skip


@pytest.fixture
def scans() -> pd.DataFrame:
    rows = [(f"s{k}", "Baseline", 0, "Y", "") for k in range(8)]
    rows[1] = ("s1", "Baseline", 0, "N", "motion")
    rows += [("s0", "Week 9", 9, "Y", ""), ("s3", "Week 9", 9, "N", "motion")]
    rows += [("s4", "Week 9", 9, "N", ""), ("s5", "Week 9", 9, "Y", "")]
    rows += [("s3", "Week 12", 12, "Y", "")]
    return pd.DataFrame(rows, columns=["USUBJID", "AVISIT", "AVISITN", "SCANFL", "REASON"])


def counts(result, stage: str, visit: str = "", reason: str = "") -> dict[str, int]:
    table = result.table
    rows = table[(table["stage"] == stage) & (table["visit"] == visit)]
    return rows[rows["reason"] == reason].set_index("arm")["n"].to_dict()


def test_hand_counted_trial(adsl, scans) -> None:
    result = lt.disposition(adsl, population="FASFL", scans=scans)
    assert counts(result, "randomised") == {"A": 5, "P": 3, "Total": 8}
    assert counts(result, "not in population") == {"A": 1, "P": 1, "Total": 2}
    assert counts(result, "population") == {"A": 4, "P": 2, "Total": 6}
    assert counts(result, "scanned", "Baseline") == {"A": 4, "P": 2, "Total": 6}
    assert counts(result, "analysed", "Baseline") == {"A": 4, "P": 1, "Total": 5}
    assert counts(result, "excluded", "Baseline", "motion") == {"A": 0, "P": 1, "Total": 1}
    assert counts(result, "excluded", "Week 9") == {"A": 2, "P": 0, "Total": 2}
    assert counts(result, "excluded", "Week 9", "reason not given")["A"] == 1
    assert counts(result, "no scan", "Week 12") == {"A": 3, "P": 2, "Total": 5}
    assert counts(result, "discontinued") == {"A": 1, "P": 1, "Total": 2}
    assert counts(result, "discontinued", reason="ADVERSE EVENT")["P"] == 1
    assert counts(result, "completed") == {"A": 2, "P": 1, "Total": 3}
    assert result.notes == ("1 subject(s) have no TRT01P: not randomised",)
    assert "8 subjects were randomised, 6 are analysed" in result.text


def test_parts_of_a_stage_add_up_to_it(adsl, scans) -> None:
    table = lt.disposition(adsl, population="FASFL", scans=scans).table
    arms = table[table["arm"] != "Total"].groupby(["step"])["n"].sum()
    np.testing.assert_array_equal(arms, table[table["arm"] == "Total"].set_index("step")["n"])
    wide = table[table["reason"] == ""].pivot_table(
        index=["visit", "arm"], columns="stage", values="n", aggfunc="first"
    )
    scanned = wide.dropna(subset=["scanned"])
    assert (scanned["analysed"] + scanned["excluded"] == scanned["scanned"]).all()
    base = wide.loc[""]["population"]
    whole = scanned["scanned"] + scanned["no scan"]
    for (_, arm), number in whole.items():
        assert number == base[arm]


def test_denominator_is_the_population_after_randomisation(adsl, scans) -> None:
    table = lt.disposition(adsl, population="FASFL", scans=scans).table
    total = table[table["arm"] == "Total"].set_index(["stage", "visit", "reason"])
    assert total.loc[("population", "", ""), ["denominator", "percent"]].tolist() == [8, 75]
    assert total.loc[("analysed", "Week 9", ""), "denominator"] == 6
    assert total.loc[("analysed", "Week 9", ""), "percent"] == pytest.approx(100 * 2 / 6)


def test_visits_follow_their_number_not_their_name(adsl, scans) -> None:
    table = lt.disposition(adsl, scans=scans).table
    assert table.loc[table["visit"] != "", "visit"].drop_duplicates().tolist() == [
        "Baseline", "Week 9", "Week 12",
    ]  # fmt: skip


def test_images_and_records_stand_in_for_scans(adsl, scans) -> None:
    images = pd.concat([scans, scans])[["USUBJID", "AVISIT", "AVISITN"]]
    records = scans.assign(AVAL=np.where(scans["SCANFL"] == "Y", 1.0, np.nan))
    result = lt.disposition(adsl, population="FASFL", images=images, records=records)
    assert counts(result, "scanned", "Week 9") == {"A": 3, "P": 1, "Total": 4}
    assert counts(result, "with data", "Week 9") == {"A": 1, "P": 1, "Total": 2}
    assert counts(result, "analysed", "Week 9") == {}


def test_an_empty_arm_has_no_percentages(adsl) -> None:
    adsl["TRT01P"] = pd.Categorical(adsl["TRT01P"], ["P", "A", "B"])
    table = lt.disposition(adsl, population="FASFL").table
    empty = table[table["arm"] == "B"]
    assert (empty["n"] == 0).all()
    assert empty["percent"].map(math.isnan).all()


def test_strangers_are_left_out_and_counted(adsl, scans) -> None:
    more = pd.concat([scans, scans.head(1).assign(USUBJID="x")])
    result = lt.disposition(adsl, scans=more)
    assert "scans: 1 subject(s) are not in adsl" in result.notes[-1]
    assert counts(result, "scanned", "Baseline")["Total"] == 8


def test_wrong_input_is_refused(adsl, scans) -> None:
    with pytest.raises(lt.DataError, match="1 duplicated"):
        lt.disposition(pd.concat([adsl, adsl.head(1)]))
    with pytest.raises(lt.DataError, match="2 duplicated"):
        lt.disposition(adsl, scans=pd.concat([scans, scans.head(2)]))
    with pytest.raises(lt.DataError, match="neither Y nor N in 1 row"):
        lt.disposition(adsl, scans=scans.assign(SCANFL=["?", *scans["SCANFL"][1:]]))
    with pytest.raises(lt.DataError, match="ITTFL"):
        lt.disposition(adsl, population="ITTFL")


def test_row_order_changes_nothing_and_ard_gives_the_table_back(adsl, scans) -> None:
    result = lt.disposition(adsl, population="FASFL", scans=scans)
    turned = lt.disposition(adsl[::-1], population="FASFL", scans=scans[::-1])
    pd.testing.assert_frame_equal(turned.table, result.table)
    back = ard_result(result.to_ard())
    pd.testing.assert_frame_equal(
        back.table[result.table.columns], result.table, check_dtype=False
    )
