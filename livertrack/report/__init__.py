"""Reports: ``reports/*.qmd`` rendered to self-contained HTML and to PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from livertrack._resources import resource_dir
from livertrack.errors import UsageError
from livertrack.report._errors import ReportError
from livertrack.report._parameters import parameters_of
from livertrack.report._source import read_source
from livertrack.report.blinding import with_profile
from livertrack.report.example import write_example
from livertrack.report.init import init_report
from livertrack.report.page import Page, open_page, plain
from livertrack.report.qualification import open_qualification
from livertrack.report.render import Renderer, render
from livertrack.report.run import Run, load_run
from livertrack.report.task import holds_task, open_task
from livertrack.report.trace import trace_report

__all__ = [
    "Page",
    "ReportError",
    "Run",
    "init_report",
    "load_run",
    "open_page",
    "open_qualification",
    "open_task",
    "plain",
    "render",
    "render_report",
    "report_names",
    "reports_for",
    "trace_report",
    "with_profile",
    "write_example",
]

#: the report of a whole run, and that of an image-prediction task
MAIN, TASK_PAGE = "trial-meeting", "prediction-task"


def render_report(
    out: str | Path,
    source: str | None = None,
    *,
    formats: Sequence[str] = ("html",),
    renderer: Renderer = "auto",
    params: Mapping[str, str] | None = None,
) -> list[Path]:
    """Render a report of the package for the run in ``out``.

    Parameters
    ----------
    out : path
        Folder of a run, or of an evaluated task. The pages of its own report are
        ``report.html``, ...; ``tables/`` and ``figures/`` lie beside them. Another report has
        pages of its own name, and folders of that name in ``tables/`` and ``figures/``.
    source : str, optional
        Name of a report of the package (see `report_names`), or a path to a .qmd with the
        parameter ``run``; by default the report of the whole run, or the page of the task.
    formats : sequence of {"html", "pdf", "docx"}
    renderer : {"auto", "embedded", "quarto"}
        See `render`.
    params : mapping, optional
        Further parameters of the report. ``profile="blinded"`` masks the arms; its pages, tables
        and figures land in the folder ``blinded`` of the run.

    Returns
    -------
    list of Path
        Every file written, the pages first.

    Raises
    ------
    UsageError
        There is no such report.
    ReportError
        The report has no such parameter, or there is no such profile.
    """
    of_task = holds_task(out)
    usual = TASK_PAGE if of_task else MAIN
    source = usual if source is None else source
    named = resource_dir("reports") / f"{source}.qmd"
    path = named if source in report_names() else Path(source)
    if path.suffix != ".qmd":
        msg = f"no report {source!r}; there are {', '.join(report_names())}"
        raise UsageError(msg)
    main, profile = source == usual, (params or {}).get("profile", "unblinded")
    return render(
        path,
        out=Path(out) / "blinded" if profile == "blinded" else out,
        params={"run": str(Path(out).resolve()), **(params or {})},
        formats=formats,
        renderer=renderer,
        name="report" if main else path.stem,
        products="" if main else path.stem,
        header=_task_header(Path(out))
        if of_task
        else _header(with_profile(load_run(out), profile), main=main),
    )


def report_names() -> list[str]:
    """Reports of the package that show a run, by name."""
    sources = resource_dir("reports").glob("[!_]*.qmd")
    return sorted(path.stem for path in sources if path.stem != "validation")


def reports_for(out: str | Path, params: Mapping[str, str] | None = None) -> list[str]:
    """Reports that show the run (or task) in ``out`` and have these parameters."""
    if holds_task(out):
        return [TASK_PAGE]
    folder = resource_dir("reports")
    return [
        name
        for name in report_names()
        if name != TASK_PAGE
        and set(params or {}) <= parameters_of(read_source(folder / f"{name}.qmd"))
    ]


def _header(run: Run, *, main: bool) -> dict[str, str]:
    """Title and subtitle: those of the study; a further report keeps its own title."""
    study, wanted = run.plan["study"], run.plan.get("report") or {}
    about = f"Study {study['id']}" + (" · simulated data" if run.simulated else "")
    if run.blinded:
        about += " · blinded"
    if not main:
        return {"subtitle": plain(f"{study['title']} · {about}")}
    return {
        "title": plain(wanted.get("title") or study["title"]),
        "subtitle": plain(wanted.get("subtitle") or about),
    }


def _task_header(out: Path) -> dict[str, str]:
    """Title of the task, and that its cases are simulated where they are."""
    task = open_task(out)[1]
    about = f"Task {task.result.settings.get('task_name', '')}".strip()
    return {
        "title": plain(task.title),
        "subtitle": plain(about + (" · simulated data" if task.simulated else "")),
    }
