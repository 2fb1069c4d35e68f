"""Every number on a rendered page traced back to the statistic that it was printed from.

A number in a table must be a statistic of the analysis that the table shows, of the arm, visit and
measure that its headers name. All numbers of a series (a column, or a row name) must be the same
statistic, and the numbers of a line the statistics of one row of the results. A sentence that the
results hold must stand there with these numbers; a sentence of the report sources, with theirs; a
number in any other sentence is held to its series and its line as those of tables are. A number in
a listing must stand in the record of that subject.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from livertrack.report._page_text import Cell, Sentence, read_page
from livertrack.report._trace_said import NUMBER, Said, clean, spans
from livertrack.report._trace_slots import (
    Slot,
    cell_slots,
    sentence_slots,
    solve,
    stub_series,
    support,
)
from livertrack.report._trace_statistics import Statistics
from livertrack.report.run import Run, load_run

#: tables that show the plan and the versions, not results
_FACTS = ("estimands", "analyses", "provenance", "findings")
#: sections that say how, not what
_METHODS = ("methods", "limitations", "provenance", "references", "listings")
#: all but a relation before a number
_RELATION = re.compile(r"^[^<>]|(?<=.).$")
COLUMNS = ["place", "text", "printed", "found", "source"]

Item = Cell | Sentence
Marks = list[tuple[str, str]]


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
    tracer = Tracer(load_run(out))
    rows = [
        (item.place, item.shown, printed, bool(where), where)
        for item, marks in tracer.trace(read_page(Path(out) / page))
        for printed, where in marks
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


class Tracer:
    """Finds the numbers of pages of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._ard = Statistics(run)
        self._said = Said(self._ard)
        self._read = cache(self._reading)
        self._scope = cache(self._scope_of)
        names = {*run.arms, *run.visits, *run.all_labels().values()}
        listed = "|".join(map(re.escape, sorted(filter(None, names), key=len, reverse=True)))
        self._names = re.compile(rf"(?<!\w)(?:{listed})(?!\w)")

    def trace(self, items: Sequence[Item]) -> list[tuple[Item, Marks]]:
        """Give each item with its numbers and where each comes from."""
        tables: dict[str, list[int]] = defaultdict(list)
        scopes: dict[str, set[str]] = defaultdict(set)
        found: dict[int, Marks] = {}
        for place, item in enumerate(items):
            if isinstance(item, Cell):
                scopes[item.section].add(item.place)
                if item.place.startswith("listing-"):
                    found[place] = self._listed(item)
                elif item.place not in _FACTS:
                    tables[item.place].append(place)
        for places in tables.values():
            cells = [item for place in places if isinstance(item := items[place], Cell)]
            found |= dict(zip(places, self._table(cells), strict=True))
        sentences = {
            place: item
            for place, item in enumerate(items)
            if isinstance(item, Sentence) and item.section not in _METHODS
        }
        found |= self._sentences(sentences, scopes)
        return [(items[place], found[place]) for place in sorted(found)]

    def _table(self, cells: Sequence[Cell]) -> list[Marks]:
        """Statistics stand beside or below each other, whichever explains more of the table.

        One number more decides nothing: it may be the one that is wrong.
        """
        own = cell_slots(cells, self._ard)
        flat = [slot for slots in own for slot in slots]
        score, best = support(flat), solve(flat)
        stub_series(cells, own)
        if support(flat) > score + 1:
            best = solve(flat)
        places = iter(zip((slot.number for slot in flat), best, strict=True))
        return [[next(places) for _ in slots] for slots in own]

    def _sentences(
        self, sentences: dict[int, Sentence], tables: dict[str, set[str]]
    ) -> dict[int, Marks]:
        marks: dict[int, dict[int, tuple[str, str]]] = {}
        open_slots: list[tuple[int, int, Slot]] = []
        for place, sentence in sentences.items():
            scope = self._scope(frozenset(tables.get(sentence.section, ())))
            stated, slots = self._read(sentence, scope)
            marks[place] = dict(stated)
            open_slots += [(place, number, slot) for number, slot in slots]
        solved = solve([slot for _, _, slot in open_slots])
        for (place, number, slot), where in zip(open_slots, solved, strict=True):
            marks[place][number] = (slot.number, where)
        return {place: [held[n] for n in sorted(held)] for place, held in marks.items()}

    def _reading(
        self, sentence: Sentence, scope: tuple[str, ...]
    ) -> tuple[dict[int, tuple[str, str]], list[tuple[int, Slot]]]:
        """Numbers of a sentence that are said in its words, and the slots of the others."""
        text = clean(sentence.text)
        whole = self._ard.without_labels(text)
        analyses = self._ard.analyses(scope)
        stated: dict[int, tuple[str, str]] = {}
        slots: list[tuple[int, Slot]] = []
        count = 0
        for start, end in spans(text):
            unit, hidden = text[start:end], whole[start:end]
            from_texts = self._from_texts(unit)
            numbers = []
            for hit in NUMBER.finditer(hidden):
                mark = from_texts.get(hit.start())
                if mark is None:
                    mark = self._said.source(unit, hit.start(2), hit.end(2))
                if mark is not None:
                    stated[count] = (hit[0], mark)
                else:
                    sign = hit[1] or _RELATION.sub("", hidden[: hit.start()][-2:]).strip()
                    numbers.append((count, (hit.start(), hit.end(), sign, hit[2])))
                count += 1
            form = NUMBER.sub("#", re.sub("[<>=] ", "= ", self._form(unit))).strip(" .;:")
            own = sentence_slots(
                sentence, [where for _, where in numbers], form, self._ard, scope, unit
            )
            for (number, _), slot in zip(numbers, own, strict=True):
                slot.other |= self._said.setting(slot.number.lstrip("<>"), analyses)
                slots.append((number, slot))
        return stated, slots

    def _from_texts(self, unit: str) -> dict[int, str]:
        """Where the texts of the results hold the numbers of a unit, by their place in it."""
        stated = self._said.unit(unit) or []
        starts = [hit.start() for hit in NUMBER.finditer(unit)]
        return dict(zip(starts[len(starts) - len(stated) :], stated, strict=True))

    def _form(self, unit: str) -> str:
        """A unit with its names of measures, arms and visits left open."""
        return self._names.sub("@", unit)

    def _scope_of(self, tables: frozenset[str]) -> tuple[str, ...]:
        """Results that the tables of a section show; all of them where it has none."""
        scopes = {self._ard.scope(name) for name in tables if name not in _FACTS}
        if not scopes or () in scopes:
            return ()
        if len(scopes) == 1:
            return next(iter(scopes))
        return ("several", *sorted("\n".join(scope) for scope in scopes))

    def _listed(self, cell: Cell) -> Marks:
        """Numbers of a listing: in a record of the subject that the row names."""
        records = self._run.adam("adscan")
        pool = np.zeros(0)
        if records is not None:
            mine = records[records["USUBJID"].astype(str).eq(cell.stub)]
            pool = mine.select_dtypes("number").to_numpy(float).ravel()
        return [
            (sign + text, f"adam/adscan.parquet, {cell.stub}"
             if any(_same(value, sign, text) for value in pool) else "")
            for sign, text in NUMBER.findall(self._ard.without_labels(cell.text))
        ]  # fmt: skip


def _same(value: float, sign: str, text: str) -> bool:
    digits = len(text.partition(".")[2])
    shown = float(text.replace("−", "-"))
    if sign:
        return value < shown if sign == "<" else value > shown
    return any(f"{scale * value:.{digits}f}" == f"{shown:.{digits}f}" for scale in (1.0, 100.0))
