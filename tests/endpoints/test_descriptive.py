"""Baseline tables and summaries: R moments and t intervals; denominators, degenerate input."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result

#: sums of at most 37 numbers in both programs
RELATIVE = 1e-12


@pytest.fixture(scope="module")
def data(reference: Path) -> pd.DataFrame:
    frame = pd.read_csv(reference / "descriptive_data.csv")
    return frame.rename(columns={"subject": "USUBJID", "arm": "TRT01P"})


@pytest.fixture(scope="module")
def expected(reference: Path) -> pd.DataFrame:
    frame = pd.read_csv(reference / "descriptive.csv", skipinitialspace=True)
    return frame.pivot_table(index="arm", columns="statistic", values="value")


def records(data: pd.DataFrame, visits=("Baseline", "Week 12")) -> pd.DataFrame:
    frames = [
        data.assign(AVISIT=visit, AVISITN=place, AVAL=data["value"] + place, PARAMCD="TV01",
                    PARAM="Tissue type 1", CHG=np.nan if place == 0 else float(place))
        for place, visit in enumerate(visits)
    ]  # fmt: skip
    out = pd.concat(frames, ignore_index=True)
    return out.assign(CHG=out["CHG"].where(out["AVAL"].notna()))


def test_baseline_moments_agree_with_r(data, expected) -> None:
    table = lt.baseline_table(data, columns=["value"]).table.set_index("arm")
    assert table.index.tolist() == ["High", "Low", "Placebo", "Total"]
    for name in ("n", "missing", "mean", "sd", "min", "q1", "median", "q3", "max"):
        np.testing.assert_allclose(
            table[name].astype(float), expected.loc[table.index, name], rtol=RELATIVE, err_msg=name
        )


def test_baseline_counts_agree_with_r(data, reference: Path) -> None:
    want = pd.read_csv(reference / "descriptive_counts.csv").astype({"level": str})
    table = lt.baseline_table(data, columns=["stage"], categorical=["stage"]).table
    got = table[table["arm"] != "Total"].set_index(["arm", "level"])["count"]
    for row in want.itertuples():
        assert got[row.arm, row.level] == row.Freq
    total = table[table["arm"] == "Total"]
    assert total["percent"].sum() == pytest.approx(100)
    assert (total["n"] + total["missing"] == len(data)).all()
    assert total["count"].sum() == total["n"].iloc[0] < len(data)


def test_summary_moments_and_limits_agree_with_r(data, expected) -> None:
    table = lt.signature_summary(records(data)).table
    base = table[(table["visit"] == "Baseline")].set_index("arm")
    for name, theirs in {"n_missing": "missing"}.items() | {
        (k, k) for k in ("n", "mean", "sd", "median", "min", "max", "conf_low", "conf_high")
    }:
        want = expected.loc[base.index, theirs]
        np.testing.assert_allclose(base[name].astype(float), want, rtol=RELATIVE, err_msg=name)


def test_change_has_rows_only_after_baseline(data) -> None:
    table = lt.signature_summary(records(data)).table
    change = table[table["variable"] == "CHG"]
    assert change["visit"].unique().tolist() == ["Week 12"]
    assert (change["mean"] == 1).all()
    assert (change["sd"] == 0).all()


def test_visits_follow_their_number_not_their_name(data) -> None:
    visits = ("Baseline", "Week 9", "Week 12")
    table = lt.signature_summary(records(data, visits)).table
    assert table["visit"].drop_duplicates().tolist() == list(visits)


def test_regions_are_kept_apart(data) -> None:
    whole = records(data)
    shell = whole.assign(REGION="SHELL1", AVAL=whole["AVAL"] / 2)
    both = pd.concat([whole.assign(REGION=""), shell])
    table = lt.signature_summary(both).table
    pairs = table[(table["variable"] == "AVAL") & (table["arm"] == "Low")]
    means = pairs.set_index(["region", "visit"])["mean"]
    assert means["SHELL1", "Baseline"] == pytest.approx(means["", "Baseline"] / 2)


def test_baseline_records_are_flagged_or_at_the_baseline_visit(data) -> None:
    bds = records(data)
    by_visit = lt.baseline_table(data, columns=[], records=bds).table
    assert by_visit["label"].unique().tolist() == ["Tissue type 1"]
    flagged = bds.assign(ABLFL=np.where(bds["AVISIT"] == "Week 12", "Y", ""))
    by_flag = lt.baseline_table(data, columns=[], records=flagged).table
    np.testing.assert_allclose(by_flag["mean"], by_visit["mean"] + 1)
    regions = pd.concat([bds, bds.assign(REGION="SHELL1")]).assign(
        REGION=lambda d: d["REGION"].fillna("")
    )
    whole = lt.baseline_table(data, columns=[], records=regions).table
    pd.testing.assert_frame_equal(whole, by_visit)


def test_a_subject_without_a_record_is_missing(data) -> None:
    bds = records(data)
    bds = bds[~bds["USUBJID"].isin(data["USUBJID"][:2])]
    table = lt.baseline_table(data, columns=[], records=bds).table.set_index("arm")
    assert table.loc["Total", "missing"] == 3 + 2
    assert table.loc["Total", "n"] + table.loc["Total", "missing"] == len(data)


def test_text_booleans_and_categories_are_counted_in_their_order() -> None:
    adsl = pd.DataFrame({
        "USUBJID": list("abcd"), "TRT01P": ["P", "P", "A", "A"],
        "SEX": ["M", "F", "F", None], "DIAB": [True, False, True, True],
        "FIB": pd.Categorical(["F2", "F1", "F2", "F2"], ["F2", "F1", "F0"]),
    })  # fmt: skip
    table = lt.baseline_table(adsl, columns=["SEX", "DIAB", "FIB"]).table
    levels = table.drop_duplicates(["variable", "level"]).groupby("variable", sort=False)["level"]
    assert levels.apply(list).to_dict() == {
        "SEX": ["F", "M"], "DIAB": ["False", "True"], "FIB": ["F2", "F1", "F0"],
    }  # fmt: skip
    sex = table[(table["variable"] == "SEX") & (table["arm"] == "A") & (table["level"] == "F")]
    assert sex[["n", "missing", "count", "percent"]].iloc[0].tolist() == [1, 1, 1, 100]


def test_empty_arms_and_single_subjects_have_no_spread() -> None:
    adsl = pd.DataFrame({
        "USUBJID": ["a", "b"], "AGE": [50.0, np.nan],
        "TRT01P": pd.Categorical(["P", "A"], ["P", "A", "B"]),
    })  # fmt: skip
    table = lt.baseline_table(adsl, columns=["AGE"]).table.set_index("arm")
    assert table["n"].to_dict() == {"P": 1, "A": 0, "B": 0, "Total": 1}
    assert table.loc["P", "mean"] == 50
    assert math.isnan(table.loc["P", "sd"])
    assert math.isnan(table.loc["B", "mean"])


def test_subjects_without_arm_are_counted_in_the_notes(data) -> None:
    gap = data.assign(TRT01P=data["TRT01P"].where(data.index > 1))
    assert "2 subject(s)" in lt.baseline_table(gap, columns=["value"]).notes[0]
    assert "4 record(s)" in lt.signature_summary(records(gap)).notes[0]


def test_row_order_changes_nothing(data) -> None:
    shuffled = data.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        lt.baseline_table(shuffled, columns=["value"]).table,
        lt.baseline_table(data, columns=["value"]).table,
        rtol=1e-12,
    )
    pd.testing.assert_frame_equal(
        lt.signature_summary(records(shuffled)).table, lt.signature_summary(records(data)).table,
        rtol=1e-12,
    )  # fmt: skip


def test_wrong_input_is_refused(data) -> None:
    with pytest.raises(lt.DataError, match="1 duplicated"):
        lt.baseline_table(pd.concat([data, data.head(1)]), columns=["value"])
    with pytest.raises(lt.UsageError, match="named 'Total'"):
        lt.baseline_table(data.assign(TRT01P="Total"), columns=["value"])
    with pytest.raises(lt.UsageError, match="no column or parameter: nope"):
        lt.baseline_table(data, columns=["value"], categorical=["nope"])
    with pytest.raises(lt.UsageError, match="is a column of adsl"):
        lt.baseline_table(data.assign(TV01=1.0), columns=["TV01"], records=records(data))
    with pytest.raises(lt.DataError, match="duplicated"):
        lt.signature_summary(pd.concat([records(data)] * 2))
    with pytest.raises(lt.UsageError, match="without a record: TV99"):
        lt.signature_summary(records(data), parameters=["TV99"])


def test_no_records_give_an_empty_table(data) -> None:
    result = lt.signature_summary(records(data).iloc[:0])
    assert result.table.empty
    assert "conf_low" in result.table.columns


def test_ard_gives_the_tables_back(data) -> None:
    for result in (
        lt.baseline_table(data, columns=["value", "stage"], categorical=["stage"]),
        lt.signature_summary(records(data)),
    ):
        back = ard_result(result.to_ard())
        pd.testing.assert_frame_equal(
            back.table[result.table.columns], result.table, check_dtype=False
        )
