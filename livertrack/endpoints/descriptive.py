"""What was there: subjects and scans by arm, baseline values, records by arm and visit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
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
from livertrack.endpoints.disposition import Disposition, disposition
from livertrack.errors import UsageError

__all__ = [
    "BaselineTable",
    "Disposition",
    "SignatureSummary",
    "baseline_table",
    "disposition",
    "signature_summary",
]

TOTAL = "Total"


@dataclass(frozen=True, kw_only=True)
class BaselineTable(Result):
    """Baseline characteristics; see `baseline_table` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("variable", "arm", "level", "label", "kind")
    context: ClassVar[str] = "baseline_table"


def baseline_table(
    adsl: pd.DataFrame,
    *,
    columns: Sequence[str],
    arm: str = "TRT01P",
    subject: str = "USUBJID",
    records: pd.DataFrame | None = None,
    parameters: Sequence[str] | None = None,
    baseline: str = "Baseline",
    categorical: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
) -> BaselineTable:
    """Summarise baseline characteristics by arm and in total.

    Parameters
    ----------
    adsl : DataFrame, one row per subject
        The population that is described (select it first).
    columns : sequence of str
        Columns of ``adsl``: numbers are continuous, text, booleans and categories are counted.
    arm, subject : str
        Columns of arm and subject.
    records : DataFrame, optional
        BDS records (``PARAMCD, PARAM, AVISIT, AVAL``, optionally ``REGION, ABLFL``). The baseline
        value of a parameter is its record with ABLFL = "Y", or at visit ``baseline`` for a
        parameter without any such flag; of the whole liver (blank REGION).
    parameters : sequence of str, optional
        PARAMCD of ``records`` to add; all otherwise. In the unit of AVAL.
    baseline : str
        AVISIT of baseline.
    categorical : sequence of str
        Numeric columns or parameters to count instead (scores, stages).
    labels : mapping, optional
        What to call a column of ``adsl``; otherwise its name. Parameters are called by PARAM.

    Returns
    -------
    BaselineTable
        ``.table``: one row per variable and arm (``kind`` = continuous) or variable, level and arm
        (``kind`` = categorical); the arm "Total" comes last - ``variable, label, kind, level, arm,
        n, missing, mean, sd, median, q1, q3, min, max, count, percent``.

    Notes
    -----
    Denominator: ``n`` is the number of subjects of the arm with a value, ``missing`` those
    without; ``percent`` = 100 count / n. Subjects without an arm are in no column and
    counted in the notes. Quartiles interpolate linearly (R's type 7; SAS's default differs).
    There are no tests: in a randomised trial a baseline difference is chance. An arm without
    values has NaN and n = 0.

    Source: CONSORT 2010, item 15.
    Checked against: R 4.2.2 ``mean, sd, quantile, table`` (tests/reference/descriptive.R).
    """
    require_columns(adsl, [subject, arm, *columns], name="adsl")
    require_unique(adsl, [subject], name="adsl")
    _require_no_total(adsl[arm], arm)
    frame = adsl[[subject, arm]].reset_index(drop=True)
    titles = {name: (labels or {}).get(name, name) for name in columns}
    values = {name: adsl[name].reset_index(drop=True) for name in columns}
    for code, label, series in _baseline_records(records, parameters, baseline, subject):
        if code in values:
            msg = f"{code} is a column of adsl and a PARAMCD of the records; rename one of them"
            raise UsageError(msg)
        values[code], titles[code] = frame[subject].map(series), label
    unknown = sorted(set(categorical) - set(values))
    if unknown:
        msg = f"categorical names no column or parameter: {', '.join(unknown)}"
        raise UsageError(msg)
    arms = _all_levels(frame[arm])
    groups = {str(level): (frame[arm] == level).to_numpy() for level in arms}
    groups[TOTAL] = frame[arm].notna().to_numpy()
    rows: list[dict[str, Any]] = []
    for name, series in values.items():
        head = {"variable": name, "label": titles[name]}
        if name in categorical or not _is_continuous(series):
            rows += [{**head, **row} for row in _counts(series, groups)]
        else:
            held = numeric(pd.DataFrame({name: series}), name, name="adsl")
            rows += [
                {**head, "kind": "continuous", "level": "", "arm": level, **_moments(held[inside])}
                for level, inside in groups.items()
            ]
    missing = int(frame[arm].isna().sum())
    sizes = ", ".join(f"{level} {int(inside.sum())}" for level, inside in groups.items())
    return BaselineTable(
        table=pd.DataFrame(rows, columns=_BASELINE_COLUMNS),
        text=f"Baseline of {int(groups[TOTAL].sum())} subjects ({sizes}).",
        settings={
            "method": "descriptive; quartiles of type 7", "arm": arm, "baseline": baseline,
            "variables": list(values),
            "sizes": {level: int(inside.sum()) for level, inside in groups.items()},
        },
        notes=(f"{missing} subject(s) have no {arm} and are left out",) if missing else (),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SignatureSummary(Result):
    """Means by arm and visit; see `signature_summary` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = (
        "parameter", "arm", "visit", "region", "variable", "label",
    )  # fmt: skip
    context: ClassVar[str] = "signature_summary"


def signature_summary(
    records: pd.DataFrame,
    *,
    arm: str = "TRT01P",
    subject: str = "USUBJID",
    parameters: Sequence[str] | None = None,
    conf_level: float = 0.95,
) -> SignatureSummary:
    """Summarise records by arm, visit, parameter and region.

    Parameters
    ----------
    records : DataFrame, one row per subject, visit, parameter and region
        BDS records: ``subject, arm, PARAMCD, AVISIT, AVAL``, optionally ``PARAM, AVISITN, REGION,
        CHG``. Proportions are 0 to 1.
    arm, subject : str
        Columns of arm and subject.
    parameters : sequence of str, optional
        PARAMCD to keep, in this order; all otherwise.
    conf_level : float
        Coverage of the t interval of the mean.

    Returns
    -------
    SignatureSummary
        ``.table``: one row per parameter, region, variable (AVAL, CHG), visit and arm -
        ``parameter, label, region, variable, visit, visit_number, arm, n, n_missing, mean, sd,
        std_error, conf_low, conf_high, median, min, max``, in the unit of AVAL.

    Notes
    -----
    Denominator: ``n`` is the number of subjects with a value; ``n_missing`` those with a record
    but no value. A subject without a record is in neither. CHG has no rows at visits where
    nobody has one. One subject gives a mean without SD and limits; records without an arm are
    left out and counted in the notes. The t interval treats subjects as independent and is not
    cut at 0 or 1.

    Checked against: R 4.2.2 ``t.test`` (tests/reference/descriptive.R).
    """
    require_columns(records, [subject, arm, "PARAMCD", "AVISIT", "AVAL"], name="records")
    require_conf_level(conf_level)
    data = records.assign(REGION=_text_column(records, "REGION"))
    require_unique(data, [subject, "PARAMCD", "AVISIT", "REGION"], name="records")
    unassigned = int(data[arm].isna().sum())
    data = data[data[arm].notna()]
    codes = list(parameters) if parameters is not None else ordered_levels(data["PARAMCD"])
    lost = [code for code in codes if code not in set(data["PARAMCD"])]
    if lost:
        msg = f"parameters without a record: {', '.join(lost)}"
        raise UsageError(msg)
    held = {name: numeric(data, name, name="records") for name in ("AVAL", "CHG") if name in data}
    visits, arms = _visits(data), ordered_levels(data[arm])
    by_cell = data.reset_index(drop=True).groupby(
        ["PARAMCD", "REGION", "AVISIT", arm], observed=True, sort=False
    )
    place = by_cell.indices
    titles = _titles(data)
    regions = sorted(data["REGION"].unique())
    rows = []
    for code in codes:
        for region in regions:
            for variable, values in held.items():
                for visit, number in visits:
                    cells = [place.get((code, region, visit, level)) for level in arms]
                    found = [values[cell] for cell in cells if cell is not None]
                    if not found or (variable == "CHG" and np.isnan(np.concatenate(found)).all()):
                        continue
                    head = {
                        "parameter": code, "label": titles.get(str(code), str(code)),
                        "region": region, "variable": variable, "visit": visit,
                        "visit_number": number,
                    }  # fmt: skip
                    rows += [
                        {**head, "arm": level, **_summary(values[cell], conf_level)}
                        for level, cell in zip(arms, cells, strict=True)
                        if cell is not None
                    ]
    table = pd.DataFrame(rows, columns=_SUMMARY_COLUMNS)
    note = (f"{unassigned} record(s) have no {arm} and are left out",) if unassigned else ()
    return SignatureSummary(
        table=table,
        text=f"{len(codes)} parameters of {data[subject].nunique()} subjects at "
        f"{len(visits)} visits, mean with {100 * conf_level:g} % t interval.",
        settings={"method": "mean, t interval", "arm": arm, "conf_level": conf_level,
                  "parameters": codes},
        notes=note,
    )  # fmt: skip


_BASELINE_COLUMNS = [
    "variable", "label", "kind", "level", "arm", "n", "missing",
    "mean", "sd", "median", "q1", "q3", "min", "max", "count", "percent",
]  # fmt: skip
_SUMMARY_COLUMNS = [
    "parameter", "label", "region", "variable", "visit", "visit_number", "arm", "n", "n_missing",
    "mean", "sd", "std_error", "conf_low", "conf_high", "median", "min", "max",
]  # fmt: skip

Vector = NDArray[np.float64]


def _baseline_records(
    records: pd.DataFrame | None, parameters: Sequence[str] | None, baseline: str, subject: str
) -> Iterator[tuple[str, str, pd.Series]]:
    """PARAMCD, label and baseline value by subject of every parameter."""
    if records is None:
        return
    require_columns(records, [subject, "PARAMCD", "AVISIT", "AVAL"], name="records")
    whole = records[_text_column(records, "REGION") == ""]
    for code in parameters if parameters is not None else ordered_levels(whole["PARAMCD"]):
        rows = whole[whole["PARAMCD"] == code]
        flagged = rows["ABLFL"].eq("Y") if "ABLFL" in rows else pd.Series(False, index=rows.index)
        rows = rows[flagged] if flagged.any() else rows[rows["AVISIT"].eq(baseline)]
        require_unique(rows, [subject], name=f"baseline records of {code}")
        named = rows["PARAM"].dropna() if "PARAM" in rows else rows["PARAMCD"].iloc[:0]
        label = str(named.iloc[0]) if len(named) else str(code)
        yield str(code), label, rows.set_index(subject)["AVAL"]


def _counts(series: pd.Series, groups: dict[str, NDArray[np.bool_]]) -> Iterator[dict[str, Any]]:
    """One row per level and arm."""
    for level in _all_levels(series):
        hit = (series == level).to_numpy()
        for name, inside in groups.items():
            n = int(series[inside].notna().sum())
            count = int((hit & inside).sum())
            yield {
                "kind": "categorical", "level": _level_name(level), "arm": name, "n": n,
                "missing": int(inside.sum()) - n, "count": float(count),
                "percent": 100 * count / n if n else math.nan,
            }  # fmt: skip


def _moments(values: Vector) -> dict[str, float]:
    seen = values[~np.isnan(values)]
    n = len(seen)
    row: dict[str, float] = {"n": n, "missing": len(values) - n}
    names = ("min", "q1", "median", "q3", "max")
    quantiles = np.quantile(seen, [0, 0.25, 0.5, 0.75, 1]) if n else np.full(5, math.nan)
    row["mean"] = float(seen.mean()) if n else math.nan
    row["sd"] = float(seen.std(ddof=1)) if n > 1 else math.nan
    return row | dict(zip(names, map(float, quantiles), strict=True))


def _summary(values: Vector, conf_level: float) -> dict[str, float]:
    row = _moments(values)
    n = int(row["n"])
    error = row["sd"] / math.sqrt(n) if n > 1 else math.nan
    half = float(student.ppf((1 + conf_level) / 2, n - 1)) * error if n > 1 else math.nan
    return {
        "n": n, "n_missing": row["missing"], "mean": row["mean"], "sd": row["sd"],
        "std_error": error, "conf_low": row["mean"] - half, "conf_high": row["mean"] + half,
        "median": row["median"], "min": row["min"], "max": row["max"],
    }  # fmt: skip


def _visits(data: pd.DataFrame) -> list[tuple[Any, float]]:
    """Visits in order: of the categories, else of AVISITN, else of the names."""
    names = ordered_levels(data["AVISIT"])
    if "AVISITN" not in data:
        return [(name, float(place)) for place, name in enumerate(names)]
    numbers = data.groupby("AVISIT", observed=True)["AVISITN"].min()
    if not isinstance(data["AVISIT"].dtype, pd.CategoricalDtype):
        names = sorted(names, key=lambda name: (numbers[name], str(name)))
    return [(name, float(numbers[name])) for name in names]


def _titles(data: pd.DataFrame) -> dict[str, str]:
    if "PARAM" not in data:
        return {}
    first = data.dropna(subset=["PARAM"]).groupby("PARAMCD", observed=True)["PARAM"].first()
    return {str(code): str(title) for code, title in first.items()}


def _all_levels(column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.categories)
    return sorted(column.dropna().unique().tolist())


def _is_continuous(series: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series)


def _level_name(level: Any) -> str:
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)


def _text_column(frame: pd.DataFrame, column: str) -> pd.Series:
    if column not in frame:
        return pd.Series("", index=frame.index)
    return frame[column].astype(object).where(frame[column].notna(), "")


def _require_no_total(column: pd.Series, arm: str) -> None:
    if TOTAL in set(map(str, column.dropna().unique())):
        msg = f"{arm} has an arm named {TOTAL!r}, the name of the column over all arms; rename it"
        raise UsageError(msg)
