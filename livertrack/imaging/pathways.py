"""Pathway records: which tissue type each piece of the baseline liver has at a follow-up visit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import nibabel as nib
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from livertrack._results import Result
from livertrack.errors import DataError, ImageError, UsageError
from livertrack.imaging.correspondence import carry, register
from livertrack.imaging.regions import WHOLE, capsule_shells
from livertrack.imaging.scan import read_scan

Method = Literal["rigid", "affine", "deformable", "none"]
Counts = NDArray[np.float64]

RECORD_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "REGION", "FROMTYPE", "TOTYPE", "AVAL", "NVOX", "METHOD",
]  # fmt: skip
QUALITY_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "METHOD", "REASON", "DICE", "SURFMM", "CORREL", "JACLOW",
    "JACHIGH", "SHIFTMM", "OUTVIEW",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PathwayRecords(Result):
    """Result of `pathway_records`: ``table`` (also ``records``) and ``quality``, one row a pair."""

    quality: pd.DataFrame = field(default_factory=pd.DataFrame)

    keys: ClassVar[tuple[str, ...]] = ("USUBJID", "AVISIT", "REGION", "FROMTYPE", "TOTYPE")
    context: ClassVar[str] = "pathway_records"

    @property
    def records(self) -> pd.DataFrame:
        """Pathway records: ``table``."""
        return self.table


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
        ``USUBJID, AVISIT, AVISITN``, ``MAP`` (label map), ``MASK`` and ``IMAGES`` (mapping of
        sequence to path), all on one grid per scan.
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
        Distance between types, the cost of turning one into the other without correspondence;
        all turns cost the same where absent.
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

    Notes
    -----
    Denominator: voxels of the baseline region whose place lies in the follow-up's label map;
    the rest is ``OUTVIEW`` (proportion of the baseline liver), counted and left out. Subjects
    without a labelled baseline have no records; the number is in the notes.
    ``transport`` is the flow of least total distance between the two compositions of the region:
    an estimate of net exchange, blind to exchanges in both directions.
    Checked against: hand counts (tests/imaging/test_pathways.py).
    """
    if method not in ("rigid", "affine", "deformable", "none"):
        msg = f"method is rigid, affine, deformable or none; got {method!r}"
        raise UsageError(msg)
    repeated = int(scans.duplicated(["USUBJID", "AVISIT"]).sum())
    if repeated:
        msg = f"scans: {repeated} duplicated subject x visit; give one row per scan"
        raise DataError(msg)
    first = scans[scans["AVISIT"].eq(baseline)].set_index("USUBJID")
    later = scans[~scans["AVISIT"].eq(baseline)].sort_values(["USUBJID", "AVISITN"])
    lonely = int((~later["USUBJID"].isin(first.index)).sum())
    later = later[later["USUBJID"].isin(first.index)]
    cost = np.ones((n_types, n_types)) if distances is None else np.asarray(distances, float)
    cost = cost * (1 - np.eye(n_types))
    read = {"liver_label": liver_label, "reference_label": reference_label}
    pairs = [(first.loc[row["USUBJID"]].to_dict(), row) for row in later.to_dict("records")]
    done = Parallel(n_jobs=workers)(
        delayed(_pair)(one, two, n_types, method, min_dice, shells, cost, read)
        for one, two in pairs
    )
    records = [row for rows, _ in done for row in rows]
    table = pd.DataFrame(records, columns=RECORD_COLUMNS)
    quality = pd.DataFrame([facts for _, facts in done], columns=QUALITY_COLUMNS)
    fallen = int(quality["METHOD"].eq("transport").sum()) if method != "none" else 0
    notes = []
    if lonely:
        notes.append(f"{lonely} follow-up scan(s) have no labelled baseline and no pathway records")
    if fallen:
        notes.append(f"{fallen} of {len(quality)} pairs have no usable correspondence: transport")
    text = f"{len(quality)} pairs of scans, {len(quality) - fallen} by voxel correspondence."
    settings = {
        "method": method, "min_dice": min_dice, "shells": shells, "n_types": n_types,
        "baseline": baseline, "n_pairs": len(quality), "n_transport": fallen,
    }  # fmt: skip
    return PathwayRecords(
        table=table, quality=quality, text=text, settings=settings, notes=tuple(notes)
    )


