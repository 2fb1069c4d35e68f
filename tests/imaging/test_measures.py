"""The usual measures are medians of maps in the liver, and records like any other."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from livertrack.dictionary import validate
from livertrack.errors import DataError, UsageError
from livertrack.imaging.measures import measure_records
from livertrack.imaging.regions import Regions

LABELS = {"liver_label": 5, "reference_label": 1}


@pytest.fixture
def maps(study):
    """The small study with a fat map per scan: 8 % then 6 % in the liver, 90 % elsewhere."""
    rows = []
    for number, (_, part) in enumerate(study.groupby(["USUBJID", "AVISIT"], sort=False)):
        mask = nib.load(part["MASK"].iloc[0])
        liver = np.asarray(mask.dataobj) == 5
        percent = np.where(liver, (8.0, 6.0)[number % 2], 90.0).astype(np.float32)
        percent[liver] += np.linspace(-4, 4, int(liver.sum()), dtype=np.float32)
        path = part["MASK"].iloc[0].replace("_mask.nii.gz", "_pdff.nii")
        nib.save(nib.Nifti1Image(percent, mask.affine), path)
        row = part.iloc[0].to_dict()
        rows.append({**row, "SEQUENCE": "PDFF", "IMAGE": path})
    return pd.concat([study, pd.DataFrame(rows)], ignore_index=True)


def test_medians_are_those_of_the_maps_in_the_mask(maps):
    result = measure_records(maps, measures=["PDFF", "LVOL"], **LABELS)
    values = result.records.set_index(["PARAMCD", "AVISIT"]).sort_index()
    np.testing.assert_allclose(values.loc[("PDFF", "Baseline"), "AVAL"], 8, atol=0.01)
    np.testing.assert_allclose(values.loc[("PDFF", "Week 12"), "AVAL"], 6, atol=0.01)
    volumes = result.records[result.records["PARAMCD"].eq("LVOL")]
    np.testing.assert_allclose(volumes["AVAL"], volumes["NVOX"] * 36 / 1000)
    assert result.text == "PDFF in 4, LVOL in 4 of 4 scans."


def test_change_is_from_the_baseline_of_the_same_subject(maps):
    records = measure_records(maps, measures=["PDFF"], baseline="Baseline", **LABELS).records
    later = records[records["AVISIT"].eq("Week 12")]
    np.testing.assert_allclose(later["BASE"], 8, atol=0.01)
    np.testing.assert_allclose(later["CHG"], -2, atol=0.01)
    first = records[records["AVISIT"].eq("Baseline")]
    assert first["CHG"].isna().all()
    assert first["ABLFL"].eq("Y").all()


def test_records_fit_the_data_dictionary(maps):
    records = measure_records(
        maps, measures=["PDFF", "LVOL"], regions=Regions(shells=2, sectors=2), **LABELS
    ).records
    assert set(records["REGION"]) == {"", "SHELL1", "SHELL2", "RIGHT", "LEFT"}
    assert set(records.loc[records["PARAMCD"].eq("LVOL"), "REGION"]) == {""}
    assert validate(records.assign(ABLFL=records["ABLFL"].replace("", None)), "admap") == []
    assert "right part" in records.set_index("REGION")["PARAM"]["RIGHT"].iloc[0]


def test_scans_without_a_map_are_counted_with_their_reason(maps, tmp_path):
    bad = maps.copy()
    places = bad.index[bad["SEQUENCE"].eq("PDFF")]
    bad.loc[places[0], "IMAGE"] = str(tmp_path / "absent.nii")
    bad = bad.drop(index=places[1])
    result = measure_records(bad, measures=["PDFF"], **LABELS)
    assert len(result.records) == 2
    assert dict(result.reasons.itertuples(index=False)) == {
        "PDFF: no such file": 1, "PDFF: no such sequence": 1,
    }  # fmt: skip
    assert "A-0" not in result.text + " ".join(result.notes)


def test_a_liver_without_fat_is_not_below_zero(maps):
    for path in maps.loc[maps["SEQUENCE"].eq("PDFF"), "IMAGE"]:
        image = nib.load(path)
        nib.save(nib.Nifti1Image(image.get_fdata() - 20, image.affine), path)
    records = measure_records(maps, measures=["PDFF"], **LABELS).records
    assert (records["AVAL"] == 0).all()


def test_measures_that_are_not_there_are_refused(maps):
    with pytest.raises(DataError, match="no row with SEQUENCE R2STAR"):
        measure_records(maps, measures=["R2STAR"])
    with pytest.raises(UsageError, match="at least one"):
        measure_records(maps, measures=[])


def test_the_number_of_workers_changes_nothing(maps):
    one, two = (measure_records(maps, measures=["PDFF"], workers=n, **LABELS) for n in (1, 2))
    pd.testing.assert_frame_equal(one.records, two.records)


def test_a_real_fat_map_is_measured(shared_data, tmp_path):
    source = shared_data / "img_ismrm_fatwater_liver" / "case12.mat"
    mask = np.zeros((157, 256, 3), np.uint8)
    mask[50:100, 50:95, 1] = 1
    nib.save(nib.Nifti1Image(mask, np.diag([1.5, 1.5, 8, 1])), tmp_path / "mask.nii.gz")
    rows = [
        ["A", "Baseline", 0, name, f"{source}#{name.lower()}", str(tmp_path / "mask.nii.gz")]
        for name in ("PDFF", "R2STAR")
    ]
    columns = ["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    found = measure_records(pd.DataFrame(rows, columns=columns)).records.set_index("PARAMCD")
    assert found.loc["PDFF", "AVAL"] == pytest.approx(0.8, abs=0.5)
    assert found.loc["R2STAR", "AVAL"] == pytest.approx(27, abs=2)
