"""All that is wrong with a study, tables and scans together, before anything is computed."""

from __future__ import annotations

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
    return list(found)
