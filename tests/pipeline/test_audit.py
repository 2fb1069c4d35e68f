"""The audit log finds any edited line; `livertrack diff` finds any changed statistic."""

import json

import numpy as np
import pandas as pd
import pytest

from livertrack._files import hash_file, write_json
from livertrack._results import Result
from livertrack.cli import main
from livertrack.errors import UsageError
from livertrack.pipeline import audit
from livertrack.pipeline.difference import differences, facts_that_differ


@pytest.fixture
def logged(tmp_path):
    write_json(tmp_path / "manifest.json", {"schema": 1, "seed": 1})
    audit.append(tmp_path, "started", {"plan": "abc", "seed": 1})
    audit.append(tmp_path, "started", {"plan": "abd", "seed": 1})
    audit.append(tmp_path, "finished", {"manifest": hash_file(tmp_path / "manifest.json")})
    return tmp_path


def lines(folder):
    return (folder / audit.LOG).read_text().splitlines()


def rewrite(folder, new):
    (folder / audit.LOG).write_text("\n".join(new) + "\n")


def test_an_untouched_log_is_intact(logged):
    report = audit.verify(logged)
    assert report["intact"]
    assert report["events"] == 3
    assert report["head"] == json.loads(lines(logged)[-1])["hash"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_edited_line_is_found(logged, number):
    new = lines(logged)
    entry = json.loads(new[number])
    entry["seed"] = 2
    new[number] = json.dumps(entry, sort_keys=True)
    rewrite(logged, new)
    report = audit.verify(logged)
    assert not report["intact"]
    assert any(p.startswith(f"line {number + 1}: edited") for p in report["problems"])


def test_an_edited_line_with_a_new_hash_breaks_the_next(logged):
    new = lines(logged)
    entry = json.loads(new[1])
    entry.pop("hash")
    entry["plan"] = "other"
    entry["hash"] = audit.hash_text(audit.canonical_json(entry))
    new[1] = json.dumps(entry, sort_keys=True)
    rewrite(logged, new)
    assert audit.verify(logged)["problems"] == ["line 3: does not follow the line before it"]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[1:],
        lambda x: [x[1], x[0], x[2]],
        lambda x: [x[0], x[2]],
        lambda x: [*x[:2], "nonsense"],
    ],
)
def test_removed_and_moved_lines_are_found(logged, change):
    rewrite(logged, change(lines(logged)))
    assert not audit.verify(logged)["intact"]


def test_another_manifest_is_found(logged):
    write_json(logged / "manifest.json", {"schema": 1, "seed": 2})
    assert audit.verify(logged)["problems"] == ["manifest.json is not the one the log vouches for"]


def test_a_run_that_did_not_finish_is_told(logged):
    rewrite(logged, lines(logged)[:2])
    assert audit.verify(logged)["problems"] == ["the last line is not that of a finished run"]


def test_without_a_log_there_is_a_clear_error(tmp_path):
    with pytest.raises(UsageError, match="livertrack run"):
        audit.verify(tmp_path)


def test_the_command_says_so_with_its_exit_code(logged, capsys):
    assert main(["audit", "verify", str(logged)]) == 0
    rewrite(logged, lines(logged)[1:])
    assert main(["audit", "verify", str(logged), "--json"]) == 1
    assert '"intact": false' in capsys.readouterr().out


class Small(Result):
    keys = ("arm",)
    context = "small"


def run_folder(folder, estimates, arms=("Low", "High"), seed=1, **manifest):
    table = pd.DataFrame({"arm": list(arms), "estimate": estimates, "n": 10})
    (folder / "ard").mkdir(parents=True)
    small = Small(table=table, text="", settings={"seed": seed})
    small.to_ard(analysis="A1").to_parquet(folder / "ard" / "small.parquet")
    write_json(folder / "manifest.json", {"schema": 1, "seed": seed, "plan_hash": "p",
                                          "inputs": {}, "versions": {}, **manifest})  # fmt: skip
    return folder


def test_equal_runs_do_not_differ(tmp_path):
    one = run_folder(tmp_path / "one", [1.0, np.nan])
    two = run_folder(tmp_path / "two", [1.0 + 1e-12, np.nan])
    assert differences(one, two).empty
    assert facts_that_differ(one, two) == []
    assert main(["diff", str(one), str(two)]) == 0


def test_a_changed_statistic_is_named_with_both_values(tmp_path, capsys):
    one = run_folder(tmp_path / "one", [1.0, 2.0])
    two = run_folder(tmp_path / "two", [1.0, 2.5])
    found = differences(one, two)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["analysis"], row["group1_level"], row["stat_name"]) == ("A1", "High", "estimate")
    assert (row["first"], row["second"], row["change"]) == (2.0, 2.5, "changed")
    assert row["relative"] == pytest.approx(0.2)
    assert main(["diff", str(one), str(two), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["statistics"][0]["second"] == 2.5


def test_an_arm_more_is_not_a_change_of_the_others(tmp_path):
    one = run_folder(tmp_path / "one", [1.0, 2.0])
    two = run_folder(tmp_path / "two", [3.0, 1.0, 2.0], arms=("Mid", "Low", "High"))
    found = differences(one, two)
    assert set(found["change"]) == {"only in second"}
    assert set(found["group1_level"]) == {"Mid"}


def test_a_number_that_went_missing_is_a_change(tmp_path):
    one = run_folder(tmp_path / "one", [1.0, 2.0])
    two = run_folder(tmp_path / "two", [1.0, np.nan])
    assert differences(one, two)["stat_name"].tolist() == ["estimate"]


def test_what_could_explain_it_is_listed(tmp_path):
    one = run_folder(tmp_path / "one", [1.0, 2.0], inputs={"adam/adsl.csv": "a"},
                     versions={"numpy": "1"})  # fmt: skip
    two = run_folder(tmp_path / "two", [1.0, 2.0], seed=2, inputs={"adam/adsl.csv": "b"},
                     versions={"numpy": "2"})  # fmt: skip
    assert facts_that_differ(one, two) == [
        "seed: 1 against 2", "input adam/adsl.csv: changed", "version of numpy: 1 against 2",
    ]  # fmt: skip
    assert differences(one, two)["frame"].tolist() == ["settings"]


def test_a_folder_without_results_is_refused(tmp_path):
    run_folder(tmp_path / "one", [1.0, 2.0])
    with pytest.raises(UsageError, match="not the folder of a finished run"):
        differences(tmp_path / "one", tmp_path)
