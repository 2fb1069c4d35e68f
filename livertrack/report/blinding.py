"""The blinded profile: a run whose arms are letters, and whose comparisons are withheld.

Nothing on a blinded page names an arm or lets it be told: letters follow a hash of the inputs, not
the order of the plan; subjects are counted over all arms together; results that compare arms with
the reference are withheld, as is any other result in which the name of an arm occurs. What is
shown by arm, the course of signatures, is shown without counts.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from livertrack._files import canonical_json, hash_text
from livertrack._results import StoredResult
from livertrack.report._errors import ReportError
from livertrack.report.run import Run

PROFILES = ("unblinded", "blinded")
TOTAL = "Total"
#: endpoints over all arms together
_POOLED = {
    "vocabulary_card", "type_atlas", "type_correlation", "site_effects", "recovery",
    "vocabulary_recovery", "repeatability", "biopsy_prediction", "cross_validate",
    "permutation_importance", "prediction_interval", "confounder_audit", "icc", "bland_altman",
    "weighted_kappa",
}  # fmt: skip
#: counts by arm, of which the total is shown
_TOTALS = {"disposition", "baseline_table", "scan_quality", "registration_quality",
           "elastography_quality"}  # fmt: skip
#: shown by masked arm, without counts
_MASKED = {"signature_summary"}
_COUNTS = ("n", "n_missing", "sd", "std_error")
_DOSES = re.compile(
    r"\b\d+(?:\.\d+)?\s?(?:mg|µg|ug|g|mL|ml)(?:/kg)?\b|\b(?:placebo|vehicle|sham|dose)s?\b",
    flags=re.IGNORECASE,
)


@dataclass(frozen=True)
class BlindedRun(Run):
    """A run as a blinded reader may see it; ``withheld`` names the endpoints left out."""

    withheld: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def blinded(self) -> bool:
        """Whether arms are masked."""
        return True

    def adam(self, name: str) -> pd.DataFrame | None:
        """Read a dataset of the run, without the columns that name arms."""
        frame = super().adam(name)
        if frame is None:
            return None
        drop = [c for c in frame if c == self._arm or str(c).startswith(("TRT", "ARM", "ACTARM"))]
        return frame.drop(columns=drop)

    @property
    def _arm(self) -> str:
        return str(self.plan["data"].get("arm", "TRT01P"))


def masked_arms(arms: list[str], provenance: Mapping[str, Any]) -> dict[str, str]:
    """Letter of each arm: by a hash of the plan and of every input, which no page prints."""
    key = canonical_json([provenance.get("plan_hash"), provenance.get("inputs")])
    order = sorted(arms, key=lambda arm: hash_text(f"{key}|{arm}"))
    letters = string.ascii_uppercase
    if len(order) > len(letters):
        msg = f"a blinded report has letters for {len(letters)} arms, the plan has {len(order)}"
        raise ReportError(msg)
    return {arm: f"Arm {letters[place]}" for place, arm in enumerate(order)}


def with_profile(run: Run, profile: str) -> Run:
    """Give the run as readers of the profile may see it.

    Raises
    ------
    ReportError
        There is no such profile.
    """
    if profile not in PROFILES:
        msg = f"report: profile is {' or '.join(PROFILES)}, not {profile!r}"
        raise ReportError(msg)
    return blinded(run) if profile == "blinded" else run


def blinded(run: Run) -> BlindedRun:
    """Mask the arms of a run."""
    names = masked_arms(run.arms, run.provenance)
    scrub = _scrubber(names)
    shown: list[StoredResult] = []
    withheld: dict[str, None] = {}
    for result in run.results:
        kept = _masked(result, names)
        if kept is None:
            withheld[result.context] = None
        else:
            shown.append(kept)
    kept_ids = {result.analysis for result in shown}
    plan = dict(_scrubbed(run.plan, scrub))
    plan["data"] = {**plan["data"], "arms": sorted(names.values()), "reference": ""}
    plan["analyses"] = [
        _scrubbed(entry, scrub)
        for entry in run.plan.get("analyses") or []
        if entry["id"] in kept_ids
    ]
    plan["estimands"], plan["multiplicity"] = [], None
    return BlindedRun(
        out=run.out, plan=plan, results=tuple(shown), failed={},
        provenance=_scrubbed(run.provenance, scrub), withheld=tuple(withheld), names=names,
    )  # fmt: skip


def _masked(result: StoredResult, names: Mapping[str, str]) -> StoredResult | None:
    """What may be shown of a result; None where it is withheld."""
    if result.context in _TOTALS:
        return _total(result)
    if result.context in _MASKED:
        frames = {name: _by_letter(frame, names) for name, frame in result.frames.items()}
        return replace(result, frames=frames, text="", notes=(), settings=_plain(result.settings))
    if result.context in _POOLED and not _names_an_arm(result, names):
        return result
    return None


def _total(result: StoredResult) -> StoredResult:
    frames = {}
    for name, frame in result.frames.items():
        if "arm" in frame and frame["arm"].astype(str).eq(TOTAL).any():
            frames[name] = frame[frame["arm"].astype(str).eq(TOTAL)].reset_index(drop=True)
        elif "arm" not in frame:
            frames[name] = frame
    if "totals" in frames:
        frames["table"] = frames["totals"].assign(arm=TOTAL)
    sizes = result.settings.get("sizes")
    settings = {**_plain(result.settings), **({"sizes": {TOTAL: sizes[TOTAL]}} if sizes else {})}
    text = result.text if result.context.endswith("quality") else ""
    return replace(result, frames=frames, text=text, notes=(), settings=settings)


def _by_letter(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    if "arm" not in frame:
        return frame
    masked = frame.assign(arm=frame["arm"].astype(str).map(names))
    masked = masked.dropna(subset=["arm"]).drop(columns=[c for c in _COUNTS if c in frame])
    keys = [c for c in ("parameter", "region", "variable", "visit_number", "arm") if c in masked]
    return masked.sort_values(keys, kind="stable").reset_index(drop=True)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that say nothing of arms."""
    keep = ("method", "conf_level", "measures", "parameters", "visits", "present", "arm")
    return {key: settings[key] for key in keep if key in settings}


def _names_an_arm(result: StoredResult, names: Mapping[str, str]) -> bool:
    said = [result.text, *result.notes, canonical_json(_strings(result.settings))]
    for frame in result.frames.values():
        for column in frame.select_dtypes("object"):
            said += map(str, frame[column].unique())
        said += map(str, frame.columns)
    pattern = _pattern(names)
    return any(pattern.search(text) for text in said)


def _strings(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [t for key, inner in value.items() for t in (str(key), *_strings(inner))]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []


def _pattern(names: Mapping[str, str]) -> re.Pattern[str]:
    ordered = sorted(names, key=len, reverse=True)
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, ordered)) + r")(?!\w)")


def _scrubber(names: Mapping[str, str]) -> Callable[[str], str]:
    pattern = _pattern(names)

    def scrub(text: str) -> str:
        return _DOSES.sub("…", pattern.sub("…", text))

    return scrub


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _scrubbed(inner, scrub) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(inner, scrub) for inner in value]
    return scrub(value) if isinstance(value, str) else value
