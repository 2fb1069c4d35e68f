"""Replication: a second cohort, imaged and tested with everything frozen from a first run."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from livertrack._files import hash_file
from livertrack._results import StoredResult, ard_result
from livertrack._seeds import spawn
from livertrack.endpoints.replication import (
    FrozenPathways,
    Replication,
    freeze_pathways,
    replicate_pathways,
)
from livertrack.errors import DataError, PlanError, UsageError
from livertrack.pipeline.manifest import read_manifest
from livertrack.plan_imaging import ImagingSettings
from livertrack.study import Study

VOCABULARY, PATHWAYS, SEVERITY = (
    "vocabulary.safetensors", "ard/change_pathways.parquet", "ard/type_severity.parquet",
)  # fmt: skip
#: datasets of a run that name the subjects it used
_SUBJECTS = ("adam/adscan.parquet", "adam/admri.parquet", "adam/adpath.parquet")
#: how the images of the second cohort are delineated and found is its own affair
_OWN = ("liver_label", "reference_label", "vessel_label", "truth", "bids", "on_error", "limits")


@dataclass(frozen=True)
class FirstCohort:
    """What a finished run decided, and what it used.

    Attributes
    ----------
    out : Path
        Run folder of the first cohort.
    settings : ImagingSettings
        Its imaging settings.
    frozen : mapping of analysis id to FrozenPathways
    inputs : mapping of file to SHA-256
        Everything the first run read.
    subjects : frozenset of str
        Subjects whose scans it used.
    hashes : mapping of file to SHA-256
        The files that hold what is frozen.
    arms : mapping
        Arm of the first cohort -> arm of the second, where the names differ.
    """

    out: Path
    settings: ImagingSettings
    frozen: Mapping[str, FrozenPathways]
    inputs: Mapping[str, str]
    subjects: frozenset[str]
    hashes: Mapping[str, str]
    arms: Mapping[str, str] = field(default_factory=dict)
    choice: tuple[Literal["significant", "top"], int] = ("significant", 5)

    @classmethod
    def read(
        cls, out: str | Path, *, choose: Literal["significant", "top"] = "significant",
        top: int = 5, arms: Mapping[str, str] | None = None,
    ) -> FirstCohort:  # fmt: skip
        """Read a finished run whose files are as it left them."""
        out = Path(out)
        manifest = read_manifest(out)
        needed = [VOCABULARY, PATHWAYS, "plan.json", *_SUBJECTS]
        absent = [name for name in needed if name not in manifest["outputs"]]
        if absent:
            msg = (
                f"{out.name}: the run has no {', '.join(absent)}; a first cohort needs images and "
                "an analysis change_pathways"
            )
            raise UsageError(msg)
        names = [*needed, SEVERITY] if SEVERITY in manifest["outputs"] else needed
        altered = [
            name for name in names
            if not (out / name).is_file() or hash_file(out / name) != manifest["outputs"][name]
        ]  # fmt: skip
        if altered:
            msg = f"{out.name}: altered or lost since the run: {', '.join(altered)}; run it again"
            raise DataError(msg)
        plan = json.loads((out / "plan.json").read_text(encoding="utf-8"))
        severity = _results(out / SEVERITY) if SEVERITY in names else {}
        frozen = {
            name: freeze_pathways(
                result, choose=choose, top=top, severity=next(iter(severity.values()), None)
            )
            for name, result in _results(out / PATHWAYS).items()
        }
        if not frozen:
            msg = f"{out.name}: no analysis change_pathways could be computed; nothing is frozen"
            raise DataError(msg)
        subjects = pd.concat(
            [pd.read_parquet(out / name, columns=["USUBJID"])["USUBJID"] for name in _SUBJECTS]
        )
        return cls(
            out=out, settings=ImagingSettings.model_validate(plan["imaging"]), frozen=frozen,
            inputs=manifest["inputs"], subjects=frozenset(subjects.astype(str)),
            hashes={name: manifest["outputs"][name] for name in names}, arms=dict(arms or {}),
            choice=(choose, top),
        )  # fmt: skip

    def require_new_subjects(self, study: Study) -> None:
        """Refuse a cohort with subjects of the first one."""
        shared = len(self.subjects & set(study.adsl["USUBJID"].astype(str)))
        if shared:
            msg = (
                f"adsl: {shared} subject(s) of the second cohort were used in the first (same "
                "USUBJID); a replication needs other subjects"
            )
            raise DataError(msg)

    def require_new_files(self, inputs: Mapping[str, str]) -> None:
        """Refuse a cohort with an image or a table of the first one, whatever its name."""
        used = set(self.inputs.values())
        same = [name for name, digest in inputs.items() if digest in used and name != "plan.yaml"]
        tables = [name for name in same if name.startswith("adam/")]
        images = len(same) - len(tables)
        if same:
            msg = (
                f"inputs: {images} image file(s) and {len(tables)} table(s) of the second cohort "
                "have the content of files of the first; a replication needs new data"
            )
            raise DataError(msg)

    def applied(self, study: Study) -> Study:
        """Study whose scans are treated as those of the first cohort were."""
        own = study.plan.imaging
        if own is None:
            msg = "the plan of the second cohort has no imaging section"
            raise PlanError(msg)
        settings = self.settings.model_copy(update={name: getattr(own, name) for name in _OWN})
        return replace(study, plan=study.plan.model_copy(update={"imaging": settings}))

    def described(
        self, study: Study, adpath: pd.DataFrame | None
    ) -> Iterator[tuple[str, Any, Callable[[], pd.DataFrame]]]:
        """Name, what it uses, and maker of the analysis results data."""
        uses = {"frozen": dict(self.hashes), "arms": dict(self.arms), "choice": [*self.choice]}
        yield "replicate", uses, partial(self._replicated, study, adpath)

    def _replicated(self, study: Study, adpath: pd.DataFrame | None) -> pd.DataFrame:
        data = study.plan.data
        if adpath is None or adpath.empty:
            msg = (
                "adpath: no pathway records; no subject of the second cohort has two usable scans"
            )
            raise DataError(msg)
        parts = []
        for name, frozen in self.frozen.items():
            seed = int(spawn(study.plan.seed, "replicate", name).generate_state(1)[0])
            result = replicate_pathways(
                adpath, frozen, arm=data.arm, reference=data.reference,
                subjects=study.analysed(), strata=data.strata or None, arms=self.arms,
                conf_level=study.plan.conf_level, seed=seed,
            )  # fmt: skip
            parts.append(result.to_ard(analysis="replicate", variable=name))
        return pd.concat(parts, ignore_index=True)

    def facts(self, out: Path) -> dict[str, Any]:
        """Entry of the second run's manifest."""
        place = Path(os.path.relpath(self.out.resolve(), out.resolve())).as_posix()
        return {
            "run": place, "files": dict(self.hashes), "arms": dict(self.arms),
            "choose": self.choice[0], "top": self.choice[1],
        }  # fmt: skip

    @classmethod
    def of_manifest(cls, out: Path, facts: Mapping[str, Any]) -> FirstCohort:
        """First cohort that the manifest of the run ``out`` names (inverse of `facts`)."""
        return cls.read(
            out / facts["run"], choose=facts["choose"], top=facts["top"], arms=facts["arms"]
        )