def least_transport(before: Counts, after: Counts, cost: Counts) -> Counts:
    """Flow (K, K) of least total cost between two compositions (K,) that each sum to one."""
    k = len(before)
    places = np.arange(k * k)
    leaving = coo_array((np.ones(k * k), (places // k, places)), shape=(k, k * k))
    coming = coo_array((np.ones(k * k), (places % k, places)), shape=(k, k * k))
    solved = linprog(
        np.asarray(cost, float).ravel(),
        A_eq=np.vstack([leaving.toarray(), coming.toarray()[:-1]]),
        b_eq=np.concatenate([before, after[:-1]]),
        method="highs",
    )
    flow = np.maximum(solved.x, 0).reshape(k, k)
    return np.asarray(flow / flow.sum(), dtype=float)


def _pair(
    one: Mapping[str, Any], two: Mapping[str, Any], n_types: int, method: Method,
    min_dice: float, shells: int, cost: Counts, read: Mapping[str, Any],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:  # fmt: skip
    scans = [read_scan(list(s["IMAGES"].values()), s["MASK"], **read) for s in (one, two)]
    maps = [np.asarray(nib.load(Path(s["MAP"])).dataobj).astype(np.int16) for s in (one, two)]
    start = maps[0][scans[0].mask]
    facts: dict[str, Any] = {
        "USUBJID": two["USUBJID"], "AVISIT": two["AVISIT"], "AVISITN": two["AVISITN"],
        "METHOD": "transport", "REASON": "",
    }  # fmt: skip
    carried: NDArray[np.int16] | None = None
    if method != "none":
        try:
            found = register(scans[0], scans[1], method=method)
        except ImageError as error:
            facts["REASON"] = str(error)
        else:
            carried, _ = carry(maps[1], scans[1], scans[0], found)
            q = found.quality
            facts |= {
                "DICE": q["dice"], "SURFMM": q["surface_mm"], "CORREL": q["correlation"],
                "JACLOW": q["jacobian_low"], "JACHIGH": q["jacobian_high"],
                "SHIFTMM": q["shift_mm"], "OUTVIEW": float((carried == 0).mean()),
            }  # fmt: skip
            if q["dice"] < min_dice:
                facts["REASON"] = f"Dice below {min_dice:g}"
                carried = None
    if carried is not None:
        facts["METHOD"] = "voxel"
    shell_maps = [capsule_shells(s.mask, s.spacing, shells)[s.mask] for s in scans]
    rows: list[dict[str, Any]] = []
    for number in range(shells + 1):
        here = [shell == number if number else np.ones(len(shell), bool) for shell in shell_maps]
        if carried is not None:
            seen = here[0] & (carried > 0) & (start > 0)
            pairs = (start[seen] - 1) * n_types + carried[seen] - 1
            flow = np.bincount(pairs, minlength=n_types**2).reshape(n_types, n_types)
            total = int(flow.sum())
        else:
            end = maps[1][scans[1].mask]
            parts = [
                np.bincount(labels[inside] - 1, minlength=n_types)
                for labels, inside in ((start, here[0]), (end, here[1]))
            ]
            total = int(parts[0].sum())
            flow = np.zeros((n_types, n_types))
            if all(part.sum() for part in parts):
                flow = least_transport(*(part / part.sum() for part in parts), cost) * total
        if not total or not flow.sum():
            continue
        rows += _rows(flow / flow.sum(), total, WHOLE if not number else f"SHELL{number}", facts)
    return rows, facts


def _rows(
    flow: Counts, total: int, region: str, facts: Mapping[str, Any]
) -> Iterable[dict[str, Any]]:
    head = {name: facts[name] for name in ("USUBJID", "AVISIT", "AVISITN", "METHOD")}
    k = len(flow)
    return (
        {**head, "REGION": region, "FROMTYPE": i + 1, "TOTYPE": j + 1, "AVAL": float(flow[i, j]),
         "NVOX": total}
        for i in range(k)
        for j in range(k)
    )  # fmt: skip
