"""Numbered tables, listings and figures as files of their own: HTML and RTF with headings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from livertrack._files import canonical_json, hash_text, write_text
from livertrack.report.numbering import subject_of
from livertrack.tables import Table
from livertrack.tables._rtf import picture_rtf, rtf_document, table_rtf


@dataclass(frozen=True)
class Heading:
    """What stands above and below a table, listing or figure.

    Attributes
    ----------
    number : str
        ``Table 14.1.1.1``.
    title, population, sizes : str
        Sentence, population and subjects per arm.
    source, run : str
        Where the numbers come from: file and analysis, study and run.
    """

    number: str
    title: str
    population: str = ""
    sizes: str = ""
    source: str = ""
    run: str = ""

    @property
    def reference(self) -> str:
        """What stands below it in a report."""
        return f"Source: {self.number}." if self.number else ""

    def titles(self) -> list[str]:
        """Lines above."""
        return [x for x in (self.number, self.title, self.population, self.sizes) if x]

    def notes(self, footnotes: Sequence[str]) -> list[str]:
        """Lines below: those of the table, the source."""
        return [*footnotes, *([f"Source: {self.source}."] if self.source else [])]


def write_table(folder: Path, name: str, table: Table, heading: Heading) -> None:
    """Write ``name.csv``, ``name.html`` and ``name.rtf``."""
    notes = heading.notes(table.footnotes)
    write_text(folder / f"{name}.csv", table.csv())
    write_text(folder / f"{name}.html", _page(heading, table.html(), notes))
    text = rtf_document(table_rtf(table), titles=heading.titles(), footnotes=notes,
                        foot=heading.run)  # fmt: skip
    write_text(folder / f"{name}.rtf", text)


def write_figure(
    folder: Path, name: str, size: tuple[float, float], alt: str, notes: Sequence[str],
    heading: Heading,
) -> None:  # fmt: skip
    """Write ``name.html`` and ``name.rtf`` around the picture files of that name."""
    said = heading.notes(notes)
    image = f'<img src="{name}.svg" alt="{escape(alt)}" style="max-width:100%">'
    write_text(folder / f"{name}.html", _page(heading, image, said))
    picture = picture_rtf((folder / f"{name}.png").read_bytes(), size)
    text = rtf_document(picture, titles=heading.titles(), footnotes=said, foot=heading.run)
    write_text(folder / f"{name}.rtf", text)


def run_id(provenance: Mapping[str, Any]) -> str:
    """Twelve digits that name a run: of its plan, inputs, seed and versions, on any machine."""
    facts = {key: provenance.get(key) for key in ("plan_hash", "inputs", "seed", "versions")}
    return hash_text(canonical_json(facts))[:12]


def source_of(name: str, plan: Mapping[str, Any], results: Sequence[Any], out: Path) -> str:
    """File and analysis that the numbers of a table or figure come from."""
    endpoint, analysis = subject_of(name, plan)
    if endpoint == "plan":
        return "plan.json, provenance.json"
    if endpoint == "findings":
        return "adam/findings.parquet"
    files = {path.stem for path in (out / "ard").glob("*.parquet")}
    if analysis:
        kinds = {r.context for r in results if r.analysis == analysis}
        file = next((f for f in (endpoint, *sorted(kinds)) if f in files), endpoint)
        return f"ard/{file}.parquet, analysis {analysis}"
    file = endpoint if endpoint in files else ""
    return f"ard/{file}.parquet" if file else "ard/"


_STYLE = (
    "body{font-family:Arial,sans-serif;margin:1.5rem;color:#1b1f24}"
    "h1{font-size:1.05rem;margin:0}.head p{margin:.1rem 0}.head{margin-bottom:.8rem}"
    "table{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid}"
    "th,td{padding:.25rem .7rem;text-align:left;vertical-align:top}"
    "thead th{border-bottom:1px solid}tbody th{font-weight:400}tbody th.group{font-weight:600}"
    ".notes{font-size:.85rem}.wide{overflow-x:auto}"
)


def _page(heading: Heading, body: str, notes: Sequence[str]) -> str:
    first, *more = heading.titles()
    head = "".join(f"<p>{escape(line)}</p>" for line in more)
    foot = "".join(f"<p>{escape(note)}</p>" for note in [*notes, heading.run])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(' '.join(heading.titles()[:2]))}</title>\n"
        f"<style>{_STYLE}</style></head>\n<body>\n<main>\n"
        f'<div class="head"><h1>{escape(first)}</h1>{head}</div>\n'
        f'<div class="wide" tabindex="0">{body}</div>\n<div class="notes">{foot}</div>\n</main>\n'
        "</body></html>\n"
    )
