"""From a frame and a formula to the arrays of an MMRM."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from livertrack.endpoints._checks import numeric
from livertrack.endpoints._design import (
    ALIAS_TOLERANCE,
    Floats,
    ModelFrame,
    independent_columns,
    is_numeric,
    model_frame,
)
from livertrack.endpoints.mmrm._subjects import Ints, Subjects, arrange
from livertrack.endpoints.mmrm._terms import CovarianceTerm
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True)
class Prepared:
    """Data of one model, independent of the covariance structure.

    ``X`` = Q R after weighting; the engine works on Q and the least-squares residuals
    y - Q ``offset``, divided by ``scale``.
    """

    frame: ModelFrame
    term: CovarianceTerm
    kept: np.ndarray
    R: Floats
    offset: Floats
    scale: float
    weights: Floats
    subject: Ints
    position: Ints
    visits: tuple[Any, ...]
    groups: tuple[Any, ...]
    group_of_subject: Ints
    subjects: Subjects
    row_of_subject: Ints
    moments: tuple[Floats, ...]
    joint: Floats

    @property
    def n_subjects(self) -> int:
        """Number of subjects with an analysed record."""
        return len(self.group_of_subject)

    @property
    def is_spatial(self) -> bool:
        """Whether the covariance is over coordinates, not visits."""
        return self.subjects.distance is not None

    @cached_property
    def compressed(self) -> Subjects:
        """Blocks with the same cross-products, fewer rows."""
        return self.subjects.compressed()


def prepare(
    data: pd.DataFrame, fixed: str, term: CovarianceTerm, weights: str | Floats | pd.Series | None
) -> Prepared:
    """Check and arrange the data of a model."""
    extra = list(term.columns)
    if weights is not None and not isinstance(weights, str):
        data = data.assign(**{"(weights)": _by_row(weights, data)})
        weights = "(weights)"
    if weights is not None:
        extra.append(weights)
    frame = model_frame(data, fixed, extra=extra, simplify=True)
    if frame.X.shape[1] == 0:
        msg = "the formula has no fixed effect; write at least '~ 1 + us(AVISIT | USUBJID)'"
        raise UsageError(msg)
    frame = _sorted(frame, term)
    w = _weights(frame.data, weights)
    subject = frame.factor(term.subject)[1]
    n_subjects = int(subject[-1]) + 1
    position, visits, coordinates = _positions(frame, term, subject)
    group_of_subject, groups = _groups(frame, term, subject, n_subjects)
    root_w = np.sqrt(w)
    X, y = frame.X * root_w[:, None], frame.y * root_w
    kept, Q, R = _decompose(frame.X, X)
    offset = Q.T @ y
    residual = y - Q @ offset
    scale = _scale(residual, y, n_columns=Q.shape[1])
    d = int(position.max()) + 1 if coordinates is not None else len(visits)
    subjects, row_of_subject = arrange(
        Q, residual / scale, subject=subject, position=position, group=group_of_subject,
        n_groups=len(groups), d=d, coordinates=coordinates,
    )  # fmt: skip
    moments, joint = _moments(
        residual / scale, subject, position, group_of_subject, len(groups), d
    )
    return Prepared(
        frame, term, kept, R, offset, scale, w, subject, position, visits, groups,
        group_of_subject, subjects, row_of_subject, moments, joint,
    )  # fmt: skip


def visit_notes(data: Prepared) -> list[str]:
    """Note about visits whose text sorts in another order than their numbers."""
    frame, term = data.frame, data.term
    column = term.visits[0]
    if data.is_spatial or isinstance(frame.data[column].dtype, pd.CategoricalDtype):
        return []
    found = [str(visit) for visit in data.visits]
    if found == sorted(found, key=_natural):
        return []
    return [
        f"{column} is text, sorted as {', '.join(found)}; make it categorical to give the visits "
        "the order of time"
    ]


def _natural(text: str) -> list[tuple[bool, float, str]]:
    """Sort key that reads the numbers in a text."""
    parts = re.split(r"(\d+\.?\d*)", text)
    return [(place % 2 == 0, float(part) if place % 2 else 0.0, part) for place, part in
            enumerate(parts)]  # fmt: skip


def _by_row(weights: Floats | pd.Series, data: pd.DataFrame) -> Floats:
    """Weights in the order of the rows of ``data``; a series is matched by its index."""
    if isinstance(weights, pd.Series) and not weights.index.equals(data.index):
        unique = weights.index.is_unique and data.index.is_unique
        if not unique or not data.index.isin(weights.index).all():
            msg = "weights: the index of the series is not that of data; give an array instead"
            raise UsageError(msg)
        weights = weights.reindex(data.index)
    values = np.asarray(weights, float)
    if values.shape != (len(data),):
        msg = f"weights: {values.shape} does not fit {len(data)} rows; give one weight per row"
        raise UsageError(msg)
    return values


def _sorted(frame: ModelFrame, term: CovarianceTerm) -> ModelFrame:
    """Rows by subject and visit: the order of the caller's rows must not reach the numbers."""
    keys = [frame.factor(name)[1] for name in (*reversed(term.visits), term.subject)]
    order = np.lexsort(keys)
    if (order == np.arange(len(order))).all():
        return frame
    return ModelFrame(
        frame.design, frame.data.iloc[order].reset_index(drop=True), frame.rows[order],
        frame.X[order], frame.y[order], frame.n_missing,
        {name: (levels, codes[order]) for name, (levels, codes) in frame.codes.items()},
    )  # fmt: skip


