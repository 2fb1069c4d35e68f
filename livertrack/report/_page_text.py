"""What a reader sees on a rendered page: cells of tables, and sentences with their section."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_SILENT = {"style", "script", "nav", "svg", "math", "title", "header"}
_VOID = {"img", "br", "hr", "meta", "link", "input", "col", "wbr", "source"}


@dataclass(frozen=True)
class Cell:
    """One cell of a table: name of the table, row header, group, column header, text."""

    place: str
    stub: str
    column: str
    text: str

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
        self._section = ""
        self._heads: list[str] = []
        self._stub = ""
        self._place = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            return
        given = {key: value or "" for key, value in attrs}
        self._stack.append(_Frame(tag, given.get("class", "").split(), given.get("id", "")))
        if tag in {"h1", "h2", "h3"} and given.get("id", "").startswith("sec-"):
            self._section = given["id"].removeprefix("sec-")
        if tag == "table":
            self._heads = []
        if tag == "tr":
            self._place = 0
        if tag in {"p", "li", "td", "th", "figcaption", "caption"}:
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if tag in {"p", "li", "td", "th"}:
            self._close(tag)
        while self._stack and self._stack.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(frame.tag in _SILENT for frame in self._stack):
            self._text.append(data)

    def _close(self, tag: str) -> None:
        text = " ".join("".join(self._text).replace("\xa0", " ").split())
        self._text = []
        inside = {frame.tag for frame in self._stack}
        if tag in {"td", "th"}:
            self._cell(tag, text, "thead" in inside)
            return
        hidden = inside & {*_SILENT, "figcaption", "caption", "td", "th"}
        noted = any("notes" in frame.classes for frame in self._stack)
        if text and not hidden and not noted and not self._captioned():
            self.items.append(Sentence(self._section, text))

    def _cell(self, tag: str, text: str, head: bool) -> None:
        if head:
            self._heads.append(text)
        elif tag == "th":
            self._stub = text
        else:
            self._place += 1
            name = next(
                (f.name for f in reversed(self._stack) if f.name.startswith("tbl-")), ""
            ).removeprefix("tbl-")
            column = self._heads[self._place] if self._place < len(self._heads) else ""
            self.items.append(Cell(name, self._stub, column, text))

    def _captioned(self) -> bool:
        """Whether the paragraph is the caption of a table or figure block."""
        named = [f.name for f in self._stack if f.name.startswith(("tbl-", "fig-"))]
        return bool(named)
