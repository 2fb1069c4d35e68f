"""Options of the endpoints on times to events; ``parameters`` are PARAMCDs of adtte."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from livertrack.plan_options.base import Options, Stratified, endpoint


@endpoint("kaplan_meier")
class KaplanMeier(Options):
    """Curves per arm; ``times``: where numbers at risk are counted (unit of AVAL)."""

    times: list[float] | None = None


@endpoint("log_rank")
class LogRank(Stratified):
    """Log-rank test, stratified by the plan's strata if asked."""


@endpoint("cox")
class Cox(Stratified):
    """Cox model; ``{arm}`` stands for the arm column.

    With ``event``, a level of the column ``cause``, the model is of the hazard of that cause.
    """

    formula: str = "{arm}"
    ties: Literal["efron", "breslow"] = "efron"
    event: str | None = None
    cause: str = "CAUSE"


@endpoint("fine_gray")
class FineGray(Options):
    """Model of the subdistribution hazard of ``event``, the other causes competing."""

    event: str
    formula: str = "{arm}"
    cause: str = "CAUSE"
    censoring_groups: list[str] = Field(default_factory=list)
    variance: Literal["fine-gray", "weights-known"] = "fine-gray"


@endpoint("recurrent_events")
class RecurrentEvents(Stratified):
    """Rates of events that recur; ``parameters`` are PARAMCDs of adrec."""

    covariates: str | None = None
    ties: Literal["efron", "breslow"] = "efron"


@endpoint("rmst")
class Rmst(Options):
    """Restricted mean survival time up to ``tau`` (unit of AVAL)."""

    tau: float = Field(gt=0)


@endpoint("cumulative_incidence")
class CumulativeIncidence(Stratified):
    """Cumulative incidence with competing causes, levels of the column ``cause`` of adtte.

    ``at``: time of the table (unit of AVAL); the last time of each arm where absent.
    """

    cause: str = "CAUSE"
    at: float | None = Field(default=None, gt=0)


class Step(Options):
    """One step of a hierarchy: ``time`` is a PARAMCD of adtte, ``value`` one of the records."""

    name: str
    time: str | None = None
    value: str | None = None
    measure: Literal["CHG", "AVAL", "PCHG"] = "CHG"
    better: Literal["higher", "lower"] = "higher"
    margin: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if (self.time is None) == (self.value is None):
            msg = f"step {self.name!r}: state exactly one of time (adtte) and value (records)"
            raise ValueError(msg)
        return self


@endpoint("win_ratio")
class WinRatio(Stratified):
    """Win ratio, win odds and net benefit over a hierarchy of outcomes, the worst first."""

    hierarchy: list[Step] = Field(min_length=1)

    def required(self) -> tuple[str, ...]:
        """Values are those of a visit."""
        return ("visit",) if any(step.value for step in self.hierarchy) else ()

    @model_validator(mode="before")
    @classmethod
    def _not_empty(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("hierarchy"):
            msg = (
                "hierarchy: list the outcomes, the worst first, e.g. "
                "[{name: Liver-related event, time: LRE}, "
                "{name: Liver fat, value: PDFF, better: lower, margin: 1}]"
            )
            raise ValueError(msg)
        return data
