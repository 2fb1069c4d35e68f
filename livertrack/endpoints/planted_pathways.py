"""Planted and found pathways side by side: only simulated trials know what was planted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from scipy.stats import spearmanr

from livertrack._results import Result
from livertrack.endpoints._checks import ordered_levels, require_columns, require_level
from livertrack.errors import DataError

#: planted differences smaller than this share of the liver are not asked to be found
NOTABLE = 0.01


@dataclass(frozen=True, kw_only=True)
class PlantedPathways(Result):
    """Planted and found differences of flows; see `planted_pathways` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("arm", "from_type", "to_type")
    context: ClassVar[str] = "planted_pathways"


def planted_pathways(
    adpath: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    matches: Mapping[int, int],
    names: Mapping[int, str],
    visit: str,
    arm: str = "TRT01P",
    reference: str,
    subject: str = "USUBJID",
) -> PlantedPathways:
    """Compare the difference of each flow between arms with the one that was planted.

    Parameters
    ----------
    adpath : DataFrame
        Pathway records of the vocabulary: ``subject, arm, AVISIT, REGION, FROMTYPE, TOTYPE,
        AVAL``.
    truth : DataFrame
        The same of the simulator's true types; the arm may be absent, ``adpath`` has it.
    matches : mapping of int to int
        True type of each type of the vocabulary; several may share one.
    names : mapping of int to str
        Name of each true type.
    visit : str
        Follow-up visit.
    reference : str
        Arm every other arm is compared with.

    Returns
    -------
    PlantedPathways
        ``.table``: one row per arm and pair of different true types - ``arm, from_type, to_type,
        planted, found`` (difference of mean share of the liver, arm - reference, 0..1),
        ``rank_planted, rank_found`` (1 = largest in absolute value) - largest planted first.

    Notes
    -----
    Denominator: subjects of the arm with pathway records of the vocabulary at the visit, the same
    for both. Types that share a true type are added up, so that flows among them vanish.
    Checked against: hand-worked records (tests/endpoints/test_planted_pathways.py).
    """
    needed = [subject, "AVISIT", "REGION", "FROMTYPE", "TOTYPE", "AVAL"]
    require_columns(adpath, [*needed, arm], name="adpath")
    require_columns(truth, needed, name="truth")
    require_level(adpath, arm, reference, what="reference")
    unknown = sorted(set(adpath["FROMTYPE"]) - set(matches))
    if unknown:
        msg = f"matches: {len(unknown)} type(s) of the vocabulary have no true type"
        raise DataError(msg)
    found = _whole(adpath, visit)
    found = found.assign(
        FROMTYPE=found["FROMTYPE"].map(matches), TOTYPE=found["TOTYPE"].map(matches)
    )
    arms = found.drop_duplicates(subject).set_index(subject)[arm]
    planted = _whole(truth, visit)
    planted = planted[planted[subject].isin(arms.index)]
    types = sorted(names)
    differences = {}
    for name, frame in (("planted", planted), ("found", found)):
        flows = frame.pivot_table(
            index=subject, columns=["FROMTYPE", "TOTYPE"], values="AVAL", aggfunc="sum",
            fill_value=0.0, observed=True,
        )  # fmt: skip
        wanted = pd.MultiIndex.from_product([types, types])
        means = flows.reindex(columns=wanted, fill_value=0.0).groupby(arms, observed=True).mean()
        differences[name] = means.sub(means.loc[reference]).drop(index=reference)
    rows = []
    for level in [x for x in ordered_levels(found[arm]) if x != reference]:
        part = pd.DataFrame({name: d.loc[level] for name, d in differences.items()})
        part = part[[one != two for one, two in part.index]]
        for name in ("planted", "found"):
            part[f"rank_{name}"] = part[name].abs().rank(ascending=False, method="min").astype(int)
        part = part.sort_values("rank_planted", kind="stable")
        rows += [
            {"arm": level, "from_type": names[one], "to_type": names[two], **values}
            for (one, two), values in zip(part.index, part.to_dict("records"), strict=True)
        ]
    table = pd.DataFrame(rows)
    return PlantedPathways(
        table=table,
        text=" ".join(_sentence(level, part, reference) for level, part in table.groupby("arm")),
        settings={
            "method": "difference of mean flows, types matched to the truth by overlap",
            "visit": visit, "reference": reference, "arm": arm, "notable": NOTABLE,
            "matches": {str(k): int(v) for k, v in sorted(matches.items())},
        },
    )  # fmt: skip


def _whole(records: pd.DataFrame, visit: str) -> pd.DataFrame:
    whole = records["REGION"].fillna("").eq("") & records["AVISIT"].astype(object).eq(visit)
    if not whole.any():
        msg = f"adpath: no record of the whole liver at {visit}"
        raise DataError(msg)
    return records[whole]


def _sentence(level: Any, part: pd.DataFrame, reference: str) -> str:
    notable = part[part["planted"].abs() >= NOTABLE]
    if notable.empty:
        return f"{level} v {reference}: nothing of 1 percentage point or more was planted."
    same = int((notable["planted"] * notable["found"] > 0).sum())
    first = notable.iloc[0]
    rank = spearmanr(part["planted"], part["found"]).statistic
    return (
        f"{level} v {reference}: {same} of {len(notable)} planted flows of at least 1 percentage "
        f"point were found with their sign; the largest, {first['from_type']} to "
        f"{first['to_type']}, was planted at {100 * first['planted']:+.1f} and found at "
        f"{100 * first['found']:+.1f} percentage points (rank {int(first['rank_found'])}); "
        f"rank correlation over all flows {rank:.2f}."
    )
