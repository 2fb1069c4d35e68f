"""Options of the endpoints on responders."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from livertrack.plan_options.base import Options, endpoint


@endpoint("risk_difference")
class RiskDifference(Options):
    """Difference in responder proportions.

    A responder has ``measure`` <= (``below``) or >= (``above``) the limit; ``PCHG`` is the
    relative change from baseline in percent.
    """

    measure: Literal["PCHG", "CHG", "AVAL"] = "PCHG"
    below: float | None = None
    above: float | None = None
    missing: Literal["non-responder", "exclude"] = "non-responder"
    method: Literal["miettinen-nurminen", "newcombe", "mantel-haenszel"] = "miettinen-nurminen"

    @model_validator(mode="after")
    def _one_limit(self) -> RiskDifference:
        if (self.below is None) == (self.above is None):
            msg = "state exactly one of below and above"
            raise ValueError(msg)
        return self
