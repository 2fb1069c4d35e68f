"""How common each tissue type is, in which part of the liver, at which visit; arms pooled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from livertrack._results import Result
from livertrack.endpoints._checks import (
    numeric,
    ordered_levels,
    require_columns,
    require_conf_level,
    require_unique,
)
from livertrack.errors import UsageError

Floats = NDArray[np.float64]
_TABLE = [
    "parameter", "visit", "region", "n", "n_present", "mean", "sd", "conf_low", "conf_high",
    "median", "minimum", "maximum", "difference", "difference_low", "difference_high",
]  # fmt: skip
_PLACES = ["parameter", "cell", "n", "mean"]


@dataclass(frozen=True, kw_only=True)
class TypeAtlas(Result):
    """Where tissue types are; see `type_atlas`.

    Attributes
    ----------
    table : DataFrame
        Shares by type, visit and region.
    places : DataFrame
        Shares at baseline by type and cell of the template liver.
    """

    places: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("parameter", "visit", "region", "cell")
    context: ClassVar[str] = "type_atlas"


def type_atlas(
    records: pd.DataFrame,
    *,
    cells: pd.DataFrame | None = None,
    present: float = 0.01,
    subject: str = "USUBJID",
    conf_level: float = 0.95,
) -> TypeAtlas:
    """Summarise the share of each tissue type by visit, region and place, over all arms.

    Parameters
    ----------
    records : DataFrame, one row per subject, visit, region and type
        Signature records ``subject, PARAMCD, AVISIT, REGION, AVAL`` (proportion, 0 to 1).
    cells : DataFrame, optional
        ``adatlas``: ``subject, AVISITN, CELL, FROMTYPE, NVOX``, of which the types at baseline
        are taken, each subject from its first follow-up.
    present : float
        Least share at which a subject is said to have the type.
    conf_level : float
        Coverage of the t intervals.

    Returns
    -------
    TypeAtlas
        ``.table``: ``parameter, visit, region`` (blank: whole liver), ``n, n_present, mean, sd,
        conf_low, conf_high, median, minimum, maximum`` of the share, and of the paired
        ``difference`` of region and whole liver with ``difference_low, difference_high``
        (missing for the whole liver). ``.places``: ``parameter, cell, n, mean``.

    Notes
    -----
    Denominator: ``n`` is the number of subjects with a value; of ``places``, the subjects with
    voxels in the cell. Arms are pooled: after baseline the means depend on how many subjects each
    arm has. One subject has no SD and no limits. t intervals are not cut at 0 or 1.
    Checked against: R 4.2.2 ``t.test`` (tests/reference/type_correlation.R) and hand-worked cells
    (tests/endpoints/test_type_atlas.py).
    """
    require_columns(records, [subject, "PARAMCD", "AVISIT", "AVAL"], name="records")
    require_conf_level(conf_level)
    if not 0 < present < 1:
        msg = f"present is a proportion between 0 and 1, got {present}"
        raise UsageError(msg)
    data = records.assign(AVAL=numeric(records, "AVAL", name="records"))
    data["REGION"] = records["REGION"].fillna("") if "REGION" in records else ""
    require_unique(data, [subject, "PARAMCD", "AVISIT", "REGION"], name="records")
    data = data.sort_values(subject, kind="stable")
    rows: list[dict[str, Any]] = []
    codes, visits = sorted(data["PARAMCD"].unique()), ordered_levels(data["AVISIT"])
    held = {
        (str(code), str(visit)): part.pivot_table(
            index=subject, columns="REGION", values="AVAL", observed=True, dropna=False
        )
        for (code, visit), part in data.groupby(["PARAMCD", "AVISIT"], observed=True)
    }
    for code in codes:
        for visit in visits:
            wide = held.get((code, visit))
            if wide is None:
                continue
            for region in sorted(wide.columns):
                values = wide[region]
                rows.append({
                    "parameter": code, "visit": visit, "region": region,
                    **_summary(values, present, conf_level),
                    **_paired(values, wide.get("") if region else None, conf_level),
                })  # fmt: skip
    table = pd.DataFrame(rows, columns=_TABLE)
    return TypeAtlas(
        table=table, places=_places(cells, subject),
        text=f"{len(codes)} tissue types of {data[subject].nunique()} subjects at "
        f"{len(visits)} visit{'s' if len(visits) != 1 else ''}, all arms together.",
        settings={
            "method": "mean, t interval; paired differences of region and whole liver",
            "conf_level": conf_level, "present": present, "parameters": codes,
            "n_subjects": int(data[subject].nunique()),
        },
    )  # fmt: skip


def _summary(values: pd.Series, present: float, conf_level: float) -> dict[str, float]:
    seen = values.dropna().to_numpy(float)
    mean, sd, low, high = _mean(seen, conf_level)
    middle = [float(f(seen)) if len(seen) else math.nan for f in (np.median, np.min, np.max)]
    return {
        "n": len(seen), "n_present": int((seen >= present).sum()), "mean": mean, "sd": sd,
        "conf_low": low, "conf_high": high, "median": middle[0], "minimum": middle[1],
        "maximum": middle[2],
    }  # fmt: skip


def _paired(values: pd.Series, whole: pd.Series | None, conf_level: float) -> dict[str, float]:
    seen = np.array([]) if whole is None else (values - whole).dropna().to_numpy(float)
    mean, _, low, high = _mean(seen, conf_level)
    return {"difference": mean, "difference_low": low, "difference_high": high}


def _mean(seen: Floats, conf_level: float) -> tuple[float, float, float, float]:
    n = len(seen)
    if not n:
        return (math.nan,) * 4
    mean = float(seen.mean())
    if n < 2:
        return mean, math.nan, math.nan, math.nan
    sd = float(seen.std(ddof=1))
    half = float(student.ppf((1 + conf_level) / 2, n - 1)) * sd / math.sqrt(n)
    return mean, sd, mean - half, mean + half


def _places(cells: pd.DataFrame | None, subject: str) -> pd.DataFrame:
    """Mean share of each type in each cell at baseline, over subjects with voxels there."""
    if cells is None or cells.empty:
        return pd.DataFrame(columns=_PLACES)
    require_columns(cells, [subject, "AVISITN", "CELL", "FROMTYPE", "NVOX"], name="adatlas")
    first = cells.groupby(subject)["AVISITN"].transform("min")
    rows = cells[cells["AVISITN"].eq(first)]
    counts = rows.pivot_table(
        index=[subject, "CELL"], columns="FROMTYPE", values="NVOX", aggfunc="sum", fill_value=0
    ).astype(float)
    counts = counts[counts.sum(axis=1) > 0].sort_index()
    shares = counts.div(counts.sum(axis=1), axis=0)
    found = shares.groupby(level="CELL").mean()
    n = shares.groupby(level="CELL").size()
    return pd.DataFrame(
        [
            {"parameter": f"TV{int(kind):02d}", "cell": int(cell), "n": int(n[cell]),
             "mean": float(found.loc[cell, kind])}
            for kind in found.columns for cell in found.index
        ],
        columns=_PLACES,
    )  # fmt: skip
