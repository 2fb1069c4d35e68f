"""What reference-based imputation assumes after an intercurrent event.

Names follow Carpenter, Roger & Kenward (2013): the means and covariance of the own arm up to the
event, joined to what the reference arm would say afterwards. Strategies are those of ICH E9(R1).
"""

from __future__ import annotations

import numpy as np

from livertrack.endpoints._design import Floats
from livertrack.errors import UsageError

#: what is assumed of records that are missing after an event
ASSUMPTIONS = {
    "MAR": "missing at random",
    "JR": "jump to reference",
    "CR": "copy reference",
    "CIR": "copy increments in reference",
    "LMCF": "last mean carried forward",
}

#: strategies of ICH E9(R1) -> what becomes of the records after the event
STRATEGIES = {
    "treatment-policy": "observed records after the event are kept; missing ones are imputed",
    "hypothetical": "records after the event are removed and imputed",
    "composite": "records after the event have the value stated for it",
    "while-on-treatment": "the last record before the event stands for those after it",
}


def check_assumption(name: str) -> None:
    """Raise `UsageError` for an unknown assumption."""
    if name not in ASSUMPTIONS:
        known = ", ".join(f"{code} ({text})" for code, text in ASSUMPTIONS.items())
        msg = f"strategy {name!r} is not known; choose one of {known}"
        raise UsageError(msg)


def read_strategy(strategy: str, assumption: str | None = None) -> tuple[str, str]:
    """Strategy of ICH E9(R1) and assumption; an assumption alone is short for treatment policy.

    Raises
    ------
    UsageError
        An unknown name, or a principal stratum, which imputation cannot answer.
    """
    if strategy == "principal-stratum":
        msg = (
            "strategy 'principal-stratum' restricts the population to subjects in whom the event "
            "would happen under neither arm; that needs a model of the stratum, not imputation"
        )
        raise UsageError(msg)
    if strategy in STRATEGIES:
        name = assumption or "MAR"
    elif strategy in ASSUMPTIONS and assumption in (None, strategy):
        strategy, name = "treatment-policy", strategy
    else:
        known = ", ".join([*STRATEGIES, *ASSUMPTIONS])
        extra = f" with assumption {assumption!r}" if assumption else ""
        msg = f"strategy {strategy!r}{extra} is not known; choose one of {known}"
        raise UsageError(msg)
    check_assumption(name)
    return strategy, name


def assumed_mean(assumption: str, own: Floats, reference: Floats, event: int) -> Floats:
    """Mean over visits (d,) of a subject whose event precedes visit number ``event`` (0..d).

    ``event`` = d: no event, whatever the assumption. Without a visit before the event, CIR and
    LMCF jump to the reference.
    """
    if assumption == "MAR" or event >= len(own):
        return own
    if assumption == "CR":
        return reference
    mean = own.copy()
    if assumption == "JR" or event == 0:
        mean[event:] = reference[event:]
    elif assumption == "CIR":
        mean[event:] = own[event - 1] + reference[event:] - reference[event - 1]
    else:
        mean[event:] = own[event - 1]
    return mean


def assumed_covariance(assumption: str, own: Floats, reference: Floats, event: int) -> Floats:
    """Covariance over visits (d, d); differs from ``own`` where the arms have their own."""
    if assumption in ("MAR", "LMCF") or own is reference or event >= len(own):
        return own
    if assumption == "CR" or event == 0:
        return reference
    a, b = slice(0, event), slice(event, len(own))
    slope = np.linalg.solve(reference[a, a], reference[a, b]).T
    joined = own.copy()
    joined[b, a] = slope @ own[a, a]
    joined[a, b] = joined[b, a].T
    joined[b, b] = reference[b, b] - slope @ (reference[a, a] - own[a, a]) @ slope.T
    return joined
