"""The study folder of a simulated trial: valid, reproducible, with a truth that agrees with it."""

import hashlib
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import livertrack
from livertrack.errors import DataError, UsageError
from livertrack.plan import read_plan
from livertrack.simulate import ScanSettings, SimulatedTrial, load_truth, simulate_trial, tissue
from livertrack.simulate.states import flow_table

from .conftest import TINY


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_study_is_valid(small_trial: SimulatedTrial):
    study = livertrack.read_study(small_trial.path)
    assert study.findings == ()
    assert set(study.records["DATASET"].unique()) == {"adlb", "adbx", "adim"}
    assert study.plan == read_plan(small_trial.path)
    assert study.plan.study.simulated
    assert len(study.adsl) == 15
    assert len(study.images) == 3 * small_trial.n_scans


def test_the_study_can_be_read_without_its_truth(small_trial: SimulatedTrial, tmp_path: Path):
    copy = tmp_path / "study"
    shutil.copytree(small_trial.path, copy, ignore=shutil.ignore_patterns("truth"))
    assert len(livertrack.read_study(copy).adsl) == 15
    with pytest.raises(DataError, match="only simulated studies"):
        load_truth(copy)


def test_images_and_masks_share_a_grid(small_trial: SimulatedTrial):
    index = pd.read_csv(small_trial.path / "images.csv")
    assert index.groupby(["USUBJID", "AVISIT"])["SEQUENCE"].apply(list).map(
        tuple
    ).unique().tolist() == [("IP", "OP", "HBP")]
    truth = load_truth(small_trial.path)
    for row in index.drop_duplicates(["USUBJID", "AVISIT"]).head(4).itertuples():
        image, mask = (nib.load(small_trial.path / name) for name in (row.IMAGE, row.MASK))
        labels = np.asarray(mask.dataobj)
        assert image.shape == mask.shape == TINY["shape"]
        assert np.array_equal(image.affine, mask.affine)
        assert image.header.get_zooms() == pytest.approx(TINY["spacing"], rel=1e-5)
        assert set(np.unique(labels)) == {0, 1, 5}
        found = truth.map(row.USUBJID, row.AVISIT)
        assert np.array_equal(found > 0, labels == 5)
        assert found.max() <= tissue.N_STATES


def test_same_seed_same_bytes_with_one_or_two_workers(tmp_path: Path):
    common = {"n_per_arm": 1, "seed": 7, **TINY}
    a = simulate_trial(tmp_path / "a", workers=1, **common)
    b = simulate_trial(tmp_path / "b", workers=2, **common)
    assert hashes(a.path) == hashes(b.path)
    c = simulate_trial(tmp_path / "c", workers=1, **{**common, "seed": 8})
    differ = [k for k, v in hashes(c.path).items() if hashes(a.path).get(k) != v]
    assert any(name.startswith("images/") for name in differ)


def test_without_effect_arms_are_exchangeable(tmp_path: Path):
    common = {"n_per_arm": 2, "seed": 7, "effect": 0.0, "images": False, **TINY}
    a = simulate_trial(tmp_path / "a", arms=("P", "L", "H"), **common)
    b = simulate_trial(tmp_path / "b", arms=("P", "H", "L"), **common)
    assert not a.adsl["TRT01P"].equals(b.adsl["TRT01P"])
    for name in ("adlb", "adbx", "adim", "adtte"):
        same = [(trial.path / f"adam/{name}.csv").read_bytes() for trial in (a, b)]
        assert same[0] == same[1]
    assert a.adsl.drop(columns=["TRT01P"]).equals(b.adsl.drop(columns=["TRT01P"]))


def test_effect_moves_the_truth_along_the_planted_flows(tmp_path: Path):
    trial = simulate_trial(
        tmp_path / "a", n_per_arm=8, seed=3, arms=("Placebo", "Drug"), images=False, **TINY
    )
    truth = load_truth(trial.path)
    late = truth.pathways[truth.pathways["AVISIT"] == "Week 48"]
    start = late.groupby(["TRT01P", "FROMTYPE"])["AVAL"].sum()
    moved = late.groupby(["TRT01P", "FROMTYPE", "TOTYPE"])["AVAL"].sum()
    planted = truth.flows[truth.flows["AVISIT"] == "Week 48"].set_index(
        ["TRT01P", "FROMTYPE", "TOTYPE"]
    )["RATE"]
    got = {key: moved[key] / start[key[:2]] for key in planted.index}
    assert pd.Series(got).to_numpy() == pytest.approx(planted.to_numpy(), abs=0.12)
    for source, target in {key[1:] for key in planted.index}:
        sign = np.sign(planted["Drug", source, target] - planted["Placebo", source, target])
        change = got["Drug", source, target] - got["Placebo", source, target]
        assert sign * change > -0.02
    # what is not planted does not happen
    still = late[late["FROMTYPE"].isin([tissue.IRON, tissue.VESSEL])]
    assert (still.loc[still["FROMTYPE"] != still["TOTYPE"], "AVAL"] == 0).all()
    assert truth.pathways.groupby(["USUBJID", "AVISIT"])["AVAL"].sum().to_numpy() == pytest.approx(
        1
    )


