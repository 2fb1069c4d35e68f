"""The card of a tissue vocabulary in numbers: shares, brightness, neighbours, hierarchy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._checks import require_columns


@dataclass(frozen=True, kw_only=True)
class VocabularyCard(Result):
    """What the vocabulary stores of its types.

    Attributes
    ----------
    table : DataFrame
        One row per type: ``parameter, share`` (of the training places), ``mean_<channel>`` of the
        standardised images, ``nearest`` type and its ``distance``.
    distances : DataFrame
        ``parameter, other, distance`` in units of the spread of a type.
    hierarchy : DataFrame
        One row per level: ``n_groups, merged, distance``.
    """

    distances: pd.DataFrame
    hierarchy: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("parameter", "other", "merged")
    context: ClassVar[str] = "vocabulary_card"


def vocabulary_card(
    types: pd.DataFrame, *, distances: pd.DataFrame, hierarchy: pd.DataFrame,
    settings: Mapping[str, Any], text: str,
) -> VocabularyCard:  # fmt: skip
    """Put what a vocabulary stores of its types into the form of a result.

    Parameters
    ----------
    types : DataFrame, one row per type
        ``paramcd, prevalence, nearest_type, nearest_distance`` and ``mean_<channel>``.
    distances : DataFrame, types x types
        Index and columns are PARAMCD.
    hierarchy : DataFrame, one row per level
        ``n_groups, merged, distance``.

    Notes
    -----
    Denominator of ``share``: the places in the liver the vocabulary was learned from.
    """
    require_columns(types, ["paramcd", "prevalence", "nearest_type"], name="types")
    means = [name for name in types.columns if name.startswith("mean_")]
    table = pd.DataFrame(
        {
            "parameter": types["paramcd"], "share": types["prevalence"].astype(float),
            **{name: types[name].astype(float) for name in means},
            "nearest": [f"TV{int(number):02d}" for number in types["nearest_type"]],
            "distance": types["nearest_distance"].astype(float),
        }
    )  # fmt: skip
    pairs = [
        {"parameter": str(a), "other": str(b), "distance": float(distances.loc[a, b])}
        for a in distances.index
        for b in distances.columns
        if a != b
    ]
    levels = hierarchy[["n_groups", "merged", "distance"]] if len(hierarchy) else hierarchy
    return VocabularyCard(
        table=table, distances=pd.DataFrame(pairs, columns=["parameter", "other", "distance"]),
        hierarchy=levels.reset_index(drop=True), text=text, settings=settings,
    )  # fmt: skip
