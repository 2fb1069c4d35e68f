"""A blinded page: no arm is named, counted or to be told by its place."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from livertrack.report import ReportError, load_run, render_report, with_profile
from livertrack.report.blinding import masked_arms

ARMS = ["Placebo", "Low", "High"]


@pytest.fixture(scope="module")
def blinded(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blinded pages of the tiny run."""
    out = tmp_path_factory.mktemp("blinded") / "run"
    shutil.copytree(report, out, ignore=shutil.ignore_patterns("figures", "tables", "report.*"))
    render_report(out, params={"profile": "blinded"})
    return out / "blinded"


def visible(page: str) -> str:
    """Text, alternative texts and comments; what pictures hold is in their own files."""
    page = re.sub(r"data:[^\"']*", "", page)
    return re.sub(r"<(style|script)\b.*?</\1>", " ", page, flags=re.DOTALL)


def test_no_arm_is_named_anywhere_in_blinded_files(blinded: Path) -> None:
    files = [f for f in blinded.rglob("*") if f.suffix in {".html", ".csv", ".rtf", ".svg"}]
    assert len(files) > 30
    named = re.compile(r"(?<![\w-])(Placebo|Low|High|dose|placebo)(?![\w-])")
    for file in files:
        found = named.findall(visible(file.read_text(encoding="utf-8")))
        assert not found, f"{file.name}: {set(found)}"


def test_masked_arms_are_shown_and_their_numbers_are_not(blinded: Path) -> None:
    text = visible((blinded / "report.html").read_text(encoding="utf-8"))
    assert {"Arm A", "Arm B", "Arm C"} <= set(re.findall(r"Arm [A-Z]", text))
    for file in (blinded / "tables").rglob("*.csv"):
        content = file.read_text(encoding="utf-8")
        if "Arm A" in content:
            assert "n =" not in content
            assert "(N =" not in content
    assert "N: Total 29" in (blinded / "tables" / "baseline.html").read_text(encoding="utf-8")


def test_comparisons_are_withheld_and_said_to_be(blinded: Path) -> None:
    text = re.sub(r"<[^>]+>", " ", (blinded / "report.html").read_text(encoding="utf-8"))
    for kind in ("Separation", "Change pathways", "Analysis of covariance", "Kaplan-Meier"):
        assert kind in text
    assert "p-value" not in text.split("Comparisons between arms are withheld")[0]
    assert not list((blinded / "tables").glob("separation*"))
    assert not list((blinded / "tables").glob("model*"))


def test_letters_are_the_same_every_time_and_follow_no_order() -> None:
    facts = [{"plan_hash": "a", "inputs": {"adsl.csv": str(i)}} for i in range(40)]
    letters = [masked_arms(ARMS, one) for one in facts]
    assert letters == [masked_arms(ARMS[::-1], one) for one in facts]
    assert len({tuple(one[arm] for arm in ARMS) for one in letters}) == 6


def test_rows_of_masked_results_are_in_the_order_of_letters(run_folder: Path) -> None:
    run = with_profile(load_run(run_folder), "blinded")
    table = run.find("signature_summary")[0].table
    assert run.arms == ["Arm A", "Arm B", "Arm C"]
    one = table[table["parameter"].eq("TV01") & table["visit"].eq("Baseline")]
    assert one[one["variable"].eq("AVAL")]["arm"].tolist() == run.arms
    assert not {"n", "n_missing", "sd"} & set(table.columns)


def test_masked_means_are_those_of_the_arms(run_folder: Path) -> None:
    open_run = load_run(run_folder)
    names = masked_arms(ARMS, open_run.provenance)
    whole = open_run.find("signature_summary")[0].table
    masked = with_profile(open_run, "blinded").find("signature_summary")[0].table
    key = ["parameter", "variable", "visit", "arm"]
    both = whole.assign(arm=whole["arm"].map(names)).merge(masked, on=key, suffixes=("", "_m"))
    assert len(both) == len(whole)
    pd.testing.assert_series_equal(both["mean"], both["mean_m"], check_names=False)


def test_datasets_of_a_blinded_run_have_no_arm(run_folder: Path) -> None:
    run = with_profile(load_run(run_folder), "blinded")
    assert "TRT01P" not in run.adam("adscan").columns
    assert run.reference == ""
    assert run.sizes == {"Total": 29}


def test_an_unknown_profile_is_refused(run_folder: Path) -> None:
    with pytest.raises(ReportError, match="unblinded or blinded"):
        with_profile(load_run(run_folder), "masked")
