"""Pathways of one subject: every follow-up carried to the baseline liver, then counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from livertrack._files import whole_file
from livertrack.errors import DataError, ImageError
from livertrack.imaging._coupling import count_pairs, couple
from livertrack.imaging._transport import least_transport
from livertrack.imaging.atlas import Placement, Template
from livertrack.imaging.correspondence import Correspondence, carry, follow_up_index, register
from livertrack.imaging.reading import read_header, read_voxels
from livertrack.imaging.regions import Regions, region_voxels
from livertrack.imaging.scan import Scan, read_scan

Method = Literal["rigid", "affine", "deformable", "none"]
Labels = NDArray[np.int16]
Shares = NDArray[np.float32]

#: column of the quality frame -> measure of the registration
MEASURES = {
    "DICE0": "dice_before", "DICE": "dice", "SURFMM": "surface_mm", "CORREL": "correlation",
    "JACLOW": "jacobian_low", "JACHIGH": "jacobian_high", "NFOLD": "jacobian_folded",
    "SHIFTMM": "shift_mm",
}  # fmt: skip


@dataclass(frozen=True)
class How:
    """What a worker must know besides its subject."""

    n_types: int
    method: Method
    min_dice: float
    regions: Regions
    cost: NDArray[np.floating[Any]]
    liver_label: int | None
    reference_label: int | None
    vessel_label: int | None
    baseline: str
    maps: Path | None
    template: Template | None


@dataclass
class Done:
    """What came of a subject."""

    records: list[dict[str, Any]] = field(default_factory=list)
    quality: list[dict[str, Any]] = field(default_factory=list)
    sequences: list[dict[str, Any]] = field(default_factory=list)
    atlas: list[dict[str, Any]] = field(default_factory=list)
    dice: float = float("nan")


@dataclass(frozen=True)
class _Labelled:
    """A scan, its label map, and the probabilities of its types where they are known."""

    scan: Scan
    labels: Labels
    shares: Shares | None


def subject_pathways(one: Mapping[str, Any], later: Sequence[Mapping[str, Any]], how: How) -> Done:
    """Records and quality of all follow-ups of one subject, in the order given."""
    done = Done()
    start: _Labelled | None = None
    trouble = ""
    try:
        start = load(one, how)
    except ImageError as error:
        trouble = str(error)
    carried: dict[str, Labels] = {}
    placement: Placement | None = None
    if start is not None and how.template is not None and how.method != "none":
        placement = how.template.place(start.scan)
        done.dice = placement.dice
    for two in later:
        facts: dict[str, Any] = {name: two[name] for name in ("USUBJID", "AVISIT", "AVISITN")}
        facts |= {"METHOD": "", "REASON": trouble, "CARRIED": "", "SOFTFL": ""}
        done.quality.append(facts)
        if start is None:
            continue
        try:
            end = load(two, how)
        except ImageError as error:
            facts["REASON"] = str(error)
            continue
        labels = _pair(start, end, facts, how, done)
        if labels is None:
            continue
        carried[str(two["AVISIT"])] = labels
        if how.maps is not None:
            facts["CARRIED"] = _write(labels, start.scan, one, two, how.maps)
        if placement is not None:
            head = {name: facts[name] for name in ("USUBJID", "AVISIT", "AVISITN")}
            done.atlas += placement.records(start.labels[start.scan.mask], labels, head)
    if start is not None and len(carried) > 1:
        done.sequences = _sequences(start, carried, one["USUBJID"], how)
    return done


def load(row: Mapping[str, Any], how: How) -> _Labelled:
    """Read a scan with its label map and, where given, the probabilities of its types."""
    images = row.get("IMAGES", row.get("IMAGE"))
    paths: Sequence[Any] = (
        list(images.values())
        if isinstance(images, Mapping)
        else list(images)
        if isinstance(images, (list, tuple, np.ndarray))
        else [images]
    )
    scan = read_scan(
        paths, row["MASK"], liver_label=how.liver_label, reference_label=how.reference_label,
        vessel_label=how.vessel_label,
    )  # fmt: skip
    header = read_header(row["MAP"])
    same_place = np.allclose(header.affine, np.asarray(scan.affine), atol=1e-3)
    if header.shape != scan.mask.shape or not same_place:
        msg = f"{header.path.name}: label map on another grid than its mask; label the scan again"
        raise DataError(msg)
    labels = np.rint(read_voxels(header)).astype(np.int16)
    beyond = int(((labels < 0) | (labels > how.n_types)).sum())
    if beyond:
        msg = (
            f"{header.path.name}: {beyond} voxels with a label outside 0..{how.n_types}; "
            "n_types must be that of the vocabulary that made the map"
        )
        raise DataError(msg)
    path = row.get("PROBS")
    shares = _shares(path, scan, how.n_types) if path else None
    if shares is not None:
        shares[labels[scan.mask] == 0] = 0  # a voxel without a type has no probabilities either
    return _Labelled(scan, labels, shares)


def _shares(path: Any, scan: Scan, n_types: int) -> Shares:
    """Probabilities of the mask's voxels (voxels, K), rows made to sum to one."""
    image = nib.Nifti1Image.from_filename(path)
    if image.shape != (*scan.mask.shape, n_types):
        msg = (
            f"{Path(path).name}: probabilities of shape {image.shape}; expected the grid of the "
            f"mask and one volume per type, {(*scan.mask.shape, n_types)}"
        )
        raise DataError(msg)
    cells = np.asarray(image.dataobj, dtype=np.float32)[scan.mask]
    if not np.isfinite(cells).all() or (cells < 0).any():
        msg = f"{Path(path).name}: probabilities that are negative or not finite"
        raise DataError(msg)
    total = cells.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(cells, total, out=np.zeros_like(cells), where=total > 0))


