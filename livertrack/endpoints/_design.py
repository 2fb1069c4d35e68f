"""Design matrices as R makes them: terms by degree, treatment contrasts, first level reference.

Coefficients carry R's names: ``(Intercept)``, ``BASE``, ``TRT01PHigh dose``,
``TRT01PHigh dose:AVISITWeek 48``. Levels of a factor are its categories that occur in the
analysed rows, in their order; for text, sorted. Columns that depend linearly on earlier ones are
aliased, found in order as R's pivoted QR finds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import numeric, require_columns
from livertrack.endpoints._formula import (
    ParsedFormula,
    evaluate,
    expression_columns,
    factor_column,
    parse_formula,
)
from livertrack.errors import DataError, UsageError

Floats = NDArray[np.float64]
#: levels of a column, and the place of every row's level among them
Codes = tuple[tuple[Any, ...], NDArray[np.int64]]
#: relative length below which what is left of a column counts as linear dependence (as R's lm)
ALIAS_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Design:
    """How to turn records into a design matrix; made once, applied to any records.

    Attributes
    ----------
    formula : ParsedFormula
        Response, expressions and terms.
    levels : dict
        Levels of every factor, by expression; the first is the reference.
    factors : dict
        Column behind every factor expression (``C(X)`` -> ``X``).
    columns : tuple of str
        Columns of the data that the predictors need.
    full : tuple of set
        Per term, the factors coded by one column per level (R's rule of margins).
    names : tuple of str
        Names of the columns of the matrix.
    assign : tuple of int
        Per column, the place of its term in ``formula.terms``.
    """

    formula: ParsedFormula
    levels: Mapping[str, tuple[Any, ...]]
    factors: Mapping[str, str]
    columns: tuple[str, ...]
    full: tuple[frozenset[str], ...]
    names: tuple[str, ...] = ()
    assign: tuple[int, ...] = ()

    @property
    def response(self) -> str:
        """Expression of the response."""
        return self.formula.response

    @property
    def factor_columns(self) -> dict[str, tuple[Any, ...]]:
        """Levels by the data column behind each factor."""
        return {self.factors[name]: levels for name, levels in self.levels.items()}

    @property
    def covariates(self) -> tuple[str, ...]:
        """Numeric columns of the predictors."""
        return tuple(name for name in self.columns if name not in self.factor_columns)

    def matrix(self, data: pd.DataFrame, codes: Mapping[str, Codes] | None = None) -> Floats:
        """Design matrix (rows x columns) of ``data``; an unknown level is a `DataError`.

        ``codes`` are those of `factorise`, where they are known already.
        """
        parts = {name: self.encode(name, data, codes) for name in self.formula.variables}
        blocks = [
            self.block(term, full, parts, len(data))
            for term, full in zip(self.formula.terms, self.full, strict=True)
        ]
        return np.hstack(blocks) if blocks else np.empty((len(data), 0))

    def encode(
        self, name: str, data: pd.DataFrame, codes: Mapping[str, Codes] | None = None
    ) -> Floats:
        """Give indicators (rows x levels) of a factor, or one column of a covariate."""
        if name in self.levels:
            column = self.factors[name]
            if codes and column in codes:
                place = codes[column][1]
            else:
                place = level_codes(data[column], self.levels[name])
            return np.asarray(np.eye(len(self.levels[name]))[place])
        values = _finite(name, {column: numeric(data, column) for column in self.columns_of(name)})
        return np.broadcast_to(values, len(data)).reshape(-1, 1)

    def columns_of(self, name: str) -> tuple[str, ...]:
        """Columns that an expression reads."""
        return expression_columns(name, dict.fromkeys(self.columns))

    def block(
        self, term: Sequence[str], full: frozenset[str], parts: Mapping[str, Floats], rows: int
    ) -> Floats:
        """Columns of a term from the encoded ``parts`` of its expressions."""
        block = np.ones((rows, 1))
        for name in term:  # the first expression varies fastest
            part = parts[name]
            if name in self.levels and name not in full:
                part = part[:, 1:]
            block = (part[:, :, None] * block[:, None, :]).reshape(rows, -1)
        return block

    def term_labels(self) -> tuple[str, ...]:
        """Labels of the terms as R writes them (``ARMCD:AVISIT``)."""
        return tuple(":".join(term) or "(Intercept)" for term in self.formula.terms)


@dataclass(frozen=True)
class ModelFrame:
    """A design with the records it was made from.

    Attributes
    ----------
    design : Design
    data : DataFrame
        The rows without a missing value in any column used, index reset.
    rows : ndarray of int
        Their positions in the caller's frame.
    X, y : ndarray
        Design matrix and response of those rows.
    n_missing : int
        Rows left out for a missing value.
    codes : dict
        Levels and codes of columns that were needed so far (see `factor`).
    lost : dict
        Levels of factors that only rows with a missing value have.
    """

    design: Design
    data: pd.DataFrame
    rows: NDArray[np.int64]
    X: Floats
    y: Floats
    n_missing: int
    codes: dict[str, Codes] = field(default_factory=dict)
    lost: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """Notes about rows left out, and levels that went with them."""
        if not self.n_missing:
            return []
        total = len(self.rows) + self.n_missing
        notes = [f"left out {self.n_missing} of {total} records: missing values"]
        for name, levels in self.lost.items():
            notes.append(f"no complete record with {name} {', '.join(map(str, levels))}")
        return notes

    def factor(self, column: str) -> Codes:
        """Levels of a column and their codes, found once."""
        if column not in self.codes:
            self.codes[column] = factorise(self.data[column])
        return self.codes[column]


def model_frame(
    data: pd.DataFrame, formula: str, *, extra: Sequence[str] = (), simplify: bool = False
) -> ModelFrame:
    """Design and complete rows of ``data`` for ``formula``; ``extra`` columns must be present too.

    With ``simplify`` the variables are ordered as R's ``update`` orders them (``ARM:VISIT +
    VISIT`` gives ``VISIT:ARM``). Raises `DataError` for absent columns, text in the response, or
    no complete row.
    """
    if not isinstance(data, pd.DataFrame):
        msg = f"data must be a pandas DataFrame, got {type(data).__name__}"
        raise UsageError(msg)
    parsed = parse_formula(formula)
    parsed = parsed.simplified() if simplify else parsed
    known = dict.fromkeys(map(str, data.columns))
    predictors = _columns(parsed.variables, known)
    response = expression_columns(parsed.response, known)
    used = list(dict.fromkeys((*response, *predictors, *extra)))
    require_columns(data, used)
    twice = [name for name in used if isinstance(data[name], pd.DataFrame)]
    if twice:
        msg = f"data: more than one column is called {', '.join(twice)}; rename or drop one"
        raise DataError(msg)
    complete = np.asarray(data[used].notna().to_numpy().all(axis=1))
    rows = np.flatnonzero(complete)
    if len(rows) == 0:
        counts = ", ".join(f"{name} {int(data[name].isna().sum())}" for name in used)
        msg = f"data: no row of {len(data)} is complete in {', '.join(used)} (missing: {counts})"
        raise DataError(msg)
    kept = data[used] if complete.all() else data[used].iloc[rows]
    kept = kept.reset_index(drop=True)
    codes: dict[str, Codes] = {}
    design = make_design(parsed, kept, codes)
    y = _finite(parsed.response, {column: numeric(kept, column) for column in response})
    X = design.matrix(kept, codes)
    factors = [name for name in design.factor_columns if name in used]
    lost = (
        {}
        if complete.all()
        else _lost_levels(data[factors].iloc[np.flatnonzero(~complete)], codes)
    )
    return ModelFrame(design, kept, rows, X, y, len(data) - len(rows), codes, lost)


def _finite(expression: str, columns: Mapping[str, Floats]) -> Floats:
    """Value of an expression; where it has none (the logarithm of 0) is a `DataError`."""
    with np.errstate(all="ignore"):
        values = np.asarray(evaluate(expression, columns), float)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        msg = (
            f"{expression} is not a finite number in {bad} of {values.size} rows; correct the "
            "values or leave those rows out"
        )
        raise DataError(msg)
    return values


def _lost_levels(left_out: pd.DataFrame, codes: Mapping[str, Codes]) -> dict[str, tuple[Any, ...]]:
    """Levels of each factor that only incomplete rows have."""
    found = {}
    for name in left_out:
        known = set(codes[str(name)][0])
        lost = [level for level in occurring_levels(left_out[name]) if level not in known]
        if lost:
            found[str(name)] = tuple(lost)
    return found


def make_design(
    parsed: ParsedFormula, data: pd.DataFrame, codes: dict[str, Codes] | None = None
) -> Design:
    """Design of ``parsed`` with the levels that occur in ``data``; ``codes`` keeps the codes."""
    found = {} if codes is None else codes
    known = dict.fromkeys(map(str, data.columns))
    columns = _columns(parsed.variables, known)
    levels: dict[str, tuple[Any, ...]] = {}
    factors: dict[str, str] = {}
    for name in parsed.variables:
        column = factor_column(name)
        if column is None and name in known and not is_numeric(data[name]):
            column = name
        if column is not None:
            if column not in found:
                found[column] = factorise(data[column])
            levels[name], factors[name] = found[column][0], column
            if len(levels[name]) < 2:
                msg = (
                    f"{column} has one level only ({levels[name][0]!r}) in the {len(data)} "
                    "complete rows; a factor needs two: drop it from the formula or check "
                    "the missing values"
                )
                raise DataError(msg)
    full = _full_codes(parsed, levels)
    names: list[str] = []
    assign: list[int] = []
    for place, (term, whole) in enumerate(zip(parsed.terms, full, strict=True)):
        labels = [""]
        for variable in term:
            if variable in levels:
                shown = levels[variable] if variable in whole else levels[variable][1:]
                own = [f"{variable}{_text(level)}" for level in shown]
            else:
                own = [variable]
            labels = [f"{left}:{right}" if left else right for right in own for left in labels]
        names += labels if term else ["(Intercept)"]
        assign += [place] * len(labels)
    return Design(parsed, levels, factors, columns, full, tuple(names), tuple(assign))


def _text(level: Any) -> str:
    """Level as R names it: whole numbers without a decimal point."""
    whole = isinstance(level, float) and level.is_integer()
    return str(int(level)) if whole else str(level)


def factorise(values: pd.Series) -> Codes:
    """Levels as `occurring_levels` gives them, and the place of every value (NaN: -1)."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = occurring_levels(values)
        lookup = pd.Index(list(levels)).get_indexer(pd.Index(values.cat.categories))
        return levels, np.append(lookup, -1)[values.cat.codes.to_numpy()].astype(np.int64)
    codes, found = pd.factorize(values.to_numpy())
    order = _sort_order(list(found))
    place = np.empty(len(order) + 1, np.int64)
    place[order], place[-1] = np.arange(len(order)), -1
    return tuple(found[number] for number in order), place[codes]


