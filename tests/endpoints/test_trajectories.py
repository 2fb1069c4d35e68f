"""Trajectories: hand-worked courses and sequences, planted early change, no early change."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints._trajectory_sequences import fates
from livertrack.errors import DataError, UsageError
from livertrack.simulate.flows import simulate_flows

QUICK = {"n_folds": 3, "n_repeats": 1, "n_perm": 39, "n_boot": 99, "seed": 1}
VISITS = {"baseline": "Baseline", "early": "Week 12", "late": "Week 48"}


def _run(data, **arguments):
    return lt.trajectories(data, **{"reference": "Placebo", **VISITS, **QUICK, **arguments})


@pytest.fixture(scope="module")
def trial():
    return simulate_flows(n_per_arm=30, seed=4, arms=("Placebo", "Active"))


def _outcome(trial, weight, noise=1.0, seed=0):
    """A late outcome that follows the subject's own early fall of severe steatosis (type 3)."""
    early = trial.composition.query("AVISIT == 'Week 12' and PARAMCD == 'TV03'")
    rng = np.random.default_rng(seed)
    own = early["CHG"] - early.groupby("TRT01P")["CHG"].transform("mean")
    value = weight * own / own.std() + noise * rng.normal(size=len(early))
    return pd.DataFrame({"USUBJID": early["USUBJID"], "AVAL": value})


def _sequences(rows):
    return pd.DataFrame(
        [
            {"USUBJID": s, "VISITS": "Baseline > Week 12 > Week 48", "REGION": "", "PATH": path,
             "AVAL": share, "NVOX": 100}
            for s, paths in rows.items() for path, share in paths.items()
        ]
    )  # fmt: skip


def test_hand_worked_fates():
    table = fates(
        _sequences({
            "a": {"1-1-1": 0.5, "1-2-2": 0.2, "1-2-1": 0.1, "1-1-2": 0.05, "1-2-3": 0.15},
            "b": {"2-2-2": 1.0},
        }), early="Week 12", late="Week 48", subject="USUBJID", directions=None,
    )  # fmt: skip
    row = table.loc[("a", "")]
    assert row["stable"] == pytest.approx(0.5)
    assert row["early and kept"] == pytest.approx(0.2)
    assert row["early and undone"] == pytest.approx(0.1)
    assert row["late"] == pytest.approx(0.05)
    assert row["changed again"] == pytest.approx(0.15)
    assert table.loc[("b", ""), "stable"] == 1


def test_directions_tell_improvement_from_worsening():
    directions = pd.DataFrame(
        {"from_type": [1, 2], "to_type": [2, 1], "direction": ["worsening", "improvement"]}
    )
    table = fates(
        _sequences({"a": {"1-2-2": 0.3, "2-1-1": 0.2, "1-1-2": 0.1, "1-3-3": 0.4}}),
        early="Week 12", late="Week 48", subject="USUBJID", directions=directions,
    )  # fmt: skip
    assert table.iloc[0].to_dict() == pytest.approx(
        {
            "improvement, early and kept": 0.2, "unclear, early and kept": 0.4,
            "worsening, early and kept": 0.3, "worsening, late": 0.1,
        }
    )  # fmt: skip


def test_fates_differ_where_they_were_planted(trial):
    rng = np.random.default_rng(3)
    rows = {}
    for subject, arm in zip(trial.adsl["USUBJID"], trial.adsl["TRT01P"], strict=True):
        kept = 0.05 + 0.15 * (arm == "Active") + 0.02 * rng.random()
        undone = 0.05 + 0.02 * rng.random()
        rows[subject] = {"1-1-1": 1 - kept - undone, "1-2-2": kept, "1-2-1": undone}
    got = _run(trial.composition, sequences=_sequences(rows), subjects=trial.adsl, strata="SITEID")
    table = got.fates.set_index("fate")
    assert table.loc["early and kept", "estimate"] == pytest.approx(0.15, abs=0.01)
    assert table.loc["early and kept", "p_adjusted"] < 0.05
    assert table.loc["early and undone", "p_adjusted"] > 0.05
    assert "early and kept" in got.text


def test_courses_are_means_by_arm_and_visit(trial):
    got = _run(trial.composition)
    row = got.courses.query("arm == 'Active' and visit == 'Week 48' and parameter == 'TV02'").iloc[
        0
    ]
    cells = trial.composition.query(
        "TRT01P == 'Active' and AVISIT == 'Week 48' and PARAMCD == 'TV02'"
    )
    assert row["mean"] == pytest.approx(cells["AVAL"].mean())
    assert row["change"] == pytest.approx(cells["CHG"].mean())
    assert row["n"] == len(cells)
    sums = got.courses.groupby(["arm", "visit"])["mean"].sum()
    np.testing.assert_allclose(sums, 1)
    assert set(got.courses["visit"]) == {"Baseline", "Week 12", "Week 48"}
    assert got.table.empty


