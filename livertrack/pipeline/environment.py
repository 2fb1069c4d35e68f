"""The machine and the libraries a run was made with, and one thread for the numbers."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import threadpoolctl

from livertrack.pipeline.ledger import code_version

#: libraries whose version can change a number
_LIBRARIES = (
    "formulaic", "joblib", "lifelines", "matplotlib", "nibabel", "numpy", "pandas", "pingouin",
    "pyarrow", "safetensors", "scikit-bio", "scikit-learn", "scipy", "seaborn", "SimpleITK",
    "statsmodels", "torch", "torchio",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of Python, of livertrack (with a hash of its sources) and of the libraries."""
    found = {"python": platform.python_version(), "livertrack": code_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def machine() -> dict[str, Any]:
    """Kind of machine: system, processor, Python implementation."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "implementation": platform.python_implementation(),
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """Fix linear algebra to one thread: sums are then taken in the same order everywhere."""
    with threadpoolctl.threadpool_limits(limits=1):
        yield
