"""Reports: ``reports/*.qmd`` rendered to self-contained HTML and to PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from livertrack._resources import resource_dir
from livertrack.report._errors import ReportError
from livertrack.report.example import write_example
from livertrack.report.init import init_report
from livertrack.report.page import Page, open_page, plain
from livertrack.report.qualification import open_qualification
from livertrack.report.render import Renderer, render
from livertrack.report.run import Run, load_run

__all__ = [
    "Page",
    "ReportError",
    "Run",
    "init_report",
    "load_run",
    "open_page",
    "open_qualification",
    "plain",
    "render",
    "render_report",
    "write_example",
]


def render_report(
    out: str | Path,
    source: str = "trial-meeting",
    *,
    formats: Sequence[str] = ("html",),
    renderer: Renderer = "auto",
) -> list[Path]:
    """Render a report of the package for the run in ``out``.

    Parameters
    ----------
    out : path
        Folder of a run; the pages (``report.html``, ...), ``tables/`` and ``figures/`` land there.
    source : str
        Name of a report of the package, or a path to a .qmd with the parameter ``run``.
    formats : sequence of {"html", "pdf", "docx"}
    renderer : {"auto", "embedded", "quarto"}
        See `render`.

    Returns
    -------
    list of Path
        Every file written, the pages first.
    """
    named = resource_dir("reports") / f"{source}.qmd"
    path = named if named.is_file() else Path(source)
    name = "report" if source == "trial-meeting" else path.stem
    run = load_run(out)
    study, wanted = run.plan["study"], run.plan.get("report") or {}
    about = f"Study {study['id']}" + (" · simulated data" if run.simulated else "")
    return render(
        path,
        out=out,
        params={"run": str(Path(out).resolve())},
        formats=formats,
        renderer=renderer,
        name=name,
        header={
            "title": plain(wanted.get("title") or study["title"]),
            "subtitle": plain(wanted.get("subtitle") or about),
        },
    )
