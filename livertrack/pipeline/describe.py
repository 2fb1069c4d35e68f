"""What every report describes before it infers: subjects, baseline, scans, signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

import livertrack as lt
from livertrack._results import Result
from livertrack._seeds import spawn
from livertrack.dictionary import load_schema
from livertrack.errors import DataError
from livertrack.pipeline.describe_imaging import (
    describe_imaging,
    describe_scanners,
    describe_types,
)
from livertrack.pipeline.imaging import Imaging
from livertrack.study import Study

Described = tuple[str, Callable[[], Result]]

#: columns of adsl that are bookkeeping, not baseline characteristics
_BOOKKEEPING = {
    "STUDYID", "USUBJID", "SUBJID", "SITEID", "TRT01P", "TRT01PN", "TRT01A", "TRT01AN", "EOSSTT",
    "DCSREAS",
}  # fmt: skip


def describe(study: Study, imaging: Imaging, out: Path | None = None) -> Iterator[Described]:
    """Name and maker of each descriptive result that the study has data for.

    ``out`` is the run folder, for what imaging left there beside its records.
    """
    data = study.plan.data
    scans = scans_by_arm(study, imaging)
    planned = study.records[study.records["AVISIT"].isin(data.visits)]
    own = planned[planned["DATASET"].ne("admri") & ~planned["PARAMCD"].str.startswith("MREQC")]
    images = study.images
    if images is not None:
        images = images[images["AVISIT"].isin(data.visits)]
    yield "disposition", lambda: lt.disposition(
        study.adsl, arm=data.arm, population=data.population, scans=scans, records=own,
        images=images, visits=data.visits,
    )  # fmt: skip
    yield "baseline_table", lambda: lt.baseline_table(
        study.analysed(), columns=_characteristics(study), arm=data.arm, records=own,
        baseline=data.baseline, categorical=_scores(study), labels=_labels(study),
    )  # fmt: skip
    if scans is not None:
        yield "scan_quality", lambda: lt.scan_quality(scans, arm=data.arm)
        yield from describe_scanners(study, scans, planned)
    judged = planned[planned["PARAMCD"].isin(["MREQC", "MREQCP"])]
    if judged["PARAMCD"].eq("MREQC").any():
        yield "elastography_quality", lambda: lt.elastography_quality(judged, arm=data.arm)
    if imaging.admri is not None:
        population = study.analysed()["USUBJID"]
        signatures = planned[planned["DATASET"].eq("admri") & planned["USUBJID"].isin(population)]
        yield (
            "signature_summary",
            lambda: lt.signature_summary(
                signatures, arm=data.arm, conf_level=study.plan.conf_level
            ),
        )
        yield from describe_types(study, imaging, signatures, own)
    if out is not None:
        yield from describe_imaging(study, out)
    if imaging.adatlas is not None and len(imaging.adatlas):
        yield "change_atlas", lambda: _atlas(study, imaging)
    if imaging.recovery is not None:
        yield "recovery", lambda: lt.vocabulary_recovery(imaging.recovery)
        yield "planted_pathways", lambda: _planted(study, imaging)


def _atlas(study: Study, imaging: Imaging) -> Result:
    """Where in the liver tissue changed by the last visit that the atlas has."""
    data, records = study.plan.data, imaging.adatlas
    if records is None:
        msg = "adatlas: no atlas records"
        raise DataError(msg)
    seen = set(records["AVISIT"])
    result: Result = lt.change_atlas(
        records, arm=data.arm, reference=data.reference,
        visit=[visit for visit in data.visits if visit in seen][-1],
        subjects=study.analysed(), strata=data.strata or None,
        conf_level=study.plan.conf_level,
        seed=int(spawn(study.plan.seed, "change_atlas").generate_state(1)[0]),
    )  # fmt: skip
    return result


def _planted(study: Study, imaging: Imaging) -> Result:
    """Planted flows beside those found; for studies that name their simulated truth."""
    data, settings = study.plan.data, study.plan.imaging
    if settings is None or imaging.adpath is None or imaging.matches is None:
        msg = "planted pathways need imaging with pathways and a known truth"
        raise DataError(msg)
    folder = study.path / str(settings.truth)
    truth = pd.read_csv(folder / "pathways.csv", dtype={"USUBJID": str})
    types = pd.read_csv(folder / "types.csv")
    result: Result = lt.planted_pathways(
        imaging.adpath, truth, arm=data.arm, reference=data.reference, visit=data.visits[-1],
        matches=dict(zip(imaging.matches["type"], imaging.matches["true_type"], strict=True)),
        names=dict(zip(types["TYPE"], types["NAME"], strict=True)),
    )  # fmt: skip
    return result


def scans_by_arm(study: Study, imaging: Imaging) -> pd.DataFrame | None:
    """Scan records with the arm; scans of subjects that adsl does not have are left out."""
    if imaging.adscan is None:
        return None
    data = study.plan.data
    keep = [c for c in imaging.adscan.columns if c not in (data.arm, "SITEID")]
    subjects = study.adsl[["USUBJID", data.arm, *(["SITEID"] if "SITEID" in study.adsl else [])]]
    scans = imaging.adscan[keep].merge(subjects, on="USUBJID", how="inner")
    scans["AVISIT"] = pd.Categorical(scans["AVISIT"].astype(object), data.visits, ordered=True)
    return scans.dropna(subset=["AVISIT"])


def _labels(study: Study) -> dict[str, str]:
    """Titles of the columns of adsl: those of the plan, else of the data dictionary."""
    known = {field.name: field.title for field in load_schema("adsl").fields if field.title}
    return {**known, **study.plan.data.labels}


def _characteristics(study: Study) -> list[str]:
    """Columns of adsl that describe subjects: no bookkeeping, dates or other flags, no copy."""
    strata, codes = study.plan.data.strata, set(study.records["PARAMCD"])
    return [
        column
        for column in study.adsl.columns
        if column in strata
        or not (
            column in _BOOKKEEPING
            or column.endswith(("FL", "DT", "DTM", "DY"))
            or _copies_a_parameter(column, codes)
        )
    ]


def _copies_a_parameter(column: str, codes: set[str]) -> bool:
    """Whether ``column`` is the baseline of a PARAMCD (ALTBL of ALT), described anyway."""
    return column.endswith("BL") and any(code.startswith(column[:-2]) for code in codes)


def _scores(study: Study) -> list[str]:
    """Biopsy scores: they are counted, not averaged."""
    at = study.records[study.records["DATASET"].eq("adbx")]
    return sorted(at["PARAMCD"].unique())
