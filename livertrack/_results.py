"""What every endpoint returns: tidy numbers, the sentence made of them, the facts of the run."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

#: Columns of analysis results data (ARD), in the spirit of R's cards: one row per statistic.
#: ``frame`` and ``row`` say which cell of which frame of the result the statistic is.
ARD_COLUMNS = (
    "analysis", "context", "frame", "row",
    "group1", "group1_level", "group2", "group2_level", "variable", "variable_level",
    "stat_name", "stat_label", "stat", "stat_chr", "stat_type", "method", "warning",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of all results.

    Attributes
    ----------
    table : DataFrame
        Tidy, one row per estimate, machine column names, full precision.
    text : str
        One or a few sentences for a report, made of the numbers in ``table``.
    settings : mapping
        Everything that decides the numbers: method, seed, confidence level, resamples, counts.
    notes : tuple of str
        What a reader must know: dropped records with their count, degenerate groups.
    """

    table: pd.DataFrame
    text: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    #: columns that identify a row of a frame; the other columns are statistics
    keys: ClassVar[tuple[str, ...]] = ()
    #: frames with rows of subjects: the column ``settings["subject"]`` stays out of the ARD
    by_subject: ClassVar[tuple[str, ...]] = ()
    #: short name of the endpoint, e.g. ``separation``
    context: ClassVar[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every frame of the result by its attribute name, ``table`` first."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, pd.DataFrame)}

    def to_ard(self, *, analysis: str = "", variable: str = "") -> pd.DataFrame:
        """Analysis results data: one row per statistic of every frame (columns ``ARD_COLUMNS``).

        Text, settings and notes are rows too, so that `ard_frames` gives everything back.
        """
        method = str(self.settings.get("method", ""))
        facts = {
            "analysis": analysis, "context": self.context, "variable": variable, "method": method,
        }  # fmt: skip
        frames = self.frames()
        for name in self.by_subject:
            frames[name] = frames[name].drop(
                columns=str(self.settings["subject"]), errors="ignore"
            )
        parts = [_frame_to_ard(frame, name, self.keys, facts) for name, frame in frames.items()]
        loose = [("text", "text", self.text, "")]
        loose += [("settings", key, _json(value), "") for key, value in self.settings.items()]
        loose += [("notes", "note", note, note) for note in self.notes]
        rows = [
            {
                **dict.fromkeys(ARD_COLUMNS, ""), **facts, "frame": frame, "row": number,
                "stat_name": name, "stat_label": name, "stat": np.nan, "stat_chr": value,
                "stat_type": "text", "warning": warning,
            }
            for number, (frame, name, value, warning) in enumerate(loose)
        ]  # fmt: skip
        parts.append(_typed(pd.DataFrame(rows, columns=list(ARD_COLUMNS))))
        return pd.concat(parts, ignore_index=True)

    def plot(self, **options: Any) -> Any:
        """Draw the result; returns matplotlib axes (``livertrack.figures`` knows how)."""
        # The one place where numbers reach up to pictures: by name, at the user's request.
        figures = importlib.import_module("livertrack.figures")
        return figures.plot_result(self, **options)

    def _repr_html_(self) -> str:
        body = self.table.to_html(index=False, border=0, na_rep="", float_format=_four_digits)
        body = body.replace("<th>", '<th scope="col">')  # there is no index: all are columns
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        tail = f"<ul>{notes}</ul>" if notes else ""
        return f"<div class='livertrack-result'>{body}<p>{escape(self.text)}</p>{tail}</div>"


@dataclass(frozen=True)
class StoredResult:
    """A result read back from its ARD: what a report works with."""

    analysis: str
    variable: str
    context: str
    frames: Mapping[str, pd.DataFrame]
    text: str
    settings: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """The main frame."""
        return self.frames["table"]


def ard_result(ard: pd.DataFrame) -> StoredResult:
    """Rebuild one result from its ARD rows (one analysis, one variable): inverse of `to_ard`.

    Key columns come back as text, statistics as numbers, booleans or text as they were.
    """
    loose = ard[ard["frame"].isin(["text", "settings", "notes"])]
    cells = ard.drop(loose.index)
    # a plain dict() would take the group-by for a mapping
    by_kind = {str(kind): part for kind, part in loose.groupby("frame")}
    settings = by_kind.get("settings", loose.iloc[:0])
    return StoredResult(
        analysis=str(ard["analysis"].iloc[0]),
        variable=str(ard["variable"].iloc[0]),
        context=str(ard["context"].iloc[0]),
        frames={
            str(name): _ard_to_frame(part) for name, part in cells.groupby("frame", sort=False)
        },
        text=" ".join(by_kind.get("text", loose.iloc[:0])["stat_chr"]),
        settings={
            name: json.loads(value)
            for name, value in zip(settings["stat_name"], settings["stat_chr"], strict=True)
        },
        notes=tuple(by_kind.get("notes", loose.iloc[:0])["stat_chr"]),
    )


def _frame_to_ard(
    frame: pd.DataFrame, name: str, keys: Sequence[str], facts: Mapping[str, str]
) -> pd.DataFrame:
    present = [key for key in keys if key in frame.columns]
    statistics = [column for column in frame.columns if column not in present]
    rows: list[dict[str, Any]] = []
    for number, record in enumerate(frame.to_dict("records")):
        base = {**dict.fromkeys(ARD_COLUMNS, ""), **facts, "frame": name, "row": number}
        for place, key in enumerate(present[:2], start=1):
            base[f"group{place}"], base[f"group{place}_level"] = key, _text(record[key])
        base["variable_level"] = (
            json.dumps({key: _text(record[key]) for key in present[2:]}) if present[2:] else ""
        )
        rows.extend({**base, **_statistic(str(column), record[column])} for column in statistics)
    return _typed(pd.DataFrame(rows, columns=list(ARD_COLUMNS)))


def _statistic(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, (bool, np.bool_)):
        kind, number, text = "logical", float(value), ""
    elif isinstance(value, (int, np.integer)):
        kind, number, text = "integer", float(value), ""
    elif isinstance(value, (float, np.floating)):
        kind, number, text = "number", float(value), ""
    else:
        kind, number, text = "text", np.nan, _text(value)
    label = name.replace("_", " ")
    return {
        "stat_name": name, "stat_label": label, "stat": number, "stat_chr": text,
        "stat_type": kind,
    }  # fmt: skip


def _ard_to_frame(cells: pd.DataFrame) -> pd.DataFrame:
    records: dict[int, dict[str, Any]] = {}
    for cell in cells.to_dict("records"):
        record = records.setdefault(int(cell["row"]), {})
        for place in (1, 2):
            if cell[f"group{place}"]:
                record[cell[f"group{place}"]] = cell[f"group{place}_level"]
        if cell["variable_level"]:
            record.update(json.loads(cell["variable_level"]))
        record[cell["stat_name"]] = _value(cell)
    return pd.DataFrame([records[number] for number in sorted(records)])


def _value(cell: Mapping[Any, Any]) -> Any:
    kind = cell["stat_type"]
    if kind == "text":
        return cell["stat_chr"]
    if kind == "logical":
        return bool(cell["stat"])
    return int(cell["stat"]) if kind == "integer" else cell["stat"]


def _typed(ard: pd.DataFrame) -> pd.DataFrame:
    return ard.astype({"stat": "float64", "row": "int64"})


def _json(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, pd.Series, pd.Index)):
        return value.tolist()
    return str(value)


def _text(value: Any) -> str:
    return "" if value is None or value is pd.NA or value is pd.NaT else str(value)


def _four_digits(value: float) -> str:
    return f"{value:.4g}"
