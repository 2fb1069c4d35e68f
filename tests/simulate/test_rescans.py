"""A repeat scan measures the same liver again: only noise and position differ."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.simulate.events import cancer_share

SMALL = {"n_per_arm": 3, "seed": 2, "shape": (32, 24, 12), "spacing": (9.0, 9.0, 10.0)}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lt.simulate_trial(tmp_path_factory.mktemp("r") / "study", rescans=4, **SMALL).path  # type: ignore[arg-type]


def test_as_many_subjects_as_asked_have_a_repeat_scan(trial: Path) -> None:
    images = pd.read_csv(trial / "images.csv", dtype={"USUBJID": str})
    again = images[images["AVISIT"].eq("Rescan")]
    assert again["USUBJID"].nunique() == 4
    assert len(again) == 12
    numbers = images.groupby("AVISIT")["AVISITN"].nunique()
    assert (numbers == 1).all()
    assert images["AVISITN"].nunique() == images["AVISIT"].nunique()


def test_the_tissue_is_that_of_the_baseline_and_the_image_is_not(trial: Path) -> None:
    maps = pd.read_csv(trial / "truth" / "maps.csv", dtype={"USUBJID": str})
    subject = maps.loc[maps["AVISIT"].eq("Rescan"), "USUBJID"].iloc[0]
    shares = {}
    for visit in ("Baseline", "Rescan"):
        row = maps[maps["USUBJID"].eq(subject) & maps["AVISIT"].eq(visit)].iloc[0]
        states = np.asarray(nib.load(trial / row["MAP"]).dataobj)
        shares[visit] = np.bincount(states[states > 0], minlength=9)[1:] / (states > 0).sum()
    np.testing.assert_allclose(shares["Rescan"], shares["Baseline"], atol=0.05)
    images = pd.read_csv(trial / "images.csv", dtype={"USUBJID": str})
    mine = images[images["USUBJID"].eq(subject) & images["SEQUENCE"].eq("IP")]
    first, again = (
        np.asarray(nib.load(trial / mine.loc[mine["AVISIT"].eq(v), "IMAGE"].iloc[0]).dataobj)
        for v in ("Baseline", "Rescan")
    )
    assert not np.array_equal(first, again)


def test_repeats_change_nothing_else(trial: Path, tmp_path: Path) -> None:
    plain = lt.simulate_trial(tmp_path / "study", **SMALL).path  # type: ignore[arg-type]
    for name in ("adlb", "adbx", "adtte", "adsl"):
        file = Path("adam") / f"{name}.csv"
        assert (trial / file).read_bytes() == (plain / file).read_bytes()
    with_repeats = pd.read_csv(trial / "adam" / "adim.csv")
    kept = with_repeats[with_repeats["AVISIT"].ne("Rescan")].reset_index(drop=True)
    before = pd.read_csv(plain / "adam" / "adim.csv")
    pd.testing.assert_frame_equal(kept, before, check_dtype=False)
    assert len(kept) < len(with_repeats)


def test_the_plan_names_the_repeat_and_reads_it(trial: Path) -> None:
    study = lt.read_study(trial)
    assert study.plan.data.repeats == {"Rescan": "Baseline"}
    assert any(a.endpoint == "repeatability" for a in study.plan.analyses)
    assert study.repeated(["PDFF"], ["Baseline", "Rescan"])["AVISIT"].nunique() == 2


def test_more_repeats_than_subjects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(lt.UsageError, match="rescans"):
        lt.simulate_trial(tmp_path / "study", rescans=10, **SMALL)  # type: ignore[arg-type]


def test_cancer_is_a_share_of_the_published_events() -> None:
    healthy = np.zeros(8)
    scarred = np.zeros(8)
    scarred[:] = 1 / 8
    for shares in (healthy, scarred):
        assert 0 < cancer_share(shares) < 1
    assert cancer_share(healthy) == pytest.approx(0.04 / 0.10)
