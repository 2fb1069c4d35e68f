"""Atlas of change: hand-worked cells, a planted place, what is out of view."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.errors import DataError, UsageError


def _records(share, arms, cells=4, voxels=40):
    """Records where ``share`` (subjects, cells) of each cell turned from type 2 into type 1."""
    rows = []
    for n, arm in enumerate(arms):
        for cell in range(cells):
            turned = round(share[n][cell] * voxels)
            rows += [
                {"USUBJID": f"{n:03d}", "TRT01P": arm, "AVISIT": "Week 48", "CELL": cell + 1,
                 "FROMTYPE": 2, "TOTYPE": to, "NVOX": count}
                for to, count in ((1, turned), (2, voxels - turned)) if count
            ]  # fmt: skip
    return pd.DataFrame(rows)


def _random(seed=0, n=24, effect=0.5):
    rng = np.random.default_rng(seed)
    arms = ["Active", "Placebo"] * (n // 2)
    share = rng.uniform(0.1, 0.3, (n, 4))
    share[::2, 2] += effect
    return _records(share, arms)


def _run(data, **arguments):
    return lt.change_atlas(
        data, **{"reference": "Placebo", "visit": "Week 48", "n_perm": 199, "seed": 1, **arguments}
    )


def test_hand_worked_cells():
    data = _records(
        [[0.5, 0.1, 0, 0], [0.7, 0.1, 0, 0], [0.2, 0.1, 0, 0], [0.4, 0.1, 0, 0]],
        ["Active", "Active", "Placebo", "Placebo"],
    )
    got = _run(data, n_perm=None).table.set_index("cell")
    assert got.loc[1, "mean_arm"] == pytest.approx(0.6)
    assert got.loc[1, "mean_ref"] == pytest.approx(0.3)
    assert got.loc[1, "estimate"] == pytest.approx(0.3)
    assert got.loc[1, "std_error"] == pytest.approx(np.sqrt(0.02 / 2 + 0.02 / 2))
    assert np.isnan(got.loc[3, "p_value"])  # nobody changed there


def test_a_planted_place_is_found_and_no_other():
    got = _run(_random()).table.set_index("cell")
    assert got.loc[3, "p_adjusted"] < 0.05
    assert (got["p_adjusted"].drop(3) > 0.05).all()


def test_chosen_flows_count_and_others_do_not():
    data = _random()
    every, one = _run(data), _run(data, flows=[(2, 1)])
    np.testing.assert_allclose(every.table["estimate"], one.table["estimate"])
    other = _run(data, flows=[(1, 2)]).table
    assert other["mean_arm"].eq(0).all()
    assert one.settings["flows"] == [[2, 1]]


def test_a_place_out_of_view_is_missing_and_not_unchanged():
    data = _random()
    seen = ~((data["USUBJID"] == "000") & (data["CELL"] == 3))
    got = _run(data[seen]).table.set_index("cell")
    assert got.loc[3, "n_arm"] == 11
    assert got.loc[2, "n_arm"] == 12
    few = data.copy()
    few.loc[~seen, "NVOX"] = 1
    assert _run(few).table.set_index("cell").loc[3, "n_arm"] == 11
    assert _run(few, least_share=0.01).table.set_index("cell").loc[3, "n_arm"] == 12


def test_subjects_without_records_are_counted():
    data = _random()
    people = data[["USUBJID", "TRT01P"]].drop_duplicates()
    got = _run(data[data["USUBJID"] != "001"], subjects=people)
    assert got.notes == ("1 of 24 subjects are not in the atlas at Week 48",)


def test_order_of_rows_changes_nothing():
    data = _random()
    pd.testing.assert_frame_equal(
        _run(data).table, _run(data.sample(frac=1, random_state=1)).table
    )


@pytest.mark.parametrize(
    ("change", "arguments", "error", "match"),
    [
        (lambda d: d, {"visit": "Week 9"}, DataError, "no record at Week 9"),
        (lambda d: d, {"reference": "Sham"}, DataError, "Sham"),
        (lambda d: d, {"least_share": 0}, UsageError, "proportion"),
        (lambda d: pd.concat([d, d[:1]]), {}, DataError, "1 duplicated"),
        (lambda d: d.drop(columns="CELL"), {}, DataError, "CELL"),
        (lambda d: d[d["TRT01P"] == "Placebo"], {}, DataError, "no arm beside"),
    ],
)
def test_wrong_input_is_named(change, arguments, error, match):
    with pytest.raises(error, match=match):
        _run(change(_random()), **arguments)
