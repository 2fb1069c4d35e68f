"""Pathway records: which tissue type each piece of the baseline liver has at a follow-up visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from livertrack._results import Result
from livertrack.errors import DataError, ImageError, UsageError
from livertrack.imaging._coupling import count_pairs
from livertrack.imaging._pathway_pairs import MEASURES, Done, How, Method, load, subject_pathways
from livertrack.imaging._transport import least_transport
from livertrack.imaging.atlas import LEAST_DICE, Template
from livertrack.imaging.reading import read_header, read_voxels
from livertrack.imaging.regions import Regions

__all__ = ["PathwayRecords", "count_pairs", "least_transport", "pathway_records"]

RECORD_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "REGION", "FROMTYPE", "TOTYPE", "AVAL", "NVOX", "METHOD",
]  # fmt: skip
QUALITY_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "METHOD", "REASON", *MEASURES, "CONVFL", "NVOX", "OUTFOV",
    "OUTVIEW", "SOFTFL", "CARRIED",
]  # fmt: skip
SEQUENCE_COLUMNS = ["USUBJID", "VISITS", "REGION", "PATH", "AVAL", "NVOX"]
ATLAS_COLUMNS = ["USUBJID", "AVISIT", "AVISITN", "CELL", "FROMTYPE", "TOTYPE", "NVOX"]


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
        follow-up's field of view, and outside its label map: the latter includes the former),
        ``SOFTFL`` (Y: flows from probabilities), ``CARRIED`` (file of the follow-up's types in
        the baseline liver).
    sequences : DataFrame
        Of subjects with several carried visits: ``USUBJID, VISITS, REGION, PATH`` (the types of a
        place at these visits, ``3-1-1``), ``AVAL`` (proportion of the region), ``NVOX``.
    atlas : DataFrame
        With ``atlas=True``: ``USUBJID, AVISIT, AVISITN, CELL`` (of the template liver),
        ``FROMTYPE, TOTYPE, NVOX`` (template voxels). The cells are ``template.cells``.
    template : Template or None
        The template liver of the atlas.
    """

    quality: pd.DataFrame = field(default_factory=pd.DataFrame)
    sequences: pd.DataFrame = field(default_factory=pd.DataFrame)
    atlas: pd.DataFrame = field(default_factory=pd.DataFrame)
    template: Template | None = None

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
    regions: Regions | None = None,
    distances: NDArray[np.floating[Any]] | None = None,
    liver_label: int | None = None,
    reference_label: int | None = None,
    vessel_label: int | None = None,
    maps: str | Path | None = None,
    atlas: bool = False,
    workers: int | None = None,
) -> PathwayRecords:
    """Count, for each follow-up, the baseline liver's voxels by type then and type now.

    Parameters
    ----------
    scans : DataFrame, one row per labelled scan
        ``USUBJID, AVISIT, AVISITN``, ``MAP`` (label map, 1..K in the liver), ``MASK`` and
        ``IMAGES`` or ``IMAGE`` (a path, a list of paths, or a mapping of sequence to path), all on
        one grid per scan. Optionally ``PROBS``, a NIfTI file of the probabilities of the types
        (x, y, z, K) on that grid: where both visits have it, flows are the least change that
        explains both probabilities of each voxel, so that an uncertain voxel is no change.
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
    regions : Regions, optional
        Shells, sectors and bands around vessels of the baseline liver, in place of ``shells``.
    distances : array (K, K), optional
        Distance between types, the cost of turning one into the other without correspondence
        (a vocabulary's ``card["distances"]``); all turns cost the same where absent.
    liver_label, reference_label, vessel_label : int, optional
        Values in MASK.
    maps : path, optional
        Folder for the follow-ups' types in the baseline liver, on the grid of its label map.
    atlas : bool
        Count changes in cells of a template liver too: the baseline liver of median volume.
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
    (each scan's own): an estimate of net exchange, blind to exchanges in both directions.
    Checked against: hand counts (tests/imaging/test_pathways.py).
    """
    _check(scans, method, n_types)
    first = scans[scans["AVISIT"].astype(str).eq(baseline)]
    later = scans[~scans["AVISIT"].astype(str).eq(baseline)].sort_values(["USUBJID", "AVISITN"])
    followed = later["USUBJID"].isin(first["USUBJID"])
    start = {row["USUBJID"]: row for row in first.to_dict("records")}
    how = How(
        n_types, method, min_dice, regions or Regions(shells=shells),
        _cost(distances, n_types), liver_label, reference_label, vessel_label, baseline,
        None if maps is None else Path(maps), None,
    )  # fmt: skip
    jobs = {name: part.to_dict("records") for name, part in later[followed].groupby("USUBJID")}
    if atlas and method != "none":
        how = replace(how, template=_template([start[name] for name in jobs], how))
    work = partial(subject_pathways, how=how)
    done = Parallel(n_jobs=workers)(
        delayed(work)(start[name], rows) for name, rows in jobs.items()
    )
    return _result(done, int((~followed).sum()), how)