def _sort_order(values: list[Any]) -> list[int]:
    try:
        return sorted(range(len(values)), key=values.__getitem__)
    except TypeError:  # mixed types
        return sorted(range(len(values)), key=lambda number: str(values[number]))


def occurring_levels(values: pd.Series) -> tuple[Any, ...]:
    """Levels in order: the categories that occur, else sorted (`_checks.ordered_levels`, fast)."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = np.bincount(values.cat.codes.to_numpy() + 1, minlength=1)[1:] > 0
        return tuple(
            level for level, seen in zip(values.cat.categories, present, strict=False) if seen
        )
    found = list(pd.unique(values.dropna()))
    return tuple(found[number] for number in _sort_order(found))


def level_codes(values: pd.Series, levels: Sequence[Any]) -> NDArray[np.int64]:
    """Place of every value in ``levels``; another value is a `DataError` with its count."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        lookup = pd.Index(list(levels)).get_indexer(pd.Index(values.cat.categories))
        codes = np.append(lookup, -1)[values.cat.codes.to_numpy()]
    else:
        codes = pd.Index(list(levels)).get_indexer(pd.Index(values))
    bad = int((codes < 0).sum())
    if bad:
        msg = (
            f"{values.name}: {bad} row(s) with a level the model does not know; "
            f"known are {', '.join(map(str, levels))}"
        )
        raise DataError(msg)
    return np.asarray(codes, np.int64)


