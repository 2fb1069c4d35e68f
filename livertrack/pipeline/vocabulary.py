"""Vocabularies outside a run: fit one, describe one, label scans with one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from livertrack._files import write_parquet
from livertrack._seeds import spawn
from livertrack.errors import DataError, PlanError, UsageError
from livertrack.study import Study, read_study

if TYPE_CHECKING:
    from livertrack.imaging import SignatureResult, Vocabulary
    from livertrack.imaging.quality import Limits
    from livertrack.imaging.regions import Regions
    from livertrack.plan_imaging import ImagingSettings


def vocabulary_seed(study: Study) -> int:
    """Seed of the vocabulary: a stream of its own from the plan's seed."""
    return int(spawn(study.plan.seed, "vocabulary").generate_state(1)[0])


def study_images(study: Study, *, repeats: bool = False) -> pd.DataFrame:
    """Rows of images.csv of the plan's sequences and visits, with their ``repeats`` if asked for.

    Raises
    ------
    PlanError
        The plan has no imaging section.
    DataError
        The study has no images of a planned sequence.
    """
    settings = study.plan.imaging
    if settings is None:
        msg = "the plan has no imaging section"
        raise PlanError(msg)
    if study.images is None:
        msg = "the plan has an imaging section, but the study has no images.csv"
        raise DataError(msg)
    images = study.images[study.images["SEQUENCE"].isin(settings.sequences)]
    if not repeats:
        images = images[images["AVISIT"].isin(study.plan.data.visits)]
    missing = sorted(set(settings.sequences) - set(images["SEQUENCE"]))
    if missing:
        msg = f"images: no row with SEQUENCE {', '.join(missing)}, which the plan asks for"
        raise DataError(msg)
    return images


def fit_study_vocabulary(
    study: Study | str | Path,
    *,
    images: pd.DataFrame | None = None,
    method: str | None = None,
    progress: bool = False,
) -> Vocabulary:
    """Learn the vocabulary that the plan of a study asks for."""
    from livertrack.imaging import fit_vocabulary

    study = study if isinstance(study, Study) else read_study(study)
    rows = study_images(study) if images is None else images
    settings = study.plan.imaging
    if settings is None:
        msg = "the plan has no imaging section"
        raise PlanError(msg)
    return fit_vocabulary(
        rows, n_types=settings.n_types, type_range=settings.type_range,
        seed=vocabulary_seed(study),
        method=method or settings.method,  # type: ignore[arg-type]
        steps=settings.steps, sequences=settings.sequences, liver_label=settings.liver_label,
        reference_label=settings.reference_label, spacing_mm=settings.spacing_mm,
        standardise=settings.standardise, bias_field=settings.bias_field,
        align_channels=settings.align_channels, quantitative=settings.quantitative,
        progress=progress,
    )  # fmt: skip


def describe_vocabulary(path: str | Path) -> pd.DataFrame:
    """One row per tissue type of a vocabulary file: share, channel means, nearest type."""
    from livertrack.imaging import Vocabulary

    table: pd.DataFrame = Vocabulary.load(path).table
    return table


def describe_hierarchy(path: str | Path) -> pd.DataFrame:
    """One row per level of a vocabulary file: which types merge, and how far apart they are."""
    from livertrack.imaging import Vocabulary

    table: pd.DataFrame = Vocabulary.load(path).hierarchy
    return table


def label_study(
    path: str | Path, *, vocabulary: str | Path | None = None, out: str | Path
) -> list[Path]:
    """Label every scan of a study; with no frozen ``vocabulary`` one is fitted first."""
    from livertrack.imaging import Vocabulary

    study, out = read_study(path), Path(out)
    if vocabulary is None:
        words = fit_study_vocabulary(study, progress=True)
        words.save(out / "vocabulary.safetensors")
    else:
        words = Vocabulary.load(vocabulary)
    return _written(out, study_signatures(study, words, out))


def plan_regions(settings: ImagingSettings) -> Regions:
    """Regions that the plan asks for."""
    from livertrack.imaging.regions import Regions

    parts = settings.parts
    return Regions(parts.shells, parts.sectors, tuple(parts.vessel_distance_mm))


