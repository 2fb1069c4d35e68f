"""Stopping treatment and leaving: records, truth, and what imputation makes of them."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.simulate import load_truth, simulate_trial
from livertrack.simulate.clinic import ClinicSettings
from livertrack.simulate.intercurrent import LEFT, STOPPED, event_records
from livertrack.simulate.labs import simulate_labs
from livertrack.simulate.severity import draw_severity
from livertrack.simulate.states import subject_rates
from livertrack.simulate.subject import VISITS

TINY = {"shape": (32, 24, 12), "spacing": (9.0, 9.0, 10.0), "images": False}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ice") / "study"
    simulate_trial(folder, n_per_arm=8, seed=3, dropout=0.25, discontinuation=0.5, **TINY)
    return folder


def test_every_event_of_the_truth_is_a_record_at_the_next_visit(trial: Path) -> None:
    study, truth = lt.read_study(trial), load_truth(trial)
    assert study.findings == ()
    found = study.intercurrent.set_index(["ICETERM", "USUBJID"])["AVISITN"]
    subjects = truth.subjects.set_index("USUBJID")
    assert subjects["LEAVEWK"].notna().sum() == 6
    for term, column in ((STOPPED, "STOPWK"), (LEFT, "LEAVEWK")):
        weeks = subjects[column].dropna()
        assert set(found[term].index) == set(weeks.index)
        expected = weeks.map(lambda week: min(at for at in VISITS.values() if at > week))
        pd.testing.assert_series_equal(
            found[term].sort_index(), expected.sort_index(), check_names=False, check_dtype=False
        )
    both = subjects.dropna(subset=["STOPWK", "LEAVEWK"])
    assert (both["STOPWK"] < both["LEAVEWK"]).all()
    assert study.adsl.set_index("USUBJID")["EOSSTT"].eq("DISCONTINUED").sum() == 6


def test_true_values_leave_the_course_of_the_arm_only_after_stopping(trial: Path) -> None:
    truth = load_truth(trial)
    labs = truth.labs[truth.labs["PARAMCD"] == "ALT"]
    stop = labs["USUBJID"].map(truth.subjects.set_index("USUBJID")["STOPWK"])
    after = labs["AVISITN"] > stop
    active = labs["TRT01P"] != "Placebo"
    assert (labs.loc[~after | ~active, "AVAL"] == labs.loc[~after | ~active, "UNSTOPPED"]).all()
    assert after.any()
    # ALT is no lower than 14 U/L, so some may not move
    assert (labs.loc[after & active, "AVAL"] >= labs.loc[after & active, "UNSTOPPED"]).all()
    assert (labs.loc[after & active, "AVAL"] > labs.loc[after & active, "UNSTOPPED"]).any()


def test_without_stopping_or_leaving_there_is_no_dataset(tmp_path: Path) -> None:
    simulate_trial(tmp_path / "s", n_per_arm=1, seed=3, dropout=0.0, **TINY)
    assert not (tmp_path / "s/adam/adice.csv").exists()
    assert lt.read_study(tmp_path / "s").intercurrent.empty


def test_stopping_changes_no_one_else(trial: Path, tmp_path: Path) -> None:
    simulate_trial(tmp_path / "s", n_per_arm=8, seed=3, dropout=0.0, **TINY)
    simulate_trial(tmp_path / "t", n_per_arm=8, seed=3, dropout=0.0, discontinuation=0.5, **TINY)
    never, some = lt.read_study(tmp_path / "s"), lt.read_study(tmp_path / "t")
    keys = ["USUBJID", "PARAMCD", "AVISIT"]
    a, b = (s.records.set_index(keys)["AVAL"] for s in (never, some))
    differ = set(a.index[(a != b).to_numpy()].get_level_values("USUBJID"))
    stopped = set(some.intercurrent["USUBJID"])
    assert differ
    assert differ <= stopped
    assert len(stopped) == 12


def test_tissue_turns_at_the_rates_of_the_reference_after_stopping() -> None:
    call = {"effect": 1.0, "response": 1.0}
    stopped = subject_rates(dose=1.0, elapsed=1.0, stopped=0.25, **call)
    until = subject_rates(dose=1.0, elapsed=0.25, **call)
    placebo = subject_rates(dose=0.0, elapsed=1.0, **call)
    early = subject_rates(dose=0.0, elapsed=0.25, **call)
    for flow, rate in stopped.items():
        assert rate == pytest.approx(until[flow] + placebo[flow] - early[flow])
    assert subject_rates(dose=1.0, elapsed=0.2, stopped=0.25, **call) == subject_rates(
        dose=1.0, elapsed=0.2, **call
    )


def test_records_say_when_and_why() -> None:
    adsl = pd.DataFrame({"USUBJID": ["b", "a"], "SITEID": "1", "DCSREAS": ["LOST", ""]})
    stopped = pd.Series({"a": 12.0, "b": 3.2})
    left = pd.Series({"a": np.nan, "b": 20.0})
    table = event_records(adsl, stopped, left, VISITS)
    assert table["USUBJID"].tolist() == ["a", "b", "b"]
    assert table["AVISIT"].tolist() == ["Week 48", "Week 12", "Week 48"]
    assert table["ICEREAS"].tolist() == ["", "", "LOST"]
    assert table["ASTDY"].tolist() == [85, 23, 141]


def test_a_proportion_of_one_or_more_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="discontinuation is a proportion"):
        simulate_trial(tmp_path / "s", n_per_arm=1, seed=1, discontinuation=1.0, **TINY)


def test_imputation_recovers_the_truth_of_its_estimand() -> None:
    """Half of the active arm stops and is not seen again: what would be, and what will be."""
    n = 400
    settings = dataclasses.replace(ClinicSettings(), alt_cv=0.05)
    rows = []
    for i in range(n):
        dose = float(i % 2)
        stop = 6.0 if i % 4 == 1 else None
        labs = simulate_labs(
            generator(2, "labs", i), draw_severity(generator(2, i), bmi=40.0), dose=dose,
            effect=1.0, visits=VISITS, settings=settings, stopped=stop,
        )  # fmt: skip
        alt = labs[labs["PARAMCD"] == "ALT"]
        start = alt["AVAL"].iloc[0]
        rows += [
            {"USUBJID": f"S{i}", "TRT01P": ["Placebo", "Active"][i % 2], "BASE": start,
             "AVISIT": r.AVISIT, "CHG": r.AVAL - start if stop is None else np.nan,
             "POLICY": r.TRUE - alt["TRUE"].iloc[0], "ALWAYS": r.UNSTOPPED - alt["TRUE"].iloc[0]}
            for r in alt.iloc[1:].itertuples()
        ]  # fmt: skip
    data = pd.DataFrame(rows)
    last = data[data["AVISIT"] == "Week 48"]
    truth = last.groupby("TRT01P")[["POLICY", "ALWAYS"]].mean()
    truth = truth.loc["Active"] - truth.loc["Placebo"]
    assert truth["ALWAYS"] < truth["POLICY"] - 4
    for strategy, name in (("MAR", "ALWAYS"), ("JR", "POLICY")):
        result = lt.impute(
            data.drop(columns=["POLICY", "ALWAYS"]), reference="Placebo", strategy=strategy,
            n_imputations=20, seed=1,
        ).analyse()  # fmt: skip
        row = result.table.iloc[-1]
        assert abs(row["estimate"] - truth[name]) < 3 * row["std_error"] < 4
