"""Strata of subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def stratum_numbers(data: pd.DataFrame, by: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of the stratum of each row; all 0 without strata."""
    if not by:
        return np.zeros(len(data), dtype=np.int64)
    number = data.groupby(list(by), observed=True).ngroup()
    return np.asarray(number.to_numpy(), dtype=np.int64)
