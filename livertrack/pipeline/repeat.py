"""Run a study again as its manifest says: ``python -m livertrack.pipeline.repeat OUT STUDY TO``.

It writes into a folder of its own and compares nothing, so that whoever compares need not trust
the environment that it ran in.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livertrack.pipeline.manifest import read_manifest


def repeat(manifest: str | Path, study: str | Path, to: str | Path) -> None:
    """Run ``study`` with the formats and the first cohort that the manifest names, into ``to``."""
    from livertrack.pipeline.replicate import FirstCohort
    from livertrack.pipeline.run import run_study

    recorded = read_manifest(manifest)
    out = Path(manifest) if Path(manifest).is_dir() else Path(manifest).parent
    first: dict[str, Any] | None = recorded.get("frozen")
    frozen = FirstCohort.of_manifest(out, first) if first else None
    run_study(study, out=to, formats=_formats(recorded["outputs"]), frozen=frozen)


def _formats(outputs: dict[str, str]) -> tuple[str, ...]:
    return tuple(suffix for suffix in ("html", "pdf", "docx") if f"report.{suffix}" in outputs)


def main(words: Sequence[str]) -> int:
    """Run the module; returns the exit code."""
    manifest, study, to = words
    repeat(manifest, study, to)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
