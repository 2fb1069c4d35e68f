"""The page of a rerun: what was compared, what differs, and in which environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livertrack.report._static import block, bullets, paragraph, static_page
from livertrack.tables.rerun import (
    environment_table,
    files_table,
    largest_table,
    rerun_summary,
    rerun_verdict,
)

#: differences that the page lists; the JSON beside it has more
_SHOWN = 50


def rerun_page(report: Mapping[str, Any]) -> str:
    """HTML page of a rerun report, as `livertrack.pipeline.rerun.write_rerun_report` reads it."""
    kind = {"agrees": "tip", "differs": "important"}.get(report["verdict"], "warning")
    sections = [(
        "Verdict", [paragraph(rerun_verdict(report), kind), block(rerun_summary(report))]
    )]  # fmt: skip
    for heading, lines in (
        ("Inputs that changed", report["inputs"]),
        ("Outputs altered since the run", report["outputs"]),
        ("Differences", report["differences"]),
    ):
        if lines:
            total = report.get("n_differences", len(lines))
            more = total - _SHOWN if heading == "Differences" else len(lines) - _SHOWN
            tail = [paragraph(f"… and {more} more.")] if more > 0 else []
            sections.append((heading, [bullets(lines[:_SHOWN]), *tail]))
    if report["files"]:
        sections.append(("What was compared", [block(files_table(report))]))
        sections.append(("Largest differences", [block(largest_table(report))]))
    lines = [*report["versions"], *((report["environment"] or {}).get("differences", []))]
    sections.append(("Environment", [
        block(environment_table(report)),
        bullets(lines) if lines else paragraph("No version differs from the recorded ones."),
    ]))  # fmt: skip
    where = "in a new environment" if report["environment"] else "in the present environment"
    subtitle = f"Study {report['run']['study']} · {where} · {report['time']}"
    return static_page("Rerun report", subtitle, sections)
