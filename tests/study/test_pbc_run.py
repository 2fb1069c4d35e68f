"""The plan of analysis/pbc as a run: every analysis answers, stored numbers are those of R."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import livertrack as lt
from livertrack._results import StoredResult, ard_result


@pytest.fixture(scope="module")
def out(pbc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of the study; fewer resamples than the plan has, the rest as it is."""
    study = tmp_path_factory.mktemp("pbc-run") / "study"
    shutil.copytree(pbc, study)
    plan = yaml.safe_load((study / "plan.yaml").read_text(encoding="utf-8"))
    for analysis in plan["analyses"]:
        if "separation" in analysis["endpoint"]:
            analysis["options"]["n_boot"] = 99
        if analysis["endpoint"] == "biopsy_prediction":
            analysis["options"].update(n_boot=99, n_perm=0)
    (study / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    summary = lt.run_study(study, out=study.parent / "out")
    assert summary.failed == {}
    return summary.out


def stored(out: Path, endpoint: str, analysis: str) -> StoredResult:
    ard = pd.read_parquet(out / "ard" / f"{endpoint}.parquet")
    return ard_result(ard[ard["analysis"] == analysis])


def test_every_analysis_of_the_plan_has_results(out: Path, pbc: Path) -> None:
    for analysis in lt.read_plan(pbc).analyses:
        assert len(stored(out, analysis.endpoint, analysis.id).table) > 0


def test_stored_ancova_is_that_of_r(out: Path, reference: Path) -> None:
    want = pd.read_csv(reference / "pbc_ancova.csv").query("row == 'difference'").iloc[0]
    assert want["paramcd"] == "LOGBILI"
    got = stored(out, "ancova", "logbili-ancova").table.iloc[0]
    for column in ("estimate", "std_error", "p_value", "conf_low", "conf_high"):
        assert got[column] == pytest.approx(want[column], rel=1e-10)


def test_stored_cox_and_restricted_means_are_those_of_r(out: Path, reference: Path) -> None:
    want = pd.read_csv(reference / "pbc_cox.csv").set_index("model")
    got = stored(out, "cox", "txfree-cox").table.iloc[0]
    assert got["estimate"] == pytest.approx(want.loc["arm", "estimate"], rel=1e-6)
    means = pd.read_csv(reference / "pbc_km_median.csv").set_index("arm")
    table = stored(out, "rmst", "txfree-rmst").table.set_index("arm")
    np.testing.assert_allclose(table.loc[means.index, "estimate"], means["rmst"], rtol=1e-10)


def test_report_is_self_contained_and_has_no_imaging_chapter(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|<link[^>]*href)=["']https?:""", page)
    headings = " ".join(re.findall(r"<h[1-3][^>]*>(.*?)</h[1-3]>", page, flags=re.S)).lower()
    assert "events" in headings
    assert "biopsy prediction" in headings
    for word in ("vocabulary", "scan quality", "pathway", "signature"):
        assert word not in headings
    assert not re.search(r"PBC-\d{3}", page)
