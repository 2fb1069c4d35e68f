"""Severity of tissue types: R, hand-worked flows, no leaks, no effect, no data."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints._severity import fold_severities, severities
from livertrack.errors import DataError, UsageError
from livertrack.simulate import tissue
from livertrack.simulate.flows import simulate_flows

TYPES = [f"TV{n:02d}" for n in range(1, 9)]


def _features(trial, seed=0, noise=0.6):
    """Baseline shares as labelled, and an activity score read from the true baseline state."""
    wide = trial.composition.query("AVISIT == 'Week 12'").pivot_table(
        index="USUBJID", columns="PARAMCD", values="BASE"
    )
    state = pd.DataFrame(trial.states["Baseline"], index=trial.adsl["USUBJID"])
    score = 4 * state[tissue.MILD - 1] + 8 * state[tissue.SEVERE - 1]
    score += 12 * state[tissue.INFLAMED - 1] + 9 * state[tissue.FINE - 1]
    score += 14 * state[tissue.COARSE - 1]
    noisy = score + noise * np.random.default_rng(seed).normal(size=len(score))
    return wide.join(noisy.rename("NAS")).reset_index()


@pytest.fixture(scope="module")
def trial():
    return simulate_flows(n_per_arm=40, seed=8, arms=("Placebo", "Active"))


@pytest.fixture(scope="module")
def found(trial):
    return lt.type_severity(
        _features(trial), outcome="NAS", adpath=trial.adpath, reference="Placebo", n_boot=200,
        n_perm=199, n_repeats=4, seed=1, strata="SITEID",
    )  # fmt: skip


def test_severities_equal_ridge_regression_in_r(reference):
    data = pd.read_csv(reference / "type_severity_data.csv")
    expected = pd.read_csv(reference / "type_severity.csv")
    got = severities(data.filter(like="TV").to_numpy(), data["NAS"].to_numpy())
    # R printed 17 digits; solve of near-collinear shares costs the rest
    np.testing.assert_allclose(got, expected["severity"], rtol=1e-8)


def test_planted_severities_come_out_in_order(found):
    order = found.table.set_index("type")["estimate"]
    assert order[tissue.NORMAL] < order[tissue.SEVERE]
    assert order[tissue.NORMAL] < order[tissue.FINE]
    assert found.fit.set_index("metric").loc["r2", "estimate"] > 0.5
    known = found.directions.set_index(["from_type", "to_type"])
    assert known.loc[(tissue.SEVERE, tissue.NORMAL), "direction"] == "improvement"
    assert known.loc[(tissue.NORMAL, tissue.SEVERE), "direction"] == "worsening"
    assert set(known["direction"]) <= {"improvement", "worsening", "unclear"}


def test_the_active_arm_improves_and_the_score_falls(found):
    late = found.flows.query("visit == 'Week 48'").set_index("measure")
    assert late.loc["net", "estimate"] > 0
    assert late.loc["net", "p_adjusted"] < 0.05
    assert late.loc["severity_change", "estimate"] < 0
    assert late.loc["net", "estimate"] == pytest.approx(
        late.loc["improvement", "estimate"] - late.loc["worsening", "estimate"]
    )
    assert "net improvement" in found.text


def test_measures_of_a_hand_worked_liver():
    # severities 0 and 1 by construction: the outcome is the share of type 2
    rng = np.random.default_rng(0)
    two = rng.uniform(0.1, 0.9, 30)
    features = pd.DataFrame(
        {"USUBJID": [f"{n:02d}" for n in range(30)], "TV01": 1 - two, "TV02": two, "Y": two}
    )
    rows = [
        {"USUBJID": f"{n:02d}", "TRT01P": "A" if n % 2 else "P", "AVISIT": "W", "REGION": "",
         "FROMTYPE": i + 1, "TOTYPE": j + 1, "AVAL": flow[i][j]}
        for n in range(30)
        for flow in ([[0.5, 0.05], [0.15 if n % 2 else 0.05, 0.3 if n % 2 else 0.4]],)
        for i in range(2) for j in range(2)
    ]  # fmt: skip
    got = lt.type_severity(
        features, outcome="Y", adpath=pd.DataFrame(rows), reference="P", n_boot=50, n_perm=99,
        seed=1,
    )  # fmt: skip
    # ridge shrinks the two severities towards each other, hardly so without noise
    np.testing.assert_allclose(got.table["estimate"], [0, 1], atol=0.02)
    mean = got.flows.set_index("measure")[["mean_arm", "mean_ref"]]
    np.testing.assert_allclose(mean.loc["improvement"], [0.15, 0.05])
    np.testing.assert_allclose(mean.loc["worsening"], [0.05, 0.05])
    np.testing.assert_allclose(mean.loc["net"], [0.10, 0.0], atol=1e-12)
    np.testing.assert_allclose(mean.loc["severity_change"], [-0.10, 0.0], atol=0.005)


def test_a_subject_takes_no_part_in_its_own_severities():
    rng = np.random.default_rng(2)
    shares, y, fold = rng.dirichlet(np.ones(4), 30), rng.normal(size=30), np.arange(30) % 5
    before = fold_severities(shares, y, fold, 5)
    y[fold == 2] += 100
    after = fold_severities(shares, y, fold, 5)
    np.testing.assert_array_equal(before[2], after[2])
    assert (np.abs(before[[0, 1, 3, 4]] - after[[0, 1, 3, 4]]) > 1).any()


def test_an_outcome_unrelated_to_the_tissue_gives_no_direction(trial):
    features = _features(trial)
    features["NAS"] = np.random.default_rng(3).normal(size=len(features))
    got = lt.type_severity(features, outcome="NAS", n_boot=200, seed=1)
    assert got.fit.set_index("metric").loc["r2", "estimate"] < 0.1
    assert (got.directions["direction"] == "unclear").mean() > 0.5


def test_directions_are_antisymmetric(found):
    table = found.directions.set_index(["from_type", "to_type"])
    for (a, b), row in table.iterrows():
        assert row["difference"] == pytest.approx(-table.loc[(b, a), "difference"])
        assert row["agreement"] == pytest.approx(table.loc[(b, a), "agreement"])


def test_another_order_of_rows_changes_nothing(trial):
    features = _features(trial)
    arguments = {"outcome": "NAS", "reference": "Placebo", "n_boot": 20, "n_perm": 19, "seed": 4}
    one = lt.type_severity(features, adpath=trial.adpath, **arguments)
    two = lt.type_severity(
        features.sample(frac=1, random_state=1),
        adpath=trial.adpath.sample(frac=1, random_state=2), **arguments,
    )  # fmt: skip
    for name, frame in one.frames().items():
        pd.testing.assert_frame_equal(frame, two.frames()[name])


def test_the_ard_names_no_subject(trial, found):
    ard = found.to_ard(analysis="severity")
    cells = set(ard.astype(str).to_numpy().ravel())
    assert not cells & set(trial.adsl["USUBJID"])
    stored = ard_result(ard)
    np.testing.assert_array_equal(stored.frames["flows"]["p_adjusted"], found.flows["p_adjusted"])
    assert len(found.scores) == trial.adpath[["USUBJID", "AVISIT"]].drop_duplicates().shape[0]


def test_subjects_without_outcome_are_scored_by_the_others(trial):
    features = _features(trial)
    features.loc[:9, "NAS"] = np.nan
    got = lt.type_severity(
        features, outcome="NAS", adpath=trial.adpath, reference="Placebo", n_boot=20, n_perm=19,
        seed=1,
    )  # fmt: skip
    assert any(f"10 of {len(features)} subjects without NAS" in note for note in got.notes)
    assert set(features["USUBJID"][:10]) <= set(got.scores["USUBJID"])


def test_a_type_that_never_varies_has_the_mean_outcome():
    rng = np.random.default_rng(5)
    shares = np.column_stack([rng.uniform(0.2, 0.8, 20), np.zeros(20), np.zeros(20)])
    shares[:, 2] = 1 - shares[:, 0]
    got = severities(shares, 3 * shares[:, 0])
    assert got[0] > got[1] > got[2]
    assert np.isnan(severities(shares[:2], np.ones(2))).all()
    np.testing.assert_array_equal(severities(np.full((9, 2), 0.5), np.arange(9.0)), [4, 4])


@pytest.mark.parametrize(
    ("change", "arguments", "error", "match"),
    [
        (lambda f: f.drop(columns=TYPES), {}, DataError, "no column of shares"),
        (lambda f: f, {"outcome": "TV01"}, UsageError, "leave it out of types"),
        (lambda f: f[:8], {}, DataError, "8 subjects with NAS"),
        (lambda f: pd.concat([f, f[:1]]), {}, DataError, "1 duplicated"),
        (
            lambda f: f,
            {"types": TYPES[:4], "adpath": True},
            DataError,
            r"type\(s\) \[5, 6, 7, 8\]",
        ),
        (lambda f: f, {"adpath": True, "reference": None}, UsageError, "name the arm"),
    ],
)
def test_wrong_input_is_named(trial, change, arguments, error, match):
    given = {"outcome": "NAS", "reference": "Placebo", "n_boot": 10, "seed": 1, **arguments}
    if given.pop("adpath", False):
        given["adpath"] = trial.adpath
    with pytest.raises(error, match=match):
        lt.type_severity(change(_features(trial)), **given)
