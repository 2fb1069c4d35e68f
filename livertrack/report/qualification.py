"""What the validation report works with: the files of a qualification, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from livertrack.report._errors import ReportError
from livertrack.report.page import Page
from livertrack.report.run import Run


def open_qualification(folder: str | Path) -> tuple[Page, dict[str, Any]]:
    """Open the folder that ``livertrack validate --out`` wrote.

    Returns
    -------
    page : Page
    facts : dict
        ``numbers, characteristics, measured, comparison`` (frames; the last two None unless the
        simulations were repeated), ``power, separation`` (frames of the release's curves) and
        ``version, versions, machine, passed``.

    Raises
    ------
    ReportError
        The folder holds no qualification.
    """
    folder = Path(folder)
    if not (folder / "validation.json").is_file():
        msg = f"report: {folder} holds no qualification; make one with `livertrack validate --out`"
        raise ReportError(msg)
    facts: dict[str, Any] = json.loads((folder / "validation.json").read_text(encoding="utf-8"))
    facts.pop("quantities", None)
    for key, name in (
        ("numbers", "reference_numbers"), ("characteristics", "operating_characteristics"),
        ("measured", "simulated_now"), ("comparison", "simulations_compared"),
        ("power", "pathways_power"), ("separation", "signature_separation"),
    ):  # fmt: skip
        path = folder / f"{name}.parquet"
        facts[key] = pd.read_parquet(path) if path.is_file() else None
    return Page(Run(out=folder, plan={})), facts
