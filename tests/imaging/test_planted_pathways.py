"""A simulated trial whose pathways are known: registration, counting and test, end to end."""

import pandas as pd
import pytest

import livertrack as lt
from livertrack.imaging.pathways import pathway_records
from livertrack.simulate import load_truth, simulate_trial


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    path = tmp_path_factory.mktemp("trial") / "study"
    simulate_trial(path, n_per_arm=8, seed=12, shape=(72, 54, 24), spacing=(4.0, 4.0, 5.3),
                   dropout=0.0, missed_scans=0.0)  # fmt: skip
    return path


def _scans(path, truth):
    images = pd.read_csv(path / "images.csv", dtype={"USUBJID": str})
    keys = ["USUBJID", "AVISIT"]
    for column in ("IMAGE", "MASK"):
        images[column] = [str(path / name) for name in images[column]]
    listed = images.groupby(keys).agg(IMAGE=("IMAGE", list), MASK=("MASK", "first")).reset_index()
    scans = truth.maps.merge(listed, on=keys)
    return scans[scans["AVISIT"] != "Week 12"]


@pytest.mark.slow
def test_planted_flows_come_first_after_registration(trial):
    truth = load_truth(trial)
    got = pathway_records(_scans(trial, truth), n_types=8, baseline="Baseline", shells=0,
                          liver_label=5, reference_label=1, workers=2)  # fmt: skip
    assert (got.quality["METHOD"] == "voxel").all()
    assert got.quality["DICE"].mean() > got.quality["DICE0"].mean() + 0.01
    arms = pd.read_csv(trial / "adam" / "adsl.csv", dtype={"USUBJID": str})
    records = got.records.merge(arms[["USUBJID", "TRT01P"]], on="USUBJID")
    result = lt.change_pathways(records, reference="Placebo", n_perm=1999, seed=1)
    table = result.table[result.table["arm"] == "High dose"].dropna(subset=["statistic"])
    ranked = table.reindex(table["statistic"].abs().sort_values(ascending=False).index)
    rates = truth.flows[truth.flows["AVISIT"] == "Week 48"].pivot_table(
        index=["FROMTYPE", "TOTYPE"], columns="TRT01P", values="RATE", fill_value=0.0
    )
    planted = set(rates.index[(rates["High dose"] - rates["Placebo"]).abs() > 0.02])
    first = list(zip(ranked["from_type"], ranked["to_type"], strict=True))[:5]
    assert set(first) <= planted
    for (origin, target), estimate in zip(first, ranked["estimate"], strict=False):
        more = rates.loc[(origin, target), "High dose"] > rates.loc[(origin, target), "Placebo"]
        assert (estimate > 0) == more
    assert (result.global_test["p_value"] < 0.01).all()
