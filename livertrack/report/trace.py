"""Every number on a rendered page traced back to the statistic that it was printed from.

A number in a table must be the rounded value of a statistic of the analysis that the table shows,
and all numbers of one cell must stand in one row of its results; a percentage may be that of two
counts of the row. A number in a listing must stand in the record of that subject. A number in a
sentence must be a statistic, a setting or a sentence of the results, or count rows of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from livertrack._files import canonical_json
from livertrack._resources import resource_dir
from livertrack.report._page_text import Cell, Sentence, read_page
from livertrack.report.numbering import CHAPTERS, subject_of
from livertrack.report.run import Run, load_run

Key = tuple[str, str, str, int]
_NUMBER = re.compile(r"(?<![\w.])([<>]?)(−?\d+(?:\.\d+)?)(?!\w|\.\d)")
_VALUE = r"(−?\d+(?:\.\d+)?)"
_INTERVAL = re.compile(rf"{_VALUE}[^()\d]{{0,24}}\([^()]*?{_VALUE} to {_VALUE}")
#: what holds digits and is no statistic: cross-references, types and shells, citations
_NAMES = re.compile(
    r"(?:Figure|Table|Listing|Section|[Tt]ype|[Ss]hell|Scanner|Site)s? \d[\d.]*(?:, \d+)*"
    r"|[A-Z][\w’-]+(?:,? et al\.| and [A-Z][\w’-]+)? \(?\d{4}\b"
)
#: tables that show the plan and the versions, not results
_FACTS = ("estimands", "analyses", "provenance", "findings")
#: sections that say how, not what
_METHODS = ("methods", "limitations", "provenance", "references", "listings")
#: what a row of results is of, where headers name it as the results do
_DIMENSIONS = {"arm", "TRT01P", "visit", "AVISIT", "parameter", "part", "value", "site"}
_P_COLUMNS = ("p", "Adjusted p", "p of interaction")
COLUMNS = ["place", "text", "printed", "found", "source"]


def trace_report(out: str | Path, page: str = "report.html") -> pd.DataFrame:
    """Find the statistic behind every number that a page prints.

    Parameters
    ----------
    out : path
        Run folder.
    page : str
        File name of a rendered page in it.

    Returns
    -------
    DataFrame
        One row per printed number - ``place`` (table or section), ``text`` (cell with its row, or
        sentence), ``printed, found, source`` (file, frame and row; blank where not found).

    Raises
    ------
    ReportError
        The folder holds no run.
    """
    run = load_run(out)
    ard = _Statistics(run)
    rows: list[tuple[str, str, str, bool, str]] = []
    for item in read_page(Path(out) / page):
        if isinstance(item, Cell):
            found = _cell(item, ard, run)
        elif item.section in _METHODS:
            continue
        else:
            found = _sentence(item, ard)
        rows += [(item.place, item.shown, printed, bool(where), where) for printed, where in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def _cell(cell: Cell, ard: _Statistics, run: Run) -> Iterator[tuple[str, str]]:
    name = cell.place
    numbers = _NUMBER.findall(ard.without_labels(cell.text))
    if not numbers or name in _FACTS:
        return
    if name.startswith("listing-"):
        yield from _listed(cell, numbers, run)
        return
    scope = ard.scope(name)
    keys: set[Key] | None = None
    # a cell of the reference stands beside the arm that is compared with it
    only_p = cell.column.rpartition(": ")[2] in _P_COLUMNS
    about = "" if "eference" in cell.column else " | ".join(cell.headers)
    for sign, text in numbers:
        percent = "%" if f"({sign}{text} %)" in cell.text else ""
        found = ard.rows(scope, sign, text, kind="p" if only_p else percent)
        here = {key for key in found if ard.fits(key, about)}
        keys = here if keys is None else keys & here or _shares(keys, numbers, text, ard)
    one = min(keys) if keys else None
    for sign, text in numbers:
        yield sign + text, _name(one) if one else ""


def _shares(
    keys: set[Key], numbers: Sequence[tuple[str, str]], text: str, ard: _Statistics
) -> Any:
    """Rows of two counts whose percentage is ``text``."""
    digits = len(text.partition(".")[2])
    found = set()
    for key in keys:
        counts = [v for v in ard.values(key) if v > 0 and v.is_integer()]
        first = float(numbers[0][1].replace("−", "-"))
        if any(f"{100 * first / total:.{digits}f}" == text for total in counts):
            found.add(key)
    return found


def _listed(cell: Cell, numbers: Sequence[tuple[str, str]], run: Run) -> Iterator[tuple[str, str]]:
    """Numbers of a listing: in a record of the subject that the row names."""
    records = run.adam("adscan")
    mine = records[records["USUBJID"].astype(str).eq(cell.stub)] if records is not None else None
    pool = np.zeros(0) if mine is None else mine.select_dtypes("number").to_numpy(float).ravel()
    for sign, text in numbers:
        hit = any(_same(value, sign, text) for value in pool)
        yield sign + text, f"adam/adscan.parquet, {cell.stub}" if hit else ""


def _sentence(sentence: Sentence, ard: _Statistics) -> Iterator[tuple[str, str]]:
    text = ard.without_labels(sentence.text)
    for match in _INTERVAL.finditer(text):
        both = [ard.rows((), "", number) | ard.rows((), "", number.lstrip("−"))
                for number in match.groups()]  # fmt: skip
        together = set.intersection(*both)
        if not together and not ard.said(match[0]):
            yield match[0], ""
    for sign, number in _NUMBER.findall(text):
        keys = ard.rows((), sign, number) or ard.rows((), sign, f"−{number}")
        keys = {key for key in keys if ard.fits(key, sentence.text)}
        if keys:
            yield sign + number, _name(min(keys))
        else:
            yield sign + number, ard.said(number) or ard.counted(number)


def _name(key: Key) -> str:
    return f"ard/{key[0]}.parquet, {key[1]}, {key[2]} row {key[3]}"


def _same(value: float, sign: str, text: str) -> bool:
    digits = len(text.partition(".")[2])
    shown = float(text.replace("−", "-"))
    if sign:
        return value < shown if sign == "<" else value > shown
    return any(f"{scale * value:.{digits}f}" == f"{shown:.{digits}f}" for scale in (1.0, 100.0))


class _Statistics:
    """The statistics of a run by what they look like when printed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        frames = []
        for path in sorted((run.out / "ard").glob("*.parquet")):
            frame = pd.read_parquet(path)
            frames.append(frame.assign(file=path.stem))
        ard = pd.concat(frames, ignore_index=True)
        loose = ard["frame"].isin(["text", "settings", "notes", "error"])
        cells = ard[~loose]
        self._values: dict[Key, list[float]] = {}
        self._kinds: dict[str, dict[Key, list[float]]] = {"": self._values, "p": {}, "%": {}}
        self._scopes: dict[tuple[str, str], set[Key]] = {}
        self._levels_of: dict[Key, set[tuple[str, str]]] = {}
        self._names: dict[str, dict[str, set[str]]] = {}
        for file, analysis, variable, frame, row, value, chars, context, stat, form in zip(
            cells["file"], cells["analysis"], cells["variable"], cells["frame"], cells["row"],
            cells["stat"], cells["stat_chr"], cells["context"], cells["stat_name"],
            cells["stat_type"], strict=True,
        ):  # fmt: skip
            key = (file, f"{analysis} {variable}".strip(), frame, int(row))
            if str(stat).startswith("p_"):
                self._kinds["p"].setdefault(key, []).append(float(value))
            if form == "number":
                self._kinds["%"].setdefault(key, []).append(float(value))
            held = self._values.setdefault(key, [])
            held.append(float(value))
            held += map(float, re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", str(chars)))
            for scope in ((file, ""), (context, ""), ("", analysis)):
                self._scopes.setdefault(scope, set()).add(key)
        self._learn(cells)
        said = [*ard.loc[loose, "stat_chr"].astype(str), canonical_json(run.plan)]
        self._loose = " ".join(said).replace("-", "−")
        self._sizes = {
            str(n) for n in ard[~loose].groupby(["file", "analysis", "frame"])["row"].nunique()
        }
        self._labels = _labels(run)
        self._index = cache(self._build)
        self._named = cache(self._mentions)

    def _learn(self, cells: pd.DataFrame) -> None:
        """Keep what each row is of: arm, visit, measure, ..., by code and by name."""
        columns = ["file", "analysis", "variable", "frame", "row", "group1", "group1_level",
                   "group2", "group2_level", "variable_level"]  # fmt: skip
        for one in cells[columns].drop_duplicates().to_dict("records"):
            key = (one["file"], f"{one['analysis']} {one['variable']}".strip(), one["frame"],
                   int(one["row"]))  # fmt: skip
            levels = {one["group1"]: one["group1_level"], one["group2"]: one["group2_level"]}
            levels |= json.loads(one["variable_level"]) if one["variable_level"] else {}
            held = {(k, str(v)) for k, v in levels.items() if k in _DIMENSIONS and _word(str(v))}
            self._levels_of[key] = held
            for dimension, level in held:
                names = self._names.setdefault(dimension, {})
                for name in (level, self._run.label(level)):
                    names.setdefault(name.lower(), set()).add(level)

    def fits(self, key: Key, text: str) -> bool:
        """Whether the row is of what the text (headers of a cell, a sentence) names.

        Where it names an arm, the row must be of one of those named; so with visits, measures and
        whatever else identifies rows.
        """
        for dimension, level in self._levels_of[key]:
            named = self._named(dimension, text)
            if named and level not in named:
                return False
        return True

    def _mentions(self, dimension: str, text: str) -> frozenset[str]:
        """Levels of a dimension that a text names, longer names first."""
        names = self._names.get(dimension, {})
        if not names:
            return frozenset()
        ordered = sorted(names, key=len, reverse=True)
        pattern = r"(?<!\w)(?:" + "|".join(map(re.escape, ordered)) + r")(?!\w)"
        found = re.findall(pattern, text.lower())
        return frozenset(level for name in found for level in names[name])

    def values(self, key: Key) -> list[float]:
        return self._values[key]

    def without_labels(self, text: str) -> str:
        """Text without names that hold digits: visits, measures, cross-references."""
        for label in self._labels:
            text = text.replace(label, " ")
        return _NAMES.sub(" ", text)

    def scope(self, name: str) -> tuple[str, ...]:
        """Endpoints or the analysis that a table of that name shows."""
        endpoint, analysis = subject_of(name, self._run.plan)
        if analysis:
            return ("", analysis)
        same = [e for e in CHAPTERS if e and CHAPTERS[e] == CHAPTERS.get(endpoint)]
        return ("endpoints", *same) if endpoint else ()

    def rows(self, scope: tuple[str, ...], sign: str, text: str, *, kind: str = "") -> set[Key]:
        """Rows with a statistic that prints like this; of p-values or shares alone if asked."""
        digits = len(text.partition(".")[2])
        values = self._kinds[kind]
        if sign:
            limit = float(text)
            return {
                key for key in self._keys(scope)
                if any(v < limit if sign == "<" else v > limit for v in values.get(key, ()))
            }  # fmt: skip
        return self._index(scope, digits, kind).get(text, set())

    def _keys(self, scope: tuple[str, ...]) -> set[Key]:
        if not scope:
            return set(self._values)
        if scope[0] == "endpoints":
            return set().union(*(self._scopes.get((name, ""), set()) for name in scope[1:]))
        return self._scopes.get((scope[0], scope[1]), set())

    def _build(self, scope: tuple[str, ...], digits: int, kind: str) -> Mapping[str, set[Key]]:
        index: dict[str, set[Key]] = {}
        for key in self._keys(scope):
            for value in self._kinds[kind].get(key, ()):
                for scale in (1.0, 100.0):
                    shown = f"{scale * value:.{digits}f}"
                    if value == value and float(shown) == 0:
                        shown = shown.lstrip("-")
                    index.setdefault(shown.replace("-", "−"), set()).add(key)
        return index

    def said(self, text: str) -> str:
        """Whether a sentence or a setting of the results, or the report's own text, holds this."""
        pattern = rf"(?<![\w.]){re.escape(text)}(?!\w|\.\d)"
        if re.search(pattern, self._loose):
            return "ard or plan, text or setting"
        number = text.lstrip("−")
        if number.replace(".", "").isdigit():
            share = f"{float(number) / 100:g}"
            if re.search(rf"(?<![\w.]){re.escape(share)}(?!\w|\.\d)", self._loose):
                return "ard, setting"
        return "report source" if re.search(pattern, _sources()) else ""

    def counted(self, text: str) -> str:
        """Whether a whole number counts rows of a frame."""
        return "ard, rows of a frame" if text in self._sizes else ""


def _word(name: str) -> bool:
    """Whether a name says something: no number, no blank."""
    return len(name.strip()) > 1 and not re.fullmatch(r"[\d.+-]+", name)


@cache
def _sources() -> str:
    """Numbers that the report sources themselves state."""
    texts = [path.read_text(encoding="utf-8") for path in resource_dir("reports").glob("*.qmd")]
    return re.sub(r"#\|.*|level=\d|\[\d:?\d?\]|\d+\.\d*s|:\.\d[a-z]", "", " ".join(texts))


def _labels(run: Run) -> list[str]:
    """Names that may hold digits, longest first."""
    plan = run.plan
    names = {*run.visits, *run.arms, *run.all_labels().values(), *run.all_labels()}
    for entry in plan.get("analyses") or []:
        names |= {str(entry["id"]), str(entry.get("title") or "")}
    names |= {str(e.get("label") or "") for e in plan.get("estimands") or []}
    names |= set(plan["data"].get("repeats") or {})
    with_digits = {name for name in names if any(c.isdigit() for c in name)}
    return sorted(with_digits, key=len, reverse=True)
