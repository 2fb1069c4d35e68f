"""Accessibility of a page: static rules of WCAG 2.1, and axe-core where it is found."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

_VOID = {"meta", "img", "input", "br", "hr", "link", "col"}
_INJECTED = """<script>%s</script><script>
window.addEventListener('load', () => axe.run(document, {resultTypes: ['violations']}).then(r => {
  const found = r.violations.map(v => ({id: v.id, impact: v.impact,
    nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 160))}));
  const made = document.createElement('pre');
  made.id = 'axe-result';
  made.textContent = JSON.stringify({passes: r.passes.length, violations: found});
  document.body.replaceChildren(made);
}));
</script>"""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[int, str] = {}
        self._open: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            if self.elements[self._open.pop()][0] == tag:
                break

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.texts[place] = self.texts.get(place, "") + data


def static_problems(text: str) -> list[str]:
    """What breaks a rule in the HTML of a page; empty where nothing does."""
    page = _Page()
    page.feed(text)
    found: list[str] = []
    named = [(place, tag, given) for place, (tag, given) in enumerate(page.elements)]

    def content(place: int) -> str:
        return page.texts.get(place, "").strip()

    tags = [tag for _, tag, _ in named]
    if not any(tag == "html" and given.get("lang") for _, tag, given in named):
        found.append("html without lang")
    if not any(tag == "title" and content(place) for place, tag, _ in named):
        found.append("no title")
    if "main" not in tags:
        found.append("no main landmark")
    found += [
        f"img without alt text: {given.get('src', '')[:40]}"
        for _, tag, given in named
        if tag == "img" and not given.get("alt", "").strip()
    ]
    found += [
        "svg that neither has a role with a label nor is hidden"
        for _, tag, given in named
        if tag == "svg"
        and not (given.get("role") == "img" and given.get("aria-label"))
        and given.get("aria-hidden") != "true"
    ]
    for place, tag, given in named:
        if tag == "th" and given.get("scope") not in {"col", "row", "colgroup", "rowgroup"}:
            found.append(f"th without scope: {content(place)!r}")
        if tag == "th" and not content(place):
            found.append("th without text")
        if tag == "button" and not (content(place) or given.get("aria-label")):
            found.append("button without a name")
        if given.get("tabindex", "0").lstrip("-").isdigit() and int(given.get("tabindex", 0)) > 0:
            found.append(f"{tag} with a positive tabindex")
        if given.get("role") == "region" and not given.get("aria-label"):
            found.append("region without a label")
    labelled = {given.get("for") for _, tag, given in named if tag == "label"}
    found += [
        f"{tag} without a label"
        for _, tag, given in named
        if tag in {"input", "select", "textarea"}
        and not (given.get("aria-label") or given.get("id") in labelled)
    ]
    ids = [given["id"] for _, _, given in named if given.get("id")]
    found += [f"id used twice: {name}" for name in sorted({i for i in ids if ids.count(i) > 1})]
    links = [given["href"] for _, tag, given in named if tag == "a" and given.get("href")]
    found += [
        f"link to nowhere: {link}" for link in links if link[0] == "#" and link[1:] not in ids
    ]
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    if levels.count(1) > 1:
        found.append("more than one h1")
    found += [f"heading level {b} after {a}" for a, b in pairwise(levels) if b > a + 1]
    return found


def contrast(one: str, two: str) -> float:
    """Contrast ratio of two colours ``#rrggbb`` (WCAG 2.1: 1 to 21)."""
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    whole = colour.lstrip("#")
    whole = "".join(2 * c for c in whole) if len(whole) == 3 else whole
    channels = [int(whole[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def find_tools() -> tuple[str, Path] | str:
    """Find Chromium and axe.min.js; else say which of them is missing."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        return "no Chromium on the path"
    named = os.environ.get("LIVERTRACK_AXE")
    root = Path(__file__).resolve().parents[2]
    places = [Path(named)] if named else [root / "node_modules" / "axe-core" / "axe.min.js"]
    script = next((path for path in places if path.is_file()), None)
    if script is None:
        return "no axe-core: `npm install axe-core`, or set LIVERTRACK_AXE to its axe.min.js"
    return browser, script


def axe_problems(path: Path, folder: Path, width: int) -> list[str]:
    """Serious and critical findings of axe-core on a page in headless Chromium."""
    tools = find_tools()
    if isinstance(tools, str):
        raise RuntimeError(tools)
    browser, script = tools
    source = script.read_text(encoding="utf-8").replace("</script", "<\\/script")
    text = path.read_text(encoding="utf-8")
    place = text.rindex("</body>")
    copy = folder / "axe.html"
    copy.write_text(text[:place] + _INJECTED % source + text[place:], encoding="utf-8")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu",
            f"--window-size={width},1000", f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=60000", "--dump-dom", copy.as_uri(),
        ],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    shown = re.search(r'<pre id="axe-result">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    if shown is None:
        raise RuntimeError(done.stderr[-500:])
    result = json.loads(html.unescape(shown[1]))
    if result["passes"] < 5:
        raise RuntimeError("axe found hardly anything to check")
    return [
        f"{v['impact']}: {v['id']}: {v['nodes']}"
        for v in result["violations"]
        if v["impact"] in {"serious", "critical"}
    ]
