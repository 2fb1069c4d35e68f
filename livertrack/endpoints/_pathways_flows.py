"""Pathway records as one array: subjects x visits x regions x from-type x to-type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import numeric, ordered_levels, require_columns, require_unique
from livertrack.errors import DataError, UsageError

#: Largest departure from one of the flows of a subject, visit and region.
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Flows:
    """Flows of every subject.

    Attributes
    ----------
    cube : array (subjects, visits, regions, types, types)
        Proportion of the region that was the first type at baseline and is the second at the
        visit; NaN where the subject has no record of that visit and region.
    transport : bool array (subjects, visits, regions)
        The record is a registration-free estimate.
    subjects, arm, strata : arrays (subjects,)
        Subjects are sorted by identifier; ``strata`` is None without strata.
    visits, regions : tuple of str
    types : tuple of int
    """

    cube: np.ndarray
    transport: np.ndarray
    subjects: np.ndarray
    arm: np.ndarray
    strata: np.ndarray | None
    visits: tuple[str, ...]
    regions: tuple[str, ...]
    types: tuple[int, ...]

    @property
    def present(self) -> np.ndarray:
        """Subjects that have a record (subjects, visits, regions)."""
        return np.asarray(~np.isnan(self.cube).all(axis=(-2, -1)))

    def merged(self, groups: np.ndarray) -> Flows:
        """Sum types of the same group; ``groups`` (types,) names each type's group."""
        names = np.unique(groups)
        fold = (groups[:, None] == names[None]).astype(float)
        cube = np.einsum("nvrij,ia,jb->nvrab", self.cube, fold, fold)
        return replace(self, cube=cube, types=tuple(int(name) for name in names))

    def with_types(self, types: Sequence[int]) -> Flows:
        """Add types that do not occur, with flows of zero."""
        every = sorted({*self.types, *types})
        if len(every) == len(self.types):
            return self
        cube = np.zeros((*self.cube.shape[:3], len(every), len(every)))
        place = [every.index(t) for t in self.types]
        filled = cube[..., place, :]
        filled[..., place] = self.cube
        cube[..., place, :] = filled
        cube[~self.present] = np.nan
        return replace(self, cube=cube, types=tuple(every))

    def beyond(self, null: np.ndarray) -> Flows:
        """Flows less what ``null`` (visits, regions, types, types) makes of the baseline.

        ``null`` holds probabilities of a to-type given the from-type; the flows then sum to zero
        over the to-types.
        """
        start = self.cube.sum(axis=-1, keepdims=True)
        expected = np.where(start == 0, 0.0, start * null[None])
        return replace(self, cube=self.cube - expected)


def flows(
    adpath: pd.DataFrame,
    *,
    arm: str,
    subject: str = "USUBJID",
    visit: str | None = None,
    regions: Sequence[str] | None = None,
    strata: str | Sequence[str] | None = None,
    subjects: pd.DataFrame | None = None,
) -> Flows:
    """Read pathway records.

    Parameters
    ----------
    adpath : DataFrame, one row per subject, visit, region, from-type and to-type
        Pairs of types that a subject's visit and region does not list are flows of zero.
    visit, regions : str, sequence of str, optional
        What is kept; all by default. ``""`` is the whole liver.
    subjects : DataFrame, optional
        One row per subject of the analysis population with ``arm`` and the strata: then subjects
        without any record count as missing instead of being unknown.

    Raises
    ------
    DataError
        Missing columns, duplicated records, flows that do not sum to one, a subject with two
        arms or strata, a visit or region that does not occur.
    """
    stratum = [strata] if isinstance(strata, str) else list(strata or [])
    people_source = adpath if subjects is None else subjects
    require_columns(adpath, [subject, "AVISIT", "FROMTYPE", "TOTYPE", "AVAL"], name="adpath")
    require_columns(
        people_source, [subject, arm, *stratum], name="adpath" if subjects is None else "subjects"
    )
    data = adpath.assign(REGION=_regions(adpath))
    if subjects is not None:
        data = data[data[subject].isin(subjects[subject])]
    if data.empty:
        msg = "adpath: no record of any subject; pathways need two usable scans of a subject"
        raise DataError(msg)
    require_unique(data, [subject, "AVISIT", "REGION", "FROMTYPE", "TOTYPE"], name="adpath")
    people = _people(people_source, subject, [arm, *stratum])
    visits = _kept(ordered_levels(data["AVISIT"]), None if visit is None else [visit], "AVISIT")
    names = _kept(sorted(data["REGION"].unique()), regions, "REGION")
    types = sorted({*data["FROMTYPE"].astype(int), *data["TOTYPE"].astype(int)})
    cube, transport = _fill(data, people.index, visits, names, types, subject)
    label = None
    if stratum:
        label = people[stratum].astype(str).agg("\x1f".join, axis=1).to_numpy(str)
    return Flows(
        cube=cube, transport=transport, subjects=people.index.to_numpy(),
        arm=people[arm].astype(str).to_numpy(str), strata=label,
        visits=tuple(map(str, visits)), regions=tuple(names), types=tuple(types),
    )  # fmt: skip


