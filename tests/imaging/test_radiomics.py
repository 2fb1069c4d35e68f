"""Radiomics: values of the IBSI's digital phantom, records, filters, degenerate livers.

The phantom is that of the Image Biomarker Standardisation Initiative (A. Zwanenburg, CC BY 4.0);
tests/reference/ibsi_phantom.csv holds the values and tolerances of its reference manual (3-D,
merged directions), with three digits as printed there.
"""

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.errors import UsageError
from livertrack.imaging import Scan
from livertrack.imaging._radiomic_shape import shape_features
from livertrack.imaging._radiomic_textures import features
from livertrack.imaging.preprocessing import Preparation
from livertrack.imaging.radiomics import RadiomicRules

# slices z = 1 to 4, rows y, columns x; 0 lies outside the region
PHANTOM = np.array([
    [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
    [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
    [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
    [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
], float).T  # fmt: skip
AS_IS = Preparation(bias_field="none", standardise="none")
FIRST = ("shape", "first-order", "GLCM")


@pytest.fixture(scope="module")
def phantom() -> pd.Series:
    scan = Scan(PHANTOM, PHANTOM > 0, (2.0, 2.0, 2.0))
    rules = RadiomicRules(spacing_mm=None, n_bins=6, log_sigma_mm=())
    table = lt.radiomics([scan], rules=rules, preparation=AS_IS).table
    return table.set_index("PARAMCD")["AVAL"]


@pytest.fixture(scope="module")
def records(scans):
    rules = RadiomicRules(families=FIRST, log_sigma_mm=(6.0,), wavelet="haar", n_bins=8)
    return lt.radiomics(scans[:2], rules=rules, preparation=Preparation(bias_field="none"))


def test_every_feature_has_the_published_value_of_the_phantom(phantom, reference):
    published = pd.read_csv(reference / "ibsi_phantom.csv", dtype={"code": str})
    assert len(published) == len(phantom) == 119
    wrong = []
    for row in published.itertuples():
        found = phantom["R" + row.code]
        printed = float(f"{found:.3g}") == row.value
        within = abs(found - row.value) <= row.tolerance if row.tolerance > 0 else printed
        if not within:
            wrong.append((row.code, row.name, found, row.value))
    assert not wrong


def test_a_phantom_with_one_voxel_changed_has_other_values(phantom, reference):
    other = PHANTOM.copy()
    other[0, 0, 0] = 6
    scan = Scan(other, other > 0, (2.0, 2.0, 2.0))
    rules = RadiomicRules(spacing_mm=None, n_bins=6, log_sigma_mm=(), families=("GLCM", "GLSZM"))
    moved = lt.radiomics([scan], rules=rules, preparation=AS_IS).table.set_index("PARAMCD")["AVAL"]
    assert (np.abs(moved / phantom[moved.index] - 1) > 1e-3).mean() > 0.9


def test_a_record_names_its_picture_sequence_and_feature(records):
    table = records.table
    assert set(table["SEQUENCE"]) == {"MASK", "CH1", "CH2"}
    assert set(table["PARAMCD"].str[:-4]) == {"R", "L1", *(f"W{k}" for k in range(1, 9))}
    assert table["PARAMCD"].str.len().max() <= 8
    assert not table.duplicated(["USUBJID", "AVISITN", "REGION", "SEQUENCE", "PARAMCD"]).any()
    assert table["AVAL"].notna().all()
    row = table[table["PARAMCD"].eq("L1Q4LE") & table["SEQUENCE"].eq("CH1")].iloc[0]
    assert row["PARAM"] == "First-order, mean intensity, Laplacian of Gaussian 6 mm"
    assert "118 radiomic features" not in records.text
    assert "of 2 of 2 scans" in records.text


def test_a_gain_of_the_scanner_changes_nothing(scans, records):
    scan = scans[0]
    louder = Scan(scan.volume * 3, scan.mask, scan.spacing, scan.reference, subject=scan.subject)
    again = lt.radiomics(
        [louder], rules=RadiomicRules(**records.settings["rules"]),
        preparation=Preparation(bias_field="none"),
    ).table  # fmt: skip
    first = records.table[records.table["USUBJID"].eq(scan.subject)]
    np.testing.assert_allclose(again["AVAL"], first["AVAL"], rtol=1e-4, atol=1e-5)


def test_models_get_one_row_per_scan(records):
    wide = records.wide()
    assert len(wide) == 2
    assert wide.filter(regex="^(CH|MASK)").shape[1] == records.settings["n_features"]


def test_a_ball_is_round_and_a_block_is_not():
    grid = np.indices((21, 21, 21)) - 10
    ball = (grid**2).sum(axis=0) <= 64
    block = np.zeros((21, 21, 21), bool)
    block[2:19, 8:12, 8:12] = True
    round_, long = (shape_features(np.ones((21, 21, 21)), m, (1, 1, 1)) for m in (ball, block))
    assert round_["QCFX"] > 0.9 > 0.75 > long["QCFX"]
    assert round_["N17B"] == pytest.approx(1, abs=0.01)
    assert long["N17B"] < 0.3
    assert round_["YEKZ"] == ball.sum()


def test_a_liver_of_one_intensity_gives_gaps_not_errors():
    mask = np.zeros((8, 8, 8), bool)
    mask[2:6, 2:6, 2:6] = True
    scan = Scan(np.full((8, 8, 8), 5.0), mask, (3.0, 3.0, 3.0))
    rules = RadiomicRules(log_sigma_mm=(), families=("shape", "first-order"))
    table = lt.radiomics([scan], rules=rules, preparation=AS_IS).table.set_index("PARAMCD")
    assert table.loc["RQ4LE", "AVAL"] == pytest.approx(5)
    assert table.loc["RECT3", "AVAL"] == pytest.approx(0, abs=1e-9)


def test_a_scan_that_cannot_be_scaled_is_counted(scans):
    bare = Scan(scans[0].volume, scans[0].mask, scans[0].spacing)
    rules = RadiomicRules(families=("shape",), log_sigma_mm=())
    result = lt.radiomics([bare], rules=rules, preparation=Preparation(standardise="reference"))
    assert len(result.table) == 0
    assert result.notes == ("1 without features: no reference tissue in the mask",)


def test_rules_that_make_no_sense_are_all_said_at_once():
    with pytest.raises(UsageError, match=r"GLDM is no family.*n_bins is at least 2.*positive"):
        RadiomicRules(families=("GLDM",), n_bins=1, spacing_mm=-1.0)
    with pytest.raises(UsageError, match="no shape of its own"):
        RadiomicRules(filtered_families=("shape",))


def test_codes_are_unique():
    assert len({f.code for f in features()}) == len(features()) == 119


@pytest.mark.slow
def test_two_workers_give_the_same_records(scans):
    rules = RadiomicRules(log_sigma_mm=(6.0,))
    one, two = (lt.radiomics(scans, rules=rules, workers=w).table for w in (1, 2))
    pd.testing.assert_frame_equal(one, two)
