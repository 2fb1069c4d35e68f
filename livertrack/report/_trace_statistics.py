"""The statistics of a run by what they look like when printed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from itertools import permutations
from typing import Any

import pandas as pd

from livertrack.report.numbering import CHAPTERS, subject_of
from livertrack.report.run import Run

#: file, analysis with its variable, frame, row
Key = tuple[str, str, str, int]
#: name of a statistic, the first and second of a pair alike
Label = str
Found = dict[Key, set[Label]]

#: what holds digits and is no statistic: cross-references, types and shells, citations
_NAMES = re.compile(
    r"(?:Figure|Table|Listing|Section|[Tt]ype|[Ss]hell|Scanner|Site)s? \d[\d.]*(?:, \d+)*"
    r"|[A-Z][\w’-]+(?:,? et al\.| and [A-Z][\w’-]+)? \(?\d{4}\b"
)
#: what a row of results is of, where headers name it as the results do
_DIMENSIONS = {"arm", "TRT01P", "visit", "AVISIT", "parameter", "part", "value", "site"}
#: counts of a row of which shares are made, at most
_COUNTS = 16
_IN_WORDS = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_LOOSE = ("text", "settings", "notes", "error")


class Statistics:
    """Statistics of a run, found by their printed form within the analysis that is shown."""

    def __init__(self, run: Run) -> None:
        self.run = run
        frames = [
            pd.read_parquet(path).assign(file=path.stem)
            for path in sorted((run.out / "ard").glob("*.parquet"))
        ]
        ard = pd.concat(frames, ignore_index=True)
        self.loose = ard[ard["frame"].isin(_LOOSE)]
        cells = ard[~ard["frame"].isin(_LOOSE)]
        self._values: dict[Key, list[tuple[str, float]]] = {}
        self._scopes: dict[tuple[str, str], set[Key]] = {}
        self._levels_of: dict[Key, set[tuple[str, str]]] = {}
        self._names: dict[str, dict[str, set[str]]] = {}
        self._hold(cells)
        self._learn(cells)
        self._labels = _labels(run)
        self._index = cache(self._build)
        self._named = cache(self._mentions)
        self.fitting = cache(self._fitting)
        self.sizes = cache(self._sizes)

    def _hold(self, cells: pd.DataFrame) -> None:
        for file, analysis, variable, frame, row, value, chars, context, stat in zip(
            cells["file"], cells["analysis"], cells["variable"], cells["frame"], cells["row"],
            cells["stat"], cells["stat_chr"], cells["context"], cells["stat_name"], strict=True,
        ):  # fmt: skip
            key = (file, f"{analysis} {variable}".strip(), frame, int(row))
            held = self._values.setdefault(key, [])
            name = _same_name(str(stat))
            held.append((name, float(value)))
            if chars:
                held += [(name, float(text)) for text in _IN_WORDS.findall(str(chars))]
            for scope in ((file, ""), (context, ""), ("", analysis)):
                self._scopes.setdefault(scope, set()).add(key)

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
                for name in (level, self.run.label(level)):
                    names.setdefault(_read_as(dimension, name), set()).add(level)

    def _mentions(self, dimension: str, text: str) -> frozenset[str]:
        names = self._names.get(dimension, {})
        if not names:
            return frozenset()
        ordered = sorted(names, key=len, reverse=True)
        pattern = r"(?<!\w)(?:" + "|".join(map(re.escape, ordered)) + r")(?!\w)"
        found = re.findall(pattern, _read_as(dimension, text))
        return frozenset(level for name in found for level in names[name])

    def without_labels(self, text: str) -> str:
        """Text of the same length without names that hold digits: visits, measures, references."""
        for label in self._labels:
            text = text.replace(label, "@" * len(label))
        return _NAMES.sub(lambda hit: "@" * len(hit[0]), text)

    def scope(self, name: str) -> tuple[str, ...]:
        """Endpoints or the analysis that a table of that name shows."""
        endpoint, analysis = subject_of(name, self.run.plan)
        if analysis:
            return ("", analysis)
        same = [e for e in CHAPTERS if e and CHAPTERS[e] == CHAPTERS.get(endpoint)]
        return ("endpoints", *same) if endpoint else ()

    def analyses(self, scope: tuple[str, ...]) -> set[str]:
        """Names of the analyses in a scope."""
        return {key[1].split(" ")[0] for key in self._keys(scope)}

    def find(self, scope: tuple[str, ...], sign: str, text: str, *, share: bool = False) -> Found:
        """Rows with a statistic that prints like this, and which statistic it is.

        ``share`` : the number may be the percentage of two counts of the row.
        """
        if not sign:
            digits = len(text.partition(".")[2])
            return self._index(scope, digits, share).get(text, {})
        limit = float(text)
        found: Found = {}
        if not re.fullmatch(r"0\.0*1" if sign == "<" else r"0\.9+", text):
            return found  # no p-value is cut elsewhere
        for key in self._keys(scope):
            for stat, value in self._values[key]:
                if stat.startswith("p_") and (value < limit if sign == "<" else value > limit):
                    found.setdefault(key, set()).add(stat)
        return found

    def _fitting(
        self, scope: tuple[str, ...], sign: str, texts: tuple[str, ...], near: tuple[str, ...],
        share: bool,
    ) -> Found:  # fmt: skip
        """Rows as `find` finds them, of what the texts near the number name, nearest first.

        Where they name an arm, the row must be of one of those named; so with visits, measures
        and whatever else identifies rows.
        """
        found: Found = {}
        for text in texts:
            for key, held in self.find(scope, sign, text, share=share).items():
                if self._fits(key, near):
                    found[key] = found.get(key, set()) | held
        return found

    def _fits(self, key: Key, near: tuple[str, ...]) -> bool:
        for dimension, level in self._levels_of[key]:
            hits = (hit for text in near if (hit := self._named(dimension, text)))
            named = next(hits, None)
            if named and level not in named:
                return False
        return True

    def _keys(self, scope: tuple[str, ...]) -> set[Key]:
        if not scope:
            return set(self._values)
        if scope[0] == "several":
            return set().union(*(self._keys(tuple(one.split("\n"))) for one in scope[1:]))
        if scope[0] == "endpoints":
            return set().union(*(self._scopes.get((name, ""), set()) for name in scope[1:]))
        return self._scopes.get((scope[0], scope[1]), set())

    def _build(self, scope: tuple[str, ...], digits: int, share: bool) -> Mapping[str, Found]:
        index: dict[str, Found] = {}

        def put(key: Key, name: str, value: float) -> None:
            shown = f"{value:.{digits}f}"
            if value == value and float(shown) == 0:
                shown = shown.lstrip("-")
            found = index.setdefault(shown.replace("-", "−"), {})
            found.setdefault(key, set()).add(name)

        for key in self._keys(scope):
            held = self._values[key]
            for stat, value in held:
                put(key, stat, value)
                if -1 <= value <= 1:  # a proportion may be printed in percent
                    put(key, stat, 100 * value)
            if share:
                counts = [(s, v) for s, v in held if v >= 0 and v.is_integer()][:_COUNTS]
                for (part, count), (whole, total) in permutations(counts, 2):
                    if total:
                        put(key, f"{part} of {whole}|{count:g}", 100 * count / total)
        return index

    def _sizes(self, scope: tuple[str, ...]) -> dict[str, set[str]]:
        """Counts of rows by how they are counted: all of a frame, or those of one level."""
        counts: dict[tuple[Any, ...], int] = {}
        for key in self._keys(scope):
            for level in ((), *self._levels_of.get(key, ())):
                name = (*key[:3], *level)
                counts[name] = counts.get(name, 0) + 1
        found: dict[str, set[str]] = {}
        for name, count in counts.items():
            found.setdefault(str(count), set()).add(" ".join(map(str, name[2:4])))
        return found


def _same_name(stat: str) -> str:
    return re.sub(r"_[12]$", "", stat)


def _read_as(dimension: str, text: str) -> str:
    """Names of arms as they are written (Total, a total); others in small letters."""
    return text if dimension in ("arm", "TRT01P") else text.lower()


def _word(name: str) -> bool:
    """Whether a name says something: no number, no blank."""
    return len(name.strip()) > 1 and not re.fullmatch(r"[\d.+-]+", name)


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
