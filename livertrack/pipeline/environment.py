"""The machine and the libraries a run was made with, and one thread for the numbers."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import threadpoolctl

from livertrack.pipeline.ledger import code_version

#: libraries whose version can change a number, and what they are for
_LIBRARIES = {
    "formulaic": "model formulas",
    "joblib": "parallel work",
    "lifelines": "Cox models",
    "matplotlib": "figures",
    "mirp": "radiomic features",
    "nibabel": "NIfTI files",
    "numpy": "arrays and linear algebra",
    "pandas": "data frames",
    "pingouin": "intraclass correlation",
    "pyarrow": "parquet files",
    "pydicom": "DICOM files",
    "pypandoc-binary": "pages of reports",
    "pyreadstat": "SAS transport files",
    "safetensors": "the vocabulary file",
    "scikit-bio": "compositions",
    "scikit-learn": "clustering and prediction",
    "scikit-survival": "random survival forests",
    "scipy": "distributions and optimisation",
    "seaborn": "figures",
    "SimpleITK": "bias field, resampling, DICOM",
    "statsmodels": "generalised linear and ordinal models",
    "torch": "the encoder of the vocabulary",
    "torchio": "augmentation of scans",
    "typst": "PDF reports",
}


def purposes() -> dict[str, str]:
    """What each package of `versions` is for."""
    return {"python": "interpreter", "livertrack": "this package", **_LIBRARIES}


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
