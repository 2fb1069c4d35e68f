"""What a reader sees on a rendered page: cells of tables, and sentences with their section."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_SILENT = {"style", "script", "nav", "svg", "math", "title", "header"}
_VOID = {"img", "br", "hr", "meta", "link", "input", "col", "wbr", "source"}


@dataclass(frozen=True)
class Cell:
    """One cell of a table: name of the table, row header, column headers, text, group, title."""

    place: str
    stub: str
    column: str
    text: str
    group: str = ""
    title: str = ""
    section: str = ""

    @property
    def headers(self) -> tuple[str, ...]:
        """All that says what the cell is about."""
        return (self.stub, self.group, self.column, self.title)

    @property
    def shown(self) -> str:
        """Row and column beside the text."""
        return f"{self.stub} | {self.column} | {self.text}"


@dataclass(frozen=True)
class Sentence:
    """One paragraph or item of a list, with the identifier of its section."""

    section: str
    text: str

    @property
    def place(self) -> str:
        """The section."""
        return self.section

    @property
    def shown(self) -> str:
        """The text."""
        return self.text


def read_page(path: Path) -> list[Cell | Sentence]:
    """Cells and sentences of a page; notes, captions and contents are left out."""
    parser = _Reader()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.items


@dataclass
class _Frame:
    tag: str
    classes: list[str] = field(default_factory=list)
    name: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.items: list[Cell | Sentence] = []
        self._stack: list[_Frame] = []
        self._text: list[str] = []
        self._section = self._title = self._group = self._stub = ""
        self._header: list[list[str]] = []
        self._below: dict[tuple[int, int], str] = {}
        self._place, self._span, self._deep = 0, 1, 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            return
        given = {key: value or "" for key, value in attrs}
        self._stack.append(_Frame(tag, given.get("class", "").split(), given.get("id", "")))
        if tag in {"h1", "h2", "h3"} and given.get("id", "").startswith("sec-"):
            self._section = given["id"].removeprefix("sec-")
        if tag == "table":
            self._header, self._below, self._group, self._title = [], {}, "", ""
        if tag == "tr":
            self._place = 0
            if self._inside("thead"):
                self._header.append([])
                self._fill()
        if tag in {"td", "th"}:
            self._span = int(given.get("colspan") or 1)
            self._deep = int(given.get("rowspan") or 1)
        if tag in {"p", "li", "td", "th", "caption"}:
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if tag in {"p", "li", "td", "th", "caption"}:
            self._close(tag)
        while self._stack and self._stack.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._inside(*_SILENT):
            self._text.append(data)

    def _inside(self, *tags: str) -> bool:
        return any(frame.tag in tags for frame in self._stack)

    def _close(self, tag: str) -> None:
        text = " ".join("".join(self._text).replace("\xa0", " ").split())
        self._text = []
        if tag == "caption":
            self._title = text
        elif self._inside("thead"):
            line = len(self._header) - 1
            for _ in range(self._span):
                for below in range(1, self._deep):
                    self._below[line + below, len(self._header[-1])] = text
                self._header[-1].append(text)
            self._fill()
        elif tag == "th" and self._span > 1:
            self._group = text
        elif tag == "th":
            self._stub = text
        elif tag == "td":
            self._cell(text)
        elif text and not self._aside():
            self.items.append(Sentence(self._section, text))

    def _fill(self) -> None:
        """Continue a header that spans lines into the line that is being read."""
        line = len(self._header) - 1
        while (line, len(self._header[-1])) in self._below:
            self._header[-1].append(self._below[line, len(self._header[-1])])

    def _cell(self, text: str) -> None:
        named = [f.name for f in self._stack if f.name.startswith("tbl-")]
        name = named[-1].removeprefix("tbl-") if named else ""
        self._place += self._span
        place = self._place
        heads = [line[place] for line in self._header if place < len(line)]
        column = ": ".join(dict.fromkeys(head for head in heads if head))
        self.items.append(
            Cell(name, self._stub, column, text, self._group, self._title, self._section)
        )

    def _aside(self) -> bool:
        """Whether the text is silent, a note, or part of a table, a figure or their captions."""
        blocks = any(f.name.startswith(("tbl-", "fig-")) for f in self._stack)
        notes = any("notes" in f.classes for f in self._stack)
        return blocks or notes or self._inside(*_SILENT, "figcaption", "caption", "td", "th")
