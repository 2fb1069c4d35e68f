"""Errors a user of livertrack meets, each with the exit code the command line gives it.

Messages name the dataset, the column, the count and the cure; never a subject.
"""


class LivertrackError(Exception):
    """Base of every error livertrack raises on purpose."""

    exit_code = 1


class DataError(LivertrackError, ValueError):
    """The data cannot be analysed as they are."""

    exit_code = 1


class ImageError(DataError):
    """A scan or mask cannot be used: unreadable, empty, on another grid, not finite."""


class UsageError(LivertrackError, ValueError):
    """A command or function was called with arguments that make no sense together."""

    exit_code = 2


class PlanError(LivertrackError, ValueError):
    """The plan is malformed, or asks for something the data or the package does not have."""

    exit_code = 3


class MissingToolError(LivertrackError, RuntimeError):
    """The environment lacks a program or an optional library that the call needs."""

    exit_code = 4
