"""Scans to label maps to signature records: the one part of livertrack that imports torch.

torch itself is imported when a vocabulary is first used, so that checking image files is quick.
"""

import importlib
from typing import Any

from livertrack.imaging.inspect import inspect_images
from livertrack.imaging.recovery import recovery
from livertrack.imaging.scan import Scan, image_pairs, read_scan
from livertrack.imaging.signatures import SignatureResult, signatures

_WITH_TORCH = {
    "Vocabulary": "livertrack.imaging.vocabulary",
    "fit_vocabulary": "livertrack.imaging.vocabulary",
}

__all__ = [
    "Scan",
    "SignatureResult",
    "Vocabulary",
    "fit_vocabulary",
    "image_pairs",
    "inspect_images",
    "read_scan",
    "recovery",
    "signatures",
]


def __getattr__(name: str) -> Any:
    if name in _WITH_TORCH:
        value = getattr(importlib.import_module(_WITH_TORCH[name]), name)
        globals()[name] = value
        return value
    msg = f"module 'livertrack.imaging' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return __all__