def replicate(
    study: str | Path,
    *,
    frozen: str | Path,
    out: str | Path | None = None,
    choose: Literal["significant", "top"] = "significant",
    top: int = 5,
    arms: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("html",),
    workers: int | None = -1,
    progress: bool = False,
) -> dict[str, Replication]:
    """Test on a second cohort what the run of a first one found, with everything frozen.

    Parameters
    ----------
    study : path
        Study folder of the second cohort.
    frozen : path
        Run folder of the first cohort (finished, with its manifest).
    out : path, optional
        Run folder of the second cohort, with its report; a temporary one by default.
    choose, top
        Which flows of the first cohort are chosen (`freeze_pathways`).
    arms : mapping, optional
        Arm of the first cohort -> arm of the second, where the names differ.
    formats, workers, progress
        As in `run_study`; no report without ``out``.

    Returns
    -------
    dict of analysis id to Replication
        One per analysis ``change_pathways`` of the first plan.

    Raises
    ------
    DataError
        A subject, an image or a table of the second cohort was used in the first; the first run
        was altered since; an arm or a visit of a chosen flow is missing.

    Notes
    -----
    Frozen: vocabulary, imaging settings, chosen flows, directions, covariates, merging, levels.
    The second study's own plan is run too; its imaging settings other than the labels of the masks
    and the truth are those of the first cohort. Denominators: see `replicate_pathways`.
    """
    from livertrack.pipeline.run import run_study

    first = FirstCohort.read(frozen, choose=choose, top=top, arms=arms)
    with ExitStack() as stack:
        if out is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="livertrack-")))
            place, pages = folder / "run", tuple[str, ...]()
        else:
            place, pages = Path(out), tuple(formats)
        summary = run_study(
            study, out=place, frozen=first, formats=pages, workers=workers, progress=progress
        )
        if "replicate" in summary.failed:
            raise DataError(summary.failed["replicate"])
        stored = _results(place / "ard" / "replicate.parquet", by="variable")
    return {name: _result(part) for name, part in stored.items()}


def _results(path: Path, by: str = "analysis") -> dict[str, StoredResult]:
    """Results of an ARD file by analysis; those that could not be computed are left out."""
    ard = pd.read_parquet(path)
    ard = ard[ard["frame"].ne("error")]
    return {str(name): ard_result(part) for name, part in ard.groupby(by, sort=False)}


def _result(stored: StoredResult) -> Replication:
    frames = {name: stored.frames.get(name, pd.DataFrame()) for name in ("overall", "severity")}
    return Replication(
        table=stored.frames.get("table", pd.DataFrame()), text=stored.text,
        settings=stored.settings, notes=stored.notes, **frames,
    )  # fmt: skip
