"""What ANCOVA and MMRM share: tidy rows of linear combinations, and the sentence about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from livertrack.endpoints._design import Floats


def inference_columns(
    estimate: Floats, std_error: Floats, df: Floats, conf_level: float
) -> dict[str, Floats]:
    """Columns ``estimate, std_error, df, statistic, p_value, conf_low, conf_high`` of t inference.

    Where the standard error is not a positive number, or df is not above zero, the statistic, p
    and limits are NaN.
    """
    estimate, std_error = np.asarray(estimate, float), np.asarray(std_error, float)
    df = np.asarray(df, float)
    usable = (std_error > 0) & (df > 0)
    error = np.where(usable, std_error, np.nan)
    freedom = np.where(usable, df, np.nan)
    statistic = estimate / error
    half = special.stdtrit(freedom, 0.5 + conf_level / 2) * error
    return {
        "estimate": estimate,
        "std_error": std_error,
        "df": df,
        "statistic": statistic,
        "p_value": 2 * special.stdtr(freedom, -np.abs(statistic)),
        "conf_low": estimate - half,
        "conf_high": estimate + half,
    }


def difference_text(table: pd.DataFrame, *, arm: str, conf_level: float, what: str) -> str:
    """One sentence per difference from the reference, made of the rows of ``table``."""
    statistics = {
        "arm", arm, "reference", "estimate", "std_error", "df", "statistic", "p_value",
        "conf_low", "conf_high", "n", "n_arm", "n_ref", "method",
    }  # fmt: skip
    by = [column for column in table.columns if column not in statistics]
    sentences = []
    for row in table.to_dict("records"):
        where = ", ".join(f"{row[column]}" for column in by)
        head = f"{what}, {row[arm]} minus {row['reference']}{f' ({where})' if where else ''}"
        if np.isfinite(row["conf_low"]):
            sentences.append(
                f"{head}: {row['estimate']:.3g} ({conf_level:.0%} CI {row['conf_low']:.3g} to "
                f"{row['conf_high']:.3g}; {p_text(row['p_value'])})."
            )
        else:
            sentences.append(f"{head}: not estimated.")
    return " ".join(sentences)


def p_text(p: float) -> str:
    """``p = 0.012``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def counts_by(data: pd.DataFrame, by: Sequence[str], labels: pd.DataFrame) -> list[int]:
    """Count rows of ``data`` in each crossing that ``labels`` lists."""
    if not by:
        return [len(data)] * len(labels)
    sizes: dict[Any, int] = data.groupby(list(by), observed=True).size().to_dict()
    keys = labels[list(by)].itertuples(index=False, name=None)
    return [int(sizes.get(key if len(by) > 1 else key[0], 0)) for key in keys]
