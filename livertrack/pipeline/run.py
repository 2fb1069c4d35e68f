"""Run a study: check, image, analyse, report. An interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from joblib import parallel_config

from livertrack._files import hash_file, write_json, write_parquet
from livertrack.errors import DataError, UsageError
from livertrack.findings import Finding, findings_frame
from livertrack.pipeline import audit
from livertrack.pipeline.check import image_findings
from livertrack.pipeline.environment import one_thread
from livertrack.pipeline.imaging import Imaging, run_imaging
from livertrack.pipeline.inputs import hash_inputs
from livertrack.pipeline.ledger import Ledger
from livertrack.pipeline.manifest import provenance, write_manifest
from livertrack.pipeline.progress import Progress
from livertrack.pipeline.replicate import VOCABULARY, FirstCohort
from livertrack.pipeline.results import write_results
from livertrack.study import Study, read_study


@dataclass(frozen=True)
class RunSummary:
    """What a run did: where it is, which steps were done or kept, which analyses failed."""

    out: Path
    reports: tuple[Path, ...]
    done: tuple[str, ...]
    kept: tuple[str, ...]
    failed: dict[str, str]
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary, as ``--json`` prints it."""
        return {
            "out": str(self.out),
            "reports": [str(path) for path in self.reports],
            "done": list(self.done),
            "kept": list(self.kept),
            "failed": self.failed,
            "findings": [finding.as_dict() for finding in self.findings],
        }


def run_study(
    path: str | Path,
    *,
    out: str | Path,
    formats: Sequence[str] = ("html",),
    renderer: Literal["auto", "embedded", "quarto"] = "auto",
    workers: int | None = -1,
    progress: bool = False,
    frozen: str | Path | FirstCohort | None = None,
) -> RunSummary:
    """Run the plan of a study folder and leave records, results and report in ``out``.

    Parameters
    ----------
    path : path
        Study folder (``plan.yaml``, ``adam/``, ``images.csv``).
    out : path
        Folder of the run; a folder with a finished or interrupted run of the same study is
        continued, finished work whose inputs are unchanged is kept.
    formats : sequence of {"html", "pdf", "docx"}
        Formats of the report; empty for none.
    renderer : {"auto", "embedded", "quarto"}
        ``embedded`` needs no program; ``auto`` takes it, and the Quarto program only where the
        libraries of the extra ``report`` are missing, so that a page does not depend on what else
        is installed.
    workers : int or None
        Processes for scans, folds and resamples; -1: one per processor. None leaves it to the
        caller's ``joblib.parallel_config`` (a Dask cluster, say). Results do not depend on it.
    progress : bool
        Show progress bars on standard error.
    frozen : path, optional
        Run folder of a first cohort: its vocabulary and choices are tested on this study (see
        `replicate`).

    Returns
    -------
    RunSummary

    Raises
    ------
    PlanError
        The plan is malformed. Nothing is written.
    DataError
        The data have errors: all of them in the message. Nothing is written but, where the run
        folder exists already, nothing in it is changed.

    Notes
    -----
    An analysis that cannot be computed (say, an arm is empty at its visit) does not stop the
    others: its reason is an ARD row and stands in the report, and it is listed in ``failed``.
    """
    path, out = Path(path), Path(out)
    if out.resolve() == path.resolve():
        msg = "the run folder must not be the study folder"
        raise UsageError(msg)
    study = read_study(path)
    findings = (*study.findings, *image_findings(study))
    _stop_on_errors(findings)
    first = FirstCohort.read(frozen) if isinstance(frozen, str | Path) else frozen
    if first is not None:
        first.require_new_subjects(study)
        study = first.applied(study)
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    bar = Progress(show=progress)
    ledger = Ledger(out)
    audit.append(
        out,
        "started",
        {"study": study.plan.study.id, "plan": study.plan.hash, "seed": study.plan.seed},
    )
    with one_thread(), _workers(workers):
        bar.start("reading and hashing the inputs")
        settings = study.plan.imaging
        inputs = hash_inputs(path, study.images, settings.truth if settings else None)
        imaging = Imaging()
        if first is not None:
            first.require_new_files(inputs)
        if study.plan.imaging:
            words = None if first is None else first.out / VOCABULARY
            imaging = run_imaging(study, out, ledger, inputs, bar, vocabulary=words)
        study = imaging.extend(study)
        uses = {"inputs": inputs, "imaging": imaging.hashes, "plan": _plan_facts(study)}
        more = () if first is None else first.described(study, imaging.adpath)
        failed = write_results(study, imaging, out, ledger, uses, bar, more)
    write_json(out / "plan.json", json.loads(study.plan.canonical()))
    write_parquet(out / "adam" / "findings.parquet", _findings_for_report(findings))
    facts = provenance(study, inputs)
    if first is not None:
        facts["frozen"] = first.facts(out)
    write_json(out / "provenance.json", facts)
    reports: list[Path] = []
    if formats:
        from livertrack.report import render_report

        bar.start("rendering the report")
        reports = list(render_report(out, formats=tuple(formats), renderer=renderer))
    manifest = write_manifest(out, study, facts)
    audit.append(out, "finished", {
        "manifest": hash_file(manifest), "done": len(ledger.done), "kept": len(ledger.kept),
    })  # fmt: skip
    bar.close()
    return RunSummary(
        out, tuple(reports), tuple(ledger.done), tuple(ledger.kept), failed, tuple(findings)
    )


@contextmanager
def _workers(workers: int | None) -> Iterator[None]:
    with warnings.catch_warnings(), ExitStack() as stack:
        # joblib renews workers whose memory grew; nothing is lost, and nobody need be told
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        if workers is not None:
            stack.enter_context(parallel_config(n_jobs=workers))
        yield


def _stop_on_errors(findings: Sequence[Finding]) -> None:
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        lines = "\n".join(f"  - {finding}" for finding in errors)
        msg = f"the study has {len(errors)} error(s):\n{lines}"
        raise DataError(msg)


def _plan_facts(study: Study) -> dict[str, Any]:
    """Parts of the plan that every analysis uses."""
    facts = json.loads(study.plan.canonical())
    return {name: facts[name] for name in ("study", "seed", "data", "conf_level")}


def _findings_for_report(findings: Sequence[Finding]) -> pd.DataFrame:
    frame = findings_frame(findings).drop(columns="rows")
    return frame.astype({"count": "int64"})
