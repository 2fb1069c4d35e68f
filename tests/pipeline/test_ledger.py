"""An interrupted run goes on where it stopped and does nothing twice."""

from pathlib import Path

import pytest

from livertrack.pipeline.ledger import Ledger, code_version


def write_one(folder: Path, calls: list[str], text: str = "x"):
    def work() -> None:
        calls.append(text)
        (folder / "a.txt").write_text(text)

    return work


def test_a_finished_step_is_not_done_again(tmp_path: Path) -> None:
    calls: list[str] = []
    for _ in range(2):
        Ledger(tmp_path).step("a", {"k": 1}, [tmp_path / "a.txt"], write_one(tmp_path, calls))
    assert calls == ["x"]


@pytest.mark.parametrize("change", ["uses", "output", "missing", "stamp"])
def test_a_step_is_redone_when_anything_changed(tmp_path: Path, change: str) -> None:
    calls: list[str] = []
    output = tmp_path / "a.txt"
    Ledger(tmp_path).step("a", {"k": 1}, [output], write_one(tmp_path, calls))
    if change == "output":
        output.write_text("y")
    if change == "missing":
        output.unlink()
    if change == "stamp":
        (tmp_path / ".state" / "a.json").write_text("{broken")
    uses = {"k": 2} if change == "uses" else {"k": 1}
    Ledger(tmp_path).step("a", uses, [output], write_one(tmp_path, calls))
    assert calls == ["x", "x"]


def test_a_failed_step_leaves_no_stamp(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / "a.txt").write_text("half")
        raise RuntimeError("power cut")

    ledger = Ledger(tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        ledger.step("a", {}, [tmp_path / "a.txt"], work)
    assert not (tmp_path / ".state" / "a.json").exists()


def test_a_step_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"without writing b\.txt"):
        Ledger(tmp_path).step("b", {}, [tmp_path / "b.txt"], lambda: None)


def test_code_version_names_the_package_version() -> None:
    import livertrack

    assert code_version().startswith(f"{livertrack.__version__}+")
