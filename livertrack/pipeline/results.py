"""The analyses of the plan as analysis results data: one file per endpoint in ``OUT/ard``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from livertrack._files import write_parquet
from livertrack._results import ARD_COLUMNS, Result
from livertrack.errors import LivertrackError
from livertrack.pipeline.analyses import answer
from livertrack.pipeline.describe import describe
from livertrack.pipeline.imaging import Imaging
from livertrack.pipeline.ledger import Ledger
from livertrack.pipeline.multiplicity import family_adjustment
from livertrack.pipeline.progress import Progress
from livertrack.plan import Analysis
from livertrack.study import Study


def write_results(
    study: Study, imaging: Imaging, out: Path, ledger: Ledger, uses: Any, bar: Progress,
    more: Iterable[tuple[str, Any, Callable[[], pd.DataFrame]]] = (),
) -> dict[str, str]:  # fmt: skip
    """Write one ARD file per endpoint; return the analyses that could not be computed, and why.

    Each analysis is a step of its own: changing one of them redoes that one alone. ``more`` gives
    name, what it uses and maker of results beside the plan's.
    """
    pieces: dict[str, tuple[str, Path]] = {}

    def keep(name: str, endpoint: str, facts: Any, make: Callable[[], pd.DataFrame]) -> None:
        piece = out / ".state" / "ard" / f"{name}.parquet"
        bar.start(f"analysis {name}")
        work = _writer(piece, name, endpoint, make)
        ledger.step(f"ard-{name}", facts, [piece], work)
        pieces[name] = (endpoint, piece)

    for name, make in describe(study, imaging, out):
        keep(name, name, uses, partial(_described, name, make))
    for analysis in study.plan.analyses:
        facts = {**uses, "analysis": analysis.model_dump(mode="json")}
        work = partial(_planned, study, analysis, imaging)
        keep(analysis.id, analysis.endpoint, facts, work)
    for name, facts, build in more:
        keep(name, name, {**uses, **facts}, build)
    family = study.plan.multiplicity
    if family is not None:
        ards = {name: pd.read_parquet(pieces[name][1]) for name in family.analyses}
        facts = {**uses, "plan": study.plan.hash}
        keep(
            "multiplicity", "multiplicity", facts,
            lambda: family_adjustment(study.plan, ards).to_ard(analysis="multiplicity"),
        )  # fmt: skip
    return _gather(out, pieces)


def _described(name: str, make: Callable[[], Result]) -> pd.DataFrame:
    return make().to_ard(analysis=name)


def _planned(study: Study, analysis: Analysis, imaging: Imaging) -> pd.DataFrame:
    made = {"adseq": imaging.adseq, "adnoise": imaging.adnoise}
    parts = [
        result.to_ard(analysis=analysis.id, variable=variable)
        for variable, result in answer(study, analysis, imaging.adpath, **made)
    ]
    return pd.concat(parts, ignore_index=True)


def _writer(
    piece: Path, name: str, endpoint: str, make: Callable[[], pd.DataFrame]
) -> Callable[[], None]:
    def work() -> None:
        try:
            ard = make()
        except LivertrackError as error:
            ard = _error_row(name, endpoint, str(error))
        write_parquet(piece, ard)

    return work


def _gather(out: Path, pieces: dict[str, tuple[str, Path]]) -> dict[str, str]:
    failed: dict[str, str] = {}
    endpoints = dict.fromkeys(endpoint for endpoint, _ in pieces.values())
    for endpoint in endpoints:
        files = [piece for of, piece in pieces.values() if of == endpoint]
        ard = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
        for row in ard[ard["frame"].eq("error")].itertuples():
            failed[str(row.analysis)] = str(row.stat_chr)
        write_parquet(out / "ard" / f"{endpoint}.parquet", ard)
    for stale in (out / "ard").glob("*.parquet"):
        if stale.stem not in endpoints:
            stale.unlink()
    return failed


def _error_row(name: str, endpoint: str, reason: str) -> pd.DataFrame:
    row = {
        **dict.fromkeys(ARD_COLUMNS, ""), "analysis": name, "context": endpoint, "frame": "error",
        "row": 0, "stat_name": "error", "stat_label": "not estimable", "stat": float("nan"),
        "stat_chr": reason, "stat_type": "text", "warning": reason,
    }  # fmt: skip
    ard = pd.DataFrame([row], columns=list(ARD_COLUMNS))
    return ard.astype({"row": "int64", "stat": "float64"})