def _template(rows: Sequence[Mapping[Any, Any]], how: How) -> Template | None:
    """Baseline liver of median volume among the readable ones; subjects are sorted."""
    sizes = []
    for number, row in enumerate(rows):
        try:
            header = read_header(row["MAP"])
            step = abs(float(np.linalg.det(np.asarray(header.affine)[:3, :3])))
            sizes.append((int((read_voxels(header) > 0).sum()) * step, number))
        except ImageError:
            continue
    for _, number in sorted(sizes)[len(sizes) // 2 :]:
        try:
            return Template.of(load(rows[number], how).scan)
        except ImageError:
            continue
    return None


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


def _result(done: Sequence[Done], lonely: int, how: How) -> PathwayRecords:
    records = _frame([row for d in done for row in d.records], RECORD_COLUMNS)
    records = records.astype({"AVAL": float, "NVOX": "int64", "FROMTYPE": int, "TOTYPE": int})
    quality = _frame([row for d in done for row in d.quality], QUALITY_COLUMNS)
    measures = [*MEASURES, "NVOX", "OUTFOV", "OUTVIEW"]
    quality = quality.astype(dict.fromkeys(measures, float)).fillna({"CONVFL": "", "SOFTFL": ""})
    sequences = _frame([row for d in done for row in d.sequences], SEQUENCE_COLUMNS)
    sequences = sequences.astype({"AVAL": float, "NVOX": "int64"})
    atlas = _frame([row for d in done for row in d.atlas], ATLAS_COLUMNS)
    atlas = atlas.astype(dict.fromkeys(["CELL", "FROMTYPE", "TOTYPE", "NVOX"], "int64"))
    transport, lost = (int(quality["METHOD"].eq(name).sum()) for name in ("transport", ""))
    notes = []
    if lonely:
        notes.append(f"{lonely} follow-up scan(s) without a labelled baseline: no pathway records")
    if transport and how.method != "none":
        reasons = quality.loc[quality["METHOD"].eq("transport"), "REASON"].value_counts()
        listed = "; ".join(f"{reason}: {n}" for reason, n in sorted(reasons.items()))
        notes.append(f"{transport} of {len(quality)} pairs by transport ({listed})")
    if lost:
        notes.append(f"{lost} of {len(quality)} pairs with an unreadable scan: no pathway records")
    if how.template is not None:
        far = sum(not d.dice >= LEAST_DICE for d in done)
        if far:
            notes.append(
                f"{far} of {len(done)} subjects not in the atlas: Dice with the template liver "
                f"below {LEAST_DICE:g}"
            )
    kept = quality["METHOD"].eq("voxel")
    soft = int(quality["SOFTFL"].eq("Y").sum())
    text = f"{len(quality)} pairs of scans: {int(kept.sum())} by voxel correspondence"
    if kept.any():
        text += (
            f" (median Dice {quality.loc[kept, 'DICE'].median():.3f}, median share of the "
            f"baseline liver out of view {quality.loc[kept, 'OUTVIEW'].median():.1%})"
        )
    text += f", {transport} by transport between compositions, {lost} without records."
    settings = {
        "method": how.method, "min_dice": how.min_dice, "shells": how.regions.shells,
        "regions": how.regions.settings(), "n_types": how.n_types,
        "baseline": how.baseline, "n_pairs": len(quality), "n_transport": transport,
        "n_lost": lost, "n_soft": soft, "atlas": how.template is not None,
    }  # fmt: skip
    return PathwayRecords(
        table=records, quality=quality, sequences=sequences, atlas=atlas, template=how.template,
        text=text, settings=settings, notes=tuple(notes),
    )  # fmt: skip


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns)
