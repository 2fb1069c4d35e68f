"""What becomes of a change: kept, undone, late, or changed again, by arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import require_columns, require_unique
from livertrack.endpoints._permutation import max_t_test
from livertrack.errors import DataError

#: what may happen to a place between baseline, the early and the late visit
FATES = ("early and kept", "early and undone", "late", "changed again")
STABLE = "stable"


def fates(
    sequences: pd.DataFrame, *, early: str, late: str, subject: str,
    directions: pd.DataFrame | None,
) -> pd.DataFrame:  # fmt: skip
    """Share of the region with each fate: rows (subject, region), one column per fate.

    With ``directions`` (from `type_severity`) a fate begins with that of the place's first change:
    improvement, worsening or unclear.
    """
    require_columns(sequences, [subject, "VISITS", "REGION", "PATH", "AVAL"], name="sequences")
    require_unique(sequences, [subject, "VISITS", "REGION", "PATH"], name="sequences")
    visits = sequences["VISITS"].str.split(" > ")
    held = [early in names and late in names for names in visits]
    data = sequences[held]
    if data.empty:
        msg = f"sequences: no subject was followed at both {early} and {late}"
        raise DataError(msg)
    way = None
    if directions is not None:
        require_columns(directions, ["from_type", "to_type", "direction"], name="directions")
        way = {
            (int(a), int(b)): str(d)
            for a, b, d in zip(
                directions["from_type"], directions["to_type"], directions["direction"],
                strict=True,
            )
        }  # fmt: skip
    names = [
        _fate(path, names.index(early), names.index(late), way)
        for path, names in zip(data["PATH"].str.split("-"), visits[held], strict=True)
    ]
    table = data.assign(FATE=names).pivot_table(
        index=[subject, "REGION"], columns="FATE", values="AVAL", aggfunc="sum", fill_value=0.0
    )
    total = table.sum(axis=1)
    off = int((np.abs(total - 1) > 1e-6).sum())
    if off:
        msg = f"sequences: AVAL does not sum to 1 in {off} of {len(table)} subject x region"
        raise DataError(msg)
    return table.reindex(columns=sorted(table.columns))


def _fate(
    path: Sequence[str], early: int, late: int, way: dict[tuple[int, int], str] | None
) -> str:
    start, first, last = int(path[0]), int(path[early]), int(path[late])
    if start == first == last:
        return STABLE
    if start == first:
        name, turned = "late", last
    elif first == last:
        name, turned = "early and kept", first
    elif last == start:
        name, turned = "early and undone", first
    else:
        name, turned = "changed again", first
    if way is None:
        return name
    return f"{way.get((start, turned), 'unclear')}, {name}"


def compare_fates(
    table: pd.DataFrame, people: pd.DataFrame, *, arm: str, arms: Sequence[str], reference: str,
    strata: np.ndarray | None, n_perm: int | None, seed: int, conf_level: float,
) -> pd.DataFrame:  # fmt: skip
    """Difference of each fate from the reference: ``arm, region, fate, estimate, ...``.

    ``p_adjusted`` is step-down max-T over arms, regions and fates (stable left out: it is one
    minus the others).
    """
    kinds = [name for name in table.columns if name != STABLE]
    regions = sorted(table.index.get_level_values("REGION").unique())
    wide: Any = table[kinds].unstack("REGION").reindex(people.index)  # noqa: PD010
    columns = [(fate, region) for region in regions for fate in kinds]
    values = wide.reindex(columns=pd.MultiIndex.from_tuples(columns)).to_numpy(float)
    labels = people[arm].astype(str).to_numpy()
    test = max_t_test(
        values, labels, arms=arms, reference=reference, n_perm=n_perm, seed=seed, strata=strata,
        conf_level=conf_level,
    )  # fmt: skip
    parts = [
        pd.DataFrame(
            {
                "arm": name, "reference": reference, "region": [r for _, r in columns],
                "fate": [f for f, _ in columns],
                **test.differences(number, values, labels, reference, conf_level),
            }
        )
        for number, name in enumerate(arms)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def sentence_of_fates(compared: pd.DataFrame, alpha: float) -> str:
    """Say which fate differs most clearly."""
    known: Any = compared[compared["p_adjusted"].notna()]
    if known.empty:
        return ""
    best = known.sort_values(["p_adjusted", "p_value"], kind="stable").iloc[0]
    found = int((known["p_adjusted"] <= alpha).sum())
    return (
        f"{found} of {len(known)} fates of a change differed from {best['reference']}; most "
        f"clearly {best['fate']!r} in {best['arm']}: {100 * best['mean_arm']:.1f} % of the region "
        f"against {100 * best['mean_ref']:.1f} % (adjusted p "
        f"{'< 0.001' if best['p_adjusted'] < 0.001 else format(best['p_adjusted'], '.3f')})."
    )