def test_pathways_agree_with_the_maps_when_nobody_breathes(tmp_path: Path):
    still = ScanSettings(breathing_mm=0.0, deformation_mm=0.0)
    trial = simulate_trial(tmp_path / "a", n_per_arm=1, seed=2, dropout=0.0, missed_scans=0.0,
                           scan=still, **TINY)  # fmt: skip
    truth = load_truth(trial.path)
    subject = trial.adsl["USUBJID"].iloc[0]
    seen = flow_table(truth.map(subject, "Baseline"), truth.map(subject, "Week 48"))
    rows = truth.pathways[
        (truth.pathways["USUBJID"] == subject) & (truth.pathways["AVISIT"] == "Week 48")
    ]
    assert rows["AVAL"].to_numpy() == pytest.approx(seen["AVAL"].to_numpy())
    share = truth.composition.query("USUBJID == @subject and AVISIT == 'Week 48'")["AVAL"]
    assert share.to_numpy() == pytest.approx(rows.groupby("TOTYPE")["AVAL"].sum().to_numpy())


def test_dropout_is_exact_and_ends_the_records(small_trial: SimulatedTrial):
    adsl = small_trial.adsl
    gone = adsl.loc[adsl["EOSSTT"] == "DISCONTINUED", "USUBJID"]
    assert len(gone) == 3  # 20 % of 15
    for name in ("adlb", "adim", "adbx"):
        records = pd.read_csv(small_trial.path / f"adam/{name}.csv")
        assert not (records["USUBJID"].isin(gone) & (records["AVISIT"] == "Week 48")).any()
    events = pd.read_csv(small_trial.path / "adam/adtte.csv")
    assert set(events["USUBJID"]) == set(adsl["USUBJID"])
    assert events.loc[events["CNSR"] == 2, "USUBJID"].isin(gone).all()
    assert (events["AVAL"] > 0).all()


def test_baseline_is_complete_and_biopsies_are_scores(small_trial: SimulatedTrial):
    adbx = pd.read_csv(small_trial.path / "adam/adbx.csv")
    assert set(adbx["AVISIT"]) == {"Baseline", "Week 48"}
    first = adbx[adbx["AVISIT"] == "Baseline"]
    assert first.groupby("PARAMCD").size().unique().tolist() == [15]
    wide = adbx.pivot_table(index=["USUBJID", "AVISIT"], columns="PARAMCD", values="AVAL")
    assert (wide["NAS"] == wide[["STEATOSIS", "INFLAM", "BALLOON"]].sum(axis=1)).all()
    assert (wide["NASH"] == (wide[["STEATOSIS", "INFLAM", "BALLOON"]].min(axis=1) >= 1)).all()


def test_a_folder_that_is_in_use_is_left_alone(small_trial: SimulatedTrial):
    before = hashes(small_trial.path)
    with pytest.raises(UsageError, match="not empty"):
        simulate_trial(small_trial.path, n_per_arm=1, seed=1, **TINY)
    assert hashes(small_trial.path) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_per_arm": 0}, "n_per_arm"),
        ({"arms": ("A", "A")}, "two different names"),
        ({"arms": ("A",)}, "two different names"),
        ({"shape": (4, 4, 4)}, "8 voxels"),
        ({"spacing": (1.0, 1.0, 0.0)}, "positive"),
        ({"dropout": 1.0}, "below 1"),
        ({"n_sites": 0}, "n_sites"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_written(tmp_path: Path, change, message):
    with pytest.raises(UsageError, match=message):
        simulate_trial(tmp_path / "a", **{"n_per_arm": 1, "seed": 1, **TINY, **change})
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("livertrack.simulate.trial.write_truth", fail)
    with pytest.raises(OSError, match="disk full"):
        simulate_trial(tmp_path / "a", n_per_arm=1, seed=1, images=False, **TINY)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_without_images_has_no_imaging_in_its_plan(tmp_path: Path):
    trial = simulate_trial(tmp_path / "a", n_per_arm=2, seed=1, images=False, **TINY)
    assert trial.n_scans == 0
    assert not (trial.path / "images.csv").exists()
    plan = read_plan(trial.path)
    assert plan.imaging is None
    assert "pathways" not in [analysis.id for analysis in plan.analyses]
    assert load_truth(trial.path).maps.empty
    assert livertrack.read_study(trial.path).findings == ()


def test_estimands_have_their_five_attributes(small_trial: SimulatedTrial):
    plan = read_plan(small_trial.path)
    used = {analysis.estimand for analysis in plan.analyses if analysis.estimand}
    assert used == {estimand.id for estimand in plan.estimands}
    for estimand in plan.estimands:
        assert all([estimand.treatment, estimand.population, estimand.variable, estimand.summary])
        assert estimand.intercurrent_events