def plan_limits(settings: ImagingSettings) -> Limits:
    """Limits of quality that the plan states."""
    from livertrack.imaging.quality import Limits

    return Limits(**settings.limits.model_dump())


def study_signatures(study: Study, vocabulary: Vocabulary, out: Path) -> SignatureResult:
    """Label maps and signature records of a study's scans, as its plan says."""
    from livertrack.imaging import signatures

    settings = study.plan.imaging
    if settings is None:
        msg = "the plan has no imaging section"
        raise PlanError(msg)
    return signatures(
        study_images(study, repeats=True), vocabulary, out=out, regions=plan_regions(settings),
        limits=plan_limits(settings),
        baseline=study.plan.data.baseline, liver_label=settings.liver_label,
        reference_label=settings.reference_label, vessel_label=settings.vessel_label,
        on_error=settings.on_error, unknown=settings.unknown,
        probabilities=settings.counts_probabilities, min_voxels=settings.min_voxels,
        progress=True,
    )  # fmt: skip


def label_scan(
    images: Sequence[Path] | None, mask: Path | None, *, out: str | Path,
    vocabulary: str | Path | None = None, n_types: int = 6, seed: int = 1,
    liver_label: int | None = None, reference_label: int | None = None,
) -> list[Path]:  # fmt: skip
    """Label one scan given as files, and draw its map on its anatomy.

    Without a frozen ``vocabulary`` one of ``n_types`` is fitted to this scan alone: a look at its
    tissue, not a measure to compare with other scans.
    """
    from livertrack.imaging import Vocabulary, fit_vocabulary, image_pairs, signatures

    if not images or mask is None:
        msg = "give a study folder, or --image (one file per sequence) and --mask"
        raise UsageError(msg)
    out = Path(out)
    frame = image_pairs([(image, mask) for image in images])
    frame["SEQUENCE"] = [f"CHANNEL{number}" for number in range(1, len(images) + 1)]
    frame["USUBJID"] = mask.name.split(".")[0]
    if vocabulary is None:
        words = fit_vocabulary(
            frame, n_types=n_types, seed=seed, liver_label=liver_label,
            reference_label=reference_label, progress=True,
        )  # fmt: skip
        words.save(out / "vocabulary.safetensors")
    else:
        words = Vocabulary.load(vocabulary)
    result = signatures(
        frame, words, out=out, liver_label=liver_label, reference_label=reference_label,
        on_error="stop",
    )  # fmt: skip
    picture = out / "figures" / "label-map.png"
    _draw(images[0], out / "maps" / result.scans["MAP"].iloc[0], words.n_types, picture)
    return [*_written(out, result), picture]


def _written(out: Path, result: SignatureResult) -> list[Path]:
    records, scans = out / "adam" / "admri.parquet", out / "adam" / "adscan.parquet"
    write_parquet(records, result.records)
    write_parquet(scans, result.scans)
    maps = [out / "maps" / name for name in result.scans["MAP"] if name]
    return [*maps, records, scans]


def _draw(image: Path, labels: Path, n_types: int, picture: Path) -> None:
    """Draw the axial slice with most liver: anatomy beside tissue types."""
    import nibabel as nib

    from livertrack.figures import label_map
    from livertrack.imaging.reading import read_onto

    types: Any = nib.load(labels)
    anatomy: Any = nib.Nifti1Image(read_onto(image, labels), types.affine)
    types, anatomy = nib.as_closest_canonical(types), nib.as_closest_canonical(anatomy)
    values = np.asarray(types.dataobj)
    place = int((values > 0).sum(axis=(0, 1)).argmax())
    # radiological convention: the subject's right on the left of the picture
    shown = values[::-1, :, place]
    grey = np.asarray(anatomy.dataobj, dtype=float)[::-1, :, place]
    axes = label_map(shown, anatomy=grey, spacing=types.header.get_zooms()[:2], n_types=n_types)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure: Any = axes.figure
    figure.savefig(picture, dpi=200)
