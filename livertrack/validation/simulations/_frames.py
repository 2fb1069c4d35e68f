"""Frames of simulated trials: two arms, one row per subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Vector = NDArray[np.float64]

ACTIVE, REFERENCE = "Active", "Placebo"


def two_arms(n_arm: int, n_ref: int, **columns: Any) -> pd.DataFrame:
    """Rows of the active arm first; ``columns`` hold n_arm + n_ref values each."""
    labels = np.repeat([ACTIVE, REFERENCE], [n_arm, n_ref])
    ids = [f"{number:04d}" for number in range(n_arm + n_ref)]
    return pd.DataFrame({"USUBJID": ids, "TRT01P": labels, **columns})


def is_active(n_arm: int, n_ref: int) -> NDArray[np.bool_]:
    """True for the rows of the active arm in `two_arms`."""
    return np.arange(n_arm + n_ref) < n_arm


def exponential(
    rng: np.random.Generator, rate: Vector, censoring: float, end: float
) -> tuple[Vector, NDArray[np.int64]]:
    """Exponential times with exponential and administrative censoring; CNSR 0 is an event."""
    event = rng.exponential(1 / rate)
    stop = np.minimum(rng.exponential(1 / censoring, len(rate)) if censoring else np.inf, end)
    return np.minimum(event, stop), (event > stop).astype(np.int64)


def row(table: pd.DataFrame, **where: Any) -> Mapping[str, Any]:
    """Return the only row of ``table`` in which the columns have these values."""
    mask = np.ones(len(table), bool)
    for name, value in where.items():
        mask &= (table[name] == value).to_numpy()
    found = table.iloc[int(np.flatnonzero(mask)[0])]
    return {str(name): value for name, value in found.items()}
