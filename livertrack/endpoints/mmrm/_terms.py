"""The covariance term of an MMRM formula: ``us(AVISIT | ARMCD / USUBJID)``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from livertrack.endpoints.mmrm._structures import NAMES
from livertrack.errors import UsageError

_TERM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(([^()|]*)\|([^()|]*)\)")


@dataclass(frozen=True)
class CovarianceTerm:
    """Structure, visit column(s), subject column and optional group column."""

    structure: str
    visits: tuple[str, ...]
    subject: str
    group: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the term needs."""
        return (*self.visits, self.subject, *([self.group] if self.group else []))

    def with_structure(self, structure: str) -> CovarianceTerm:
        """Return the same term with another structure."""
        return CovarianceTerm(structure, self.visits, self.subject, self.group)

    def __str__(self) -> str:
        nested = f"{self.group} / {self.subject}" if self.group else self.subject
        return f"{self.structure}({', '.join(self.visits)} | {nested})"


def split_formula(formula: str) -> tuple[str, CovarianceTerm]:
    """Fixed-effects formula and covariance term of ``formula``."""
    found = _TERM.findall(formula)
    if len(found) != 1:
        msg = (
            f"formula {formula!r} has {len(found)} covariance terms; it needs one, e.g. "
            "'CHG ~ BASE + TRT01P * AVISIT + us(AVISIT | USUBJID)'"
        )
        raise UsageError(msg)
    structure, visits, nested = found[0]
    check_structure(structure)
    names = tuple(_name(part) for part in visits.split(","))
    parts = [_name(part) for part in nested.split("/")]
    if len(parts) > 2 or not all((*names, *parts)):
        msg = f"covariance term {structure}({visits}|{nested}): write (visit | group / subject)"
        raise UsageError(msg)
    if len(names) > 1 and structure != "sp_exp":
        msg = f"{structure} takes one visit column, got {len(names)}: {', '.join(names)}"
        raise UsageError(msg)
    group = parts[0] if len(parts) == 2 else None
    fixed = re.sub(rf"\+\s*{_TERM.pattern}", "", formula)
    fixed = re.sub(rf"{_TERM.pattern}\s*\+", "", fixed)
    fixed = re.sub(_TERM.pattern, "1", fixed).strip()
    return fixed, CovarianceTerm(structure, names, parts[-1], group)


def check_structure(structure: str) -> None:
    """Raise `UsageError` for an unknown structure."""
    if structure not in NAMES:
        msg = f"covariance {structure!r} is not known; choose one of {', '.join(NAMES)}"
        raise UsageError(msg)


def _name(text: str) -> str:
    return text.strip().strip("`")
