"""The usual measures of a liver: medians of maps such as fat fraction and R2*, and its volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from livertrack._region_names import region_name
from livertrack._results import Result
from livertrack.dictionary import describe_parameter
from livertrack.errors import DataError, UsageError
from livertrack.imaging._scan_records import reason_counts, with_baseline
from livertrack.imaging.reading import UnusableImage
from livertrack.imaging.regions import WHOLE, Regions, region_voxels
from livertrack.imaging.scan import Source, sources

#: PARAMCD of the liver volume, which needs no image but the mask
VOLUME = "LVOL"
_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "REGION", "PARAMCD", "PARAM", "AVAL", "NVOX", "BASE", "CHG",
    "ABLFL",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MeasureRecords(Result):
    """Result of `measure_records`.

    Attributes
    ----------
    table : DataFrame
        Records (also ``records``), one row per scan, REGION and measure: ``USUBJID, AVISIT,
        AVISITN, REGION`` (blank: whole liver), ``PARAMCD, PARAM, AVAL, NVOX`` (voxels of the
        region), ``BASE, CHG, ABLFL``.
    reasons : DataFrame
        ``reason, n``: scans of a measure without a record, and why.
    """

    reasons: pd.DataFrame = field(default_factory=pd.DataFrame)

    keys: ClassVar[tuple[str, ...]] = ("USUBJID", "AVISIT", "REGION", "PARAMCD", "reason")
    context: ClassVar[str] = "measure_records"

    @property
    def records(self) -> pd.DataFrame:
        """Records: ``table``."""
        return self.table


def measure_records(
    images: pd.DataFrame,
    *,
    measures: Sequence[str] = ("PDFF", "R2STAR"),
    baseline: str | None = None,
    liver_label: int | None = None,
    reference_label: int | None = None,
    vessel_label: int | None = None,
    regions: Regions | None = None,
    workers: int | None = None,
) -> MeasureRecords:
    """Median of maps in the liver, scan by scan.

    Parameters
    ----------
    images : DataFrame
        Rows of ``images.csv`` with absolute paths.
    measures : sequence of str
        Sequences whose maps are measured, each its own PARAMCD, in the unit of the map (PDFF: %,
        R2STAR: 1/s); ``LVOL`` is the volume of the mask, mL.
    baseline : str or None
        AVISIT of the baseline; that of the lowest AVISITN where None.
    liver_label, reference_label, vessel_label : int or None
        Values in MASK (see `read_scan`).
    regions : Regions or None
        Regions besides the whole liver; none where None.
    workers : int or None
        Processes; None leaves it to ``joblib.parallel_config``. Results do not depend on it.

    Returns
    -------
    MeasureRecords

    Raises
    ------
    DataError
        No scan has a measure that is asked for.
    UsageError
        No measures.

    Notes
    -----
    AVAL is the median over the voxels of the region in the mask as it was given: vessels that it
    holds count, and the median is little moved by them. A fat fraction is limited to 0 to 100 %
    after taking the median. Scans that cannot be read, or lack the sequence, have no record and
    are counted in ``reasons``.
    Checked against: hand-made maps (tests/imaging/test_measures.py).
    """
    if not measures:
        msg = "measures: name at least one, e.g. ['PDFF']"
        raise UsageError(msg)
    absent = [m for m in measures if m != VOLUME and m not in set(images["SEQUENCE"])]
    if absent:
        msg = f"images: no row with SEQUENCE {', '.join(absent)}, which measures ask for"
        raise DataError(msg)
    rules = regions or Regions(shells=0)
    labels = {
        "liver_label": liver_label, "reference_label": reference_label,
        "vessel_label": vessel_label,
    }  # fmt: skip
    scans = sources(images, sequences=[m for m in measures if m != VOLUME], **labels)
    spare = _any_image(images)
    work = partial(_one, measures=tuple(measures), rules=rules)
    jobs = (delayed(work)(scan, spare[scan.subject, scan.visit_number]) for scan in scans)
    done = list(Parallel(n_jobs=workers)(jobs))
    rows = [row for found, _ in done for row in found]
    counts = reason_counts([why for _, lost in done for why in lost])
    records = pd.DataFrame(rows, columns=_COLUMNS)
    table = with_baseline(records, scans, baseline, within=["REGION", "PARAMCD"])
    whole = table[table["REGION"].eq(WHOLE)]
    per = [f"{name} in {int(whole['PARAMCD'].eq(name).sum())}" for name in measures]
    return MeasureRecords(
        table=table, reasons=counts, text=f"{', '.join(per)} of {len(scans)} scans.",
        settings={
            "method": "median", "measures": list(measures), "regions": rules.settings(),
            "n_scans": len(scans),
        },
        notes=tuple(f"{row.n} without a record: {row.reason}" for row in counts.itertuples()),
    )  # fmt: skip


def _any_image(images: pd.DataFrame) -> dict[tuple[str, float], Source]:
    """Each scan with whatever image it has: the volume needs a grid, not a certain sequence."""
    return {(source.subject, source.visit_number): source for source in sources(images)}


def _one(
    source: Source, spare: Source, *, measures: tuple[str, ...], rules: Regions
) -> tuple[list[dict[str, Any]], list[str]]:
    """Records of one scan, and why it lacks others."""
    rows: list[dict[str, Any]] = []
    lost = []
    paths = dict(zip(source.sequences, source.images, strict=True))
    for name in measures:
        path = spare.images[0] if name == VOLUME else paths.get(name)
        if path is None:
            lost.append(f"{name}: no such sequence")
            continue
        try:
            one = Source(
                source.subject, source.visit, source.visit_number, (path,), source.mask, (name,),
                source.liver_label, source.reference_label, source.vessel_label,
            ).load()  # fmt: skip
        except UnusableImage as error:
            lost.append(f"{name}: {error.problem}")
            continue
        values = one.volume[0][one.mask].astype(float)
        for region, voxels in region_voxels(one, rules).items():
            if name == VOLUME and region != WHOLE:
                continue
            value = one.volume_ml if name == VOLUME else _median(values[voxels], name)
            rows.append(
                {
                    "USUBJID": source.subject, "AVISIT": source.visit,
                    "AVISITN": source.visit_number, "REGION": region, "PARAMCD": name,
                    "PARAM": _title(name, region), "AVAL": value, "NVOX": int(voxels.sum()),
                }
            )  # fmt: skip
    return rows, lost


def _median(values: Any, name: str) -> float:
    if not len(values):
        return float("nan")
    middle = float(np.median(values))
    return min(max(middle, 0.0), 100.0) if name == "PDFF" else middle


def _title(name: str, region: str) -> str:
    known = describe_parameter(name)
    title, unit = (known.title, known.units[0].unit) if known and known.units else (name, "")
    where = "" if region == WHOLE else f", {region_name(region)}"
    return f"{title}{where}" + (f" ({unit})" if unit else "")
