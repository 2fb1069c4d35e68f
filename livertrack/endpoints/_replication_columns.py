"""Flows and severities of a second cohort at the levels that a first cohort froze."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from livertrack.endpoints._pathways_flows import Flows
from livertrack.endpoints._pathways_levels import Level, groups_of
from livertrack.endpoints._permutation import max_t_test, welch_limits
from livertrack.errors import DataError


class Columns:
    """Flows of the second cohort, found by visit, region, level, from-type and to-type."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.places: dict[tuple[Any, ...], int] = {}
        values: list[np.ndarray] = []
        own: list[np.ndarray] = []
        start = 0
        for level in levels:
            for place, row in enumerate(level.rows().to_dict("records")):
                key = (
                    row["visit"], row["region"], level.number, row["from_type"], row["to_type"],
                )  # fmt: skip
                self.places[key] = start + place
            values.append(level.columns())
            own.append(level.own())
            start += values[-1].shape[1]
        self.values, self.own = np.concatenate(values, axis=1), np.concatenate(own, axis=1)

    def of(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Values of flows, and the baseline proportions of their from-types."""
        keys = list(
            zip(
                rows["visit"], rows["region"], rows["level"], rows["from_type"], rows["to_type"],
                strict=True,
            )
        )  # fmt: skip
        lost = sorted({f"{key[0]} {key[1]}".strip() for key in keys if key not in self.places})
        if lost:
            msg = f"adpath: no record at {', '.join(lost)}, where the first cohort chose flows"
            raise DataError(msg)
        index = [self.places[key] for key in keys]
        return self.values[:, index], self.own[:, index]

    @property
    def where(self) -> set[tuple[str, str]]:
        """Visits and regions that have records."""
        return {(key[0], key[1]) for key in self.places}


def prepared(every: Flows, settings: Mapping[str, Any]) -> tuple[Flows, Columns]:
    """Flows with every type of the frozen vocabulary, and their columns at the frozen levels."""
    types = [int(kind) for kind in settings["types"]]
    unknown = sorted(set(every.types) - set(types))
    if unknown:
        msg = (
            f"adpath: type(s) {unknown} are not of the frozen vocabulary; label the second cohort "
            "with the vocabulary of the first"
        )
        raise DataError(msg)
    every = every.with_types(types)
    groups = [np.array(every.types)]
    groups += [
        groups_of(every.types, {int(kind): int(group) for kind, group in merge.items()})
        for merge in settings["merge"]
    ]
    levels = [Level(n, every, settings["share"], group) for n, group in enumerate(groups)]
    return every, Columns(levels)


def net_improvement(
    every: Flows, severity: pd.DataFrame | None, *, arms: Sequence[str], reference: str,
    n_perm: int | None, seed: int, conf_level: float,
) -> pd.DataFrame:  # fmt: skip
    """Net improvement of the whole liver by frozen severities, one-sided by arm and visit."""
    if severity is None or "" not in every.regions:
        return pd.DataFrame()
    weight = severity.set_index("type")["estimate"].reindex(every.types).to_numpy(float)
    if np.isnan(weight).any():
        msg = "severity: a type of the records has no frozen severity"
        raise DataError(msg)
    gap = weight[None, :] - weight[:, None]
    cube = every.cube[:, :, every.regions.index("")]
    values = np.einsum("nvij,ij->nv", cube, (gap < 0).astype(float) - (gap > 0))
    test = max_t_test(
        values, every.arm, arms=arms, reference=reference, n_perm=n_perm, seed=seed,
        strata=every.strata, alternative="greater", conf_level=conf_level,
    )  # fmt: skip
    parts = []
    for number, name in enumerate(arms):
        seen = test.pairs[number].observed
        low, high = welch_limits(seen, conf_level)
        parts.append(
            pd.DataFrame(
                {
                    "arm": name, "visit": list(every.visits), "estimate": seen.estimate,
                    "conf_low": low, "conf_high": high, "p_value": test.pairs[number].p_value,
                    "p_adjusted": test.p_adjusted[number], "n_arm": seen.n_arm,
                    "n_ref": seen.n_ref,
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)
