"""What can go wrong between a .qmd and its pages."""

from livertrack.errors import LivertrackError


class ReportError(LivertrackError, RuntimeError):
    """A report cannot be rendered: a failed cell, an unresolved reference, a missing parameter."""

    exit_code = 1
