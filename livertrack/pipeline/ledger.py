"""What a run has finished, so that an interrupted run goes on and a repeated one does nothing."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import livertrack
from livertrack._files import canonical_json, hash_file, hash_text, write_json

Outputs = Sequence[Path] | Callable[[], Sequence[Path]]


@functools.cache
def code_version() -> str:
    """Version of the package and the SHA-256 of its sources, dictionary and reports included."""
    from livertrack._resources import resource_dir

    package = Path(livertrack.__file__).resolve().parent
    files = sorted(package.rglob("*.py"))
    for name in ("data-dictionary", "reports"):
        files += sorted(path for path in resource_dir(name).rglob("*") if path.is_file())
    digest = hash_text("".join(f"{path.name}:{hash_file(path)}\n" for path in files))
    return f"{livertrack.__version__}+{digest[:16]}"


class Ledger:
    """Finished steps in ``OUT/.state``: a step is redone when anything it used changed."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / ".state"
        self.done: list[str] = []
        self.kept: list[str] = []

    def step(
        self, name: str, uses: Any, outputs: Outputs, work: Callable[[], None]
    ) -> dict[str, str]:
        """Do ``work`` unless it was done with the same ``uses`` and its outputs are intact.

        ``outputs`` may be a function where the files are known only after the work. Returns the
        SHA-256 of each output by its path relative to the run, for use as the ``uses`` of later
        steps.
        """
        key = hash_text(canonical_json({"code": code_version(), "uses": uses}))
        stamp = self.folder / f"{name}.json"
        before = self._read(stamp)
        if before and before["key"] == key and before["outputs"] == self._hashes(outputs):
            self.kept.append(name)
            return dict(before["outputs"])
        stamp.unlink(missing_ok=True)
        work()
        hashes = self._hashes(outputs)
        missing = [path for path, digest in hashes.items() if not digest]
        if missing:
            msg = f"step {name} finished without writing {', '.join(missing)}"
            raise RuntimeError(msg)
        write_json(stamp, {"key": key, "outputs": hashes})
        self.done.append(name)
        return hashes

    def _hashes(self, outputs: Outputs) -> dict[str, str]:
        files = outputs() if callable(outputs) else outputs
        return {
            path.relative_to(self.out).as_posix(): hash_file(path) if path.is_file() else ""
            for path in files
        }

    @staticmethod
    def _read(stamp: Path) -> dict[str, Any] | None:
        try:
            return dict(json.loads(stamp.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
