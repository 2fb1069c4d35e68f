"""Pathway records: which tissue type each piece of the baseline liver has at a follow-up visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from livertrack._results import Result
from livertrack.errors import DataError, ImageError, UsageError
from livertrack.imaging._transport import least_transport
from livertrack.imaging.correspondence import Correspondence, carry, register
from livertrack.imaging.reading import read_header, read_voxels
from livertrack.imaging.regions import WHOLE, capsule_shells
from livertrack.imaging.scan import Scan, read_scan

__all__ = ["PathwayRecords", "count_pairs", "least_transport", "pathway_records"]

Method = Literal["rigid", "affine", "deformable", "none"]
Labels = NDArray[np.int16]

RECORD_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "REGION", "FROMTYPE", "TOTYPE", "AVAL", "NVOX", "METHOD",
]  # fmt: skip
_MEASURES = {
    "DICE0": "dice_before", "DICE": "dice", "SURFMM": "surface_mm", "CORREL": "correlation",
    "JACLOW": "jacobian_low", "JACHIGH": "jacobian_high", "NFOLD": "jacobian_folded",
    "SHIFTMM": "shift_mm",
}  # fmt: skip
QUALITY_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "METHOD", "REASON", *_MEASURES, "CONVFL", "NVOX", "OUTFOV",
    "OUTVIEW",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PathwayRecords(Result):
    """Pathways of pairs of scans.

    Attributes
    ----------
    table : DataFrame
        Pathway records (also ``records``).
    quality : DataFrame
        One row per pair: ``METHOD`` (``voxel``, ``transport``, or blank where there are no
        records), ``REASON`` where it is not ``voxel``, Dice of the masks before (``DICE0``) and
        after (``DICE``), ``SURFMM`` (mean surface distance, mm), ``CORREL`` (of intensities),
        ``JACLOW, JACHIGH`` (volume ratio, 1st and 99th percentile), ``NFOLD`` (folded voxels),
        ``SHIFTMM`` (mean displacement, mm), ``CONVFL`` (Y: the search settled), ``NVOX`` (voxels
        of the baseline liver), ``OUTFOV`` and ``OUTVIEW`` (proportion of them outside the
        follow-up's field of view, and outside its label map: the latter includes the former).
    """

    quality: pd.DataFrame = field(default_factory=pd.DataFrame)

    keys: ClassVar[tuple[str, ...]] = ("USUBJID", "AVISIT", "REGION", "FROMTYPE", "TOTYPE")
    context: ClassVar[str] = "pathway_records"

    @property
    def records(self) -> pd.DataFrame:
        """Pathway records: ``table``."""
        return self.table


@dataclass(frozen=True)
class _How:
    """What a worker must know besides its pair."""

    n_types: int
    method: Method
    min_dice: float
    shells: int
    cost: NDArray[np.floating[Any]]
    liver_label: int | None
    reference_label: int | None


def pathway_records(
    scans: pd.DataFrame,
    *,
    n_types: int,
    baseline: str,
    method: Method = "rigid",
    min_dice: float = 0.8,
    shells: int = 3,
    distances: NDArray[np.floating[Any]] | None = None,
    liver_label: int | None = None,
    reference_label: int | None = None,
    workers: int | None = None,
) -> PathwayRecords:
    """Count, for each follow-up, the baseline liver's voxels by type then and type now.

    Parameters
    ----------
    scans : DataFrame, one row per labelled scan
        ``USUBJID, AVISIT, AVISITN``, ``MAP`` (label map, 1..K in the liver), ``MASK`` and
        ``IMAGES`` or ``IMAGE`` (a path, a list of paths, or a mapping of sequence to path), all on
        one grid per scan.
    n_types : int
        Tissue types of the vocabulary, K.
    baseline : str
        AVISIT every other visit is compared with.
    method : {"rigid", "affine", "deformable", "none"}
        Correspondence of the voxels (`livertrack.imaging.correspondence`); ``none`` estimates the
        flows from the two compositions alone.
    min_dice : float
        A pair whose aligned masks overlap less falls back to the compositions.
    shells : int
        Capsule-to-core shells of the baseline liver, besides the whole.
    distances : array (K, K), optional
        Distance between types, the cost of turning one into the other without correspondence
        (a vocabulary's ``card["distances"]``); all turns cost the same where absent.
    liver_label, reference_label : int, optional
        Values in MASK.
    workers : int, optional
        Processes; None leaves it to ``joblib.parallel_config``. Results do not depend on it.

    Returns
    -------
    PathwayRecords
        ``.records``: one row per subject, visit, REGION (blank: whole liver; SHELL1 outermost),
        ``FROMTYPE, TOTYPE``; ``AVAL`` the proportion of the region (sums to one), ``NVOX`` its
        voxels, ``METHOD`` ``voxel`` or ``transport``. ``.quality``: one row per pair.

    Raises
    ------
    DataError
        Missing columns, a scan that is listed twice, a label beyond ``n_types``, a label map on
        another grid than its mask.

    Notes
    -----
    Denominator: voxels of the baseline region whose place lies in the follow-up's label map;
    the rest is ``OUTVIEW``, counted and left out. Subjects without a labelled baseline, and pairs
    with an unreadable file, have no records; their number is in the notes.
    ``transport`` is the flow of least total distance between the two compositions of the region
    (shells: each scan's own): an estimate of net exchange, blind to exchanges in both directions.
    Checked against: hand counts (tests/imaging/test_pathways.py).
    """
    _check(scans, method, n_types)
    first = scans[scans["AVISIT"].astype(str).eq(baseline)]
    later = scans[~scans["AVISIT"].astype(str).eq(baseline)].sort_values(["USUBJID", "AVISITN"])
    followed = later["USUBJID"].isin(first["USUBJID"])
    start = {row["USUBJID"]: row for row in first.to_dict("records")}
    work = partial(
        _pair,
        how=_How(
            n_types, method, min_dice, shells, _cost(distances, n_types), liver_label,
            reference_label,
        ),
    )  # fmt: skip
    pairs = [(start[row["USUBJID"]], row) for row in later[followed].to_dict("records")]
    done = Parallel(n_jobs=workers)(delayed(work)(one, two) for one, two in pairs)
    return _result(done, int((~followed).sum()), baseline, method, n_types, min_dice, shells)


def count_pairs(before: Labels, after: Labels, n_types: int) -> NDArray[np.int64]:
    """Voxels by type before and after, array (K, K); those with a 0 on a side are left out."""
    seen = (before > 0) & (after > 0)
    pairs = (before[seen].astype(np.int64) - 1) * n_types + after[seen] - 1
    return np.bincount(pairs, minlength=n_types**2).reshape(n_types, n_types)


def _check(scans: pd.DataFrame, method: str, n_types: int) -> None:
    if method not in get_args(Method):
        msg = f"method is {', '.join(get_args(Method))}; got {method!r}"
        raise UsageError(msg)
    if n_types < 2:
        msg = f"n_types is the number of tissue types, at least 2; got {n_types}"
        raise UsageError(msg)
    needed = ["USUBJID", "AVISIT", "AVISITN", "MAP", "MASK"]
    missing = [column for column in needed if column not in scans.columns]
    if not {"IMAGE", "IMAGES"} & set(scans.columns):
        missing.append("IMAGES")
    if missing:
        msg = f"scans: {len(missing)} column(s) missing: {', '.join(missing)}"
        raise DataError(msg)
    repeated = int(scans.duplicated(["USUBJID", "AVISIT"]).sum())
    if repeated:
        msg = f"scans: {repeated} duplicated subject x visit; give one row per scan"
        raise DataError(msg)


def _cost(distances: NDArray[np.floating[Any]] | None, n_types: int) -> NDArray[Any]:
    cost = np.ones((n_types, n_types)) if distances is None else np.asarray(distances, float)
    if cost.shape != (n_types, n_types) or not np.isfinite(cost).all() or (cost < 0).any():
        msg = f"distances: expected {n_types} x {n_types} finite numbers from zero up"
        raise UsageError(msg)
    return cost * (1 - np.eye(n_types))


def _pair(
    one: Mapping[str, Any], two: Mapping[str, Any], how: _How
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Records and quality of one pair of scans."""
    facts: dict[str, Any] = {name: two[name] for name in ("USUBJID", "AVISIT", "AVISITN")}
    facts |= {"METHOD": "", "REASON": ""}
    try:
        (before, map_before), (after, map_after) = (_load(row, how) for row in (one, two))
    except ImageError as error:
        return [], {**facts, "REASON": str(error)}
    facts["NVOX"] = before.n_voxels
    carried: Labels | None = None
    if how.method == "none":
        facts["REASON"] = "no correspondence was asked for"
    else:
        found = register(before, after, method=how.method)
        carried, in_view = carry(map_after, after, before, found)
        facts |= {name: found.quality[key] for name, key in _MEASURES.items()}
        facts["CONVFL"] = "Y" if found.quality["converged"] else "N"
        facts |= {"OUTFOV": float((~in_view).mean()), "OUTVIEW": float((carried == 0).mean())}
        facts["REASON"] = _unfit(found, how.min_dice)
    if facts["REASON"]:
        facts["METHOD"], carried = "transport", None
    else:
        facts["METHOD"] = "voxel"
    rows = []
    for region, here, there in _regions(before, after, how.shells):
        start = map_before[before.mask][here]
        if carried is not None:
            flow = count_pairs(start, carried[here], how.n_types).astype(float)
        else:
            flow = _transport(start, map_after[after.mask][there], how)
        if flow.any():
            rows += _rows(flow, region, facts)
    return rows, facts


def _unfit(found: Correspondence, min_dice: float) -> str:
    """Why a correspondence is not used; blank when it is."""
    # `not >=`, so that NaN is unfit too
    return "" if found.quality["dice"] >= min_dice else f"Dice below {min_dice:g}"


def _load(row: Mapping[str, Any], how: _How) -> tuple[Scan, Labels]:
    images = row.get("IMAGES", row.get("IMAGE"))
    paths: Sequence[Any] = (
        list(images.values())
        if isinstance(images, Mapping)
        else list(images)
        if isinstance(images, (list, tuple, np.ndarray))
        else [images]
    )
    scan = read_scan(
        paths, row["MASK"], liver_label=how.liver_label, reference_label=how.reference_label
    )
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
    return scan, labels


def _regions(
    before: Scan, after: Scan, shells: int
) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Regions, and which voxels of the two masks they hold (each scan's own shells)."""
    first, second = (capsule_shells(s.mask, s.spacing, shells)[s.mask] for s in (before, after))
    found = [(WHOLE, np.ones(len(first), bool), np.ones(len(second), bool))]
    found += [(f"SHELL{n}", first == n, second == n) for n in range(1, shells + 1)]
    return found


def _transport(start: Labels, end: Labels, how: _How) -> NDArray[np.float64]:
    """Voxels (K, K) that the least transport between two compositions moves."""
    counts = [np.bincount(x[x > 0] - 1, minlength=how.n_types).astype(float) for x in (start, end)]
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


def _result(
    done: Sequence[tuple[list[dict[str, Any]], dict[str, Any]]], lonely: int, baseline: str,
    method: Method, n_types: int, min_dice: float, shells: int,
) -> PathwayRecords:  # fmt: skip
    records = pd.DataFrame([row for rows, _ in done for row in rows], columns=RECORD_COLUMNS)
    records = records.astype({"AVAL": float, "NVOX": "int64", "FROMTYPE": int, "TOTYPE": int})
    quality = pd.DataFrame([facts for _, facts in done], columns=QUALITY_COLUMNS)
    measures = [*_MEASURES, "NVOX", "OUTFOV", "OUTVIEW"]
    quality = quality.astype(dict.fromkeys(measures, float))
    transport, lost = (int(quality["METHOD"].eq(name).sum()) for name in ("transport", ""))
    notes = []
    if lonely:
        notes.append(f"{lonely} follow-up scan(s) without a labelled baseline: no pathway records")
    if transport and method != "none":
        reasons = quality.loc[quality["METHOD"].eq("transport"), "REASON"].value_counts()
        listed = "; ".join(f"{reason}: {n}" for reason, n in sorted(reasons.items()))
        notes.append(f"{transport} of {len(quality)} pairs by transport ({listed})")
    if lost:
        notes.append(f"{lost} of {len(quality)} pairs with an unreadable scan: no pathway records")
    kept = quality["METHOD"].eq("voxel")
    text = f"{len(quality)} pairs of scans: {int(kept.sum())} by voxel correspondence"
    if kept.any():
        text += (
            f" (median Dice {quality.loc[kept, 'DICE'].median():.3f}, median share of the "
            f"baseline liver out of view {quality.loc[kept, 'OUTVIEW'].median():.1%})"
        )
    text += f", {transport} by transport between compositions, {lost} without records."
    settings = {
        "method": method, "min_dice": min_dice, "shells": shells, "n_types": n_types,
        "baseline": baseline, "n_pairs": len(quality), "n_transport": transport, "n_lost": lost,
    }  # fmt: skip
    return PathwayRecords(
        table=records, quality=quality, text=text, settings=settings, notes=tuple(notes)
    )
