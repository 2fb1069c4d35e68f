"""All that is wrong with a study, tables and scans together, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from livertrack.findings import Finding
from livertrack.pipeline.vocabulary import plan_limits
from livertrack.study import Study, study_findings


def check_study(path: str | Path) -> list[Finding]:
    """Findings in the tables and in the scans of a study folder, errors first.

    Scans that cannot be read are errors where the plan says ``on_error: stop`` and warnings where
    it says ``exclude``: then they are left out and counted. No finding names a subject; ``rows``
    are line numbers of the file.

    Raises
    ------
    PlanError
        ``plan.yaml`` is missing or malformed: nothing can be checked without it.
    """
    study, findings = study_findings(path)
    if study is not None:
        findings = [*findings, *image_findings(study)]
    return sorted(findings, key=lambda finding: (finding.severity != "error", finding))


def image_findings(study: Study) -> list[Finding]:
    """Findings in the scans that ``images.csv`` lists."""
    settings = study.plan.imaging
    if settings is None or study.images is None:
        return []
    from livertrack.imaging import inspect_images

    found = inspect_images(
        study.images,
        liver_label=settings.liver_label,
        reference_label=settings.reference_label,
        vessel_label=settings.vessel_label,
        sequences=settings.sequences,
        quantitative={*settings.quantitative, *settings.measures},
        limits=plan_limits(settings),
    )
    if settings.on_error == "exclude":
        found = [replace(finding, severity="warning") for finding in found]
    return [*found, *_measure_findings(study, settings.measures)]


def _measure_findings(study: Study, measures: Sequence[str]) -> list[Finding]:
    """Find measures of maps that the study has no images for, or has records of already."""
    images = study.images
    have = set() if images is None else {*images["SEQUENCE"], "LVOL"}
    found = []
    for name in measures:
        if name not in have:
            cure = "add the images, or remove it from imaging.measures"
            problem = f"no image of the measure {name}"
            found.append(Finding("images", "SEQUENCE", problem, 1, cure))
        own = int(study.records["PARAMCD"].eq(name).sum())
        if own:
            cure = "remove it from imaging.measures, or the records from their dataset"
            problem = f"the study has records of {name}, which the plan asks to measure"
            found.append(Finding("plan", "imaging.measures", problem, own, cure))
    return found
