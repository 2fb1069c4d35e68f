"""A self-contained page of tables and paragraphs, for what needs no cells and no renderer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from livertrack.report._pandoc import ASSETS
from livertrack.tables import Table


def static_page(title: str, subtitle: str, sections: Sequence[tuple[str, Sequence[str]]]) -> str:
    """HTML page in the style of the reports; it loads nothing.

    Parameters
    ----------
    title, subtitle : str
        Plain text.
    sections : sequence of (str, sequence of str)
        Heading (plain text) and its blocks (HTML; see `paragraph`, `bullets`, `block`).
    """
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    links = "".join(
        f'<li><a href="#s{n}">{escape(heading)}</a></li>'
        for n, (heading, _) in enumerate(sections, start=1)
    )
    body = "\n".join(
        f'<h2 id="s{n}">{escape(heading)}</h2>\n' + "\n".join(blocks)
        for n, (heading, blocks) in enumerate(sections, start=1)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="livertrack">
<title>{escape(title)}</title>
<style>
{style}
</style>
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header class="title">
<h1>{escape(title)}</h1>
<p class="subtitle">{escape(subtitle)}</p>
</header>
<div class="columns">
<nav id="toc" aria-label="Contents">
<p class="toc-title">Contents</p>
<ul>{links}</ul>
</nav>
<main id="content" tabindex="-1">
{body}
</main>
</div>
</body>
</html>
"""


def paragraph(text: str, kind: str = "") -> str:
    """Write a paragraph; ``kind`` makes it a callout ("tip", "important", "warning")."""
    if kind:
        return f'<div class="callout callout-{kind}"><p>{escape(text)}</p></div>'
    return f"<p>{escape(text)}</p>"


def bullets(lines: Sequence[str]) -> str:
    """Write a list."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def block(table: Table) -> str:
    """Write a table with its caption and footnotes; wide ones scroll by keyboard too."""
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.footnotes)
    return (
        f'<div class="table-block"><div class="table-scroll" tabindex="0" role="region" '
        f'aria-label="{escape(table.title, quote=True)}">\n{table.html(caption=True)}\n</div>'
        "</div>" + (f'<div class="notes">{notes}</div>' if notes else "")
    )
