"""One line of progress per step on standard error, with the seconds it took."""

from __future__ import annotations

import sys
import time


class Progress:
    """Say what is going on; silent unless ``show``."""

    def __init__(self, *, show: bool = True) -> None:
        self.show = show
        self._since = 0.0
        self._what = ""

    def start(self, what: str) -> None:
        """Begin a step; the previous one is finished."""
        self.close()
        self._what, self._since = what, time.perf_counter()
        if self.show and sys.stderr.isatty():
            print(f"  ... {what}", end="\r", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Finish the step under way."""
        if self._what and self.show:
            seconds = time.perf_counter() - self._since
            print(f"{seconds:7.1f} s  {self._what}\033[K" if sys.stderr.isatty()
                  else f"{seconds:7.1f} s  {self._what}", file=sys.stderr, flush=True)  # fmt: skip
        self._what = ""
