"""The qualification reproduces published tables, and says so when it does not."""

import json
from pathlib import Path

import pytest

from livertrack.pipeline import validate as module
from livertrack.pipeline.validate import validate


def test_every_published_number_is_reproduced(tmp_path: Path) -> None:
    table = validate(out=tmp_path)
    assert table["passed"].all(), table[~table["passed"]]
    assert len(table) > 30
    stored = json.loads((tmp_path / "validation.json").read_text())
    assert len(stored["quantities"]) == len(table)
    assert "http" not in (tmp_path / "validation.html").read_text()


def test_a_wrong_number_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    check = ("lt.nothing", "nowhere", lambda: [("x", 1.0, 1.1, 0.05), ("y", 1.0, 1.05, 0.05)])
    monkeypatch.setattr(module, "_CHECKS", [check])
    assert validate()["passed"].tolist() == [False, True]
