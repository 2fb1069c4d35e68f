"""Signatures as compositions: log-ratio coordinates, Aitchison distance, tests, regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.spatial import distance

from livertrack._results import Result
from livertrack.endpoints._logratio import (
    Compositions,
    basis_matrix,
    clr_coordinates,
    compositions,
)
from livertrack.endpoints.composition_regression import (
    CompositionRegression,
    composition_regression,
)
from livertrack.endpoints.permanova import Permanova, permanova

__all__ = [
    "CompositionRegression", "LogRatios", "Permanova", "aitchison_distance", "clr",
    "composition_regression", "ilr", "ilr_inverse", "permanova",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LogRatios(Result):
    """Coordinates (``table``, one row per composition) and the basis they are of."""

    basis: pd.DataFrame
    coordinates: tuple[str, ...]

    keys: ClassVar[tuple[str, ...]] = ("coordinate",)
    context: ClassVar[str] = "log_ratios"


def clr(
    data: pd.DataFrame,
    *,
    parts: Sequence[str] | None = None,
    delta: float | None = None,
    size: str | None = None,
) -> LogRatios:
    """Centred log-ratios: logarithm of each share over the geometric mean of the row.

    Parameters
    ----------
    data : DataFrame, one row per composition
        Shares or counts, one column per part; rows need not sum to one.
    parts : sequence of str, optional
        Columns; by default every column named TV and digits.
    delta : float, optional
        Share that a zero becomes (proportion); by default 0.65 of the smallest positive share.
    size : str, optional
        Column with the number of voxels; a zero then becomes 0.65 / size of its row.

    Returns
    -------
    LogRatios
        ``.table``: the columns of ``data`` with the parts replaced by their coordinates, row
        labels kept. ``.coordinates``: their names. ``.basis``: clr weights of each part.

    Notes
    -----
    Denominator: rows with all parts; others are dropped and counted. Coordinates of a row sum to
    0. Zeros are replaced multiplicatively (the other shares keep their ratios); ``.notes`` says
    how many and by what. Negative shares and empty rows are a `DataError`.
    Source: Aitchison (1986); Martin-Fernandez et al. (2003) for zeros.
    Checked against: R vegan 2.6-4 ``decostand("clr")`` (tests/reference/compositions.R).
    """
    found = compositions(data, parts=parts, delta=delta, size=size)
    d = len(found.parts)
    weights = np.eye(d) - 1 / d
    return _result(found, list(found.parts), clr_coordinates(found.shares), weights, "clr")


def ilr(
    data: pd.DataFrame,
    *,
    parts: Sequence[str] | None = None,
    basis: str | Mapping[str, Mapping[str, int]] = "pivot",
    delta: float | None = None,
    size: str | None = None,
) -> LogRatios:
    """Isometric log-ratios: orthonormal coordinates, one fewer than parts.

    Parameters
    ----------
    data, parts, delta, size
        As in `clr`.
    basis : "pivot" or mapping
        ``"pivot"``: each part in order against the later ones. Or balances of a sequential
        binary partition, e.g. ``{"sick / healthy": {"TV01": -1, "TV02": 1, "TV03": 1}, ...}``.

    Returns
    -------
    LogRatios
        As `clr`; ``.basis`` has one row per coordinate and `ilr_inverse` takes it back.

    Notes
    -----
    Distances between rows are Aitchison distances whatever the basis. Denominator and zeros as
    in `clr`. A positive coordinate means more of the parts with positive weights.
    Source: Egozcue et al. (2003); Egozcue and Pawlowsky-Glahn (2005).
    Checked against: scikit-bio 0.7 ``ilr``, R (tests/reference/compositions.R).
    """
    found = compositions(data, parts=parts, delta=delta, size=size)
    names, V = basis_matrix(found.parts, basis)
    return _result(found, names, clr_coordinates(found.shares) @ V.T, V, "ilr")


def ilr_inverse(coordinates: pd.DataFrame, *, basis: pd.DataFrame) -> pd.DataFrame:
    """Shares (rows sum to 1) of ilr ``coordinates``, given the ``.basis`` of `ilr`."""
    weights = basis.set_index("coordinate")
    logs = coordinates[list(weights.index)].to_numpy(float) @ weights.to_numpy(float)
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return pd.DataFrame(shares, columns=list(weights.columns), index=coordinates.index)


def aitchison_distance(
    data: pd.DataFrame,
    *,
    parts: Sequence[str] | None = None,
    delta: float | None = None,
    size: str | None = None,
) -> pd.DataFrame:
    """Aitchison distance of every pair of rows: a square frame with the row labels of ``data``.

    Rows, zeros and parts as in `clr`; the Euclidean distance of clr coordinates.
    Checked against: R vegan 2.6-4 ``vegdist("aitchison")`` (tests/reference/compositions.R).
    """
    found = compositions(data, parts=parts, delta=delta, size=size)
    square = distance.squareform(distance.pdist(clr_coordinates(found.shares)))
    return pd.DataFrame(square, index=found.data.index, columns=found.data.index)


def _result(
    found: Compositions, names: list[str], values: np.ndarray, weights: np.ndarray, method: str
) -> LogRatios:
    others = found.data.drop(columns=list(found.parts))
    table = pd.concat([others, pd.DataFrame(values, columns=names, index=others.index)], axis=1)
    basis = pd.DataFrame(weights, columns=list(found.parts))
    basis.insert(0, "coordinate", names)
    replaced = sum(found.zeros.values())
    return LogRatios(
        table=table,
        basis=basis,
        coordinates=tuple(names),
        text=(
            f"{method} coordinates of {len(table)} compositions of {len(found.parts)} parts; "
            f"{replaced} zero(s) replaced."
        ),
        settings={
            "method": method, "parts": list(found.parts), "zeros": found.zeros, "n": len(table),
        },
        notes=found.notes,
    )  # fmt: skip
