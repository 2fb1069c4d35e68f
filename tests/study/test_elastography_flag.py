"""A flag of MR elastography takes its stiffness out of the records and into the counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.pipeline.describe import describe
from livertrack.pipeline.imaging import Imaging
from livertrack.study import read_study
from livertrack.tasks.mre_quality import TASK

from .conftest import SUBJECTS, VISITS, Frames

Write = Callable[..., Path]
#: PARAMCD and PARAM as `livertrack predict` writes them: probability, flag
NAMES = list(TASK.records)
FIRST, SECOND, THIRD, FOURTH = SUBJECTS[:4]


@pytest.fixture
def flagged(frames: Frames) -> Frames:
    """Stiffness of 2 + 0.1 i + 0.2 per visit; one baseline and one week 12 are not diagnostic."""
    stiff = [
        {"USUBJID": s, "PARAMCD": "STIFF", "AVISIT": visit, "AVAL": 2 + 0.1 * i + 0.2 * k}
        for i, s in enumerate(SUBJECTS)
        for k, visit in enumerate(VISITS)
    ]
    flags = [
        {"USUBJID": s, "PARAMCD": code, "PARAM": text, "AVISIT": visit, "AVAL": value}
        for s, visit, flag, probability in (
            (FIRST, "Baseline", 0, 0.1), (SECOND, "Week 12", 0, 0.2), (THIRD, "Week 12", 1, 0.9),
            (FOURTH, "Week 12", np.nan, 0.5),
        )
        for (code, text), value in zip(NAMES, (probability, flag), strict=True)
    ]  # fmt: skip
    return {**frames, "adim": pd.DataFrame(stiff), "admreqc": pd.DataFrame(flags)}


def test_what_is_not_diagnostic_is_missing_and_the_subject_stays(flagged: Frames, write: Write):
    study = read_study(write(flagged))
    week = study.values("STIFF", "Week 12").set_index("USUBJID")
    assert len(week) == 12
    assert np.isnan(week.loc[SECOND, "AVAL"])
    assert np.isnan(week.loc[SECOND, "CHG"])
    assert week.loc[SECOND, "BASE"] == pytest.approx(2.1)
    assert week.loc[THIRD, "CHG"] == pytest.approx(0.2)
    assert week.loc[FOURTH, "CHG"] == pytest.approx(0.2)


def test_a_baseline_that_is_not_diagnostic_leaves_no_change(flagged: Frames, write: Write):
    study = read_study(write(flagged))
    last = study.values("STIFF", "Week 48").set_index("USUBJID")
    assert last.loc[FIRST, "AVAL"] == pytest.approx(2.4)
    assert np.isnan(last.loc[FIRST, ["BASE", "CHG"]].astype(float)).all()


def test_the_exclusion_is_said_with_its_count(flagged: Frames, write: Write):
    study = read_study(write(flagged))
    said = [f for f in study.findings if f.column == "MREQC"]
    assert [(f.severity, f.count, f.dataset) for f in said] == [("warning", 2, "admreqc")]
    assert "not diagnostic" in said[0].problem


def test_other_measures_and_studies_without_flags_are_as_before(
    flagged: Frames, frames: Frames, write: Write
):
    study = read_study(write(flagged))
    assert study.values("ALT", "Week 12")["CHG"].notna().all()
    good = read_study(write({**frames, "adim": flagged["adim"]}))
    (good.path / "adam" / "admreqc.csv").unlink()
    assert read_study(good.path).values("STIFF", "Week 48")["CHG"].notna().all()


def test_stiffness_added_later_is_judged_too(flagged: Frames, write: Write):
    stiff = flagged.pop("adim")
    study = read_study(write(flagged)).with_records(stiff, "adim")
    assert np.isnan(study.values("STIFF", "Week 12").set_index("USUBJID").loc[SECOND, "AVAL"])


def test_examinations_are_counted_beside_the_scans(flagged: Frames, write: Write):
    study = read_study(write(flagged))
    made = dict(describe(study, Imaging()))
    found = made["elastography_quality"]()
    assert found.table[["n_scans", "n_analysed", "n_excluded"]].sum().tolist() == [4, 2, 2]
    assert found.reasons.to_dict("records") == [
        {"reason": "MR elastography is not diagnostic", "n": 2}
    ]
    assert "2 of 4 MR elastography examinations were analysed, 2 excluded" in found.text
    assert "1 were undecided and kept" in found.text
    flags = found.flags
    assert flags.loc[flags["arm"].ne("Total"), "n"].sum() == 1
    assert found.measures.set_index("visit").loc["Week 12", "mean"] == pytest.approx(0.7)
    baseline = made["baseline_table"]()
    assert not baseline.table.astype(str).apply(lambda c: c.str.contains("MREQC")).any().any()


def test_a_flag_that_is_no_flag_is_an_error(flagged: Frames, write: Write):
    flags = flagged.pop("admreqc")
    flags.loc[0, "AVAL"] = 7
    with pytest.raises(lt.DataError, match="AVAL"):
        read_study(write({**flagged, "adim": pd.concat([flagged["adim"], flags])}))
