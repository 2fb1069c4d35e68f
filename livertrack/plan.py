"""The statistical analysis plan: estimands, the analyses that answer them, imaging, one seed.

``plan.yaml`` is validated as a whole; every problem is reported at once with the place of the
key. The canonical JSON of the plan, defaults filled in, is hashed into every output.
"""

from __future__ import annotations

import difflib
from collections import Counter
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from livertrack._files import canonical_json, hash_text
from livertrack.errors import PlanError
from livertrack.plan_imaging import ImagingSettings
from livertrack.plan_options import OPTIONS, Multiplicity, Options


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyInfo(_Part):
    """Name of the study, and whether its data are simulated (every page then says so)."""

    id: str
    title: str
    simulated: bool = False


class DataSettings(_Part):
    """Arms, visits, population and strata, in the order tables show them."""

    arms: list[str] = Field(min_length=1)
    reference: str
    visits: list[str] = Field(min_length=1)
    baseline: str
    population: str | None = "FASFL"
    arm: str = "TRT01P"
    site: str | None = None
    strata: list[str] = []
    #: what tables call a column of adsl or a PARAMCD
    labels: dict[str, str] = {}
    #: repeat measurement -> visit whose state it measures again: ``{Rescan: Baseline}``
    repeats: dict[str, str] = {}

    @property
    def occasions(self) -> list[str]:
        """Everything a record may have as AVISIT: the visits, then their repeats."""
        return [*self.visits, *self.repeats]

    @model_validator(mode="after")
    def _known(self) -> DataSettings:
        if self.reference not in self.arms:
            msg = f"reference {self.reference!r} is not one of the arms {self.arms}"
            raise ValueError(msg)
        if self.baseline not in self.visits:
            msg = f"baseline {self.baseline!r} is not one of the visits {self.visits}"
            raise ValueError(msg)
        for repeat, visit in self.repeats.items():
            if repeat in self.visits or visit not in self.visits:
                msg = (
                    f"repeats: {repeat!r} must not be, and {visit!r} must be, one of the visits "
                    f"{self.visits}"
                )
                raise ValueError(msg)
        return self


Strategy = Literal[
    "treatment-policy", "hypothetical", "composite", "while-on-treatment", "principal-stratum"
]


Assumption = Literal["MAR", "JR", "CR", "CIR", "LMCF"]


class IntercurrentEvent(_Part):
    """An intercurrent event and the ICH E9(R1) strategy that answers it.

    ``event`` is the ICETERM of the dataset adice. ``assumption`` is about records that are missing
    after the event (treatment policy) or removed (hypothetical): missing at random, jump to
    reference, copy reference, copy increments in reference, last mean carried forward. ``value``
    is what the records after the event become under a composite strategy. ``handling`` is text.
    """

    event: str
    strategy: Strategy
    handling: str = ""
    assumption: Assumption = "MAR"
    value: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _belongs(self) -> IntercurrentEvent:
        if self.value is not None and self.strategy != "composite":
            msg = f"value belongs to a composite strategy, not to {self.strategy}"
            raise ValueError(msg)
        if self.assumption != "MAR" and self.strategy not in ("treatment-policy", "hypothetical"):
            msg = f"assumption: nothing is imputed under the strategy {self.strategy}"
            raise ValueError(msg)
        return self


class Estimand(_Part):
    """The five attributes of ICH E9(R1)."""

    id: str
    label: str
    treatment: str
    population: str
    variable: str
    intercurrent_events: list[IntercurrentEvent]
    summary: str