def _weights(data: pd.DataFrame, weights: str | None) -> Floats:
    if weights is None:
        return np.ones(len(data))
    values = numeric(data, weights)
    bad = int((values <= 0).sum())
    if bad:
        msg = f"weights: {bad} of {len(values)} are not above zero; leave those rows out instead"
        raise DataError(msg)
    return values


def _positions(
    frame: ModelFrame, term: CovarianceTerm, subject: Ints
) -> tuple[Ints, tuple[Any, ...], Floats | None]:
    """Place of every row among the visits (or among the subject's records, if spatial)."""
    if term.structure != "sp_exp":
        visits, position = frame.factor(term.visits[0])
        repeated = int((np.diff(subject * len(visits) + position) == 0).sum())
        coordinates = None
    else:
        text = [name for name in term.visits if not is_numeric(frame.data[name])]
        if text:
            msg = f"sp_exp needs numeric coordinates, such as days; {', '.join(text)} is text"
            raise DataError(msg)
        columns = [numeric(frame.data, name) for name in term.visits]
        coordinates = np.column_stack(columns)
        visits = tuple(np.unique(columns[0]).tolist()) if len(columns) == 1 else ()
        first = np.searchsorted(subject, subject)
        position = np.arange(len(subject)) - first
        keyed = np.column_stack([subject, coordinates])
        repeated = len(subject) - len(np.unique(keyed, axis=0))
    if repeated:
        msg = (
            f"data: {repeated} duplicated record(s) in {term.subject} x "
            f"{' x '.join(term.visits)}; an MMRM needs one record per subject and visit: "
            "select one PARAMCD, remove duplicates"
        )
        raise DataError(msg)
    return position.astype(np.int64), visits, coordinates


def _groups(
    frame: ModelFrame, term: CovarianceTerm, subject: Ints, n_subjects: int
) -> tuple[Ints, tuple[Any, ...]]:
    if term.group is None:
        return np.zeros(n_subjects, np.int64), ("",)
    groups, of_row = frame.factor(term.group)
    of_subject = np.empty(n_subjects, np.int64)
    of_subject[subject] = of_row
    changed = len(np.unique(subject[of_subject[subject] != of_row]))
    if changed:
        msg = (
            f"{term.group} is not constant in {changed} subject(s); "
            "a covariance group must be a property of the subject"
        )
        raise DataError(msg)
    return of_subject, groups


def _decompose(X: Floats, weighted: Floats) -> tuple[np.ndarray, Floats, Floats]:
    """Columns kept, and the QR decomposition of the weighted ones."""
    if len(X) <= X.shape[1]:
        kept = independent_columns(X)
    else:
        every = np.ones(X.shape[1], bool)
        gram = weighted.T @ weighted
        length = np.sqrt(np.diag(gram))
        if length.all():
            try:  # R'R = X'X is accurate enough where no column nearly depends on others
                factor = np.linalg.cholesky(gram / np.outer(length, length))
            except np.linalg.LinAlgError:
                factor = np.zeros_like(gram)
            if (np.diag(factor) > 1e-3).all():
                R = np.asarray(factor.T * length)
                inverse = solve_triangular(R, np.eye(len(R)))
                return every, weighted @ inverse, R
        Q, R = np.linalg.qr(weighted)
        length = np.sqrt(np.einsum("ij,ij->j", R, R))
        diagonal = np.abs(np.diag(R))
        if (diagonal > 10 * ALIAS_TOLERANCE * length).all() and length.all():
            return every, Q, R
        kept = independent_columns(X)
    if len(X) <= kept.sum():
        msg = (
            f"data: {len(X)} records for {int(kept.sum())} coefficients; "
            "drop terms from the formula or check the missing values"
        )
        raise DataError(msg)
    Q, R = np.linalg.qr(weighted[:, kept])
    return kept, Q, R


def _scale(residual: Floats, y: Floats, *, n_columns: int) -> float:
    mean_square = float(residual @ residual) / max(len(y) - n_columns, 1)
    if mean_square <= 1e-22 * max(float(y @ y) / len(y), 1e-300):
        msg = (
            "the response has zero residual variance: the fixed effects fit it exactly; "
            "check that the response is not a copy of a predictor or constant"
        )
        raise DataError(msg)
    return float(np.sqrt(mean_square))


def _moments(
    residual: Floats, subject: Ints, position: Ints, group: Ints, n_groups: int, d: int
) -> tuple[tuple[Floats, ...], Floats]:
    """Covariances of least-squares residuals by pairs of visits, made safely definite."""
    values = np.zeros((len(group), d))
    values[subject, position] = residual
    seen = np.zeros((len(group), d))
    seen[subject, position] = 1.0
    matrices, joint = [], np.empty((n_groups, d, d))
    for g in range(n_groups):
        own, present = values[group == g], seen[group == g]
        joint[g] = present.T @ present
        moments = own.T @ own / np.maximum(joint[g], 1.0)
        variances = np.diag(moments).copy()
        typical = variances[variances > 0].mean() if (variances > 0).any() else 1.0
        variances = np.maximum(variances, 1e-10 * typical)
        scale = np.sqrt(np.outer(variances, variances))
        correlation = np.where(joint[g] > 0, moments / scale, 0.0)
        np.fill_diagonal(correlation, 1.0)
        keep = 1.0
        while np.linalg.eigvalsh(keep * correlation + (1 - keep) * np.eye(d))[0] < 0.02:
            keep *= 0.95
        matrices.append(scale * (keep * correlation + (1 - keep) * np.eye(d)))
    return tuple(matrices), joint
