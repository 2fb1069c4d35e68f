"""Checks that endpoint functions share: all failures at once, counts not names."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from livertrack.errors import DataError, UsageError


def require_columns(data: pd.DataFrame, columns: Sequence[str], *, name: str = "data") -> None:
    """Raise `DataError` listing every column that ``data`` lacks."""
    missing = [column for column in columns if column not in data.columns]
    if missing:
        msg = (
            f"{name}: {len(missing)} column(s) missing: {', '.join(missing)}; "
            f"present are {', '.join(map(str, data.columns[:20]))}"
        )
        raise DataError(msg)


def require_unique(data: pd.DataFrame, keys: Sequence[str], *, name: str = "data") -> None:
    """Raise `DataError` when ``keys`` do not identify one row."""
    duplicated = int(data.duplicated(list(keys)).sum())
    if duplicated:
        msg = (
            f"{name}: {duplicated} duplicated record(s) in {' x '.join(keys)}; "
            "select one visit and one PARAMCD, or remove the duplicates"
        )
        raise DataError(msg)


def require_level(data: pd.DataFrame, column: str, level: str, *, what: str) -> None:
    """Raise `DataError` when ``level`` does not occur in ``column``."""
    levels = data[column].dropna().unique().tolist()
    if level not in levels:
        msg = f"{column}: {what} {level!r} does not occur; levels are {sorted(map(str, levels))}"
        raise DataError(msg)


def require_conf_level(conf_level: float) -> None:
    """Raise `UsageError` unless ``conf_level`` is a proportion."""
    if not 0 < conf_level < 1:
        msg = f"conf_level is a proportion such as 0.95, got {conf_level!r}"
        raise UsageError(msg)


def ordered_levels(values: pd.Series) -> list[str]:
    """Levels in order: the categories that occur, else sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = set(values.dropna().unique())
        return [level for level in values.cat.categories if level in present]
    return sorted(values.dropna().unique().tolist())


def numeric(data: pd.DataFrame, column: str, *, name: str = "data") -> np.ndarray:
    """Column as float64; infinite or non-numeric cells are an error with their count."""
    values = pd.to_numeric(data[column], errors="coerce").to_numpy(float)
    bad = int((np.isnan(values) & data[column].notna().to_numpy()).sum() + np.isinf(values).sum())
    if bad:
        msg = (
            f"{name}: {column} has {bad} cell(s) that are not finite numbers; "
            "correct them at the source"
        )
        raise DataError(msg)
    return values