class Analysis(_Part):
    """One analysis: an endpoint function, what it is applied to, and its options."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    endpoint: str
    title: str = ""
    estimand: str | None = None
    visit: str | None = None
    parameters: list[str] = []
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _options(self) -> Analysis:
        if self.endpoint not in OPTIONS:
            msg = f"unknown endpoint {self.endpoint!r}{_suggest(self.endpoint, OPTIONS)}"
            raise ValueError(msg)
        options = OPTIONS[self.endpoint].model_validate(self.options)
        object.__setattr__(self, "options", options.model_dump(mode="json"))
        return self

    @property
    def settings(self) -> Options:
        """Options as the typed model of the endpoint, defaults filled in."""
        return OPTIONS[self.endpoint].model_validate(self.options)


class ReportSettings(_Part):
    """Heading of the report."""

    title: str = ""
    subtitle: str = ""


class Replication(_Part):
    """A second cohort: another study folder, relative to this one."""

    study: str


class Plan(_Part):
    """A whole plan."""

    study: StudyInfo
    seed: int = Field(ge=0)
    data: DataSettings
    conf_level: float = Field(default=0.95, gt=0, lt=1)
    imaging: ImagingSettings | None = None
    estimands: list[Estimand] = []
    analyses: list[Analysis] = []
    multiplicity: Multiplicity | None = None
    replication: Replication | None = None
    report: ReportSettings = ReportSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Plan:
        problems = []
        for what, ids in (
            ("estimand", [e.id for e in self.estimands]),
            ("analysis", [a.id for a in self.analyses]),
        ):
            problems += [
                f"{what} id {i!r} is used {n} times" for i, n in Counter(ids).items() if n > 1
            ]
        estimands = [e.id for e in self.estimands]
        for analysis in self.analyses:
            if analysis.estimand is not None and analysis.estimand not in estimands:
                hint = _suggest(analysis.estimand, estimands)
                problems.append(
                    f"analysis {analysis.id}: unknown estimand {analysis.estimand!r}{hint}"
                )
            if analysis.visit is not None and analysis.visit not in self.data.visits:
                hint = _suggest(analysis.visit, self.data.visits)
                problems.append(f"analysis {analysis.id}: unknown visit {analysis.visit!r}{hint}")
            problems += [f"analysis {analysis.id}: {what}" for what in self._lacking(analysis)]
        known = [a.id for a in self.analyses]
        for member in self.multiplicity.analyses if self.multiplicity else []:
            if member not in known:
                problems.append(
                    f"multiplicity: unknown analysis {member!r}{_suggest(member, known)}"
                )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _lacking(self, analysis: Analysis) -> list[str]:
        """What the endpoint of an analysis needs and the plan does not state."""
        name, needs = analysis.endpoint, analysis.settings.required()
        lacking = {
            "visit": (analysis.visit is None, f"{name} needs a visit"),
            "parameters": (
                not analysis.parameters, f"{name} needs parameters, e.g. parameters: [ALT]"
            ),
            "no parameters": (
                bool(analysis.parameters), "criteria name their parameters; remove parameters"
            ),
            "estimand": (
                analysis.estimand is None, f"{name} needs an estimand: its intercurrent events "
                "say what is imputed"
            ),
            "imaging": (self.imaging is None, f"{name} needs an imaging section"),
        }  # fmt: skip
        return [message for need, (lacks, message) in lacking.items() if lacks and need in needs]

    def canonical(self) -> str:
        """Canonical JSON of the plan with its defaults filled in."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hash_text(self.canonical())


def read_plan(path: str | Path) -> Plan:
    """Read ``plan.yaml`` (or a study folder that holds one).

    Raises
    ------
    PlanError
        The file is missing, is not YAML, or has problems: all of them, each with its place.
    """
    path = Path(path)
    path = path / "plan.yaml" if path.is_dir() else path
    if not path.is_file():
        msg = f"plan: no file {path}; a study folder needs a plan.yaml"
        raise PlanError(msg)
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"plan: {path.name} is not valid YAML: {error}"
        raise PlanError(msg) from error
    if not isinstance(raw, dict):
        msg = f"plan: {path.name} must be a mapping with the keys {', '.join(Plan.model_fields)}"
        raise PlanError(msg)
    try:
        return Plan.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        msg = f"plan: {len(lines)} problem(s) in {path.name}:\n" + "\n".join(
            f"  - {x}" for x in lines
        )
        raise PlanError(msg) from error


class _OnceLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Safe YAML in which a key given twice is an error, not a silent last word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key, count in Counter(map(str, keys)).items():
            if count > 1:
                msg = f"key {key!r} is given twice (line {node.start_mark.line + 1} and below)"
                raise yaml.YAMLError(msg)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _explain(problem: Any) -> str:
    place = ".".join(str(step) for step in problem["loc"]) or "plan"
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        return f"{place}: unknown key {key!r}{_suggest(key, _siblings(problem['loc'][:-1], key))}"
    if problem["type"] == "missing":
        return f"{place}: required key is missing"
    return f"{place}: {str(problem['msg']).removeprefix('Value error, ')}"


def _siblings(steps: tuple[Any, ...], key: str) -> list[str]:
    """Keys that the model at a place of the plan knows."""
    model: type[BaseModel] = Plan
    for step in steps:
        if not isinstance(step, str) or step not in model.model_fields:
            continue
        inner = _models(model.model_fields[step].annotation)
        if not inner:
            break
        model = inner[0]
    names = list(model.model_fields)
    if model is Analysis:
        names += [name for options in OPTIONS.values() for name in options.model_fields]
    return names


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _suggest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return (
        f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(map(str, known))}"
    )
