"""One problem found in a study: where, how often, and what to do about it. Never a subject id."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd


@dataclass(frozen=True, order=True)
class Finding:
    """One kind of problem in one column of one dataset.

    Attributes
    ----------
    dataset : str
        File stem, e.g. ``adlb`` or ``images``.
    column : str
        Column concerned; blank when it is the dataset as a whole.
    problem : str
        What is wrong, in a few words.
    count : int
        How many rows (or subjects, or files) are affected.
    cure : str
        What to do.
    severity : {"error", "warning"}
        An error stops a run; a warning is reported and the rows concerned are left out.
    rows : tuple of int
        First few line numbers in the file (the header is line 1), so that the rows are found.
    """

    dataset: str
    column: str
    problem: str
    count: int
    cure: str
    severity: Literal["error", "warning"] = "error"
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"{self.dataset}.{self.column}" if self.column else self.dataset
        more = ", ..." if self.count > len(self.rows) else ""
        lines = f" (lines {', '.join(map(str, self.rows))}{more})"
        return (
            f"{self.severity}: {where}: {self.problem}: {self.count}"
            f"{lines if self.rows else ''}; {self.cure}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary, as ``--json`` prints it."""
        return asdict(self)


def findings_frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """Findings as a frame, one row each, worst first."""
    ordered = sorted(findings, key=lambda f: (f.severity != "error", f))
    columns = list(Finding.__dataclass_fields__)
    return pd.DataFrame([f.as_dict() for f in ordered], columns=columns)
