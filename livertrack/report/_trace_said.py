"""Numbers of sentences that the results, the plan or the report sources state in these words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any

from livertrack._resources import resource_dir
from livertrack.report._trace_statistics import Statistics
from livertrack.tables.sentences import pathway_sentence

NUMBER = re.compile(r"(?<![\w.])([<>]?)(−?\d+(?:\.\d+)?)(?!\w|\.\d)")
_END = re.compile(r"(?<=[;:]) |(?<=\.) (?=[A-Z@])")
#: letters that a unit of text needs to be recognised by its words
_LETTERS = 12
#: letters on either side of a number by which a source is recognised
_BESIDE = 14


class Said:
    """Texts, notes and settings of the results, by their words."""

    def __init__(self, ard: Statistics) -> None:
        run = ard.run
        loose = ard.loose[ard.loose["frame"].isin(["text", "notes", "error"])]
        texts = [_Plain(text).text for text in loose["stat_chr"].dropna().astype(str).unique()]
        texts += [run.readable(text) for text in texts]
        texts += list(_strings(run.plan))
        self._units: dict[str, set[tuple[str, ...]]] = {}
        for text in texts:
            for unit in units(clean(text)):
                masked, numbers = _masked(unit)
                if sum(c.isalpha() for c in masked) >= _LETTERS:
                    self._units.setdefault(masked, set()).add(numbers)
        self._settings: dict[str, dict[float, str]] = {}
        for analysis, name, value in zip(
            ard.loose["analysis"], ard.loose["stat_name"], ard.loose["stat_chr"], strict=True
        ):
            for number in _numbers(_json(value)):
                self._settings.setdefault(str(analysis), {})[number] = f"setting {name}"
        for entry in run.plan.get("analyses") or []:
            for number in _numbers(entry):
                self._settings.setdefault(str(entry["id"]), {}).setdefault(number, "plan")
        general = {key: value for key, value in run.plan.items() if key != "analyses"}
        self._general = dict.fromkeys(_numbers(general), "plan")
        self._general |= {float(n): "adam" for n in run.sizes.values()}
        self._source = cache(self._in_sources)

    def unit(self, unit: str) -> list[str] | None:
        """Where each number of a unit of text is said; None where its words are not known.

        A number that stands in the place of another one is not said: blank.
        """
        masked, numbers = _masked(unit.strip())
        best: list[str] | None = None
        for known, stated in self._units.items():
            if not masked.endswith(known) or not (
                len(known) == len(masked) or masked[-len(known) - 1] in " :"
            ):
                continue
            for values in stated:
                own = numbers[len(numbers) - len(values) :]
                marks = [
                    "ard or plan, text" if mine == theirs else ""
                    for mine, theirs in zip(own, values, strict=True)
                ]
                if best is None or marks.count("") < best.count(""):
                    best = marks
        return best

    def setting(self, number: str, analyses: Iterable[str]) -> set[str]:
        """Names of settings and entries of the plan with this value, or this share in percent."""
        value = float(number.replace("−", "-"))
        names = set()
        for held in (self._general, *(self._settings.get(name, {}) for name in analyses)):
            for scale in (1.0, 100.0):
                near = round(value / scale, 10)
                if near in held:
                    names.add(held[near] + (" %" if scale > 1 else ""))
        return names

    def source(self, text: str, start: int, end: int) -> str | None:
        """Whether the report sources hold the number between these words; blank: another one."""
        return self._source(text[max(0, start - _BESIDE) : start], text[start:end],
                            text[end : end + _BESIDE])  # fmt: skip

    def _in_sources(self, before: str, number: str, after: str) -> str | None:
        if len(before.strip()) < 4 and len(after.strip()) < 4:
            return None
        held = _sources()
        head = re.escape(before)
        pattern = rf"{head}(−?\d+(?:\.\d+)?){re.escape(after)}"
        found = {clean(hit[1]) for hit in re.finditer(pattern, held)}
        if not found:
            return None
        return "report source" if number in found else ""


class _Plain:
    """A text with the one change that the report makes to it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.text = pathway_sentence(self)


def units(text: str) -> list[str]:
    """Sentences, and what is between colons and semicolons of them."""
    return [text[start:end] for start, end in spans(text)]


def spans(text: str) -> list[tuple[int, int]]:
    """Where the units of a text start and end."""
    cuts = [0, *(hit.end() for hit in _END.finditer(text)), len(text)]
    return [(a, b) for a, b in pairwise(cuts) if a < b]


def clean(text: str) -> str:
    """Text of a page as units are compared: one kind of quotes, true minus signs."""
    text = re.sub(r"(?<![\w.])-(?=\d)", "−", text.replace("\xa0", " "))
    text = text.replace("’", "'").replace("“", '"').replace("”", '"')
    return " ".join(text.split())


def _masked(text: str) -> tuple[str, tuple[str, ...]]:
    numbers = tuple(sign + number for sign, number in NUMBER.findall(text))
    return NUMBER.sub("#", text).rstrip(".;: "), numbers


@cache
def _sources() -> str:
    """Prose of the report sources, without the marks of Markdown and Python."""
    texts = [path.read_text(encoding="utf-8") for path in resource_dir("reports").glob("*.qmd")]
    joined = re.sub(r'"\s*\n\s*f?"', "", " ".join(texts))
    return clean(re.sub(r"[*`\\]|\[@[\w; @-]+\]", "", joined))


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _numbers(value: Any) -> Iterable[float]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, (int, float)):
        yield round(float(value), 10)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list):
        yield float(len(value))
        for item in value:
            yield from _numbers(item)


def _json(text: Any) -> Any:
    try:
        return json.loads(str(text))
    except ValueError:
        return None
