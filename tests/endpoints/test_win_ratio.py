"""Win ratio, win odds and net benefit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import livertrack as lt
from livertrack.endpoints._delong import placements
from livertrack.endpoints.win_ratio import Outcome
from livertrack.errors import DataError, UsageError

# The same sums in another order.
EXACT = 1e-10

DEATH = Outcome("death", time="DT", censor="DC")
STAGE = Outcome("stage", value="STAGE", better="lower")
HIERARCHY = [DEATH, STAGE]


def four() -> pd.DataFrame:
    """A1 dies at 2, A2 lives to 10; B1 dies at 5, B2 is lost at 3."""
    return pd.DataFrame(
        {
            "USUBJID": ["A1", "A2", "B1", "B2"],
            "TRT01P": ["A", "A", "B", "B"],
            "DT": [2.0, 10, 5, 3],
            "DC": [0, 1, 0, 1],
            "STAGE": [1.0, 2, 3, 2],
        }
    )


def trial(seed: int, n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "USUBJID": [f"S{i}" for i in range(n)],
            "TRT01P": np.resize(["A", "B"], n),
            "DT": rng.exponential(10, n).round(1),
            "DC": rng.integers(0, 2, n),
            "STAGE": rng.integers(0, 5, n).astype(float),
            "S": np.repeat([0, 1], n // 2),
        }
    )


def measures(result: object) -> pd.DataFrame:
    return result.table.set_index("measure")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["all", "edema"])
def test_summaries_equal_loops_over_pairs(shared_data: Path, reference: Path, name: str) -> None:
    pbc = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbc.csv").dropna(subset=["trt"])
    pbc["DEATH"], pbc["TRANSPLANT"] = (pbc["status"] != 2).astype(int), (pbc["status"] != 1) * 1
    result = lt.win_ratio(
        pbc,
        hierarchy=[
            {"name": "death", "time": "time", "censor": "DEATH"},
            {"name": "transplant", "time": "time", "censor": "TRANSPLANT"},
            {"name": "albumin", "value": "albumin", "margin": 0.2},
        ],
        arm="trt",
        reference=2,
        strata=None if name == "all" else "edema",
    )
    r = pd.read_csv(reference / "win_ratio.csv").query(f"name == '{name}'")
    for column in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        np.testing.assert_allclose(result.table[column], r[column], rtol=1e-8)


def test_hand_worked_pairs() -> None:
    result = lt.win_ratio(four(), hierarchy=HIERARCHY, reference="B")
    # A1-B1: A1 died first, loss. A1-B2: B2 known alive past 2, loss. A2-B1: win.
    # A2-B2: B2 was lost, nobody knows; stages 2 and 2 tie.
    table = measures(result)
    assert table.loc["win_ratio", "estimate"] == pytest.approx(1 / 2)
    assert table.loc["win_odds", "estimate"] == pytest.approx(1.5 / 2.5)
    assert table.loc["net_benefit", "estimate"] == pytest.approx(-1 / 4)
    steps = result.levels.set_index("outcome")
    assert steps.loc["death", ["wins", "losses", "ties"]].tolist() == [1, 2, 1]
    assert steps.loc["stage", ["wins", "losses", "ties"]].tolist() == [0, 0, 1]


def test_a_censored_subject_outlives_an_event_at_the_same_time() -> None:
    data = pd.DataFrame({"TRT01P": ["A", "B"], "DT": [5.0, 5], "DC": [1, 0]})
    assert lt.win_ratio(data, hierarchy=[DEATH], reference="B").levels["wins"].item() == 1
    both = data.assign(DC=0)
    assert lt.win_ratio(both, hierarchy=[DEATH], reference="B").levels["ties"].item() == 1


def test_a_lower_value_wins_when_lower_is_better_and_margins_tie() -> None:
    data = pd.DataFrame({"TRT01P": ["A", "B"], "STAGE": [1.0, 1.5]})
    assert lt.win_ratio(data, hierarchy=[STAGE], reference="B").levels["wins"].item() == 1
    close = Outcome("stage", value="STAGE", better="lower", margin=0.5)
    assert lt.win_ratio(data, hierarchy=[close], reference="B").levels["ties"].item() == 1


def test_one_value_without_ties_is_the_auc_with_delong_variance() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(0.4, 1, 21), rng.normal(0, 1, 17)
    data = pd.DataFrame({"TRT01P": ["A"] * 21 + ["B"] * 17, "V": [*x, *y]})
    row = measures(lt.win_ratio(data, hierarchy=[Outcome("v", value="V")], reference="B"))
    placed = placements(x, y)
    assert row.loc["net_benefit", "estimate"] == pytest.approx(2 * placed.auc - 1)
    assert row.loc["net_benefit", "std_error"] == pytest.approx(2 * np.sqrt(placed.variance))


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_swapping_arms_inverts_ratios_and_negates_the_benefit(seed: int) -> None:
    data = trial(seed)
    one = measures(lt.win_ratio(data, hierarchy=HIERARCHY, reference="B"))
    two = measures(lt.win_ratio(data, hierarchy=HIERARCHY, reference="A"))
    for name in ("win_ratio", "win_odds"):
        assert one.loc[name, "estimate"] == pytest.approx(1 / two.loc[name, "estimate"])
        assert one.loc[name, "conf_low"] == pytest.approx(1 / two.loc[name, "conf_high"])
    assert one.loc["net_benefit", "conf_low"] == pytest.approx(
        -two.loc["net_benefit", "conf_high"]
    )


def test_row_order_changes_nothing_and_wins_losses_ties_are_all_pairs() -> None:
    data = trial(6)
    one = lt.win_ratio(data, hierarchy=HIERARCHY, reference="B")
    two = lt.win_ratio(data.sample(frac=1, random_state=1), hierarchy=HIERARCHY, reference="B")
    pd.testing.assert_frame_equal(one.table, two.table)
    steps = one.levels
    assert steps["wins"].sum() + steps["losses"].sum() + steps["ties"].iloc[-1] == 20 * 20


def test_a_constant_stratum_changes_nothing() -> None:
    data = trial(6).assign(S="x")
    one = lt.win_ratio(data, hierarchy=HIERARCHY, reference="B").table
    two = lt.win_ratio(data, hierarchy=HIERARCHY, reference="B", strata="S").table
    np.testing.assert_allclose(one["conf_low"], two["conf_low"])


def test_a_missing_value_ties_at_its_step_and_is_counted() -> None:
    data = four()
    data.loc[0, "DT"] = np.nan
    result = lt.win_ratio(data, hierarchy=HIERARCHY, reference="B")
    steps = result.levels.set_index("outcome")
    assert steps.loc["death", "missing"] == 2
    assert steps.loc["stage", "wins"] == 2  # stage 1 beats 3 and 2
    all_missing = lt.win_ratio(
        data.assign(DT=np.nan, STAGE=np.nan), hierarchy=HIERARCHY, reference="B"
    )
    assert np.isnan(measures(all_missing).loc["win_ratio", "estimate"])
    assert np.isnan(measures(all_missing).loc["net_benefit", "estimate"])
    assert "no pair with B has a value" in all_missing.notes[0]


def test_no_loss_is_an_infinite_ratio_without_limits() -> None:
    data = pd.DataFrame({"TRT01P": list("AABB"), "STAGE": [0.0, 0, 1, 2]})
    result = lt.win_ratio(data, hierarchy=[STAGE], reference="B")
    row = measures(result)
    assert np.isinf(row.loc["win_ratio", "estimate"])
    assert np.isnan(row.loc["win_ratio", "conf_low"])
    assert row.loc["net_benefit", "estimate"] == 1
    assert "no limits" in result.notes[-1]


def test_all_tied_is_nan_and_one_subject_has_no_limits() -> None:
    tied = pd.DataFrame({"TRT01P": list("AABB"), "STAGE": [1.0] * 4})
    row = measures(lt.win_ratio(tied, hierarchy=[STAGE], reference="B"))
    assert np.isnan(row.loc["win_ratio", "estimate"])
    assert row.loc["win_odds", "estimate"] == 1
    assert np.isnan(row.loc["win_odds", "conf_low"])
    single = lt.win_ratio(four().iloc[1:], hierarchy=HIERARCHY, reference="B")
    assert np.isnan(single.table["conf_low"]).all()


def test_an_arm_without_subjects_is_nan_with_a_note() -> None:
    data = four()
    data["TRT01P"] = pd.Categorical(data["TRT01P"], categories=["A", "B", "C"])
    result = lt.win_ratio(data, hierarchy=HIERARCHY, reference="B")
    assert result.table.query("arm == 'C'")["estimate"].isna().all()
    assert "C: no pair with B" in result.notes


@pytest.mark.parametrize(
    ("hierarchy", "match"),
    [
        ([], "at least one"),
        ([{"name": "x", "time": "DT"}], "value, or time and censor"),
        ([{"name": "x", "value": "STAGE", "worse": "high"}], "an outcome has"),
        ([{"name": "x", "value": "STAGE", "better": "big"}], "higher or lower"),
    ],
)
def test_bad_hierarchies_are_usage_errors(hierarchy: list[object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        lt.win_ratio(four(), hierarchy=hierarchy, reference="B")  # type: ignore[arg-type]


def test_bad_flags_and_times_are_errors() -> None:
    with pytest.raises(DataError, match="DC: 4 cell"):
        lt.win_ratio(four().assign(DC=-1), hierarchy=HIERARCHY, reference="B")
    with pytest.raises(DataError, match="4 negative"):
        lt.win_ratio(four().assign(DT=-1.0), hierarchy=HIERARCHY, reference="B")


@pytest.mark.slow
def test_limits_of_the_win_ratio_cover_95_percent() -> None:
    rng = np.random.default_rng(12)
    hits, runs = 0, 400
    for _ in range(runs):
        data = pd.DataFrame({"TRT01P": np.resize(["A", "B"], 100), "V": rng.exponential(1, 100)})
        data.loc[data["TRT01P"] == "A", "V"] *= 1.5  # P(win) = 1.5 / 2.5
        row = measures(lt.win_ratio(data, hierarchy=[Outcome("v", value="V")], reference="B"))
        hits += row.loc["win_ratio", "conf_low"] <= 1.5 <= row.loc["win_ratio", "conf_high"]
    assert abs(hits / runs - 0.95) < 0.035
