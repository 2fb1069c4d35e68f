"""Table of the tissue vocabulary: how common each type is and how bright in each channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from livertrack.tables._format import number, percent
from livertrack.tables._table import Row, Table

Array = np.ndarray[Any, Any]


def vocabulary_table(profile: Array, prevalence: Array, *, channels: Sequence[str]) -> Table:
    """Share of the training places and mean intensity of each type.

    Parameters
    ----------
    profile : array (types, channels)
        Mean standardised intensity.
    prevalence : array (types,)
        Share of the places the vocabulary was learned from, 0 to 1.
    """
    rows = tuple(
        Row(
            f"Type {place + 1}",
            (percent(prevalence[place], 1), *(number(value, 2) for value in profile[place])),
        )
        for place in range(len(profile))
    )
    return Table(
        title="The tissue types of the vocabulary",
        stub="Tissue type",
        headers=("Share", *(f"Mean {name}" for name in channels)),
        rows=rows,
        footnotes=(
            "Share of the places in the liver from which the vocabulary was learned, all arms and "
            "visits together. Mean intensities are those of the standardised images, which have "
            "no unit.",
        ),
        empty="The vocabulary stores no profile.",
    )
