"""The files of a label map: their names, when they may be used again, and how they are written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from livertrack._files import canonical_json, hash_file, hash_text, whole_file, write_json
from livertrack.errors import DataError
from livertrack.imaging.reading import files_behind
from livertrack.imaging.scan import Scan, Source

#: steps of a stored probability
STEPS = 255


def map_names(scans: Sequence[Source]) -> list[str]:
    """File name of each scan's label map: letters and digits only, never the same for two scans.

    A label without letters or digits, or that another's label would equal, gets a short hash of
    the original.
    """
    subjects = _labels([scan.subject for scan in scans])
    visits = _labels([scan.visit for scan in scans])
    names = [
        f"sub-{subjects[scan.subject]}_ses-{visits[scan.visit]}_desc-vocab_dseg.nii.gz"
        for scan in scans
    ]
    if len({name.lower() for name in names}) < len(names):
        msg = "images: several scans have the same subject and AVISIT; number the visits apart"
        raise DataError(msg)
    return names


def _labels(values: Sequence[str]) -> dict[str, str]:
    plain = {value: re.sub(r"[^A-Za-z0-9]", "", value) for value in values}
    folded: dict[str, set[str]] = {}
    for value, label in plain.items():
        folded.setdefault(label.lower(), set()).add(value)
    return {
        value: label
        if label and len(folded[label.lower()]) == 1
        else f"{label}x{hash_text(value)[:8]}"
        for value, label in plain.items()
    }


def input_hash(source: Source) -> str:
    """Hash of the bytes a label map depends on, and of how they are read."""
    labels = [source.liver_label, source.reference_label, source.vessel_label]
    how = canonical_json([*labels, list(source.sequences)])
    if source.scan is None:
        paths = [path for path in (*source.images, source.mask) if path is not None]
        files = [files_behind(path) for path in paths]
        return how + "".join(
            "".join(map(hash_file, behind)) if behind else "absent" for behind in files
        )
    scan = source.scan
    parts = [scan.volume, scan.mask, np.array(scan.spacing), np.asarray(scan.affine)]
    parts += [part for part in (scan.reference, scan.vessels) if part is not None]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.shape}{part.dtype}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    return how + digest.hexdigest()


def sidecar_of(path: Path) -> Path:
    """File of the counts beside a label map: without it a map is not finished."""
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")


def soft_name(label_map: str | Path) -> str:
    """File name of the probabilities beside a label map."""
    name = Path(str(label_map)).name
    return name.removesuffix(".nii.gz").removesuffix("_dseg") + "_probseg.nii.gz"


def stored(path: Path, key: str) -> dict[str, Any] | None:
    """Read the counts beside a finished, unchanged label map of the same inputs."""
    try:
        facts = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
        same = facts["inputs"] == key and facts["map"] == hash_file(path)
        if same and "probabilities" in facts:
            same = facts["probabilities"] == hash_file(path.with_name(soft_name(path)))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not same:
        return None
    quality = {k: np.nan if v is None else v for k, v in facts["quality"].items()}
    return {"quality": quality, "counts": facts["counts"]}


def write(
    path: Path, labels: NDArray[Any], shares: NDArray[Any] | None, scan: Scan,
    facts: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write a label map, its probabilities if there are any, then the counts that end it.

    ``shares`` (x, y, z, K) are uint8, in steps of 1/255.
    """
    forget(path)
    _save(path, nib.Nifti1Image(labels, scan.affine))
    hashes = {"map": hash_file(path)}
    if shares is not None:
        image = nib.Nifti1Image(shares, scan.affine)
        image.header.set_slope_inter(1 / STEPS, 0)
        soft = path.with_name(soft_name(path))
        _save(soft, image)
        hashes["probabilities"] = hash_file(soft)
    quality = {
        k: None if isinstance(v, float) and not np.isfinite(v) else v
        for k, v in facts["quality"].items()
    }
    write_json(sidecar_of(path), {**facts, "quality": quality, **hashes})


def forget(path: Path) -> None:
    """Remove what an earlier run with other inputs left."""
    for one in (sidecar_of(path), path, path.with_name(soft_name(path))):
        one.unlink(missing_ok=True)


def _save(path: Path, image: Any) -> None:
    image.header.set_xyzt_units("mm")
    with whole_file(path) as temporary:
        nib.save(image, temporary)
