"""Agreement and repeatability on real scans: liver signal of 54 rats, test and retest."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt

EXACT = 1e-9


@pytest.fixture(scope="module")
def enhancement(shared_data: Path) -> pd.DataFrame:
    """Largest liver signal over the mean of the first five, less 1; one row per rat and day."""
    folder = shared_data / "tab_tristan_dce_signals"
    with zipfile.ZipFile(folder / "tristan_rats_healthy_reproducibility.dmr.zip") as archive:
        text = io.StringIO(archive.read("rois.csv").decode())
    head = list(csv.reader(text))
    rows = []
    for subject, day, what, *cells in zip(*head, strict=True):
        if what == "liver":
            signal = pd.to_numeric(pd.Series(cells), errors="coerce").dropna().to_numpy()
            rows.append((subject, day, signal.max() / signal[:5].mean() - 1))
    return pd.DataFrame(rows, columns=["USUBJID", "DAY", "AVAL"]).assign(PARAMCD="RE")


@pytest.fixture(scope="module")
def both_days(enhancement: pd.DataFrame) -> pd.DataFrame:
    return enhancement.pivot_table(index="USUBJID", columns="DAY", values="AVAL").reset_index()


def test_six_forms_equal_psych(enhancement: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "tristan_icc.csv").set_index("form")
    ours = lt.icc(enhancement, rater="DAY").table.set_index("form")
    for column in r.columns:
        np.testing.assert_allclose(ours.loc[r.index, column], r[column], rtol=EXACT)


def test_reml_with_missing_retests_equals_lme4(enhancement: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "tristan_reml.csv").set_index("form")
    place = pd.factorize(enhancement["USUBJID"])[0] + 1
    gaps = enhancement[~(enhancement["DAY"].eq("Day_2") & (place % 4 == 0))]
    ours = lt.icc(gaps, rater="DAY", method="reml").table.set_index("form")
    np.testing.assert_allclose(ours.loc[r.index, "estimate"], r["estimate"], rtol=1e-6)


def test_repeatability_equals_r(enhancement: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "tristan_repeatability.csv").set_index("quantity")
    ours = lt.repeatability(enhancement).table.set_index("quantity").loc[r.index]
    for column in r.columns:
        np.testing.assert_allclose(ours[column].astype(float), r[column], rtol=EXACT)


def test_bias_between_days_equals_r(both_days: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "tristan_bias.csv").iloc[0]
    table = lt.bland_altman(both_days, method_1="Day_2", method_2="Day_1").table
    bias, spread = (table.set_index("quantity").loc[k] for k in ("bias", "standard deviation"))
    assert bias["n"] == r["n"]
    for ours, theirs in (
        (bias["estimate"], r["bias"]), (spread["estimate"], r["sd"]),
        (bias["conf_low"], r["conf_low"]), (bias["conf_high"], r["conf_high"]),
        (bias["p_value"], r["p_value"]),
    ):  # fmt: skip
        assert ours == pytest.approx(theirs, rel=EXACT)
