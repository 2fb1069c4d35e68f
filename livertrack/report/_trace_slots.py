"""Printed numbers in their places: the line and the series that each belongs to.

Numbers of a series (the second number in the cells of a column, the third in sentences of one
form) are the same statistic of different rows; numbers of a line are of one row of the results.
A number that breaks both is not the one that the results hold.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from livertrack.report._page_text import Cell, Sentence
from livertrack.report._trace_said import NUMBER
from livertrack.report._trace_statistics import Found, Key, Label, Statistics

#: share of a series that may be something else
_OTHER_KINDS = 0.15
_P_COLUMNS = ("p", "Adjusted p", "p of interaction")
_PARTS = re.compile(r"(?<=[,;:.(]) ")
_PIECES = re.compile(r"; (?![^(]*\))")


@dataclass
class Slot:
    """One printed number: what it could be, and where it stands."""

    number: str
    found: Found
    series: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    other: set[str] = field(default_factory=set)

    @property
    def labels(self) -> set[Label]:
        """All that the number could be; what is no statistic has no row."""
        named = set().union(*self.found.values()) if self.found else set()
        return named | self.other

    def keys(self, labels: set[Label] | None) -> set[Key]:
        """Rows in which the number is one of these statistics."""
        if labels is None:
            return set(self.found)
        return {key for key, held in self.found.items() if held & labels}


def cell_slots(cells: Sequence[Cell], ard: Statistics) -> list[list[Slot]]:
    """Slots of the cells of one table, cell by cell."""
    result = []
    for line, cell in _numbered(cells):
        text = ard.without_labels(cell.text)
        scope = ard.scope(cell.place)
        # a cell of the reference stands beside the arm that is compared with it
        about = "" if "eference" in cell.column else " | ".join(cell.headers)
        only_p = cell.column.rpartition(": ")[2] in _P_COLUMNS
        own: list[Slot] = []
        for place, (sign, number) in enumerate(NUMBER.findall(text)):
            share = f"({sign}{number} %)" in cell.text
            found = ard.fitting(scope, sign, (number,), (about,), share)
            if share:
                found = _of_count(found, own[-1].number if own else "")
            if only_p:
                found = _only(found, "p_")
            own.append(Slot(
                sign + number, found, (cell.place, cell.column, _shape(text), str(place)),
                (("row", cell.place, str(line)), ("block", cell.place, cell.group, cell.column),
                 ("cell", cell.place, str(line), cell.column)),
            ))  # fmt: skip
        result.append(own)
    return result


def stub_series(cells: Sequence[Cell], slots: Iterable[Sequence[Slot]]) -> None:
    """Take the names of rows for those of series: a table with statistics below each other."""
    for cell, own in zip(cells, slots, strict=True):
        for place, slot in enumerate(own):
            slot.series = (cell.place, "row", cell.stub, slot.series[2], str(place))


def _numbered(cells: Sequence[Cell]) -> Iterable[tuple[int, Cell]]:
    line, last = 0, ("", "")
    columns: set[str] = set()
    for cell in cells:
        if (cell.group, cell.stub) != last or cell.column in columns:
            line, last, columns = line + 1, (cell.group, cell.stub), set()
        columns.add(cell.column)
        yield line, cell


def sentence_slots(
    sentence: Sentence, numbers: Sequence[tuple[int, int, str, str]], form: str, ard: Statistics,
    scope: tuple[str, ...], unit: str,
) -> list[Slot]:  # fmt: skip
    """Slots of one unit of a sentence.

    ``numbers`` : start, end, sign and digits in the unit; ``form`` : the unit without its names
    and numbers, which names the series.
    """
    sizes = ard.sizes(scope)
    slots = []
    breaks = [hit.end() for hit in _PARTS.finditer(unit)]
    pieces = [hit.end() for hit in _PIECES.finditer(unit)]
    for place, (start, _, sign, number) in enumerate(numbers):
        before = [b for b in breaks if b <= start]
        cut = [0, *before, *[b for b in breaks if b > start][:1]]
        if before and len(cut) == len(before) + 1:
            cut.append(len(unit))
        parts = [unit[a:b] for a, b in zip(cut, [*cut[1:], len(unit)], strict=True) if a < b]
        parts = parts[: len(before) + 1]
        texts = (number,) if sign or "−" in number else (number, f"−{number}")
        found = ard.fitting(scope, sign, texts, tuple(reversed(parts)) or (unit,), True)
        piece = sum(p <= start for p in pieces)
        slots.append(Slot(
            sign + number, found, (form, str(place)),
            (("piece", sentence.section, sentence.text, unit, str(piece)),
             ("part", sentence.section, sentence.text, unit, str(len(before)))),
            {f"rows {name}" for name in sizes.get(number, ())},
        ))  # fmt: skip
    return slots


def _shape(text: str) -> str:
    """A cell without its numbers and their signs."""
    return NUMBER.sub("#", text)


def _of_count(found: Found, count: str) -> Found:
    """Percentages of two counts only where the first is the number before them."""
    kept = {
        key: {label.partition("|")[0] for label in held
              if "|" not in label or label.partition("|")[2] == count}
        for key, held in found.items()
    }  # fmt: skip
    return {key: held for key, held in kept.items() if held}


def _only(found: Found, start: str) -> Found:
    kept = {
        key: {label for label in held if label.startswith(start)} for key, held in found.items()
    }
    return {key: held for key, held in kept.items() if held}


def solve(slots: Sequence[Slot]) -> list[str]:
    """Where each number comes from; blank where it is not what its place says it is."""
    kept = _series_labels(slots)
    allowed = [slot.keys(kept.get(slot.series)) for slot in slots]
    free = _of_another_kind(slots, kept)
    allowed = [
        slot.keys(None) if number in free else keys
        for number, (slot, keys) in enumerate(zip(slots, allowed, strict=True))
    ]
    answer: list[str | None] = [None] * len(slots)
    depths = range(max((len(slot.lines) for slot in slots), default=0))
    rows = [_line_keys(slots, allowed, depth) for depth in depths]
    missed = [_unexplained(slots, allowed, rows[depth]) for depth in depths]
    for number, slot in enumerate(slots):
        tried = [(missed[depth][slot.series], depth) for depth in depths
                 if slot.series in missed[depth]]  # fmt: skip
        (lost, seen), depth = min(tried, default=((1, 1), 0))
        here = rows[depth][number] if depths else None
        if here and (not lost or (lost == 1 and seen > 2)):
            answer[number] = _name(allowed[number] & here)
    together = _cells(slots, allowed)
    marks = []
    for number, (done, keys, slot) in enumerate(zip(answer, allowed, slots, strict=True)):
        labels = None if number in free else kept.get(slot.series)
        shared = together.get(slot.lines[-1])
        if shared is not None and not shared:
            marks.append("")  # the numbers of a cell are of one row
        elif done is None:
            marks.append(_name(keys) or _beside(slot, labels))
        else:
            marks.append(
                done or _name(shared or set()) or (_beside(slot, labels) if labels else "")
            )
    return marks


def _cells(slots: Sequence[Slot], allowed: Sequence[set[Key]]) -> dict[tuple[str, ...], set[Key]]:
    """Rows that hold all numbers of a cell of a table, for cells of several numbers."""
    members: dict[tuple[str, ...], list[set[Key]]] = defaultdict(list)
    for slot, keys in zip(slots, allowed, strict=True):
        if slot.lines[-1][0] == "cell":
            members[slot.lines[-1]].append(keys)
    return {line: set.intersection(*own) for line, own in members.items() if len(own) > 1}


def support(slots: Sequence[Slot]) -> int:
    """How many numbers are the statistic that most of their series are."""
    counts: dict[tuple[str, ...], Counter[Label]] = defaultdict(Counter)
    for slot in slots:
        counts[slot.series].update(slot.labels)
    return sum(max(count.values(), default=0) for count in counts.values() if count.total() > 1)


def _series_labels(slots: Sequence[Slot]) -> dict[tuple[str, ...], set[Label]]:
    """What the numbers of a series are: whatever explains all of them but a few."""
    members: dict[tuple[str, ...], list[Slot]] = defaultdict(list)
    for slot in slots:
        members[slot.series].append(slot)
    kept = {}
    for series, own in members.items():
        count = Counter(label for slot in own for label in slot.labels)
        most = max(count.values(), default=0)
        if len(own) > 1 and most and len(own) - most <= max(1.0, _OTHER_KINDS * len(own)):
            kept[series] = {label for label, n in count.items() if n == most}
    return kept


def _of_another_kind(
    slots: Sequence[Slot], kept: dict[tuple[str, ...], set[Label]]
) -> set[int]:  # fmt: skip
    """Numbers of lines that are unlike their series in several places: a test below estimates."""
    unlike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, slot in enumerate(slots):
        labels = kept.get(slot.series)
        if labels is not None and slot.labels and not slot.labels & labels:
            unlike[slot.lines[0]].append(number)
    return {number for numbers in unlike.values() if len(numbers) > 1 for number in numbers}


def _line_keys(
    slots: Sequence[Slot], allowed: Sequence[set[Key]], depth: int
) -> list[set[Key] | None]:
    """Rows of the results that explain most of the other numbers of each line, at least two."""
    counts: dict[tuple[str, ...], Counter[Key]] = defaultdict(Counter)
    for slot, keys in zip(slots, allowed, strict=True):
        counts[slot.lines[depth]].update(keys)
    found: list[set[Key] | None] = []
    for slot, keys in zip(slots, allowed, strict=True):
        count = counts[slot.lines[depth]]
        often = {key: n - (key in keys) for key, n in count.items() if n > 1}
        most = max(often.values(), default=0)
        found.append({key for key, n in often.items() if n == most} if most > 1 else None)
    return found


def _unexplained(
    slots: Sequence[Slot], allowed: Sequence[set[Key]], rows: Sequence[set[Key] | None]
) -> dict[tuple[str, ...], tuple[int, int]]:
    """How many numbers of each series the rows of their lines do not explain, and of how many."""
    held: dict[tuple[str, ...], tuple[int, int]] = {}
    for slot, keys, here in zip(slots, allowed, rows, strict=True):
        if here is not None:
            lost, seen = held.get(slot.series, (0, 0))
            held[slot.series] = (lost + (not keys & here), seen + 1)
    return held


def _name(keys: set[Key]) -> str:
    if not keys:
        return ""
    key = min(keys)
    return f"ard/{key[0]}.parquet, {key[1]}, {key[2]} row {key[3]}"


def _beside(slot: Slot, kept: set[Label] | None) -> str:
    """Name what is no statistic: a count of rows, a setting."""
    named = slot.other if kept is None else slot.other & kept
    return f"ard, {min(named)}" if named else ""
