"""Flows beyond scan-rescan noise: by hand, by simulation, without data."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result
from livertrack.errors import DataError, UsageError
from livertrack.simulate.flows import simulate_flows


def _records(cubes, arm="Active", visit="Week 48", first=0):
    rows = [
        {"USUBJID": f"{first + n:03d}", "TRT01P": arm, "AVISIT": visit, "AVISITN": 48,
         "REGION": "", "FROMTYPE": i + 1, "TOTYPE": j + 1, "AVAL": cube[i, j]}
        for n, cube in enumerate(cubes)
        for i, j in np.ndindex(cube.shape)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def trial():
    return simulate_flows(n_per_arm=24, seed=5, arms=("Placebo", "Active"))


def test_a_hand_worked_excess():
    cubes = np.array([[[0.4, 0.2], [0.0, 0.4]], [[0.6, 0.2], [0.0, 0.2]]])
    noise = np.array([[[0.5, 0.0], [0.0, 0.5]], [[0.4, 0.1], [0.1, 0.4]], [[0.6, 0.1], [0, 0.3]]])
    got = lt.beyond_noise(
        _records(cubes), _records(noise, visit="Repeat", first=90), n_boot=99, seed=1
    ).table
    row = got.query("from_type == 1").iloc[0]
    # noise: 0.2 / 1.7 of type 1; baseline of the two subjects 0.6 and 0.8
    p = 0.2 / 1.7
    assert row["mean"] == pytest.approx(0.2)
    assert row["expected"] == pytest.approx(0.7 * p)
    assert row["estimate"] == pytest.approx(0.2 - 0.7 * p)
    gaps = np.array([0.2 - 0.6 * p, 0.2 - 0.8 * p])
    rest = np.array([0.0 - 0.5 * p, 0.1 - 0.5 * p, 0.1 - 0.7 * p])
    variance = gaps.var(ddof=1) / 2 + 0.7**2 * (rest**2).sum() / 2 / 3 / (1.7 / 3) ** 2
    assert row["std_error"] == pytest.approx(np.sqrt(variance))
    assert (row["n"], row["n_repeat"]) == (2, 3)


def test_planted_flows_exceed_noise_and_the_reverse_ones_do_not(trial):
    got = lt.beyond_noise(trial.adpath, trial.repeats, visit="Week 48", n_boot=499, seed=1)
    table = got.table.query("arm == 'Active'").set_index(["from_type", "to_type"])
    assert (table.loc[[(2, 1), (3, 2), (6, 1)], "p_adjusted"] < 0.05).all()
    assert (table.loc[[(1, 2), (2, 3), (1, 6)], "p_adjusted"] > 0.5).all()
    assert (table["simultaneous_low"].dropna() <= table["conf_low"].dropna() + 1e-12).all()
    assert "exceed scan-rescan noise" in got.text


def test_repeat_scans_do_not_exceed_themselves(trial):
    subjects = trial.adsl["USUBJID"]
    one = trial.repeats[trial.repeats["USUBJID"].isin(subjects[::2])]
    two = trial.repeats[~trial.repeats["USUBJID"].isin(subjects[::2])]
    got = lt.beyond_noise(one.assign(AVISIT="Week 48"), two, n_boot=299, seed=1).table
    assert got["p_adjusted"].min() > 0.05
    assert abs(got["estimate"]).max() < 0.01


def test_order_of_rows_changes_nothing_and_the_seed_decides(trial):
    def run(data, seed=3):
        return lt.beyond_noise(data, trial.repeats, visit="Week 48", n_boot=99, seed=seed).table

    shuffled = trial.adpath.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(run(trial.adpath), run(shuffled))
    assert not run(trial.adpath)["p_value"].equals(run(trial.adpath, seed=4)["p_value"])


def test_the_ard_gives_everything_back(trial):
    got = lt.beyond_noise(trial.adpath, trial.repeats, visit="Week 48", n_boot=99, seed=3)
    stored = ard_result(got.to_ard(analysis="noise"))
    np.testing.assert_array_equal(stored.table["p_adjusted"], got.table["p_adjusted"])


def test_a_region_without_repeat_records_is_named(trial):
    shells = simulate_flows(n_per_arm=6, seed=5, n_shells=1, arms=("P", "A"))
    got = lt.beyond_noise(shells.adpath, trial.repeats, n_boot=99, seed=1)
    assert set(got.table["region"]) == {""}
    assert any("SHELL1" in note for note in got.notes)


def test_wrong_input_is_named(trial):
    two = pd.concat([trial.repeats, trial.repeats.assign(AVISIT="Other")])
    with pytest.raises(DataError, match="give one visit"):
        lt.beyond_noise(trial.adpath, two, seed=1)
    with pytest.raises(UsageError, match="n_boot"):
        lt.beyond_noise(trial.adpath, trial.repeats, n_boot=3, seed=1)
    with pytest.raises(DataError, match="none of the regions"):
        lt.beyond_noise(trial.adpath, trial.repeats.assign(REGION="X"), seed=1)


def test_a_single_subject_gives_an_estimate_without_p():
    cubes = np.array([[[0.4, 0.2], [0.0, 0.4]]])
    noise = np.array([[[0.5, 0.0], [0.0, 0.5]], [[0.4, 0.1], [0.1, 0.4]]])
    got = lt.beyond_noise(_records(cubes), _records(noise, first=9), n_boot=99, seed=1)
    assert got.table["estimate"].notna().all()
    assert got.table["p_value"].isna().all()
    assert any("only 2 subjects" in note for note in got.notes)