def test_persistence_equals_the_correlation_of_changes(trial):
    got = (
        _run(trial.composition).persistence.set_index(["arm", "parameter"]).loc[("Active", "TV03")]
    )
    wide = trial.composition.query("TRT01P == 'Active' and PARAMCD == 'TV03'").pivot_table(
        index="USUBJID", columns="AVISIT", values="CHG"
    ).dropna()  # fmt: skip
    x, y = wide["Week 12"], wide["Week 48"]
    assert got["r"] == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert got["slope"] == pytest.approx(np.polyfit(x, y, 1)[0])
    assert got["fraction"] == pytest.approx(x.mean() / y.mean())
    assert got["conf_low"] < got["r"] < got["conf_high"]


def test_planted_early_change_adds_to_arm_and_baseline(trial):
    got = _run(trial.composition, outcome=_outcome(trial, 1.5, 0.7))
    row = got.increment.iloc[0]
    assert row["difference"] > 0.2
    assert row["p_value"] <= 0.05
    assert row["difference"] == pytest.approx(row["estimate_with"] - row["estimate_without"])
    assert row["conf_low"] <= row["difference"] <= row["conf_high"]
    assert "cross-fitted R2" in got.text


def test_early_change_that_tells_nothing_adds_nothing(trial):
    got = _run(trial.composition, outcome=_outcome(trial, 0.0, seed=5))
    assert got.increment["p_value"].iloc[0] > 0.05
    assert got.increment["difference"].iloc[0] < 0.1


def test_a_binary_outcome_has_an_auc(trial):
    outcome = _outcome(trial, 2.0, 0.5)
    outcome["AVAL"] = (outcome["AVAL"] > outcome["AVAL"].median()).astype(int)
    got = _run(trial.composition, outcome=outcome, task="binary", n_perm=19)
    assert got.increment["metric"].iloc[0] == "auc"
    assert 0.5 < got.increment["estimate_with"].iloc[0] <= 1


def test_another_order_of_rows_changes_nothing(trial):
    arguments = {"outcome": _outcome(trial, 1.0), "n_perm": 9}
    one = _run(trial.composition, **arguments)
    two = _run(trial.composition.sample(frac=1, random_state=2), **arguments)
    for name, frame in one.frames().items():
        pd.testing.assert_frame_equal(frame, two.frames()[name])


def test_the_ard_names_no_subject(trial):
    got = _run(trial.composition, outcome=_outcome(trial, 1.0), n_perm=0)
    ard = got.to_ard(analysis="t")
    assert not set(ard.astype(str).to_numpy().ravel()) & set(trial.adsl["USUBJID"])
    assert list(ard_result(ard).frames) == ["table", "increment", "courses", "persistence"]
    assert np.isnan(got.increment["p_value"].iloc[0])


def test_a_missing_visit_is_missing_and_not_unchanged(trial):
    gone = trial.adsl["USUBJID"].iloc[:6]
    data = trial.composition
    data = data[~(data["USUBJID"].isin(gone) & data["AVISIT"].eq("Week 12"))]
    got = _run(data, outcome=_outcome(trial, 1.0), subjects=trial.adsl, n_perm=0)
    early = data[data["AVISIT"] == "Week 12"]["USUBJID"].nunique()
    assert got.increment["n"].iloc[0] <= early
    assert any("not in the prediction" in note for note in got.notes)


@pytest.mark.parametrize(
    ("change", "arguments", "error", "match"),
    [
        (lambda d: d, {"early": "Week 9"}, DataError, "no record at Week 9"),
        (lambda d: d, {"task": "ordinal"}, UsageError, "binary or continuous"),
        (lambda d: d, {"reference": "Sham"}, DataError, "Sham"),
        (lambda d: d.assign(PARAMCD="ALT"), {}, DataError, "no record of a tissue type"),
        (lambda d: pd.concat([d, d[:3]]), {}, DataError, "3 duplicated"),
        (lambda d: d.drop(columns="BASE"), {}, DataError, "BASE"),
        (lambda d: d.assign(BASE=d["AVAL"]), {}, DataError, "BASE differs between visits"),
    ],
)
def test_wrong_input_is_named(trial, change, arguments, error, match):
    with pytest.raises(error, match=match):
        _run(change(trial.composition), **arguments)
