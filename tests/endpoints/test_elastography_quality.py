"""Examinations are counted by their flag; the probability is matched by subject and visit."""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.errors import DataError


def records():
    rows = [("A", "P", 1, 0.9), ("B", "P", 0, 0.2), ("C", "T", np.nan, 0.5), ("D", "T", 0, np.nan)]
    return pd.DataFrame([
        {"USUBJID": s, "TRT01P": arm, "AVISIT": "Week 12", "PARAMCD": code, "AVAL": value}
        for s, arm, flag, probability in rows
        for code, value in (("MREQC", flag), ("MREQCP", probability), ("STIFF", 2.0))
    ])  # fmt: skip


def test_a_case_by_hand():
    found = lt.elastography_quality(records())
    table = found.table.set_index("arm")
    assert table["n_scans"].to_dict() == {"P": 2, "T": 2}
    assert table["n_excluded"].to_dict() == {"P": 1, "T": 1}
    assert found.measures["n"].tolist() == [2]
    assert found.measures["mean"].iloc[0] == pytest.approx(0.7)  # of A and C, which are kept
    assert found.context == "elastography_quality"


def test_order_of_records_does_not_matter():
    one, two = records(), records().sample(frac=1, random_state=3)
    assert lt.elastography_quality(one).table.equals(lt.elastography_quality(two).table)


def test_no_flag_gives_empty_frames_and_two_are_refused():
    none = lt.elastography_quality(records().query("PARAMCD == 'STIFF'"))
    assert none.table.empty
    twice = pd.concat([records(), records().head(1)])
    with pytest.raises(DataError, match="MREQC"):
        lt.elastography_quality(twice)
