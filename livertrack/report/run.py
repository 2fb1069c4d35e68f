"""Everything a report may know about a run: what lies in OUT, read back, nothing computed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError, safe_open

from livertrack._results import StoredResult, ard_result
from livertrack.dictionary import describe_parameter, load_schema
from livertrack.report._errors import ReportError
from livertrack.report.example import ExampleSlice, example_slices
from livertrack.report.where import ChangeSlice, TemplateCells, change_slice, template_cells


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    out : Path
        The folder.
    plan : mapping
        ``plan.json``: the plan with its defaults filled in.
    results : tuple of StoredResult
        One per analysis and variable, analyses in plan order.
    failed : mapping of str to str
        Analyses that could not be computed, with the reason.
    provenance : mapping
        ``provenance.json`` (or the finished manifest): hashes, seed, versions.
    """

    out: Path
    plan: Mapping[str, Any]
    results: tuple[StoredResult, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    _shown: set[int] = field(default_factory=set, repr=False)

    def take(self, *contexts: str) -> list[StoredResult]:
        """Results of these endpoints, in plan order, for the section that shows them.

        What no section takes is left to `left`.
        """
        found = self.find(*contexts)
        self._shown.update(map(id, found))
        return found

    def take_first(self, *contexts: str) -> StoredResult | None:
        """First result of these endpoints, if there is one, for the section that shows it."""
        found = self.find(*contexts)[:1]
        self._shown.update(map(id, found))
        return next(iter(found), None)

    def left(self) -> list[StoredResult]:
        """Results that no section has taken."""
        return [result for result in self.results if id(result) not in self._shown]

    def by_analysis(self, *contexts: str) -> dict[str, list[StoredResult]]:
        """Take results of these endpoints, grouped by analysis."""
        groups: dict[str, list[StoredResult]] = {}
        for result in self.take(*contexts):
            groups.setdefault(result.analysis, []).append(result)
        return groups

    def title(self, name: str, otherwise: str = "") -> str:
        """Title of an analysis in the plan."""
        return str(self.analysis(name).get("title") or otherwise)

    def find(self, *contexts: str) -> list[StoredResult]:
        """Results of these endpoints, in plan order."""
        return [result for result in self.results if result.context in contexts]

    def first(self, *contexts: str) -> StoredResult | None:
        """First result of these endpoints, if there is one."""
        return next(iter(self.find(*contexts)), None)

    def analysis(self, name: str) -> Mapping[str, Any]:
        """Get the plan's entry of an analysis; empty for the descriptive ones."""
        listed = self.plan.get("analyses") or []
        return next((entry for entry in listed if entry["id"] == name), {})

    def adam(self, name: str) -> pd.DataFrame | None:
        """Read a dataset of the run (``admri``, ``adpath``, ...); None where absent."""
        path = self.out / "adam" / f"{name}.parquet"
        return pd.read_parquet(path) if path.is_file() else None

    @property
    def maps(self) -> tuple[Path, ...]:
        """The label maps, by name."""
        return tuple(sorted((self.out / "maps").glob("*_dseg.nii.gz")))

    @cached_property
    def vocabulary_card(self) -> dict[str, Any] | None:
        """Arrays of ``vocabulary.safetensors`` and its settings (key ``settings``); or None."""
        path = self.out / "vocabulary.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as stream:
                card: dict[str, Any] = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
                metadata = stream.metadata() or {}
        except (SafetensorError, OSError) as error:
            msg = f"report: {path.name} cannot be read: {error}"
            raise ReportError(msg) from error
        header = json.loads(next(iter(metadata.values()), "{}"))
        card["settings"] = header.get("settings", header)
        return card

    @cached_property
    def example(self) -> list[ExampleSlice]:
        """Slices of one liver at the visits."""
        return example_slices(self.out, self.visits)

    @cached_property
    def template(self) -> TemplateCells | None:
        """Cells of the template liver of the atlas."""
        return template_cells(self.out)

    @cached_property
    def change(self) -> ChangeSlice | None:
        """Slice of one liver at baseline and at its last visit, carried back."""
        return change_slice(self.out, self.visits)

    @property
    def arms(self) -> list[str]:
        """Arms in the order of the plan."""
        return list(self.plan["data"]["arms"])

    @property
    def visits(self) -> list[str]:
        """Visits in the order of the plan."""
        return list(self.plan["data"]["visits"])

    @property
    def blinded(self) -> bool:
        """Whether arms are masked (see `livertrack.report.blinding`)."""
        return False

    @property
    def sizes(self) -> dict[str, int]:
        """Subjects of the analysed population by arm, as the baseline table counts them."""
        baseline = self.first("baseline_table")
        held = baseline.settings.get("sizes", {}) if baseline is not None else {}
        return {arm: int(held[arm]) for arm in [*self.arms, "Total"] if arm in held}

    @property
    def reference(self) -> str:
        """The arm that others are compared with."""
        return str(self.plan["data"]["reference"])

    @property
    def simulated(self) -> bool:
        """Whether the plan says that the data are simulated."""
        return bool(self.plan["study"].get("simulated", False))

    @property
    def has_imaging(self) -> bool:
        """Whether the run made tissue types."""
        return self.plan.get("imaging") is not None and self.adam("admri") is not None

    def label(self, parameter: str) -> str:
        """Name a measure, with its unit where the run states it."""
        if " v " in parameter:
            return " v ".join(map(self.label, parameter.split(" v ")))
        stated = self.provenance.get("parameters", {})
        named = (self.plan["data"].get("labels") or {}).get(parameter)
        if named is None and parameter.startswith("TV") and parameter[2:].isdigit():
            return f"Tissue type {int(parameter[2:])}"
        if named or parameter in stated:
            return _readable(str(named or stated[parameter]))
        known = describe_parameter(parameter)
        return known.title if known is not None else parameter

    @property
    def stated_labels(self) -> dict[str, str]:
        """Measures that the run itself names, by PARAMCD."""
        stated = self.provenance.get("parameters", {})
        return {str(code): self.label(str(code)) for code in stated}

    @property
    def subject_labels(self) -> dict[str, str]:
        """Columns of adsl as the data dictionary calls them."""
        return {field.name: field.title for field in load_schema("adsl").fields if field.title}

    @property
    def type_labels(self) -> dict[str, str]:
        """Tissue types by PARAMCD."""
        records = self.adam("admri")
        names = sorted(records["PARAMCD"].unique()) if records is not None else []
        return {name: self.label(name) for name in names}

    def readable(self, text: str) -> str:
        """Write columns of adsl and tissue types by their names where a text has their codes."""
        codes, names = self._codes
        return codes.sub(lambda hit: names[hit[0]], text)

    @cached_property
    def _codes(self) -> tuple[re.Pattern[str], dict[str, str]]:
        """Codes as they stand in texts, and their names."""
        names = {**self.subject_labels, **(self.type_labels if self.plan else {})}
        codes = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
        return re.compile(rf"(?<![\w`])(?:{codes})(?![\w`])"), names

    def labels(self, results: Sequence[StoredResult]) -> dict[str, str]:
        """Name the measures of some results."""
        return {result.variable: self.label(result.variable) for result in results}

    def all_labels(self) -> dict[str, str]:
        """Name every measure of the run, and the columns of adsl."""
        own = {**self.labels(self.results), **self.type_labels}
        return {**self.subject_labels, **self.stated_labels, **own}

    def outcome(self, result: StoredResult) -> str:
        """Name what a prediction is about, with the threshold that makes it binary."""
        options = self.analysis(result.analysis).get("options") or {}
        rule, later = options.get("threshold"), options.get("outcome_visit")
        name = self.label(result.variable) + (f" at {later}" if later else "")
        return f"{name} ≥ {rule:g}" if rule is not None else name

    def time_label(self, parameter: str) -> str:
        """Label of a time axis: the unit where the name of the event states it."""
        match = re.search(r"\(([^()]*)\)\s*$", self.label(parameter))
        if match is None:
            return "Time"
        return f"Time ({_PLURAL.get(match[1], match[1])})"


_PLURAL = {"day": "days", "week": "weeks", "month": "months", "year": "years"}


def _readable(label: str) -> str:
    """Drop units that only say what the name says already; print powers as powers."""
    label = re.sub(r"\s*\((stage|score|grade|yes \(1\) or no \(0\))\)$", "", label)
    return label.replace("10^9", "10⁹").replace("10^3", "10³")


def load_run(out: str | Path) -> Run:
    """Read a run folder.

    Parameters
    ----------
    out : path
        Folder that `livertrack run` wrote.

    Returns
    -------
    Run

    Raises
    ------
    ReportError
        The folder holds no run: there is no ``plan.json``.
    """
    out = Path(out)
    if not (out / "plan.json").is_file():
        msg = f"report: {out} holds no run (no plan.json); make one with `livertrack run`"
        raise ReportError(msg)
    plan = _json(out / "plan.json")
    facts = next(
        (out / n for n in ("provenance.json", "manifest.json") if (out / n).is_file()), None
    )
    results, failed = _results(out / "ard", plan)
    return Run(
        out=out,
        plan=plan,
        results=results,
        failed=failed,
        provenance=_json(facts) if facts is not None else {},
    )


def _results(
    folder: Path, plan: Mapping[str, Any]
) -> tuple[tuple[StoredResult, ...], dict[str, str]]:
    order = {entry["id"]: place for place, entry in enumerate(plan.get("analyses") or [])}
    results: list[StoredResult] = []
    failed: dict[str, str] = {}
    for file in sorted(folder.glob("*.parquet")):
        ard = pd.read_parquet(file)
        for _, part in ard.groupby(["analysis", "variable"], sort=False):
            errors = part[part["frame"] == "error"]
            if errors.empty:
                results.append(ard_result(part))
            else:
                failed[str(part["analysis"].iloc[0])] = str(errors["stat_chr"].iloc[0])
    results.sort(key=lambda result: order.get(result.analysis, -1))
    return tuple(results), failed


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"report: {path.name} cannot be read: {error}"
        raise ReportError(msg) from error
    if not isinstance(value, dict):
        msg = f"report: {path.name} is not a JSON object"
        raise ReportError(msg)
    return value
