"""Words that several commands take: formats of reports, a scheduler, NAME=VALUE pairs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Protocol

from livertrack.errors import UsageError


class Add(Protocol):
    """Makes a command of a name, a function and a text, below a parent if one is given."""

    def __call__(
        self, name: str, function: object, text: str, parent: object = ...
    ) -> argparse.ArgumentParser:
        """Make the command."""
        ...


def report_options(parser: argparse.ArgumentParser) -> None:
    """Formats of a report and what renders it."""
    parser.add_argument("--format", nargs="*", choices=["html", "pdf", "docx"], default=["html"])
    parser.add_argument("--renderer", choices=["auto", "embedded", "quarto"], default="auto")


def scheduler_option(parser: argparse.ArgumentParser) -> None:
    """Where the work on scans is done."""
    text = "Dask scheduler whose workers do the scans, e.g. tcp://host:8786"
    parser.add_argument("--scheduler", metavar="ADDRESS", help=text)


def pairs(words: Sequence[str], option: str, form: str) -> dict[str, str]:
    """Read words like NAME=VALUE; `UsageError` with those that are not."""
    wrong = [word for word in words if "=" not in word]
    if wrong:
        msg = f"{option} takes {form}, got {' '.join(wrong)}"
        raise UsageError(msg)
    return dict(word.split("=", 1) for word in words)