def _pair(
    start: _Labelled, end: _Labelled, facts: dict[str, Any], how: How, done: Done
) -> Labels | None:
    """Add the records of one pair; returns the follow-up's labels in the baseline liver."""
    before, after = start.scan, end.scan
    facts["NVOX"] = before.n_voxels
    carried: Labels | None = None
    shares: Shares | None = None
    if how.method == "none":
        facts["REASON"] = "no correspondence was asked for"
    else:
        found = register(before, after, method=how.method)
        carried, in_view = carry(end.labels, after, before, found)
        shares = _carried_shares(start, end, found)
        facts |= {name: found.quality[key] for name, key in MEASURES.items()}
        facts["CONVFL"] = "Y" if found.quality["converged"] else "N"
        facts |= {"OUTFOV": float((~in_view).mean()), "OUTVIEW": float((carried == 0).mean())}
        facts["REASON"] = _unfit(found, how.min_dice)
    if facts["REASON"]:
        facts["METHOD"], carried, shares = "transport", None, None
    else:
        facts["METHOD"], facts["SOFTFL"] = "voxel", "N" if shares is None else "Y"
    labels = start.labels[before.mask]
    for region, here, there in _regions(before, after, how.regions):
        if shares is not None and start.shares is not None:
            flow = couple(start.shares[here], shares[here])
        elif carried is not None:
            flow = count_pairs(labels[here], carried[here], how.n_types).astype(float)
        else:
            flow = _transport(start, end, here, there, how)
        if flow.any():
            done.records += _rows(flow, region, facts)
    return carried


def _carried_shares(start: _Labelled, end: _Labelled, found: Correspondence) -> Shares | None:
    """Probabilities of the follow-up at the baseline liver's voxels; zero where out of view."""
    if start.shares is None or end.shares is None:
        return None
    order = np.full(end.scan.mask.shape, -1)
    order[end.scan.mask] = np.arange(end.scan.n_voxels)
    index = follow_up_index(start.scan, end.scan, found)
    near = np.floor(index + 0.5 + 1e-6).astype(int)
    inside = ((near >= 0) & (near < end.scan.mask.shape)).all(axis=1)
    place = np.full(len(near), -1)
    place[inside] = order[tuple(near[inside].T)]
    out = np.zeros((len(near), end.shares.shape[1]), np.float32)
    out[place >= 0] = end.shares[place[place >= 0]]
    return out


