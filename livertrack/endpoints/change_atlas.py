"""Where in the liver tissue changed: cells of one template liver compared between arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._checks import (
    ordered_levels,
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._permutation import max_t_test
from livertrack.errors import DataError, UsageError

_METHOD = "Welch difference by cell, permutation within strata, step-down max-T over cells"


@dataclass(frozen=True, kw_only=True)
class ChangeAtlas(Result):
    """Change by cell of the template liver; see `change_atlas` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("arm", "cell", "visit")
    context: ClassVar[str] = "change_atlas"


def change_atlas(
    adatlas: pd.DataFrame,
    *,
    arm: str = "TRT01P",
    reference: str,
    visit: str,
    flows: Sequence[tuple[int, int]] | None = None,
    subject: str = "USUBJID",
    subjects: pd.DataFrame | None = None,
    strata: str | Sequence[str] | None = None,
    least_share: float = 0.5,
    n_perm: int | None = 2000,
    conf_level: float = 0.95,
    seed: int,
) -> ChangeAtlas:
    """Compare the share of each cell of the template liver that changed.

    Parameters
    ----------
    adatlas : DataFrame
        ``subject, arm, AVISIT, CELL`` (of the template), ``FROMTYPE, TOTYPE, NVOX`` (template
        voxels with that pair of types; pairs without voxels may be absent).
    visit : str
        Follow-up visit.
    flows : sequence of (from-type, to-type), optional
        Which changes count; by default every change of type.
    subjects : DataFrame, optional
        Analysis population (``subject, arm``, strata).
    least_share : float
        A cell of a subject is missing where fewer than this share of the voxels are in view that
        the cell has in the subject with most.
    strata, n_perm, conf_level, seed
        As in `change_pathways`.

    Returns
    -------
    ChangeAtlas
        ``.table``: one row per arm and cell - ``arm, reference, visit, cell, estimate`` (share of
        the cell that changed, arm minus reference), ``std_error, statistic, conf_low, conf_high``
        (pointwise), ``p_value, p_adjusted`` (step-down max-T over cells and arms), ``mean_arm,
        mean_ref, n_arm, n_ref, method``.

    Notes
    -----
    Denominator: subjects whose cell is in view at the visit. A cell is a place of the template;
    livers are brought onto it by their surface alone, so places agree within centimetres.
    Source: Westfall and Young (1993).
    Checked against: hand-worked cells and a planted place
    (tests/endpoints/test_change_atlas.py).
    """
    require_conf_level(conf_level)
    groups = [strata] if isinstance(strata, str) else list(strata or [])
    needed = [subject, "AVISIT", "CELL", "FROMTYPE", "TOTYPE", "NVOX"]
    require_columns(adatlas, needed, name="adatlas")
    source = adatlas if subjects is None else subjects
    require_columns(source, [subject, arm, *groups], name="subjects")
    if not 0 < least_share <= 1:
        msg = f"least_share is a proportion above 0, got {least_share}"
        raise UsageError(msg)
    people = source[[subject, arm, *groups]].drop_duplicates()
    require_unique(people, [subject], name="subjects")
    people = people.set_index(subject).sort_index()
    require_level(people, arm, reference, what="reference")
    data = adatlas[adatlas["AVISIT"].astype(object).eq(visit)]
    data = data[data[subject].isin(people.index)]
    if data.empty:
        msg = f"adatlas: no record at {visit} of any subject"
        raise DataError(msg)
    require_unique(data, [subject, "CELL", "FROMTYPE", "TOTYPE"], name="adatlas")
    arms = [str(a) for a in ordered_levels(people[arm]) if str(a) != reference]
    if not arms:
        msg = f"{arm}: no arm beside the reference {reference!r}; a comparison needs two"
        raise DataError(msg)
    values, cells = _shares(data, people.index, subject, flows, least_share)
    labels = people[arm].astype(str).to_numpy()
    levels = None
    if groups:
        levels = people[groups].astype(str).agg("\x1f".join, axis=1).to_numpy(str)
    test = max_t_test(
        values, labels, arms=arms, reference=reference, n_perm=n_perm, seed=seed, strata=levels,
        conf_level=conf_level,
    )  # fmt: skip
    parts = [
        pd.DataFrame(
            {
                "arm": name, "reference": reference, "visit": visit, "cell": cells,
                **test.differences(number, values, labels, reference, conf_level),
                "method": _METHOD,
            }
        )
        for number, name in enumerate(arms)
    ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    absent = len(people) - int((~np.isnan(values)).any(axis=1).sum())
    notes = [f"{absent} of {len(people)} subjects are not in the atlas at {visit}"] * bool(absent)
    settings = {
        "method": _METHOD, "arm": arm, "reference": reference, "visit": visit,
        "flows": None if flows is None else [[int(a), int(b)] for a, b in flows],
        "least_share": least_share, "n_perm": n_perm, "conf_level": conf_level, "seed": seed,
        "strata": groups, "n_cells": len(cells), "n_subjects": len(people),
    }  # fmt: skip
    return ChangeAtlas(
        table=table, text=_sentence(table, 1 - conf_level, visit), settings=settings,
        notes=tuple(notes),
    )  # fmt: skip


def _shares(
    data: pd.DataFrame, people: pd.Index, subject: str, flows: Sequence[tuple[int, int]] | None,
    least_share: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Share of each cell that changed (subjects, cells), and the numbers of the cells."""
    if flows is None:
        counted = data["FROMTYPE"].ne(data["TOTYPE"])
    else:
        wanted = {(int(a), int(b)) for a, b in flows}
        pairs = zip(data["FROMTYPE"].astype(int), data["TOTYPE"].astype(int), strict=True)
        counted = pd.Series([pair in wanted for pair in pairs], index=data.index)
    table = data.assign(_in=data["NVOX"].where(counted, 0)).pivot_table(
        index=subject, columns="CELL", values=["NVOX", "_in"], aggfunc="sum"
    )
    total = table["NVOX"].reindex(people)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = table["_in"].reindex(people).to_numpy(float) / total.to_numpy(float)
    share[~(total.to_numpy(float) >= least_share * total.max().to_numpy(float))] = np.nan
    return share, total.columns.to_numpy(int)


def _sentence(table: pd.DataFrame, alpha: float, visit: str) -> str:
    parts = []
    for name, rows in table.groupby("arm", sort=False):
        known = rows[rows["p_adjusted"].notna()]
        if known.empty:
            parts.append(f"{name}: no place could be compared.")
            continue
        found = int((known["p_adjusted"] <= alpha).sum())
        parts.append(
            f"{name} v {known['reference'].iloc[0]} at {visit}: {found} of {len(known)} places of "
            f"the liver differed at a family-wise level of {alpha:.3g}; differences ranged from "
            f"{100 * known['estimate'].min():+.1f} to {100 * known['estimate'].max():+.1f} "
            "percentage points of the place."
        )
    return " ".join(parts)
