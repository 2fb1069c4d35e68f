"""How the Quarto program is called, shown with a program that stands for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from livertrack.report import ReportError
from livertrack.report._quarto import quarto_pages

_PROGRAM = """#!/bin/sh
printf '%s\\n' "$@" "$QUARTO_PYTHON" "$PYTHONHASHSEED" > called.txt
printf '<p>page</p>' > page.html
{extra}
"""


def call(folder: Path, monkeypatch: pytest.MonkeyPatch, extra: str = "") -> dict[str, bytes]:
    program = folder / "quarto"
    program.write_text(_PROGRAM.format(extra=extra), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("QUARTO_PATH", str(program))
    (folder / "page.qmd").write_text("text", encoding="utf-8")
    return quarto_pages(
        folder / "page.qmd", ["html"], python="/bin/python", header={"title": "A b"},
        known=["livertrack-html"],
    )  # fmt: skip


def test_the_program_gets_the_format_of_the_extension_and_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(tmp_path, monkeypatch) == {"html": b"<p>page</p>"}
    said = (tmp_path / "called.txt").read_text(encoding="utf-8").splitlines()
    assert said == ["render", "page.qmd", "--to", "livertrack-html", "--metadata", "title=A b",
                    "/bin/python", "0"]  # fmt: skip


def test_a_failed_cell_is_an_error_with_what_the_program_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ReportError, match="exited with 3:\nNameError: x"):
        call(tmp_path, monkeypatch, "echo 'NameError: x' >&2; exit 3")


def test_an_unresolved_reference_is_an_error_though_the_program_exits_with_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ReportError, match="@fig-none"):
        call(tmp_path, monkeypatch, "echo 'Unable to resolve crossref @fig-none' >&2")
