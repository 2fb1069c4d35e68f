"""A rerun says what was compared and what differs, also from an environment built anew."""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import livertrack as lt
from livertrack._files import hash_file, write_json
from livertrack.cli import main
from livertrack.errors import MissingToolError, UsageError
from livertrack.pipeline import audit, lock, new_environment
from livertrack.pipeline.comparison import compare, page_text
from livertrack.pipeline.ledger import code_version
from livertrack.pipeline.manifest import read_manifest
from livertrack.pipeline.rerun import rerun, write_rerun_report
from livertrack.report.tlf import run_id

PLAN = {
    "study": {"id": "LAB-01", "title": "A trial without scans"},
    "seed": 5,
    "data": {
        "population": None, "arms": ["Placebo", "High"], "reference": "Placebo",
        "visits": ["Baseline", "Week 12"], "baseline": "Baseline",
    },
    "analyses": [
        {
            "id": "alt", "endpoint": "ancova", "visit": "Week 12", "parameters": ["ALT"],
            "options": {"formula": "CHG ~ BASE + {arm}"},
        },
        {
            "id": "apart", "endpoint": "separation", "visit": "Week 12", "parameters": ["ALT"],
            "options": {"n_boot": 99},
        },
    ],
}  # fmt: skip


def write_study(folder: Path) -> None:
    rng = np.random.default_rng(5)
    subjects = [f"S{i:02d}" for i in range(20)]
    arms = ["Placebo", "High"] * 10
    base = rng.normal(70, 12, 20).round(1)
    late = (base - 8.0 * (np.array(arms) == "High") + rng.normal(0, 6, 20)).round(1)
    (folder / "adam").mkdir(parents=True)
    pd.DataFrame({"USUBJID": subjects, "SITEID": "1", "TRT01P": arms}).to_csv(
        folder / "adam" / "adsl.csv", index=False
    )
    visits = [("Baseline", 0, base), ("Week 12", 12, late)]
    pd.concat(
        pd.DataFrame({
            "USUBJID": subjects, "PARAMCD": "ALT", "PARAM": "Alanine aminotransferase (U/L)",
            "AVISIT": visit, "AVISITN": number, "AVAL": values,
        })
        for visit, number, values in visits
    ).to_csv(folder / "adam" / "adlb.csv", index=False)  # fmt: skip
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study without scans and its run, made once; not to be changed."""
    folder = tmp_path_factory.mktemp("ran")
    write_study(folder / "study")
    lt.run_study(folder / "study", out=folder / "out", formats=(), workers=1)
    return folder


@pytest.fixture
def copied(ran: Path, tmp_path: Path) -> Path:
    """A copy of both that a test may spoil."""
    return Path(shutil.copytree(ran, tmp_path / "trial"))


@pytest.fixture
def borrowed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """No pip: the new environment borrows the installed libraries, the wheel is unpacked.

    Everything else is real: the virtual environment, the isolated interpreter, the rerun in it.
    """
    calls: list[list[str]] = []

    def stub(python: Path, what: list[str]) -> None:
        calls.append(list(what))
        [site] = (python.parent.parent / "lib").glob("python*/site-packages")
        if what[0] == "--requirement":
            places = [p for p in sys.path if p.endswith("site-packages")]
            (site / "borrowed.pth").write_text("\n".join(places) + "\n")
        else:
            with zipfile.ZipFile(what[-1]) as wheel:
                wheel.extractall(site)

    monkeypatch.setattr(new_environment, "pip_install", stub)
    return calls


def test_a_run_records_the_exact_packages_and_its_own_code(ran: Path) -> None:
    out = ran / "out"
    recorded = read_manifest(out)["environment"]
    assert recorded["code"] == code_version()
    packages = {p.name: p for p in lock.read_lock(out / recorded["lock"])}
    assert packages["numpy"].version == np.__version__
    assert "pandas" in packages["numpy"].needed_by
    assert "livertrack" in packages["pandas"].needed_by
    assert {"pytest", "ruff", "livertrack"}.isdisjoint(packages)
    assert recorded["packages"] == len(packages)
    lines = (out / recorded["lock"]).read_text().splitlines()
    assert all(re.match(r"[a-z0-9][a-z0-9.-]*==\S+  # needed by \S", line) for line in lines)


def test_the_wheel_of_a_run_holds_every_source_and_is_the_same_when_written_twice(
    ran: Path, tmp_path: Path, repository: Path
) -> None:
    wheel = next((ran / "out" / "environment").glob("*.whl"))
    with zipfile.ZipFile(wheel) as made:
        names = set(made.namelist())
        record = made.read(next(n for n in names if n.endswith("/RECORD"))).decode()
    sources = {
        p.relative_to(repository).as_posix() for p in (repository / "livertrack").rglob("*.py")
    }
    assert sources <= names
    assert "livertrack/_shipped/data-dictionary/adsl.json" in names
    assert "livertrack/_shipped/reports/trial-meeting.qmd" in names
    assert {line.split(",")[0] for line in record.splitlines()} == names
    lock._wheel.cache_clear()
    lock.write_wheel(tmp_path / "again.whl")
    assert hash_file(tmp_path / "again.whl") == hash_file(wheel)


def test_a_rerun_leaves_a_report_and_a_page_and_a_line_in_the_log(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = copied / "out"
    (out / "blinded").mkdir()
    (out / "blinded" / "report.html").write_text("rendered later, no part of the run")
    assert main(["rerun", str(out / "manifest.json")]) == 0
    assert "the rerun agrees" in capsys.readouterr().out
    report = json.loads((out / "rerun-report.json").read_text())
    counted = sum(len(pd.read_parquet(path)) for path in (out / "ard").glob("*.parquet"))
    assert report["compared"]["statistics"] == counted > 100
    assert report["verdict"] == "agrees"
    assert report["environment"] is None
    assert all(entry["identical"] == entry["compared"] for entry in report["files"])
    page = page_text(out / "rerun-report.html")
    assert f"{counted} statistics" in page
    assert "every number is identical to the last bit" in page
    assert "src=" not in (out / "rerun-report.html").read_text()
    checked = audit.verify(out)
    assert checked["intact"]
    assert checked["events"] == 3
    # the report is about the run and no part of it: nothing has to be made again
    assert lt.run_study(copied / "study", out=out, formats=()).done == ()


def test_a_tampered_statistic_is_named_with_both_numbers(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = copied / "out"
    path = out / "ard" / "ancova.parquet"
    ard = pd.read_parquet(path)
    row = ard.index[ard["stat_name"].eq("estimate")][0]
    ard.loc[row, "stat"] *= 1 + 1e-6
    ard.to_parquet(path, index=False)
    (tmp_path / "kept").mkdir()
    code = main(["rerun", str(out), "--report", str(tmp_path / "kept"), "--json"])
    assert code == 1
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "kept" / "rerun-report.json").read_text())
    assert report["verdict"] == "differs"
    assert report["outputs"] == ["ard/ancova.parquet: altered since the run"]
    [line] = report["differences"]
    assert "estimate" in line
    assert repr(float(ard.loc[row, "stat"]))[:8] in line
    [largest] = report["largest"]
    assert largest["relative"] == pytest.approx(1e-6, rel=1e-3)
    assert largest["first"] == ard.loc[row, "stat"]
    page = page_text(tmp_path / "kept" / "rerun-report.html")
    assert "differs: 1 difference(s)" in page
    assert not (out / "rerun-report.json").exists()


def test_a_difference_within_the_tolerance_is_shown_and_is_no_difference(copied: Path) -> None:
    out = copied / "out"
    again = copied / "again"
    shutil.copytree(out, again)
    path = again / "ard" / "ancova.parquet"
    ard = pd.read_parquet(path)
    row = ard.index[ard["stat_name"].eq("estimate")][0]
    ard.loc[row, "stat"] *= 1 + 1e-11
    ard.to_parquet(path, index=False)
    found = compare(out, again)
    assert found.differences == []
    entry = next(e for e in found.files if e["file"] == "ard/ancova.parquet")
    assert entry["identical"] == entry["compared"] - 1
    assert entry["different"] == 0
    assert found.largest[0]["relative"] == pytest.approx(1e-11, rel=1e-2)
    assert compare(out, again, tolerance=1e-12).differences


def test_a_number_that_becomes_missing_differs_and_the_report_is_json(copied: Path) -> None:
    out, again = copied / "out", copied / "again"
    shutil.copytree(out, again)
    path = again / "ard" / "ancova.parquet"
    ard = pd.read_parquet(path)
    ard.loc[ard.index[ard["stat_name"].eq("estimate")][0], "stat"] = np.nan
    ard.to_parquet(path, index=False)
    found = compare(out, again)
    assert len(found.differences) == 1
    assert found.largest[0]["second"] is None
    report = rerun(out)
    report |= {"largest": found.largest, "files": found.files}
    path, page = write_rerun_report(report, copied)
    assert "Infinity" not in path.read_text()
    assert "∞" in page_text(page)


def test_the_text_of_a_dataset_is_not_quoted(tmp_path: Path) -> None:
    for name, subject in (("one", "SECRET-1"), ("two", "SECRET-2")):
        (tmp_path / name / "adam").mkdir(parents=True)
        frame = pd.DataFrame({"USUBJID": [subject], "AVAL": [1.0]})
        frame.to_parquet(tmp_path / name / "adam" / "admri.parquet")
    found = compare(tmp_path / "one", tmp_path / "two")
    assert found.differences == ["adam/admri.parquet: row 1: USUBJID differs"]


def test_a_page_with_the_same_text_agrees_and_is_noted(tmp_path: Path) -> None:
    for name, width in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        page = f"<style>p{{width:{width}px}}</style><p>Fat  fraction &lt; 5 %</p>"
        (tmp_path / name / "report.html").write_text(page)
    found = compare(tmp_path / "one", tmp_path / "two")
    assert found.differences == []
    assert found.notes == ["report.html: the visible text agrees, the bytes do not"]
    (tmp_path / "two" / "report.html").write_text("<p>Fat fraction &lt; 6 %</p>")
    found = compare(tmp_path / "one", tmp_path / "two")
    assert found.differences == ["report.html: text differs"]


def test_the_name_of_a_run_is_no_difference_and_another_number_is(tmp_path: Path) -> None:
    names = {}
    for name, python in (("one", "3.11.2"), ("two", "3.11.7")):
        facts = {"plan_hash": "p", "inputs": {}, "seed": 1, "versions": {"python": python}}
        (tmp_path / name / "tables").mkdir(parents=True)
        (tmp_path / name / "provenance.json").write_text(json.dumps(facts), encoding="utf-8")
        names[name] = run_id(facts)
        (tmp_path / name / "tables" / "a.rtf").write_text(f"5.1, run {names[name]}")
    assert names["one"] != names["two"]
    found = compare(tmp_path / "one", tmp_path / "two")
    assert found.differences == []
    assert found.notes == ["tables/a.rtf: agrees but for the name of the run"]
    (tmp_path / "two" / "tables" / "a.rtf").write_text(f"5.2, run {names['two']}")
    found = compare(tmp_path / "one", tmp_path / "two")
    assert found.differences == ["tables/a.rtf: contents differ"]


def test_a_new_environment_is_built_from_the_lock_and_agrees(
    copied: Path, tmp_path: Path, borrowed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("LIVERTRACK_STRAY", "1")
    out = copied / "out"
    recorded = read_manifest(out)
    kept = tmp_path / "environment"
    report = rerun(out, new_environment=True, environment=kept)
    assert report["same"], report["differences"]
    assert report["environment"]["differences"] == []
    assert report["environment"]["code"] == recorded["versions"]["livertrack"]
    assert report["environment"]["packages"] == recorded["environment"]["packages"]
    assert report["compared"]["statistics"] > 100
    assert borrowed == [
        ["--requirement", str(out / recorded["environment"]["lock"])],
        ["--no-index", str(out / recorded["environment"]["wheel"])],
    ]
    assert (kept / "pyvenv.cfg").is_file()
    _, page = write_rerun_report(report, tmp_path)
    assert "in a new environment built from the run's own lock and code" in page_text(page)


def test_an_altered_wheel_is_not_installed(copied: Path, borrowed: list[list[str]]) -> None:
    out = copied / "out"
    wheel = next((out / "environment").glob("*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(
        UsageError, match=r"environment/livertrack-.*whl of the run is missing or al"
    ):
        rerun(out, new_environment=True)
    assert borrowed == []


def test_a_folder_with_files_is_not_built_into(
    copied: Path, tmp_path: Path, borrowed: list[list[str]]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(UsageError, match="is not empty"):
        rerun(copied / "out", new_environment=True, environment=tmp_path / "full")


def test_a_run_of_an_earlier_version_says_that_it_recorded_no_environment(copied: Path) -> None:
    path = copied / "out" / "manifest.json"
    facts = json.loads(path.read_text())
    del facts["environment"]
    write_json(path, facts)
    with pytest.raises(UsageError, match="recorded no environment"):
        rerun(path, new_environment=True)


def test_what_pip_says_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="pip failed with exit code"):
        new_environment.pip_install(
            Path(sys.executable), ["--no-index", "--dry-run", "a-package-that-is-nowhere==1"]
        )


def test_another_python_must_be_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match=r"put python3\.1 on the path"):
        new_environment.find_python("3.1.4")


@pytest.mark.slow
def test_a_new_environment_installed_by_pip_agrees(copied: Path) -> None:
    report = rerun(copied / "out", new_environment=True)
    assert report["same"], report["differences"]
    assert report["environment"]["differences"] == []
