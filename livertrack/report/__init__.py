"""Reports: ``reports/*.qmd`` rendered to self-contained HTML and to PDF."""

from livertrack.report._errors import ReportError
from livertrack.report.render import render

__all__ = ["ReportError", "render"]
