"""How tables and figures look at a result: live or read back, with frames that may be empty."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

#: which way is good for the subject, by PARAMCD; measures without an entry have no direction
BENEFIT: Mapping[str, str] = {
    **dict.fromkeys(
        ("ALT", "AST", "GGT", "ALP", "BILI", "LOGBILI", "INR", "PROTIME", "PT", "PDFF", "STIFF",
         "T1", "CT1", "LIF", "STEATOSIS", "INFLAM", "BALLOON", "FIBROSIS", "NAS", "NASH", "STAGE",
         "FIB4", "ELF", "MELD", "ALBI", "MAYO"),
        "lower",
    ),
    **dict.fromkeys(("PLAT", "ALB"), "higher"),
}  # fmt: skip


class ResultLike(Protocol):
    """What `livertrack._results.Result` and ``StoredResult`` share."""

    @property
    def context(self) -> str:
        """Name of the endpoint."""

    @property
    def text(self) -> str:
        """Sentence of the result."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decided the numbers."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know."""


def frame_of(result: Any, name: str = "table", columns: Sequence[str] = ()) -> pd.DataFrame:
    """Get a frame of a result; one that has no rows (or is absent) comes back with ``columns``.

    Analysis results data have no rows of an empty frame, so a result read back lacks it.
    """
    frames = {} if result is None else result.frames
    frames = frames() if callable(frames) else frames
    found: pd.DataFrame | None = frames.get(name)
    if found is None or found.empty:
        return pd.DataFrame(columns=list(columns))
    absent = [column for column in columns if column not in found.columns]
    return found.assign(**dict.fromkeys(absent, float("nan")))


def variable_of(result: Any) -> str:
    """PARAMCD (or outcome) that a result is about, where it says so."""
    return str(getattr(result, "variable", "") or "")


def benefit(parameter: str) -> str:
    """Say which direction of a measure is good: ``lower is better``, or nothing where unknown."""
    way = BENEFIT.get(parameter)
    return f"{way} is better" if way else ""


def order_of(values: Sequence[Any], wanted: Sequence[str] | None = None) -> list[str]:
    """Distinct values as text in the ``wanted`` order, others after it as they come."""
    seen = list(dict.fromkeys(str(value) for value in values))
    first = [value for value in (wanted or ()) if value in seen]
    return [*first, *(value for value in seen if value not in first)]


def reason_text(reason: str) -> str:
    """Write a reason of a dataset in lower case where it is in capitals."""
    text = reason.strip()
    return text.lower() if text.isupper() else text[:1].lower() + text[1:]


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def is_type(parameter: str) -> bool:
    """Whether a PARAMCD is a tissue type (TV01, TV02, ...)."""
    return parameter.startswith("TV") and parameter[2:].isdigit()


def type_number(parameter: str) -> int:
    """Number of a tissue type; 0 for other measures."""
    return int(parameter[2:]) if is_type(parameter) else 0


def scale_of(parameter: str) -> float:
    """Factor from the unit of the records to that shown: shares are shown as percent."""
    return 100.0 if is_type(parameter) else 1.0


def unitless(label: str) -> str:
    """Drop the unit in parentheses at the end of a label, where numbers beside it have none."""
    return re.sub(r"\s*\([^()]*\)$", "", label)


def arm_of_term(term: str, arms: Sequence[str]) -> str:
    """Name a treatment-contrast term by its level: ``TRT01P[T.High]`` is ``High``."""
    match = re.fullmatch(r"(?P<column>\w+)\[(?:T\.)?(?P<level>.*)\]", term)
    if match is None:
        return term
    return match["level"] if match["level"] in arms else f"{match['column']}: {match['level']}"


def term_name(term: str, arms: Sequence[str], labels: Mapping[str, str] | None = None) -> str:
    """Name a term of a model for a reader: an arm, the baseline value, a labelled covariate."""
    name = arm_of_term(term, arms)
    column, colon, level = name.partition(": ")
    known = {"BASE": "Baseline value", **(labels or {})}
    return known.get(column, column) + colon + level
