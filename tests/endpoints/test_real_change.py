"""Changes beyond noise are counted per arm, and never more than that."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result


def changes(**by_arm: list[float]) -> pd.DataFrame:
    rows = [
        (f"{arm}{i}", arm, "TV01", value)
        for arm, values in by_arm.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["USUBJID", "TRT01P", "PARAMCD", "CHG"])


def test_counts_by_hand_with_the_limit_itself_counted_as_noise() -> None:
    data = changes(A=[-0.3, -0.1, 0.0, 0.1, 0.11], B=[0.5, np.nan])
    table = lt.real_change(data, limits={"TV01": 0.1}).table.set_index("arm")
    assert table.loc["A", ["n", "fell", "rose", "within", "n_missing"]].tolist() == [5, 1, 1, 3, 0]
    assert table.loc["B", ["n", "fell", "rose", "within", "n_missing"]].tolist() == [1, 0, 1, 0, 1]
    assert table.loc["A", "estimate"] == 0.4


def test_limits_are_those_of_prop_test() -> None:
    # R 4.2: prop.test(2, 5, correct = FALSE)$conf.int
    row = lt.real_change(changes(A=[-0.3, -0.1, 0.0, 0.1, 0.11]), limits={"TV01": 0.1}).table
    np.testing.assert_allclose(
        row.loc[0, ["conf_low", "conf_high"]].astype(float), [0.1176208, 0.7692757], atol=1e-7
    )


def test_turning_the_sign_turns_falls_into_rises() -> None:
    data = changes(A=[-0.3, -0.2, 0.4], B=[0.0, 0.3, 0.01])
    one = lt.real_change(data, limits={"TV01": 0.1}).table
    other = lt.real_change(data.assign(CHG=-data["CHG"]), limits={"TV01": 0.1}).table
    np.testing.assert_array_equal(one["fell"], other["rose"])
    np.testing.assert_array_equal(one["estimate"], other["estimate"])


def test_row_order_changes_nothing() -> None:
    data = changes(A=[-0.3, -0.2, 0.4], B=[0.0, 0.3, 0.01])
    shuffled = data.sample(frac=1, random_state=1)
    one, other = (lt.real_change(d, limits={"TV01": 0.1}).table for d in (data, shuffled))
    pd.testing.assert_frame_equal(one, other)


def test_limits_come_from_a_repeatability_result() -> None:
    pairs = pd.DataFrame(
        [(f"s{i}", "TV01", value) for i in range(8) for value in (0.2, 0.2 + 0.01 * i)],
        columns=["USUBJID", "PARAMCD", "AVAL"],
    )
    noise = lt.repeatability(pairs)
    quantity = noise.table.set_index("quantity")["estimate"]
    result = lt.real_change(changes(A=[0.5]), limits=noise)
    assert result.table["limit"].iloc[0] == quantity["smallest_real_change"]


def test_of_unchanged_subjects_at_most_one_in_twenty_exceeds_the_limit() -> None:
    rng = np.random.default_rng(3)
    scans = pd.DataFrame(
        {"USUBJID": np.repeat(np.arange(40), 2).astype(str), "PARAMCD": "TV01",
         "AVAL": 0.3 + rng.normal(0, 0.02, 80)}
    )  # fmt: skip
    still = changes(A=list(rng.normal(0, 0.02 * np.sqrt(2), 20000)))
    result = lt.real_change(still, limits=lt.repeatability(scans))
    assert result.table["estimate"].iloc[0] < 0.05


def test_no_limit_and_no_change_are_said_not_counted() -> None:
    data = changes(A=[0.2], B=[np.nan])
    result = lt.real_change(data, limits={"TV01": 0.1})
    assert np.isnan(result.table.set_index("arm").loc["B", "estimate"])
    assert "1 arm(s) without a change" in result.notes[0]
    unknown = lt.real_change(data, limits={"TV01": float("nan")})
    assert unknown.table["estimate"].isna().all()
    assert "no smallest real change is known" in unknown.notes[0]
    assert unknown.text == "No smallest real change is known."


def test_bad_input_is_refused() -> None:
    data = changes(A=[0.2, 0.1])
    with pytest.raises(lt.DataError, match="negative"):
        lt.real_change(data, limits={"TV01": -1.0})
    with pytest.raises(lt.DataError, match="duplicated"):
        lt.real_change(pd.concat([data, data]), limits={"TV01": 0.1})
    with pytest.raises(lt.DataError, match="no change of any subject"):
        lt.real_change(data.iloc[:0], limits={"TV01": 0.1})


def test_the_result_survives_its_ard() -> None:
    result = lt.real_change(changes(A=[-0.3, 0.0], B=[0.5, 0.1]), limits={"TV01": 0.1})
    back = ard_result(result.to_ard(analysis="x"))
    pd.testing.assert_frame_equal(
        back.table[list(result.table.columns)], result.table, check_dtype=False
    )
