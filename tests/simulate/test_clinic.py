"""Biopsies, labs, imaging measures, events and dropout do what their docstrings say."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from livertrack._seeds import generator
from livertrack.simulate import ClinicSettings, tissue
from livertrack.simulate.anatomy import draw_anatomy
from livertrack.simulate.biopsy import core_shares, read_scores, true_scores, with_summary
from livertrack.simulate.cohort import arm_doses, draw_cohort
from livertrack.simulate.dropout import simulate_dropout
from livertrack.simulate.events import (
    RATES_PER_100_YEARS,
    event_time,
    simulate_event,
    yearly_hazard,
)
from livertrack.simulate.labs import alt_change, simulate_labs
from livertrack.simulate.measures import simulate_measures, true_measures
from livertrack.simulate.scan import Physiology
from livertrack.simulate.severity import draw_severity

WEEKS = {"Baseline": 0, "Week 12": 12, "Week 48": 48}
EXACT = ClinicSettings(
    alt_cv=0.0, ast_cv=0.0, platelet_cv=0.0, pdff_sd=0.0, stiffness_cv=0.0, t1_cv=0.0, misread={}
)


def shares(**parts: float) -> np.ndarray:
    """Composition by name of the state; the rest is normal."""
    names = {"mild": 2, "severe": 3, "fine": 4, "coarse": 5, "inflamed": 6}
    found = np.zeros(8)
    for name, value in parts.items():
        found[names[name] - 1] = value
    found[0] = 1 - found.sum()
    return found


def test_biopsy_scores_hand_worked():
    normal = with_summary(true_scores(shares()))
    assert normal == {
        "STEATOSIS": 0, "INFLAM": 0, "BALLOON": 0, "FIBROSIS": 0, "NAS": 0, "NASH": 0,
    }  # fmt: skip
    # hepatocytes with fat: 0.4 x 95 + 0.3 x 3 + 0.1 x 10 + 0.2 x 5 = 40.9 %: grade 2;
    # foci 1.4: grade 1; ballooning 0.5 + 0.48 = 0.98: grade 1; collagen 0.2: stage 2.
    ill = with_summary(true_scores(shares(severe=0.4, inflamed=0.1, fine=0.2)))
    assert ill == {
        "STEATOSIS": 2, "INFLAM": 1, "BALLOON": 1, "FIBROSIS": 2, "NAS": 4, "NASH": 1,
    }  # fmt: skip
    assert true_scores(shares(severe=0.9))["STEATOSIS"] == 3
    assert true_scores(shares(coarse=0.4))["FIBROSIS"] == 4
    assert true_scores(shares(inflamed=0.4))["INFLAM"] == 3


def test_nash_needs_all_three_features():
    parts = {"STEATOSIS": 1, "INFLAM": 1, "BALLOON": 0, "FIBROSIS": 4}
    assert with_summary(parts)["NASH"] == 0
    assert with_summary({**parts, "BALLOON": 1})["NASH"] == 1


def test_reader_without_error_reads_the_truth():
    true = {"STEATOSIS": 3, "INFLAM": 0, "BALLOON": 1, "FIBROSIS": 2}
    assert read_scores(generator(1, "r"), true, {}) == true


def test_reader_error_is_one_grade_and_as_frequent_as_stated():
    rng = generator(1, "r")
    read = [read_scores(rng, {"FIBROSIS": 2}, {"FIBROSIS": 0.3})["FIBROSIS"] for _ in range(4000)]
    counts = np.bincount(read, minlength=5) / 4000
    assert counts[[0, 4]].tolist() == [0, 0]
    assert counts[1] == pytest.approx(0.15, abs=0.02)
    assert counts[3] == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize(
    ("score", "published"),
    [("FIBROSIS", 0.84), ("STEATOSIS", 0.79), ("BALLOON", 0.56), ("INFLAM", 0.45)],
)
def test_two_readers_agree_as_published(score: str, published: float):
    rng = generator(2, "readers")
    misread = ClinicSettings().misread
    pairs = []
    for _ in range(1500):
        severity = draw_severity(
            rng, age=rng.normal(52, 11), bmi=rng.normal(34, 5), diabetes=rng.random() < 0.5
        )
        whole = np.zeros(8)
        for code, share in severity.proportions.items():
            whole[code - 1] = share
        whole[0] = 1 - whole.sum()
        true = true_scores(0.75 * whole + 0.25 * rng.dirichlet(3 * whole + 1e-3))
        pairs.append([read_scores(rng, true, misread)[score] for _ in range(2)])
    first, second = np.transpose(pairs)
    assert cohen_kappa_score(first, second, weights="linear") == pytest.approx(published, abs=0.08)


def test_a_core_of_one_tissue_is_that_tissue():
    anatomy = draw_anatomy(generator(1, "a"), shape=(48, 36, 16), spacing=(6.0, 6.0, 8.0))
    states = np.where(anatomy.liver, tissue.FINE, 0).astype(np.uint8)
    core = core_shares(generator(1, "core"), anatomy, states)
    assert core.tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_cores_of_a_patchy_liver_differ():
    anatomy = draw_anatomy(generator(1, "a"), shape=(48, 36, 16), spacing=(6.0, 6.0, 8.0))
    half = np.arange(36)[None, :, None] < 18
    states = np.where(anatomy.liver, np.where(half, tissue.NORMAL, tissue.SEVERE), 0)
    rng = generator(1, "cores")
    severe = [core_shares(rng, anatomy, states.astype(np.uint8))[2] for _ in range(40)]
    assert min(severe) < 0.1
    assert max(severe) > 0.9


def test_published_changes_of_alt_are_reached_at_week_12():
    settings = ClinicSettings()
    week12 = [alt_change(dose, 1.0, 0.25, settings) for dose in arm_doses(3)]
    assert week12 == pytest.approx([-8.3, -18.1, -23.0], abs=0.05)
    assert alt_change(1.0, 0.0, 0.25, settings) == -8.3
    assert alt_change(1.0, 1.0, 0.0, settings) == 0.0
    # over subjects the mean change is the stated one, since responses have mean 1
    changes = []
    for i in range(400):
        severity = draw_severity(generator(9, i), bmi=38.0)
        labs = simulate_labs(
            generator(9, "labs", i), severity, dose=1.0, effect=1.0, visits=WEEKS, settings=EXACT
        )
        alt = labs[labs["PARAMCD"] == "ALT"].set_index("AVISITN")["AVAL"]
        changes.append(alt[12] - alt[0])
    assert np.mean(changes) == pytest.approx(-23.0, abs=1.5)


def test_lab_noise_has_the_published_spread():
    severity = draw_severity(generator(1, "s"))
    visits = {f"Visit {i}": 0 for i in range(1)} | {f"Later {i}": i for i in range(12, 2012)}
    labs = simulate_labs(
        generator(1, "l"), severity, dose=0.0, effect=1.0, visits=visits,
        settings=dataclasses.replace(ClinicSettings(), alt_placebo=0.0),
    )  # fmt: skip
    values = labs.groupby("PARAMCD")["AVAL"]
    cv = (values.std() / values.mean()).to_dict()
    assert cv == pytest.approx({"ALT": 0.204, "AST": 0.139, "PLAT": 0.091}, rel=0.08)


def test_measures_follow_the_tissue():
    plain = Physiology()
    fatty, normal = true_measures(shares(severe=1.0), plain), true_measures(shares(), plain)
    assert fatty["PDFF"] == pytest.approx(27.0)
    assert normal["PDFF"] == pytest.approx(3.0)
    assert true_measures(shares(coarse=0.5), plain)["STIFF"] == pytest.approx(2.1 + 3.75)
    exact = simulate_measures(
        generator(1, "m"), shares(severe=1.0), plain, visit="Baseline", week=0, settings=EXACT
    )
    assert exact.set_index("PARAMCD")["AVAL"].to_dict() == pytest.approx(fatty, abs=0.01)
    rng = generator(2, "m")
    many = pd.concat(
        simulate_measures(
            rng, shares(coarse=0.2), plain, visit="Baseline", week=0, settings=ClinicSettings()
        )
        for _ in range(800)
    ).groupby("PARAMCD")["AVAL"]
    cv = many.std() / many.mean()
    assert cv["STIFF"] == pytest.approx(0.21, rel=0.1)
    assert cv["T1"] == pytest.approx(0.05, rel=0.1)


def test_event_time_hand_worked():
    # one event per year from the start: threshold 1 is reached after a year
    assert event_time(1.0, [1.0], [0.0]) == pytest.approx(365.25)
    # half a year at rate 1, then rate 2: the second half takes a quarter of a year
    assert event_time(1.0, [1.0, 2.0], [0.0, 182.625]) == pytest.approx(182.625 + 91.3125)
    assert event_time(1.0, [0.0, 0.0], [0.0, 100.0]) == float("inf")


def test_hazard_is_published_at_its_stages_and_grows_with_fibrosis():
    base = shares(inflamed=0.10)
    assert yearly_hazard(base, scale=1.0) == pytest.approx(RATES_PER_100_YEARS[0] / 100)
    rates = [yearly_hazard(shares(coarse=c, inflamed=0.10), scale=1.0) for c in (0.1, 0.216, 0.4)]
    assert rates[0] < rates[1] < rates[2]
    assert rates[1] == pytest.approx(RATES_PER_100_YEARS[1] / 100, rel=0.01)
    assert rates[2] == pytest.approx(RATES_PER_100_YEARS[2] / 100)
    assert yearly_hazard(base, scale=20.0) == pytest.approx(20 * yearly_hazard(base, scale=1.0))


def test_censor_code_0_is_the_event():
    common = {"weeks": [0.0], "follow_up_weeks": (100.0, 100.0)}
    ill, well = [shares(coarse=0.4)], [shares()]
    event = simulate_event(
        generator(1, "e"), ill, scale=1e6, withdrawn_week=None, **common
    )  # fmt: skip
    assert (event["CNSR"], event["AVAL"]) == (0, 1.0)
    assert event["EVNTDESC"]
    end = simulate_event(generator(1, "e"), well, scale=0.0, withdrawn_week=None, **common)
    assert (end["CNSR"], end["AVAL"]) == (1, 700.0)
    left = simulate_event(generator(1, "e"), well, scale=0.0, withdrawn_week=20.0, **common)
    assert (left["CNSR"], left["AVAL"]) == (2, 140.0)
    assert not left["EVNTDESC"]


def fake_trial(n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    cohort = pd.DataFrame({"USUBJID": [f"S{i:03d}" for i in range(n)]})
    rows = [
        {"USUBJID": s, "PARAMCD": "ALT", "AVISITN": week, "AVAL": 40.0 + i % 50}
        for i, s in enumerate(cohort["USUBJID"])
        for week in (0, 12, 48)
    ]
    return cohort, pd.DataFrame(rows)


@pytest.mark.parametrize(("dropout", "expected"), [(0.0, 0), (0.1, 6), (0.25, 15)])
def test_exactly_the_stated_proportion_leaves(dropout: float, expected: int):
    cohort, labs = fake_trial(60)
    left = simulate_dropout(generator(1, "d"), cohort, labs, dropout=dropout, weeks=(0, 12, 48))
    assert left["WEEK"].notna().sum() == expected
    assert (left["EOSSTT"] == "DISCONTINUED").sum() == expected
    assert (left.loc[left["WEEK"].isna(), "DCSREAS"] == "").all()
    assert (left["WEEK"].dropna() < 48).all()


def test_leaving_depends_on_observed_alt():
    cohort, labs = fake_trial(100)
    alt = labs[labs["AVISITN"] == 0].set_index("USUBJID")["AVAL"]
    gone = [
        alt[left.loc[left["WEEK"].notna(), "USUBJID"]].mean()
        for i in range(30)
        for left in [
            simulate_dropout(generator(i, "d"), cohort, labs, dropout=0.2, weeks=(0, 12, 48))
        ]
    ]
    assert np.mean(gone) > alt.mean() + 2


def test_arms_are_equal_and_balanced_in_the_stratum():
    cohort = draw_cohort(3, n_per_arm=17, arms=("P", "L", "H"), n_sites=4, n_scanners=3)
    assert cohort["TRT01P"].value_counts().tolist() == [17, 17, 17]
    by = cohort.groupby(["DIABFL", "TRT01P"]).size().unstack()  # noqa: PD010
    assert (by.max(axis=1) - by.min(axis=1)).max() <= 2
    assert cohort["USUBJID"].is_unique
    assert cohort["SCANNER"].between(0, 2).all()
    one = draw_cohort(3, n_per_arm=17, arms=("P", "L", "H"), n_sites=4, n_scanners=1)
    assert (one["SCANNER"] == 0).all()


def test_doses_of_arms():
    assert arm_doses(2) == [0.0, 1.0]
    assert arm_doses(3) == pytest.approx([0.0, 2 / 3, 1.0])
    assert arm_doses(4) == pytest.approx([0.0, 2 / 3, 5 / 6, 1.0])