def _unfit(found: Correspondence, min_dice: float) -> str:
    """Why a correspondence is not used; blank when it is."""
    # `not >=`, so that NaN is unfit too
    return "" if found.quality["dice"] >= min_dice else f"Dice below {min_dice:g}"


def _regions(
    before: Scan, after: Scan, rules: Regions
) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Regions of both scans, and which voxels of the two masks they hold (each scan's own)."""
    first, second = (region_voxels(scan, rules) for scan in (before, after))
    none = np.zeros(after.n_voxels, bool)
    return [(name, here, second.get(name, none)) for name, here in first.items()]


def _transport(
    start: _Labelled, end: _Labelled, here: NDArray[np.bool_], there: NDArray[np.bool_], how: How
) -> NDArray[np.float64]:
    """Voxels (K, K) that the least transport between two compositions moves."""
    counts = []
    for scan, where in ((start, here), (end, there)):
        if start.shares is not None and end.shares is not None and scan.shares is not None:
            counts.append(scan.shares[where].sum(axis=0).astype(float))
        else:
            labels = scan.labels[scan.scan.mask][where]
            counts.append(np.bincount(labels[labels > 0] - 1, minlength=how.n_types).astype(float))
    if not all(count.any() for count in counts):
        return np.zeros((how.n_types, how.n_types))
    before, after = (count / count.sum() for count in counts)
    return least_transport(before, after, how.cost) * float(counts[0].sum())


def _rows(
    flow: NDArray[np.float64], region: str, facts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    head = {name: facts[name] for name in ("USUBJID", "AVISIT", "AVISITN", "METHOD")}
    total = flow.sum()
    return [
        {
            **head, "REGION": region, "FROMTYPE": i + 1, "TOTYPE": j + 1,
            "AVAL": float(flow[i, j] / total), "NVOX": round(total),
        }
        for i, j in np.ndindex(flow.shape)
    ]  # fmt: skip


def _sequences(
    start: _Labelled, carried: Mapping[str, Labels], subject: Any, how: How
) -> list[dict[str, Any]]:
    """Types of each baseline voxel at the baseline and every carried visit, counted by region."""
    stack = np.stack([start.labels[start.scan.mask], *carried.values()], axis=1)
    seen = (stack > 0).all(axis=1)
    visits = " > ".join([how.baseline, *carried])
    rows: list[dict[str, Any]] = []
    regions = region_voxels(start.scan, how.regions)
    for region, inside in regions.items():
        where = seen & inside
        found, counts = np.unique(stack[where], axis=0, return_counts=True)
        total = int(counts.sum())
        rows += [
            {
                "USUBJID": subject, "VISITS": visits, "REGION": region,
                "PATH": "-".join(map(str, path)), "AVAL": n / total, "NVOX": total,
            }
            for path, n in zip(found.tolist(), counts.tolist(), strict=True)
        ]  # fmt: skip
    return rows


def _write(
    labels: Labels, baseline: Scan, one: Mapping[str, Any], two: Mapping[str, Any], folder: Path
) -> str:
    """Write a follow-up's types in the baseline liver; returns the file name."""
    name = Path(str(two["MAP"])).name.removesuffix(".nii.gz").removesuffix("_dseg")
    name = f"{name}_space-baseline_dseg.nii.gz"
    volume = np.zeros(baseline.mask.shape, np.int16)
    volume[baseline.mask] = labels
    affine = nib.Nifti1Image.from_filename(one["MAP"]).affine
    with whole_file(folder / name) as temporary:
        nib.Nifti1Image(volume, affine).to_filename(temporary)
    return name
