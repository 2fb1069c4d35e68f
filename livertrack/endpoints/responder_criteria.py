"""From records to responders: one yes/no per subject and the reason where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import numeric, require_columns, require_unique
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True)
class Criterion:
    """One condition on one parameter at the visit; several are joined by *and*.

    ``measure`` is the value (AVAL), the change (CHG), the change in percent of baseline (PCHG) or
    the baseline itself (BASE), in the unit of the parameter; met when <= ``below`` and
    >= ``above`` (whichever is given).
    """

    parameter: str
    measure: Literal["AVAL", "CHG", "PCHG", "BASE"] = "AVAL"
    below: float | None = None
    above: float | None = None

    def __post_init__(self) -> None:
        if self.measure not in ("AVAL", "CHG", "PCHG", "BASE"):
            msg = f"criterion on {self.parameter}: unknown measure {self.measure!r}"
            raise UsageError(msg)
        if self.below is None and self.above is None:
            msg = f"criterion on {self.parameter}: give below or above"
            raise UsageError(msg)


def derive_responders(
    records: pd.DataFrame,
    *,
    criteria: Sequence[Criterion],
    visit: str,
    subjects: pd.DataFrame | None = None,
    eligible: Sequence[Criterion] = (),
    subject: str = "USUBJID",
) -> pd.DataFrame:
    """Whether each subject meets all ``criteria`` at ``visit``.

    Parameters
    ----------
    records : DataFrame, BDS
        ``USUBJID, PARAMCD, AVISIT, AVAL, BASE`` of the parameters of the criteria.
    criteria : sequence of Criterion
        All must be met.
    visit : str
        Level of AVISIT.
    subjects : DataFrame, optional
        One row per subject who must get an answer (the population); its columns are kept. By
        default the subjects of ``records``.
    eligible : sequence of Criterion
        Conditions, usually on BASE, without which a subject is not in the denominator at all.

    Returns
    -------
    DataFrame, one row per eligible subject
        The columns of ``subjects``, ``RESPONSE`` (1, 0, NaN where unknown) and ``REASON`` (blank;
        "no record at visit"; "no baseline").

    Notes
    -----
    A criterion that fails decides (0) even where another is unknown; otherwise an unknown one
    makes the response unknown. Count the unknown as non-responders with
    ``risk_difference(..., missing="non-responder")``. An ``eligible`` condition that is unknown
    (no baseline biopsy) excludes the subject; the count is in ``.attrs["not_eligible"]``.
    PCHG is unknown where BASE is 0.
    """
    require_columns(records, [subject, "PARAMCD", "AVISIT", "AVAL", "BASE"], name="records")
    if not criteria:
        msg = "criteria: give at least one Criterion"
        raise UsageError(msg)
    wanted = sorted({c.parameter for c in (*criteria, *eligible)})
    used = records[records["PARAMCD"].isin(wanted)]
    absent = sorted(set(wanted) - set(used["PARAMCD"].unique()))
    if absent:
        msg = (
            f"records: no PARAMCD {', '.join(absent)} in {len(records)} record(s); "
            "the criteria need it"
        )
        raise DataError(msg)
    at_visit = used[used["AVISIT"] == visit]
    require_unique(at_visit, [subject, "PARAMCD"], name=f"records at {visit}")
    if subjects is None:
        subjects = pd.DataFrame({subject: sorted(records[subject].unique())})
    require_unique(subjects, [subject], name="subjects")
    ids = subjects[subject]
    baseline = used.dropna(subset=["BASE"]).drop_duplicates([subject, "PARAMCD"])
    frames = {
        name: (
            at_visit[at_visit["PARAMCD"] == name].set_index(subject),
            baseline[baseline["PARAMCD"] == name].set_index(subject)["BASE"],
        )
        for name in wanted
    }
    met = np.column_stack([_met(c, *frames[c.parameter], ids) for c in criteria])
    response = np.where((met == 0).any(axis=1), 0.0, met.min(axis=1))
    no_visit = np.column_stack(
        [~ids.isin(frames[c.parameter][0]["AVAL"].dropna().index) for c in criteria]
    ).any(axis=1)
    reason = np.where(
        ~np.isnan(response), "", np.where(no_visit, "no record at visit", "no baseline")
    )
    result = subjects.assign(RESPONSE=response, REASON=reason)
    keep = np.ones(len(result), dtype=bool)
    for c in eligible:
        keep &= _met(c, *frames[c.parameter], ids) == 1
    result = result[keep].reset_index(drop=True)
    result.attrs["not_eligible"] = int((~keep).sum())
    return result


def pdff_response(
    records: pd.DataFrame, *, visit: str, subjects: pd.DataFrame | None = None,
    drop: float = 30.0, parameter: str = "PDFF",
) -> pd.DataFrame:  # fmt: skip
    """Fat fraction down by at least ``drop`` percent of its baseline (see `derive_responders`)."""
    criteria = [Criterion(parameter, "PCHG", below=-drop)]
    return derive_responders(records, criteria=criteria, visit=visit, subjects=subjects)


def nas_improvement(
    records: pd.DataFrame, *, visit: str, subjects: pd.DataFrame | None = None, points: float = 2,
) -> pd.DataFrame:  # fmt: skip
    """NAS down by at least ``points`` without a worse fibrosis stage (see `derive_responders`)."""
    criteria = [Criterion("NAS", "CHG", below=-points), Criterion("FIBROSIS", "CHG", below=0)]
    return derive_responders(records, criteria=criteria, visit=visit, subjects=subjects)


def nash_resolution(
    records: pd.DataFrame, *, visit: str, subjects: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """No NASH at ``visit`` and no worse fibrosis stage, among subjects with NASH at baseline."""
    criteria = [Criterion("NASH", "AVAL", below=0), Criterion("FIBROSIS", "CHG", below=0)]
    return derive_responders(
        records, criteria=criteria, visit=visit, subjects=subjects,
        eligible=[Criterion("NASH", "BASE", above=1)],
    )  # fmt: skip


def _met(
    criterion: Criterion, at_visit: pd.DataFrame, baseline: pd.Series, ids: pd.Series
) -> np.ndarray:
    """1 met, 0 not met, NaN unknown, in the order of ``ids``."""
    value = pd.Series(numeric(at_visit, "AVAL"), index=at_visit.index).reindex(ids)
    base = pd.to_numeric(baseline).reindex(ids)
    measured = {
        "AVAL": value,
        "BASE": base,
        "CHG": value - base,
        "PCHG": 100 * (value - base) / base.where(base != 0),
    }[criterion.measure].to_numpy(float)
    slack = 1e-9  # a change computed in floating point may miss its limit by a rounding error
    result = np.ones(len(ids))
    if criterion.below is not None:
        result[~(measured <= criterion.below + slack)] = 0
    if criterion.above is not None:
        result[~(measured >= criterion.above - slack)] = 0
    result[np.isnan(measured)] = np.nan
    return result
