"""Counts of responders per arm and stratum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import (
    numeric,
    ordered_levels,
    require_columns,
    require_level,
    require_unique,
)
from livertrack.endpoints._strata import stratum_numbers
from livertrack.errors import DataError, UsageError

Floats = NDArray[np.float64]
Missing = Literal["drop", "non-responder"]


@dataclass(frozen=True)
class Counts:
    """Responders and subjects of two arms, one element per stratum."""

    x1: Floats
    n1: Floats
    x0: Floats
    n0: Floats

    @property
    def both(self) -> Counts:
        """Strata with subjects in both arms."""
        keep = (self.n1 > 0) & (self.n0 > 0)
        return Counts(self.x1[keep], self.n1[keep], self.x0[keep], self.n0[keep])


@dataclass(frozen=True)
class Responses:
    """Subjects with a known (or imputed) response; notes count the others."""

    data: pd.DataFrame
    response: Floats
    missing: dict[str, int]
    imputed: dict[str, int]
    notes: tuple[str, ...]


def responses(
    data: pd.DataFrame,
    *,
    response: str,
    arm: str,
    strata: list[str],
    missing: Missing,
    subject: str = "USUBJID",
) -> Responses:
    """Rows with arm and strata present and the response as 0 or 1.

    A missing response is dropped or becomes 0 (non-responder imputation); both are counted per
    arm and in the notes.
    """
    if missing not in ("drop", "non-responder"):
        msg = f"missing is 'drop' or 'non-responder', got {missing!r}"
        raise UsageError(msg)
    require_columns(data, [response, arm, *strata])
    if subject in data.columns:
        require_unique(data, [subject])
    placed = data[[arm, *strata]].notna().all(axis=1).to_numpy()
    kept = data[placed]
    values = numeric(kept.assign(**{response: kept[response].astype("object")}), response)
    bad = int((~np.isnan(values) & (values != 0) & (values != 1)).sum())
    if bad:
        msg = f"{response}: {bad} cell(s) are not 0, 1 or missing; derive a yes/no response first"
        raise DataError(msg)
    unknown = np.isnan(values)
    per_arm = {
        str(level): int((unknown & (kept[arm] == level).to_numpy()).sum())
        for level in ordered_levels(kept[arm])
    }
    none = dict.fromkeys(per_arm, 0)
    notes = []
    if (~placed).any():
        lost = ", ".join([arm, *strata])
        notes.append(f"dropped {int((~placed).sum())} of {len(data)} subjects: {lost} incomplete")
    if unknown.any() and missing == "drop":
        counts = ", ".join(f"{level} {count}" for level, count in per_arm.items())
        notes.append(
            f"dropped {int(unknown.sum())} of {len(kept)} subjects without {response} ({counts})"
        )
        return Responses(kept[~unknown], values[~unknown], per_arm, none, tuple(notes))
    if unknown.any():
        counts = ", ".join(f"{level} {count}" for level, count in per_arm.items())
        notes.append(
            f"counted {int(unknown.sum())} of {len(kept)} subjects without {response} as "
            f"non-responders ({counts})"
        )
    return Responses(kept, np.where(unknown, 0.0, values), none, per_arm, tuple(notes))


def counts(
    known: Responses, *, arm: str, level: object, reference: str, strata: list[str]
) -> Counts:
    """Count ``level`` (index 1) and ``reference`` (index 0) per stratum."""
    place = stratum_numbers(known.data, strata)
    k = int(place.max()) + 1 if len(place) else 1
    sums = []
    for name in (level, reference):
        mine = (known.data[arm] == name).to_numpy(dtype=bool)
        n = np.bincount(place[mine], minlength=k).astype(float)
        x = np.bincount(place[mine], weights=known.response[mine], minlength=k).astype(float)
        sums += [x, n]
    return Counts(*sums)


def compared_arms(data: pd.DataFrame, arm: str, reference: str) -> list[str]:
    """Arms other than ``reference``; planned arms (categories) without subjects included."""
    require_level(data, arm, reference, what="reference")
    values = data[arm]
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = list(values.cat.categories)
    else:
        levels = ordered_levels(values)
    return [level for level in levels if level != reference]
