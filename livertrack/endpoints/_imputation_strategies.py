"""Distributions that reference-based imputation assumes after an intercurrent event.

Names follow Carpenter, Roger & Kenward (2013): the means and covariance of the own arm up to the
event, joined to what the reference arm would say afterwards.
"""

from __future__ import annotations

import numpy as np

from livertrack.endpoints._design import Floats
from livertrack.errors import UsageError

#: strategies by name; ``hypothetical`` is MAR after removing what was observed past the event
STRATEGIES = {
    "MAR": "missing at random",
    "hypothetical": "missing at random, records after the event removed",
    "JR": "jump to reference",
    "CR": "copy reference",
    "CIR": "copy increments in reference",
    "LMCF": "last mean carried forward",
}


def check_strategy(strategy: str) -> None:
    """Raise `UsageError` for an unknown strategy."""
    if strategy not in STRATEGIES:
        known = ", ".join(f"{name} ({text})" for name, text in STRATEGIES.items())
        msg = f"strategy {strategy!r} is not known; choose one of {known}"
        raise UsageError(msg)


def assumed_mean(strategy: str, own: Floats, reference: Floats, event: int) -> Floats:
    """Mean over visits (d,) of a subject whose event precedes visit number ``event`` (0..d).

    Without a visit before the event, CIR and LMCF jump to the reference.
    """
    if strategy in ("MAR", "hypothetical"):
        return own
    if strategy == "CR":
        return reference
    mean = own.copy()
    if strategy == "JR" or event == 0:
        mean[event:] = reference[event:]
    elif strategy == "CIR":
        mean[event:] = own[event - 1] + reference[event:] - reference[event - 1]
    else:
        mean[event:] = own[event - 1]
    return mean


def assumed_covariance(strategy: str, own: Floats, reference: Floats, event: int) -> Floats:
    """Covariance over visits (d, d); differs from ``own`` where the arms have their own."""
    if strategy in ("MAR", "hypothetical", "LMCF") or own is reference:
        return own
    if strategy == "CR" or event == 0:
        return reference
    a, b = slice(0, event), slice(event, len(own))
    slope = np.linalg.solve(reference[a, a], reference[a, b]).T
    joined = own.copy()
    joined[b, a] = slope @ own[a, a]
    joined[a, b] = joined[b, a].T
    joined[b, b] = reference[b, b] - slope @ (reference[a, a] - own[a, a]) @ slope.T
    return joined
