"""Right-hand sides of model formulas: which columns they need, and the columns they make.

The names of the columns are formulaic's, ``TRT01P[T.High]``. Only the functions of
`livertrack.endpoints._formula` may be called: a formula comes from a plan and runs no other code.
"""

from __future__ import annotations

from dataclasses import dataclass

import formulaic
import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError
from numpy.typing import NDArray

from livertrack.endpoints._formula import FUNCTIONS, expression_columns, parse_formula
from livertrack.errors import DataError, UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """Columns of a model without an intercept.

    ``X`` is rows x columns, ``names`` its columns, ``places`` the columns of each term (none for a
    factor with one level).
    """

    X: Floats
    names: tuple[str, ...]
    places: dict[str, list[int]]

    @property
    def filled(self) -> dict[str, list[int]]:
        """Columns of the terms that have any."""
        return {name: numbers for name, numbers in self.places.items() if numbers}


def right_side(formula: str) -> str:
    """Right-hand side of a formula given with or without ``~``."""
    return formula.split("~", 1)[-1].strip()


def formula_columns(right: str, data: pd.DataFrame) -> list[str]:
    """Columns the right-hand side reads, sorted; what it cannot read or call is a `UsageError`."""
    parsed = parse_formula(f"RESPONSE_ ~ {right}")
    known = dict.fromkeys(map(str, data.columns))
    found = {name for one in parsed.variables for name in expression_columns(one, known)}
    return sorted(found)


def model_terms(rows: pd.DataFrame, right: str) -> Terms:
    """Columns of ``rows`` (all complete) for the right-hand side, each term with its columns.

    The first level (category order, else sorted) of a factor is its reference; levels that do not
    occur have no column. Values that are not finite (the logarithm of 0) are a `DataError`.
    """
    used = rows.copy()
    for column in used.columns[used.dtypes == "category"]:
        used[column] = used[column].cat.remove_unused_categories()
    try:
        with np.errstate(all="ignore"):
            matrix = formulaic.model_matrix(
                right, used, na_action="ignore", context=dict(FUNCTIONS)
            )
    except (FormulaicError, TypeError, ValueError) as error:
        msg = f"the formula {right!r} does not fit the columns: {error}"
        raise UsageError(msg) from error
    spec = matrix.model_spec
    names = [str(name) for name in matrix.columns if name != "Intercept"]
    X = np.asarray(pd.DataFrame(matrix)[names], dtype=float).reshape(len(rows), len(names))
    bad = int((~np.isfinite(X)).any(axis=1).sum())
    if bad:
        msg = (
            f"{right!r} is not finite in {bad} of {len(X)} rows (logarithm or root of a value "
            "that has none?); transform the column first"
        )
        raise DataError(msg)
    places = {
        str(term): [names.index(str(spec.column_names[i])) for i in numbers]
        for term, numbers in spec.term_indices.items()
        if str(term) != "1"
    }
    return Terms(X, tuple(names), places)


def require_full_rank(terms: Terms, right: str) -> None:
    """Raise `DataError` where the columns do not vary, or follow from each other."""
    if not terms.names:
        msg = (
            f"the columns of {right!r} do not vary in {len(terms.X)} rows: one level, or no term "
            "besides the intercept"
        )
        raise DataError(msg)
    centred = terms.X - terms.X.mean(axis=0)
    spread = centred.std(axis=0)
    rank = int(np.linalg.matrix_rank(centred / np.where(spread > 0, spread, 1.0)))
    if rank < len(terms.names):
        msg = (
            f"{len(terms.names) - rank} of {len(terms.names)} columns of {right!r} follow from "
            f"the others or do not vary in {len(terms.X)} rows; remove the redundant term"
        )
        raise DataError(msg)
