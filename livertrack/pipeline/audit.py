"""An append-only log of a run folder whose lines are chained by their hashes.

Each line of ``OUT/audit.jsonl`` holds the hash of the line before it, so that a line that is
edited, removed or put elsewhere breaks the chain there. A whole chain can be written anew by
whoever can write the folder; keep the last hash (`livertrack audit verify` prints it) somewhere
else to rule that out.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livertrack._files import canonical_json, hash_file, hash_text
from livertrack.errors import UsageError

LOG = "audit.jsonl"
#: what the first line has in place of the hash of a line before it
_START = "0" * 64


def append(out: Path, event: str, facts: Mapping[str, Any]) -> str:
    """Add one line to the log of a run and return its hash.

    Parameters
    ----------
    event : str
        What happened: "started", "finished", "rerun".
    facts : mapping
        Hashes, seed, versions; never a value of the data.
    """
    lines = _lines(out / LOG)
    before = json.loads(lines[-1])["hash"] if lines else _START
    body = {
        "n": len(lines) + 1, "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "event": event, **facts, "previous": before,
    }  # fmt: skip
    digest = hash_text(canonical_json(body))
    line = {**body, "hash": digest}
    with (out / LOG).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return digest


def verify(out: str | Path) -> dict[str, Any]:
    """Check the chain, and that the manifest is the one that the last line vouches for.

    Returns
    -------
    dict
        ``intact`` (bool), ``problems`` (list of str, the number of the line in each), ``events``
        (lines read), ``head`` (hash of the last line).

    Raises
    ------
    UsageError
        There is no log.
    """
    out = Path(out)
    lines = _lines(out / LOG)
    if not lines:
        msg = f"no {LOG} in {out}; `livertrack run` writes it"
        raise UsageError(msg)
    problems, before = list[str](), _START
    last: dict[str, Any] = {}
    for number, text in enumerate(lines, start=1):
        entry = _entry(text)
        if entry is None:
            problems.append(f"line {number}: not a line of this log")
            before = ""
            continue
        body = {name: value for name, value in entry.items() if name != "hash"}
        if hash_text(canonical_json(body)) != entry["hash"]:
            problems.append(f"line {number}: edited since it was written")
        if entry.get("previous") != before:
            problems.append(f"line {number}: does not follow the line before it")
        if entry.get("n") != number:
            problems.append(f"line {number}: says it is line {entry.get('n')}")
        before = entry["hash"]
        last = last if entry.get("event") == "rerun" else entry  # a rerun changes nothing
    problems += _manifest(out, last)
    return {"intact": not problems, "problems": problems, "events": len(lines), "head": before}


def _manifest(out: Path, last: Mapping[str, Any]) -> list[str]:
    if last.get("event") != "finished":
        return ["the last line is not that of a finished run"]
    path = out / "manifest.json"
    if not path.is_file():
        return ["manifest.json is gone"]
    if hash_file(path) != last.get("manifest"):
        return ["manifest.json is not the one the log vouches for"]
    return []


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return path.read_text(encoding="utf-8").splitlines()


def _entry(text: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "hash" in entry else None
