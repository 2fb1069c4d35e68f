"""Label maps and signature records of many scans: resumable, whole files or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from livertrack._files import canonical_json, hash_text
from livertrack._region_names import region_name
from livertrack._results import Result
from livertrack.errors import UsageError
from livertrack.imaging import label_files as files
from livertrack.imaging._scan_records import with_baseline
from livertrack.imaging.quality import Limits, flags_of
from livertrack.imaging.reading import UnusableImage
from livertrack.imaging.regions import WHOLE, Regions, region_counts
from livertrack.imaging.scan import Source, sources
from livertrack.imaging.soft_labels import SOFTNESS

if TYPE_CHECKING:
    from livertrack.imaging.vocabulary import Vocabulary

Unknown = Literal["nearest", "exclude"]

_RECORD_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "REGION", "PARAMCD", "PARAM",
    "AVAL", "NVOX", "BASE", "CHG", "ABLFL",
]  # fmt: skip
_QUALITY = [
    "NVOX", "VOLML", "SNR", "GHOST", "CLIPPED", "BIASSD", "NCOMP", "LARGEST", "BORDERFL",
    "SCALED", "ALIGNMM", "ALIGNFL", "UNKNOWN",
]  # fmt: skip
_NUMBERS = ["VOLML", "SNR", "GHOST", "CLIPPED", "BIASSD", "LARGEST", "ALIGNMM", "UNKNOWN"]
_SCAN_COLUMNS = ["USUBJID", "AVISIT", "AVISITN", "SCANFL", "REASON", *_QUALITY, "FLAGS", "MAP"]


@dataclass(frozen=True, kw_only=True)
class SignatureResult(Result):
    """Signatures of scans.

    Attributes
    ----------
    table : DataFrame
        Signature records (also ``records``), one row per scan, REGION and type: ``USUBJID, AVISIT,
        AVISITN, REGION`` (blank: whole liver; see the dictionary), ``PARAMCD, PARAM, AVAL``
        (proportion of the region, 0..1), ``NVOX`` (voxels of the region), ``BASE, CHG, ABLFL``.
    scans : DataFrame
        One row per scan: ``SCANFL`` (Y analysed, N excluded), ``REASON``, quality numbers,
        ``FLAGS`` (limits that it passes beyond; blank: none), ``MAP`` (file name of the label map;
        blank without ``out``).
    n_reused : int
        Scans whose label map was already there for the same inputs.
    """

    scans: pd.DataFrame = field(default_factory=pd.DataFrame)
    n_reused: int = 0

    keys: ClassVar[tuple[str, ...]] = ("USUBJID", "AVISIT", "REGION", "PARAMCD")
    context: ClassVar[str] = "signatures"

    @property
    def records(self) -> pd.DataFrame:
        """Signature records: ``table``."""
        return self.table


def signatures(
    images: pd.DataFrame | Iterable[Any],
    vocabulary: Vocabulary,
    *,
    out: str | Path | None = None,
    shells: int = 3,
    baseline: str | None = None,
    liver_label: int | None = None,
    reference_label: int | None = None,
    vessel_label: int | None = None,
    regions: Regions | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
    on_error: Literal["exclude", "stop"] = "exclude",
    min_voxels: int = 500,
    unknown: Unknown = "nearest",
    probabilities: bool = False,
    resume: bool = True,
    device: str | None = None,
    progress: bool = False,
) -> SignatureResult:
    """Label scans and count their tissue types.

    Parameters
    ----------
    images : DataFrame or iterable
        As for `fit_vocabulary`; `image_pairs` makes a frame of (IMAGE, MASK) pairs.
    vocabulary : Vocabulary
        Frozen vocabulary.
    out : path or None
        Folder for ``maps/sub-<label>_ses-<label>_desc-vocab_dseg.nii.gz`` (with a .json of counts
        beside each), on the grid of the mask; None writes nothing.
    shells : int
        Capsule-to-core shells of equal volume, besides the whole liver.
    liver_label, reference_label, vessel_label : int or None
        Values in MASK (see `read_scan`).
    regions : Regions or None
        Shells, sectors and bands around vessels, in place of ``shells``.
    limits : Limits or None
        Limits of quality beyond which a scan is flagged (and analysed all the same).
    baseline : str or None
        AVISIT of the baseline; the lowest AVISITN where None.
    workers : int or None
        Processes; None leaves it to ``joblib.parallel_config``. Results do not depend on it.
    on_error : {"exclude", "stop"}
        Leave a scan out that cannot be used, with its reason; or raise after all were tried.
    min_voxels : int
        Smallest mask that is analysed, voxels.
    unknown : {"nearest", "exclude"}
        What becomes of voxels unlike any tissue that the vocabulary has seen
        (`Vocabulary.label`): the nearest type, or 0 in the label map and no part of any region.
        Their share of the mask is ``UNKNOWN`` of ``scans`` either way.
    probabilities : bool
        With ``out``, write the probability of every type in every voxel too (`soft_labels`), as
        ``..._probseg.nii.gz``, (x, y, z, K) in steps of 1/255: pathways counted from them take
        less noise for change.
    resume : bool
        Reuse label maps of ``out`` made from the same files, vocabulary and settings.

    Returns
    -------
    SignatureResult

    Raises
    ------
    ImageError
        ``on_error="stop"`` and some scan cannot be used.

    Notes
    -----
    Denominator of AVAL: voxels of the region in that scan. CHG is missing at baseline and for
    subjects without baseline.
    Checked against: hand counts and the label maps themselves (tests/imaging/test_signatures.py).
    """
    if unknown not in ("nearest", "exclude"):
        msg = f"unknown={unknown!r}, expected 'nearest' or 'exclude'"
        raise UsageError(msg)
    if on_error not in ("exclude", "stop"):
        msg = f"on_error={on_error!r}, expected 'exclude' or 'stop'"
        raise UsageError(msg)
    named = vocabulary.sequences if any(vocabulary.sequences) else None
    scans = sources(
        images,
        sequences=named if isinstance(images, pd.DataFrame) else None,
        liver_label=liver_label,
        reference_label=reference_label,
        vessel_label=vessel_label,
    )
    rules = regions or Regions(shells=shells)
    maps = None if out is None else Path(out) / "maps"
    names = files.map_names(scans)
    softness = SOFTNESS if probabilities and maps is not None else None
    work = partial(
        _one, vocabulary=vocabulary, uses=_uses(vocabulary, rules, min_voxels, unknown, softness),
        maps=maps, rules=rules, min_voxels=min_voxels, unknown=unknown, softness=softness,
        resume=resume, device=device,
    )  # fmt: skip
    jobs = (delayed(work)(scan, name) for scan, name in zip(scans, names, strict=True))
    done = Parallel(n_jobs=workers, return_as="generator")(jobs)
    rows = list(tqdm(done, total=len(scans), desc="signatures", unit="scan", disable=not progress))
    return _result(scans, rows, vocabulary, rules, limits, baseline, on_error)


def _uses(
    vocabulary: Vocabulary, rules: Regions, min_voxels: int, unknown: str, softness: float | None
) -> str:
    return canonical_json(
        {
            "vocabulary": vocabulary.hash, "regions": rules.settings(), "least": min_voxels,
            "unknown": unknown, "softness": softness,
        }
    )  # fmt: skip


def _one(
    source: Source,
    name: str,
    *,
    vocabulary: Vocabulary,
    uses: str,
    maps: Path | None,
    rules: Regions,
    min_voxels: int,
    unknown: Unknown,
    softness: float | None,
    resume: bool,
    device: str | None,
) -> dict[str, Any]:
    """Row of one scan: quality, counts by region, or the reason of its exclusion."""
    try:
        if any(vocabulary.sequences) and source.scan is None:
            lacking = [s for s in vocabulary.sequences if s not in source.sequences]
            if lacking:
                cure = "leave the scan out or fit without the sequence"
                raise UnusableImage(
                    f"no {', '.join(lacking)} sequence", cure=cure, column="SEQUENCE"
                )
        stored = None
        key = ""
        if maps is not None:
            key = hash_text(uses + files.input_hash(source))
            stored = files.stored(maps / name, key) if resume else None
        if stored is not None:
            return {**stored, "map": name, "reused": True}
        scan = source.load()
        if scan.n_voxels < min_voxels:
            cure = "segment again or lower min_voxels"
            raise UnusableImage(f"fewer than {min_voxels} liver voxels", cure=cure)
        found = vocabulary.labelled(scan, unknown=unknown, softness=softness, device=device)
        counts = region_counts(found.labels, scan, vocabulary.n_types, rules)
        row = {"quality": found.quality, "counts": counts}
        if maps is not None:
            facts = {**row, "inputs": key}
            files.write(maps / name, found.labels, found.shares, scan, facts)
        return {**row, "map": name if maps is not None else "", "reused": False}
    except UnusableImage as error:
        if maps is not None:
            files.forget(maps / name)
        return {"reason": error.problem, "message": str(error), "cure": error.cure}


def _result(
    scans: Sequence[Source],
    rows: Sequence[Mapping[str, Any]],
    vocabulary: Vocabulary,
    rules: Regions,
    limits: Limits | None,
    baseline: str | None,
    on_error: str,
) -> SignatureResult:
    failed = [row for row in rows if "reason" in row]
    reasons = pd.Series([row["reason"] for row in failed], dtype=object).value_counts()
    listed = "; ".join(f"{reason}: {n}" for reason, n in sorted(reasons.items()))
    if failed and on_error == "stop":
        msg = f"images: {len(failed)} of {len(scans)} scans cannot be used ({listed})"
        raise UnusableImage(msg, cure=failed[0]["cure"])
    records = _records(scans, rows, vocabulary, baseline)
    facts = []
    for scan, row in zip(scans, rows, strict=True):
        quality = row.get("quality", {})
        facts.append(
            {
                "USUBJID": scan.subject, "AVISIT": scan.visit, "AVISITN": scan.visit_number,
                "SCANFL": "N" if "reason" in row else "Y", "REASON": row.get("reason", ""),
                **{name: quality.get(name) for name in _QUALITY},
                "FLAGS": "; ".join(flags_of(quality, limits)), "MAP": row.get("map", ""),
            }
        )  # fmt: skip
    frame = pd.DataFrame(facts, columns=_SCAN_COLUMNS)
    kinds: dict[str, Any] = {"NVOX": "Int64", "NCOMP": "Int64", **dict.fromkeys(_NUMBERS, float)}
    frame = frame.astype(kinds)
    done = len(scans) - len(failed)
    text = f"{done} of {len(scans)} scans labelled with {vocabulary.n_types} tissue types"
    reused = sum(bool(row.get("reused")) for row in rows)
    return SignatureResult(
        table=records, scans=frame, n_reused=reused,
        text=text + (f"; {len(failed)} excluded ({listed})." if failed else "."),
        settings={
            "method": vocabulary.settings["method"], "vocabulary": vocabulary.hash,
            "shells": rules.shells, "regions": rules.settings(), "n_types": vocabulary.n_types,
            "n_scans": len(scans), "n_excluded": len(failed),
        },
        notes=(f"{len(failed)} of {len(scans)} scans excluded: {listed}",) if failed else (),
    )  # fmt: skip


def _records(
    scans: Sequence[Source],
    rows: Sequence[Mapping[str, Any]],
    vocabulary: Vocabulary,
    baseline: str | None,
) -> pd.DataFrame:
    found = []
    for scan, row in zip(scans, rows, strict=True):
        for region, counts in row.get("counts", {}).items():
            total = sum(counts)
            for code, count in zip(vocabulary.parameters, counts, strict=True):
                where = "" if region == WHOLE else f", {region_name(region)}"
                found.append(
                    {
                        "USUBJID": scan.subject, "AVISIT": scan.visit,
                        "AVISITN": scan.visit_number, "REGION": region, "PARAMCD": code,
                        "PARAM": f"Tissue type {int(code[2:])}{where} (proportion)",
                        "AVAL": count / total if total else np.nan, "NVOX": total,
                    }
                )  # fmt: skip
    frame = pd.DataFrame(found, columns=_RECORD_COLUMNS)
    if frame.empty:
        return frame
    return with_baseline(frame, scans, baseline, within=["REGION", "PARAMCD"])
