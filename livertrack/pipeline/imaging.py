"""The imaging part of a run: vocabulary, label maps, signatures, pathways, comparison with truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from livertrack._files import hash_text, write_parquet
from livertrack._seeds import spawn
from livertrack.errors import DataError
from livertrack.pipeline.ledger import Ledger
from livertrack.pipeline.progress import Progress
from livertrack.study import Study


@dataclass(frozen=True)
class Imaging:
    """Datasets that imaging hands over; all empty for a study without images."""

    admri: pd.DataFrame | None = None
    adpath: pd.DataFrame | None = None
    adscan: pd.DataFrame | None = None
    registration: pd.DataFrame | None = None
    recovery: pd.DataFrame | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    def extend(self, study: Study) -> Study:
        """Study whose records include the signatures."""
        return study if self.admri is None else study.with_records(self.admri, dataset="admri")


def run_imaging(
    study: Study, out: Path, ledger: Ledger, inputs: Mapping[str, str], bar: Progress
) -> Imaging:
    """Do the imaging steps that are not done yet and read back what they left."""
    settings = study.plan.imaging
    if settings is None or study.images is None:
        msg = "the plan has an imaging section, but the study has no images.csv"
        raise DataError(msg)
    scans = hash_text("".join(sorted(f"{k}:{v}" for k, v in inputs.items() if k != "plan.yaml")))
    seed = int(spawn(study.plan.seed, "vocabulary").generate_state(1)[0])
    uses: dict[str, Any] = {
        "scans": scans, "seed": seed, "settings": settings.model_dump(mode="json"),
        "data": study.plan.data.model_dump(mode="json"),
    }  # fmt: skip
    adam = out / "adam"
    steps = _Steps(study, out, seed)
    bar.start("vocabulary: encoder and clusters")
    hashes = ledger.step(
        "vocabulary", uses, [out / "vocabulary.safetensors"], steps.vocabulary
    )
    bar.start("label maps and signatures")
    outputs = [adam / "admri.parquet", adam / "adscan.parquet"]
    hashes |= ledger.step("signatures", {**uses, "vocabulary": hashes}, outputs, steps.signatures)
    bar.start("correspondence and pathways")
    outputs = [adam / "adpath.parquet", adam / "adreg.parquet"]
    hashes |= ledger.step("pathways", {**uses, "signatures": hashes}, outputs, steps.pathways)
    frames = {name: pd.read_parquet(adam / f"{name}.parquet")
              for name in ("admri", "adscan", "adpath", "adreg")}  # fmt: skip
    recovery = None
    if settings.truth is not None:
        bar.start("comparison with the known truth")
        path = adam / "recovery.parquet"
        ledger.step("recovery", {**uses, "signatures": hashes}, [path], steps.recovery)
        recovery = pd.read_parquet(path)
    return Imaging(
        frames["admri"], frames["adpath"], frames["adscan"], frames["adreg"], recovery, hashes
    )


@dataclass(frozen=True)
class _Steps:
    """The work behind each imaging step; each leaves whole files in the run folder."""

    study: Study
    out: Path
    seed: int

    def vocabulary(self) -> None:
        fit_study_vocabulary(self.study, seed=self.seed, progress=True).save(
            self.out / "vocabulary.safetensors"
        )

    def signatures(self) -> None:
        from livertrack.imaging import Vocabulary, signatures

        settings = self._settings
        result = signatures(
            self._images, Vocabulary.load(self.out / "vocabulary.safetensors"),
            out=self.out, shells=settings.shells, on_error=settings.on_error,
            min_voxels=settings.min_voxels, liver_label=settings.liver_label,
            reference_label=settings.reference_label, baseline=self.study.plan.data.baseline,
            progress=True,
        )  # fmt: skip
        write_parquet(self.out / "adam" / "admri.parquet", result.records)
        write_parquet(self.out / "adam" / "adscan.parquet", result.scans)
