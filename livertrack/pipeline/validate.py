"""Qualification on any machine: reference numbers, error rates, and the report of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

import livertrack as lt
from livertrack._files import write_json, write_parquet, write_text
from livertrack._resources import resource_dir
from livertrack.errors import UsageError
from livertrack.pipeline.environment import machine, one_thread, versions
from livertrack.validation import (
    compare_with_release,
    operating_characteristics,
    reference_table,
    released_characteristics,
    released_power,
    released_separation,
)
from livertrack.validation.characteristics import OPENING


@dataclass(frozen=True)
class Qualification:
    """What a qualification found.

    Attributes
    ----------
    numbers : DataFrame
        Reference numbers; see `livertrack.validation.reference_table`.
    characteristics : DataFrame
        Coverage and error rates of the full run made for the release.
    measured : DataFrame or None
        The same of simulations made now.
    comparison : DataFrame or None
        ``measured`` beside the release.
    reports : tuple of Path
        Pages written.
    """

    numbers: pd.DataFrame
    characteristics: pd.DataFrame
    measured: pd.DataFrame | None = None
    comparison: pd.DataFrame | None = None
    reports: tuple[Path, ...] = ()

    @property
    def passed(self) -> bool:
        """Every number is reproduced, and every simulation made now agrees with the release."""
        agrees = self.comparison is None or bool(self.comparison["passed"].all())
        return bool(self.numbers["passed"].all()) and agrees


def validate(
    *,
    out: str | Path | None = None,
    simulate: bool = False,
    quick: bool = False,
    formats: Sequence[str] = ("html",),
    renderer: str = "auto",
    workers: int = -1,
) -> Qualification:
    """Compute every reference number and compare; on request, simulate again.

    Parameters
    ----------
    out : path, optional
        Folder for ``validation.json``, ``reference_numbers.csv``,
        ``operating_characteristics.csv`` (of the release; ``simulated_now.csv`` of this run, both
        also as parquet), ``pathways_power.csv, signature_separation.csv`` (of the release) and
        the report ``validation.html``.
    simulate : bool
        Repeat the simulations, with the seed of the release.
    quick : bool
        Of every simulation only the first trials, compared one by one with the release.
    formats : sequence of {"html", "pdf", "docx"}
    renderer : {"auto", "embedded", "quarto"}
    workers : int
        Processes of the simulations; the numbers do not depend on it.

    Returns
    -------
    Qualification
    """
    if quick and not simulate:
        msg = "--quick shortens the simulations; ask for them with --simulate"
        raise UsageError(msg)
    with one_thread():
        numbers = reference_table()
    released = released_characteristics()
    measured = comparison = None
    if simulate:
        with joblib.parallel_config(n_jobs=workers):
            measured = operating_characteristics(n=OPENING if quick else None)
        comparison = compare_with_release(measured, released)
    found = Qualification(numbers, released, measured, comparison)
    if out is None:
        return found
    _write(found, Path(out))
    pages = _render(Path(out), formats, renderer)
    return Qualification(numbers, released, measured, comparison, tuple(pages))


def _write(found: Qualification, out: Path) -> None:
    frames = {
        "reference_numbers": found.numbers, "operating_characteristics": found.characteristics,
        "simulated_now": found.measured, "simulations_compared": found.comparison,
        "pathways_power": released_power(), "signature_separation": released_separation(),
    }  # fmt: skip
    for name, frame in frames.items():
        for suffix in ("csv", "parquet"):
            (out / f"{name}.{suffix}").unlink(missing_ok=True)  # of an earlier qualification
        if frame is not None:
            write_text(out / f"{name}.csv", frame.to_csv(index=False))
            write_parquet(out / f"{name}.parquet", frame)
    facts: dict[str, Any] = {
        "version": lt.__version__, "versions": versions(), "machine": machine(),
        "passed": found.passed, "quantities": found.numbers.to_dict("records"),
    }  # fmt: skip
    write_json(out / "validation.json", facts)


def _render(out: Path, formats: Sequence[str], renderer: str) -> list[Path]:
    from livertrack.report import render

    pages = render(
        resource_dir("reports") / "validation.qmd", out=out,
        params={"folder": str(out.resolve())}, formats=formats,
        renderer=renderer, name="validation",  # type: ignore[arg-type]
    )  # fmt: skip
    return [path for path in pages if path.parent == out]
