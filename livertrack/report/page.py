"""What the cells of a report write with: sentences, tables and figures of one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from livertrack.figures import figure_of, save_figure
from livertrack.report._errors import ReportError
from livertrack.report.blinding import with_profile
from livertrack.report.numbering import Numbering
from livertrack.report.run import Run, load_run
from livertrack.report.tlf import Heading, run_id, source_of, write_figure, write_table
from livertrack.tables import Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|$~^@])")
# what must not be torn apart at the end of a line
_TOGETHER = re.compile(r"(?<=\d) (?=%)|(?<=\bp) (?=[=<>])|(?<=[=<>]) (?=[\d−])")
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def plain(text: str) -> str:
    """Escape what Markdown would take for markup; a minus before a number is a minus sign."""
    return _SPECIAL.sub(r"\\\1", _MINUS.sub("−", text))


class Page:
    """Writes Markdown to the output of the cell (``output: asis``), files beside the report.

    Every table is also written to ``tables/`` and every listing to ``listings/`` (csv, html, rtf),
    every figure to ``figures/`` (svg, png, html, rtf), under the working directory of the report;
    the renderer moves them to the run. Each has a number (`livertrack.report.numbering`).

    Attributes
    ----------
    run : Run
    """

    def __init__(self, run: Run, *, write: Callable[[str], Any] = print) -> None:
        self.run = run
        self._write = write
        self._used: set[str] = set()
        self._numbering = Numbering(run.plan)

    def md(self, text: str) -> None:
        """Write Markdown as it is."""
        self._write(f"\n{_TOGETHER.sub(chr(160), text.strip())}\n")

    def say(self, *sentences: str) -> None:
        """Write a paragraph of plain text; markup in it is shown, not obeyed."""
        said = " ".join(sentence for sentence in sentences if sentence)
        self.md(plain(self.run.readable(said)))

    def bullets(self, items: Iterable[str]) -> None:
        """Write a list of Markdown items."""
        self.md("\n".join(f"- {item}" for item in items))

    def heading(self, text: str, *, label: str = "", level: int = 1) -> None:
        """Write a heading; ``label`` (``sec-...``) makes it a target of references."""
        anchor = f" {{#{label}}}" if label else ""
        self.md(f"{'#' * level} {text}{anchor}")

    def notes(self, *notes: str) -> None:
        """Write footnotes under a table or figure."""
        kept = [plain(self.run.readable(note)) for note in notes if note]
        if kept:
            self.md("::: {.notes}\n" + "\n\n".join(kept) + "\n:::")

    def table(self, name: str, table: Table) -> None:
        """Show a table as ``@tbl-name``, with its caption and footnotes."""
        self._show("Table", name, table)

    def listing(self, name: str, table: Table, *, source: str, shown: bool = True) -> None:
        """Write a listing to ``listings/``: the one form in which subjects have names.

        Parameters
        ----------
        source : str
            Dataset of the run, e.g. ``adam/adscan.parquet``.
        shown : bool
            Whether the page shows it too.
        """
        self._show("Listing", name, table, source=source, shown=shown)

    def _show(
        self, kind: str, name: str, table: Table, *, source: str = "", shown: bool = True
    ) -> None:
        self._claim(f"tbl-{name}")
        heading = self._heading(kind, name, table.title, source)
        write_table(Path(f"{kind.lower()}s"), name, table, heading)
        if not shown:
            return
        self.md(
            f"::: {{#tbl-{name}}}\n```{{=html}}\n{table.html()}\n```\n\n{plain(table.title)}.\n:::"
        )
        self.notes(*table.footnotes, heading.reference)

    def figure(
        self, name: str, drawn: Any, *, caption: str, alt: str, notes: Iterable[str] = ()
    ) -> None:
        """Show what a function of `livertrack.figures` drew, as ``@fig-name``.

        Parameters
        ----------
        name : str
            Name of the files and, after ``fig-``, of the reference.
        drawn : Axes, array of Axes or Figure
        caption, alt : str
            Plain text; ``alt`` says what a reader who does not see the figure must know.
        notes : iterable of str
            Denominators and method, below the figure.
        """
        self._claim(f"fig-{name}")
        width = min(1.0, figure_of(drawn).get_size_inches()[0] / 7.2)
        size = figure_of(drawn).get_size_inches()
        svg, _ = save_figure(drawn, Path("figures"), name)
        heading, notes = self._heading("Figure", name, caption), [note for note in notes if note]
        write_figure(Path("figures"), name, (float(size[0]), float(size[1])), alt, notes, heading)
        quoted = alt.replace("\\", "").replace('"', "'")
        self.md(
            f"![{plain(caption)}]({svg.as_posix()})"
            f'{{#fig-{name} fig-alt="{quoted}" width={width:.0%}}}'
        )
        self.notes(*notes, heading.reference)

    def _heading(self, kind: str, name: str, title: str, source: str = "") -> Heading:
        """Number, population and source of a table, listing or figure."""
        run = self.run
        if not run.plan:
            return Heading("", title)
        study, flag = run.plan["study"]["id"], run.plan["data"].get("population")
        sizes = run.sizes
        return Heading(
            f"{kind} {self._numbering.next(kind, name)}", title.rstrip("."),
            f"Population: {f'analysed population ({flag})' if flag else 'all subjects'}",
            "N: " + ", ".join(f"{arm} {n}" for arm, n in sizes.items()) if sizes else "",
            source or source_of(name, run.plan, run.results, run.out),
            f"Study {study}, run {run_id(run.provenance)}",
        )  # fmt: skip

    def _claim(self, label: str) -> None:
        if label in self._used or not _NAME.fullmatch(label):
            msg = f"report: the label {label!r} is used twice or is not lower case with dashes"
            raise ReportError(msg)
        self._used.add(label)


def open_page(run: str | Path, *, profile: str = "unblinded") -> Page:
    """Open a run folder for a report; the profile ``blinded`` masks its arms."""
    return Page(with_profile(load_run(run), profile))