def _regions(adpath: pd.DataFrame) -> pd.Series:
    if "REGION" not in adpath.columns:
        return pd.Series("", index=adpath.index)
    return adpath["REGION"].astype(object).where(adpath["REGION"].notna(), "").astype(str)


def _kept(present: Sequence[str], asked: Sequence[str] | None, column: str) -> list[str]:
    """Levels that are asked for; all when nothing is asked."""
    if asked is None:
        return list(present)
    if not asked:
        msg = f"adpath: no level of {column} is asked for; leave the argument out to take all"
        raise UsageError(msg)
    absent = [level for level in asked if level not in present]
    if absent:
        msg = f"adpath: {column} {absent!r} does not occur; levels are {list(map(str, present))!r}"
        raise DataError(msg)
    return list(dict.fromkeys(asked))


def _people(source: pd.DataFrame, subject: str, columns: list[str]) -> pd.DataFrame:
    """One row per subject, sorted by identifier."""
    unique = source[[subject, *columns]].drop_duplicates()
    twice = int(unique[subject].duplicated().sum())
    if twice:
        msg = (
            f"{' x '.join(columns)}: {twice} subject(s) with more than one value; correct the arm"
        )
        raise DataError(msg)
    blank = unique[columns].isna().any(axis=1)
    if blank.any():
        msg = (
            f"{' x '.join(columns)}: missing for {int(blank.sum())} of {len(unique)} subjects; "
            "complete it or leave those subjects out"
        )
        raise DataError(msg)
    return unique.set_index(subject).sort_index()


def baseline_frame(source: pd.DataFrame, subject: str, columns: list[str]) -> pd.DataFrame:
    """One row per subject with baseline columns, sorted by identifier; cells may be missing."""
    require_columns(source, [subject, *columns], name="subjects")
    unique = source[[subject, *columns]].drop_duplicates()
    twice = int(unique[subject].duplicated().sum())
    if twice:
        msg = f"{' x '.join(columns)}: {twice} subject(s) with more than one value of a covariate"
        raise DataError(msg)
    return unique.set_index(subject).sort_index()


def _fill(
    data: pd.DataFrame, people: pd.Index, visits: list[str], regions: list[str],
    types: list[int], subject: str,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    data = data[data["AVISIT"].isin(visits) & data["REGION"].isin(regions)]
    values = numeric(data, "AVAL", name="adpath")
    negative = int((values < 0).sum())
    if negative:
        msg = f"adpath: AVAL is negative in {negative} record(s); flows are proportions"
        raise DataError(msg)
    cell = (
        people.get_indexer(pd.Index(data[subject])),
        pd.Index(visits).get_indexer(pd.Index(data["AVISIT"].astype(object))),
        pd.Index(regions).get_indexer(pd.Index(data["REGION"])),
    )
    shape = (len(people), len(visits), len(regions))
    size = len(types)
    cube = np.zeros((*shape, size, size))
    place = pd.Index(types)
    origin, target = (
        place.get_indexer(pd.Index(data[c].astype(int))) for c in ("FROMTYPE", "TOTYPE")
    )
    cube[(*cell, origin, target)] = values
    listed = np.zeros(shape, bool)
    listed[cell] = True
    total = cube.sum(axis=(-2, -1))
    unknown = listed & np.isnan(total)  # a region without voxels in view
    off = listed & ~unknown & (np.abs(total - 1) > SUM_TOLERANCE)
    if off.any():
        msg = (
            f"adpath: AVAL does not sum to 1 in {int(off.sum())} of {int(listed.sum())} "
            "subject x visit x region; every pair of types with a flow needs a record"
        )
        raise DataError(msg)
    cube[~listed | unknown] = np.nan
    transport = np.zeros(shape, bool)
    if "METHOD" in data.columns:
        free = (data["METHOD"] == "transport").to_numpy()
        transport[tuple(index[free] for index in cell)] = True
    return cube, transport & listed & ~unknown
