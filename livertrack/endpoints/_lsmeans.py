"""Least-squares means: linear combinations of coefficients over a reference grid.

The grid crosses the levels of all factors; covariates stand at their mean over the analysed rows
or at given values. An LS mean averages the grid over the factors not asked for, with equal
weights, or with the observed frequencies of those factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import numeric
from livertrack.endpoints._design import Design, Floats, level_codes
from livertrack.errors import UsageError

Weights = Literal["equal", "observed", "proportional", "cells", "outer", "flat"]


@dataclass(frozen=True)
class LinearCombinations:
    """Rows of ``L`` (combinations x coefficients), named by the columns of ``labels``."""

    labels: pd.DataFrame
    L: Floats


def lsmeans_combinations(
    design: Design,
    data: pd.DataFrame,
    *,
    by: Sequence[str],
    at: Mapping[str, Any] | None = None,
    weights: Weights = "equal",
) -> LinearCombinations:
    """Make the combinations giving the LS mean of every crossing of the factors ``by``.

    Parameters
    ----------
    design, data
        The model and its analysed rows.
    by : sequence of str
        Factors of the model, or covariates with values in ``at``; empty for one overall mean.
        The first varies slowest.
    at : mapping, optional
        Covariate -> value or values (averaged over, unless in ``by``), or factor -> level or
        levels the grid is restricted to.
    weights : {"equal", "observed", "cells", "outer", "flat"}
        Of the levels averaged over: equal; the joint frequencies of those factors over all
        analysed rows (emmeans ``proportional``, SAS ``OM``); the frequencies within each crossing
        of ``by`` (``cells``); the products of their single frequencies (``outer``); or equal
        where there are rows and none elsewhere (``flat``).
    """
    levels = _grid_levels(design, by, at or {})
    values = _covariate_values(design, data, at or {}, levels)
    grid = pd.MultiIndex.from_product(
        [levels[name] for name in levels], names=list(levels)
    ).to_frame(index=False) if levels else pd.DataFrame(index=[0])  # fmt: skip
    for name, value in values.items():
        grid[name] = value
    X = design.matrix(grid)
    shape = [len(levels[name]) for name in levels]
    weight = _weights(design, data, levels, by, weights)
    axes = [list(levels).index(name) for name in by]
    others = [axis for axis in range(len(shape)) if axis not in axes]
    cube = np.moveaxis(X.reshape([*shape, -1]), axes, range(len(axes)))
    weight = np.moveaxis(weight, axes, range(len(axes)))
    n_by = int(np.prod([shape[axis] for axis in axes], initial=1))
    n_rest = int(np.prod([shape[axis] for axis in others], initial=1))
    cube, weight = cube.reshape(n_by, n_rest, -1), weight.reshape(n_by, n_rest)
    total = weight.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        L = np.einsum("gr,grp->gp", weight / total, cube)
    labels = pd.MultiIndex.from_product([levels[name] for name in by], names=list(by)).to_frame(
        index=False
    ) if by else pd.DataFrame(index=[0])  # fmt: skip
    return LinearCombinations(labels, L)


def contrast_combinations(
    means: LinearCombinations, *, arm: str, reference: Any, by: Sequence[str]
) -> LinearCombinations:
    """Differences of each level of ``arm`` from ``reference`` within the crossings of ``by``."""
    labels = means.labels
    levels = list(dict.fromkeys(labels[arm]))
    if reference not in levels:
        msg = f"{arm}: reference {reference!r} is not a level of the model; levels are {levels}"
        raise UsageError(msg)
    place = {tuple(row): number for number, row in enumerate(labels[[*by, arm]].to_numpy())}
    crossings = list(dict.fromkeys(map(tuple, labels[list(by)].to_numpy()))) if by else [()]
    rows, L = [], []
    for crossing in crossings:
        for level in levels:
            if level != reference:
                rows.append((*crossing, level, reference))
                difference = means.L[place[(*crossing, level)]]
                L.append(difference - means.L[place[(*crossing, reference)]])
    frame = pd.DataFrame(rows, columns=[*by, arm, "reference"])
    return LinearCombinations(frame, np.array(L).reshape(len(rows), means.L.shape[1]))


def estimable(L: Floats, X: Floats, kept: np.ndarray) -> np.ndarray:
    """Which rows of ``L`` can be estimated when the columns of ``X`` not ``kept`` are aliased."""
    if kept.all():
        return np.asarray(np.isfinite(L).all(axis=1))
    base = X[:, kept]
    coefficients, *_ = np.linalg.lstsq(base, X[:, ~kept], rcond=None)
    rest = L[:, ~kept] - L[:, kept] @ coefficients
    scale = np.maximum(np.abs(L).max(axis=1, initial=0), 1.0)
    small = np.abs(rest).max(axis=1, initial=0) < 1e-8 * scale
    return np.asarray(np.isfinite(L).all(axis=1) & small)


def _grid_levels(
    design: Design, by: Sequence[str], at: Mapping[str, Any]
) -> dict[str, tuple[Any, ...]]:
    known = design.factor_columns
    absent = [name for name in at if name not in design.columns]
    if absent:
        msg = f"at: {', '.join(absent)} is no predictor; predictors are {list(design.columns)}"
        raise UsageError(msg)
    several = {}
    for name in design.covariates:
        if name in at and (name in by or _is_several(at[name])):
            given = at[name] if _is_several(at[name]) else [at[name]]
            several[name] = tuple(given)
    unknown = [name for name in by if name not in known and name not in several]
    if unknown:
        covariates = [name for name in unknown if name in design.covariates]
        cure = "".join(
            f"; {name} is a covariate: write factor({name}) or give its values in at"
            for name in covariates
        )
        msg = (
            f"LS means by {', '.join(unknown)}: not a factor of the model; factors are "
            f"{', '.join(map(str, known)) or 'none'}{cure}"
        )
        raise UsageError(msg)
    levels = {}
    for name, found in known.items():
        wanted = at.get(name, found)
        wanted = tuple(wanted) if _is_several(wanted) else (wanted,)
        bad = [level for level in wanted if level not in found]
        if bad:
            msg = f"at: {name} has no level {bad}; levels are {list(found)}"
            raise UsageError(msg)
        levels[name] = wanted
    return {**levels, **several}


def _is_several(value: Any) -> bool:
    return not isinstance(value, str) and isinstance(value, Iterable)


def _covariate_values(
    design: Design, data: pd.DataFrame, at: Mapping[str, Any], levels: Mapping[str, Any]
) -> dict[str, float]:
    values = {}
    for name in design.covariates:
        if name in levels:
            continue
        value = at.get(name)
        values[name] = float(np.mean(numeric(data, name))) if value is None else float(value)
    return values


def _weights(
    design: Design,
    data: pd.DataFrame,
    levels: Mapping[str, tuple[Any, ...]],
    by: Sequence[str],
    weights: Weights,
) -> Floats:
    shape = [len(found) for found in levels.values()]
    if weights == "equal":
        return np.ones(shape)
    if weights not in ("observed", "proportional", "cells", "outer", "flat"):
        msg = f"weights={weights!r}: choose 'equal', 'observed', 'cells', 'outer' or 'flat'"
        raise UsageError(msg)
    factors = {name: found for name, found in levels.items() if name not in design.covariates}
    inside = np.ones(len(data), bool)
    for name, found in factors.items():
        inside &= data[name].isin(found).to_numpy()
    rows = data.loc[inside]
    counts = np.zeros([len(found) for found in factors.values()])
    codes = tuple(level_codes(rows[name], found) for name, found in factors.items())
    np.add.at(counts, codes, 1.0)
    counts = np.broadcast_to(  # values of covariates, the last axes, count alike
        counts.reshape([*counts.shape, *[1] * (len(shape) - counts.ndim)]), shape
    )
    if weights == "cells":
        return counts
    if weights == "flat":
        return np.asarray(counts > 0, float)
    if weights == "outer":
        product = np.ones(shape)
        for place, name in enumerate(levels):
            others = tuple(axis for axis in range(len(shape)) if axis != place)
            if name not in by:
                product = product * counts.sum(axis=others, keepdims=True)
        return product
    axes = tuple(place for place, name in enumerate(levels) if name in by)
    return np.broadcast_to(counts.sum(axis=axes, keepdims=True), shape).copy()
