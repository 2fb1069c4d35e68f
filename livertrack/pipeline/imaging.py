"""The imaging part of a run: vocabulary, label maps, signatures, pathways, truth."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from livertrack._files import hash_file, hash_text, whole_file, write_parquet
from livertrack.errors import DataError, PlanError
from livertrack.imaging.label_files import soft_name
from livertrack.pipeline.ledger import Ledger
from livertrack.pipeline.progress import Progress
from livertrack.pipeline.vocabulary import (
    fit_study_vocabulary,
    plan_regions,
    study_images,
    study_signatures,
    vocabulary_seed,
)
from livertrack.plan_imaging import ImagingSettings
from livertrack.study import Study

if TYPE_CHECKING:
    from livertrack.imaging import Vocabulary

#: scans on which the vocabulary is compared with the truth, spread over the trial
RECOVERY_SCANS = 12


@dataclass(frozen=True)
class Imaging:
    """Datasets that imaging hands over; all empty for a study without images."""

    admri: pd.DataFrame | None = None
    admap: pd.DataFrame | None = None
    adpath: pd.DataFrame | None = None
    adseq: pd.DataFrame | None = None
    adatlas: pd.DataFrame | None = None
    adnoise: pd.DataFrame | None = None
    adscan: pd.DataFrame | None = None
    recovery: pd.DataFrame | None = None
    matches: pd.DataFrame | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    def extend(self, study: Study) -> Study:
        """Study whose records include the signatures and the measures of maps."""
        for name, frame in (("admri", self.admri), ("admap", self.admap)):
            study = study if frame is None else study.with_records(frame, dataset=name)
        return study


def run_imaging(
    study: Study, out: Path, ledger: Ledger, inputs: Mapping[str, str], bar: Progress,
    *, vocabulary: Path | None = None,
) -> Imaging:  # fmt: skip
    """Do the imaging steps that are not done yet and read back what they left.

    A frozen ``vocabulary`` (file) is taken as it is; else one is learned.
    """
    images = study_images(study)
    settings = study.plan.imaging
    if settings is None or images.empty:
        return Imaging()
    scans = hash_text("".join(sorted(f"{k}:{v}" for k, v in inputs.items() if k != "plan.yaml")))
    uses: dict[str, Any] = {
        "scans": scans, "seed": vocabulary_seed(study),
        "settings": settings.model_dump(mode="json"),
        "data": study.plan.data.model_dump(mode="json"),
    }  # fmt: skip
    adam = out / "adam"
    steps = _Steps(study, out, vocabulary)
    if vocabulary is not None:
        uses["frozen"] = hash_file(vocabulary)
    bar.start("vocabulary: encoder and clusters")
    hashes = ledger.step("vocabulary", uses, [out / "vocabulary.safetensors"], steps.vocabulary)
    bar.start("label maps and signatures")
    hashes |= ledger.step(
        "signatures", {**uses, "vocabulary": hashes}, steps.signature_files, steps.signatures
    )
    if settings.measures:
        bar.start("medians of maps in the liver")
        hashes |= ledger.step("measures", uses, [adam / "admap.parquet"], steps.measures)
    example = out / "example.safetensors"
    ledger.step("example", {**uses, "signatures": hashes}, [example], steps.example)
    bar.start("correspondence and pathways")
    pathways_use = {**uses, "signatures": hashes}
    hashes |= ledger.step("pathways", pathways_use, steps.pathway_files, steps.pathways)
    recovery = matches = None
    if settings.truth is not None:
        bar.start("comparison with the known truth")
        outputs = [adam / "recovery.parquet", adam / "matches.parquet"]
        ledger.step("recovery", {**uses, "signatures": hashes}, outputs, steps.recovery)
        recovery, matches = (pd.read_parquet(path) for path in outputs)
    return Imaging(
        admri=pd.read_parquet(adam / "admri.parquet"),
        admap=pd.read_parquet(adam / "admap.parquet") if settings.measures else None,
        adpath=pd.read_parquet(adam / "adpath.parquet"),
        adseq=pd.read_parquet(adam / "adseq.parquet"),
        adatlas=pd.read_parquet(adam / "adatlas.parquet"),
        adnoise=pd.read_parquet(adam / "adnoise.parquet") if steps.repeats else None,
        adscan=pd.read_parquet(adam / "adscan.parquet"),
        recovery=recovery,
        matches=matches,
        hashes=hashes,
    )


@dataclass(frozen=True)
class _Steps:
    """The work behind each imaging step; each leaves whole files in the run folder."""

    study: Study
    out: Path
    frozen: Path | None = None

    @property
    def repeats(self) -> list[str]:
        """Repeats of the baseline: what differs between them and it is noise."""
        data = self.study.plan.data
        return [repeat for repeat, visit in data.repeats.items() if visit == data.baseline]

    def vocabulary(self) -> None:
        """Learn the vocabulary and freeze it, or take the frozen one."""
        if self.frozen is not None:
            with whole_file(self.out / "vocabulary.safetensors") as temporary:
                shutil.copyfile(self.frozen, temporary)
            return
        fitted = fit_study_vocabulary(self.study, progress=True)
        fitted.save(self.out / "vocabulary.safetensors")

    def signatures(self) -> None:
        """Label every scan, count its types; scan records keep the name of the label map."""
        result = study_signatures(self.study, self._load(), self.out)
        write_parquet(self.out / "adam" / "admri.parquet", result.records)
        write_parquet(self.out / "adam" / "adscan.parquet", result.scans)

    def measures(self) -> None:
        """Take the medians of maps that the plan names."""
        from livertrack.imaging.measures import measure_records

        settings, images = self._settings, self.study.images
        if images is None:
            msg = "imaging.measures: the study has no images"
            raise DataError(msg)
        result = measure_records(
            images, measures=settings.measures, baseline=self.study.plan.data.baseline,
            liver_label=settings.liver_label, reference_label=settings.reference_label,
            vessel_label=settings.vessel_label, regions=plan_regions(settings),
        )  # fmt: skip
        write_parquet(self.out / "adam" / "admap.parquet", result.records)

    def pathways(self) -> None:
        """Carry each follow-up to its baseline and count what became of each tissue type."""
        from livertrack.imaging.pathways import pathway_records

        settings = self._settings
        vocabulary = self._load()
        count = partial(
            pathway_records, n_types=vocabulary.n_types,
            baseline=self.study.plan.data.baseline, method=settings.correspondence,
            min_dice=settings.registration_dice, regions=plan_regions(settings),
            distances=vocabulary.card["distances"], liver_label=settings.liver_label,
            reference_label=settings.reference_label, vessel_label=settings.vessel_label,
        )  # fmt: skip
        result = count(self._labelled(), maps=self.out / "carried", atlas=True)
        if self.repeats:
            noise = count(self._repeated())
            write_parquet(self.out / "adam" / "adnoise.parquet", noise.records)
        arms = self.study.adsl[["USUBJID", self.study.plan.data.arm]].astype(object)
        adam = self.out / "adam"
        for name, records in (
            ("adpath", result.records), ("adseq", result.sequences), ("adatlas", result.atlas),
        ):  # fmt: skip
            write_parquet(adam / f"{name}.parquet", records.merge(arms, on="USUBJID", how="inner"))
        write_parquet(adam / "adreg.parquet", result.quality)
        if result.template is not None:
            result.template.write(self.out / "atlas" / "cells.nii.gz")

    def pathway_files(self) -> list[Path]:
        """Give the files of the pathways: datasets, carried label maps, cells of the atlas."""
        names = ("adpath", "adreg", "adseq", "adatlas")
        files = [self.out / "adam" / f"{name}.parquet" for name in names]
        if not files[1].is_file():
            return files
        if self.repeats:
            files.append(self.out / "adam" / "adnoise.parquet")
        carried = pd.read_parquet(files[1], columns=["CARRIED"])["CARRIED"]
        files += [self.out / "carried" / name for name in carried if name]
        cells = self.out / "atlas" / "cells.nii.gz"
        return [*files, cells] if cells.is_file() else files

    def signature_files(self) -> list[Path]:
        """Give the files of the signatures: two datasets, label maps, probabilities."""
        adam = self.out / "adam"
        files = [adam / "admri.parquet", adam / "adscan.parquet"]
        if not files[1].is_file():
            return files
        names = [name for name in pd.read_parquet(files[1], columns=["MAP"])["MAP"] if name]
        if self._settings.counts_probabilities:
            names += [soft_name(name) for name in names]
        return [*files, *(self.out / "maps" / name for name in names)]

    def recovery(self) -> None:
        """Compare label maps, and those of k-means on raw patches, with the simulated truth."""
        import nibabel as nib

        from livertrack.imaging import recovery, signatures

        settings = self._settings
        folder = self.study.path / str(settings.truth)
        truth = pd.read_csv(folder / "maps.csv", dtype={"USUBJID": str})
        scans = self._labelled().merge(truth, on=["USUBJID", "AVISIT"], suffixes=("", "_TRUTH"))
        if scans.empty:
            msg = f"imaging.truth: {folder.name}/maps.csv lists none of the labelled scans"
            raise DataError(msg)
        chosen = scans.iloc[
            np.linspace(0, len(scans) - 1, min(RECOVERY_SCANS, len(scans)), dtype=int)
        ]
        images = study_images(self.study)
        images = images.merge(chosen[["USUBJID", "AVISIT"]], on=["USUBJID", "AVISIT"])
        patches = fit_study_vocabulary(self.study, images=images, method="kmeans")

        def read(path: str | Path) -> Any:
            image: Any = nib.load(path)
            return np.asarray(image.dataobj)

        with tempfile.TemporaryDirectory() as temporary:
            by_patch = signatures(
                images, patches, out=temporary, shells=0, min_voxels=1,
                liver_label=settings.liver_label,
                reference_label=settings.reference_label,
            )  # fmt: skip
            names = by_patch.scans.set_index(["USUBJID", "AVISIT"])["MAP"]
            keys = list(zip(chosen["USUBJID"], chosen["AVISIT"], strict=True))
            maps = {
                "tissue vocabulary": [read(path) for path in chosen["MAP"]],
                "k-means on raw patches": [
                    read(Path(temporary) / "maps" / names[key]) for key in keys
                ],
            }
        truths = [read(self.study.path / path) for path in chosen["MAP_TRUTH"]]
        masks = [labels > 0 for labels in maps["tissue vocabulary"]]
        write_parquet(self.out / "adam" / "recovery.parquet", recovery(maps, truths, masks))
        matches = _best_matches(maps["tissue vocabulary"], truths)
        write_parquet(self.out / "adam" / "matches.parquet", matches)

    def example(self) -> None:
        """Store the slices that the report shows, with their anatomy."""
        from livertrack.report import write_example

        scans = self._labelled()
        sequence = self._settings.sequences[-1]
        anatomy = {
            Path(labels): Path(images[sequence])
            for labels, images in zip(scans["MAP"], scans["IMAGES"], strict=True)
        }
        write_example(self.out, self.study.plan.data.visits, anatomy, sequence=sequence)

    @property
    def _settings(self) -> ImagingSettings:
        settings = self.study.plan.imaging
        if settings is None:
            msg = "the plan has no imaging section"
            raise PlanError(msg)
        return settings

    def _load(self) -> Vocabulary:
        from livertrack.imaging import Vocabulary

        return Vocabulary.load(self.out / "vocabulary.safetensors")

    def _repeated(self) -> pd.DataFrame:
        """Labelled scans of the baseline and its repeats, of subjects who have both."""
        scans = self._labelled(repeats=True)
        scans = scans[scans["AVISIT"].isin([self.study.plan.data.baseline, *self.repeats])]
        again = scans.loc[scans["AVISIT"].isin(self.repeats), "USUBJID"]
        return scans[scans["USUBJID"].isin(again)]

    def _labelled(self, *, repeats: bool = False) -> pd.DataFrame:
        """Labelled scans: ``USUBJID, AVISIT, AVISITN, MAP, MASK, IMAGES`` (by sequence)."""
        keys = ["USUBJID", "AVISIT"]
        images = study_images(self.study, repeats=repeats)
        paths = pd.DataFrame(
            [
                {
                    "USUBJID": subject, "AVISIT": visit, "MASK": part["MASK"].iloc[0],
                    "IMAGES": dict(zip(part["SEQUENCE"], part["IMAGE"], strict=True)),
                }
                for (subject, visit), part in images.groupby(keys, observed=True, sort=False)
            ]
        )  # fmt: skip
        scans = pd.read_parquet(self.out / "adam" / "adscan.parquet")
        scans = scans[scans["MAP"].ne("")]
        scans = scans[[*keys, "AVISITN", "MAP"]].merge(paths, on=keys)
        scans["MAP"] = [str(self.out / "maps" / name) for name in scans["MAP"]]
        if self._settings.counts_probabilities:
            scans["PROBS"] = [str(Path(path).with_name(soft_name(path))) for path in scans["MAP"]]
        return scans


def _best_matches(maps: Sequence[Any], truths: Sequence[Any]) -> pd.DataFrame:
    """True type that each type overlaps most, and the share of its voxels that have it."""
    pairs = [
        (m[m > 0].astype(int), t[m > 0].astype(int)) for m, t in zip(maps, truths, strict=True)
    ]
    found, true = (np.concatenate(part) for part in zip(*pairs, strict=True))
    joint = pd.crosstab(found, true)
    joint = joint.drop(columns=0, errors="ignore")
    return pd.DataFrame(
        {
            "type": joint.index,
            "true_type": joint.idxmax(axis=1).to_numpy(),
            "purity": (joint.max(axis=1) / joint.sum(axis=1)).to_numpy(),
        }
    )
