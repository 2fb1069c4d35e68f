"""Radiomics: the features of the Image Biomarker Standardisation Initiative, as records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from livertrack._results import Result
from livertrack.imaging._radiomic_shape import shape_features
from livertrack.imaging._radiomic_textures import (
    Family,
    RadiomicRules,
    codes,
    require_library,
    texture_features,
)
from livertrack.imaging._scan_records import reason_counts, with_baseline
from livertrack.imaging.preprocessing import Preparation, _standardised
from livertrack.imaging.quality import box_of
from livertrack.imaging.reading import UnusableImage
from livertrack.imaging.regions import WHOLE, Regions, region_voxels
from livertrack.imaging.scan import Scan, Source, sources

__all__ = ["Family", "RadiomicRecords", "RadiomicRules", "radiomics"]

#: SEQUENCE of features that come from the mask alone
MASK = "MASK"
#: voxels kept around a region for the filters, at least this many millimetres
_MARGIN_MM = 25.0
_COLUMNS = [
    "USUBJID", "AVISIT", "AVISITN", "REGION", "SEQUENCE", "PARAMCD", "PARAM", "AVAL", "NVOX",
    "BASE", "CHG", "ABLFL",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RadiomicRecords(Result):
    """Result of `radiomics`.

    Attributes
    ----------
    table : DataFrame
        Records (also ``records``), one row per scan, REGION, SEQUENCE and feature: ``USUBJID,
        AVISIT, AVISITN, REGION, SEQUENCE, PARAMCD, PARAM, AVAL, NVOX, BASE, CHG, ABLFL``.
        PARAMCD is the picture (R the image itself, L1, L2, ... Laplacians of Gaussian, W1, ...
        wavelet sub-bands) and the four-character code of the IBSI.
    reasons : DataFrame
        ``reason, n``: scans without features, and why.
    """

    reasons: pd.DataFrame = field(default_factory=pd.DataFrame)

    keys: ClassVar[tuple[str, ...]] = (
        "USUBJID", "AVISIT", "REGION", "SEQUENCE", "PARAMCD", "reason",
    )  # fmt: skip
    context: ClassVar[str] = "radiomics"

    @property
    def records(self) -> pd.DataFrame:
        """Records: ``table``."""
        return self.table

    def wide(self, *, value: str = "AVAL", region: str = WHOLE) -> pd.DataFrame:
        """One row per scan and one column per feature, ``SEQUENCE_PARAMCD``, for models."""
        rows = self.table[self.table["REGION"].eq(region)]
        named = rows.assign(NAME=rows["SEQUENCE"] + "_" + rows["PARAMCD"])
        keys = ["USUBJID", "AVISIT", "AVISITN"]
        frame = named.pivot_table(index=keys, columns="NAME", values=value, dropna=False)
        frame = frame.dropna(how="all").rename_axis(columns=None)
        return frame.sort_index(axis=1).reset_index()


def radiomics(
    images: pd.DataFrame | Sequence[Any],
    *,
    rules: RadiomicRules | None = None,
    preparation: Preparation | None = None,
    sequences: Sequence[str] | None = None,
    regions: Regions | None = None,
    baseline: str | None = None,
    liver_label: int | None = None,
    reference_label: int | None = None,
    vessel_label: int | None = None,
    workers: int | None = None,
) -> RadiomicRecords:
    """Shape, first-order and texture features of the liver, scan by scan.

    Parameters
    ----------
    images : DataFrame or sequence of Scan
        Rows of ``images.csv`` with absolute paths, or scans in memory.
    rules : RadiomicRules or None
        Families, grid, grey levels, filters.
    preparation : Preparation or None
        Bias field and scale of intensities; N4 and the reference tissue (or the body, where
        ``reference_label`` is None) by default. Its ``spacing_mm`` and alignment are not used.
    sequences : sequence of str or None
        Channels; all where None.
    regions : Regions or None
        Regions besides the whole liver; none where None.
    baseline : str or None
        AVISIT of the baseline; that of the lowest AVISITN where None.
    liver_label, reference_label, vessel_label : int or None
        Values in MASK (see `read_scan`).
    workers : int or None
        Processes; None leaves it to ``joblib.parallel_config``. Results do not depend on it.

    Returns
    -------
    RadiomicRecords

    Raises
    ------
    UsageError
        mirp is not installed (the extra ``radiomics``); rules that do not fit together.

    Notes
    -----
    Units: lengths mm, areas mm2, volumes mm3; intensities are ratios to the reference tissue or
    to the body (or as they are with ``standardise="none"``); textures have none. Denominator:
    voxels of the region in the mask (NVOX), resampled to ``rules.spacing_mm``. A feature that is
    not defined (textures of a liver of one grey level) is NaN.

    Shape is counted here (two features of the mesh's enclosing ellipsoid, Moran's I and Geary's C
    of the IBSI are left out), the rest by mirp. Features of LoG and wavelet images follow the
    IBSI's second chapter in their filters. A classifier must choose among these features inside
    its folds: see `selected_features`.

    Source: Zwanenburg et al. (2020), Radiology 295:328; Whybra et al. (2024), Radiology
    310:e231319. Checked against: the IBSI's reference values for the digital phantom
    (tests/imaging/test_radiomics.py).
    """
    require_library()
    rules = rules or RadiomicRules()
    rule = "tail" if reference_label is None else "reference"
    how = preparation or Preparation(standardise=rule)  # type: ignore[arg-type]
    where = regions or Regions(shells=0)
    found = sources(
        images, sequences=sequences, liver_label=liver_label, reference_label=reference_label,
        vessel_label=vessel_label,
    )  # fmt: skip
    work = partial(_one, rules=rules, how=how, where=where)
    done = list(Parallel(n_jobs=workers)(delayed(work)(source) for source in found))
    rows = [row for part, _ in done for row in part]
    lost = [why for _, why in done if why]
    reasons = reason_counts(lost)
    records = pd.DataFrame(rows, columns=_COLUMNS)
    table = with_baseline(records, found, baseline, within=["REGION", "SEQUENCE", "PARAMCD"])
    kept = len(found) - len(lost)
    n_features = table.groupby(["SEQUENCE", "PARAMCD"]).ngroups if len(table) else 0
    return RadiomicRecords(
        table=table, reasons=reasons,
        text=f"{n_features} radiomic features of {kept} of {len(found)} scans.",
        settings={
            "method": "IBSI features", "rules": rules.settings(), "regions": where.settings(),
            "bias_field": how.bias_field, "standardise": how.standardise, "n_scans": len(found),
            "n_features": n_features,
        },
        notes=tuple(f"{row.n} without features: {row.reason}" for row in reasons.itertuples()),
    )  # fmt: skip


def _one(
    source: Source, *, rules: RadiomicRules, how: Preparation, where: Regions
) -> tuple[list[dict[str, Any]], str]:
    """Records of one scan, or why it has none."""
    try:
        scan = source.load()
        fixed = how.fixed(len(scan.volume))
        scales, _, volume, _ = _standardised(
            scan.volume.copy(), scan.mask, scan.reference, how, fixed, scan.spacing
        )
    except UnusableImage as error:
        return [], error.problem
    volume = (volume / scales[:, None, None, None]).astype(np.float32)
    names = scan.sequences or tuple(f"CH{k}" for k in range(1, len(volume) + 1))
    rows = []
    for region, inside in region_voxels(scan, where).items():
        mask = np.zeros(scan.mask.shape, bool)
        mask[scan.mask] = inside
        key = {
            "USUBJID": source.subject, "AVISIT": source.visit, "AVISITN": source.visit_number,
            "REGION": region, "NVOX": int(mask.sum()),
        }  # fmt: skip
        for name, letter, code, title, value in _features(scan, volume, mask, names, rules):
            rows.append(key | {
                "SEQUENCE": name, "PARAMCD": letter + code, "PARAM": title, "AVAL": value,
            })  # fmt: skip
    return rows, ""


def _features(
    scan: Scan, volume: Any, mask: Any, names: Sequence[str], rules: RadiomicRules
) -> list[tuple[str, str, str, str, float]]:
    """(SEQUENCE, picture, code, PARAM, value) of one region."""
    margin = int(np.ceil(_MARGIN_MM / min(scan.spacing)))
    box = box_of(mask, margin=margin)
    mask, volume = mask[box], volume[:, *box]
    found = []
    if "shape" in rules.families:
        for channel, name in enumerate(names):
            shape = shape_features(volume[channel], mask, scan.spacing)
            for feature in (f for f in codes(rules, filtered=False) if f.family == "shape"):
                weighed = feature.code == "KLMA"  # the only one with intensities
                if weighed or channel == 0:
                    place = name if weighed else MASK
                    title = f"Shape, {feature.title}"
                    found.append((place, "R", feature.code, title, shape[feature.code]))
    for channel, name in enumerate(names):
        values = texture_features(volume[channel], mask, scan.spacing, rules)
        for picture in rules.pictures():
            of = f", {picture.title}" if picture.title else ""
            for feature in codes(rules, filtered=bool(picture.column)):
                if (picture.letter, feature.code) in values:
                    title = f"{feature.family[0].upper() + feature.family[1:]}, {feature.title}"
                    value = values[picture.letter, feature.code]
                    found.append((name, picture.letter, feature.code, title + of, value))
    return found
