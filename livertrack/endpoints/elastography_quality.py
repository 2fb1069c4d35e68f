"""MR elastography examinations: how many are diagnostic, and who has to decide."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import pandas as pd

from livertrack._elastography_records import FLAG, PROBABILITY, REASON
from livertrack.endpoints._checks import require_columns, require_unique
from livertrack.endpoints.scan_quality import ScanQuality, scan_quality


@dataclass(frozen=True, kw_only=True)
class ElastographyQuality(ScanQuality):
    """Result of `elastography_quality`; the frames of `ScanQuality`, of examinations."""

    context: ClassVar[str] = "elastography_quality"


def elastography_quality(records: pd.DataFrame, *, arm: str = "TRT01P") -> ElastographyQuality:
    """Count MR elastography examinations that were judged, and those left out.

    Parameters
    ----------
    records : DataFrame
        BDS records of ``MREQC`` (AVAL 1 diagnostic, 0 not, missing undecided) and, where known,
        ``MREQCP`` (probability): ``USUBJID, AVISIT, PARAMCD, AVAL`` and ``arm``. Other records
        are ignored.
    arm : str
        Column of the arm.

    Returns
    -------
    ElastographyQuality
        As `scan_quality`: ``n_scans`` (judged examinations), ``n_analysed, n_excluded``; undecided
        examinations are analysed and counted as a flag; ``measures`` describes MREQCP.

    Notes
    -----
    Denominator: examinations with a record of MREQC; `livertrack.read_study` leaves the stiffness
    of excluded ones out. Checked against: hand-worked cases
    (tests/endpoints/test_elastography_quality.py).
    """
    require_columns(records, ["USUBJID", "AVISIT", "PARAMCD", "AVAL", arm], name="records")
    judged = records[records["PARAMCD"].eq(FLAG)]
    require_unique(judged, ["USUBJID", "AVISIT"], name=FLAG)
    known = records[records["PARAMCD"].eq(PROBABILITY)]
    value = known.drop_duplicates(["USUBJID", "AVISIT"]).set_index(["USUBJID", "AVISIT"])["AVAL"]
    keys = pd.MultiIndex.from_frame(judged[["USUBJID", "AVISIT"]].astype(object))
    value.index = pd.MultiIndex.from_tuples(value.index.tolist(), names=keys.names)
    bad, open_ = judged["AVAL"].eq(0), judged["AVAL"].isna()
    scans = judged[["USUBJID", "AVISIT", arm]].assign(
        SCANFL=bad.map({True: "N", False: "Y"}), REASON=bad.map({True: REASON, False: ""}),
        FLAGS=open_.map({True: "undecided", False: ""}),
        MREQCP=value.reindex(keys).to_numpy(float),
    )  # fmt: skip
    found = scan_quality(scans, arm=arm, measures=[PROBABILITY])
    undecided = int(open_.sum())
    text = found.text.replace(
        " scans were analysed", " MR elastography examinations were analysed"
    )
    text += f" {undecided} were undecided and kept." if undecided else ""
    kept = {f.name: getattr(found, f.name) for f in fields(found)}
    settings = {**found.settings, "method": "counts of examinations"}
    return ElastographyQuality(**{**kept, "text": text, "settings": settings})