def independent_columns(X: Floats, *, tolerance: float = ALIAS_TOLERANCE) -> NDArray[np.bool_]:
    """Find the columns that do not depend linearly on earlier ones, as R's pivoted QR does."""
    length = np.sqrt(np.einsum("ij,ij->j", X, X))
    if X.shape[1] == 0 or (
        len(X) >= X.shape[1] and length.all() and _clearly_full_rank(X, length)
    ):
        return np.ones(X.shape[1], bool)
    basis = np.empty((len(X), 0))
    keep = np.zeros(X.shape[1], bool)
    for column in range(X.shape[1]):
        if basis.shape[1] == len(X) or length[column] == 0:
            continue
        rest = X[:, column] / length[column]
        for _ in range(2):  # the second pass removes the rounding of the first
            rest = rest - basis @ (basis.T @ rest)
        left = float(np.linalg.norm(rest))
        if left > tolerance:
            keep[column] = True
            basis = np.column_stack([basis, rest / left])
    return keep


def _clearly_full_rank(X: Floats, length: Floats) -> bool:
    scaled = (X.T @ X) / np.outer(length, length)
    try:
        return bool((np.diag(np.linalg.cholesky(scaled)) > 1e-4).all())
    except np.linalg.LinAlgError:
        return False


def _columns(expressions: Sequence[str], known: Mapping[str, Any]) -> tuple[str, ...]:
    found = [name for expression in expressions for name in expression_columns(expression, known)]
    return tuple(dict.fromkeys(found))


def is_numeric(values: pd.Series) -> bool:
    """Whether a column is a covariate: numbers, but no truth values."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _full_codes(
    parsed: ParsedFormula, levels: Mapping[str, tuple[Any, ...]]
) -> tuple[frozenset[str], ...]:
    """Per term, the factors without a margin before it, as R's ``terms`` decides."""
    full: list[set[str]] = []
    for place, term in enumerate(parsed.terms):
        whole = set()
        for variable in term:
            rest = set(term) - {variable}
            if rest and not any(rest <= set(other) for other in parsed.terms[:place]):
                whole.add(variable)
        full.append({variable for variable in whole if variable in levels})
    if () not in parsed.terms:  # without an intercept the first factor stands for it
        for place, term in enumerate(parsed.terms):
            first = next((variable for variable in term if variable in levels), None)
            if first is not None:
                full[place].add(first)
                break
    return tuple(frozenset(whole) for whole in full)
