"""What the records of scans have in common, whatever was measured: baseline, order, reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from livertrack.imaging.scan import Source


def with_baseline(
    frame: pd.DataFrame, scans: Sequence[Source], baseline: str | None, *, within: Sequence[str]
) -> pd.DataFrame:
    """Records with ``BASE, CHG, ABLFL``, in the columns of ``frame``, sorted.

    Parameters
    ----------
    baseline : str or None
        AVISIT of the baseline; that of the lowest AVISITN of the scans where None.
    within : sequence of str
        Columns that name what was measured in a subject: the baseline is that of the same.
    """
    numbers = [scan.visit_number for scan in scans if baseline in (None, scan.visit)]
    first = frame["AVISITN"] == (min(numbers) if numbers else float("nan"))
    keys = ["USUBJID", *within]
    base: Mapping[Any, float] = frame[first].set_index(keys)["AVAL"].to_dict()
    own = list(zip(*(frame[key] for key in keys), strict=True))
    columns = list(frame.columns)
    frame = frame.assign(BASE=[base.get(key, float("nan")) for key in own])
    frame["AVAL"] = frame["AVAL"].astype(float)
    frame["CHG"] = (frame["AVAL"] - frame["BASE"]).where(~first)
    frame["ABLFL"] = np.where(first, "Y", "")
    order = ["USUBJID", "AVISITN", *within]
    return frame[columns].sort_values(order, kind="stable").reset_index(drop=True)


def reason_counts(reasons: Sequence[str]) -> pd.DataFrame:
    """``reason, n``, the most frequent first."""
    counts = pd.Series(list(reasons), dtype=object).value_counts()
    frame = counts.rename_axis("reason").reset_index(name="n")
    return frame.sort_values(["n", "reason"], ascending=[False, True], ignore_index=True)
